// SPDX-License-Identifier: Apache-2.0
// Between pictures and TensorRT's tensors on the GPU, against the processor's loops. It takes a GPU
// and no TensorRT.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "backend/cuda/runtime.h"
#include "backend/tensorrt/samples.h"
#include "base/half.h"
#include "frame/frame.h"
#include "pixel/convert.h"
#include "support/networks.h"

namespace upres::tensorrt {
namespace {

constexpr SampleType kTypes[] = {SampleType::u8, SampleType::u16, SampleType::f32};

cuda::DeviceBuffer on_gpu(const void* bytes, size_t size) {
  return cuda::DeviceBuffer::of(std::span(static_cast<const std::byte*>(bytes), size));
}

std::vector<std::byte> from_gpu(const cuda::DeviceBuffer& buffer, size_t size) {
  std::vector<std::byte> bytes(size);
  cuda::check(cudaMemcpy(bytes.data(), buffer.data(), size, cudaMemcpyDeviceToHost), "copying");
  return bytes;
}

/// What tensors hold, as floats: halves are exact in them.
std::vector<float> numbers(const std::vector<std::byte>& bytes, bool half) {
  std::vector<float> values(bytes.size() / (half ? 2 : 4));
  if (!half) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t word = 0;
    std::memcpy(&word, bytes.data() + 2 * i, 2);
    values[i] = f16_to_f32(word);
  }
  return values;
}

std::vector<std::byte> tensor(const std::vector<float>& values, bool half) {
  std::vector<std::byte> bytes(values.size() * (half ? 2 : 4));
  if (!half) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t word = f32_to_f16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &word, 2);
  }
  return bytes;
}

Activations planes_of(std::vector<float>& values, Size size) {
  const ptrdiff_t plane = ptrdiff_t(size.width) * size.height;
  return {values.data(), 3, plane, size.width, 1};
}

size_t pixels(Size size) {
  return size_t(size.width) * size_t(size.height);
}

class TensorrtSamples : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) GTEST_SKIP() << "no GPU";
  }

  test::Random random_{11};
};

TEST_F(TensorrtSamples, GatherAsTheProcessorDoes) {
  for (const SampleType type : kTypes) {
    for (const int components : {1, 3}) {
      for (const auto& [size, padded] :
           {std::pair(Size{37, 21}, Size{37, 21}), {{37, 21}, {40, 24}}, {{1, 1}, {4, 4}}}) {
        const Frame picture = test::random_frame(random_, size, type, components);
        std::vector<float> wanted(3 * pixels(padded));
        gather(picture.colour(), whole(size), planes_of(wanted, padded), padded.width, 0,
               padded.height);
        for (const bool half : {false, true}) {
          const auto src = on_gpu(picture.data(), picture.total_bytes());
          const std::vector<std::byte> poison(wanted.size() * (half ? 2 : 4), std::byte(0xaa));
          const auto dst = on_gpu(poison.data(), poison.size());
          gather(cuda::Packed{src.data(), size, type, components}, {dst.data(), padded, half},
                 nullptr);
          EXPECT_EQ(numbers(from_gpu(dst, poison.size()), half),
                    numbers(tensor(wanted, half), half))
              << int(type) << " " << components << " " << padded.width << " " << half;
        }
      }
    }
  }
}

TEST_F(TensorrtSamples, StoreAsTheProcessorDoes) {
  const Size size = {43, 30};
  const Rect part = {5, 3, 31, 22};
  for (const SampleType type : kTypes) {
    for (const int components : {1, 3}) {
      for (const bool half : {false, true}) {
        std::vector<float> values(3 * pixels(size));
        for (float& value : values) value = random_.uniform(-0.2f, 1.2f);
        const std::vector<std::byte> bytes = tensor(values, half);
        values = numbers(bytes, half);  // as they are rounded
        Frame wanted(part.size(), type, components);
        Activations from = planes_of(values, size);
        from.data = from.pixel(part.x, part.y);
        store(from, wanted.colour(), whole(part.size()), 0, part.height);

        const auto src = on_gpu(bytes.data(), bytes.size());
        const std::vector<std::byte> poison(wanted.total_bytes(), std::byte(0xaa));
        const auto dst = on_gpu(poison.data(), poison.size());
        const int zero = 0;
        const auto flag = on_gpu(&zero, sizeof zero);
        store(Planes{src.data(), size, half}, {part.x, part.y},
              cuda::Packed{dst.data(), part.size(), type, components}, flag.as<int>(), nullptr);
        const auto got = from_gpu(dst, poison.size());
        EXPECT_EQ(std::memcmp(got.data(), wanted.data(), got.size()), 0)
            << int(type) << " " << components << " " << half;
        EXPECT_EQ(from_gpu(flag, sizeof zero), std::vector<std::byte>(sizeof zero));
      }
    }
  }
}

TEST_F(TensorrtSamples, StoreTellsOfWhatIsNotFinite) {
  const Size size = {20, 10};
  for (const float wrong :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    for (const bool inside : {false, true}) {
      std::vector<float> values(3 * pixels(size), 0.5f);
      values[pixels(size) + size_t(inside ? 4 * size.width + 7 : 0)] = wrong;  // green
      const auto bytes = tensor(values, true);
      const auto src = on_gpu(bytes.data(), bytes.size());
      const Size part = {12, 5};
      const cuda::DeviceBuffer dst(3 * pixels(part));
      const int zero = 0;
      const auto flag = on_gpu(&zero, sizeof zero);
      store(Planes{src.data(), size, true}, {3, 2},
            cuda::Packed{dst.data(), part, SampleType::u8, 3}, flag.as<int>(), nullptr);
      int told = 0;
      std::memcpy(&told, from_gpu(flag, sizeof told).data(), sizeof told);
      EXPECT_EQ(told, int(inside));
    }
  }
}

}  // namespace
}  // namespace upres::tensorrt
