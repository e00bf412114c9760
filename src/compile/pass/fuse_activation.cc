// SPDX-License-Identifier: Apache-2.0
#include "compile/pass/conv_fusion.h"
#include "compile/pass/passes.h"

namespace upres {

void fuse_activation(Graph& graph) {
  ConvFusion fusion(graph);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto* activate = std::get_if<Activate>(&graph.nodes()[i].op);
    if (!activate) continue;
    const auto conv = fusion.mergeable_conv(graph.nodes()[i].inputs[0]);
    if (!conv) continue;
    Epilogue& epilogue = fusion.conv(*conv).epilogue;
    if (epilogue.activation.kind != Activation::Kind::none || !epilogue.addends.empty()) continue;
    epilogue.activation = activate->activation;
    fusion.merge(*conv, i);
  }
  fusion.finish();
}

}  // namespace upres
