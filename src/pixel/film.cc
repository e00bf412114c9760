// SPDX-License-Identifier: Apache-2.0
#include "pixel/film.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "pixel/film_rows.h"

// Every row is begun by the vectors of film_rows and ended by the loops here, which say what is
// computed. Nothing is fused in either: this file is compiled with -ffp-contract=off, too.
namespace upres {
namespace {

using Kind = FilmFormat::Kind;
using film_rows::Stored;
using film_rows::Storing;
using film_rows::Taps;
using Words = std::vector<uint16_t>;

// Small enough for the processor's cache, beside what becomes of it.
constexpr size_t kStripBytes = size_t(256) << 10;

/// Index i of a line of n, mirrored at both ends with its end samples repeated.
int reflected(int i, int n) {
  const int period = 2 * n;
  const int phase = ((i % period) + period) % period;
  return phase < n ? phase : period - 1 - phase;
}

unsigned word_at(const std::byte* data, int word_bytes, bool big_endian = false) {
  if (word_bytes == 1) return unsigned(data[0]);
  return unsigned(data[big_endian ? 0 : 1]) << 8 | unsigned(data[big_endian ? 1 : 0]);
}

void put_word(unsigned word, std::byte* data, int word_bytes, bool big_endian = false) {
  if (word_bytes == 1) {
    data[0] = std::byte(word);
  } else {
    data[big_endian ? 0 : 1] = std::byte(word >> 8);
    data[big_endian ? 1 : 0] = std::byte(word & 255);
  }
}

/// Whether a plane's samples are as film_rows takes them.
bool is_plain(const FilmPlane& plane, int depth) {
  return plane.step_bytes == plane.word_bytes && plane.shift == 0 &&
         (plane.word_bytes == 1 ? depth == 8 : !plane.big_endian);
}

/// The samples of a row; in `words` where the plane has them in another way.
Stored load_row(const FilmPlane& plane, int depth, int y, int count, Words& words) {
  const std::byte* row = plane.data + y * plane.row_bytes;
  if (is_plain(plane, depth)) return {row, plane.word_bytes};
  words.resize(size_t(count));
  const unsigned mask = (1u << depth) - 1;
  for (uint16_t& word : words) {
    word = uint16_t(word_at(row, plane.word_bytes, plane.big_endian) >> plane.shift & mask);
    row += plane.step_bytes;
  }
  return {reinterpret_cast<const std::byte*>(words.data()), 2};
}

/// Where to put the samples of a row, before store_row().
Storing row_to_store(const FilmPlane& plane, int depth, int y, int count, Words& words) {
  if (is_plain(plane, depth)) return {plane.data + y * plane.row_bytes, plane.word_bytes};
  words.resize(size_t(count));
  return {reinterpret_cast<std::byte*>(words.data()), 2};
}

void store_row(const FilmPlane& plane, int depth, int y, const Words& words) {
  if (is_plain(plane, depth)) return;
  std::byte* row = plane.data + y * plane.row_bytes;
  for (const uint16_t word : words) {
    put_word(unsigned(word) << plane.shift, row, plane.word_bytes, plane.big_endian);
    row += plane.step_bytes;
  }
}

float sample_at(Stored samples, int x) {
  return float(word_at(samples.data + ptrdiff_t(x) * samples.word_bytes, samples.word_bytes));
}

/// Clamped and rounded down: what rounds half up where a half was added.
unsigned to_word(float value, float most) {
  return unsigned(std::min(std::max(value, 0.0f), most));
}

void put_sample(float value, float most, Storing samples, int x) {
  put_word(to_word(value, most), samples.data + ptrdiff_t(x) * samples.word_bytes,
           samples.word_bytes);
}

/// The weighted sum of two rows, less the zero, scaled.
void load_line(const Stored rows[2], const float weights[2], float zero, float scale, float* dst,
               int count) {
  for (int x = film_rows::load(rows, weights, zero, scale, dst, count); x < count; ++x) {
    const float sum = weights[0] * sample_at(rows[0], x) + weights[1] * sample_at(rows[1], x);
    dst[x] = (sum - zero) * scale;
  }
}

float mixed(const Taps& taps, int x) {
  float sum = taps.weights[0] * taps.lines[0][x];
  for (int k = 1; k < taps.count; ++k) sum += taps.weights[k] * taps.lines[k][x];
  return sum;
}

void mix_lines(const Taps& taps, float* dst, int count) {
  for (int x = film_rows::mix(taps, dst, count); x < count; ++x) dst[x] = mixed(taps, x);
}

/// The weighted sum, its zero added, rounded.
void store_line(const Taps& taps, float zero, float most, Storing dst, int count) {
  for (int x = film_rows::store(taps, zero, most, dst, count); x < count; ++x) {
    put_sample(mixed(taps, x) + (zero + 0.5f), most, dst, x);
  }
}

void make_rgb(const FilmPlan& plan, Stored luma, const float* u, const float* v, uint16_t* rgb,
              int width) {
  const int phases = plan.across.phases;
  const auto enlarged = [&](const float* line, int x) {
    const float* up = plan.across.up.data() + 3 * (x % phases);
    const float* at = line + x / phases;
    return up[0] * at[-1] + up[1] * at[0] + up[2] * at[1];
  };
  for (int x = film_rows::rgb_from_yuv(plan, luma, u, v, rgb, width); x < width; ++x) {
    const float y = (sample_at(luma, x) - plan.luma_zero) * plan.luma_scale;
    const float cu = enlarged(u, x);
    const float cv = enlarged(v, x);
    rgb[3 * x] = uint16_t(to_word(y + plan.red_v * cv + 0.5f, kFilmOne));
    rgb[3 * x + 1] = uint16_t(to_word(y + plan.green_u * cu + plan.green_v * cv + 0.5f, kFilmOne));
    rgb[3 * x + 2] = uint16_t(to_word(y + plan.blue_u * cu + 0.5f, kFilmOne));
  }
}

void make_yuv(const FilmPlan& plan, const uint16_t* rgb, Storing luma, float most, float* const u[],
              float* const v[], int width) {
  const int phases = plan.across.phases;
  for (int x = film_rows::yuv_from_rgb(plan, rgb, luma, u, v, width); x < width; ++x) {
    const auto times = [&](const float row[3]) {
      return row[0] * float(rgb[3 * x]) + row[1] * float(rgb[3 * x + 1]) +
             row[2] * float(rgb[3 * x + 2]);
    };
    put_sample(times(plan.to_y) + (plan.luma_zero + 0.5f), most, luma, x);
    u[x % phases][x / phases] = times(plan.to_u);
    v[x % phases][x / phases] = times(plan.to_v);
  }
}

uint16_t* words_of(Frame& frame, int y) {
  return reinterpret_cast<uint16_t*>(frame.row(y));
}

const uint16_t* words_of(const Frame& frame, int y) {
  return reinterpret_cast<const uint16_t*>(frame.row(y));
}

// Of luma samples for one of chroma along an axis.
constexpr int kMostPhases = 4;
constexpr int kMostTaps = 2 * kMostPhases;

/// Lines of floats, each on cache lines of its own, with room before and behind.
class Lines {
 public:
  /// More than the taps of four luma samples for one of chroma reach.
  static constexpr int kMargin = 16;

  Lines() = default;
  Lines(int count, int width)
      : stride_(size_t(width + 2 * kMargin + 15) / 16 * 16),
        memory_(size_t(count) * stride_ * sizeof(float)) {}
  float* operator[](int i) {
    return reinterpret_cast<float*>(memory_.data()) + size_t(i) * stride_ + kMargin;
  }

 private:
  size_t stride_ = 0;
  Buffer memory_;
};

}  // namespace

FrameInfo picture_of(const FilmFormat& format) {
  return {format.size, SampleType::u16, format.channels()};
}

/// Makes rows of a picture.
class PictureFromFilm::Rows {
 public:
  explicit Rows(const FilmView& src)
      : plan_(src.format),
        src_(src),
        width_(src.format.size.width),
        channels_(src.format.channels()),
        chroma_(2, src.format.size_of(1).width),
        line_(1, width_) {}

  void make(int y, uint16_t* dst) {
    const FilmFormat& format = plan_.format;
    if (format.alpha) make_channel(channels_ - 1, y, 0, plan_.alpha_scale, dst);
    if (format.kind != Kind::yuv) {
      const int colours = channels_ - (format.alpha ? 1 : 0);
      for (int c = 0; c < colours; ++c) {
        make_channel(c, y, plan_.luma_zero, plan_.luma_scale, dst);
      }
      return;
    }
    const float* u = chroma_of(1, y);
    const float* v = chroma_of(2, y);
    const Stored luma = load_row(src_.planes[0], format.depth, y, width_, words_[0]);
    if (!format.alpha) return make_rgb(plan_, luma, u, v, dst, width_);
    rgb_.resize(3 * size_t(width_));
    make_rgb(plan_, luma, u, v, rgb_.data(), width_);
    for (int x = 0; x < width_; ++x) std::copy_n(rgb_.data() + 3 * x, 3, dst + 4 * x);
  }

 private:
  void make_channel(int channel, int y, float zero, float scale, uint16_t* dst) {
    const FilmPlane& plane = src_.planes[size_t(channel)];
    const Stored samples = load_row(plane, plan_.format.depth, y, width_, words_[0]);
    const Stored twice[] = {samples, samples};
    constexpr float kOnce[] = {1, 0};
    const float* line = line_[0];
    load_line(twice, kOnce, zero, scale, line_[0], width_);
    for (int x = 0; x < width_; ++x) {
      dst[x * channels_ + channel] = uint16_t(to_word(line[x] + 0.5f, kFilmOne));
    }
  }

  /// Chroma of component 1 or 2 for luma row y, scaled, at its own width, with a sample before it
  /// and one behind.
  const float* chroma_of(int component, int y) {
    const Size size = plan_.format.size_of(component);
    const ChromaTaps& taps = plan_.down;
    // A row lies between two at most.
    Stored rows[2] = {};
    float weights[2] = {};
    int found = 0;
    for (int k = 0; k < 3; ++k) {
      const float weight = taps.up[size_t(3 * (y % taps.phases) + k)];
      if (weight == 0) continue;
      const int row = reflected(y / taps.phases - 1 + k, size.height);
      rows[found] = load_row(src_.planes[size_t(component)], plan_.format.depth, row, size.width,
                             words_[found]);
      weights[found++] = weight;
    }
    if (found == 1) rows[1] = rows[0];
    float* line = chroma_[component - 1];
    load_line(rows, weights, plan_.chroma_zero, plan_.chroma_scale, line, size.width);
    line[-1] = line[0];
    line[size.width] = line[size.width - 1];
    return line;
  }

  FilmPlan plan_;
  FilmView src_;
  int width_;
  int channels_;
  Lines chroma_;  ///< U and V
  Lines line_;
  Words words_[2];
  Words rgb_;
};

PictureFromFilm::PictureFromFilm(const FilmView& src)
    : info_(picture_of(src.format)),
      rows_at_once_(int(std::bit_floor(std::max<size_t>(kStripBytes / info_.row_bytes(), 1)))),
      rows_(std::make_unique<Rows>(src)) {}

PictureFromFilm::~PictureFromFilm() = default;

Frame PictureFromFilm::read() {
  const int count = std::min(rows_at_once_, info_.size.height - next_);
  Frame strip({info_.size.width, count}, info_.type, info_.channels);
  for (int y = 0; y < count; ++y) rows_->make(next_++, words_of(strip, y));
  return strip;
}

Frame picture_from_film(const FilmView& src) {
  Frame picture(picture_of(src.format));
  PictureFromFilm source(src);
  FrameSink sink(picture);
  pass_rows(source, sink);
  return picture;
}

/// What a row needs on its way, and what is kept of rows before it.
struct FilmFromPicture::Rows {
  explicit Rows(const FilmPlan& plan)
      : line(1, plan.format.size.width),
        most(float((1u << plan.format.depth) - 1)),
        chroma_rows(2 * int(plan.down.down.size())) {
    if (plan.format.kind == Kind::rgb) return;
    const int width = plan.format.size_of(1).width;
    for (Lines& lines : differences) lines = Lines(plan.across.phases, width);
    if (plan.format.kind == Kind::gray) return;
    for (Lines& lines : chroma) lines = Lines(chroma_rows, width);
  }
  Lines line;
  float most;
  Lines differences[2];  ///< U and V of a row, a line for each phase across
  /// U and V at their own width of the last rows, row y at y % chroma_rows: twice as many as there
  /// are taps, which reach over the last row and back.
  int chroma_rows;
  Lines chroma[2];
  Words words;
  Words rgb;
};

FilmFromPicture::FilmFromPicture(const FilmView& dst)
    : plan_(dst.format), dst_(dst), rows_(std::make_unique<Rows>(plan_)) {}

FilmFromPicture::~FilmFromPicture() = default;

void FilmFromPicture::put(const Frame& rows) {
  UPRES_ASSERT(rows.type() == SampleType::u16 && rows.size().width == plan_.format.size.width &&
                   next_ + rows.size().height <= plan_.format.size.height &&
                   (!plan_.format.alpha || rows.has_alpha()),
               "the film is made for the picture");
  for (int y = 0; y < rows.size().height; ++y, ++next_) {
    take_row(next_, words_of(rows, y), rows.channels());
  }
}

void FilmFromPicture::take_row(int y, const uint16_t* src, int channels) {
  const FilmFormat& format = plan_.format;
  const bool is_gray = channels <= 2;
  const auto store_channel = [&](int channel, int component, float zero, float scale) {
    float* line = rows_->line[0];
    for (int x = 0; x < format.size.width; ++x) line[x] = float(src[x * channels + channel]);
    const float weight = 1 / scale;
    store_component(component, y, {&line, &weight, 1}, zero);
  };
  if (format.alpha) {
    store_channel(channels - 1, format.components() - 1, 0, plan_.alpha_scale);
  }
  if (format.kind == Kind::rgb || (format.kind == Kind::gray && is_gray)) {
    for (int c = 0; c < (format.kind == Kind::rgb ? 3 : 1); ++c) {
      store_channel(is_gray ? 0 : c, c, plan_.luma_zero, plan_.luma_scale);
    }
    return;
  }
  take_colours(y, channels == 3 ? src : packed(src, channels));
}

/// A row as packed RGB, whatever the picture has.
const uint16_t* FilmFromPicture::packed(const uint16_t* src, int channels) {
  const int width = plan_.format.size.width;
  rows_->rgb.resize(3 * size_t(width));
  for (int x = 0; x < width; ++x) {
    for (int c = 0; c < 3; ++c) {
      rows_->rgb[size_t(3 * x + c)] = src[x * channels + (channels <= 2 ? 0 : c)];
    }
  }
  return rows_->rgb.data();
}

void FilmFromPicture::take_colours(int y, const uint16_t* rgb) {
  const FilmFormat& format = plan_.format;
  float* differences[2][kMostPhases];
  for (size_t c = 0; c < 2; ++c) {
    for (int p = 0; p < plan_.across.phases; ++p) differences[c][p] = rows_->differences[c][p];
  }
  const Storing luma =
      row_to_store(dst_.planes[0], format.depth, y, format.size.width, rows_->words);
  make_yuv(plan_, rgb, luma, rows_->most, differences[0], differences[1], format.size.width);
  store_row(dst_.planes[0], format.depth, y, rows_->words);
  if (format.kind != Kind::yuv) return;
  for (const int component : {1, 2}) reduce(component, y);
  const ChromaTaps& down = plan_.down;
  const int reach = down.down_first + int(down.down.size()) - 1;
  const auto last_read = [&](int chroma_row) {
    return std::min(down.phases * chroma_row + reach, format.size.height - 1);
  };
  for (; next_chroma_ < format.size_of(1).height && last_read(next_chroma_) <= y; ++next_chroma_) {
    for (const int component : {1, 2}) finish(component, next_chroma_);
  }
}

/// Differences of a row at the width of luma become chroma at its own.
void FilmFromPicture::reduce(int component, int y) {
  const ChromaTaps& taps = plan_.across;
  const int width = plan_.format.size.width;
  const int count = int(taps.down.size());
  Lines& lines = rows_->differences[component - 1];
  const int log2 = plan_.format.chroma_log2_x;
  const auto at = [&](int x) { return lines[x & (taps.phases - 1)] + (x >> log2); };
  for (int k = 1; k < count; ++k) {
    *at(-k) = *at(reflected(-k, width));
    *at(width - 1 + k) = *at(reflected(width - 1 + k, width));
  }
  const float* read[kMostTaps];
  for (int k = 0; k < count; ++k) read[k] = at(taps.down_first + k);
  mix_lines({read, taps.down.data(), count}, rows_->chroma[component - 1][y % rows_->chroma_rows],
            plan_.format.size_of(component).width);
}

/// A row of chroma, whose rows at the height of luma are all there.
void FilmFromPicture::finish(int component, int chroma_row) {
  const ChromaTaps& taps = plan_.down;
  const int count = int(taps.down.size());
  const float* read[kMostTaps];
  for (int k = 0; k < count; ++k) {
    const int y =
        reflected(taps.phases * chroma_row + taps.down_first + k, plan_.format.size.height);
    read[k] = rows_->chroma[component - 1][y % rows_->chroma_rows];
  }
  store_component(component, chroma_row, {read, taps.down.data(), count}, plan_.chroma_zero);
}

/// Weighted sums of lines as a row of samples.
void FilmFromPicture::store_component(int component, int y, const Taps& taps, float zero) {
  const FilmPlane& plane = dst_.planes[size_t(component)];
  const int depth = plan_.format.depth;
  const int count = plan_.format.size_of(component).width;
  store_line(taps, zero, rows_->most, row_to_store(plane, depth, y, count, rows_->words), count);
  store_row(plane, depth, y, rows_->words);
}

void film_from_picture(const Frame& src, const FilmView& dst) {
  FilmFromPicture(dst).put(src);
}

bool has_constant_alpha(const FilmView& film) {
  UPRES_ASSERT(film.format.alpha, "the film has alpha");
  const FilmPlane& plane = film.planes[size_t(film.format.components() - 1)];
  const Size size = film.format.size;
  Words words[2];
  const auto row = [&](int y) {
    return load_row(plane, film.format.depth, y, size.width, words[y > 0 ? 1 : 0]);
  };
  const Stored first = row(0);
  const auto word = size_t(first.word_bytes);
  // Each sample of the first row is like the one behind it, and each row like the first.
  if (std::memcmp(first.data, first.data + word, word * size_t(size.width - 1)) != 0) return false;
  for (int y = 1; y < size.height; ++y) {
    if (std::memcmp(first.data, row(y).data, word * size_t(size.width)) != 0) return false;
  }
  return true;
}

bool same_samples(const FilmView& a, const FilmView& b) {
  UPRES_ASSERT(a.format == b.format, "frames of one format are compared");
  for (int c = 0; c < a.format.components(); ++c) {
    const FilmPlane& one = a.planes[size_t(c)];
    const FilmPlane& other = b.planes[size_t(c)];
    // Alpha is full size wherever it stands.
    const bool is_alpha = a.format.alpha && c == a.format.components() - 1;
    const Size size = is_alpha ? a.format.size : a.format.size_of(c);
    if (one.step_bytes != other.step_bytes || one.word_bytes != other.word_bytes) return false;
    const auto bytes = size_t(size.width - 1) * size_t(one.step_bytes) + size_t(one.word_bytes);
    for (int y = 0; y < size.height; ++y) {
      const std::byte* p = one.data + y * one.row_bytes;
      const std::byte* q = other.data + y * other.row_bytes;
      if (one.step_bytes == one.word_bytes) {
        if (std::memcmp(p, q, bytes) != 0) return false;
        continue;
      }
      for (int x = 0; x < size.width; ++x, p += one.step_bytes, q += one.step_bytes) {
        if (std::memcmp(p, q, size_t(one.word_bytes)) != 0) return false;
      }
    }
  }
  return true;
}

}  // namespace upres
