// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <vector>

#include <cstring>
#include <limits>

#include "base/error.h"

/// Under AddressSanitizer too, an allocation that is too large returns null.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

namespace upres {
namespace {

using Floats = std::vector<float>;

template <typename T>
Tensor tensor(DType dtype, std::vector<T> elements) {
  Buffer buffer(elements.size() * sizeof(T));
  std::memcpy(buffer.data(), elements.data(), buffer.size_bytes());
  return Tensor(dtype, {int64_t(elements.size())}, std::move(buffer));
}

TEST(ElementCount, IsTheProductOfTheSizes) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({64, 3, 3, 3}), 1728);
  EXPECT_EQ(element_count({5, 0, 7}), 0);
  EXPECT_EQ(element_count({std::numeric_limits<int64_t>::max()}),
            std::numeric_limits<int64_t>::max());
}

TEST(ElementCount, IsNothingForNegativeSizesAndOverflow) {
  EXPECT_EQ(element_count({-1}), std::nullopt);
  EXPECT_EQ(element_count({3, -1, 0}), std::nullopt);
  EXPECT_EQ(element_count({int64_t(1) << 32, int64_t(1) << 31}), std::nullopt);
  EXPECT_EQ(element_count({int64_t(1) << 62, 4}), std::nullopt);
}

TEST(Shape, PrintsItsSizes) {
  EXPECT_EQ(to_string(Shape{64, 3, 3, 3}), "64x3x3x3");
  EXPECT_EQ(to_string(Shape{}), "scalar");
}

TEST(Buffer, IsAlignedToACacheLine) {
  for (const size_t size : {1, 63, 64, 65, 1000}) {
    const Buffer buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(buffer.size_bytes(), size);
  }
}

TEST(Buffer, RefusesWhatNoMachineHas) {
  for (const size_t size : {SIZE_MAX, SIZE_MAX / 2, size_t(1) << 60}) {
    try {
      const Buffer buffer(size);
      FAIL() << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::memory) << size;
    }
  }
}

TEST(Tensor, CopiesShareTheMemory) {
  const Tensor one = tensor<float>(DType::f32, {1, 2, 3});
  const Tensor two = one;
  EXPECT_EQ(one.bytes().data(), two.bytes().data());
}

TEST(Tensor, IsMadeOfFloats) {
  const float values[] = {1, 2, 3, 4, 5, 6};
  const Tensor made = Tensor::from_floats({2, 3}, values);
  EXPECT_EQ(made.dtype(), DType::f32);
  EXPECT_EQ(made.shape(), (Shape{2, 3}));
  EXPECT_EQ(made.count(), 6);
  EXPECT_EQ(made.to_floats(), (Floats{1, 2, 3, 4, 5, 6}));
}

TEST(ToFloats, ConvertsEveryFloatingPointType) {
  EXPECT_EQ(tensor<uint16_t>(DType::f16, {0x3c00, 0xc000, 0x0001}).to_floats(),
            (Floats{1, -2, 0x1p-24f}));
  EXPECT_EQ(tensor<uint16_t>(DType::bf16, {0x3f80, 0xc040}).to_floats(), (Floats{1, -3}));
  EXPECT_EQ(tensor<float>(DType::f32, {0.1f, -0.0f}).to_floats(), (Floats{0.1f, -0.0f}));
  EXPECT_EQ(tensor<double>(DType::f64, {0.1, 1e300}).to_floats(),
            (Floats{0.1f, std::numeric_limits<float>::infinity()}));
}

TEST(ToFloats, ConvertsEveryIntegerType) {
  EXPECT_EQ(tensor<uint8_t>(DType::u8, {0, 200, 255}).to_floats(), (Floats{0, 200, 255}));
  EXPECT_EQ(tensor<int8_t>(DType::i8, {-128, 127}).to_floats(), (Floats{-128, 127}));
  EXPECT_EQ(tensor<int16_t>(DType::i16, {-32768, 32767}).to_floats(), (Floats{-32768, 32767}));
  EXPECT_EQ(tensor<int32_t>(DType::i32, {-7, 1 << 30}).to_floats(), (Floats{-7, 0x1p30f}));
  EXPECT_EQ(tensor<int64_t>(DType::i64, {-7, (1 << 24) + 1}).to_floats(), (Floats{-7, 0x1p24f}));
  EXPECT_EQ(tensor<uint8_t>(DType::boolean, {0, 1, 2}).to_floats(), (Floats{0, 1, 1}));
}

TEST(ToFloats, IsOneNumberForAScalarAndNoneForAnEmptyTensor) {
  const float seven = 7;
  EXPECT_EQ(Tensor::from_floats({}, {&seven, 1}).to_floats(), Floats{7});
  EXPECT_EQ(Tensor::from_floats({0, 3}, {}).to_floats(), Floats{});
}

TEST(DType, HasThePublishedNamesAndSizes) {
  EXPECT_EQ(name(DType::bf16), "bfloat16");
  EXPECT_EQ(name(DType::boolean), "bool");
  EXPECT_EQ(size_bytes(DType::f16), 2u);
  EXPECT_EQ(size_bytes(DType::i64), 8u);
}

TEST(AllFinite, FindsInfinityAndNanAnywhere) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  const float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_TRUE(all_finite({}));
  for (size_t at = 0; at < 37; ++at) {
    std::vector<float> numbers(37, -largest);
    numbers[at] = smallest;
    EXPECT_TRUE(all_finite(numbers));
    for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
      numbers[at] = bad;
      EXPECT_FALSE(all_finite(numbers));
    }
  }
}

}  // namespace
}  // namespace upres
