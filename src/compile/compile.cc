// SPDX-License-Identifier: Apache-2.0
#include "compile/compile.h"

#include <array>
#include <string_view>
#include <utility>

#include "compile/pass/passes.h"

namespace upres {
namespace {

struct Pass {
  std::string_view name;
  bool (*wanted)(const Capabilities& capabilities);
  void (*run)(Graph& graph, const Capabilities& capabilities);
};

bool wants_epilogues(const Capabilities& capabilities) {
  return capabilities.fused_epilogue;
}
bool wants_enlarged(const Capabilities& capabilities) {
  return capabilities.enlarged_inputs;
}
bool wants_shuffles(const Capabilities& capabilities) {
  return capabilities.shuffled_result > 0;
}
bool wants_slices(const Capabilities& capabilities) {
  return capabilities.slice_alignment > 0;
}

// In this order: an activation is nearer to its convolution than what is added behind it, and
// concats are looked at when the nodes that write their inputs are final.
constexpr std::array kPasses{
    Pass{"fuse_activation", wants_epilogues,
         [](Graph& graph, const Capabilities&) { fuse_activation(graph); }},
    Pass{"fuse_residual", wants_epilogues,
         [](Graph& graph, const Capabilities&) { fuse_residual(graph); }},
    Pass{"fold_upsample", wants_enlarged,
         [](Graph& graph, const Capabilities&) { fold_upsample(graph); }},
    Pass{"fuse_shuffle", wants_shuffles,
         [](Graph& graph, const Capabilities& capabilities) {
           fuse_shuffle(graph, capabilities.shuffled_result);
         }},
    Pass{"elide_concat", wants_slices,
         [](Graph& graph, const Capabilities& capabilities) {
           elide_concat(graph, capabilities.slice_alignment);
         }},
};

}  // namespace

Graph optimise(Graph graph, const Capabilities& capabilities) {
  verify(graph);
  for (const Pass& pass : kPasses) {
    if (!pass.wanted(capabilities)) continue;
    pass.run(graph, capabilities);
    verify(graph);
  }
  return graph;
}

std::unique_ptr<Engine> compile(const Graph& graph, const Device& device, Precision precision) {
  return device.load(optimise(graph, device.capabilities()), precision);
}

}  // namespace upres
