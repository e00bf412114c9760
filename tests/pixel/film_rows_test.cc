// SPDX-License-Identifier: Apache-2.0
// Conversions of films by every instruction set that this processor has, held to the plain loops
// bit for bit.
#include "pixel/film_rows.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstring>
#include <random>
#include <vector>

#include "pixel/film.h"
#include "support/pictures.h"

namespace upres {
namespace {

/// Has Highway use one instruction set; HWY_SCALAR: none, so that the plain loops do all.
class Only {
 public:
  explicit Only(int64_t target) { choose(target); }
  Only(const Only&) = delete;
  Only& operator=(const Only&) = delete;
  ~Only() { choose(0); }

 private:
  static void choose(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

/// A frame in planes, with a little between its rows. All is `poison` until it is written.
struct Film {
  Film(const FilmFormat& format, std::byte poison) : view{format, {}} {
    const int word = format.depth > 8 ? 2 : 1;
    for (int c = 0; c < format.components(); ++c) {
      const Size size = format.size_of(c);
      const ptrdiff_t row_bytes = size.width * word + 6;
      planes[c].assign(size_t(row_bytes) * size_t(size.height), poison);
      view.planes[size_t(c)] = {planes[c].data(), row_bytes, word, word, 0, false};
    }
  }
  FilmView view;
  std::vector<std::byte> planes[4];
};

/// Noise with many of the least and the largest values.
unsigned sample(std::mt19937& random, int depth) {
  const unsigned most = (1u << depth) - 1;
  switch (random() % 4) {
    case 0:
      return 0;
    case 1:
      return most;
    default:
      return unsigned(random()) & most;
  }
}

void fill(Film& film, std::mt19937& random) {
  const FilmFormat& format = film.view.format;
  for (int c = 0; c < format.components(); ++c) {
    const FilmPlane& plane = film.view.planes[size_t(c)];
    const Size size = format.size_of(c);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        const auto value = uint16_t(sample(random, format.depth));
        std::memcpy(plane.data + y * plane.row_bytes + x * plane.step_bytes, &value,
                    size_t(plane.word_bytes));
      }
    }
  }
}

void fill(Frame& picture, std::mt19937& random) {
  auto* words = reinterpret_cast<uint16_t*>(picture.data());
  for (size_t i = 0; i < picture.total_bytes() / 2; ++i) words[i] = uint16_t(sample(random, 16));
}

/// All layouts and depths, ranges and sitings in turn.
std::vector<FilmFormat> formats() {
  constexpr ChromaSite kSites[] = {ChromaSite::first, ChromaSite::middle, ChromaSite::last};
  std::vector<FilmFormat> all;
  for (const bool alpha : {false, true}) {
    for (const int depth : {8, 10, 12, 16}) {
      for (const bool full : {false, true}) {
        for (const FilmFormat::Kind kind : {FilmFormat::Kind::gray, FilmFormat::Kind::rgb}) {
          all.push_back(
              {.size = {}, .kind = kind, .depth = depth, .alpha = alpha, .full_range = full});
        }
        for (const Size log2 :
             {Size{0, 0}, Size{1, 0}, Size{1, 1}, Size{0, 1}, Size{2, 0}, Size{2, 2}}) {
          for (const ChromaSite x : kSites) {
            for (const ChromaSite y : kSites) {
              all.push_back({.size = {},
                             .kind = FilmFormat::Kind::yuv,
                             .depth = depth,
                             .alpha = alpha,
                             .chroma_log2_x = log2.width,
                             .chroma_log2_y = log2.height,
                             .matrix = full ? FilmMatrix::bt601 : FilmMatrix::bt2020,
                             .full_range = full,
                             .site_x = x,
                             .site_y = y});
            }
          }
        }
      }
    }
  }
  return all;
}

std::string described(const FilmFormat& format) {
  return fmt::format("{}x{}, kind {}, {} bit, alpha {}, chroma {}{}, full {}, site {}{}",
                     format.size.width, format.size.height, int(format.kind), format.depth,
                     format.alpha, format.chroma_log2_x, format.chroma_log2_y, format.full_range,
                     int(format.site_x), int(format.site_y));
}

/// body(format) of every format, and for each of them some sizes around whole vectors.
template <typename Body>
void for_each_format(std::mt19937& random, Body&& body) {
  constexpr int kWidths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 131};
  size_t next = 0;
  for (FilmFormat format : formats()) {
    for (int i = 0; i < 3; ++i) {
      format.size = {kWidths[next++ % std::size(kWidths)], 1 + int(random() % 9)};
      body(format);
    }
  }
}

class FilmRows : public testing::TestWithParam<int64_t> {};

TEST_P(FilmRows, GiveThePlainLoopsPictures) {
  std::mt19937 random(11);
  for_each_format(random, [&](const FilmFormat& format) {
    Film film(format, std::byte(0));
    fill(film, random);
    const auto made_by = [&](int64_t target) {
      const Only only(target);
      return picture_from_film(film.view);
    };
    EXPECT_TRUE(test::equal(made_by(GetParam()), made_by(HWY_SCALAR))) << described(format);
  });
}

TEST_P(FilmRows, GiveThePlainLoopsFilmsWhateverTheStrips) {
  std::mt19937 random(12);
  for_each_format(random, [&](const FilmFormat& format) {
    // Pictures may have colours for gray films, and none for others.
    const int colours = random() % 4 == 0 ? 1 : 3;
    Frame picture(format.size, SampleType::u16, colours + (format.alpha ? 1 : 0));
    fill(picture, random);
    Film wanted(format, std::byte(0xaa));
    {
      const Only only(HWY_SCALAR);
      film_from_picture(picture, wanted.view);
    }
    Film made(format, std::byte(0xaa));
    const Only only(GetParam());
    test::StripSource source(picture, 1 + int(random() % 4));
    FilmFromPicture sink(made.view);
    pass_rows(source, sink);
    for (size_t c = 0; c < 4; ++c) {
      EXPECT_EQ(made.planes[c], wanted.planes[c]) << described(format) << ", component " << c;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, FilmRows,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return hwy::TargetName(target.param); });

}  // namespace
}  // namespace upres
