// SPDX-License-Identifier: Apache-2.0
#include "pixel/film.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/error.h"

// The loops are compiled twice, and the processor at hand chooses: what the vectors are wide makes
// no difference to the results, as nothing is fused or reordered.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define UPRES_VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define UPRES_VECTORISED
#endif

namespace upres {
namespace {

using Kind = FilmFormat::Kind;
using Line = std::vector<float>;

/// Index i of a line of n, mirrored at both ends with its end samples repeated.
int reflected(int i, int n) {
  const int period = 2 * n;
  const int phase = ((i % period) + period) % period;
  return phase < n ? phase : period - 1 - phase;
}

UPRES_VECTORISED
void widen_bytes(const uint8_t* src, float* dst, int count) {
  for (int x = 0; x < count; ++x) dst[x] = float(src[x]);
}

UPRES_VECTORISED
void widen_words(const uint16_t* src, float* dst, int count) {
  for (int x = 0; x < count; ++x) dst[x] = float(src[x]);
}

/// The samples of one row.
void load(const FilmPlane& plane, int depth, int y, float* dst, int count) {
  const std::byte* row = plane.data + y * plane.row_bytes;
  const bool plain = plane.step_bytes == plane.word_bytes && plane.shift == 0;
  if (plain && plane.word_bytes == 1 && depth == 8) {
    return widen_bytes(reinterpret_cast<const uint8_t*>(row), dst, count);
  }
  if (plain && plane.word_bytes == 2 && !plane.big_endian) {
    return widen_words(reinterpret_cast<const uint16_t*>(row), dst, count);
  }
  const unsigned mask = (1u << depth) - 1;
  for (int x = 0; x < count; ++x, row += plane.step_bytes) {
    unsigned word = unsigned(row[0]);
    if (plane.word_bytes == 2) {
      word = plane.big_endian ? word << 8 | unsigned(row[1]) : word | unsigned(row[1]) << 8;
    }
    dst[x] = float(word >> plane.shift & mask);
  }
}

/// Adds the zero, rounds half up, then clamps to 0..most.
UPRES_VECTORISED
void round_to_words(const float* src, float zero, uint16_t* dst, int count, float most) {
  const float half_up = zero + 0.5f;
  for (int x = 0; x < count; ++x) {
    dst[x] = uint16_t(int(std::min(std::max(src[x] + half_up, 0.0f), most)));
  }
}

UPRES_VECTORISED
void round_to_bytes(const float* src, float zero, uint8_t* dst, int count, float most) {
  const float half_up = zero + 0.5f;
  for (int x = 0; x < count; ++x) {
    dst[x] = uint8_t(int(std::min(std::max(src[x] + half_up, 0.0f), most)));
  }
}

/// Adds the zero, rounds and stores the samples of one row.
void store(const float* src, float zero, const FilmPlane& plane, int depth, int y, int count) {
  std::byte* row = plane.data + y * plane.row_bytes;
  const auto most = float((1u << depth) - 1);
  const bool plain = plane.step_bytes == plane.word_bytes && plane.shift == 0;
  if (plain && plane.word_bytes == 1) {
    return round_to_bytes(src, zero, reinterpret_cast<uint8_t*>(row), count, most);
  }
  if (plain && !plane.big_endian) {
    return round_to_words(src, zero, reinterpret_cast<uint16_t*>(row), count, most);
  }
  for (int x = 0; x < count; ++x, row += plane.step_bytes) {
    const float value = std::min(std::max(src[x] + (zero + 0.5f), 0.0f), most);
    const unsigned word = unsigned(value) << plane.shift;
    if (plane.word_bytes == 1) {
      row[0] = std::byte(word);
    } else {
      row[plane.big_endian ? 0 : 1] = std::byte(word >> 8);
      row[plane.big_endian ? 1 : 0] = std::byte(word & 255);
    }
  }
}

UPRES_VECTORISED
void scale_line(float* line, int count, float zero, float scale) {
  for (int x = 0; x < count; ++x) line[x] = (line[x] - zero) * scale;
}

UPRES_VECTORISED
void multiply(float* line, int count, float factor) {
  for (int x = 0; x < count; ++x) line[x] *= factor;
}

UPRES_VECTORISED
void add_scaled(const float* src, float weight, float* sum, int count) {
  for (int x = 0; x < count; ++x) sum[x] += weight * src[x];
}

/// Two luma samples for each chroma sample: the usual case of enlarge().
UPRES_VECTORISED
void enlarge_by_two(const float* src, const float* taps, float* dst, int count) {
  for (int i = 0; i < count; ++i) {
    dst[2 * i] = taps[0] * src[i - 1] + taps[1] * src[i] + taps[2] * src[i + 1];
    dst[2 * i + 1] = taps[3] * src[i - 1] + taps[4] * src[i] + taps[5] * src[i + 1];
  }
}

/// A row of chroma at the size of luma: `dst` has room for whole chroma samples.
void enlarge(Line& src, int count, const ChromaTaps& taps, float* dst) {
  // One sample is put before the line and one behind it.
  src[0] = src[1];
  src[size_t(count) + 1] = src[size_t(count)];
  const float* samples = src.data() + 1;
  if (taps.phases == 1) return void(std::copy_n(samples, count, dst));
  if (taps.phases == 2) return enlarge_by_two(samples, taps.up.data(), dst, count);
  for (int i = 0; i < count; ++i) {
    for (int p = 0; p < taps.phases; ++p) {
      const float* weights = taps.up.data() + 3 * p;
      dst[taps.phases * i + p] =
          weights[0] * samples[i - 1] + weights[1] * samples[i] + weights[2] * samples[i + 1];
    }
  }
}

UPRES_VECTORISED
void pack_rgb(const float* y, const float* u, const float* v, uint16_t* dst, int count,
              const FilmPlan& plan) {
  const float red_v = plan.red_v;
  const float green_u = plan.green_u;
  const float green_v = plan.green_v;
  const float blue_u = plan.blue_u;
  for (int x = 0; x < count; ++x) {
    const float red = y[x] + red_v * v[x];
    const float green = y[x] + green_u * u[x] + green_v * v[x];
    const float blue = y[x] + blue_u * u[x];
    dst[3 * x] = uint16_t(int(std::min(std::max(red + 0.5f, 0.0f), kFilmOne)));
    dst[3 * x + 1] = uint16_t(int(std::min(std::max(green + 0.5f, 0.0f), kFilmOne)));
    dst[3 * x + 2] = uint16_t(int(std::min(std::max(blue + 0.5f, 0.0f), kFilmOne)));
  }
}

/// One channel of a row of a packed picture.
void pack_channel(const float* src, uint16_t* dst, int channels, int count) {
  for (int x = 0; x < count; ++x) {
    dst[x * channels] = uint16_t(int(std::min(std::max(src[x] + 0.5f, 0.0f), kFilmOne)));
  }
}

void unpack_channel(const uint16_t* src, int channels, float* dst, int count) {
  for (int x = 0; x < count; ++x) dst[x] = float(src[x * channels]);
}

/// Y, U and V of a row of packed RGB, before their zeros are added.
UPRES_VECTORISED
void to_yuv_packed(const uint16_t* rgb, float* y, float* u, float* v, int count,
                   const FilmPlan& plan) {
  const float y_red = plan.to_y[0], y_green = plan.to_y[1], y_blue = plan.to_y[2];
  const float u_red = plan.to_u[0], u_green = plan.to_u[1], u_blue = plan.to_u[2];
  const float v_red = plan.to_v[0], v_green = plan.to_v[1], v_blue = plan.to_v[2];
  for (int x = 0; x < count; ++x) {
    const auto red = float(rgb[3 * x]);
    const auto green = float(rgb[3 * x + 1]);
    const auto blue = float(rgb[3 * x + 2]);
    y[x] = y_red * red + y_green * green + y_blue * blue;
    u[x] = u_red * red + u_green * green + u_blue * blue;
    v[x] = v_red * red + v_green * green + v_blue * blue;
  }
}

/// Two luma samples for each chroma sample: the usual cases of reduce().
UPRES_VECTORISED
void reduce_by_three_taps(const float* src, const float* taps, float* dst, int count) {
  const float before = taps[0], here = taps[1], behind = taps[2];
  for (int i = 0; i < count; ++i) {
    dst[i] = before * src[2 * i] + here * src[2 * i + 1] + behind * src[2 * i + 2];
  }
}

UPRES_VECTORISED
void reduce_by_four_taps(const float* src, const float* taps, float* dst, int count) {
  const float a = taps[0], b = taps[1], c = taps[2], d = taps[3];
  for (int i = 0; i < count; ++i) {
    dst[i] = a * src[2 * i] + b * src[2 * i + 1] + c * src[2 * i + 2] + d * src[2 * i + 3];
  }
}

UPRES_VECTORISED
void add_four(const float* const* src, const float* weights, float* dst, int count) {
  const float *p = src[0], *q = src[1], *r = src[2], *s = src[3];
  const float a = weights[0], b = weights[1], c = weights[2], d = weights[3];
  for (int x = 0; x < count; ++x) dst[x] = a * p[x] + b * q[x] + c * r[x] + d * s[x];
}

/// A row of chroma from one at the size of luma, which starts at src + kMargin and has as much room
/// behind it.
constexpr int kMargin = 8;  // more than the taps of four luma samples for one of chroma reach

void reduce(float* src, int luma_count, const ChromaTaps& taps, float* dst, int count) {
  float* line = src + kMargin;
  for (int k = 1; k < kMargin; ++k) {
    line[-k] = line[reflected(-k, luma_count)];
    line[luma_count - 1 + k] = line[reflected(luma_count - 1 + k, luma_count)];
  }
  const float* first = line + taps.down_first;
  const int tap_count = int(taps.down.size());
  if (taps.phases == 2 && tap_count == 3) {
    return reduce_by_three_taps(first, taps.down.data(), dst, count);
  }
  if (taps.phases == 2 && tap_count == 4) {
    return reduce_by_four_taps(first, taps.down.data(), dst, count);
  }
  for (int i = 0; i < count; ++i) {
    float sum = 0;
    for (int k = 0; k < tap_count; ++k) sum += taps.down[size_t(k)] * first[taps.phases * i + k];
    dst[i] = sum;
  }
}

uint16_t* words(Frame& frame, int y) {
  return reinterpret_cast<uint16_t*>(frame.row(y));
}

const uint16_t* words(const Frame& frame, int y) {
  return reinterpret_cast<const uint16_t*>(frame.row(y));
}

/// Reads rows of chroma at the size of luma.
class ChromaRows {
 public:
  ChromaRows(const FilmPlan& plan, const FilmView& src)
      : plan_(plan),
        src_(src),
        size_(plan.format.size_of(1)),
        row_(size_t(size_.width)),
        sum_(size_t(size_.width) + 2) {
    const int whole_width = size_.width * plan.across.phases;
    for (Line& line : lines_) line.resize(size_t(whole_width));
  }

  /// Chroma of component 1 or 2 for luma row y, scaled. Valid until the next call for it.
  const float* at(int component, int y) {
    const ChromaTaps& taps = plan_.down;
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    for (int k = 0; k < 3; ++k) {
      const float weight = taps.up[size_t(3 * (y % taps.phases) + k)];
      if (weight == 0) continue;
      const int row = reflected(y / taps.phases - 1 + k, size_.height);
      load(src_.planes[size_t(component)], plan_.format.depth, row, row_.data(), size_.width);
      add_scaled(row_.data(), weight, sum_.data() + 1, size_.width);
    }
    scale_line(sum_.data() + 1, size_.width, plan_.chroma_zero, plan_.chroma_scale);
    Line& line = lines_[component - 1];
    enlarge(sum_, size_.width, plan_.across, line.data());
    return line.data();
  }

 private:
  const FilmPlan& plan_;
  const FilmView& src_;
  Size size_;
  Line row_;
  Line sum_;
  Line lines_[2];
};

/// Makes rows of chroma from rows at the size of luma that come in their order.
class ChromaSums {
 public:
  /// Those chroma rows are made that begin in luma rows first_row..last_row-1.
  ChromaSums(const FilmPlan& plan, const FilmView& dst, int first_row, int last_row)
      : plan_(plan),
        dst_(dst),
        size_(plan.format.size_of(1)),
        first_row_(first_row),
        last_row_(last_row) {
    for (auto& component : rows_) {
      component.resize(plan.down.down.size());
      for (Line& row : component) row.resize(size_t(size_.width));
    }
    sum_.resize(size_t(size_.width));
  }

  /// Takes the differences of the next row (component 1 or 2), with kMargin before and behind them.
  void put(int component, float* differences, int row) {
    auto& rows = rows_[component - 1];
    std::rotate(rows.begin(), rows.begin() + 1, rows.end());
    reduce(differences, plan_.format.size.width, plan_.across, rows.back().data(), size_.width);
    const ChromaTaps& taps = plan_.down;
    const int begins = row - int(taps.down.size()) + 1 - taps.down_first;
    if (begins >= first_row_ && begins < last_row_ && begins % taps.phases == 0) {
      finish(component, begins / taps.phases);
    }
  }

 private:
  void finish(int component, int chroma_row) {
    const auto& rows = rows_[component - 1];
    if (rows.size() == 4) {
      const float* const four[] = {rows[0].data(), rows[1].data(), rows[2].data(), rows[3].data()};
      add_four(four, plan_.down.down.data(), sum_.data(), size_.width);
    } else {
      std::fill(sum_.begin(), sum_.end(), 0.0f);
      for (size_t k = 0; k < rows.size(); ++k) {
        add_scaled(rows[k].data(), plan_.down.down[k], sum_.data(), size_.width);
      }
    }
    store(sum_.data(), plan_.chroma_zero, dst_.planes[size_t(component)], plan_.format.depth,
          chroma_row, size_.width);
  }

  const FilmPlan& plan_;
  const FilmView& dst_;
  Size size_;
  int first_row_;
  int last_row_;
  std::vector<Line> rows_[2];  ///< the last ones, as many as there are taps
  Line sum_;
};

}  // namespace

FrameInfo picture_of(const FilmFormat& format) {
  return {format.size, SampleType::u16, format.channels()};
}

void picture_from_film(const FilmPlan& plan, const FilmView& src, Frame& dst, int first_row,
                       int last_row) {
  const FilmFormat& format = plan.format;
  UPRES_ASSERT(dst.info() == picture_of(format), "the picture is made for the film");
  const int width = format.size.width;
  const int channels = format.channels();
  Line line(size_t(width) + 1);
  const auto load_scaled = [&](int component, int y, float zero, float scale) {
    load(src.planes[size_t(component)], format.depth, y, line.data(), width);
    scale_line(line.data(), width, zero, scale);
  };
  const auto load_alpha = [&](int y) {
    load_scaled(channels - 1, y, 0, plan.alpha_scale);
    pack_channel(line.data(), words(dst, y) + channels - 1, channels, width);
  };
  ChromaRows chroma(plan, src);
  std::vector<uint16_t> rgb(format.kind == Kind::yuv && format.alpha ? 3 * size_t(width) : 0);
  for (int y = first_row; y < last_row; ++y) {
    if (format.alpha) load_alpha(y);
    if (format.kind != Kind::yuv) {
      const int colours = channels - (format.alpha ? 1 : 0);
      for (int c = 0; c < colours; ++c) {
        load_scaled(c, y, plan.luma_zero, plan.luma_scale);
        pack_channel(line.data(), words(dst, y) + c, channels, width);
      }
      continue;
    }
    load_scaled(0, y, plan.luma_zero, plan.luma_scale);
    const float* u = chroma.at(1, y);
    const float* v = chroma.at(2, y);
    uint16_t* packed = format.alpha ? rgb.data() : words(dst, y);
    pack_rgb(line.data(), u, v, packed, width, plan);
    for (int x = 0; format.alpha && x < width; ++x) {
      std::copy_n(packed + 3 * x, 3, words(dst, y) + 4 * x);
    }
  }
}

void film_from_picture(const FilmPlan& plan, const Frame& src, const FilmView& dst, int first_row,
                       int last_row) {
  const FilmFormat& format = plan.format;
  const int width = format.size.width;
  const int height = format.size.height;
  const int channels = src.channels();
  const bool is_gray = channels <= 2;
  UPRES_ASSERT(src.size() == format.size && src.type() == SampleType::u16 &&
                   (!format.alpha || src.has_alpha()),
               "the film is made for the picture");
  UPRES_ASSERT(first_row % plan.down.phases == 0, "rows begin with a row of chroma");
  Line luma(size_t(width) + 2 * kMargin);
  Line u(luma.size());
  Line v(luma.size());
  std::vector<uint16_t> rgb(channels == 3 ? 0 : 3 * size_t(width));
  /// A row as packed RGB, whatever the picture has.
  const auto packed = [&](int y) -> const uint16_t* {
    const uint16_t* row = words(src, y);
    if (channels == 3) return row;
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) rgb[size_t(3 * x + c)] = row[x * channels + (is_gray ? 0 : c)];
    }
    return rgb.data();
  };
  const auto store_channel = [&](int channel, int component, int y, float zero, float scale) {
    unpack_channel(words(src, y) + channel, channels, luma.data(), width);
    multiply(luma.data(), width, 1 / scale);
    store(luma.data(), zero, dst.planes[size_t(component)], format.depth, y, width);
  };
  ChromaSums chroma(plan, dst, first_row, last_row);
  // Rows around those that are asked for count in chroma.
  const bool has_chroma = format.kind == Kind::yuv;
  const int reach = has_chroma ? int(plan.down.down.size()) : 0;
  const int before = first_row + (has_chroma ? plan.down.down_first : 0);
  const int last_chroma = (last_row - 1) / plan.down.phases * plan.down.phases;
  const int behind =
      has_chroma ? std::max(last_row, last_chroma + plan.down.down_first + reach) : last_row;
  for (int at = std::min(first_row, before); at < behind; ++at) {
    const int y = reflected(at, height);
    const bool asked = at >= first_row && at < last_row;
    if (asked && format.alpha) {
      store_channel(channels - 1, format.components() - 1, y, 0, plan.alpha_scale);
    }
    if (format.kind == Kind::rgb || (format.kind == Kind::gray && is_gray)) {
      for (int c = 0; c < (format.kind == Kind::rgb ? 3 : 1); ++c) {
        store_channel(is_gray ? 0 : c, c, y, plan.luma_zero, plan.luma_scale);
      }
      continue;
    }
    to_yuv_packed(packed(y), luma.data(), u.data() + kMargin, v.data() + kMargin, width, plan);
    if (asked) store(luma.data(), plan.luma_zero, dst.planes[0], format.depth, y, width);
    if (!has_chroma) continue;
    chroma.put(1, u.data(), at);
    chroma.put(2, v.data(), at);
  }
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
