// SPDX-License-Identifier: Apache-2.0
// The processor's convolutions, layer by layer and for every instruction set that this machine
// runs, against their definition in double precision. Needs nothing but the kernels, so that it
// also runs where it is compiled for another processor (./dev test-arm).
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <optional>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_convolution.h"
#include "pixel/sample.h"
#include "support/networks.h"
#include "tensor/tensor.h"

namespace upres::cpu {
namespace {

using test::Random;

// Of values about 1; F(6, 3) loses two bits to its factors, large sums one or two more.
constexpr double kTolerance = 5e-5;

/// A value of random numbers in memory of its own, between other channels and with NaN around it.
class Value {
 public:
  /// `before`, `behind`: channels of the wider value that it is a part of, multiples of `lanes`.
  /// `rows`: those that are there.
  Value(int lanes, int channels, Size size, std::optional<Range> rows = {}, int before = 0,
        int behind = 0) {
    const int pitch = (channels + lanes - 1) / lanes * lanes + before + behind;
    const Range there = rows.value_or(Range{0, size.height});
    count_ = size_t(pitch) * size_t(size.width) * size_t(there.last - there.first);
    memory_ = Buffer(count_ * sizeof(float));
    std::memset(memory_.data(), 0xff, memory_.size_bytes());
    blocks_ = {.data = floats() + before,
               .channels = channels,
               .height = size.height,
               .width = size.width,
               .lanes = lanes,
               .first_row = there.first,
               .rows = there.last - there.first,
               .group_stride = lanes,
               .row_stride = ptrdiff_t(size.width) * pitch,
               .pixel_stride = pitch};
  }

  void fill(Random& random) {
    for (int y = blocks_.first_row; y <= blocks_.last_row(); ++y) {
      for (int x = 0; x < blocks_.width; ++x) {
        for (int c = 0; c < blocks_.channels; ++c) at(c, y, x) = random.uniform(-1, 1);
      }
    }
  }
  /// The same rows of a value that has them all.
  void copy(const Value& from) {
    for (int y = blocks_.first_row; y <= blocks_.last_row(); ++y) {
      for (int x = 0; x < blocks_.width; ++x) {
        for (int c = 0; c < blocks_.channels; ++c) at(c, y, x) = from.at(c, y, x);
      }
    }
  }

  const Blocks& blocks() const { return blocks_; }
  float& at(int c, int y, int x) const { return blocks_.row(0, y)[x * blocks_.pixel_stride + c]; }
  /// Whether the other channels of the wider value are NaN as before. The lanes beyond the last
  /// channel may have been written.
  bool nothing_written_beside() const {
    const ptrdiff_t begin = blocks_.data - floats();
    const ptrdiff_t end = begin + blocks_.groups() * blocks_.lanes;
    for (size_t i = 0; i < count_; ++i) {
      const ptrdiff_t channel = ptrdiff_t(i) % blocks_.pixel_stride;
      if ((channel < begin || channel >= end) && !std::isnan(floats()[i])) return false;
    }
    return true;
  }

 private:
  float* floats() const {
    return const_cast<float*>(reinterpret_cast<const float*>(memory_.data()));
  }

  Buffer memory_;
  size_t count_ = 0;
  Blocks blocks_;
};

/// A layer and what it is run on.
struct Case {
  Conv2d conv;
  Size size;  ///< of its sums
  int addends = 0;
};

/// What the definition makes of output `o` at (x, y), before a shuffle, without what is added.
double by_definition(const Conv2d& conv, const Value& in, int o, int y, int x) {
  const int reach = conv.kernel / 2;
  const int height = in.blocks().height * conv.enlarge;
  const int width = in.blocks().width * conv.enlarge;
  double sum = (*conv.biases)[size_t(o)];
  const float* weight =
      conv.weights->data() + ptrdiff_t(o) * conv.in_channels * conv.kernel * conv.kernel;
  for (int c = 0; c < conv.in_channels; ++c) {
    for (int ky = y - reach; ky <= y + reach; ++ky) {
      for (int kx = x - reach; kx <= x + reach; ++kx, ++weight) {
        if (ky < 0 || ky >= height || kx < 0 || kx >= width) continue;
        sum += double(*weight) * in.at(c, ky / conv.enlarge, kx / conv.enlarge);
      }
    }
  }
  const auto& slopes = conv.epilogue.activation.slopes;
  if (sum < 0 && !slopes.empty()) sum *= slopes[slopes.size() == 1 ? 0 : size_t(o)];
  return sum;
}

/// Every wanted value: `out` holds rows of it.
std::vector<double> wanted_values(const Case& c, const Value& in, const std::vector<Value>& addends,
                                  const Blocks& out) {
  const int s = c.conv.shuffle;
  std::vector<double> wanted;
  for (int y = out.first_row; y <= out.last_row(); ++y) {
    for (int x = 0; x < out.width; ++x) {
      for (int channel = 0; channel < out.channels; ++channel) {
        const int o = (channel * s + y % s) * s + x % s;
        double value = by_definition(c.conv, in, o, y / s, x / s);
        for (size_t i = 0; i < addends.size(); ++i) {
          value += double(c.conv.epilogue.addends[i].scale) * addends[i].at(channel, y / s, x / s);
        }
        wanted.push_back(value);
      }
    }
  }
  return wanted;
}

class CpuLayer : public testing::Test {
 protected:
  void SetUp() override { omp_set_num_threads(3); }

  /// Runs the layer with every set of kernels, over `rows` of its result (all) in the middle of a
  /// wider value, and holds it to the definition.
  void expect_right(Case c, std::optional<Range> rows = {}) {
    const Size in_size{c.size.width / c.conv.enlarge, c.size.height / c.conv.enlarge};
    const int shuffle = c.conv.shuffle;
    const Size out_size{c.size.width * shuffle, c.size.height * shuffle};
    const int out_channels = c.conv.out_channels / (shuffle * shuffle);
    for (int i = 0; i < c.addends; ++i) {
      c.conv.epilogue.addends.push_back({0, 0.3f - float(i), shuffle});
    }
    std::vector<double> wanted;
    const Random before = random_;
    for (const Kernels* kernels : runnable_kernels()) {
      SCOPED_TRACE(testing::Message()
                   << kernels->name << ": " << c.conv.kernel << "x" << c.conv.kernel << " "
                   << c.conv.in_channels << "->" << c.conv.out_channels << ", " << c.size.width
                   << "x" << c.size.height << ", enlarged " << c.conv.enlarge << ", shuffled "
                   << shuffle << ", " << c.addends << " addends");
      random_ = before;  // the same numbers for all
      const int lanes = kernels->lanes;
      Value in(lanes, c.conv.in_channels, in_size, {}, lanes, 2 * lanes);
      in.fill(random_);
      std::vector<Value> addends;
      std::vector<Blocks> blocks;
      for (int i = 0; i < c.addends; ++i) {
        addends.emplace_back(lanes, out_channels, c.size, std::nullopt, 0, lanes);
        addends.back().fill(random_);
        blocks.push_back(addends.back().blocks());
      }
      Value out(lanes, out_channels, out_size, rows, 2 * lanes, lanes);
      if (wanted.empty()) wanted = wanted_values(c, in, addends, out.blocks());

      const auto layer = pack_convolution(c.conv, *kernels);
      Buffer scratch(layer->scratch_bytes(omp_get_max_threads()));
      std::memset(scratch.data(), 0xff, scratch.size_bytes());
      layer->prepare(out_size.height, out_size.width)
          ->run(in.blocks(), blocks, out.blocks(), scratch.data());

      double largest = 0;
      size_t i = 0;
      for (int y = out.blocks().first_row; y <= out.blocks().last_row(); ++y) {
        for (int x = 0; x < out_size.width; ++x) {
          for (int channel = 0; channel < out_channels; ++channel) {
            const double difference = std::abs(out.at(channel, y, x) - wanted[i++]);
            largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
          }
        }
      }
      EXPECT_LE(largest, kTolerance);
      EXPECT_TRUE(out.nothing_written_beside());
    }
  }

  Random random_{20261125};
};

TEST_F(CpuLayer, OfEveryWidthFollowsItsDefinition) {
  for (const int in : {3, 8, 24, 64, 96, 160, 192}) {
    for (const int out : {3, 5, 16, 32, 48, 64}) {
      expect_right({.conv = test::random_conv(random_, in, out), .size = {13, 8}});
    }
  }
}

// Up to two tiles of six pixels and one more; small ones are made in tiles of four.
TEST_F(CpuLayer, OfEverySizeFollowsItsDefinition) {
  for (const int height : {1, 2, 4, 5, 6, 7, 12, 13}) {
    for (const int width : {1, 3, 4, 5, 6, 8, 11, 12, 13, 41}) {
      expect_right({.conv = test::random_conv(random_, 16, 24), .size = {width, height}});
    }
  }
}

TEST_F(CpuLayer, OfEveryKernelFollowsItsDefinition) {
  for (const int kernel : {1, 3, 5, 7}) {
    for (const int enlarge : {1, 2}) {
      for (const int width : {2, 14, 50}) {
        Conv2d conv = test::random_conv(random_, 12, 20, kernel);
        conv.enlarge = enlarge;
        expect_right({.conv = conv, .size = {width, 6}, .addends = 1});
      }
    }
  }
}

TEST_F(CpuLayer, EveryEpilogueFollowsItsDefinition) {
  const Activation activations[] = {{},
                                    {Activation::Kind::relu, {0}},
                                    test::leaky_relu(0.2f),
                                    test::leaky_relu(-0.3f),
                                    test::leaky_relu(1.5f),
                                    test::random_prelu(random_, 20)};
  for (const Activation& activation : activations) {
    for (const int addends : {0, 1, 2, 3}) {
      for (const Size size : {Size{3, 4}, Size{17, 12}}) {
        Conv2d conv = test::random_conv(random_, 32, 20);
        conv.epilogue.activation = activation;
        expect_right({.conv = conv, .size = size, .addends = addends});
      }
    }
  }
}

TEST_F(CpuLayer, ReadsAnEnlargedInput) {
  for (const int enlarge : {2, 3, 4}) {
    for (const Size size : {Size{1, 1}, Size{2, 3}, Size{5, 7}, Size{10, 6}}) {
      Conv2d conv = test::random_conv(random_, 16, 16);
      conv.enlarge = enlarge;
      expect_right({.conv = conv, .size = {size.width * enlarge, size.height * enlarge}});
    }
  }
}

TEST_F(CpuLayer, ShufflesItsResultOverTheBase) {
  for (const int addends : {0, 1}) {
    for (const Size size : {Size{1, 1}, Size{4, 3}, Size{6, 6}, Size{14, 9}}) {
      Conv2d conv = test::random_conv(random_, 24, 48);
      conv.shuffle = 4;
      expect_right({.conv = conv, .size = size, .addends = addends});
    }
  }
}

TEST_F(CpuLayer, MakesTheRowsThatAreThere) {
  for (const Range rows : {Range{0, 7}, Range{5, 6}, Range{3, 20}, Range{19, 23}}) {
    expect_right({.conv = test::random_conv(random_, 16, 16), .size = {14, 23}, .addends = 1},
                 rows);
    Conv2d conv = test::random_conv(random_, 16, 48);
    conv.shuffle = 4;
    expect_right({.conv = conv, .size = {7, 23}, .addends = 1},
                 Range{rows.first * 4, rows.last * 4});
  }
}

TEST_F(CpuLayer, ReadsNoRowsButThoseThatItNeeds) {
  for (const Kernels* kernels : runnable_kernels()) {
    Conv2d conv = test::random_conv(random_, 16, 16);
    conv.enlarge = 2;
    const Size size{9, 20};
    Value whole_in(kernels->lanes, 16, size);
    whole_in.fill(random_);
    Value rows_in(kernels->lanes, 16, size, Range{6, 12});
    rows_in.copy(whole_in);
    const Range made{13, 23};  // reads rows 12 to 23 of the enlarged picture
    Value from_whole(kernels->lanes, 16, {18, 40}, made);
    Value from_rows(kernels->lanes, 16, {18, 40}, made);
    const auto layer = pack_convolution(conv, *kernels);
    Buffer scratch(layer->scratch_bytes(omp_get_max_threads()));
    const auto prepared = layer->prepare(40, 18);
    prepared->run(whole_in.blocks(), {}, from_whole.blocks(), scratch.data());
    prepared->run(rows_in.blocks(), {}, from_rows.blocks(), scratch.data());
    for (int y = made.first; y < made.last; ++y) {
      for (int x = 0; x < 18; ++x) {
        for (int c = 0; c < 16; ++c) {
          // Not equal: tiles that reach beyond these rows read zeros there.
          ASSERT_NEAR(from_rows.at(c, y, x), from_whole.at(c, y, x), kTolerance);
        }
      }
    }
  }
}

TEST_F(CpuLayer, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Conv2d conv = test::random_conv(random_, 48, 40);
  const Kernels& kernels = *runnable_kernels().front();
  const Size size{61, 47};
  Value in(kernels.lanes, 48, size);
  in.fill(random_);
  std::vector<Value> results;
  for (const int threads : {1, 2, 7}) {
    omp_set_num_threads(threads);
    const auto layer = pack_convolution(conv, kernels);
    Buffer scratch(layer->scratch_bytes(threads));
    results.emplace_back(kernels.lanes, 40, size);
    layer->prepare(size.height, size.width)
        ->run(in.blocks(), {}, results.back().blocks(), scratch.data());
  }
  for (size_t i = 1; i < results.size(); ++i) {
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        for (int c = 0; c < 40; ++c) ASSERT_EQ(results[i].at(c, y, x), results[0].at(c, y, x));
      }
    }
  }
}

TEST(RunnableKernels, BeginWithTheBestThatTheProcessorHas) {
  const auto& all = runnable_kernels();
  ASSERT_FALSE(all.empty());
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i]->lanes, all[i - 1]->lanes);
#if defined(__aarch64__)
  EXPECT_EQ(all.front()->name, "neon");
#elif defined(__x86_64__)
  EXPECT_EQ(all.front()->name, __builtin_cpu_supports("avx512dq") ? "avx512"
                               : __builtin_cpu_supports("avx2")   ? "avx2"
                                                                  : all.front()->name);
  EXPECT_EQ(all.back()->name, "plain");
#endif
}

TEST(StoreRgb8, GivesTheBytesThatTheLoopsOfPixelGive) {
  Random random(5);
  const float odd[] = {0.0f,      -0.0f,      -1e30f,         1e30f, NAN,          INFINITY,
                       -INFINITY, 0.5f / 255, 0.49999f / 255, 1.0f,  254.5f / 255, 254.499f / 255};
  for (const Kernels* kernels : runnable_kernels()) {
    SCOPED_TRACE(kernels->name);
    constexpr int kPixels = 1000;
    const int pitch = std::max(kernels->lanes, 3);
    std::vector<float> pixels(size_t(kPixels) * size_t(pitch));
    for (size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = i % 7 == 0 ? odd[i / 7 % std::size(odd)] : random.uniform(-0.2f, 1.2f);
    }
    for (const ptrdiff_t step : {ptrdiff_t(1), ptrdiff_t(3), ptrdiff_t(4)}) {
      std::vector<uint8_t> planes(size_t(kPixels) * 12 + 12, 77);
      const auto plane = [&](int c) {  // packed, or one behind the other
        return planes.data() + (step == 1 ? c * (kPixels + 1) : c);
      };
      uint8_t* const to[3] = {plane(0), plane(1), plane(2)};
      kernels->store_rgb8(pixels.data(), pitch, kPixels, to, step);
      for (int x = 0; x < kPixels; ++x) {
        for (int c = 0; c < 3; ++c) {
          const float value = pixels[size_t(x * pitch + c)];
          ASSERT_EQ(to[c][x * step], to_sample<uint8_t>(value)) << value;
        }
      }
      EXPECT_EQ(to[2][kPixels * step], 77) << "nothing behind the last pixel";
      if (step == 4) {
        EXPECT_EQ(to[2][1], 77) << "nothing between pixels";
      }
    }
  }
}

}  // namespace
}  // namespace upres::cpu
