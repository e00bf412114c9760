// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "parse.h"

namespace upres {
namespace {

constexpr const char* kGroup = "Device";
constexpr const char* kGpuBackend = "cuda";  // where -b names none
constexpr const char* kTensorrt = "tensorrt";
constexpr Precision kPrecisions[] = {Precision::automatic, Precision::fp16, Precision::fp16_fast,
                                     Precision::fp32};

/// An option that was given, and the backend it asks for: "gpu" for any GPU.
struct Wish {
  std::string option;
  std::string backend;
};

std::string backend_of_gpu(int gpu) {
  return gpu < 0 ? "cpu" : "gpu";
}

std::string backend_named(const std::string& name) {
  return name == kGpuBackend || name == kTensorrt ? "gpu" : name;
}

/// A GPU's number; nothing where the text is a word.
std::optional<int> gpu_number(const std::string& text) {
  int gpu = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, gpu);
  return error == std::errc() && stop == end ? std::optional(gpu) : std::nullopt;
}

/// --device takes the words of -b and the numbers of -g.
std::string backend_of_device(const std::string& device) {
  const auto gpu = gpu_number(device);
  return gpu ? backend_of_gpu(*gpu) : backend_named(device);
}

std::vector<Wish> wishes(const DeviceChoice& choice) {
  std::vector<Wish> all;
  if (choice.backend != "auto")
    all.push_back({"-b " + choice.backend, backend_named(choice.backend)});
  for (const int gpu : choice.gpus) all.push_back({fmt::format("-g {}", gpu), backend_of_gpu(gpu)});
  if (choice.device != "auto") {
    all.push_back({"--device " + choice.device, backend_of_device(choice.device)});
  }
  return all;
}

/// The backend that runs on GPUs: -b and --device may name one, and then the same.
std::string gpu_backend(const DeviceChoice& choice) {
  std::string wanted;
  for (const std::string& name : {choice.backend, choice.device}) {
    if (name != kGpuBackend && name != kTensorrt) continue;
    if (!wanted.empty() && wanted != name) {
      fail(ErrorCode::usage, "-b {} and --device {} contradict each other; give one of them",
           choice.backend, choice.device);
    }
    wanted = name;
  }
  return wanted.empty() ? kGpuBackend : wanted;
}

/// The GPU that -g or --device names.
std::unique_ptr<Device> open_gpu(const DeviceChoice& choice, const std::string& option,
                                 const LoadEvents& events) {
  if (choice.gpus.size() > 1) {
    fail(ErrorCode::usage, "this command runs on one GPU; give -g one number");
  }
  const std::string backend = gpu_backend(choice);
  const auto all = backends();
  if (std::ranges::none_of(all, [&](const BackendInfo& b) { return b.name == backend; })) {
    fail(ErrorCode::device, "this build of upres has no GPU engine; leave out {}, or use -b cpu",
         option);
  }
  const int gpu = choice.gpus.empty() ? gpu_number(choice.device).value_or(0) : choice.gpus.front();
  return open_device(backend, {.threads = choice.threads,
                               .memory_limit = choice.max_vram,
                               .gpu = gpu,
                               .size_hint = choice.size_hint,
                               .events = events});
}

std::unique_ptr<Device> open_processor(const DeviceChoice& choice, const Wish& wish) {
  if (choice.max_vram > 0) {
    fail(ErrorCode::usage,
         "--max-vram is for GPUs, and {} asks for none; leave one of them out, or use --max-memory",
         wish.option);
  }
  return open_device(wish.backend, {.threads = choice.threads});
}

/// The first backend that the machine can run. --max-vram limits a GPU; without one it holds as it
/// is.
std::unique_ptr<Device> open_first(const DeviceChoice& choice) {
  DeviceOptions options{.threads = choice.threads};
  for (const BackendInfo& backend : backends()) {
    if (!backend.can_run()) continue;
    if (backend.name == kGpuBackend) options.memory_limit = choice.max_vram;
    break;
  }
  return open_device("auto", options);
}

std::unique_ptr<Device> open_wanted(const DeviceChoice& choice, const LoadEvents& events) {
  const std::vector<Wish> all = wishes(choice);
  if (choice.size_hint && choice.backend != kTensorrt && choice.device != kTensorrt) {
    fail(ErrorCode::usage, "--tensorrt-size-hint is for -b tensorrt; leave it out, or add that");
  }
  if (all.empty()) return open_first(choice);
  const Wish& first = all.front();
  for (const Wish& other : all) {
    if (other.backend != first.backend) {
      fail(ErrorCode::usage, "{} and {} contradict each other; give one of them", first.option,
           other.option);
    }
  }
  return first.backend == "gpu" ? open_gpu(choice, first.option, events)
                                : open_processor(choice, first);
}

Precision parse_precision(const std::string& text) {
  for (const Precision precision : kPrecisions) {
    if (name(precision) == text) return precision;
  }
  refuse("--precision", text, "is not auto, fp16, fp16-fast or fp32");
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
  command
      .add_option_function<std::string>(
          "--precision", [&](const std::string& text) { choice.precision = parse_precision(text); },
          "What the network computes in (default: fp16 on GPUs, else fp32)")
      ->option_text("auto|fp16|fp16-fast|fp32")
      ->group(kGroup);
  command
      .add_option("--max-vram", choice.max_vram,
                  "Of a GPU's memory, as in 2G (default: what is free)")
      ->option_text("SIZE")
      ->transform(CLI::AsSizeValue(false))
      ->group(kGroup);
  add_size_hint_option(command, choice)->group(kGroup);
}

CLI::Option* add_size_hint_option(CLI::App& command, DeviceChoice& choice) {
  return command
      .add_option_function<std::string>(
          "--tensorrt-size-hint",
          [&](const std::string& text) {
            choice.size_hint = parse_size("--tensorrt-size-hint", text);
          },
          "Pictures that -b tensorrt is to be fastest at (default: 1280x720)")
      ->option_text("WxH");
}

std::unique_ptr<Device> open_device(const DeviceChoice& choice, const LoadEvents& events) {
  auto device = open_wanted(choice, events);
  device->chosen(choice.precision);
  return device;
}

std::vector<std::unique_ptr<Device>> open_devices(const DeviceChoice& choice,
                                                  const LoadEvents& events) {
  std::vector<std::unique_ptr<Device>> devices;
  if (choice.gpus.size() < 2) {
    devices.push_back(open_device(choice, events));
    return devices;
  }
  for (size_t i = 0; i < choice.gpus.size(); ++i) {
    if (std::count(choice.gpus.begin(), choice.gpus.begin() + ptrdiff_t(i), choice.gpus[i]) > 0) {
      fail(ErrorCode::usage, "-g names GPU {} twice", choice.gpus[i]);
    }
    DeviceChoice one = choice;
    one.gpus = {choice.gpus[i]};
    devices.push_back(open_device(one, events));
  }
  return devices;
}

}  // namespace upres
