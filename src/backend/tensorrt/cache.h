// SPDX-License-Identifier: Apache-2.0
// Engines that were built, kept for the next run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/tensorrt/key.h"

namespace upres::tensorrt {

/// The bytes of an engine, in a file or in memory.
class EngineBytes {
 public:
  explicit EngineBytes(Sealed file) : file_(std::move(file)) {}
  explicit EngineBytes(std::vector<std::byte> built) : built_(std::move(built)) {}

  std::span<const std::byte> get() const { return file_ ? file_->bytes : std::span(built_); }
  bool was_built() const { return !file_; }

 private:
  std::optional<Sealed> file_;
  std::vector<std::byte> built_;
};

/// What builds have learned that the next one by the same library on the same GPU can use.
using TimingCache = std::vector<std::byte>;

struct CachedEngine {
  std::filesystem::path path;
  uint64_t size_bytes;
  time_t built;
  std::string network;  ///< what it is of, for people
  EngineKey key;
  std::string fault;  ///< empty, or what is wrong with the file
};

class EngineCache {
 public:
  /// Builds an engine; gets what builds before it learned, and puts there what it learns.
  using Build = std::function<std::vector<std::byte>(TimingCache& timing)>;

  /// The folder is made when something is put there; without one nothing is kept.
  explicit EngineCache(std::optional<std::filesystem::path> folder) : folder_(std::move(folder)) {}

  /// The engine of this key: from its file where that is whole and of this key, else built and put
  /// there. Of processes and threads that want the same one only one builds it. What the user
  /// should know is told: why a file is not used, that another process is waited for, that the
  /// folder cannot be written (the engine serves all the same). `network` says what it is of.
  /// `anew`: a file that is there does not serve, for a reason that it does not show.
  EngineBytes obtain(const EngineKey& key, const std::string& network, const LoadEvents& events,
                     const Build& build, bool anew = false) const;

  /// The engine's file; nothing where none is kept. Its bytes are not looked at.
  std::optional<std::filesystem::path> file_of(const EngineKey& key) const;

  /// All engines, the newest first.
  std::vector<CachedEngine> list() const;

  struct Cleaned {
    int engines = 0;
    uint64_t bytes = 0;  ///< with what builds have learned
    int busy = 0;        ///< engines that are being built, which are left
  };
  /// Removes what upres has put there. Error{output} where that is not possible.
  Cleaned clean() const;

  const std::optional<std::filesystem::path>& folder() const { return folder_; }

 private:
  std::optional<std::filesystem::path> folder_;
};

/// $XDG_CACHE_HOME/upres/tensorrt, or .cache/upres/tensorrt of the user's folder; nothing where the
/// environment names neither.
std::optional<std::filesystem::path> cache_folder();

}  // namespace upres::tensorrt
