// SPDX-License-Identifier: Apache-2.0
// What the passes make of graphs, as printed. That the result computes the same is held by
// tests/backend, which runs every backend on optimised graphs.
#include <gtest/gtest.h>

#include "compile/compile.h"
#include "compile/pass/passes.h"
#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

int count(const Graph& graph, std::string_view kind) {
  int n = 0;
  for (const Node& node : graph.nodes()) n += kind_name(node.op) == kind;
  return n;
}

TEST(FuseActivation, PutsAnActivationIntoItsConvolution) {
  Random random(1);
  Graph graph = test::srvgg(random, 8, 1, 2);
  fuse_activation(graph);
  verify(graph);
  EXPECT_EQ(print(graph),
            "body.0                   conv3x3 3->8 +prelu              in[3] -> v1[8]\n"
            "body.2                   conv3x3 8->8 +prelu              v1[8] -> v3[8]\n"
            "last                     conv3x3 8->12                    v3[8] -> v4[12]\n"
            "shuffle                  pixel_shuffle(2)                 v4[12] -> v5[3]\n"
            "base                     upsample(2)                      in[3] -> v6[3]\n"
            "out                      add                              v5[3], v6[3] -> v7[3]\n"
            "output v7[3]\n");
}

TEST(FuseActivation, LeavesAConvolutionAloneThatSomethingElseReads) {
  Random random(1);
  Graph graph;
  const ValueId conv = graph.add("conv", test::random_conv(random, 3, 3), {graph.add_input(3)});
  const ValueId act = graph.add("act", Activate{test::leaky_relu(0.2f)}, {conv});
  graph.set_output(graph.add("sum", Add{}, {act, conv}));
  const std::string before = print(graph);
  fuse_activation(graph);
  EXPECT_EQ(print(graph), before);
}

TEST(FuseResidual, TurnsScaledSumsIntoAddends) {
  Random random(1);
  Graph graph;
  const ValueId in = graph.add("first", test::random_conv(random, 3, 3), {graph.add_input(3)});
  const ValueId conv = graph.add("conv", test::random_conv(random, 3, 3), {in});
  const float weight = (*std::get<Conv2d>(graph.nodes()[1].op).weights)[5];
  const ValueId inner = graph.add("inner", Add{}, {graph.add("s1", Scale{0.5f}, {conv}), in});
  graph.set_output(graph.add("outer", Add{}, {graph.add("s2", Scale{0.5f}, {inner}), in}));
  fuse_residual(graph);
  verify(graph);
  EXPECT_EQ(print(graph),
            "first                    conv3x3 3->3                     in[3] -> v0[3]\n"
            "conv                     conv3x3 3->3 +0.5*v0[3] +1*v0[3] v0[3] -> v5[3]\n"
            "output v5[3]\n");
  EXPECT_FLOAT_EQ((*std::get<Conv2d>(graph.nodes()[1].op).weights)[5], 0.25f * weight);
}

TEST(FuseResidual, DoesNotPullANegativeFactorThroughAnActivation) {
  Random random(1);
  Graph graph;
  const ValueId conv = graph.add("conv", test::random_conv(random, 3, 3), {graph.add_input(3)});
  const ValueId act = graph.add("act", Activate{test::leaky_relu(0.2f)}, {conv});
  graph.set_output(graph.add("scale", Scale{-1}, {act}));
  fuse_activation(graph);
  fuse_residual(graph);
  EXPECT_EQ(count(graph, "scale"), 1);
}

TEST(FoldUpsample, LetsConvolutionsReadTheSmallPicture) {
  Random random(1);
  Graph graph;
  const ValueId conv = graph.add("conv", test::random_conv(random, 3, 4), {graph.add_input(3)});
  const ValueId up = graph.add("up", Upsample{2}, {graph.add("up1", Upsample{2}, {conv})});
  graph.set_output(graph.add("last", test::random_conv(random, 4, 3), {up}));
  fold_upsample(graph);
  verify(graph);
  EXPECT_EQ(print(graph),
            "conv                     conv3x3 3->4                     in[3] -> v0[4]\n"
            "last                     conv3x3 4->3 of x4               v0[4] -> v3[3]\n"
            "output v3[3]\n");
}

TEST(FoldUpsample, LeavesOneAloneThatIsAddedOrIsTheResult) {
  Random random(1);
  Graph graph = test::srvgg(random, 8, 1, 2);
  const std::string before = print(graph);
  fold_upsample(graph);
  EXPECT_EQ(print(graph), before);
}

TEST(FuseShuffle, MakesTheEndOfSrvggOneConvolution) {
  Random random(1);
  Graph graph = test::srvgg(random, 8, 0, 4);
  fuse_activation(graph);
  fuse_shuffle(graph, 4);
  verify(graph);
  ASSERT_EQ(graph.nodes().size(), 2u);
  const Node& last = graph.nodes()[1];
  EXPECT_EQ(last.output, graph.output());
  const auto& conv = std::get<Conv2d>(last.op);
  EXPECT_EQ(conv.shuffle, 4);
  ASSERT_EQ(conv.epilogue.addends.size(), 1u);
  EXPECT_EQ(conv.epilogue.addends[0].value, graph.input());
  EXPECT_EQ(conv.epilogue.addends[0].enlarge, 4);
  EXPECT_NE(print(graph).find("shuffled by 4 +1*in[3] of x4"), std::string::npos) << print(graph);
}

TEST(FuseShuffle, LeavesOtherFactorsAndWhatIsNotTheEndAlone) {
  Random random(1);
  for (Graph graph : {test::srvgg(random, 8, 1, 2), test::srvgg(random, 8, 1, 4, Resize{1, 2}),
                      test::rrdbnet(random, 8, 4, 1)}) {
    const std::string before = print(graph);
    fuse_shuffle(graph, 4);
    EXPECT_EQ(print(graph), before);
  }
}

TEST(ElideConcat, GivesADenseBlockOneStorage) {
  Random random(1);
  Graph graph = test::rrdbnet(random, 8, 4, 1);
  fuse_activation(graph);
  fuse_residual(graph);
  elide_concat(graph, 4);
  verify(graph);
  EXPECT_EQ(count(graph, "concat"), 0);
  // All five parts of the first dense block stand in one storage of 8 + 4 x 4 channels.
  const Node& conv5 = graph.nodes()[5];
  ASSERT_EQ(conv5.name, "body.0.rdb1.conv5");
  const ValueId wide = graph.value(conv5.inputs[0]).storage;
  EXPECT_EQ(graph.value(wide).channels, 24);
  for (size_t i = 0; i < 5; ++i) {
    const Value& part = graph.value(graph.nodes()[i].output);
    EXPECT_EQ(part.storage, wide);
    EXPECT_EQ(part.channel_offset, i == 0 ? 0 : 8 + 4 * (int(i) - 1));
  }
  EXPECT_NE(graph.value(conv5.output).storage, wide) << "the next block has its own";
}

TEST(ElideConcat, LeavesSlicesAloneThatWouldBeginInsideAVector) {
  Random random(1);
  Graph graph = test::rrdbnet(random, 8, 4, 1);
  elide_concat(graph, 8);
  verify(graph);
  EXPECT_EQ(count(graph, "concat"), 12);
}

TEST(ElideConcat, LeavesAStackOfThePictureAndOneWithTheSameValueTwiceAlone) {
  Random random(1);
  Graph graph;
  const ValueId in = graph.add_input(3);
  const ValueId a = graph.add("a", Scale{1}, {in});
  const ValueId with_input = graph.add("with_input", Concat{}, {in, a});
  const ValueId twice = graph.add("twice", Concat{}, {a, a});
  graph.set_output(graph.add("sum", Add{}, {with_input, twice}));
  elide_concat(graph, 1);
  verify(graph);
  EXPECT_EQ(count(graph, "concat"), 2);
}

TEST(Optimise, RunsOnlyWhatTheDeviceCanUse) {
  Random random(1);
  const Graph graph = test::rrdbnet(random, 8, 8, 1);
  EXPECT_EQ(print(optimise(graph, {})), print(graph));
  const Graph best = optimise(graph, {.fused_epilogue = true, .slice_alignment = 8});
  EXPECT_EQ(best.nodes().size(), 15 + 6 + 2u) << "15 in the block, 6 around it, 2 upsamplings";
  EXPECT_EQ(count(best, "convolution"), 21);
}

}  // namespace
}  // namespace upres
