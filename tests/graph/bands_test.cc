// SPDX-License-Identifier: Apache-2.0
#include "graph/bands.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/bands.h"
#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

size_t float_bytes(const Graph& graph, Size size, ValueId id, int rows) {
  return size_t(graph.size_of(id, size).width) * size_t(rows) * size_t(graph.value(id).channels) *
         sizeof(float);
}

Bands cut(const Graph& graph, Size size, size_t limit_bytes, int least_rows) {
  return cut_tail(
      graph, find_tail(graph), size,
      [&](ValueId id, int rows) { return float_bytes(graph, size, id, rows); }, limit_bytes,
      least_rows);
}

TEST(Bands, ATailBeginsWhereTheValuesBecomeLarger) {
  Random random(7);
  const Graph graph = test::rrdbnet(random, 8, 4, 1);
  const size_t tail = find_tail(graph);
  ASSERT_LT(tail, graph.nodes().size());
  EXPECT_TRUE(std::holds_alternative<Upsample>(graph.nodes()[tail].op));
  for (size_t i = tail; i < graph.nodes().size(); ++i) {
    EXPECT_GT(graph.value(graph.nodes()[i].output).scale.numerator, 1);
  }
}

TEST(Bands, ANetworkOfOneScaleHasNoTail) {
  Random random(7);
  Graph graph;
  graph.set_output(graph.add("conv", test::random_conv(random, 3, 3), {graph.add_input(3)}));
  EXPECT_EQ(find_tail(graph), graph.nodes().size());
  EXPECT_EQ(cut(graph, {100, 100}, 1, 1).size(), 1u) << "there is nothing to cut";
}

TEST(Bands, EveryBandMakesTheRowsThatItsLaterLayersRead) {
  Random random(7);
  for (const Graph& graph : {test::rrdbnet(random, 8, 4, 1), test::srvgg(random, 8, 1, 4),
                             test::srvgg(random, 8, 1, 4, Resize{1, 2})}) {
    for (const Size size : {Size{96, 54}, Size{30, 111}, Size{200, 9}}) {
      const Bands bands = cut(graph, size, 1 << 14, 8);
      EXPECT_GT(bands.size(), 1u);
      int next = 0;
      for (const auto& band : bands) {
        const Interval made = band[size_t(graph.output())];
        EXPECT_LE(made.first, next) << "no row of the result is left out";
        next = made.last + 1;
      }
      test::expect_bands_hold_what_they_read(graph, find_tail(graph), size, bands);
      EXPECT_EQ(next, graph.size_of(graph.output(), size).height);
    }
  }
}

TEST(Bands, AreAsFewAsTheLimitAllows) {
  Random random(7);
  const Graph graph = test::rrdbnet(random, 8, 4, 1);
  const Size size{40, 100};
  EXPECT_EQ(cut(graph, size, SIZE_MAX, 1).size(), 1u);
  const Bands bands = cut(graph, size, 300'000, 1);
  size_t largest = 0;
  for (size_t i = find_tail(graph); i < graph.nodes().size(); ++i) {
    const ValueId id = graph.nodes()[i].output;
    largest = std::max(largest, float_bytes(graph, size, id, most_rows(bands, id)));
  }
  EXPECT_LE(largest, 300'000u);
  EXPECT_GT(2 * largest, 300'000u);
  EXPECT_GE(cut(graph, size, 1, 32).front()[size_t(graph.output())].last + 1, 32)
      << "but have so many rows";
}

}  // namespace
}  // namespace upres
