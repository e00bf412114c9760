// SPDX-License-Identifier: Apache-2.0
#include "graph/arena.h"

#include <gtest/gtest.h>

#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

TEST(PlanArena, AChainNeedsTwoBuffers) {
  Graph graph;
  ValueId x = graph.add_input(3);
  for (int i = 0; i < 20; ++i) x = graph.add("scale", Scale{2}, {x});
  graph.set_output(x);
  EXPECT_EQ(plan_arena(graph, [](ValueId) { return size_t(1000); }).size_bytes, 2 * 1024u);
}

TEST(PlanArena, TakesNoMoreStoragesOfOneSizeThanEverLiveAtOnce) {
  Graph graph;
  ValueId x = graph.add_input(3);
  std::vector<ValueId> chain;
  const auto next = [&](Op op, const std::vector<ValueId>& inputs) {
    chain.push_back(x = graph.add("node", std::move(op), inputs));
  };
  next(Scale{2}, {x});
  const ValueId first = x;
  for (int block = 0; block < 4; ++block) {
    const ValueId begin = x;
    for (int i = 0; i < 3; ++i) next(Scale{2}, {x});
    next(Add{}, {x, begin});
  }
  next(Add{}, {x, first});
  graph.set_output(x);
  // As elide_concat adds them, from the network's end on.
  for (size_t i = chain.size(); i-- > 0;) {
    const ValueId storage = graph.add_storage("wide", 3, {1, 1});
    graph.value(chain[i]).storage = storage;
  }
  EXPECT_EQ(plan_arena(graph, [](ValueId) { return size_t(1024); }).size_bytes, 4 * 1024u)
      << "the first, a block's first, one that is read and one that is written";
}

TEST(PlanArena, ValuesThatLiveTogetherShareNoBytes) {
  Random random(7);
  const Graph graph = test::rrdbnet(random, 8, 4, 2);
  const auto bytes_of = [&](ValueId id) {
    const Size size = graph.size_of(id, {10, 6});
    return size_t(graph.value(id).channels * size.width * size.height) * sizeof(float);
  };
  const ArenaPlan plan = plan_arena(graph, bytes_of);

  // Replay: every value owns its bytes from its writing to its last reading.
  std::vector<ValueId> owner(plan.size_bytes / 64, -1);
  const auto blocks = [&](ValueId id, auto&& body) {
    const size_t first = plan.offsets[size_t(id)] / 64;
    for (size_t i = 0; i < (bytes_of(id) + 63) / 64; ++i) body(owner[first + i]);
  };
  blocks(graph.input(), [&](ValueId& block) { block = graph.input(); });
  for (const Node& node : graph.nodes()) {
    blocks(node.output, [&](ValueId& block) { block = node.output; });
    for (const ValueId id : reads(node)) {
      blocks(id, [&](const ValueId& block) { ASSERT_EQ(block, id) << node.name; });
    }
  }
  blocks(graph.output(), [&](const ValueId& block) { ASSERT_EQ(block, graph.output()); });
}

TEST(PlanArena, AStorageLivesWhileAnyOfItsPartsDoes) {
  Random random(7);
  Graph graph;
  const ValueId in = graph.add_input(3);
  const ValueId a = graph.add("a", Scale{1}, {in});
  const ValueId b = graph.add("b", Scale{1}, {a});
  const ValueId c = graph.add("c", Scale{1}, {b});
  const ValueId sum = graph.add("sum", Add{}, {a, c});
  graph.set_output(sum);
  const ValueId wide = graph.add_storage("wide", 6, {});
  graph.value(a).storage = graph.value(c).storage = wide;
  graph.value(c).channel_offset = 3;
  const ArenaPlan plan =
      plan_arena(graph, [&](ValueId id) { return size_t(graph.value(id).channels) * 64; });
  EXPECT_EQ(plan.offsets[size_t(a)], plan.offsets[size_t(c)]);
  const size_t wide_begin = plan.offsets[size_t(wide)];
  for (const ValueId id : {in, b, sum}) {
    const size_t begin = plan.offsets[size_t(id)];
    EXPECT_TRUE(begin + 3 * 64 <= wide_begin || begin >= wide_begin + 6 * 64);
  }
}

TEST(PlanArena, WhatRepeatedNodesReadLivesToTheEnd) {
  Graph graph;
  const ValueId in = graph.add_input(3);
  const ValueId body = graph.add("body", Scale{1}, {in});
  const ValueId first = graph.add("first", Scale{1}, {body});
  const ValueId second = graph.add("second", Scale{1}, {first});
  graph.set_output(graph.add("third", Scale{1}, {second}));
  const auto bytes_of = [&](ValueId) { return size_t(128); };
  const auto offset = [&](const ArenaPlan& plan, ValueId id) { return plan.offsets[size_t(id)]; };
  const ArenaPlan once = plan_arena(graph, bytes_of);
  EXPECT_EQ(offset(once, graph.output()), offset(once, first)) << "first is read by then";
  const ArenaPlan repeated = plan_arena(graph, bytes_of, 2);
  EXPECT_NE(offset(repeated, second), offset(repeated, first));
  EXPECT_NE(offset(repeated, graph.output()), offset(repeated, first));
}

}  // namespace
}  // namespace upres
