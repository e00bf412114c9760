// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <charconv>

#include "base/error.h"

namespace upres {
namespace {

constexpr const char* kGroup = "Device";

/// An option that was given, and the backend it asks for: "gpu" for any GPU.
struct Wish {
  std::string option;
  std::string backend;
};

std::string backend_of_gpu(int gpu) {
  return gpu < 0 ? "cpu" : "gpu";
}

/// --device takes the words of -b and the numbers of -g.
std::string backend_of_device(const std::string& device) {
  int gpu = 0;
  const char* end = device.data() + device.size();
  const auto [stop, error] = std::from_chars(device.data(), end, gpu);
  return error == std::errc() && stop == end ? backend_of_gpu(gpu) : device;
}

std::vector<Wish> wishes(const DeviceChoice& choice) {
  std::vector<Wish> all;
  if (choice.backend != "auto") all.push_back({"-b " + choice.backend, choice.backend});
  for (const int gpu : choice.gpus) all.push_back({fmt::format("-g {}", gpu), backend_of_gpu(gpu)});
  if (choice.device != "auto") {
    all.push_back({"--device " + choice.device, backend_of_device(choice.device)});
  }
  return all;
}

}  // namespace

void add_device_options(CLI::App& command, DeviceChoice& choice) {
  std::string names = "auto";
  for (const BackendInfo& backend : backends()) names += "|" + backend.name;
  command.add_option("-b,--backend", choice.backend, "What runs the network")
      ->option_text(names)
      ->group(kGroup);
  command.add_option("-g,--gpu", choice.gpus, "GPUs by number; -1 is short for -b cpu")
      ->option_text("N,N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(-1, 255))
      ->group(kGroup);
  command.add_option("--device", choice.device, "Either of them: --device cpu, --device 0")
      ->option_text("NAME|N")
      ->group(kGroup);
  command.add_option("-j,--threads", choice.threads, "Threads on the processor (default: all)")
      ->option_text("N")
      ->check(CLI::Range(1, 1024))
      ->group(kGroup);
}

std::unique_ptr<Device> open_device(const DeviceChoice& choice) {
  const std::vector<Wish> all = wishes(choice);
  if (all.empty()) return open_device("auto", {.threads = choice.threads});
  const Wish& first = all.front();
  for (const Wish& other : all) {
    if (other.backend != first.backend) {
      fail(ErrorCode::usage, "{} and {} contradict each other; give one of them", first.option,
           other.option);
    }
  }
  if (first.backend == "gpu") {
    fail(ErrorCode::device, "this build of upres has no GPU engine; leave out {}, or use -b cpu",
         first.option);
  }
  return open_device(first.backend, {.threads = choice.threads});
}

}  // namespace upres
