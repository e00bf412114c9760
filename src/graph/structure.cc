// SPDX-License-Identifier: Apache-2.0
#include "graph/structure.h"

#include <algorithm>
#include <bit>
#include <initializer_list>

namespace upres {
namespace {

/// Mixes one more word into a hash (the finaliser of splitmix64, public domain, S. Vigna).
uint64_t mix(uint64_t hash, uint64_t word) {
  uint64_t z = (hash ^ word) + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t mix_all(uint64_t hash, std::initializer_list<uint64_t> words) {
  for (const uint64_t word : words) hash = mix(hash, word);
  return hash;
}

uint64_t word(float value) {
  return std::bit_cast<uint32_t>(value);
}

/// The slopes of PReLU are weights; those of the others belong to the operator.
uint64_t hash_of(const Activation& activation) {
  uint64_t hash = mix(0, uint64_t(activation.kind));
  if (activation.kind == Activation::Kind::prelu) return mix(hash, activation.slopes.size());
  for (const float slope : activation.slopes) hash = mix(hash, word(slope));
  return hash;
}

/// Attributes of an operator, values it reads apart.
struct HashAttributes {
  uint64_t operator()(const Conv2d& conv) const {
    return mix_all(hash_of(conv.epilogue.activation),
                   {uint64_t(conv.in_channels), uint64_t(conv.out_channels), uint64_t(conv.kernel),
                    uint64_t(conv.enlarge), uint64_t(conv.shuffle)});
  }
  uint64_t operator()(const Activate& op) const { return hash_of(op.activation); }
  uint64_t operator()(const Add&) const { return 0; }
  uint64_t operator()(const Scale& op) const { return word(op.factor); }
  uint64_t operator()(const Concat&) const { return 0; }
  uint64_t operator()(const Upsample& op) const { return uint64_t(op.factor); }
  uint64_t operator()(const PixelShuffle& op) const { return uint64_t(op.factor); }
  uint64_t operator()(const PixelUnshuffle& op) const { return uint64_t(op.factor); }
  uint64_t operator()(const Resize& op) const {
    return mix_all(0, {uint64_t(op.numerator), uint64_t(op.denominator)});
  }
};

}  // namespace

std::vector<uint64_t> structure_hashes(const Graph& graph) {
  std::vector<uint64_t> of_value(graph.values().size(), 0);
  of_value[size_t(graph.input())] = mix(1, uint64_t(graph.in_channels()));
  std::vector<uint64_t> of_node;
  for (const Node& node : graph.nodes()) {
    std::vector<uint64_t> operands;
    for (const ValueId id : reads(node)) operands.push_back(of_value[size_t(id)]);
    if (std::holds_alternative<Add>(node.op)) std::sort(operands.begin(), operands.end());
    uint64_t hash = mix(node.op.index(), std::visit(HashAttributes{}, node.op));
    for (const uint64_t operand : operands) hash = mix(hash, operand);
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      for (const Addend& addend : conv->epilogue.addends) hash = mix(hash, word(addend.scale));
    }
    of_value[size_t(node.output)] = hash;
    of_node.push_back(hash);
  }
  return of_node;
}

}  // namespace upres
