// SPDX-License-Identifier: Apache-2.0
// Convolutions of 3x3 on Hopper's tensor cores: row_stream_sm90.cu has the kernels, this what they
// are chosen by and how they want their weights.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "backend/cuda/convolution_arguments.h"
#include "graph/op.h"

namespace upres::cuda {

/// Which kernel runs a convolution.
struct RowStreamVariant {
  int inputs;     ///< channels
  int outputs;    ///< channels that one block of threads makes
  bool addends;   ///< whether values are added, two at most
  bool enlarged;  ///< whether every pixel of the input counts 2 x 2 times
  Sink sink;
  friend bool operator==(const RowStreamVariant&, const RowStreamVariant&) = default;
};

/// All there are. Networks of other widths run on the portable family.
constexpr RowStreamVariant kRowStreamVariants[] = {
    {32, 32, false, false, Sink::activations},      {64, 32, false, false, Sink::activations},
    {96, 32, false, false, Sink::activations},      {128, 32, false, false, Sink::activations},
    {160, 32, false, false, Sink::activations},     {192, 32, false, false, Sink::activations},
    {64, 64, false, false, Sink::activations},      {64, 32, true, false, Sink::activations},
    {192, 32, true, false, Sink::activations},      {64, 32, false, true, Sink::activations},
    {16, 64, false, false, Sink::activations},      {64, 8, false, false, Sink::samples},
    {64, 48, false, false, Sink::shuffled_samples}, {64, 64, false, false, Sink::convolved_samples},
};

// A unit, which is brought at once: of a row, a strip's columns with their border, and two blocks;
// or, of an input of one group, its channels.
constexpr int kStrip = 64;
constexpr int kUnitPixels = kStrip + 2;
constexpr int kUnitChannels = 2 * kBlock;

/// Pixels at each border of a strip, and rows at each end of its pieces, that are made only for a
/// last convolution to read.
constexpr int margin_of(Sink sink) {
  return sink == Sink::convolved_samples ? 1 : 0;
}

// A last convolution is one multiplication of each row: its products, with [row, column, colour] of
// the weights, are added up to samples.
constexpr int kLastProducts = 3 * 3 * 3;
constexpr int kLastOutputs = 32;  // with what fills them

struct RowStreamArguments {
  ConvolutionArguments convolution;
  CUtensorMap units;  ///< boxes of a unit of the input
  CUtensorMap half;   ///< boxes of half a unit: one block
  int splits;         ///< blocks of threads that share a strip: groups of outputs, column phases
  int step;           ///< 1 downwards, -1 upwards
  int zero;           ///< 0, which the compiler must not know
};

/// The output that value v of a lane's pixel is, of those of its block. `quarter`: lane % 4. The
/// tensor cores put outputs 8 * j + 2 * quarter + {0, 1} of B's rows there.
constexpr int output_of(Sink sink, int quarter, int v) {
  if (sink == Sink::activations) return v / 8 * 32 + quarter * 8 + v % 8;
  if (sink != Sink::shuffled_samples) return v / 2 * 8 + quarter * 2 + v % 2;
  return v % 3 * 16 + quarter * 4 + v / 3;  // a row of 4 pixels, three colours each
}

/// The variant for a convolution whose result goes to `sink`; none: the portable family serves.
/// All that it reads and writes begins at a whole block.
std::optional<RowStreamVariant> find_row_stream(const Conv2d& conv, Sink sink);

/// Whether a kernel makes both: a convolution whose result only the network's last one reads.
bool makes_row_stream_pair(const Conv2d& conv, const Conv2d& last);

/// Blocks of threads that share a strip: groups of outputs, times column phases.
int row_stream_splits(const RowStreamVariant& variant, int out_channels);

/// Weights in the kernel's order, for streams that go down the picture or up.
std::vector<uint16_t> pack_row_stream(const Conv2d& conv, const RowStreamVariant& variant,
                                      bool upwards);

/// The same of a last convolution, for streams that go down the picture or up.
std::vector<uint16_t> pack_last(const Conv2d& last, bool upwards);

/// Makes the kernel ready on the present GPU.
void prepare_row_stream(const RowStreamVariant& variant);

/// What the kernel is given.
RowStreamArguments row_stream_arguments(const RowStreamVariant& variant,
                                        const ConvolutionArguments& args, int splits, bool upwards);

/// Puts it into the stream.
void launch_row_stream(const RowStreamVariant& variant, const RowStreamArguments& args,
                       cudaStream_t stream);

}  // namespace upres::cuda
