// SPDX-License-Identifier: Apache-2.0
#include "model/blend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/model.h"
#include "support.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

Tensor row(const std::vector<float>& values) {
  return Tensor::from_floats({int64_t(values.size())}, values);
}

StateDict dict(std::initializer_list<std::pair<const char*, Tensor>> entries) {
  StateDict weights;
  for (const auto& [name, tensor] : entries) weights.add(name, tensor);
  return weights;
}

TEST(Blend, MixesEveryTensorByItsShare) {
  const StateDict a = dict({{"x", row({1, 2})}, {"y", row({-4})}});
  const StateDict b = dict({{"y", row({4})}, {"x", row({3, 10})}});  // in another order
  const StateDict mixed = blend(a, b, 0.25);
  EXPECT_EQ(mixed.begin()->first, "x");
  EXPECT_EQ(mixed.find("x")->to_floats(), (std::vector<float>{1.5f, 4}));
  EXPECT_EQ(mixed.find("y")->to_floats(), (std::vector<float>{-2}));
}

TEST(Blend, IsOneOfBothAtTheEnds) {
  const float largest = std::numeric_limits<float>::max();
  const StateDict a = dict({{"x", row({0.1f, largest, -0.3f})}});
  const StateDict b = dict({{"x", row({0.7f, -largest, 1e-40f})}});
  EXPECT_EQ(blend(a, b, 0).find("x")->to_floats(), a.find("x")->to_floats());
  EXPECT_EQ(blend(a, b, 1).find("x")->to_floats(), b.find("x")->to_floats());
}

TEST(Blend, IsInSinglePrecisionWhateverTheFilesHold) {
  const Tensor half(DType::f16, {0}, Buffer(0));
  EXPECT_EQ(blend(dict({{"x", half}}), dict({{"x", half}}), 0.5).find("x")->dtype(), DType::f32);
}

TEST(Blend, NamesTheFirstDifference) {
  const StateDict a = dict({{"x", row({1, 2})}, {"y", row({1})}});
  EXPECT_REFUSED(blend(a, dict({{"x", row({1})}}), 0.5), "tensor x is 2 in one and 1 in the other");
  EXPECT_REFUSED(blend(a, dict({{"x", row({1, 2})}}), 0.5), "the other has no tensor y");
  EXPECT_REFUSED(blend(dict({{"y", row({1})}}), a, 0.5), "only the other has a tensor x");
}

TEST(LoadBlendedModel, IsTheNetworkOfHandMixedWeights) {
  // The two models of Real-ESRGAN's denoise strength, here 0.3.
  const fs::path denoising = published("ncnn/realesr-general-x4v3.bin");
  const fs::path keeping = published("ncnn/realesr-general-wdn-x4v3.bin");
  REQUIRE_FILE(denoising);
  REQUIRE_FILE(keeping);
  const Model a = load_model(denoising);
  const Model b = load_model(keeping);
  const Model mixed = load_blended_model(denoising, keeping, 0.7);
  EXPECT_EQ(mixed.network.architecture, a.network.architecture);
  EXPECT_EQ(print(mixed.network.graph), print(a.network.graph));
  ASSERT_EQ(mixed.file.weights.size(), a.file.weights.size());
  for (const auto& [name, tensor] : mixed.file.weights) {
    const std::vector<float> x = a.file.weights.find(name)->to_floats();
    const std::vector<float> y = b.file.weights.find(name)->to_floats();
    const std::vector<float> z = tensor.to_floats();
    for (size_t i = 0; i < z.size(); ++i) {
      ASSERT_NEAR(z[i], 0.3f * x[i] + 0.7f * y[i], 1e-6f * (std::abs(x[i]) + std::abs(y[i])))
          << name << " " << i;
    }
  }
  // The graph runs the mixed weights: its first convolution has them.
  const auto& first = std::get<Conv2d>(mixed.network.graph.nodes().front().op);
  EXPECT_EQ(*first.weights, mixed.file.weights.find("body.0.weight")->to_floats());
}

TEST(LoadBlendedModel, MixesFilesOfTwoFormats) {
  const fs::path pth = published("pth/realesr-animevideov3.deflated-zip.pth");
  const fs::path ncnn = published("ncnn/realesr-animevideov3-x4.bin");
  REQUIRE_FILE(pth);
  REQUIRE_FILE(ncnn);
  EXPECT_EQ(load_blended_model(ncnn, pth, 0.5).file.format, "ncnn");
  EXPECT_EQ(load_blended_model(pth, ncnn, 0.5).file.format, "PyTorch");
}

TEST(LoadBlendedModel, NamesBothFilesThatDoNotFit) {
  const fs::path large = published("ncnn/realesr-general-x4v3.bin");
  const fs::path small = published("ncnn/realesr-animevideov3-x4.bin");
  REQUIRE_FILE(large);
  REQUIRE_FILE(small);
  EXPECT_REFUSED(load_blended_model(large, small, 0.5),
                 large.string() + ": cannot be mixed with " + small.string() +
                     ": tensor body.34.weight is 64x64x3x3 in one and 48x64x3x3 in the other; "
                     "choose models of one architecture and shape");
}

}  // namespace
}  // namespace upres
