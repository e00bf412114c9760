// SPDX-License-Identifier: Apache-2.0
// What only the CUDA backend has: kernels chosen by a layer's shape, tails in bands, and the answer
// to numbers that half precision does not hold. Skipped where there is no GPU for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "compile/compile.h"
#include "pixel/convert.h"
#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

Frame run(const Graph& graph, Session& session, const Frame& picture, SampleType type,
          int components = 3) {
  const Size size = picture.size();
  Frame result({size.width * graph.scale(), size.height * graph.scale()}, type, components);
  std::memset(result.data(), 0xff, result.total_bytes());
  session.submit({.src = picture.colour(),
                  .read = whole(size),
                  .dst = result.colour(),
                  .write = whole(result.size())});
  session.wait();
  return result;
}

float value_at(const Frame& frame, size_t index) {
  float value = 0;
  if (frame.type() == SampleType::u8) {
    value = float(frame.data()[index]) / 255;
  } else if (frame.type() == SampleType::u16) {
    value = float(reinterpret_cast<const uint16_t*>(frame.data())[index]) / 65535;
  } else {
    value = reinterpret_cast<const float*>(frame.data())[index];
  }
  return value;
}

float largest_difference(const Frame& a, const Frame& b) {
  float largest = 0;
  for (size_t i = 0; i < a.total_bytes() / size_bytes(a.type()); ++i) {
    const float difference = std::abs(value_at(a, i) - value_at(b, i));
    if (std::isnan(difference)) return std::numeric_limits<float>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

/// The kernels that a GPU has, and how near they come.
struct Kernels {
  std::string name;
  Precision precision;
  bool portable;
  float tolerance;
  friend std::ostream& operator<<(std::ostream& out, const Kernels& one) { return out << one.name; }
};

class Cuda : public testing::TestWithParam<Kernels> {
 protected:
  void SetUp() override {
    for (const BackendInfo& backend : backends()) {
      if (backend.name == "cuda" && backend.can_run()) {
        device_ = open_device("cuda", {.portable_kernels = GetParam().portable});
        return;
      }
    }
    GTEST_SKIP() << "no GPU";
  }

  /// At many sizes, after a picture of NaN has filled all memory with them.
  void expect_right(
      const Graph& graph,
      const std::vector<Size>& sizes = {
          {1, 1}, {63, 5}, {64, 7}, {65, 3}, {127, 33}, {130, 1}, {2, 70}, {201, 77}}) {
    const auto engine = compile(graph, *device_, GetParam().precision);
    const auto cpu = open_device("cpu", {});
    const auto expected = compile(graph, *cpu);
    for (const Size size : sizes) {
      SCOPED_TRACE(testing::Message() << size.width << "x" << size.height);
      const auto session = engine->open();
      Frame poison(size, SampleType::f32, 3);
      std::memset(poison.data(), 0xff, poison.total_bytes());
      run(graph, *session, poison, SampleType::f32);
      const Frame picture = test::random_frame(random_, size, SampleType::u16, 3);
      const Frame wanted = run(graph, *expected->open(), picture, SampleType::f32);
      for (const SampleType type : {SampleType::f32, SampleType::u16, SampleType::u8}) {
        EXPECT_LE(difference(run(graph, *session, picture, type), wanted),
                  GetParam().tolerance + (type == SampleType::u8 ? 0.51f / 255 : 0));
      }
      const Frame gray = run(graph, *session, picture, SampleType::u16, 1);
      EXPECT_LE(luma_difference(gray, wanted), GetParam().tolerance);
    }
  }

  /// To a picture of floats; integers hold 0 to 1.
  static float difference(const Frame& got, const Frame& wanted) {
    float largest = 0;
    for (size_t i = 0; i < got.total_bytes() / size_bytes(got.type()); ++i) {
      const float exact = value_at(wanted, i);
      const float held = got.type() == SampleType::f32 ? exact : std::clamp(exact, 0.0f, 1.0f);
      const float d = std::abs(value_at(got, i) - held);
      if (std::isnan(d)) return std::numeric_limits<float>::infinity();
      largest = std::max(largest, d);
    }
    return largest;
  }
  static float luma_difference(const Frame& gray, const Frame& wanted) {
    float largest = 0;
    for (size_t i = 0; i < gray.total_bytes() / size_bytes(gray.type()); ++i) {
      const float y =
          luma(value_at(wanted, 3 * i), value_at(wanted, 3 * i + 1), value_at(wanted, 3 * i + 2));
      largest = std::max(largest, std::abs(value_at(gray, i) - std::clamp(y, 0.0f, 1.0f)));
    }
    return largest;
  }

  std::unique_ptr<Device> device_;
  Random random_{20261124};
};

TEST_P(Cuda, NetworksOfSixtyFourFeaturesAreRight) {
  expect_right(test::srvgg(random_, 64, 3, 4));
  expect_right(test::srvgg(random_, 64, 2, 2));
  expect_right(test::rrdbnet(random_, 64, 32, 1));
  expect_right(test::rrdbnet(random_, 64, 32, 1, 2));
}

TEST_P(Cuda, EveryWidthOfALayerIsRightInBothDirections) {
  // Layers take turns: with one more in front each goes the other way.
  for (const bool one_more : {false, true}) {
    for (const int inputs : {32, 48, 64, 96, 128, 160, 192, 224}) {
      for (const int outputs : {16, 32, 48, 64, 96}) {
        SCOPED_TRACE(testing::Message() << inputs << " to " << outputs);
        Graph graph;
        ValueId x = graph.add_input(3);
        if (one_more) x = graph.add("zero", test::random_conv(random_, 3, 3), {x});
        x = graph.add("first", test::random_conv(random_, 3, inputs), {x});
        x = graph.add("conv", test::random_conv(random_, inputs, outputs), {x});
        x = graph.add("act", Activate{test::random_prelu(random_, outputs)}, {x});
        graph.set_output(graph.add("last", test::random_conv(random_, outputs, 3), {x}));
        const auto engine = compile(graph, *device_, GetParam().precision);
        const auto expected = compile(graph, *open_device("cpu", {}));
        const Frame picture = test::random_frame(random_, {131, 19}, SampleType::u8, 3);
        EXPECT_LE(largest_difference(run(graph, *engine->open(), picture, SampleType::f32),
                                     run(graph, *expected->open(), picture, SampleType::f32)),
                  GetParam().tolerance);
      }
    }
  }
}

TEST_P(Cuda, TheLastTwoConvolutionsAreRightInBothDirections) {
  for (const bool one_more : {false, true}) {
    for (const float slope : {1.0f, 0.2f, -0.5f}) {
      SCOPED_TRACE(testing::Message() << "slope " << slope << ", one more " << one_more);
      Graph graph;
      ValueId x = graph.add_input(3);
      if (one_more) x = graph.add("zero", test::random_conv(random_, 3, 3), {x});
      x = graph.add("first", test::random_conv(random_, 3, 64), {x});
      x = graph.add("conv", test::random_conv(random_, 64, 64), {x});
      if (slope != 1) {
        x = graph.add("act", Activate{{Activation::Kind::leaky_relu, {slope}}}, {x});
      }
      graph.set_output(graph.add("last", test::random_conv(random_, 64, 3), {x}));
      // Strips of 62 columns, and pieces of every height from one row on.
      expect_right(graph, {{1, 1},
                           {2, 3},
                           {61, 2},
                           {62, 9},
                           {63, 300},
                           {64, 41},
                           {123, 1},
                           {124, 1000},
                           {125, 67},
                           {187, 264},
                           {1240, 5},
                           {700, 400}});
    }
  }
}

TEST_P(Cuda, ATailInBandsIsTheSamePicture) {
  const Graph graph = test::rrdbnet(random_, 64, 32, 1);
  const Size size{400, 301};
  const Frame picture = test::random_frame(random_, size, SampleType::u8, 3);
  const auto engine = compile(graph, *device_, GetParam().precision);
  // Four times the side: 64 channels of 1600x1204 pixels are more than a band may take.
  const Frame large = run(graph, *engine->open(), picture, SampleType::f32);
  const auto expected = compile(graph, *open_device("cpu", {}));
  EXPECT_LE(largest_difference(large, run(graph, *expected->open(), picture, SampleType::f32)),
            GetParam().tolerance);
}

TEST_P(Cuda, WhatOverflowsHalfPrecisionIsComputedAgain) {
  const Graph graph = test::overflowing(random_);
  const auto engine = compile(graph, *device_, GetParam().precision);
  const auto session = engine->open();
  const auto expected = compile(graph, *open_device("cpu", {}));
  const Frame picture = test::random_frame(random_, {70, 40}, SampleType::u8, 3);
  const Frame got = run(graph, *session, picture, SampleType::f32);
  EXPECT_LE(largest_difference(got, run(graph, *expected->open(), picture, SampleType::f32)),
            1e-3f);
  EXPECT_EQ(session->repaired(), GetParam().precision == Precision::fp32 ? 0 : 1);
}

TEST_P(Cuda, AnEmptyResultOfARichPictureIsComputedAgain) {
  // Half precision makes zero of weights below 3e-8: nothing is left of the picture.
  Graph graph;
  Conv2d tiny = test::random_conv(random_, 3, 64);
  auto weights = std::make_shared<std::vector<float>>(*tiny.weights);
  for (float& weight : *weights) weight *= 1e-8f;
  tiny.weights = weights;
  tiny.biases = std::make_shared<std::vector<float>>(64, 0.0f);
  Conv2d huge = test::random_conv(random_, 64, 3);
  weights = std::make_shared<std::vector<float>>(*huge.weights);
  for (float& weight : *weights) weight *= 1e4f;
  huge.weights = weights;
  const ValueId x = graph.add("tiny", tiny, {graph.add_input(3)});
  const ValueId y = graph.add("one", Scale{1e4f},
                              {graph.add("act", Activate{{Activation::Kind::relu, {0}}}, {x})});
  graph.set_output(graph.add("huge", huge, {y}));
  const auto engine = compile(graph, *device_, GetParam().precision);
  const auto session = engine->open();
  const Frame rich = test::random_frame(random_, {33, 20}, SampleType::u8, 3);
  const auto expected = compile(graph, *open_device("cpu", {}));
  EXPECT_LE(largest_difference(run(graph, *session, rich, SampleType::u8),
                               run(graph, *expected->open(), rich, SampleType::u8)),
            1.01f / 255);
  EXPECT_LE(session->repaired(), GetParam().precision == Precision::fp32 ? 0 : 1);
  Frame plain({33, 20}, SampleType::u8, 3);
  std::memset(plain.data(), 120, plain.total_bytes());
  const int64_t before = session->repaired();
  run(graph, *session, plain, SampleType::u8);
  EXPECT_EQ(session->repaired(), before) << "a plain picture may become a plain one";
}

TEST_P(Cuda, AnOrdinaryNetworkIsNotComputedTwice) {
  const Graph graph = test::rrdbnet(random_, 64, 32, 1);
  const auto engine = compile(graph, *device_, GetParam().precision);
  const auto session = engine->open();
  run(graph, *session, test::random_frame(random_, {50, 50}, SampleType::u8, 3), SampleType::u8);
  EXPECT_EQ(session->repaired(), 0);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Cuda,
                         testing::Values(Kernels{"fp16", Precision::fp16, false, 2e-2f},
                                         Kernels{"portable_fp16", Precision::fp16, true, 2e-2f},
                                         Kernels{"portable_fp16_fast", Precision::fp16_fast, true,
                                                 1e-1f},
                                         Kernels{"fp32", Precision::fp32, false, 1e-4f}),
                         [](const auto& kernels) { return kernels.param.name; });

}  // namespace
}  // namespace upres
