// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "graph/structure.h"
#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

template <typename Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  return "no error";
}

TEST(Graph, FollowsChannelsAndScaleThroughEveryOperator) {
  Random random(1);
  Graph graph;
  const ValueId in = graph.add_input(3);
  const ValueId unshuffled = graph.add("a", PixelUnshuffle{2}, {in});
  EXPECT_EQ(graph.value(unshuffled).channels, 12);
  EXPECT_EQ(graph.value(unshuffled).scale, (Ratio{1, 2}));
  const ValueId up = graph.add("b", Upsample{6}, {unshuffled});
  EXPECT_EQ(graph.value(up).scale, (Ratio{3, 1}));
  EXPECT_EQ(graph.size_of(up, {8, 4}), (Size{24, 12}));
  const ValueId shuffled = graph.add("c", PixelShuffle{2}, {up});
  EXPECT_EQ(graph.value(shuffled).channels, 3);
  const ValueId both = graph.add("d", Concat{}, {shuffled, shuffled});
  EXPECT_EQ(graph.value(both).channels, 6);
  const ValueId resized = graph.add("e", Resize{1, 3}, {both});
  EXPECT_EQ(graph.value(resized).channels, 6);
  EXPECT_EQ(graph.value(resized).scale, (Ratio{2, 1}));
}

TEST(Graph, RefusesInputsThatDoNotFitAndNamesTheLayer) {
  Random random(1);
  Graph graph;
  const ValueId in = graph.add_input(3);
  EXPECT_EQ(message_of([&] { graph.add("body.7", test::random_conv(random, 4, 8), {in}); }),
            "layer body.7: reads 4 channels but is given 3");
  EXPECT_EQ(message_of([&] { graph.add("shuffle", PixelShuffle{2}, {in}); }),
            "layer shuffle: 3 channels are not a multiple of 4");
  const ValueId up = graph.add("up", Upsample{2}, {in});
  EXPECT_NE(message_of([&] { graph.add("sum", Add{}, {in, up}); }), "no error");
  EXPECT_NE(message_of([&] { graph.add("stack", Concat{}, {in, up}); }), "no error");
  EXPECT_NE(message_of([&] {
              graph.add("act", Activate{{Activation::Kind::prelu, {1, 2}}}, {in});
            }),
            "no error");
}

TEST(Verify, AcceptsWhatItShouldAndNamesWhatIsWrong) {
  Random random(1);
  const Graph good = test::rrdbnet(random, 4, 4, 1);
  EXPECT_NO_THROW(verify(good));

  Graph short_weights = good;
  std::get<Conv2d>(short_weights.nodes()[0].op).weights = random.weights(7, 1);
  EXPECT_EQ(message_of([&] { verify(short_weights); }),
            "layer conv_first: 7 weights, expected 108");

  Graph not_finite = good;
  auto& conv = std::get<Conv2d>(not_finite.nodes()[0].op);
  auto biases = std::make_shared<std::vector<float>>(*conv.biases);
  (*biases)[2] = std::numeric_limits<float>::infinity();
  conv.biases = biases;
  EXPECT_EQ(message_of([&] { verify(not_finite); }),
            "layer conv_first: the biases hold a value that is not finite");

  Graph out_of_order = good;
  std::swap(out_of_order.nodes()[0], out_of_order.nodes()[1]);
  EXPECT_NE(message_of([&] { verify(out_of_order); }).find("before it is written"),
            std::string::npos);

  Graph outside = good;
  outside.value(5).channel_offset = 1;
  EXPECT_NE(message_of([&] { verify(outside); }).find("outside of its storage"), std::string::npos);

  Graph overlapping = good;
  const ValueId wide = overlapping.add_storage("wide", 8, {});
  for (const size_t node : {0, 1})
    overlapping.value(overlapping.nodes()[node].output).storage = wide;
  EXPECT_NE(message_of([&] { verify(overlapping); }).find("written twice"), std::string::npos);
}

TEST(Print, ShowsOneNodeALineWithShapes) {
  Random random(1);
  const std::string text = print(test::srvgg(random, 8, 0, 2));
  EXPECT_EQ(text,
            "body.0                   conv3x3 3->8                     in[3] -> v0[8]\n"
            "body.0.act               prelu                            v0[8] -> v1[8]\n"
            "last                     conv3x3 8->12                    v1[8] -> v2[12]\n"
            "shuffle                  pixel_shuffle(2)                 v2[12] -> v3[3]\n"
            "base                     upsample(2)                      in[3] -> v4[3]\n"
            "out                      add                              v3[3], v4[3] -> v5[3]\n"
            "output v5[3]\n");
}

TEST(StructureHashes, AreEqualForOtherWeightsNamesAndOperandOrder) {
  Random one(1), other(2);
  const Graph a = test::srvgg(one, 8, 2, 2);
  Graph b = test::srvgg(other, 8, 2, 2);
  std::swap(b.nodes().back().inputs[0], b.nodes().back().inputs[1]);
  for (Node& node : b.nodes()) node.name = "x";
  EXPECT_EQ(structure_hashes(a).back(), structure_hashes(b).back());
}

TEST(StructureHashes, DifferForAnotherSlopeWidthDepthOrFactor) {
  Random random(1);
  const auto hash = [](const Graph& graph) { return structure_hashes(graph).back(); };
  const uint64_t base = hash(test::srvgg(random, 8, 2, 2));
  EXPECT_NE(base, hash(test::srvgg(random, 8, 3, 2)));
  EXPECT_NE(base, hash(test::srvgg(random, 16, 2, 2)));
  EXPECT_NE(base, hash(test::srvgg(random, 8, 2, 3)));
  Graph slope = test::rrdbnet(random, 8, 8, 1);
  const uint64_t before = hash(slope);
  for (Node& node : slope.nodes()) {
    if (auto* activate = std::get_if<Activate>(&node.op)) activate->activation.slopes[0] = 0.1f;
  }
  EXPECT_NE(before, hash(slope));
}

}  // namespace
}  // namespace upres
