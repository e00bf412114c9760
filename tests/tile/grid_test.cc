// SPDX-License-Identifier: Apache-2.0
#include "tile/grid.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tile/window.h"

namespace upres {
namespace {

TEST(CutAxis, LeavesAShortLineWhole) {
  EXPECT_EQ(cut_axis(100, 100, 16, 1), (std::vector<Span>{{0, 100}}));
  EXPECT_EQ(cut_axis(1, 100, 16, 4), (std::vector<Span>{{0, 1}}));
}

TEST(CutAxis, CoversEveryLineWithSpansThatOverlapEnoughAndAreNotTooLong) {
  for (const int alignment : {1, 2, 4}) {
    for (const int overlap : {0, 1, 7, 32}) {
      for (const int side : {1, 8, 33, 64, 200}) {
        for (int length = 1; length < 400; length += 13) {
          const auto spans = cut_axis(length, side, overlap, alignment);
          SCOPED_TRACE(testing::Message() << length << " in " << side << ", overlap " << overlap
                                          << ", alignment " << alignment);
          ASSERT_EQ(spans.front().begin, 0);
          ASSERT_EQ(spans.back().end, length);
          const int shared = (overlap + alignment - 1) / alignment * alignment;
          const int longest = std::max(side, shared + alignment);
          for (size_t i = 0; i < spans.size(); ++i) {
            ASSERT_EQ(spans[i].begin % alignment, 0);
            ASSERT_LE(spans[i].length(), longest);
            ASSERT_GT(spans[i].length(), 0);
            if (i > 0) {
              ASSERT_GT(spans[i].begin, spans[i - 1].begin);
              ASSERT_GE(spans[i - 1].end - spans[i].begin, std::min(overlap, spans[i].length()));
            }
          }
        }
      }
    }
  }
}

TEST(CutAxis, MakesSpansAboutEqual) {
  EXPECT_EQ(cut_axis(110, 100, 10, 1), (std::vector<Span>{{0, 60}, {50, 110}}));
}

TEST(TileGrid, KeepsCoverThePictureOnceWithTheHaloAroundThem) {
  const int halo = 9;
  const Size picture{157, 83};
  const TileGrid grid(picture, {40 + 2 * halo, 40 + 2 * halo}, 2 * halo, 1);
  std::vector<int> covered(size_t(picture.width * picture.height), 0);
  for (int row = 0; row < grid.rows(); ++row) {
    for (int column = 0; column < grid.columns(); ++column) {
      const Tile tile = grid.tile(column, row);
      EXPECT_TRUE(tile.read.contains(tile.keep));
      // What the network sees around the keep: the halo, or the picture's edge.
      EXPECT_LE(tile.read.x, std::max(0, tile.keep.x - halo));
      EXPECT_LE(tile.read.y, std::max(0, tile.keep.y - halo));
      EXPECT_GE(tile.read.right(), std::min(picture.width, tile.keep.right() + halo));
      EXPECT_GE(tile.read.bottom(), std::min(picture.height, tile.keep.bottom() + halo));
      for (int y = tile.keep.y; y < tile.keep.bottom(); ++y) {
        for (int x = tile.keep.x; x < tile.keep.right(); ++x) {
          ++covered[size_t(y * picture.width + x)];
        }
      }
    }
  }
  EXPECT_TRUE(std::all_of(covered.begin(), covered.end(), [](int n) { return n == 1; }));
}

TEST(TileGrid, OriginsAreMultiplesOfTheAlignment) {
  const TileGrid grid({301, 203}, {64, 64}, 20, 4);
  for (int row = 0; row < grid.rows(); ++row) {
    for (int column = 0; column < grid.columns(); ++column) {
      const Tile tile = grid.tile(column, row);
      EXPECT_EQ(tile.read.x % 4 + tile.read.y % 4 + tile.keep.x % 4 + tile.keep.y % 4, 0);
    }
  }
}

TEST(BlendWindows, AddUpToOneOverEveryPixel) {
  for (const auto& spans : {cut_axis(500, 100, 16, 1), cut_axis(99, 50, 40, 2),
                            cut_axis(50, 60, 16, 1), cut_axis(300, 64, 0, 1)}) {
    const int scale = 4;
    const auto windows = blend_windows(spans, scale);
    std::vector<double> sum(size_t(spans.back().end * scale), 0.0);
    for (size_t i = 0; i < spans.size(); ++i) {
      ASSERT_EQ(windows[i].size(), size_t(spans[i].length() * scale));
      for (size_t p = 0; p < windows[i].size(); ++p) {
        EXPECT_GT(windows[i][p], 0);
        sum[size_t(spans[i].begin * scale) + p] += windows[i][p];
      }
    }
    for (const double value : sum) EXPECT_NEAR(value, 1, 1e-6);
  }
}

TEST(BlendWindows, RiseFromNearZeroWhereATileBegins) {
  const auto windows = blend_windows({{0, 60}, {44, 100}}, 1);
  EXPECT_LT(windows[1][0], 0.01);
  EXPECT_NEAR(windows[1][8], 0.55, 0.05);
  EXPECT_EQ(windows[0][0], 1);
}

}  // namespace
}  // namespace upres
