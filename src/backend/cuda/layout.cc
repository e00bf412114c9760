// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/layout.h"

#include <algorithm>

namespace upres::cuda {
namespace {

// A band's values may take what the largest of the body's takes, or this.
constexpr size_t kLeastBandBytes = size_t(32) << 20;

// Below this the rows that neighbouring bands both make, and short launches, cost too much.
constexpr int kLeastBandRows = 64;

/// Of so many rows of a storage.
size_t bytes_of(const Graph& graph, Size padded, Element element, ValueId storage, int rows) {
  if (storage == graph.output() && stores_samples(graph)) return 0;
  const Value& value = graph.value(storage);
  return size_t(graph.size_of(storage, padded).width) * size_t(rows) *
         size_t(whole_blocks(value.channels)) * size_bytes(element);
}

}  // namespace

Layout plan_layout(const Graph& graph, Size padded, Element element,
                   std::optional<ValueId> unstored) {
  const auto bytes = [&](ValueId storage, int rows) {
    return storage == unstored ? 0 : bytes_of(graph, padded, element, storage, rows);
  };
  Layout layout{padded, element, find_tail(graph), {}, {}};
  // What the body's largest value takes bounds the tail's.
  size_t most = kLeastBandBytes;
  for (size_t i = 0; i < layout.first_banded; ++i) {
    const ValueId storage = graph.value(graph.nodes()[i].output).storage;
    most = std::max(most, bytes(storage, graph.size_of(storage, padded).height));
  }
  layout.bands = cut_tail(graph, layout.first_banded, padded, bytes, most, kLeastBandRows);
  layout.arena = plan_arena(
      graph, [&](ValueId id) { return bytes(id, most_rows(layout.bands, id)); },
      layout.first_banded);
  return layout;
}

Activations place(const Graph& graph, const Layout& layout, size_t band, ValueId id,
                  std::byte* arena) {
  const Value& value = graph.value(id);
  const Size size = graph.size_of(id, layout.padded);
  const int block = block_of(graph.value(value.storage).channels);
  const Interval rows = layout.bands[band][size_t(id)];
  const int count = rows.last - rows.first + 1;
  const int64_t block_stride = int64_t(size.width) * count * block;
  const size_t first = size_t(value.channel_offset / block) * size_t(block_stride);
  return {arena + layout.arena.offsets[size_t(id)] + first * size_bytes(layout.element),
          layout.element,
          size.width,
          size.height,
          rows.first,
          count,
          value.channels,
          block,
          block_stride};
}

Sink sink_of(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv || node.output != graph.output()) return Sink::activations;
  if (conv->shuffle > 1) return Sink::shuffled_samples;
  const bool plain = conv->epilogue.activation.kind == Activation::Kind::none &&
                     conv->epilogue.addends.empty() && conv->out_channels == 3;
  return plain ? Sink::samples : Sink::activations;
}

bool stores_samples(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [&](const Node& node) { return sink_of(graph, node) != Sink::activations; });
}

}  // namespace upres::cuda
