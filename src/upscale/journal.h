// SPDX-License-Identifier: Apache-2.0
// What an interrupted run leaves beside its output, so that another one can go on.
//
//     film.mkv.part/journal   the plan, and a line for every segment that is whole
//                  /packets   the segments' encoded pictures, one behind the other
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace upres {

/// All that decides over the bytes of a result, by names that the user knows: {"--model", "..."}.
using FilmRunPlan = std::vector<std::pair<std::string, std::string>>;

/// A part of a film that is encoded by itself.
struct Segment {
  int64_t frames = 0;      ///< in it
  int64_t duplicates = 0;  ///< of those
  int64_t end_bytes = 0;   ///< of the file of packets, with it
  int64_t reorder = 0;  ///< by how many frames its packets are ahead of the order of time, at most
};

/// The journal of one output. What is added is on the disk when add() returns. Only one process has
/// it at a time. Failures are Error{output}.
class Journal {
 public:
  /// "film.mkv" -> "film.mkv.part".
  static std::filesystem::path folder_of(const std::filesystem::path& output);

  /// Begins anew, whatever was there, with a plan.
  static Journal begin(const std::filesystem::path& output, const FilmRunPlan& plan);
  /// Goes on with what is there. Error{output} when nothing is; Error{usage} that names the first
  /// difference when it was begun with another plan.
  static Journal resume(const std::filesystem::path& output, const FilmRunPlan& plan);

  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  const std::vector<Segment>& segments() const { return segments_; }
  int64_t frames() const;  ///< in all segments
  int64_t end_bytes() const { return segments_.empty() ? 0 : segments_.back().end_bytes; }
  std::filesystem::path packets() const { return folder_ / "packets"; }

  void add(const Segment& segment);
  /// Removes it with the packets: the output is in its place.
  void remove();

 private:
  Journal(std::filesystem::path folder, int descriptor);
  void append(const std::string& text);

  std::filesystem::path folder_;
  int descriptor_ = -1;  ///< of the file, which is locked
  std::vector<Segment> segments_;
};

}  // namespace upres
