// SPDX-License-Identifier: Apache-2.0
// Runs jobs on an engine; where memory runs out meanwhile, in smaller tiles.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "tile/grid.h"

namespace upres {

/// How the tiles of a network are joined.
struct TileJoin {
  int scale = 1;      ///< of the network
  int overlap = 0;    ///< pixels of the input that neighbours share
  int alignment = 1;  ///< of where tiles begin
  bool exact = true;  ///< cut where they meet; else they fade into each other
};

/// Tiles that a network made of a picture, and those of them that left half precision's range and
/// were computed again in single precision.
struct TileCount {
  int64_t made = 0;
  int64_t repaired = 0;
};

/// Below this, what is shared not counted, a tile is mostly what it shares with its neighbours.
constexpr int kSmallestSide = 32;

/// A session that goes on when memory runs out, because another program took it: jobs that are not
/// done are run anew, cut into smaller tiles, and so are all later ones of the picture. Their
/// pixels are the same where tiles are exact. Used by one thread; the engine outlives it.
class JobRunner {
 public:
  JobRunner(const Engine& engine, TileJoin join);

  /// Forgets of the picture before how small its tiles were and how many. `notice` gets a sentence
  /// when memory runs out; may be empty.
  void begin(std::function<void(const std::string&)> notice);

  /// As those of Session. Error{memory} when not even the smallest tiles fit.
  [[nodiscard]] bool plan(Size read);
  void submit(Job job);
  void wait();

  /// Since begin().
  TileCount count() const;

 private:
  static constexpr int kNoLimit = std::numeric_limits<int>::max();

  Session& session();
  void start(const Job& job);
  void start_cut(const Job& job, const TileGrid& grid);
  void run_blended(const Job& job, const TileGrid& grid);
  void run_in_smaller_tiles();
  void lower_limit();

  const Engine& engine_;
  TileJoin join_;
  std::unique_ptr<Session> session_;  ///< opened where it is needed
  std::function<void(const std::string&)> notice_;
  std::vector<Job> jobs_;              ///< since the last wait(): not all of them are done
  Size limit_ = {kNoLimit, kNoLimit};  ///< what a job may read at once
  TileCount count_;                    ///< repaired: in sessions that are closed
};

}  // namespace upres
