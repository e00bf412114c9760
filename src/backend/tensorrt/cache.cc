// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <variant>

#include "backend/tensorrt/file_lock.h"
#include "base/error.h"
#include "base/hash.h"

namespace upres::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKind = "kind";
constexpr const char* kNetwork = "network";
constexpr const char* kEngine = "engine";
constexpr const char* kTimings = "timings";
constexpr const char* kLockExtension = ".lock";
constexpr size_t kNameDigits = 32;

std::string extension(const char* kind) {
  return fmt::format(".{}", kind);
}

fs::path engine_path(const fs::path& folder, const EngineKey& key) {
  return folder / (file_name(key) + extension(kEngine));
}

/// What timings are of: any network's, by one version of the library, on one GPU with one driver.
Facts timing_facts(const EngineKey& key) {
  return {{kKind, kTimings},
          {"gpu", key.gpu},
          {"driver", key.driver},
          {"library", key.library},
          {"version", key.version}};
}

std::string timing_name(const EngineKey& key) {
  const std::string text = key.gpu + "\n" + key.library + "\n";
  return sha256_hex(std::as_bytes(std::span(text))).substr(0, kNameDigits) + extension(kTimings);
}

/// Those that fit; nothing else is worth a word: a build goes without.
TimingCache read_timings(const fs::path& folder, const EngineKey& key) {
  auto read = read_sealed(folder / timing_name(key));
  const Sealed* file = std::get_if<Sealed>(&read);
  if (!file || file->facts != timing_facts(key)) return {};
  return {file->bytes.begin(), file->bytes.end()};
}

/// An engine's file, or why it does not serve; nothing where there is none.
std::optional<std::variant<EngineBytes, Fault>> look_up(const fs::path& path,
                                                        const EngineKey& key) {
  std::error_code unknown;
  if (!fs::exists(path, unknown)) return std::nullopt;
  auto read = read_sealed(path);
  if (auto* fault = std::get_if<Fault>(&read)) return std::move(*fault);
  Sealed& file = std::get<Sealed>(read);
  if (fact(file.facts, kKind) != kEngine) return Fault("is no engine");
  const EngineKey found = key_of(file.facts);
  if (found != key) return Fault(difference(found, key));
  return EngineBytes(std::move(file));
}

/// Builds, and keeps what is built; a folder that takes nothing is told of and harms nothing.
EngineBytes build_and_keep(const fs::path& folder, const EngineKey& key, const std::string& network,
                           const LoadEvents& events, const EngineCache::Build& build) {
  const TimingCache before = read_timings(folder, key);
  TimingCache timings = before;
  std::vector<std::byte> engine = build(timings);
  try {
    Facts facts = {{kKind, kEngine}, {kNetwork, network}};
    for (auto& one : facts_of(key)) facts.push_back(std::move(one));
    write_sealed(engine_path(folder, key), facts, engine);
    if (timings != before) write_sealed(folder / timing_name(key), timing_facts(key), timings);
  } catch (const Error& error) {
    events.tell(fmt::format("the engine is not kept for the next time: {}", error.what()));
  }
  return EngineBytes(std::move(engine));
}

/// The lock on an engine's file; nothing where the folder takes no files.
std::optional<FileLock> lock(const fs::path& folder, const EngineKey& key,
                             const LoadEvents& events) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  try {
    return FileLock::take(folder / (file_name(key) + kLockExtension), events.stop, [&] {
      events.tell("another process is building this engine; waiting for it");
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::output) throw;
    events.tell(fmt::format("the engine is not kept for the next time: {}", error.what()));
    return std::nullopt;
  }
}

}  // namespace

EngineBytes EngineCache::obtain(const EngineKey& key, const std::string& network,
                                const LoadEvents& events, const Build& build, bool anew) const {
  const auto without_keeping = [&] {
    TimingCache none;
    return EngineBytes(build(none));
  };
  if (!folder_) {
    events.tell("neither XDG_CACHE_HOME nor HOME names a folder: the engine is not kept");
    return without_keeping();
  }
  const fs::path path = engine_path(*folder_, key);
  const auto kept = [&] { return anew ? std::nullopt : look_up(path, key); };
  if (auto found = kept()) {
    if (auto* engine = std::get_if<EngineBytes>(&*found)) return std::move(*engine);
  }
  const auto held = lock(*folder_, key, events);
  if (!held) return without_keeping();
  // Another process may have built it meanwhile.
  if (auto found = kept()) {
    if (auto* engine = std::get_if<EngineBytes>(&*found)) return std::move(*engine);
    events.tell(fmt::format("the engine in the cache {}: it is built anew ({})",
                            std::get<Fault>(*found), path.string()));
  }
  return build_and_keep(*folder_, key, network, events, build);
}

std::optional<fs::path> EngineCache::file_of(const EngineKey& key) const {
  if (!folder_) return std::nullopt;
  const fs::path path = engine_path(*folder_, key);
  const auto read = read_facts(path);
  const Facts* facts = std::get_if<Facts>(&read);
  return facts && key_of(*facts) == key ? std::optional(path) : std::nullopt;
}

std::vector<CachedEngine> EngineCache::list() const {
  std::vector<CachedEngine> engines;
  if (!folder_) return engines;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(*folder_, none)) {
    struct stat status {};
    if (entry.path().extension() != extension(kEngine) ||
        stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
      continue;
    }
    CachedEngine engine{entry.path(), uint64_t(status.st_size), status.st_mtime, {}, {}, {}};
    const auto read = read_facts(entry.path());
    if (const Facts* facts = std::get_if<Facts>(&read)) {
      engine.network = fact(*facts, kNetwork);
      engine.key = key_of(*facts);
    } else {
      engine.fault = std::get<Fault>(read);
    }
    engines.push_back(std::move(engine));
  }
  std::ranges::sort(engines, [](const CachedEngine& a, const CachedEngine& b) {
    return a.built != b.built ? a.built > b.built : a.path < b.path;
  });
  return engines;
}

EngineCache::Cleaned EngineCache::clean() const {
  Cleaned cleaned;
  if (!folder_) return cleaned;
  const auto remove = [&](const fs::path& path) {
    std::error_code failed;
    const uint64_t size = fs::file_size(path, failed);
    fs::remove(path, failed);
    if (failed) {
      fail(ErrorCode::output, "{} cannot be removed: {}", path.string(), failed.message());
    }
    cleaned.bytes += size;
  };
  for (const CachedEngine& engine : list()) {
    const auto held = FileLock::try_take(fs::path(engine.path).replace_extension(kLockExtension));
    if (!held) {
      ++cleaned.busy;
      continue;
    }
    remove(engine.path);
    ++cleaned.engines;
  }
  std::vector<fs::path> timings;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(*folder_, none)) {
    if (entry.path().extension() == extension(kTimings)) timings.push_back(entry.path());
  }
  for (const fs::path& path : timings) remove(path);
  return cleaned;
}

std::optional<fs::path> cache_folder() {
  const auto absolute = [](const char* variable) {
    const char* value = std::getenv(variable);
    return value && fs::path(value).is_absolute() ? std::optional<fs::path>(value) : std::nullopt;
  };
  if (const auto cache = absolute("XDG_CACHE_HOME")) return *cache / "upres/tensorrt";
  if (const auto home = absolute("HOME")) return *home / ".cache/upres/tensorrt";
  return std::nullopt;
}

}  // namespace upres::tensorrt
