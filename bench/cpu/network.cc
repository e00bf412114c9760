// SPDX-License-Identifier: Apache-2.0
// How fast the processor runs a network, beside oneDNN's convolutions in the same run:
//
//     bench_cpu [--layers] [--alone] [-j THREADS] [-n RUNS] MODEL WIDTH HEIGHT
//
// Both take turns; a run is from a picture's samples to samples, 8 bits, memory planned before.
// Medians and the span from the quickest to the slowest; GFLOP/s as the convolutions' definition
// counts them, so Winograd's filtering exceeds what the processor has. --layers: each kind of layer
// by itself; --alone: without oneDNN.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/host.h"
#include "base/error.h"
#include "base/system.h"
#include "compile/compile.h"
#include "frame/frame.h"
#include "graph/footprint.h"
#include "model/model.h"

namespace upres {
namespace {

constexpr const char* kFamilies[] = {"winograd", "onednn"};

double now_ms() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(time).count();
}

/// Times in milliseconds.
class Times {
 public:
  void add(double ms) { times_.push_back(ms); }
  double median() const {
    std::vector<double> sorted = times_;
    std::sort(sorted.begin(), sorted.end());
    const size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
  double least() const { return *std::min_element(times_.begin(), times_.end()); }
  double most() const { return *std::max_element(times_.begin(), times_.end()); }

 private:
  std::vector<double> times_;
};

/// A network with one family of convolutions, ready for one size.
struct Contender {
  std::string family;
  std::unique_ptr<Device> device;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  Times times;
  std::map<std::string, double> layer_ms;  ///< by kind

  Contender(const char* name, const Graph& graph, const DeviceOptions& options) : family(name) {
    setenv("UPRES_CPU_CONV", name, 1);
    device = open_device("cpu", options);
    engine = compile(graph, *device);
    session = engine->open();
  }
};

/// "conv3x3 64->32": layers of one kind are told together.
std::string kind_of(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv) return std::string(kind_name(node.op));
  const Ratio scale = graph.value(node.output).scale;
  const int shuffle = conv->shuffle;
  return fmt::format("conv{0}x{0} {1}->{2}, x{3}", conv->kernel, conv->in_channels,
                     conv->out_channels, scale.numerator / scale.denominator / shuffle);
}

/// Medians of each node's runs, summed up by kind.
void time_layers(Contender& one, Size size, int runs) {
  const auto& engine = dynamic_cast<const HostEngine&>(*one.engine);
  use_threads(engine.options());
  const HostLayout layout = engine.plan_layout(engine.padded(size));
  Buffer arena(layout.arena.size_bytes);
  std::fill_n(reinterpret_cast<float*>(arena.data()), arena.size_bytes() / sizeof(float), 0.5f);
  const auto program = engine.prepare(layout);
  const auto& nodes = engine.graph().nodes();
  for (size_t node = 0; node < nodes.size(); ++node) {
    const size_t bands = node < layout.first_banded ? 1 : layout.bands.size();
    Times times;
    for (int run = 0; run < runs + 1; ++run) {
      const double begin = now_ms();
      for (size_t band = 0; band < bands; ++band) program->run(node, band, arena.data());
      if (run > 0) times.add(now_ms() - begin);
    }
    one.layer_ms[kind_of(engine.graph(), nodes[node])] += times.median();
  }
}

void time_network(Contender& one, const Frame& picture, Frame& result) {
  const double begin = now_ms();
  one.session->submit({.src = picture.colour(),
                       .read = whole(picture.size()),
                       .dst = result.colour(),
                       .write = whole(result.size())});
  one.session->wait();
  one.times.add(now_ms() - begin);
}

Frame noise(Size size) {
  Frame frame(size, SampleType::u8, 3);
  std::mt19937 random(1);
  for (size_t i = 0; i < frame.total_bytes(); ++i) frame.data()[i] = std::byte(random() & 255);
  return frame;
}

/// Multiplications and additions of each kind of layer, as the definition counts them.
std::map<std::string, double> flops_by_kind(const Graph& graph, Size size) {
  std::map<std::string, double> flops;
  for (const Node& node : graph.nodes()) {
    flops[kind_of(graph, node)] += flops_per_pixel(graph, node) * size.width * size.height;
  }
  return flops;
}

void print_layers(const Contender& one, Size size) {
  const auto& graph = dynamic_cast<const HostEngine&>(*one.engine).graph();
  double total = 0;
  for (const auto& [kind, ms] : one.layer_ms) total += ms;
  fmt::print("{}, layers by themselves: {:.1f} ms\n", one.family, total);
  const auto flops = flops_by_kind(graph, size);
  for (const auto& [kind, ms] : one.layer_ms) {
    fmt::print("  {:<24} {:9.2f} ms  {:5.1f} %  {:6.0f} GFLOP/s\n", kind, ms, 100 * ms / total,
               flops.at(kind) / ms / 1e6);
  }
}

int run(int argc, char** argv) {
  DeviceOptions options;
  bool layers = false;
  bool alone = false;
  int runs = 7;
  std::vector<std::string> rest;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--layers") {
      layers = true;
    } else if (argument == "--alone") {
      alone = true;
    } else if (argument == "-j" && i + 1 < argc) {
      options.threads = std::atoi(argv[++i]);
    } else if (argument == "-n" && i + 1 < argc) {
      runs = std::max(1, std::atoi(argv[++i]));
    } else {
      rest.emplace_back(argument);
    }
  }
  if (rest.size() != 3) {
    fmt::print(stderr,
               "usage: bench_cpu [--layers] [--alone] [-j THREADS] [-n RUNS] MODEL WIDTH HEIGHT\n");
    return 2;
  }
  const Model model = load_model(rest[0]);
  const Size size{std::stoi(rest[1]), std::stoi(rest[2])};
  const Graph& graph = model.network.graph;
  const Frame picture = noise(size);
  Frame result({size.width * graph.scale(), size.height * graph.scale()}, SampleType::u8, 3);
  std::vector<Contender> contenders;
  for (const char* family : kFamilies) {
    if (!alone || contenders.empty()) contenders.emplace_back(family, graph, options);
  }
  for (Contender& one : contenders) {
    time_network(one, picture, result);  // warms up
    one.times = {};
  }
  for (int i = 0; i < runs; ++i) {
    for (Contender& one : contenders) time_network(one, picture, result);
  }
  const double flops = flops_per_pixel(graph) * size.width * size.height;
  fmt::print("{} {}x{}, {} runs\n", model.network.architecture, size.width, size.height, runs);
  for (const Contender& one : contenders) {
    const double ms = one.times.median();
    fmt::print(
        "  {:<10} {}: median {:.1f} ms ({:.1f} to {:.1f}), {:.0f} GFLOP/s, {:.2f} x {}, plan {} "
        "MiB\n",
        one.family, one.device->name(), ms, one.times.least(), one.times.most(), flops / ms / 1e6,
        contenders.back().times.median() / ms, contenders.back().family,
        one.engine->bytes_needed(size) >> 20);
  }
  if (layers) {
    for (Contender& one : contenders) {
      time_layers(one, size, std::min(runs, 3));
      print_layers(one, size);
    }
  }
  return 0;
}

}  // namespace
}  // namespace upres

int main(int argc, char** argv) {
  upres::start_with_patient_threads(argv);  // as the program has them
  try {
    return upres::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_cpu: {}\n", error.what());
    return 1;
  }
}
