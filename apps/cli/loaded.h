// SPDX-License-Identifier: Apache-2.0
// The network that the user asked for, ready to run.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "model/model.h"
#include "network_options.h"
#include "report.h"

namespace upres {

/// The model of the options, with what is mixed in.
struct LoadedModel {
  std::filesystem::path path;
  std::optional<Share<std::filesystem::path>> other;
  Model model;
};
LoadedModel load_wanted_model(const NetworkOptions& options);

/// It on a device. Device and model outlive it.
struct LoadedNetwork {
  LoadedNetwork(const Device& device, const LoadedModel& model, const NetworkOptions& options);

  std::unique_ptr<Engine> engine;
  Upscaler upscaler;
};

/// Tells of both.
void tell(Report& report, const NetworkOptions& options, const LoadedModel& model,
          const Device& device, double seconds);

}  // namespace upres
