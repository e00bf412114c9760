// SPDX-License-Identifier: Apache-2.0
#include "model/architecture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "graph/footprint.h"
#include "support.h"

namespace upres {
namespace {

/// Weights of one value. A convolution's name gets a bias too.
void add_conv(StateDict& weights, const std::string& name, int in, int out, float value = 0.5f) {
  const std::vector<float> values(size_t(in) * size_t(out) * 9, value);
  weights.add(name + ".weight", Tensor::from_floats({out, in, 3, 3}, values));
  weights.add(name + ".bias", Tensor::from_floats({out}, std::vector<float>(size_t(out), value)));
}

struct RrdbSizes {
  int in = 3;
  int features = 4;
  int growth = 2;
  int blocks = 1;
  int out = 3;
  int upsamplings = 2;
  bool plus = false;  ///< ESRGAN+
};

StateDict rrdb_weights(const RrdbSizes& sizes) {
  StateDict weights;
  add_conv(weights, "conv_first", sizes.in, sizes.features);
  for (int block = 0; block < sizes.blocks; ++block) {
    for (int dense = 1; dense <= 3; ++dense) {
      for (int conv = 1; conv <= 5; ++conv) {
        add_conv(weights, fmt::format("body.{}.rdb{}.conv{}", block, dense, conv),
                 sizes.features + (conv - 1) * sizes.growth,
                 conv < 5 ? sizes.growth : sizes.features);
      }
      if (!sizes.plus) continue;
      const std::vector<float> values(size_t(sizes.growth) * size_t(sizes.features), 0.5f);
      weights.add(fmt::format("body.{}.rdb{}.conv1x1.weight", block, dense),
                  Tensor::from_floats({sizes.growth, sizes.features, 1, 1}, values));
    }
  }
  add_conv(weights, "conv_body", sizes.features, sizes.features);
  for (int i = 1; i <= sizes.upsamplings; ++i) {
    add_conv(weights, fmt::format("conv_up{}", i), sizes.features, sizes.features);
  }
  add_conv(weights, "conv_hr", sizes.features, sizes.features);
  add_conv(weights, "conv_last", sizes.features, sizes.out);
  return weights;
}

StateDict compact_weights(int features, int hidden, int scale, bool slopes) {
  StateDict weights;
  for (int i = 0; i <= hidden; ++i) {
    add_conv(weights, fmt::format("body.{}", 2 * i), i == 0 ? 3 : features, features);
    if (!slopes) continue;
    weights.add(fmt::format("body.{}.weight", 2 * i + 1),
                Tensor::from_floats({features}, std::vector<float>(size_t(features), 0.1f)));
  }
  add_conv(weights, fmt::format("body.{}", 2 * (hidden + 1)), features, 3 * scale * scale);
  return weights;
}

/// The weights with one tensor changed, or left out.
StateDict with(const StateDict& weights, const std::string& name, std::optional<Tensor> changed) {
  StateDict result;
  for (const auto& [entry, tensor] : weights) {
    if (entry != name) result.add(entry, tensor);
  }
  if (changed) result.add(name, *changed);
  return result;
}

TEST(RrdbNet, IsRecognisedAtEveryWidthAndDepth) {
  for (const auto& [features, growth, blocks] : {std::tuple(4, 2, 1), {6, 3, 2}, {2, 5, 3}}) {
    const auto weights = rrdb_weights({.features = features, .growth = growth, .blocks = blocks});
    EXPECT_EQ(recognise(weights).network.architecture,
              fmt::format("RRDBNet {} features, {} blocks, growth {}", features, blocks, growth));
  }
}

TEST(RrdbNet, HasTheScaleOfItsUpsamplingsByItsUnshuffle) {
  for (int upsamplings = 0; upsamplings <= 4; ++upsamplings) {
    for (const int unshuffle : {1, 2, 4}) {
      for (const int channels : {1, 3}) {
        const int in = channels * unshuffle * unshuffle;
        const auto weights = rrdb_weights({.in = in, .out = channels, .upsamplings = upsamplings});
        SCOPED_TRACE(fmt::format("{} channels, {} upsamplings", in, upsamplings));
        if (1 << upsamplings < unshuffle) {
          EXPECT_REFUSED(recognise(weights), "not RRDBNet: its result is smaller than the picture");
          continue;
        }
        const Graph graph = recognise(weights).network.graph;
        EXPECT_EQ(graph.in_channels(), 3);
        EXPECT_EQ(graph.out_channels(), 3);
        EXPECT_EQ(graph.scale(), (1 << upsamplings) / unshuffle);
        EXPECT_EQ(footprint(graph).alignment, unshuffle);
        verify(graph);
      }
    }
  }
  EXPECT_REFUSED(recognise(rrdb_weights({.upsamplings = 5})),
                 "has 5 upsamplings, expected at most");
}

const Conv2d& conv_named(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes()) {
    if (node.name == name) return std::get<Conv2d>(node.op);
  }
  throw std::out_of_range(name);
}

TEST(RrdbNet, OfGraySeesTheLumaAndMakesEqualColours) {
  // 2x1x3x3: the weights of one input; a gray picture, of three equal colours, sees their sum.
  StateDict weights = rrdb_weights({.in = 1, .features = 2, .out = 1});
  std::vector<float> first(18);
  for (size_t i = 0; i < first.size(); ++i) first[i] = float(i) - 8.5f;
  weights = with(weights, "conv_first.weight", Tensor::from_floats({2, 1, 3, 3}, first));
  const Network network = recognise(weights).network;
  EXPECT_EQ(network.architecture, "RRDBNet 2 features, 1 blocks, growth 2, gray");

  const Conv2d& in = conv_named(network.graph, "conv_first");
  ASSERT_EQ(in.in_channels, 3);
  const float luma[] = {0.299f, 0.587f, 0.114f};
  for (size_t out = 0; out < 2; ++out) {
    for (size_t tap = 0; tap < 9; ++tap) {
      for (size_t colour = 0; colour < 3; ++colour) {
        EXPECT_EQ((*in.weights)[(out * 3 + colour) * 9 + tap], luma[colour] * first[out * 9 + tap]);
      }
    }
  }

  const Conv2d& last = conv_named(network.graph, "conv_last");
  ASSERT_EQ(last.out_channels, 3);
  const std::vector<float> once = weights.find("conv_last.weight")->to_floats();
  for (size_t i = 0; i < 3 * once.size(); ++i) {
    EXPECT_EQ((*last.weights)[i], once[i % once.size()]);
  }
  EXPECT_EQ(*last.biases, std::vector<float>(3, 0.5f));
}

TEST(RrdbNet, OfUnshuffledGrayReadsEachPlaceOfTheBlockInEveryColour) {
  StateDict weights = rrdb_weights({.in = 4, .features = 1, .out = 1});
  std::vector<float> first(36);
  for (size_t i = 0; i < first.size(); ++i) first[i] = float(i);
  weights = with(weights, "conv_first.weight", Tensor::from_floats({1, 4, 3, 3}, first));
  const Graph graph = recognise(weights).network.graph;
  // The unshuffled picture has red's four places of a block, then green's, then blue's.
  const Conv2d& conv = conv_named(graph, "conv_first");
  ASSERT_EQ(conv.in_channels, 12);
  const float luma[] = {0.299f, 0.587f, 0.114f};
  for (size_t i = 0; i < conv.weights->size(); ++i) {
    EXPECT_EQ((*conv.weights)[i], luma[i / 36] * first[i % 36]);
  }
}

TEST(RrdbNet, MayReadGrayAndMakeColoursOrTheOtherWayAround) {
  EXPECT_EQ(recognise(rrdb_weights({.in = 1})).network.architecture,
            "RRDBNet 4 features, 1 blocks, growth 2, gray to colours");
  EXPECT_EQ(recognise(rrdb_weights({.out = 1})).network.architecture,
            "RRDBNet 4 features, 1 blocks, growth 2, to gray");
}

TEST(RrdbNet, IsMadeOfResidualDenseBlocks) {
  const std::string graph = print(recognise(rrdb_weights({.in = 12})).network.graph);
  EXPECT_EQ(
      graph.substr(0, graph.find("body.0.rdb2")),
      "pixel_unshuffle          pixel_unshuffle(2)               in[3] -> v0[12]\n"
      "conv_first               conv3x3 12->4                    v0[12] -> v1[4]\n"
      "body.0.rdb1.conv1        conv3x3 4->2                     v1[4] -> v2[2]\n"
      "body.0.rdb1.conv1.lrelu  leaky_relu(0.2)                  v2[2] -> v3[2]\n"
      "body.0.rdb1.concat2      concat                           v1[4], v3[2] -> v4[6]\n"
      "body.0.rdb1.conv2        conv3x3 6->2                     v4[6] -> v5[2]\n"
      "body.0.rdb1.conv2.lrelu  leaky_relu(0.2)                  v5[2] -> v6[2]\n"
      "body.0.rdb1.concat3      concat                           v1[4], v3[2], v6[2] -> v7[8]\n"
      "body.0.rdb1.conv3        conv3x3 8->2                     v7[8] -> v8[2]\n"
      "body.0.rdb1.conv3.lrelu  leaky_relu(0.2)                  v8[2] -> v9[2]\n"
      "body.0.rdb1.concat4      concat                           v1[4], v3[2], v6[2], v9[2] -> "
      "v10[10]\n"
      "body.0.rdb1.conv4        conv3x3 10->2                    v10[10] -> v11[2]\n"
      "body.0.rdb1.conv4.lrelu  leaky_relu(0.2)                  v11[2] -> v12[2]\n"
      "body.0.rdb1.concat5      concat                           v1[4], v3[2], v6[2], v9[2], "
      "v12[2] -> v13[12]\n"
      "body.0.rdb1.conv5        conv3x3 12->4                    v13[12] -> v14[4]\n"
      "body.0.rdb1.scale        scale(0.2)                       v14[4] -> v15[4]\n"
      "body.0.rdb1.add          add                              v15[4], v1[4] -> v16[4]\n");
  EXPECT_EQ(graph.substr(graph.find("body.0.scale")),
            "body.0.scale             scale(0.2)                       v46[4] -> v47[4]\n"
            "body.0.add               add                              v47[4], v1[4] -> v48[4]\n"
            "conv_body                conv3x3 4->4                     v48[4] -> v49[4]\n"
            "body.add                 add                              v1[4], v49[4] -> v50[4]\n"
            "upsample1                upsample(2)                      v50[4] -> v51[4]\n"
            "conv_up1                 conv3x3 4->4                     v51[4] -> v52[4]\n"
            "conv_up1.lrelu           leaky_relu(0.2)                  v52[4] -> v53[4]\n"
            "upsample2                upsample(2)                      v53[4] -> v54[4]\n"
            "conv_up2                 conv3x3 4->4                     v54[4] -> v55[4]\n"
            "conv_up2.lrelu           leaky_relu(0.2)                  v55[4] -> v56[4]\n"
            "conv_hr                  conv3x3 4->4                     v56[4] -> v57[4]\n"
            "conv_hr.lrelu            leaky_relu(0.2)                  v57[4] -> v58[4]\n"
            "conv_last                conv3x3 4->3                     v58[4] -> v59[3]\n"
            "output v59[3]\n");
}

/// Names by the first pattern that fits, as ECMAScript's regular expressions.
using Renamings = std::vector<std::pair<std::string, std::string>>;

StateDict renamed(const StateDict& weights, const Renamings& renamings) {
  StateDict result;
  for (const auto& [name, tensor] : weights) {
    std::string other = name;
    for (const auto& [pattern, replacement] : renamings) {
      if (!std::regex_match(name, std::regex(pattern))) continue;
      other = std::regex_replace(name, std::regex(pattern), replacement);
      break;
    }
    result.add(other, tensor);
  }
  return result;
}

/// Names of ESRGAN's first release for a network of two blocks. Where the tail stands is written
/// out for each number of upsamplings.
Renamings release_2018(int upsamplings) {
  static const std::vector<int> kTails[] = {// conv_up1, ..., conv_hr, conv_last
                                            {2, 4},
                                            {3, 5, 7},
                                            {3, 6, 8, 10},
                                            {3, 6, 9, 11, 13},
                                            {3, 6, 9, 12, 14, 16}};
  const std::vector<int>& tail = kTails[upsamplings];
  Renamings renamings = {
      {R"(conv_first\.(.*))", "model.0.$1"},
      {R"(body\.(\d+)\.rdb(\d)\.conv1x1\.(.*))", "model.1.sub.$1.RDB$2.conv1x1.$3"},
      {R"(body\.(\d+)\.rdb(\d)\.(conv\d)\.(.*))", "model.1.sub.$1.RDB$2.$3.0.$4"},
      {R"(conv_body\.(.*))", "model.1.sub.2.$1"},
      {R"(conv_hr\.(.*))", fmt::format("model.{}.$1", tail[tail.size() - 2])},
      {R"(conv_last\.(.*))", fmt::format("model.{}.$1", tail.back())}};
  for (int i = 1; i <= upsamplings; ++i) {
    renamings.push_back(
        {fmt::format(R"(conv_up{}\.(.*))", i), fmt::format("model.{}.$1", tail[size_t(i) - 1])});
  }
  return renamings;
}

const Renamings k2019 = {{R"(body\.(\d+)\.rdb(\d)\.(.*))", "RRDB_trunk.$1.RDB$2.$3"},
                         {R"(conv_body\.(.*))", "trunk_conv.$1"},
                         {R"(conv_up(\d)\.(.*))", "upconv$1.$2"},
                         {R"(conv_hr\.(.*))", "HRconv.$1"}};

std::vector<std::string> names_of(const StateDict& weights) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : weights) names.push_back(name);
  return names;
}

TEST(RrdbNet, IsRecognisedByTheNamesOfEveryRelease) {
  for (int upsamplings = 0; upsamplings <= 4; ++upsamplings) {
    const StateDict weights = rrdb_weights({.blocks = 2, .upsamplings = upsamplings});
    const Recognised expected = recognise(weights);
    for (const Renamings& release : {release_2018(upsamplings), k2019}) {
      const StateDict older = renamed(weights, release);
      EXPECT_FALSE(older.find("conv_body.weight"));
      const Recognised recognised = recognise(older);
      EXPECT_EQ(names_of(recognised.weights), names_of(weights));
      EXPECT_EQ(recognised.network.architecture, expected.network.architecture);
      EXPECT_EQ(print(recognised.network.graph), print(expected.network.graph));
    }
  }
}

TEST(RrdbNet, OfOlderNamesIsRefusedLikeOthers) {
  const StateDict weights = renamed(rrdb_weights({.blocks = 2}), release_2018(2));
  EXPECT_REFUSED(recognise(with(weights, "model.0.bias", {})),
                 "not RRDBNet: no tensor conv_first.bias");
  EXPECT_REFUSED(recognise(with(weights, "model.1.sub.1.RDB3.conv5.0.bias", {})),
                 "not RRDBNet: no tensor body.1.rdb3.conv5.bias");
  for (const char* stray :
       {"model.5.weight", "model.12.weight", "model.99999999999999999999.weight",
        "model.2147483647.weight", "model..weight", "model.0.", "", "."}) {
    StateDict more = weights;
    more.add(stray, Tensor::from_floats({1}, std::vector<float>{1}));
    EXPECT_REFUSED(recognise(more), "not RRDBNet: ");
  }
  StateDict twice = weights;
  twice.add("conv_first.bias", Tensor::from_floats({1}, std::vector<float>{1}));
  EXPECT_REFUSED(recognise(twice), "two tensors are called conv_first.bias");
}

TEST(RrdbNet, OfEsrganPlusAddsAConvolutionToEachDenseBlock) {
  StateDict weights = rrdb_weights({.blocks = 2, .plus = true});
  const Network network = recognise(weights).network;
  EXPECT_EQ(network.architecture, "RRDBNet 4 features, 2 blocks, growth 2, ESRGAN+");
  const std::string graph = print(network.graph);
  EXPECT_EQ(
      graph.substr(0, graph.find("body.0.rdb2")),
      "conv_first               conv3x3 3->4                     in[3] -> v0[4]\n"
      "body.0.rdb1.conv1        conv3x3 4->2                     v0[4] -> v1[2]\n"
      "body.0.rdb1.conv1.lrelu  leaky_relu(0.2)                  v1[2] -> v2[2]\n"
      "body.0.rdb1.concat2      concat                           v0[4], v2[2] -> v3[6]\n"
      "body.0.rdb1.conv2        conv3x3 6->2                     v3[6] -> v4[2]\n"
      "body.0.rdb1.conv2.lrelu  leaky_relu(0.2)                  v4[2] -> v5[2]\n"
      "body.0.rdb1.conv1x1      conv1x1 4->2                     v0[4] -> v6[2]\n"
      "body.0.rdb1.plus2        add                              v5[2], v6[2] -> v7[2]\n"
      "body.0.rdb1.concat3      concat                           v0[4], v2[2], v7[2] -> v8[8]\n"
      "body.0.rdb1.conv3        conv3x3 8->2                     v8[8] -> v9[2]\n"
      "body.0.rdb1.conv3.lrelu  leaky_relu(0.2)                  v9[2] -> v10[2]\n"
      "body.0.rdb1.concat4      concat                           v0[4], v2[2], v7[2], v10[2] "
      "-> v11[10]\n"
      "body.0.rdb1.conv4        conv3x3 10->2                    v11[10] -> v12[2]\n"
      "body.0.rdb1.conv4.lrelu  leaky_relu(0.2)                  v12[2] -> v13[2]\n"
      "body.0.rdb1.plus4        add                              v13[2], v7[2] -> v14[2]\n"
      "body.0.rdb1.concat5      concat                           v0[4], v2[2], v7[2], v10[2], "
      "v14[2] -> v15[12]\n"
      "body.0.rdb1.conv5        conv3x3 12->4                    v15[12] -> v16[4]\n"
      "body.0.rdb1.scale        scale(0.2)                       v16[4] -> v17[4]\n"
      "body.0.rdb1.add          add                              v17[4], v0[4] -> v18[4]\n");
  verify(network.graph);
  EXPECT_EQ(print(recognise(renamed(weights, release_2018(2))).network.graph), graph);
  EXPECT_REFUSED(recognise(with(weights, "body.1.rdb2.conv1x1.weight", {})),
                 "not RRDBNet: no tensor body.1.rdb2.conv1x1.weight");
}

TEST(RrdbNet, RefusesOtherChannelsThanThoseOfPictures) {
  EXPECT_REFUSED(recognise(rrdb_weights({.in = 4})),
                 "conv_first reads 4 channels and conv_last makes 3");
  EXPECT_REFUSED(recognise(rrdb_weights({.in = 4, .out = 4})), "reads 4 channels");
  EXPECT_REFUSED(recognise(rrdb_weights({.in = 12, .out = 1})), "reads 12 channels");
  EXPECT_REFUSED(recognise(rrdb_weights({.in = 0})), "reads 0 channels");
  EXPECT_REFUSED(recognise(rrdb_weights({.out = 0})), "makes 0");
}

TEST(SrvggNetCompact, IsRecognisedAtEveryScaleDepthAndWidth) {
  for (const auto& [features, hidden, scale] :
       {std::tuple(4, 0, 1), std::tuple(5, 2, 2), std::tuple(8, 7, 3), std::tuple(3, 1, 4)}) {
    const Network network = recognise(compact_weights(features, hidden, scale, true)).network;
    EXPECT_EQ(network.architecture,
              fmt::format("SRVGGNetCompact {} features, {} convolutions, PReLU", features, hidden));
    EXPECT_EQ(network.graph.scale(), scale);
    EXPECT_EQ(network.graph.out_channels(), 3);
    verify(network.graph);
  }
}

TEST(SrvggNetCompact, WithoutSlopesHasRelu) {
  const Network network = recognise(compact_weights(5, 1, 3, false)).network;
  EXPECT_EQ(network.architecture, "SRVGGNetCompact 5 features, 1 convolutions, ReLU");
  EXPECT_EQ(print(network.graph),
            "body.0                   conv3x3 3->5                     in[3] -> v0[5]\n"
            "body.1                   relu                             v0[5] -> v1[5]\n"
            "body.2                   conv3x3 5->5                     v1[5] -> v2[5]\n"
            "body.3                   relu                             v2[5] -> v3[5]\n"
            "body.4                   conv3x3 5->27                    v3[5] -> v4[27]\n"
            "pixel_shuffle            pixel_shuffle(3)                 v4[27] -> v5[3]\n"
            "upsample                 upsample(3)                      in[3] -> v6[3]\n"
            "add                      add                              v5[3], v6[3] -> v7[3]\n"
            "output v7[3]\n");
}

TEST(SrvggNetCompact, RefusesOutputsThatAreNoSquares) {
  StateDict weights = compact_weights(4, 0, 2, true);
  weights =
      with(weights, "body.2.weight", Tensor::from_floats({9, 4, 3, 3}, std::vector<float>(324)));
  weights = with(weights, "body.2.bias", Tensor::from_floats({9}, std::vector<float>(9)));
  EXPECT_REFUSED(recognise(weights), "4 features and 9 outputs, which must be 3 x a square number");
}

TEST(Architecture, TellsTheReasonOfTheNearestFirst) {
  StateDict weights = with(rrdb_weights({}), "conv_hr.bias", {});
  EXPECT_EQ(refusal([&] { recognise(weights); }),
            "not a network that upres runs (not RRDBNet: no tensor conv_hr.bias; not "
            "SRVGGNetCompact: no tensor body.0.weight); choose a model of one of these kinds");
  weights = with(compact_weights(4, 1, 2, true), "body.2.bias", {});
  EXPECT_REFUSED(recognise(weights),
                 "runs (not SRVGGNetCompact: no tensor body.2.bias; not RRDBNet");
}

TEST(Architecture, RefusesTensorsThatHaveNoPlace) {
  StateDict weights = compact_weights(4, 1, 2, true);
  weights.add("body.1.extra", Tensor::from_floats({1}, std::vector<float>{1}));
  EXPECT_REFUSED(recognise(weights), "not SRVGGNetCompact: unexpected tensor body.1.extra");
}

TEST(Architecture, RefusesWeightsThatAreNoFiniteNumbers) {
  const StateDict weights = compact_weights(4, 0, 2, true);
  for (const std::string name : {"body.0.bias", "body.1.weight"}) {
    for (const float value : {NAN, INFINITY}) {
      const Tensor changed = Tensor::from_floats({4}, std::vector<float>{0, value, 0, 0});
      EXPECT_REFUSED(recognise(with(weights, name, changed)),
                     fmt::format("tensor {} holds a value that is not finite", name));
    }
    EXPECT_REFUSED(recognise(with(weights, name, Tensor(DType::i32, {4}, Buffer(16)))),
                   fmt::format("tensor {} is of int32", name));
  }
}

TEST(Architecture, RefusesNetworksOfNoSize) {
  EXPECT_REFUSED(recognise(rrdb_weights({.features = 0, .growth = 0})), "no features");
  EXPECT_REFUSED(recognise(compact_weights(0, 1, 2, true)), "0 features");
  StateDict huge;
  huge.add("conv_first.weight", Tensor(DType::f32, {int64_t{1} << 40, 0, 3, 3}, Buffer(0)));
  huge.add("body.0.weight", Tensor(DType::f32, {int64_t{1} << 40, 0, 3, 3}, Buffer(0)));
  EXPECT_REFUSED(recognise(huge), "not a network that upres runs");
  EXPECT_REFUSED(recognise(StateDict{}), "no tensor conv_first.weight");
}

}  // namespace
}  // namespace upres
