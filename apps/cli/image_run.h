// SPDX-License-Identifier: Apache-2.0
// upres image at work.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "blend.h"
#include "device.h"
#include "media/image_format.h"
#include "media/image_reader.h"
#include "progress.h"
#include "task.h"
#include "upscale/upscaler.h"

namespace upres {

/// What the user asked for.
struct ImageOptions {
  TaskOptions files;
  bool overwrite = false;
  bool skip = false;
  ReadOptions read;
  UpscaleOptions upscale;
  TileOptions tiles;
  EncodeOptions encode;
  std::string model = "upres-general-x4";
  std::optional<std::filesystem::path> models;
  BlendChoice blend;
  DeviceChoice device;
  Verbosity verbosity = Verbosity::normal;
  bool json = false;
};

/// Makes the pictures; returns the exit code. What ends all of the work is thrown.
///
/// While one picture is upscaled the next is read and those before are encoded, each on a thread of
/// its own; what is on its way is bounded by memory.
int run_image(const ImageOptions& options, std::stop_token stop);

}  // namespace upres
