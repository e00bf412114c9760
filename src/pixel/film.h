// SPDX-License-Identifier: Apache-2.0
// From a film's frames to pictures that networks read, and back.
#pragma once

#include <cstdint>
#include <memory>

#include "frame/film_format.h"
#include "frame/frame.h"
#include "frame/rows.h"
#include "pixel/film_plan.h"
#include "pixel/film_rows.h"

namespace upres {

/// What a frame of such a film is as a picture: 16 bit, gray or RGB, with alpha where it has some.
FrameInfo picture_of(const FilmFormat& format);

/// A frame in the host's memory as a picture that is made as it is read. The samples outlive it.
class PictureFromFilm : public RowSource {
 public:
  explicit PictureFromFilm(const FilmView& src);
  ~PictureFromFilm() override;
  const FrameInfo& info() const override { return info_; }
  Frame read() override;

 private:
  class Rows;
  FrameInfo info_;
  int rows_at_once_;
  int next_ = 0;
  std::unique_ptr<Rows> rows_;
};

/// The same, whole.
Frame picture_from_film(const FilmView& src);

/// Makes a frame of a picture of 16 bits as that comes, of each strip while it is in the
/// processor's cache. `dst` has the picture's size; where the frame has alpha, so has the picture;
/// a gray frame takes the luma of RGB. The samples outlive it.
class FilmFromPicture : public RowSink {
 public:
  explicit FilmFromPicture(const FilmView& dst);
  ~FilmFromPicture() override;
  void write(Frame rows) override { put(rows); }
  /// The same of rows that are kept.
  void put(const Frame& rows);

 private:
  struct Rows;
  void take_row(int y, const uint16_t* src, int channels);
  const uint16_t* packed(const uint16_t* src, int channels);
  void take_colours(int y, const uint16_t* rgb);
  void reduce(int component, int y);
  void finish(int component, int chroma_row);
  void store_component(int component, int y, const film_rows::Taps& taps, float zero);

  FilmPlan plan_;
  FilmView dst_;
  int next_ = 0;
  int next_chroma_ = 0;
  std::unique_ptr<Rows> rows_;
};

/// The same of a whole picture.
void film_from_picture(const Frame& src, const FilmView& dst);

/// Whether all alpha samples of a frame that has some are the same.
bool has_constant_alpha(const FilmView& film);

/// Whether all samples are the same. The formats are.
bool same_samples(const FilmView& a, const FilmView& b);

}  // namespace upres
