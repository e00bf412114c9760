// SPDX-License-Identifier: Apache-2.0
// What of the CUDA backend runs without a GPU: how weights are packed, which kernel is chosen, and
// how memory is laid out.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "backend/cuda/layout.h"
#include "backend/cuda/row_stream.h"
#include "base/half.h"
#include "compile/compile.h"
#include "support/bands.h"
#include "support/networks.h"

namespace upres::cuda {
namespace {

using test::Random;

constexpr Capabilities kCapabilities{.fused_epilogue = true,
                                     .slice_alignment = kBlock,
                                     .enlarged_inputs = true,
                                     .shuffled_result = 4};

/// A picture of one pixel that is 1 in one channel, through the weights as the kernel reads them:
/// what each input row adds to the sums of the output rows around it.
class PackedConvolution {
 public:
  PackedConvolution(const Conv2d& conv, const RowStreamVariant& variant, bool upwards)
      : conv_(conv),
        variant_(variant),
        upwards_(upwards),
        packed_(pack_row_stream(conv, variant, upwards)) {}

  /// What the output `out` of the pixel (dx, dy) beside the one that is set is, in pixels of the
  /// output; the set one's first pixel is (0, 0).
  float at(int in, int out, int dx, int dy) const {
    const int row_taps = variant_.enlarged ? 4 : 3;
    const int column_taps = variant_.enlarged ? 2 : 3;
    const int rows_of_b = row_taps * variant_.outputs;
    const int split_bytes = variant_.inputs * column_taps * rows_of_b;
    // The sums' rows, in order: i-1, i, i+1; or 2i-1, 2i, 2i+1, 2i+2.
    const int row = variant_.enlarged ? dy + 1 : dy + 1;
    if (row < 0 || row >= row_taps) return 0;
    const int tap = upwards_ ? row_taps - 1 - row : row;
    int split = out / variant_.outputs;
    int column_tap = 1 - dx;
    if (variant_.enlarged) {
      const int phase = (dx % 2 + 2) % 2;
      const int from = (dx - phase) / 2;  // the output's column, in pixels of the input
      split = split * 2 + phase;
      column_tap = phase == 0 ? 1 - from : -from;
    }
    if (column_tap < 0 || column_tap >= column_taps) return 0;
    int row_of_b = -1;
    for (int n = 0; n < variant_.outputs; ++n) {
      if (output_of(variant_.sink, n % 8 / 2, n / 8 * 2 + n % 2) == out % variant_.outputs) {
        row_of_b = tap * variant_.outputs + n;
      }
    }
    const int unit = in / kUnitChannels;
    const int in_unit = std::min(kUnitChannels, variant_.inputs - unit * kUnitChannels);
    const int index = split * split_bytes + unit * kUnitChannels * column_taps * rows_of_b +
                      (column_tap * (in_unit / 8) + in % kUnitChannels / 8) * rows_of_b * 8 +
                      row_of_b * 8 + in % 8;
    return f16_to_f32(packed_.at(size_t(index)));
  }

 private:
  const Conv2d& conv_;
  RowStreamVariant variant_;
  bool upwards_;
  std::vector<uint16_t> packed_;
};

/// The same by the convolution's definition.
float by_definition(const Conv2d& conv, int in, int out, int dx, int dy) {
  float sum = 0;
  for (int ky = 0; ky < 3; ++ky) {
    for (int kx = 0; kx < 3; ++kx) {
      const auto cell = [&](int at) { return at >= 0 && at < conv.enlarge; };
      if (cell(dx + kx - 1) && cell(dy + ky - 1)) {
        sum += (*conv.weights)[size_t((out * conv.in_channels + in) * 9 + ky * 3 + kx)];
      }
    }
  }
  return sum;
}

TEST(RowStream, PacksEveryVariantsWeightsAsTheConvolutionDefinesThem) {
  Random random(7);
  for (const RowStreamVariant& variant : kRowStreamVariants) {
    Conv2d conv = test::random_conv(random, variant.inputs == kGroup ? 3 : variant.inputs,
                                    variant.sink == Sink::samples            ? 3
                                    : variant.sink == Sink::shuffled_samples ? 48
                                                                             : 64);
    conv.enlarge = variant.enlarged ? 2 : 1;
    for (const bool upwards : {false, true}) {
      SCOPED_TRACE(testing::Message()
                   << variant.inputs << " to " << variant.outputs << ", enlarged "
                   << variant.enlarged << ", upwards " << upwards);
      const PackedConvolution packed(conv, variant, upwards);
      for (int in = 0; in < conv.in_channels; in += 5) {
        for (int out = 0; out < conv.out_channels; ++out) {
          for (int dy = -2; dy <= 3; ++dy) {
            for (int dx = -2; dx <= 3; ++dx) {
              const float wanted = by_definition(conv, in, out, dx, dy);
              ASSERT_NEAR(packed.at(in, out, dx, dy), wanted, 2e-3f * std::abs(wanted) + 1e-6f)
                  << "input " << in << ", output " << out << " at " << dx << "," << dy;
            }
          }
        }
      }
    }
  }
}

TEST(RowStream, PacksALastConvolutionsProducts) {
  Random random(7);
  const Conv2d last = test::random_conv(random, 64, 3);
  for (const bool upwards : {false, true}) {
    const std::vector<uint16_t> packed = pack_last(last, upwards);
    ASSERT_EQ(packed.size(), size_t(64 * kLastOutputs));
    for (int in = 0; in < 64; ++in) {
      for (int n = 0; n < kLastOutputs; ++n) {
        // A row above the one that is made comes first on the way down.
        const int row = upwards ? 2 - n / 9 : n / 9;
        const int tap = row * 3 + n / 3 % 3;
        const float wanted =
            n < kLastProducts ? (*last.weights)[size_t((n % 3 * 64 + in) * 9 + tap)] : 0;
        const float got = f16_to_f32(packed[size_t((in / 8 * kLastOutputs + n) * 8 + in % 8)]);
        ASSERT_NEAR(got, wanted, 1e-3f * std::abs(wanted) + 1e-6f) << in << " " << n;
      }
    }
  }
}

TEST(RowStream, MakesThePublishedTailsLastTwoLayersAtOnce) {
  Random random(7);
  const Graph graph = optimise(test::rrdbnet(random, 64, 32, 1), kCapabilities);
  const auto& nodes = graph.nodes();
  const auto& last = std::get<Conv2d>(nodes.back().op);
  const auto& conv = std::get<Conv2d>(nodes[nodes.size() - 2].op);
  EXPECT_TRUE(makes_row_stream_pair(conv, last));
  Conv2d other = conv;
  other.epilogue.activation.slopes.assign(64, 0.1f);
  EXPECT_FALSE(makes_row_stream_pair(other, last)) << "every channel has its slope";
  other = last;
  other.kernel = 1;
  EXPECT_FALSE(makes_row_stream_pair(conv, other));
}

TEST(Layout, AValueThatIsNeverThereTakesNoMemory) {
  Random random(7);
  Graph graph;
  const ValueId first = graph.add("first", test::random_conv(random, 3, 64), {graph.add_input(3)});
  const ValueId conv = graph.add("conv", test::random_conv(random, 64, 64), {first});
  graph.set_output(graph.add("last", test::random_conv(random, 64, 3), {conv}));
  const Size size{300, 200};
  const size_t value = size_t(300) * 200 * 64 * 2;
  EXPECT_GE(plan_layout(graph, size, Element::f16).arena.size_bytes, 2 * value);
  EXPECT_LT(plan_layout(graph, size, Element::f16, conv).arena.size_bytes, 2 * value);
}

TEST(RowStream, RunsEveryLayerOfThePublishedNetworks) {
  Random random(7);
  for (const Graph& plain : {test::srvgg(random, 64, 2, 4), test::rrdbnet(random, 64, 32, 1)}) {
    const Graph graph = optimise(plain, kCapabilities);
    for (const Node& node : graph.nodes()) {
      const auto* conv = std::get_if<Conv2d>(&node.op);
      ASSERT_TRUE(conv) << node.name << " is no convolution";
      EXPECT_TRUE(find_row_stream(*conv, sink_of(graph, node))) << node.name;
    }
  }
}

TEST(RowStream, LeavesToOthersWhatItHasNoKernelFor) {
  Random random(7);
  EXPECT_FALSE(find_row_stream(test::random_conv(random, 64, 64, 5), Sink::activations));
  EXPECT_FALSE(find_row_stream(test::random_conv(random, 48, 64), Sink::activations));
  EXPECT_FALSE(find_row_stream(test::random_conv(random, 224, 32), Sink::activations));
  EXPECT_FALSE(find_row_stream(test::random_conv(random, 64, 16), Sink::activations))
      << "its storage has narrower blocks";
  Conv2d conv = test::random_conv(random, 64, 64);
  conv.enlarge = 4;
  EXPECT_FALSE(find_row_stream(conv, Sink::activations));
}

TEST(Layout, EveryBandMakesTheRowsThatItsLaterLayersRead) {
  Random random(7);
  for (const Size size : {Size{960, 540}, Size{301, 1111}, Size{2000, 77}}) {
    const Graph graph = optimise(test::rrdbnet(random, 64, 32, 1), kCapabilities);
    const Layout layout = plan_layout(graph, size, Element::f16);
    ASSERT_LT(layout.first_banded, graph.nodes().size());
    int next = 0;
    for (const auto& band : layout.bands) {
      const Interval made = band[size_t(graph.output())];
      EXPECT_EQ(made.first, next) << "bands make every row of the result once";
      next = made.last + 1;
    }
    test::expect_bands_hold_what_they_read(graph, layout.first_banded, size, layout.bands);
    EXPECT_EQ(next, size.height * 4);
  }
}

TEST(Layout, ATailTakesNoMoreMemoryThanTheBody) {
  Random random(7);
  const Graph graph = optimise(test::rrdbnet(random, 64, 32, 2), kCapabilities);
  const Layout layout = plan_layout(graph, {960, 540}, Element::f16);
  // A dense block's storage of 192 channels; three of them live at once, and the first layer's 64.
  const size_t block = size_t(960) * 540 * 192 * 2;
  EXPECT_LE(layout.arena.size_bytes, 5 * block);
  EXPECT_GT(layout.bands.size(), 2u);
}

TEST(Layout, ValuesThatLiveAtOnceDoNotShareMemory) {
  Random random(7);
  const Graph graph = optimise(test::rrdbnet(random, 64, 32, 1), kCapabilities);
  const Layout layout = plan_layout(graph, {500, 400}, Element::f16);
  const auto bytes = [&](ValueId id, size_t band) {
    const Activations value = place(graph, layout, band, id, nullptr);
    const auto begin = reinterpret_cast<uintptr_t>(value.data);
    return std::pair(begin, begin + size_t(whole_blocks(value.channels) / value.block) *
                                        size_t(value.block_stride) * size_bytes(value.element));
  };
  for (size_t band = 0; band < layout.bands.size(); ++band) {
    for (const Node& node : graph.nodes()) {
      const auto [out_begin, out_end] = bytes(node.output, band);
      if (node.output == graph.output()) continue;  // stored as samples
      EXPECT_LE(out_end, layout.arena.size_bytes);
      for (const ValueId id : reads(node)) {
        const auto [begin, end] = bytes(id, band);
        EXPECT_TRUE(out_end <= begin || end <= out_begin) << node.name;
      }
    }
  }
}

TEST(Activations, SmallStoragesHaveNarrowBlocks) {
  EXPECT_EQ(block_of(3), 16);
  EXPECT_EQ(block_of(17), 32);
  EXPECT_EQ(whole_blocks(3), 16);
  EXPECT_EQ(whole_blocks(48), 64);
  EXPECT_EQ(whole_groups(48), 48);
}

}  // namespace
}  // namespace upres::cuda
