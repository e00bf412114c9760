// SPDX-License-Identifier: Apache-2.0
// The options that choose what runs the network, and in which numbers.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace upres {

struct DeviceChoice {
  std::string backend = "auto";
  std::vector<int> gpus;        ///< -1: none, the processor
  std::string device = "auto";  ///< a backend or a GPU
  int threads = 0;              ///< 0: one per processor
  Precision precision = Precision::automatic;
  size_t max_vram = 0;            ///< bytes of a GPU's memory; 0: what is free
  std::optional<Size> size_hint;  ///< what engines that are built first are to be fastest at
};

/// Adds -b, -g, --device, -j, --precision, --max-vram and --tensorrt-size-hint. `choice` must live
/// until the command line is parsed.
void add_device_options(CLI::App& command, DeviceChoice& choice);

/// Adds --tensorrt-size-hint alone.
CLI::Option* add_size_hint_option(CLI::App& command, DeviceChoice& choice);

/// Opens what was chosen. `events` are for what its load() takes its time for. Error{usage} when
/// the options contradict each other or the device has no such precision, Error{device} when there
/// is no such GPU.
std::unique_ptr<Device> open_device(const DeviceChoice& choice, const LoadEvents& events = {});

/// The same for work that several GPUs share: one device for each that -g names.
std::vector<std::unique_ptr<Device>> open_devices(const DeviceChoice& choice,
                                                  const LoadEvents& events = {});

}  // namespace upres
