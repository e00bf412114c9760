// SPDX-License-Identifier: Apache-2.0
#include "graph/bands.h"

#include <algorithm>
#include <climits>
#include <cstdint>

namespace upres {
namespace {

double side_of(const Graph& graph, const Node& node) {
  const Ratio scale = graph.value(node.output).scale;
  return double(scale.numerator) / scale.denominator;
}

/// Rows that a node makes when some of them are needed: an enlarged input's come in whole cells.
Interval whole_cells(const Node& node, Interval rows) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  const int cell = conv ? conv->enlarge * conv->shuffle : 1;
  return {rows.first / cell * cell, rows.last / cell * cell + cell - 1};
}

/// The rows of all values for so many bands.
Bands cut(const Graph& graph, size_t first_banded, Size padded, int count) {
  const auto rows_of = [&](ValueId id) { return graph.size_of(id, padded).height; };
  const auto& nodes = graph.nodes();
  Bands bands;
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

}  // namespace

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

Bands cut_tail(const Graph& graph, size_t first_banded, Size padded,
               const std::function<size_t(ValueId, int rows)>& bytes_of, size_t limit_bytes,
               int least_rows) {
  const auto& nodes = graph.nodes();
  const int height = graph.size_of(graph.output(), padded).height;
  for (int count = 1;; count *= 2) {
    Bands bands = cut(graph, first_banded, padded, count);
    size_t largest = 0;
    for (size_t i = first_banded; i < nodes.size(); ++i) {
      const ValueId output = nodes[i].output;
      largest = std::max(largest, bytes_of(output, most_rows(bands, output)));
    }
    if (largest <= limit_bytes || height / (2 * count) < least_rows) return bands;
  }
}

int most_rows(const Bands& bands, ValueId id) {
  int rows = 0;
  for (const auto& band : bands) {
    rows = std::max(rows, band[size_t(id)].last - band[size_t(id)].first + 1);
  }
  return rows;
}

}  // namespace upres
