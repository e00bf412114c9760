// SPDX-License-Identifier: Apache-2.0
#include "graph/arena.h"

#include <algorithm>
#include <climits>

namespace upres {
namespace {

constexpr size_t kAlignment = 128;

/// A storage, the nodes it is alive at, and its bytes once placed.
struct Block {
  ValueId storage;
  int first = INT_MAX;
  int last = -1;
  size_t size_bytes = 0;
  size_t offset = 0;

  void touch(int node) {
    first = std::min(first, node);
    last = std::max(last, node);
  }
  bool lives_with(const Block& other) const { return first <= other.last && other.first <= last; }
};

std::vector<Block> live_blocks(const Graph& graph, size_t repeated_from) {
  std::vector<Block> blocks(graph.values().size());
  const auto block = [&](ValueId id) -> Block& { return blocks[size_t(graph.value(id).storage)]; };
  block(graph.input()).touch(0);
  const auto end = int(graph.nodes().size());
  for (int index = 0; index < end; ++index) {
    const Node& node = graph.nodes()[size_t(index)];
    block(node.output).touch(index);
    for (const ValueId id : reads(node)) {
      const bool kept = size_t(index) >= repeated_from && block(id).first < int(repeated_from);
      block(id).touch(kept ? end : index);
    }
  }
  block(graph.output()).touch(end);
  for (size_t id = 0; id < blocks.size(); ++id) blocks[id].storage = ValueId(id);
  std::erase_if(blocks, [](const Block& b) { return b.last < 0; });
  return blocks;
}

/// The lowest offset at which `block` meets none of `placed` (sorted by offset) while both live.
size_t lowest_gap(const Block& block, const std::vector<Block>& placed) {
  size_t offset = 0;
  for (const Block& other : placed) {
    if (!block.lives_with(other)) continue;
    if (offset + block.size_bytes <= other.offset) break;
    offset = std::max(offset, other.offset + other.size_bytes);
  }
  return offset;
}

}  // namespace

ArenaPlan plan_arena(const Graph& graph, const std::function<size_t(ValueId)>& bytes_of,
                     size_t repeated_from) {
  std::vector<Block> blocks = live_blocks(graph, repeated_from);
  for (Block& block : blocks) {
    block.size_bytes = (bytes_of(block.storage) + kAlignment - 1) / kAlignment * kAlignment;
  }
  // Largest first, each at the lowest free offset: close to optimal for chains with long skips. Of
  // one size the first to live first: that takes no more of them than ever live at once.
  std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
    return a.size_bytes != b.size_bytes ? a.size_bytes > b.size_bytes : a.first < b.first;
  });
  ArenaPlan plan;
  plan.offsets.resize(graph.values().size());
  std::vector<Block> placed;
  for (Block& block : blocks) {
    block.offset = lowest_gap(block, placed);
    plan.size_bytes = std::max(plan.size_bytes, block.offset + block.size_bytes);
    plan.offsets[size_t(block.storage)] = block.offset;
    const auto after =
        std::upper_bound(placed.begin(), placed.end(), block,
                         [](const Block& a, const Block& b) { return a.offset < b.offset; });
    placed.insert(after, block);
  }
  for (size_t id = 0; id < plan.offsets.size(); ++id) {
    plan.offsets[id] = plan.offsets[size_t(graph.values()[id].storage)];
  }
  return plan;
}

}  // namespace upres
