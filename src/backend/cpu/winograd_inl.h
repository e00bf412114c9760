// SPDX-License-Identifier: Apache-2.0
// 3x3 convolutions by Winograd's minimal filtering, F(tile, 3) along both sides, compiled for every
// instruction set. Formulas: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks
// (arXiv 1509.09308); points 0, 1, -1, 2, -2 (and 1/2, -1/2 for tile 6), infinity.
//
//    patch of tile + 2 pixels      points                    sums              tile of pixels
//    ┌────────┐   transform_input  [points][tiles][in]  gemm  [points][tiles]  transform_output
//    │  in    │  ───────────────→  x weights            ───→  [panel]         ──────────────→ out
//    └────────┘                    [points][in][panel]                          + epilogue
//
// F(6, 3) makes 36 pixels with 64 products an input and output, where the definition takes 324;
// F(4, 3) makes 16 with 36. Some tiles go through together, so that what they are transformed
// into stays in the second-level cache, while the weights come from the third. Sums are made and
// transformed back for one panel of outputs at a time: all outputs' would not fit beside the input.
#if defined(UPRES_BACKEND_CPU_WINOGRAD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef UPRES_BACKEND_CPU_WINOGRAD_INL_H
#undef UPRES_BACKEND_CPU_WINOGRAD_INL_H
#else
#define UPRES_BACKEND_CPU_WINOGRAD_INL_H
#endif

#include <hwy/highway.h>

#include "backend/cpu/epilogue_inl.h"
#include "backend/cpu/gemm_inl.h"
#include "backend/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

/// One-dimensional transforms. `input` is of kTile + 2 pixels to as many points, `output` of points
/// to kTile sums; kWeights takes three weights to points.
template <int kTile>
struct Transform;

template <>
struct Transform<4> {
  static constexpr float kWeights[6][3] = {{1.0f / 4, 0, 0},
                                           {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                                           {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                                           {1.0f / 24, 1.0f / 12, 1.0f / 6},
                                           {1.0f / 24, -1.0f / 12, 1.0f / 6},
                                           {0, 0, 1}};

  static HWY_INLINE void input(const Vector (&d)[6], Vector (&t)[6]) {
    const Floats f;
    const Vector two = hn::Set(f, 2.0f);
    const Vector four = hn::Set(f, 4.0f);
    const Vector five = hn::Set(f, 5.0f);
    const Vector even1 = hn::NegMulAdd(four, d[2], d[4]);
    const Vector odd1 = hn::NegMulAdd(four, d[1], d[3]);
    const Vector even2 = hn::Sub(d[4], d[2]);
    const Vector odd2 = hn::Mul(two, hn::Sub(d[3], d[1]));
    t[0] = hn::NegMulAdd(five, d[2], hn::MulAdd(four, d[0], d[4]));
    t[1] = hn::Add(even1, odd1);
    t[2] = hn::Sub(even1, odd1);
    t[3] = hn::Add(even2, odd2);
    t[4] = hn::Sub(even2, odd2);
    t[5] = hn::NegMulAdd(five, d[3], hn::MulAdd(four, d[1], d[5]));
  }

  static HWY_INLINE void output(const Vector (&m)[6], Vector (&s)[4]) {
    const Floats f;
    const Vector sum1 = hn::Add(m[1], m[2]);
    const Vector sum2 = hn::Add(m[3], m[4]);
    const Vector difference1 = hn::Sub(m[1], m[2]);
    const Vector difference2 = hn::Sub(m[3], m[4]);
    s[0] = hn::Add(m[0], hn::Add(sum1, sum2));
    s[1] = hn::MulAdd(hn::Set(f, 2.0f), difference2, difference1);
    s[2] = hn::MulAdd(hn::Set(f, 4.0f), sum2, sum1);
    s[3] = hn::Add(m[5], hn::MulAdd(hn::Set(f, 8.0f), difference2, difference1));
  }
};

template <>
struct Transform<6> {
  static constexpr float kWeights[8][3] = {{1, 0, 0},
                                           {-2.0f / 9, -2.0f / 9, -2.0f / 9},
                                           {-2.0f / 9, 2.0f / 9, -2.0f / 9},
                                           {1.0f / 90, 1.0f / 45, 2.0f / 45},
                                           {1.0f / 90, -1.0f / 45, 2.0f / 45},
                                           {32.0f / 45, 16.0f / 45, 8.0f / 45},
                                           {32.0f / 45, -16.0f / 45, 8.0f / 45},
                                           {0, 0, 1}};

  static HWY_INLINE void input(const Vector (&d)[8], Vector (&t)[8]) {
    const Floats f;
    const auto of = [&](float value) { return hn::Set(f, value); };
    t[0] = hn::MulAdd(of(5.25f), hn::Sub(d[4], d[2]), hn::Sub(d[0], d[6]));
    t[7] = hn::MulAdd(of(5.25f), hn::Sub(d[3], d[5]), hn::Sub(d[7], d[1]));
    Vector even = hn::NegMulAdd(of(4.25f), d[4], hn::Add(d[2], d[6]));
    Vector odd = hn::NegMulAdd(of(4.25f), d[3], hn::Add(d[1], d[5]));
    t[1] = hn::Add(even, odd);
    t[2] = hn::Sub(even, odd);
    even = hn::NegMulAdd(of(1.25f), d[4], hn::MulAdd(of(0.25f), d[2], d[6]));
    odd = hn::MulAdd(of(2.0f), d[5], hn::NegMulAdd(of(2.5f), d[3], hn::Mul(of(0.5f), d[1])));
    t[3] = hn::Add(even, odd);
    t[4] = hn::Sub(even, odd);
    even = hn::NegMulAdd(of(5.0f), d[4], hn::MulAdd(of(4.0f), d[2], d[6]));
    odd = hn::MulAdd(of(0.5f), d[5], hn::NegMulAdd(of(2.5f), d[3], hn::Mul(of(2.0f), d[1])));
    t[5] = hn::Add(even, odd);
    t[6] = hn::Sub(even, odd);
  }

  static HWY_INLINE void output(const Vector (&m)[8], Vector (&s)[6]) {
    const Floats f;
    const auto of = [&](float value) { return hn::Set(f, value); };
    const Vector sum1 = hn::Add(m[1], m[2]);
    const Vector sum2 = hn::Add(m[3], m[4]);
    const Vector sum3 = hn::Add(m[5], m[6]);
    const Vector difference1 = hn::Sub(m[1], m[2]);
    const Vector difference2 = hn::Sub(m[3], m[4]);
    const Vector difference3 = hn::Sub(m[5], m[6]);
    s[0] = hn::Add(hn::Add(m[0], sum1), hn::Add(sum2, sum3));
    s[1] = hn::MulAdd(of(0.5f), difference3, hn::MulAdd(of(2.0f), difference2, difference1));
    s[2] = hn::MulAdd(of(0.25f), sum3, hn::MulAdd(of(4.0f), sum2, sum1));
    s[3] = hn::MulAdd(of(0.125f), difference3, hn::MulAdd(of(8.0f), difference2, difference1));
    s[4] = hn::MulAdd(of(0.0625f), sum3, hn::MulAdd(of(16.0f), sum2, sum1));
    s[5] = hn::Add(m[7], hn::MulAdd(of(0.03125f), difference3,
                                    hn::MulAdd(of(32.0f), difference2, difference1)));
  }
};

/// Floats between a point's rows of values and the next point's. The odd cache line keeps points
/// from falling into the same sets of the cache.
HWY_INLINE ptrdiff_t point_stride(ptrdiff_t rows, ptrdiff_t values) {
  return rows * values + 16;
}

/// Floats of a panel's transformed weights.
HWY_INLINE ptrdiff_t panel_floats(int tile, int in_channels, int width) {
  return (tile + 2) * (tile + 2) * point_stride(in_channels, width);
}

HWY_INLINE ptrdiff_t whole_vectors(int channels) {
  return (channels + kLanes - 1) / kLanes * kLanes;
}

inline size_t transformed_floats(int in_channels, int out_channels, int tile) {
  const int panels = panel_count(out_channels);
  return size_t((panels - 1) * panel_floats(tile, in_channels, kPanel) +
                panel_floats(tile, in_channels, panel_width(out_channels, panels - 1)));
}

inline size_t winograd_scratch(int in_channels, const TileGrid& grid) {
  const int points = (grid.tile + 2) * (grid.tile + 2);
  return size_t(points * (point_stride(grid.at_once, whole_vectors(in_channels)) +
                          point_stride(grid.at_once, kPanel)));
}

/// Where a tile's patch of the input is.
template <int kTile>
struct Patch {
  static constexpr int kSide = kTile + 2;
  /// Of the patch's rows and columns, in floats from the input's first; negative where outside of
  /// the picture, or of the rows that are there, which are all that is needed: tiles reach beyond.
  ptrdiff_t rows[kSide];
  ptrdiff_t columns[kSide];
  bool plain = true;  ///< rows and columns that lie side by side, none outside

  /// `y`, `x`: its first row and column, in the enlarged picture.
  Patch(const Blocks& in, int enlarge, int y, int x) {
    for (int i = 0; i < kSide; ++i) {
      const bool in_height =
          y + i >= in.first_row * enlarge && y + i < (in.first_row + in.rows) * enlarge;
      const bool in_width = x + i >= 0 && x + i < in.width * enlarge;
      rows[i] = in_height ? ((y + i) / enlarge - in.first_row) * in.row_stride : -1;
      columns[i] = in_width ? (x + i) / enlarge * in.pixel_stride : -1;
      plain = plain && in_height && in_width && enlarge == 1;
    }
  }
};

/// A patch into points: `to` is its first point's.
template <int kTile, bool kPlain>
HWY_INLINE void transform_patch(const Blocks& in, const Patch<kTile>& patch, float* HWY_RESTRICT to,
                                ptrdiff_t stride) {
  constexpr int kSide = kTile + 2;
  const Floats f;
  const ptrdiff_t row_stride = in.row_stride;
  const ptrdiff_t pixel_stride = in.pixel_stride;
  const int channels = in.channels;
  const float* corner = in.data + (kPlain ? patch.rows[0] + patch.columns[0] : 0);
  for (int c = 0; c < channels; c += kLanes, corner += kLanes, to += kLanes) {
    Vector columns[kSide][kSide];
    for (int j = 0; j < kSide; ++j) {
      Vector pixels[kSide];
      Vector points[kSide];
      for (int i = 0; i < kSide; ++i) {
        if constexpr (kPlain) {
          pixels[i] = hn::Load(f, corner + i * row_stride + j * pixel_stride);
        } else {
          const bool there = patch.columns[j] >= 0 && patch.rows[i] >= 0;
          pixels[i] = there ? hn::Load(f, corner + patch.rows[i] + patch.columns[j]) : hn::Zero(f);
        }
      }
      Transform<kTile>::input(pixels, points);
      for (int i = 0; i < kSide; ++i) columns[i][j] = points[i];
    }
    for (int i = 0; i < kSide; ++i) {
      Vector points[kSide];
      Transform<kTile>::input(columns[i], points);
      for (int j = 0; j < kSide; ++j) {
        hn::Store(points[j], f, to + (i * kSide + j) * stride);
      }
    }
  }
}

/// One vector of a tile's outputs from its sums at the points. `rows`, `columns`: those from (x, y)
/// on that there are.
template <int kTile>
HWY_INLINE void transform_sums(const float* HWY_RESTRICT sums, ptrdiff_t stride,
                               const Epilogue& epilogue, int y, int x, int rows, int columns) {
  constexpr int kSide = kTile + 2;
  const Floats f;
  Vector half[kTile][kSide];
  for (int j = 0; j < kSide; ++j) {
    Vector points[kSide];
    Vector out[kTile];
    for (int i = 0; i < kSide; ++i) points[i] = hn::Load(f, sums + (i * kSide + j) * stride);
    Transform<kTile>::output(points, out);
    for (int i = 0; i < kTile; ++i) half[i][j] = out[i];
  }
  for (int i = 0; i < kTile && i < rows; ++i) {
    Vector out[kTile];
    Transform<kTile>::output(half[i], out);
    epilogue.store(out, y + i, x, columns);
  }
}

template <int kTile>
void winograd_tiles(const ConvolutionWork& work, const TileGrid& grid, Range tiles,
                    float* scratch) {
  constexpr int kPoints = (kTile + 2) * (kTile + 2);
  const int depth = work.in.channels;
  const ptrdiff_t values = whole_vectors(depth);
  const ptrdiff_t in_stride = point_stride(grid.at_once, values);
  const ptrdiff_t sum_stride = point_stride(grid.at_once, kPanel);
  float* points = scratch;
  float* sums = scratch + kPoints * in_stride;
  const auto row_of = [&](int tile) { return work.first_row() + tile / grid.columns * kTile; };
  const auto column_of = [&](int tile) { return tile % grid.columns * kTile; };

  for (int first = tiles.first; first < tiles.last; first += grid.at_once) {
    const int count = HWY_MIN(grid.at_once, tiles.last - first);
    for (int t = 0; t < count; ++t) {
      const Patch<kTile> patch(work.in, work.enlarge, row_of(first + t) - 1,
                               column_of(first + t) - 1);
      float* to = points + t * values;
      if (patch.plain) {
        transform_patch<kTile, true>(work.in, patch, to, in_stride);
      } else {
        transform_patch<kTile, false>(work.in, patch, to, in_stride);
      }
    }
    const float* weights = work.weights;
    for (int panel = 0; panel < panel_count(work.out_channels); ++panel) {
      const int width = panel_width(work.out_channels, panel);
      for (int point = 0; point < kPoints; ++point) {
        gemm(count, width, points + point * in_stride, weights + point * point_stride(depth, width),
             sums + point * sum_stride, {values, width}, depth);
      }
      weights += panel_floats(kTile, depth, width);
      for (int t = 0; t < count; ++t) {
        const int y = row_of(first + t);
        const int x = column_of(first + t);
        // A tile's two vectors one after the other: they share cache lines.
        for (int channel = 0; channel < width; channel += kLanes) {
          transform_sums<kTile>(sums + t * width + channel, sum_stride,
                                Epilogue(work, panel * kPanel + channel), y, x,
                                work.first_row() + work.rows() - y, work.columns() - x);
        }
      }
    }
  }
}

inline void winograd(const ConvolutionWork& work, const TileGrid& grid, Range tiles,
                     float* scratch) {
  if (grid.tile == 6) {
    winograd_tiles<6>(work, grid, tiles, scratch);
  } else {
    winograd_tiles<4>(work, grid, tiles, scratch);
  }
}

/// One vector of outputs of one input's 3x3 weights, into points `stride` floats apart.
template <int kTile>
HWY_INLINE void transform_weights_of(const float* weights, int width, float* to, ptrdiff_t stride) {
  constexpr int kSide = kTile + 2;
  constexpr auto& kFactors = Transform<kTile>::kWeights;
  const Floats f;
  Vector columns[kSide][3];
  for (int j = 0; j < 3; ++j) {
    for (int i = 0; i < kSide; ++i) {
      Vector sum = hn::Mul(hn::Set(f, kFactors[i][0]), hn::Load(f, weights + j * width));
      for (int k = 1; k < 3; ++k) {
        sum =
            hn::MulAdd(hn::Set(f, kFactors[i][k]), hn::Load(f, weights + (k * 3 + j) * width), sum);
      }
      columns[i][j] = sum;
    }
  }
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      Vector sum = hn::Mul(hn::Set(f, kFactors[j][0]), columns[i][0]);
      for (int k = 1; k < 3; ++k) {
        sum = hn::MulAdd(hn::Set(f, kFactors[j][k]), columns[i][k], sum);
      }
      hn::Store(sum, f, to + (i * kSide + j) * stride);
    }
  }
}

inline void transform_weights(const float* weights, int in_channels, int out_channels, int tile,
                              Range rows, float* transformed) {
  for (int row = rows.first; row < rows.last; ++row) {
    const int panel = row / in_channels;
    const int in = row % in_channels;
    const int width = panel_width(out_channels, panel);
    const ptrdiff_t stride = point_stride(in_channels, width);
    const float* from = weights + (ptrdiff_t(panel) * in_channels * kPanel + in * width) * 9;
    float* to = transformed + panel * panel_floats(tile, in_channels, kPanel) + in * width;
    for (int v = 0; v < width; v += kLanes) {
      if (tile == 6) {
        transform_weights_of<6>(from + v, width, to + v, stride);
      } else {
        transform_weights_of<4>(from + v, width, to + v, stride);
      }
    }
  }
}

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
