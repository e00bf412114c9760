// SPDX-License-Identifier: Apache-2.0
// upres image at work.
#pragma once

#include <stop_token>

#include "media/image_format.h"
#include "media/image_reader.h"
#include "network_options.h"
#include "task.h"

namespace upres {

/// What the user asked for.
struct ImageOptions : NetworkOptions {
  TaskOptions files;
  bool overwrite = false;
  bool skip = false;
  ReadOptions read;
  EncodeOptions encode;
};

/// Makes the pictures; returns the exit code. What ends all of the work is thrown.
///
/// While one picture is upscaled the next is read and those before are encoded, each on a thread of
/// its own; what is on its way is bounded by memory.
int run_image(const ImageOptions& options, std::stop_token stop);

}  // namespace upres
