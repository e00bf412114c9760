// SPDX-License-Identifier: Apache-2.0
#include "model/ncnn.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "base/half.h"
#include "graph/structure.h"
#include "model/architecture.h"
#include "support.h"

namespace upres {
namespace {

/// A .param file of these layers, one a line.
std::string param(const std::vector<std::string>& layers) {
  std::string text = fmt::format("7767517\n{} {}\n", layers.size(), layers.size());
  for (const std::string& layer : layers) text += layer + "\n";
  return text;
}

/// `count` numbers of `value` as a convolution's weights: the tag of fp32, then the numbers.
std::string tagged_floats(size_t count, float value) {
  std::string bytes = raw<uint32_t>({0});
  for (size_t i = 0; i < count; ++i) bytes += raw({value});
  return bytes;
}

std::string floats(size_t count, float value) {
  return tagged_floats(count, value).substr(4);
}

NcnnNetwork read(const std::vector<std::string>& layers, const std::string& bin = {}) {
  return read_ncnn(bytes_of(param(layers)), bytes_of(bin));
}

/// The refusal of a graph whose only layer after the input is this.
std::string refusal_of(const std::string& layer, const std::string& bin = {}) {
  return refusal([&] { read({"Input in 0 1 data", layer}, bin); });
}

const std::string kConv = "Convolution conv 1 1 data out 0=2 1=3 4=1 5=1 6=54";

// A network of the SRVGG family, two convolutions, scale 2.
const std::vector<std::string> kCompact = {
    "Input            in       0 1 data",
    "Split            split    1 2 data data_0 data_1",
    "Convolution      conv_a   1 1 data_1 a 0=4 1=3 4=1 5=1 6=108",
    "PReLU            slopes_a 1 1 a b 0=4",
    "Convolution      conv_b   1 1 b c 0=12 1=3 4=1 5=1 6=432",
    "PixelShuffle     shuffle  1 1 c d 0=2",
    "Interp           resize   1 1 data_0 e 0=1 1=2.000000e+00 2=2.000000e+00",
    "BinaryOp         sum      2 1 d e output",
};
const std::string kCompactBin = tagged_floats(108, 0.5f) + floats(4, 1) + floats(4, 0.25f) +
                                tagged_floats(432, -0.5f) + floats(12, 2);

/// kCompact with one line replaced.
std::vector<std::string> compact_with(size_t line, const std::string& layer) {
  std::vector<std::string> layers = kCompact;
  layers[line] = layer;
  return layers;
}

Recognised recognised(const NcnnNetwork& network) {
  return recognise(network.weights, network.graph);
}

TEST(Ncnn, ReadsOperatorsByTheirLayers) {
  EXPECT_EQ(print(read(kCompact, kCompactBin).graph),
            "conv_a                   conv3x3 3->4                     in[3] -> v0[4]\n"
            "slopes_a                 prelu                            v0[4] -> v1[4]\n"
            "conv_b                   conv3x3 4->12                    v1[4] -> v2[12]\n"
            "shuffle                  pixel_shuffle(2)                 v2[12] -> v3[3]\n"
            "resize                   upsample(2)                      in[3] -> v4[3]\n"
            "sum                      add                              v3[3], v4[3] -> v5[3]\n"
            "output v5[3]\n");
}

TEST(Ncnn, ReadsFusedActivationsFactorsAndUnshuffle) {
  const Graph graph =
      read({"Input in 0 1 data 0=8 1=8 2=3", "Reorg unshuffle 1 1 data a 0=2 1=0",
            "Split split 1 2 a a_0 a_1",
            "Convolution conv 1 1 a_0 b 0=12 1=3 11=3 2=1 3=1 4=1 14=1 5=1 6=1296 9=2 "
            "-23310=1,2.000000e-01 -23330=4,3,8,8,12",
            "Eltwise mix 2 1 b a_1 c 0=1 -23301=2,2.000000e-01,1.000000e+00",
            "BinaryOp half 1 1 c d 0=2 1=1 2=5.000000e-01", "ReLU relu 1 1 d e",
            "ReLU leaky 1 1 e f 0=1.000000e-01", "Concat both 1 1 f g 0=0"},
           tagged_floats(1296, 1) + floats(12, 1))
          .graph;
  EXPECT_EQ(print(graph),
            "unshuffle                pixel_unshuffle(2)               in[3] -> v0[12]\n"
            "conv                     conv3x3 12->12                   v0[12] -> v1[12]\n"
            "conv                     leaky_relu(0.2)                  v1[12] -> v2[12]\n"
            "mix                      scale(0.2)                       v2[12] -> v3[12]\n"
            "mix                      add                              v3[12], v0[12] -> v4[12]\n"
            "half                     scale(0.5)                       v4[12] -> v5[12]\n"
            "relu                     relu                             v5[12] -> v6[12]\n"
            "leaky                    leaky_relu(0.1)                  v6[12] -> v7[12]\n"
            "both                     concat                           v7[12] -> v8[12]\n"
            "output v8[12]\n");
}

TEST(Ncnn, ReadsWeightsOfHalfPrecisionWithTheirPadding) {
  // 27 halves are 54 bytes: 2 more complete the word.
  std::string bin = raw<uint32_t>({0x01306B47});
  for (int i = 0; i < 27; ++i) bin += raw<uint16_t>({f32_to_f16(float(i))});
  bin += raw<uint16_t>({0xffff}) + raw<float>({0.1f});
  const StateDict weights =
      read({"Input in 0 1 data", "Convolution conv 1 1 data out 0=1 1=3 4=1 5=1 6=27"}, bin)
          .weights;
  EXPECT_EQ(weights.find("conv.weight")->dtype(), DType::f16);
  EXPECT_EQ(weights.find("conv.weight")->shape(), (Shape{1, 3, 3, 3}));
  EXPECT_EQ(weights.find("conv.weight")->to_floats()[26], 26);
  EXPECT_EQ(weights.find("conv.bias")->to_floats(), std::vector<float>{0.1f});
}

TEST(Ncnn, ReadsWeightsTaggedAsRaw) {
  const std::string bin = raw<uint32_t>({0x0002C056}) + floats(54, 3) + floats(2, 4);
  const StateDict weights = read({"Input in 0 1 data", kConv}, bin).weights;
  EXPECT_EQ(weights.find("conv.weight")->to_floats(), std::vector<float>(54, 3));
  EXPECT_EQ(weights.find("conv.bias")->to_floats(), std::vector<float>(2, 4));
}

TEST(Ncnn, RefusesOtherWeightTypes) {
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "layer conv (Convolution) has int8 weights",
                      refusal_of(kConv, raw<uint32_t>({0x000D4B38})));
  EXPECT_PRED_FORMAT2(
      testing::IsSubstring,
      "has weights quantised by a table (tag 0x00000001), which upres does not read",
      refusal_of(kConv, raw<uint32_t>({1})));
}

TEST(Ncnn, RefusesOperatorsAndParametersItDoesNotRun) {
  const auto expect = [](const std::string& layer, const char* part) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, part,
                        refusal_of(layer, tagged_floats(54, 1) + floats(2, 1)));
  };
  expect(kConv, "");
  expect("Sigmoid act 1 1 data out", "layer act (Sigmoid) is an operator that upres does not run");
  expect(kConv + " 3=2", "has stride 2, upres runs only 1");
  expect(kConv + " 12=2", "has dilation 2");
  expect(kConv + " 15=2", "has padding 2");
  expect(kConv + " 11=5", "has a height of the kernel of 5");
  expect(kConv + " 8=1", "has the parameter 8=1, which upres does not know");
  expect(kConv + " 9=4", "has activation 4");
  expect(kConv + " 9=2", "has activation 2");
  expect(kConv + " 1=3", "has the parameter 1 twice");
  expect(kConv + " 9=x", "'x' stands where a number belongs");
  expect(kConv + " 9", "has '9' where key=value belongs");
  expect("Convolution conv 1 1 data out 0=2 1=3 4=1 5=1 6=55",
         "has 55 weights, which are not 2x3x3x3");
  expect("Convolution conv 1 1 data out 0=-2 1=3 4=1 5=1 6=54", "which are not -2x3x3x3");
  expect("Convolution conv 1 1 data out 0=2 1=3 4=1 6=54", "has biases 0, upres runs only 1");
  expect("Interp resize 1 1 data out 0=2 1=2.0 2=2.0", "resizes by 2 x 2 with method 2");
  expect("Interp resize 1 1 data out 0=1 1=1.5 2=1.5", "resizes by 1.5 x 1.5 with method 1");
  expect("Interp resize 1 1 data out 0=3 1=0.5 2=0.25", "resizes by 0.5 x 0.25 with method 3");
  expect("Interp resize 1 1 data out 0=3 1=0.501 2=0.501", "resizes by 0.501 x 0.501");
  expect("Interp resize 1 1 data out 0=3 1=-0.5 2=-0.5", "resizes by -0.5 x -0.5");
  expect("Interp resize 1 1 data out 0=3 1=0.5 2=0.5 6=1", "has align_corner 1");
  expect("Interp resize 1 1 data out 0=1 1=inf 2=inf", "'inf' stands where a number belongs");
  expect("Interp resize 1 1 data out 0=1 1=2.0 2=2.0 3=640", "has the parameter 3=640");
  expect("PixelShuffle shuffle 1 1 data out 0=0", "has a factor of 0");
  expect("PReLU slopes 1 1 data out 0=-1", "has a number of slopes of -1, upres runs only 3");
  expect("Eltwise mix 1 1 data out 0=0", "has operation 0");
  expect("Eltwise mix 1 1 data out 0=1 -23301=2,1,1", "another number of factors");
  expect("Eltwise mix 1 1 data out 0=1 -23301=2,1", "an array of another size");
  expect("BinaryOp difference 1 1 data out 0=1", "neither a sum");
  expect("ReLU act 1 1 data out 0=nan", "'nan' stands where a number belongs");
  expect("Input in2 0 1 data2", "a second input");
}

TEST(Ncnn, RefusesGraphsThatDoNotHoldTogether) {
  EXPECT_REFUSED(read({"Input in 0 1 data", "ReLU act 1 1 nothing out"}),
                 "layer act (ReLU) reads nothing before it is made");
  EXPECT_REFUSED(read({"Input in 0 1 data", "ReLU act 1 1 data data"}), "makes data again");
  EXPECT_REFUSED(read({"Input in 0 2 data rest"}), "has 2 outputs");
  EXPECT_REFUSED(read({"Input a 0 0", "Input b 0 0"}), "a second input");
  EXPECT_REFUSED(read({"ReLU act 0 1 out"}), "has 0 inputs");
  EXPECT_REFUSED(read({"ReLU act 1 9 a b"}), "fewer blobs than it says");
  EXPECT_REFUSED(read({"ReLU act"}), "does not describe a layer");
  EXPECT_REFUSED(read_ncnn(bytes_of("7767517\n3 3\nInput in 0 1 data\n"), {}), "1 of its 3 layers");
  EXPECT_REFUSED(read_ncnn(bytes_of("7767517\n \nInput in 0 1 data\n"), {}), "1 of its 0 layers");
  EXPECT_REFUSED(read_ncnn(bytes_of("hello\n"), {}), "does not begin with 7767517");
}

TEST(Ncnn, RefusesGraphsThatGrowWithoutEnd) {
  std::vector<std::string> layers = {"Input in 0 1 b0"};
  for (int i = 0; i < 12; ++i) {
    layers.push_back(fmt::format("Reorg r{} 1 1 b{} b{} 0=16", i, i, i + 1));
  }
  EXPECT_REFUSED(read(layers), "more channels or larger pictures");
  layers = {"Input in 0 1 b0"};
  for (int i = 0; i < 12; ++i) {
    layers.push_back(fmt::format("Interp r{} 1 1 b{} b{} 0=1 1=16 2=16", i, i, i + 1));
  }
  EXPECT_REFUSED(read(layers), "more channels or larger pictures");
}

TEST(Ncnn, RefusesGraphsFarBeyondAnyNetwork) {
  EXPECT_REFUSED(read_ncnn(bytes_of("7767517\n99999 9\nInput in 0 1 data\n"), {}),
                 "99999 layers, far beyond any network");
  EXPECT_REFUSED(read_ncnn(bytes_of("7767517\n1 1\n" + std::string(2 << 20, 'a')), {}),
                 "bytes, far beyond any network");
}

TEST(Ncnn, RefusesWeightsOfAnotherModel) {
  EXPECT_REFUSED(read(kCompact, kCompactBin + "more"), "4 bytes of the .bin file");
  EXPECT_REFUSED(read(kCompact, kCompactBin.substr(0, 900)), "the .bin file is cut short");
}

TEST(Ncnn, IsRefusedCutAnywhere) {
  const std::string text = param(kCompact);
  // The last two bytes of the text are "t\n": "outpu" is a name as well.
  expect_refused_at_every_length(text.substr(0, text.rfind(" output")),
                                 [](auto cut) { read_ncnn(cut, bytes_of(kCompactBin)); });
  expect_refused_at_every_length(kCompactBin, [&](auto cut) { read_ncnn(bytes_of(text), cut); });
}

TEST(Ncnn, ComesToNoHarmFromDamagedBytes) {
  const std::string text = param(kCompact);
  const auto read_all = [](auto param, auto bin) { recognised(read_ncnn(param, bin)); };
  expect_no_harm_from_damaged_bytes(
      text, [&](auto damaged) { read_all(damaged, bytes_of(kCompactBin)); });
  expect_no_harm_from_damaged_bytes(kCompactBin,
                                    [&](auto damaged) { read_all(bytes_of(text), damaged); });
}

// --- binary .param files ---

/// A .param file in binary, as ncnn2mem makes it of text: blobs by their number among the outputs,
/// values with a point or an exponent as floats.
std::string binary_param(const std::vector<std::string>& layers) {
  const std::map<std::string, uint32_t> types = {
      {"Concat", 5},  {"Convolution", 6}, {"Eltwise", 10},     {"Input", 16},
      {"PReLU", 23},  {"ReLU", 26},       {"Split", 33},       {"BinaryOp", 40},
      {"Interp", 50}, {"Reorg", 55},      {"PixelShuffle", 69}};
  std::map<std::string, uint32_t> blobs;
  const auto value = [](const std::string& text) {
    const bool is_float = text.find_first_of(".e") != std::string::npos;
    return is_float ? raw<float>({std::stof(text)}) : raw<int>({std::stoi(text)});
  };
  std::string bytes = raw<uint32_t>({7767517, uint32_t(layers.size()), 99});
  for (const std::string& line : layers) {
    std::istringstream words(line);
    std::string type, name, word;
    uint32_t inputs = 0, outputs = 0;
    words >> type >> name >> inputs >> outputs;
    bytes += raw<uint32_t>({types.at(type), inputs, outputs});
    for (; inputs > 0; --inputs) {
      words >> word;
      bytes += raw<uint32_t>({blobs.at(word)});
    }
    for (; outputs > 0; --outputs) {
      words >> word;
      const auto number = uint32_t(blobs.size());
      bytes += raw<uint32_t>({blobs.emplace(word, number).first->second});
    }
    while (words >> word) {
      const size_t equals = word.find('=');
      bytes += raw<int>({std::stoi(word.substr(0, equals))});
      std::istringstream values(word.substr(equals + 1));
      while (std::getline(values, word, ',')) bytes += value(word);
    }
    bytes += raw<int>({-233});
  }
  return bytes;
}

std::vector<uint64_t> hashes_of(std::string_view param, std::string_view bin) {
  return structure_hashes(read_ncnn(bytes_of(param), bytes_of(bin)).graph);
}

TEST(NcnnBinary, IsTheSameGraphAsText) {
  EXPECT_EQ(hashes_of(binary_param(kCompact), kCompactBin),
            hashes_of(param(kCompact), kCompactBin));
  EXPECT_EQ(recognised(read_ncnn(bytes_of(binary_param(kCompact)), bytes_of(kCompactBin)))
                .network.architecture,
            "SRVGGNetCompact 4 features, 0 convolutions, PReLU");
  // Every operator, numbers of both kinds, arrays.
  const std::vector<std::string> others = {
      "Input in 0 1 data 0=8 1=8 2=3",
      "Reorg unshuffle 1 1 data a 0=2 1=0",
      "Split split 1 2 a a_0 a_1",
      "Convolution conv 1 1 a_0 b 0=12 1=3 4=1 5=1 6=1296 9=2 -23310=1,2.000000e-01 "
      "-23330=4,3,8,8,12",
      "Eltwise mix 2 1 b a_1 c 0=1 -23301=2,2.000000e-01,1.000000e+00",
      "BinaryOp half 1 1 c d 0=2 1=1 2=5.000000e-01",
      "ReLU leaky 1 1 d e 0=1.000000e-01",
      "Concat both 1 1 e f 0=0",
      "Interp last 1 1 f g 0=3 1=7.500000e-01 2=7.500000e-01"};
  const std::string bin = tagged_floats(1296, 1) + floats(12, 1);
  EXPECT_EQ(hashes_of(binary_param(others), bin), hashes_of(param(others), bin));
}

TEST(NcnnBinary, CallsLayersAndBlobsByTheirNumbers) {
  // A layer of a type, without blobs, and what follows.
  const auto refusal_of = [](uint32_t type, const std::string& parameters) {
    const std::string bytes = raw<uint32_t>({7767517, 2, 2, 16, 0, 1, 0}) + raw<int>({-233}) +
                              raw<uint32_t>({type, 1, 1, 0, 1}) + parameters + raw<int>({-233});
    return refusal([&] { read_ncnn(bytes_of(bytes), {}); });
  };
  EXPECT_EQ(refusal_of(30, {}), "layer 1 (Sigmoid) is an operator that upres does not run");
  EXPECT_EQ(refusal_of(256, {}), "layer 1 (type 256) is an operator that upres does not run");
  EXPECT_EQ(refusal_of(26, raw<int>({7, 16})),
            "layer 1 (ReLU) has the parameter 7=0x10, which upres does not know");
  EXPECT_EQ(refusal_of(26, raw<int>({-23305, 2, 1, 255})),
            "layer 1 (ReLU) has the parameter -23305=0x1,0xff, which upres does not know");
  EXPECT_EQ(refusal_of(26, raw<int>({0, 0x7fc00000})), "layer 1 (ReLU) has the parameter 0=nan");
  EXPECT_EQ(refusal_of(26, raw<int>({-23409, 1, 97})),
            "layer 1 (ReLU) has a text as parameter, which upres does not know");
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "cut short", refusal_of(26, raw<int>({-23305, -1})));
}

TEST(NcnnBinary, RefusesImpossibleCounts) {
  EXPECT_REFUSED(read_ncnn(bytes_of(raw<uint32_t>({7767517, 1u << 31, 1})), {}),
                 "2147483648 layers, far beyond any network");
  EXPECT_REFUSED(read_ncnn(bytes_of(raw<uint32_t>({7767517, 1, 1, 16, UINT32_MAX, 1})), {}),
                 "cut short");
  EXPECT_REFUSED(read_ncnn(bytes_of(binary_param(kCompact) + "more"), bytes_of(kCompactBin)),
                 "4 bytes follow the last layer");
}

TEST(NcnnBinary, IsRefusedCutAnywhereAndComesToNoHarmFromDamage) {
  const auto read_all = [](auto bytes) { recognised(read_ncnn(bytes, bytes_of(kCompactBin))); };
  expect_refused_at_every_length(binary_param(kCompact), read_all);
  expect_no_harm_from_damaged_bytes(binary_param(kCompact), read_all);
}

// --- recognising ---

TEST(Ncnn, GraphsAreRecognisedAndGetThePublishedNames) {
  const Recognised result = recognised(read(kCompact, kCompactBin));
  EXPECT_EQ(result.network.architecture, "SRVGGNetCompact 4 features, 0 convolutions, PReLU");
  EXPECT_EQ(result.network.graph.scale(), 2);
  EXPECT_EQ(result.weights.find("body.0.weight")->to_floats()[0], 0.5f);
  EXPECT_EQ(result.weights.find("body.0.bias")->to_floats()[0], 1);
  EXPECT_EQ(result.weights.find("body.1.weight")->to_floats()[0], 0.25f);
  EXPECT_EQ(result.weights.find("body.2.bias")->to_floats()[0], 2);
}

/// kCompact with a last layer that resizes by `factor`.
std::vector<std::string> compact_resized(const std::string& factor) {
  std::vector<std::string> layers = compact_with(7, "BinaryOp sum 2 1 d e f");
  layers.push_back(fmt::format("Interp last 1 1 f output 0=3 1={0} 2={0}", factor));
  return layers;
}

TEST(Ncnn, ALastLayerThatResizesBelongsToTheNetwork) {
  const auto network = [](const std::string& factor) {
    return recognised(read(compact_resized(factor), kCompactBin)).network;
  };
  const Network halved = network("5.000000e-01");
  EXPECT_EQ(halved.architecture,
            "SRVGGNetCompact 4 features, 0 convolutions, PReLU, x2 resized by 1/2");
  EXPECT_EQ(halved.graph.scale(), 1);
  EXPECT_EQ(network("1.500000e+00").graph.scale(), 3);
  EXPECT_REFUSED(network("7.500000e-01"), "layer last (resize) does not fit");
  EXPECT_REFUSED(network("3.333333e-01"), "layer last (resize) does not fit");
}

TEST(Ncnn, TheGraphTellsReluFromLeakyRelu) {
  const std::string bin =
      tagged_floats(108, 1) + floats(4, 1) + tagged_floats(432, 1) + floats(12, 1);
  const auto architecture = [&](const std::string& activation) {
    return recognised(read(compact_with(3, activation), bin)).network.architecture;
  };
  EXPECT_EQ(architecture("ReLU act 1 1 a b"), "SRVGGNetCompact 4 features, 0 convolutions, ReLU");
  EXPECT_EQ(architecture("ReLU act 1 1 a b 0=0.1"),
            "SRVGGNetCompact 4 features, 0 convolutions, LeakyReLU");
}

TEST(Ncnn, RefusesTheFirstOperatorThatDoesNotFit) {
  // The sum takes the shuffled result twice.
  EXPECT_REFUSED(recognised(read(compact_with(7, "BinaryOp sum 2 1 d d output"), kCompactBin)),
                 "2 outputs");
  std::vector<std::string> doubled = compact_with(7, "BinaryOp twice 2 1 d e f");
  doubled.push_back("BinaryOp scale 1 1 f output 0=2 1=1 2=2.0");
  EXPECT_REFUSED(recognised(read(doubled, kCompactBin)),
                 "not SRVGGNetCompact: layer scale (scale) does not fit");
  std::vector<std::string> factor = compact_with(6, "Interp resize 1 1 data_0 e 0=1 1=1 2=1");
  factor[5] = "PixelShuffle shuffle 1 1 c d 0=1";
  factor[7] = "Concat both 2 1 d e output";
  EXPECT_REFUSED(recognised(read(factor, kCompactBin)),
                 "layer shuffle (pixel_shuffle) does not fit");
}

TEST(Ncnn, RefusesGraphsThatStopEarly) {
  const std::vector<std::string> layers(kCompact.begin(), kCompact.end() - 2);
  std::vector<std::string> alone = layers;
  alone[1] = "Split split 1 1 data data_1";
  EXPECT_REFUSED(recognised(read(alone, kCompactBin)), "taken from another layer than the last");
}

}  // namespace
}  // namespace upres
