// SPDX-License-Identifier: Apache-2.0
// All of the backend `tensorrt` that needs no TensorRT: what an engine is kept under, that nothing
// but what was kept is used, that it is built once, and where the libraries are found.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "backend/tensorrt/build_progress.h"
#include "backend/tensorrt/cache.h"
#include "backend/tensorrt/file_lock.h"
#include "backend/tensorrt/key.h"
#include "backend/tensorrt/library.h"
#include "backend/tensorrt/profile.h"
#include "backend/tensorrt/tensorrt.h"
#include "base/error.h"
#include "support/networks.h"
#include "support/temporary_folder.h"

namespace upres::tensorrt {
namespace {

namespace fs = std::filesystem;

EngineKey some_key() {
  return {.graph = std::string(64, 'a'),
          .precision = "fp16",
          .profile = "1x1 to 4096x4096, tuned for 1280x720",
          .gpu = "NVIDIA GeForce RTX 4090, compute capability 8.9, 128 multiprocessors",
          .driver = "580.82.07",
          .library = "TensorRT",
          .version = "11.1.0"};
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

std::string text_of(const EngineBytes& engine) {
  return {reinterpret_cast<const char*>(engine.get().data()), engine.get().size()};
}

/// A cache in a folder of its own, whose builds are counted.
class EngineCacheTest : public testing::Test {
 protected:
  std::string obtain(const EngineKey& key, const std::string& built = "an engine",
                     bool anew = false) {
    const LoadEvents events{.notice = [this](const std::string& told) { told_.push_back(told); }};
    const EngineBytes engine = EngineCache(folder_.path())
                                   .obtain(
                                       key, "x4, 0.62 M weights", events,
                                       [&](TimingCache& t) {
                                         ++builds_;
                                         learned_before_ = t.size();
                                         t = bytes_of("what was learned");
                                         return bytes_of(built);
                                       },
                                       anew);
    return text_of(engine);
  }

  fs::path engine_file(const EngineKey& key) const {
    return folder_ / (file_name(key) + ".engine");
  }

  /// What is told when the engine is asked for again with the file changed: it must be built anew.
  std::string why_anew(const std::function<void(const fs::path&)>& change) {
    obtain(some_key());
    change(engine_file(some_key()));
    told_.clear();
    const int before = builds_;
    EXPECT_EQ(obtain(some_key(), "another engine"), "another engine");
    EXPECT_EQ(builds_, before + 1);
    EXPECT_EQ(told_.size(), 1u);
    told_.resize(1);
    const std::string why = told_.front();
    // And it is kept.
    EXPECT_EQ(obtain(some_key()), "another engine");
    EXPECT_EQ(builds_, before + 1);
    return why;
  }

  test::TemporaryFolder folder_;
  std::vector<std::string> told_;
  int builds_ = 0;
  size_t learned_before_ = 0;
};

TEST_F(EngineCacheTest, BuildsOnceForEachKey) {
  const EngineCache cache(folder_.path());
  EXPECT_EQ(cache.file_of(some_key()), std::nullopt);
  EXPECT_EQ(obtain(some_key()), "an engine");
  EXPECT_EQ(cache.file_of(some_key()), engine_file(some_key()));
  EXPECT_EQ(obtain(some_key(), "never built"), "an engine");
  EXPECT_EQ(builds_, 1);
  for (const auto member : {&EngineKey::graph, &EngineKey::precision, &EngineKey::profile,
                            &EngineKey::gpu, &EngineKey::library}) {
    EngineKey other = some_key();
    other.*member += "x";
    EXPECT_EQ(obtain(other, "another"), "another");
    EXPECT_NE(file_name(other), file_name(some_key()));
  }
  EXPECT_EQ(builds_, 6);
  EXPECT_EQ(obtain(some_key()), "an engine");
  EXPECT_TRUE(told_.empty());
}

TEST_F(EngineCacheTest, WhatChangesUnderAnEngineReplacesIt) {
  obtain(some_key());
  EngineKey later = some_key();
  later.driver = "590.1";
  EXPECT_EQ(file_name(later), file_name(some_key()));
  EXPECT_EQ(obtain(later, "for the new driver"), "for the new driver");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find("is for driver 580.82.07, and this is 590.1: it is built anew"),
            std::string::npos)
      << told_[0];
  later.driver = "";
  obtain(later);
  EXPECT_NE(told_.back().find("is for driver 590.1, and this is none"), std::string::npos);
  later.version = "11.2.0";
  obtain(later);
  EXPECT_NE(told_.back().find("is for version 11.1.0, and this is 11.2.0"), std::string::npos);
}

TEST_F(EngineCacheTest, WhatIsWantedAnewReplacesWhatIsThere) {
  obtain(some_key());
  EXPECT_EQ(obtain(some_key(), "another engine", true), "another engine");
  EXPECT_EQ(obtain(some_key(), "never built"), "another engine");
  EXPECT_EQ(builds_, 2);
}

TEST_F(EngineCacheTest, DamagedFilesAreNeverUsed) {
  const auto damaged = why_anew([](const fs::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-1, std::ios::end);
    stream.put('!');
  });
  EXPECT_NE(damaged.find("is damaged"), std::string::npos) << damaged;
}

TEST_F(EngineCacheTest, TruncatedFilesAreNeverUsed) {
  const auto truncated =
      why_anew([](const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 3); });
  EXPECT_NE(truncated.find("is damaged"), std::string::npos) << truncated;
}

TEST_F(EngineCacheTest, ForeignFilesAreNeverUsed) {
  const auto foreign =
      why_anew([](const fs::path& file) { std::ofstream(file) << "a shopping list\n"; });
  EXPECT_NE(foreign.find("is no file of upres"), std::string::npos) << foreign;
  const auto empty = why_anew([](const fs::path& file) { fs::resize_file(file, 0); });
  EXPECT_NE(empty.find("is no file of upres"), std::string::npos) << empty;
}

TEST_F(EngineCacheTest, TheWholeHeaderIsCompared) {
  for (const std::streamoff at : {std::streamoff(21), std::streamoff(91)}) {  // of "sha256", "\n"
    const auto damaged = why_anew([at](const fs::path& file) {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(at);
      stream.put('!');
    });
    EXPECT_NE(damaged.find("is damaged"), std::string::npos) << damaged;
  }
}

TEST_F(EngineCacheTest, AnotherNetworksEngineUnderThisNameIsNotUsed) {
  const auto swapped = why_anew([this](const fs::path& file) {
    EngineKey other = some_key();
    other.graph = std::string(64, 'b');
    obtain(other, "of another network");
    fs::copy_file(engine_file(other), file, fs::copy_options::overwrite_existing);
  });
  EXPECT_NE(swapped.find("is another network's"), std::string::npos) << swapped;
}

TEST_F(EngineCacheTest, BuildsLearnFromEachOther) {
  obtain(some_key());
  EXPECT_EQ(learned_before_, 0u);
  EngineKey other = some_key();
  other.graph = std::string(64, 'b');
  obtain(other);
  EXPECT_EQ(learned_before_, std::string("what was learned").size());
}

TEST_F(EngineCacheTest, AFolderThatTakesNothingHarmsNothing) {
  const fs::path file = folder_ / "file";
  std::ofstream(file) << "no folder";
  const LoadEvents events{.notice = [this](const std::string& told) { told_.push_back(told); }};
  const auto engine = EngineCache(file / "below").obtain(some_key(), "", events, [](TimingCache&) {
    return bytes_of("an engine");
  });
  EXPECT_EQ(text_of(engine), "an engine");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find("the engine is not kept for the next time"), std::string::npos);
}

TEST_F(EngineCacheTest, ABuildThatFailsLeavesNothing) {
  const auto fails = [](TimingCache&) -> std::vector<std::byte> { fail(ErrorCode::device, "no"); };
  EXPECT_THROW(EngineCache(folder_.path()).obtain(some_key(), "", {}, fails), Error);
  EXPECT_TRUE(folder_.names().empty());
}

TEST_F(EngineCacheTest, TwoProcessesBuildItOnce) {
  const fs::path builds = folder_ / "builds";
  const auto obtain_slowly = [&] {
    EngineCache(folder_ / "cache").obtain(some_key(), "", {}, [&](TimingCache&) {
      std::ofstream(builds, std::ios::app) << "x";
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return bytes_of("an engine");
    });
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      obtain_slowly();
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(fs::file_size(builds), 1u);
}

TEST_F(EngineCacheTest, AStopRequestEndsTheWait) {
  const auto held = FileLock::try_take(folder_ / (file_name(some_key()) + ".lock"));
  ASSERT_TRUE(held);
  std::stop_source stop;
  const LoadEvents events{.notice =
                              [&](const std::string& told) {
                                told_.push_back(told);
                                stop.request_stop();
                              },
                          .stop = stop.get_token()};
  try {
    EngineCache(folder_.path()).obtain(some_key(), "", events, [](TimingCache&) {
      return bytes_of("never");
    });
    FAIL() << "the lock is held";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::interrupted);
  }
  EXPECT_EQ(told_,
            std::vector<std::string>{"another process is building this engine; waiting for it"});
}

TEST_F(EngineCacheTest, ListsAndCleansWhatIsItsOwn) {
  obtain(some_key());
  EngineKey other = some_key();
  other.precision = "fp32";
  obtain(other);
  std::ofstream(engine_file(other)) << "text";
  std::ofstream(folder_ / "notes.txt") << "the user's";
  const EngineCache cache(folder_.path());
  const auto all = cache.list();
  ASSERT_EQ(all.size(), 2u);
  for (const CachedEngine& engine : all) {
    if (engine.path == engine_file(other)) {
      EXPECT_EQ(engine.fault, "is no file of upres");
    } else {
      EXPECT_EQ(engine.key, some_key());
      EXPECT_EQ(engine.network, "x4, 0.62 M weights");
      EXPECT_EQ(engine.fault, "");
    }
  }
  const auto cleaned = cache.clean();
  EXPECT_EQ(cleaned.engines, 2);
  EXPECT_EQ(cleaned.busy, 0);
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"notes.txt"});
}

TEST_F(EngineCacheTest, AnEngineThatIsBeingBuiltIsLeft) {
  obtain(some_key());
  const auto held = FileLock::try_take(folder_ / (file_name(some_key()) + ".lock"));
  ASSERT_TRUE(held);
  const auto cleaned = EngineCache(folder_.path()).clean();
  EXPECT_EQ(cleaned.engines, 0);
  EXPECT_EQ(cleaned.busy, 1);
  EXPECT_TRUE(fs::exists(engine_file(some_key())));
}

TEST_F(EngineCacheTest, AFolderThatCannotBeWrittenIsNotCleaned) {
  obtain(some_key());
  // A folder in the lock's place: what no one can open for writing, whoever runs the test.
  fs::create_directory(folder_ / (file_name(some_key()) + ".lock"));
  EXPECT_TRUE(test::fails(ErrorCode::output, "cannot be made: Is a directory",
                          [&] { EngineCache(folder_.path()).clean(); }));
  EXPECT_TRUE(fs::exists(engine_file(some_key())));
}

TEST(EngineCacheFolder, IsTheUsersCache) {
  setenv("HOME", "/anyone", 1);
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(cache_folder(), fs::path("/anyone/.cache/upres/tensorrt"));
  setenv("XDG_CACHE_HOME", "/scratch", 1);
  EXPECT_EQ(cache_folder(), fs::path("/scratch/upres/tensorrt"));
  setenv("XDG_CACHE_HOME", "relative", 1);  // the specification says: ignored
  EXPECT_EQ(cache_folder(), fs::path("/anyone/.cache/upres/tensorrt"));
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(cache_folder(), std::nullopt);
}

TEST(EngineProfile, NoValueCountsBeyondTwoToTheThirtyOne) {
  test::Random random(1);
  const Graph graph = test::srvgg(random, 64, 2, 4);
  const Profile usual = choose_profile(graph, std::nullopt);
  EXPECT_EQ(text_of(usual), "1x1 to 4096x4096, tuned for 1280x720");
  const Profile hinted = choose_profile(graph, Size{9000, 30});
  EXPECT_EQ(hinted.tuned, (Size{4096, 30}));
}

TEST(EngineBuildProgress, CountsPhasesThatLieInEachOther) {
  BuildProgress progress;
  EXPECT_EQ(progress.share(), 0);
  progress.start("all", "", 4);
  progress.step("all", 0);
  EXPECT_DOUBLE_EQ(progress.share(), 0.25);
  progress.start("inner", "all", 2);
  progress.step("inner", 0);
  EXPECT_DOUBLE_EQ(progress.share(), 0.25 + 0.25 / 2);
  progress.finish("inner");
  EXPECT_DOUBLE_EQ(progress.share(), 0.25 + 0.25 / 2);  // never less
  progress.step("unknown", 7);
  progress.step("all", 3);
  EXPECT_DOUBLE_EQ(progress.share(), 1);
}

/// A folder with libraries of TensorRT, which are not.
class TensorrtLibrary : public testing::Test {
 protected:
  void add(const fs::path& name) const {
    fs::create_directories((folder_.path() / name).parent_path());
    fs::copy_file(UPRES_FAKE_TENSORRT, folder_.path() / name);
  }
  SearchPlaces only() const { return {.only = folder_.path(), .packages = {}}; }

  std::string why_not(int headers_major) const {
    std::vector<Failure> failures;
    const auto library = open_library(candidates(only(), headers_major), failures);
    EXPECT_FALSE(library);
    return explain(only(), headers_major, failures);
  }

  test::TemporaryFolder folder_;
};

TEST_F(TensorrtLibrary, IsOpened) {
  add("libnvinfer.so.11");
  add("libnvonnxparser.so.11");
  setenv("FAKE_TENSORRT", "110203", 1);
  std::vector<Failure> failures;
  const auto library = open_library(candidates(only(), 11), failures);
  ASSERT_TRUE(library);
  EXPECT_EQ(text_of(library->version), "11.2.3");
  EXPECT_EQ(library->number(), 110203);
  EXPECT_EQ(library->files.family, Family::classic);
}

TEST_F(TensorrtLibrary, ClassicOneIsPreferredToRtx) {
  for (const char* name : {"libnvinfer.so.11", "libnvonnxparser.so.11", "libtensorrt_rtx.so.1",
                           "libtensorrt_onnxparser_rtx.so.1"}) {
    add(name);
  }
  const auto all = candidates(only(), 11);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].family, Family::classic);
  EXPECT_EQ(all[1].family, Family::rtx);
  EXPECT_TRUE(candidates(only(), 10).empty());  // another layout of classes
}

TEST_F(TensorrtLibrary, ItsVersionMustBeThatOfItsName) {
  add("libnvinfer.so.11");
  add("libnvonnxparser.so.11");
  setenv("FAKE_TENSORRT", "101300", 1);
  EXPECT_NE(why_not(11).find("says that it is version 10.13.0; repair it"), std::string::npos)
      << why_not(11);
}

TEST_F(TensorrtLibrary, BrokenOnesAreNamed) {
  std::ofstream(folder_ / "libnvinfer.so.11") << "no library";
  EXPECT_NE(why_not(11).find("TensorRT 11 cannot be used: "), std::string::npos) << why_not(11);
}

TEST_F(TensorrtLibrary, OneOfAnotherMajorIsNamed) {
  add("libnvinfer.so.10");
  const std::string why = why_not(11);
  EXPECT_NE(why.find("libnvinfer.so.10 is TensorRT 10, and this build of upres is for "
                     "TensorRT 11 or TensorRT-RTX 1"),
            std::string::npos)
      << why;
}

TEST_F(TensorrtLibrary, AnEmptyFolderIsNamed) {
  const std::string why = why_not(11);
  EXPECT_NE(why.find("there is no TensorRT 11 or TensorRT-RTX 1 in " + folder_.path().string() +
                     ", which UPRES_TENSORRT names"),
            std::string::npos)
      << why;
}

TEST_F(TensorrtLibrary, IsFoundInTheActivePythonEnvironment) {
  const fs::path packages = "lib/python3.11/site-packages";
  add(packages / "tensorrt_libs/libnvinfer.so.11");
  setenv("VIRTUAL_ENV", folder_.path().c_str(), 1);
  unsetenv("UPRES_TENSORRT");
  const SearchPlaces places = search_places();
  unsetenv("VIRTUAL_ENV");
  ASSERT_FALSE(places.packages.empty());
  EXPECT_EQ(places.packages.front(), folder_.path() / packages);
  const auto all = candidates(places, 11);
  EXPECT_TRUE(std::ranges::any_of(all, [&](const LibraryFiles& files) {
    return files.core == folder_.path() / packages / "tensorrt_libs/libnvinfer.so.11";
  }));
  EXPECT_EQ(all.front().core, "libnvinfer.so.11");  // the loader's comes first
}

}  // namespace
}  // namespace upres::tensorrt
