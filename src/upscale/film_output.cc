// SPDX-License-Identifier: Apache-2.0
#include "upscale/film_output.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace upres {

SegmentedOutput::SegmentedOutput(FilmEncoding encoding, Journal& journal, double length_s,
                                 int64_t start)
    : encoding_(std::move(encoding)),
      journal_(journal),
      length_(length_s / encoding_.time_base.value()),
      start_(start),
      packets_(journal.packets(), journal.end_bytes()) {}

int64_t SegmentedOutput::segment_of(int64_t pts) const {
  return int64_t(std::floor(double(pts - start_) / length_));
}

/// The one of the frame's segment.
FilmEncoder& SegmentedOutput::encoder_for(const FilmFrame& source) {
  const int64_t segment = segment_of(source.pts);
  if (encoder_ && segment != segment_) end_segment();
  if (!encoder_) encoder_ = std::make_unique<FilmEncoder>(encoding_, source);
  segment_ = segment;
  return *encoder_;
}

FilmFrame SegmentedOutput::frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) {
  return encoder_for(source).frame(source, std::move(samples));
}

void SegmentedOutput::put(const FilmFrame& made) {
  shown_.push_back(made.pts);
  encoder_->encode(made, [this](const FilmPacket& packet) { take(packet); });
}

void SegmentedOutput::take(const FilmPacket& packet) {
  decoded_.push_back(packet.pts);
  packets_.write(packet);
}

void SegmentedOutput::end_segment() {
  encoder_->finish([this](const FilmPacket& packet) { take(packet); });
  encoder_.reset();
  Segment segment{.frames = int64_t(shown_.size()), .end_bytes = packets_.sync()};
  if (decoded_.size() != shown_.size()) {
    fail(ErrorCode::output,
         "the encoder {} made {} pictures of {} frames; choose another one with -c",
         encoding_.codec, decoded_.size(), shown_.size());
  }
  for (size_t i = 0; i < decoded_.size(); ++i) {
    const auto shown = std::ranges::lower_bound(shown_, decoded_[i]) - shown_.begin();
    segment.reorder = std::max(segment.reorder, int64_t(i) - int64_t(shown));
  }
  journal_.add(segment);
  shown_.clear();
  decoded_.clear();
}

void SegmentedOutput::finish() {
  if (encoder_) end_segment();
}

JoinedSegments::JoinedSegments(const Journal& journal)
    : journal_(journal), packets_(journal.packets(), journal.end_bytes()) {
  for (const Segment& segment : journal.segments()) reorder_ = std::max(reorder_, segment.reorder);
}

void JoinedSegments::read_segment() {
  read_.clear();
  given_ = 0;
  const int64_t end = journal_.segments()[segment_++].end_bytes;
  while (packets_.position() < end) {
    if (auto packet = packets_.next()) read_.push_back(std::move(*packet));
  }
  std::vector<int64_t> times = last_;
  for (const FilmPacket& packet : read_) times.push_back(packet.pts);
  std::sort(times.begin() + std::ptrdiff_t(last_.size()), times.end());
  if (last_.empty() && reorder_ > 0) {
    // Before the first frame of all: as far apart as the first two.
    const int64_t step = times.size() > 1 ? times[1] - times[0] : 1;
    std::vector<int64_t> before;
    for (int64_t i = reorder_; i > 0; --i) before.push_back(times[0] - i * step);
    times.insert(times.begin(), before.begin(), before.end());
  }
  for (size_t i = 0; i < read_.size(); ++i) read_[i].dts = times[i];
  last_.assign(times.end() - std::ptrdiff_t(reorder_), times.end());
}

std::optional<FilmPacket> JoinedSegments::next() {
  while (given_ == read_.size()) {
    if (segment_ == journal_.segments().size()) return std::nullopt;
    read_segment();
  }
  return read_[given_++];
}

}  // namespace upres
