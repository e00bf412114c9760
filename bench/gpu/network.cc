// SPDX-License-Identifier: Apache-2.0
// How fast the CUDA backend runs a network, and how near it stays to single precision:
//
//     bench_gpu [--portable] [--precision fp16|fp16-fast|fp32] MODEL WIDTH HEIGHT [PICTURE.ppm]
//         the whole network under continuous load, from samples to samples in the GPU's memory,
//         then each layer's share; of a picture, repeated as often as it fits, or of noise. Rates
//         beside the roof: what the tensor cores sustain when they do nothing else
//     bench_gpu [--portable] [--precision ...] MODEL PICTURE.ppm...
//         peak signal-to-noise ratio to the same network in single precision, of each picture
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/cuda/cuda.h"
#include "backend/cuda/engine.h"
#include "base/error.h"
#include "compile/compile.h"
#include "frame/frame.h"
#include "graph/footprint.h"
#include "model/model.h"
#include "roof.h"

namespace upres::cuda {
namespace {

constexpr auto kPause = std::chrono::milliseconds(200);
constexpr float kWarmUpMs = 300;
constexpr float kMeasuredMs = 1500;  // long enough for the power limit to act

class Timer {
 public:
  Timer() {
    check(cudaEventCreate(&begin_), "making an event");
    check(cudaEventCreate(&end_), "making an event");
  }
  /// Milliseconds of the GPU for what `work` puts into the stream.
  template <typename Work>
  float time(cudaStream_t stream, Work&& work) {
    check(cudaEventRecord(begin_, stream), "timing");
    work();
    check(cudaEventRecord(end_, stream), "timing");
    check(cudaEventSynchronize(end_), "timing");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_), "timing");
    return ms;
  }
  /// Of one of many, one after the other for so long.
  template <typename Work>
  float time_each(cudaStream_t stream, float total_ms, Work&& work) {
    const float one = time(stream, work);
    const int count = std::max(3, int(total_ms / std::max(one, 0.001f)));
    return time(stream,
                [&] {
                  for (int i = 0; i < count; ++i) work();
                }) /
           float(count);
  }

 private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

/// "conv 64->32", "pixel_shuffle": layers of one kind are told together.
std::string kind_of(const Graph& graph, const Node& node) {
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    const Ratio scale = graph.value(node.output).scale;
    return fmt::format("conv{0}x{0} {1}->{2}, x{3}{4}", conv->kernel, conv->in_channels,
                       conv->out_channels, scale.numerator,
                       conv->epilogue.addends.empty() ? "" : ", adds");
  }
  return std::string(kind_name(node.op));
}

/// Random bits below infinity: never zeros, on which the chip draws less power.
DeviceBuffer noise(size_t size_bytes) {
  std::vector<uint16_t> halves(size_bytes / 2 + 1);
  uint32_t state = 1;
  for (uint16_t& half : halves) {
    state = state * 1664525 + 1013904223;
    half = uint16_t(0x3000 | (state >> 16 & 0x8fff));
  }
  return DeviceBuffer::of<uint16_t>(halves);
}

/// A picture of this size that repeats another.
std::vector<std::byte> repeated(const Frame& picture, Size size) {
  std::vector<std::byte> samples;
  for (int y = 0; y < size.height; ++y) {
    const std::byte* row = picture.data() + size_t(y % picture.size().height) * picture.row_bytes();
    for (int x = 0; x < size.width; ++x) {
      const std::byte* pixel = row + size_t(x % picture.size().width) * 3;
      samples.insert(samples.end(), pixel, pixel + 3);
    }
  }
  return samples;
}

/// Operations a millisecond of the instruction that the network's kernels use.
double measure_roof([[maybe_unused]] bool portable) {
  auto* launch = launch_mma_sync_roof;
  const char* instruction = "mma.sync";
#ifdef UPRES_WITH_SM90
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "asking for the GPU");
  if (major == 9 && !portable) {
    launch = launch_wgmma_roof;
    instruction = "wgmma";
  }
#endif
  const Stream stream = make_stream();
  Timer timer;
  double flops = 0;
  const auto multiply = [&] { flops = launch(stream.get()); };
  timer.time_each(stream.get(), kWarmUpMs, multiply);
  const double rate = flops / double(timer.time_each(stream.get(), kMeasuredMs, multiply));
  fmt::print("roof: {} {:.0f} TFLOP/s\n", instruction, rate / 1e9);
  return rate;
}

void measure_speed(const Model& model, const CudaEngine& engine, Size size,
                   const std::optional<Frame>& picture, double roof) {
  const Graph& graph = engine.graph();
  const Layout layout = engine.plan(size);
  const Size result = graph.size_of(graph.output(), layout.padded);
  const DeviceBuffer arena = noise(layout.arena.size_bytes);
  const DeviceBuffer src = picture ? DeviceBuffer::of<std::byte>(repeated(*picture, size))
                                   : noise(size_t(size.width) * size_t(size.height) * 3);
  const DeviceBuffer dst(size_t(result.width) * size_t(result.height) * 3);
  const DeviceBuffer flag(sizeof(int));
  const Work work{{src.data(), size, SampleType::u8, 3},
                  {dst.data(), result, SampleType::u8, 3},
                  nullptr,
                  arena.data(),
                  flag.as<int>()};
  const Stream stream = make_stream();
  const Recording network =
      record(stream.get(), [&] { engine.launch(layout, work, stream.get()); });
  Timer timer;
  const auto launch = [&] { check(cudaGraphLaunch(network.get(), stream.get()), "starting"); };
  timer.time_each(stream.get(), kWarmUpMs, launch);
  const float ms = timer.time_each(stream.get(), kMeasuredMs, launch);
  const double flops = flops_per_pixel(graph) * size.width * size.height;
  float once_ms = 1e9f;  // after a pause: a cool chip at its highest clock
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(kPause);
    once_ms = std::min(once_ms, timer.time(stream.get(), launch));
  }
  fmt::print(
      "{}  {}x{} {}  {:.2f} ms  {:.0f} TFLOP/s, {:.0f} % of the roof, once after a pause {:.2f} ms "
      " "
      "arena {:.0f} MiB, {} bands\n",
      model.network.architecture, size.width, size.height, picture ? "picture" : "noise", ms,
      flops / ms / 1e9, 100 * flops / ms / roof, once_ms,
      double(layout.arena.size_bytes) / (1 << 20), layout.bands.size());

  struct Share {
    float ms = 0;
    double flops = 0;
    int count = 0;
  };
  std::map<std::string, Share> shares;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    if (i == engine.paired()) continue;  // the next one's kernel is both
    const Node& node = graph.nodes()[i];
    const bool banded = i >= layout.first_banded;
    const auto one = [&] {
      for (size_t band = 0; band < (banded ? layout.bands.size() : 1); ++band) {
        engine.launch_node(i, layout, band, work, stream.get());
      }
    };
    one();
    const Node* pair = engine.paired() && i > *engine.paired() ? &graph.nodes()[i - 1] : nullptr;
    Share& share = shares[(pair ? kind_of(graph, *pair) + " and " : "") + kind_of(graph, node)];
    share.ms += timer.time(stream.get(), [&] {
      for (int k = 0; k < 5; ++k) one();
    }) / 5;
    share.flops += flops_per_pixel(graph, node) * size.width * size.height;
    if (pair) share.flops += flops_per_pixel(graph, *pair) * size.width * size.height;
    ++share.count;
  }
  for (const auto& [kind, share] : shares) {
    const double rate = share.flops / share.ms;
    fmt::print("  {:<44} {:4} x  {:8.3f} ms  {:5.1f} %  {:5.0f} TFLOP/s, {:3.0f} % of the roof\n",
               kind, share.count, share.ms / float(share.count), 100 * share.ms / ms, rate / 1e9,
               100 * rate / roof);
  }
}

/// Binary PPM of 8 bits, without comments.
Frame read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int width = 0;
  int height = 0;
  int most = 0;
  file >> magic >> width >> height >> most;
  file.get();
  if (!file || magic != "P6" || most != 255) fail(ErrorCode::input, "{}: no 8-bit P6", path);
  Frame frame({width, height}, SampleType::u8, 3);
  file.read(reinterpret_cast<char*>(frame.data()), std::streamsize(frame.total_bytes()));
  if (!file) fail(ErrorCode::input, "{}: too short", path);
  return frame;
}

Frame upscale(const Engine& engine, int scale, const Frame& picture) {
  const Size size = picture.size();
  Frame result({size.width * scale, size.height * scale}, SampleType::f32, 3);
  const auto session = engine.open();
  session->submit({.src = picture.colour(),
                   .read = whole(size),
                   .dst = result.colour(),
                   .write = whole(result.size())});
  session->wait();
  return result;
}

void measure_fidelity(const CudaEngine& engine, const std::string& path) {
  const Frame picture = read_ppm(path);
  const int scale = engine.graph().scale();
  const Frame got = upscale(engine, scale, picture);
  const Frame wanted = upscale(*engine.in_single_precision(), scale, picture);
  const auto* a = reinterpret_cast<const float*>(got.data());
  const auto* b = reinterpret_cast<const float*>(wanted.data());
  const size_t count = got.total_bytes() / sizeof(float);
  double squares = 0;
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const double difference =
        std::abs(double(std::clamp(a[i], 0.0f, 1.0f)) - double(std::clamp(b[i], 0.0f, 1.0f)));
    squares += difference * difference;
    largest = std::max(largest, difference);
  }
  fmt::print("{:<28} {:6.2f} dB, largest difference {:.3f} levels of 255\n",
             path.substr(path.rfind('/') + 1), -10 * std::log10(squares / double(count)),
             largest * 255);
}

Precision precision_named(std::string_view name) {
  if (name == "fp16") return Precision::fp16;
  if (name == "fp16-fast") return Precision::fp16_fast;
  if (name == "fp32") return Precision::fp32;
  fail(ErrorCode::usage, "no precision {}", name);
}

int run(int argc, char** argv) {
  DeviceOptions options;
  Precision precision = Precision::fp16;
  std::vector<std::string> rest;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--portable") {
      options.portable_kernels = true;
    } else if (argument == "--precision" && i + 1 < argc) {
      precision = precision_named(argv[++i]);
    } else {
      rest.emplace_back(argument);
    }
  }
  if (rest.size() < 2) {
    fmt::print(stderr,
               "usage: bench_gpu [OPTIONS] MODEL (WIDTH HEIGHT [PICTURE.ppm] | PICTURE.ppm...)\n");
    return 2;
  }
  const Model model = load_model(rest[0]);
  const auto device = open_device("cuda", options);
  const CudaEngine engine(optimise(model.network.graph, device->capabilities()), options,
                          precision);
  if (rest[1].ends_with(".ppm")) {
    for (size_t i = 1; i < rest.size(); ++i) measure_fidelity(engine, rest[i]);
  } else {
    std::optional<Frame> picture;
    if (rest.size() > 3) picture = read_ppm(rest[3]);
    const double roof = measure_roof(options.portable_kernels);
    measure_speed(model, engine, {std::stoi(rest[1]), std::stoi(rest.at(2))}, picture, roof);
  }
  return 0;
}

}  // namespace
}  // namespace upres::cuda

int main(int argc, char** argv) {
  try {
    return upres::cuda::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_gpu: {}\n", error.what());
    return 1;
  }
}
