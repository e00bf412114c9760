// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/layout.h"

#include <algorithm>
#include <climits>

namespace upres::cuda {
namespace {

// A band's values may take what the largest of the body's takes, or this.
constexpr size_t kLeastBandBytes = size_t(32) << 20;

// Below this the rows that neighbouring bands both make, and short launches, cost too much.
constexpr int kLeastBandRows = 64;

double side_of(const Graph& graph, const Node& node) {
  const Ratio scale = graph.value(node.output).scale;
  return double(scale.numerator) / scale.denominator;
}

/// The node from which on all results are larger than the body's; the number of nodes where that
/// tail cannot run in bands.
size_t find_tail(const Graph& graph) {
  const auto& nodes = graph.nodes();
  double smallest = 1e9;
  for (const Node& node : nodes) smallest = std::min(smallest, side_of(graph, node));
  size_t first = nodes.size();
  while (first > 0 && side_of(graph, nodes[first - 1]) > smallest) --first;
  for (size_t i = first; i < nodes.size(); ++i) {
    // Rows of a storage that several values share are not told apart.
    const ValueId output = nodes[i].output;
    const auto& values = graph.values();
    if (std::count_if(values.begin(), values.end(), [&](const Value& value) {
          return value.storage == graph.value(output).storage;
        }) > 1) {
      return nodes.size();
    }
  }
  return first;
}

/// Rows that a node makes when some of them are needed: an enlarged input's come in whole cells.
Interval whole_cells(const Node& node, Interval rows) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  const int cell = conv ? conv->enlarge * conv->shuffle : 1;
  return {rows.first / cell * cell, rows.last / cell * cell + cell - 1};
}

/// The rows of all values for so many bands; one band of all rows where nothing runs in bands.
std::vector<std::vector<Interval>> cut(const Graph& graph, size_t first_banded, Size padded,
                                       int count) {
  const auto rows_of = [&](ValueId id) { return graph.size_of(id, padded).height; };
  const auto& nodes = graph.nodes();
  std::vector<std::vector<Interval>> bands;
  const int rows = rows_of(graph.output());
  for (int band = 0; band < count; ++band) {
    std::vector<Interval> made;
    for (size_t id = 0; id < graph.values().size(); ++id) {
      made.push_back({0, rows_of(ValueId(id)) - 1});
    }
    if (first_banded < nodes.size()) {
      for (size_t i = first_banded; i < nodes.size(); ++i) {
        made[size_t(nodes[i].output)] = {INT32_MAX, INT32_MIN};
      }
      made[size_t(graph.output())] = {int(int64_t(rows) * band / count),
                                      int(int64_t(rows) * (band + 1) / count) - 1};
      for (size_t i = nodes.size(); i-- > first_banded;) {
        Interval& own = made[size_t(nodes[i].output)];
        if (own.first > own.last) own = {0, 0};  // nothing reads it
        own = whole_cells(nodes[i], own);
        const std::vector<ValueId> values = reads(nodes[i]);
        const std::vector<Interval> needed = needed_inputs(nodes[i], own);
        for (size_t k = 0; k < values.size(); ++k) {
          Interval& input = made[size_t(values[k])];
          const int last = rows_of(values[k]) - 1;
          input.first = std::min(input.first, std::clamp(needed[k].first, 0, last));
          input.last = std::max(input.last, std::clamp(needed[k].last, 0, last));
        }
      }
    }
    bands.push_back(std::move(made));
  }
  return bands;
}

size_t bytes_of(const Graph& graph, const Layout& layout, ValueId storage) {
  if (storage == graph.output() && stores_samples(graph)) return 0;
  int rows = 0;
  for (const auto& band : layout.bands) {
    rows = std::max(rows, band[size_t(storage)].last - band[size_t(storage)].first + 1);
  }
  const Value& value = graph.value(storage);
  return size_t(graph.size_of(storage, layout.padded).width) * size_t(rows) *
         size_t(whole_blocks(value.channels)) * size_bytes(layout.element);
}

}  // namespace

Layout plan_layout(const Graph& graph, Size padded, Element element) {
  const size_t nodes = graph.nodes().size();
  Layout layout{padded, element, find_tail(graph), cut(graph, nodes, padded, 1), {}};
  // What the body's largest value takes bounds the tail's.
  size_t most = kLeastBandBytes;
  for (size_t i = 0; i < layout.first_banded; ++i) {
    const ValueId output = graph.nodes()[i].output;
    most = std::max(most, bytes_of(graph, layout, graph.value(output).storage));
  }
  const int height = graph.size_of(graph.output(), padded).height;
  for (int count = 1;; count *= 2) {
    layout.bands = cut(graph, layout.first_banded, padded, count);
    size_t largest = 0;
    for (size_t i = layout.first_banded; i < nodes; ++i) {
      largest = std::max(largest, bytes_of(graph, layout, graph.nodes()[i].output));
    }
    if (largest <= most || height / (2 * count) < kLeastBandRows) break;
  }
  layout.arena = plan_arena(
      graph, [&](ValueId id) { return bytes_of(graph, layout, id); }, layout.first_banded);
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
