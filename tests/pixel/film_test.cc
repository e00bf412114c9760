// SPDX-License-Identifier: Apache-2.0
// Conversions between films and pictures, held to zimg's.
#include "pixel/film.h"

#include <gtest/gtest.h>
#include <zimg.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/pictures.h"

namespace upres {
namespace {

using Kind = FilmFormat::Kind;

/// A frame of a film with planes of words, and room for zimg's alignment of rows.
struct Planes {
  explicit Planes(const FilmFormat& format) : view{format, {}} {
    for (int c = 0; c < format.components(); ++c) {
      const Size size = format.size_of(c);
      const ptrdiff_t row = (size.width * 2 + 63) / 64 * 64;
      // All bits are set where nothing is written.
      samples[size_t(c)].reset(
          static_cast<std::byte*>(std::aligned_alloc(64, size_t(row) * size_t(size.height))));
      std::memset(samples[size_t(c)].get(), 0xff, size_t(row) * size_t(size.height));
      view.planes[size_t(c)] = {samples[size_t(c)].get(), row, 2, 2, 0, false};
    }
  }
  uint16_t* row(int component, int y) const {
    const FilmPlane& plane = view.planes[size_t(component)];
    return reinterpret_cast<uint16_t*>(plane.data + y * plane.row_bytes);
  }

  FilmView view;
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> samples[4];
};

/// RGB of 16 bits in planes, as zimg has it.
FilmFormat rgb16(Size size) {
  return {.size = size, .kind = Kind::rgb, .depth = 16, .full_range = true};
}

zimg_matrix_coefficients_e matrix_of(const FilmFormat& format) {
  if (format.kind == Kind::rgb) return ZIMG_MATRIX_RGB;
  switch (format.matrix) {
    case FilmMatrix::bt601:
      return ZIMG_MATRIX_ST170_M;
    case FilmMatrix::bt709:
      return ZIMG_MATRIX_BT709;
    case FilmMatrix::bt2020:
      return ZIMG_MATRIX_BT2020_NCL;
    case FilmMatrix::fcc:
      return ZIMG_MATRIX_FCC;
    case FilmMatrix::smpte240m:
      return ZIMG_MATRIX_ST240_M;
  }
  return ZIMG_MATRIX_UNSPECIFIED;
}

zimg_chroma_location_e location_of(const FilmFormat& format) {
  const bool left = format.site_x == ChromaSite::first;
  switch (format.site_y) {
    case ChromaSite::first:
      return left ? ZIMG_CHROMA_TOP_LEFT : ZIMG_CHROMA_TOP;
    case ChromaSite::middle:
      return left ? ZIMG_CHROMA_LEFT : ZIMG_CHROMA_CENTER;
    case ChromaSite::last:
      return left ? ZIMG_CHROMA_BOTTOM_LEFT : ZIMG_CHROMA_BOTTOM;
  }
  return ZIMG_CHROMA_LEFT;
}

zimg_image_format zimg_format(const FilmFormat& format) {
  zimg_image_format made;
  zimg_image_format_default(&made, ZIMG_API_VERSION);
  made.width = unsigned(format.size.width);
  made.height = unsigned(format.size.height);
  made.pixel_type = ZIMG_PIXEL_WORD;
  made.subsample_w = unsigned(format.chroma_log2_x);
  made.subsample_h = unsigned(format.chroma_log2_y);
  made.color_family = format.kind == Kind::rgb ? ZIMG_COLOR_RGB : ZIMG_COLOR_YUV;
  made.matrix_coefficients = matrix_of(format);
  made.depth = unsigned(format.depth);
  made.pixel_range = format.full_range ? ZIMG_RANGE_FULL : ZIMG_RANGE_LIMITED;
  made.chroma_location = location_of(format);
  return made;
}

/// What zimg makes of `src`: chroma by linear interpolation, nothing dithered.
void convert_by_zimg(const Planes& src, Planes& dst) {
  const zimg_image_format from = zimg_format(src.view.format);
  const zimg_image_format to = zimg_format(dst.view.format);
  zimg_graph_builder_params params;
  zimg_graph_builder_params_default(&params, ZIMG_API_VERSION);
  params.resample_filter_uv = ZIMG_RESIZE_BILINEAR;
  params.dither_type = ZIMG_DITHER_NONE;
  zimg_filter_graph* graph = zimg_filter_graph_build(&from, &to, &params);
  char reason[256] = "";
  zimg_get_last_error(reason, sizeof(reason));
  ASSERT_NE(graph, nullptr) << reason;
  size_t scratch_bytes = 0;
  zimg_filter_graph_get_tmp_size(graph, &scratch_bytes);
  void* scratch = std::aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
  zimg_image_buffer_const in = {.version = ZIMG_API_VERSION, .plane = {}};
  zimg_image_buffer out = {.version = ZIMG_API_VERSION, .plane = {}};
  for (size_t c = 0; c < 3; ++c) {
    in.plane[c] = {src.view.planes[c].data, src.view.planes[c].row_bytes, ZIMG_BUFFER_MAX};
    out.plane[c] = {dst.view.planes[c].data, dst.view.planes[c].row_bytes, ZIMG_BUFFER_MAX};
  }
  EXPECT_EQ(
      zimg_filter_graph_process(graph, &in, &out, scratch, nullptr, nullptr, nullptr, nullptr), 0);
  std::free(scratch);
  zimg_filter_graph_free(graph);
}

/// Smooth parts, hard edges and noise, within what the range allows and a little beyond.
void fill(Planes& planes, std::mt19937& random) {
  const FilmFormat& format = planes.view.format;
  const double most = std::exp2(format.depth) - 1;
  for (int c = 0; c < format.components(); ++c) {
    const Size size = format.size_of(c);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        double value = double(x + 2 * y) / (size.width + 2 * size.height);
        if (x > size.width / 2) value = (x / 3 + y / 4) % 2 ? 0.9 : 0.1;
        if (y > size.height / 2) value = std::uniform_real_distribution(0.0, 1.0)(random);
        planes.row(c, y)[x] = uint16_t(std::lround(value * most));
      }
    }
  }
}

struct Case {
  FilmFormat format;
  std::string name;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const struct {
    int log2_x, log2_y;
    const char* name;
  } layouts[] = {{1, 1, "420"}, {1, 0, "422"}, {0, 0, "444"}, {2, 0, "411"}};
  const struct {
    FilmMatrix matrix;
    const char* name;
  } matrices[] = {{FilmMatrix::bt601, "601"},
                  {FilmMatrix::bt709, "709"},
                  {FilmMatrix::bt2020, "2020"},
                  {FilmMatrix::fcc, "fcc"},
                  {FilmMatrix::smpte240m, "240m"}};
  for (const auto& layout : layouts) {
    for (const int depth : {8, 10, 12}) {
      for (const auto& matrix : matrices) {
        for (const bool full : {false, true}) {
          for (const ChromaSite x : {ChromaSite::first, ChromaSite::middle}) {
            for (const ChromaSite y : {ChromaSite::first, ChromaSite::middle, ChromaSite::last}) {
              const bool usual = x == ChromaSite::first && y == ChromaSite::middle;
              if (!usual && layout.log2_x == 0) continue;  // nothing is sited
              if (y != ChromaSite::middle && layout.log2_y == 0) continue;
              if (!usual && matrix.matrix != FilmMatrix::bt709) continue;
              const FilmFormat format{.size = {52, 24},
                                      .kind = Kind::yuv,
                                      .depth = depth,
                                      .chroma_log2_x = layout.log2_x,
                                      .chroma_log2_y = layout.log2_y,
                                      .matrix = matrix.matrix,
                                      .full_range = full,
                                      .site_x = x,
                                      .site_y = y};
              all.push_back(
                  {format, fmt::format("yuv{}_{}bit_{}_{}_site{}{}", layout.name, depth,
                                       matrix.name, full ? "full" : "limited", int(x), int(y))});
            }
          }
        }
      }
    }
  }
  return all;
}

class FilmConversion : public testing::TestWithParam<Case> {};

/// How far 16-bit results may be from zimg's: which sums in single precision in another order, and
/// resamples chroma of integers in 16 bits.
constexpr int kWordsOff = 2;

TEST_P(FilmConversion, GivesZimgsPicture) {
  std::mt19937 random(1);
  Planes film(GetParam().format);
  fill(film, random);
  Planes expected(rgb16(film.view.format.size));
  convert_by_zimg(film, expected);
  const Frame picture = picture_from_film(film.view);
  int furthest = 0;
  for (int y = 0; y < picture.size().height; ++y) {
    const auto* row = reinterpret_cast<const uint16_t*>(picture.row(y));
    for (int x = 0; x < picture.size().width; ++x) {
      for (int c = 0; c < 3; ++c) {
        furthest = std::max(furthest, std::abs(row[3 * x + c] - expected.row(c, y)[x]));
      }
    }
  }
  EXPECT_LE(furthest, kWordsOff);
}

TEST_P(FilmConversion, GivesZimgsFilm) {
  std::mt19937 random(2);
  const FilmFormat& format = GetParam().format;
  Planes rgb(rgb16(format.size));
  fill(rgb, random);
  Planes expected(format);
  convert_by_zimg(rgb, expected);
  Frame picture(picture_of(format));
  for (int y = 0; y < format.size.height; ++y) {
    auto* row = reinterpret_cast<uint16_t*>(picture.row(y));
    for (int x = 0; x < format.size.width; ++x) {
      for (int c = 0; c < 3; ++c) row[3 * x + c] = rgb.row(c, y)[x];
    }
  }
  Planes film(format);
  FilmFromPicture sink(film.view);
  test::StripSource source(picture, 11);
  pass_rows(source, sink);
  int furthest = 0;
  for (int c = 0; c < 3; ++c) {
    const Size size = format.size_of(c);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        furthest = std::max(furthest, std::abs(film.row(c, y)[x] - expected.row(c, y)[x]));
      }
    }
  }
  EXPECT_LE(furthest, 1);
}

INSTANTIATE_TEST_SUITE_P(Formats, FilmConversion, testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.name; });

/// Every stored form of a frame: bytes, words of both orders, shifted, packed.
struct Stored {
  int depth;
  FilmPlane plane;  ///< steps; the planes are made by the test
};

TEST(FilmSamples, KeepAllTheirBitsThroughAPicture) {
  const Stored forms[] = {{8, {nullptr, 0, 1, 1, 0, false}},  {8, {nullptr, 0, 4, 1, 0, false}},
                          {10, {nullptr, 0, 2, 2, 0, false}}, {10, {nullptr, 0, 2, 2, 6, false}},
                          {12, {nullptr, 0, 8, 2, 4, true}},  {16, {nullptr, 0, 2, 2, 0, false}},
                          {16, {nullptr, 0, 6, 2, 0, true}}};
  for (const Kind kind : {Kind::rgb, Kind::gray}) {
    for (const bool alpha : {false, true}) {
      for (const Stored& form : forms) {
        FilmView film{{.size = {21, 5},
                       .kind = kind,
                       .depth = form.depth,
                       .alpha = alpha,
                       .full_range = true},
                      {}};
        FilmView back = film;
        const int components = film.format.components();
        const size_t row_bytes = size_t(21 * form.plane.step_bytes);
        std::vector<std::vector<std::byte>> samples(size_t(2 * components));
        std::mt19937 random(3);
        for (int c = 0; c < components; ++c) {
          for (int which = 0; which < 2; ++which) {
            auto& bytes = samples[size_t(2 * c + which)];
            bytes.resize(row_bytes * 5);
            FilmPlane plane = form.plane;
            plane.data = bytes.data();
            plane.row_bytes = ptrdiff_t(row_bytes);
            (which == 0 ? film : back).planes[size_t(c)] = plane;
          }
          for (size_t i = 0; i < samples[size_t(2 * c)].size();
               i += size_t(form.plane.step_bytes)) {
            const auto value = unsigned(random() & ((1u << form.depth) - 1)) << form.plane.shift;
            auto* word = &samples[size_t(2 * c)][i];
            if (form.plane.word_bytes == 1) {
              word[0] = std::byte(value);
            } else {
              word[form.plane.big_endian ? 0 : 1] = std::byte(value >> 8);
              word[form.plane.big_endian ? 1 : 0] = std::byte(value & 255);
            }
          }
        }
        film_from_picture(picture_from_film(film), back);
        EXPECT_TRUE(same_samples(film, back)) << form.depth << " bits, " << components;
      }
    }
  }
}

TEST(FilmSamples, OfOddSizesAreAllWritten) {
  const FilmFormat format{
      .size = {13, 7}, .kind = Kind::yuv, .depth = 8, .chroma_log2_x = 1, .chroma_log2_y = 1};
  Frame picture(picture_of(format));
  auto* samples = reinterpret_cast<uint16_t*>(picture.data());
  for (size_t i = 0; i < picture.total_bytes() / 2; ++i) samples[i] = 0x8000;
  Planes film(format);
  film_from_picture(picture, film.view);
  for (int c = 0; c < 3; ++c) {
    const Size size = format.size_of(c);
    EXPECT_EQ(size, (c == 0 ? Size{13, 7} : Size{7, 4}));
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) EXPECT_EQ(film.row(c, y)[x], c == 0 ? 126 : 128);
    }
  }
}

TEST(FilmSamples, OfAlphaBesideChromaAreFullSize) {
  const FilmFormat format{.size = {10, 6},
                          .kind = Kind::yuv,
                          .depth = 10,
                          .alpha = true,
                          .chroma_log2_x = 1,
                          .chroma_log2_y = 1};
  std::mt19937 random(4);
  Planes film(format);
  fill(film, random);
  Planes back(format);
  film_from_picture(picture_from_film(film.view), back.view);
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 10; ++x) EXPECT_EQ(back.row(3, y)[x], film.row(3, y)[x]);
  }
}

TEST(ConstantAlpha, IsSeenHoweverItIsStored) {
  for (const int step : {2, 8}) {
    const FilmFormat format{.size = {10, 6}, .kind = Kind::gray, .depth = 10, .alpha = true};
    std::vector<std::byte> bytes(size_t(10 * step * 6), std::byte(3));
    FilmView film{format, {}};
    film.planes[1] = {bytes.data(), 10 * step, step, 2, 0, false};
    EXPECT_TRUE(has_constant_alpha(film));
    for (const int changed : {0, 9, 10, 59}) {
      bytes[size_t(changed * step)] = std::byte(2);
      EXPECT_FALSE(has_constant_alpha(film)) << changed;
      bytes[size_t(changed * step)] = std::byte(3);
    }
  }
}

TEST(SameSamples, SeesOneBit) {
  const FilmFormat format{
      .size = {10, 6}, .kind = Kind::yuv, .depth = 10, .chroma_log2_x = 1, .chroma_log2_y = 1};
  std::mt19937 random(5);
  Planes one(format);
  fill(one, random);
  for (int c = 0; c < 3; ++c) {
    Planes other(format);
    for (int k = 0; k < 3; ++k) {
      for (int y = 0; y < format.size_of(k).height; ++y) {
        std::copy_n(one.row(k, y), format.size_of(k).width, other.row(k, y));
      }
    }
    EXPECT_TRUE(same_samples(one.view, other.view));
    other.row(c, format.size_of(c).height - 1)[format.size_of(c).width - 1] ^= 1;
    EXPECT_FALSE(same_samples(one.view, other.view));
  }
}

}  // namespace
}  // namespace upres
