// SPDX-License-Identifier: Apache-2.0
// What the frames of films are made of, and where their samples are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "frame/frame_view.h"
#include "tile/rect.h"

namespace upres {

/// How luma and colour differences are made of R'G'B' (ITU-T H.273, MatrixCoefficients).
enum class FilmMatrix : uint8_t { bt601, bt709, bt2020, fcc, smpte240m };

/// Where the sample of subsampled chroma lies along an axis, among the luma samples it belongs to.
enum class ChromaSite : uint8_t { first, middle, last };

/// What the samples of a frame mean.
struct FilmFormat {
  enum class Kind : uint8_t { gray, yuv, rgb };

  Size size;  ///< of luma, in pixels
  Kind kind = Kind::yuv;
  int depth = 8;          ///< bits of a sample, 1..16
  bool alpha = false;     ///< full range always
  int chroma_log2_x = 0;  ///< of yuv: one chroma sample for 1 << this pixels across, 0..2
  int chroma_log2_y = 0;  ///< and down
  FilmMatrix matrix = FilmMatrix::bt709;  ///< of yuv
  bool full_range = false;                ///< else 16..235 and 16..240, times 2^(depth - 8)
  ChromaSite site_x = ChromaSite::first;
  ChromaSite site_y = ChromaSite::middle;

  constexpr int components() const { return (kind == Kind::gray ? 1 : 3) + (alpha ? 1 : 0); }
  /// Channels of the picture that a network sees: 1 to 4, as of FrameInfo.
  int channels() const { return components(); }
  /// How many samples a component has: 0: luma or red, 1 and 2: the others of colour; alpha is
  /// last.
  constexpr Size size_of(int component) const {
    if (kind != Kind::yuv || component == 0 || component == 3) return size;
    return {(size.width + (1 << chroma_log2_x) - 1) >> chroma_log2_x,
            (size.height + (1 << chroma_log2_y) - 1) >> chroma_log2_y};
  }
  friend bool operator==(const FilmFormat&, const FilmFormat&) = default;
};

/// One component: sample (x, y) is the 8 or 16 bit word at data + y * row_bytes + x * step_bytes,
/// shifted right by `shift`; what is above `depth` bits is nothing.
struct FilmPlane {
  std::byte* data = nullptr;
  ptrdiff_t row_bytes = 0;
  ptrdiff_t step_bytes = 1;
  int word_bytes = 1;       ///< 1 or 2
  int shift = 0;            ///< bits below the sample, which are 0 where one is written
  bool big_endian = false;  ///< of words of 2 bytes
};

/// A non-owning view of a frame: Y, U, V (Cb, Cr) or R, G, B, then alpha; gray: Y, then alpha.
struct FilmView {
  FilmFormat format;
  std::array<FilmPlane, 4> planes = {};
  MemoryKind memory = MemoryKind::host;
  GpuShare gpu = {};  ///< of MemoryKind::device: work that is put into its stream finds them made
};

/// Where the samples of a frame are in one block of memory.
struct FilmLayout {
  FilmFormat format;
  size_t total_bytes = 0;
  std::array<FilmPlane, 4> planes = {};  ///< without data
  std::array<size_t, 4> offsets = {};    ///< of the planes' data, from where the block begins

  /// A frame in such a block of the host's memory.
  FilmView at(std::byte* block) const {
    FilmView view{format, planes};
    for (size_t c = 0; c < size_t(format.components()); ++c) {
      view.planes[c].data = block + offsets[c];
    }
    return view;
  }
};

}  // namespace upres
