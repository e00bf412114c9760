// SPDX-License-Identifier: Apache-2.0
// The project's own convolutions, and what else is worth it, compiled for several instruction sets.
// Values have a pixel's channels side by side (blocks.h). What is here says nothing of threads:
// callers share the work out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "backend/cpu/blocks.h"

namespace upres::cpu {

/// A value that an epilogue adds, with its factor.
struct AddendBlocks {
  Blocks blocks;
  float scale;
};

/// A convolution of odd `kernel`, stride 1, zeros around the picture.
///
/// Weights are cut into panels of two vectors of outputs, [panels][...][2 * lanes]; the last panel
/// is one vector wide where that holds the rest. The outputs beyond the last one are zeros.
struct ConvolutionWork {
  Blocks in;
  int kernel;
  int enlarge;  ///< `in` is read as if every pixel were repeated so often along both sides
  Blocks out;   ///< the rows that are there are made
  int out_channels;
  int shuffle;           ///< 1, or 4: what is stored is shuffled first, as by PixelShuffle
  const float* weights;  ///< panels: [in][kernel * kernel], or as the family of kernels has them
  const float* biases;   ///< in whole vectors, as the slopes
  const float* slopes;   ///< factors below zero; 1 where there is no activation
  const AddendBlocks* addends;  ///< with `shuffle`, one: the base, read as if enlarged by it
  int addend_count;

  /// The rows and columns of sums: those of `out` before it is shuffled.
  int first_row() const { return out.first_row / shuffle; }
  int rows() const { return out.rows / shuffle; }
  int columns() const { return out.width / shuffle; }
};

/// A range of things that are counted: [first, last).
struct Range {
  int first;
  int last;
};

/// How a Winograd convolution's pixels are cut: F(tile, 3), tile 4 or 6. Tiles are numbered row by
/// row.
struct TileGrid {
  int tile;
  int columns;
  int count;
  int at_once;  ///< that are transformed before their products are made
};

/// One instruction set's.
struct Kernels {
  std::string_view name;   ///< as UPRES_CPU takes it: "avx2"
  std::string_view title;  ///< "AVX2"
  int lanes;               ///< floats of a vector
  int gemm_rows;           ///< tiles that go through together best are a multiple of this

  /// Floats of weights in Winograd's space, [panels][points][in][width]: whole cache lines.
  size_t (*transformed_floats)(int in_channels, int out_channels, int tile);
  /// Weights of panels, [panels][in][9][width], into Winograd's space.
  /// `rows` counts inputs of panels: panel * in_channels + input.
  void (*transform_weights)(const float* weights, int in_channels, int out_channels, int tile,
                            Range rows, float* transformed);
  /// Floats of scratch memory that `winograd` needs.
  size_t (*winograd_scratch)(int in_channels, const TileGrid& grid);
  /// A range of tiles; work.weights are transformed ones.
  void (*winograd)(const ConvolutionWork& work, const TileGrid& grid, Range tiles, float* scratch);
  size_t (*direct_scratch)(int in_channels, int kernel);
  /// A range of rows, row 0 being the first that is there; work.weights are
  /// [panels][kernel * kernel * in][width].
  void (*direct)(const ConvolutionWork& work, Range rows, float* scratch);
  /// `count` pixels of three floats or more, `pixel_stride` apart, into as many samples of each of
  /// three planes, `step` bytes apart: scaled by 255, rounded half up, clamped, NaN to 0.
  void (*store_rgb8)(const float* pixels, ptrdiff_t pixel_stride, int count,
                     uint8_t* const planes[3], ptrdiff_t step);
};

/// Those that this processor runs, the fastest first; never empty.
const std::vector<const Kernels*>& runnable_kernels();

}  // namespace upres::cpu
