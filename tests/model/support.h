// SPDX-License-Identifier: Apache-2.0
// What the tests of model files share.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace upres {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// The bytes of numbers as they lie in memory.
template <typename T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

/// What the Error{model} says that `action` throws; empty when it throws none.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  return {};
}

/// Expects a refusal that says `part`.
#define EXPECT_REFUSED(expression, part) \
  EXPECT_PRED_FORMAT2(testing::IsSubstring, part, ::upres::refusal([&] { (void)(expression); }))

/// Expects that a file is refused wherever it is cut.
template <typename Read>
void expect_refused_at_every_length(const std::string& file, Read read) {
  for (size_t length = 0; length < file.size(); ++length) {
    ASSERT_NE(refusal([&] { read(bytes_of(std::string_view(file).substr(0, length))); }), "")
        << "cut to " << length << " of " << file.size() << " bytes";
  }
}

/// Reads a file with each of its bytes damaged in turn: it may be refused or not, but nothing worse
/// happens.
template <typename Read>
void expect_no_harm_from_damaged_bytes(const std::string& file, Read read) {
  for (const int flipped : {0x01, 0x80, 0xff}) {
    for (size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = char(damaged[at] ^ flipped);
      refusal([&] { read(bytes_of(damaged)); });
    }
  }
}

/// A folder of its own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "upres-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) ADD_FAILURE() << "no temporary folder";
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A file of the published weights beside the project; see REQUIRE_FILE.
inline std::filesystem::path published(const std::string& name) {
  return std::filesystem::path(UPRES_SOURCE_DIR) / "../shared/data/weights" / name;
}

/// Skips a test whose file is not there; fails it where CI promises that it is.
#define REQUIRE_FILE(path)                                                 \
  do {                                                                     \
    if (!std::filesystem::exists(path)) {                                  \
      const char* ci = std::getenv("CI");                                  \
      if (ci && ci == std::string_view("true")) FAIL() << "no " << (path); \
      GTEST_SKIP() << "no " << (path);                                     \
    }                                                                      \
  } while (false)

}  // namespace upres
