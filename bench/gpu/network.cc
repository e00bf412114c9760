// SPDX-License-Identifier: Apache-2.0
// How fast the CUDA backend runs a network, without pictures in and out: bench_gpu MODEL WIDTH
// HEIGHT prints the whole network under continuous load, then each layer's share.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "backend/cuda/cuda.h"
#include "backend/cuda/session.h"
#include "compile/compile.h"
#include "graph/footprint.h"
#include "model/model.h"

namespace upres::cuda {
namespace {

constexpr int kWarmUps = 3;
constexpr int kRuns = 20;

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

 private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

/// "conv 64->32", "pixel_shuffle": layers of one kind are told together.
std::string kind_of(const Graph& graph, const Node& node) {
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    const Ratio scale = graph.value(node.output).scale;
    return fmt::format("conv{0}x{0} {1}->{2}, x{3}", conv->kernel, conv->in_channels,
                       conv->out_channels, scale.numerator);
  }
  return std::string(kind_name(node.op));
}

int run(const std::string& path, Size size) {
  const Model model = load_model(path);
  const auto device = open_device("cuda", {});
  const Graph graph = optimise(model.network.graph, device->capabilities());
  const CudaEngine engine(graph, {}, Precision::fp16);
  const ArenaPlan plan = engine.plan_arena(engine.padded(size));
  const DeviceBuffer arena(plan.size_bytes);
  const Stream stream = make_stream();
  // Random bits below infinity: never zeros, on which the chip draws less power.
  std::vector<uint16_t> noise(plan.size_bytes / 2);
  uint32_t state = 1;
  for (uint16_t& half : noise) {
    state = state * 1664525 + 1013904223;
    half = uint16_t(0x3000 | (state >> 16 & 0x8fff));
  }
  check(cudaMemcpy(arena.data(), noise.data(), plan.size_bytes, cudaMemcpyHostToDevice), "filling");

  const Recording network = record(
      stream.get(), [&] { engine.launch(engine.padded(size), plan, arena.data(), stream.get()); });
  Timer timer;
  const auto launch = [&] { check(cudaGraphLaunch(network.get(), stream.get()), "starting"); };
  for (int i = 0; i < kWarmUps; ++i) launch();
  const float ms = timer.time(stream.get(), [&] {
    for (int i = 0; i < kRuns; ++i) launch();
  }) / kRuns;
  const double flops = flops_per_pixel(graph) * size.width * size.height;
  fmt::print("{}  {}x{}  {:.2f} ms  {:.0f} TFLOP/s  arena {:.0f} MiB\n", model.network.architecture,
             size.width, size.height, ms, flops / ms / 1e9, double(plan.size_bytes) / (1 << 20));

  struct Share {
    float ms = 0;
    double flops = 0;
    int count = 0;
  };
  std::map<std::string, Share> shares;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const auto one = [&] {
      engine.launch_node(i, engine.padded(size), plan, arena.data(), stream.get());
    };
    one();
    Share& share = shares[kind_of(graph, node)];
    share.ms += timer.time(stream.get(), [&] {
      for (int k = 0; k < 5; ++k) one();
    }) / 5;
    share.flops += flops_per_pixel(graph, node) * size.width * size.height;
    ++share.count;
  }
  for (const auto& [kind, share] : shares) {
    fmt::print("  {:<28} {:4} x  {:8.3f} ms  {:5.1f} %  {:5.0f} TFLOP/s\n", kind, share.count,
               share.ms / float(share.count), 100 * share.ms / ms, share.flops / share.ms / 1e9);
  }
  return 0;
}

}  // namespace
}  // namespace upres::cuda

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: bench_gpu MODEL WIDTH HEIGHT\n");
    return 2;
  }
  try {
    return upres::cuda::run(argv[1], {std::atoi(argv[2]), std::atoi(argv[3])});
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_gpu: {}\n", error.what());
    return 1;
  }
}
