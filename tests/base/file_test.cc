// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string_view>

#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::fails;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;
using Names = std::vector<std::string>;

std::string_view text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void put(const AtomicFile& file, std::string_view text) {
  ASSERT_EQ(write(file.descriptor(), text.data(), text.size()), ssize_t(text.size()));
}

/// Without root's right to write everywhere.
class Unprivileged {
 public:
  Unprivileged() {
    if (geteuid() == 0) changed_ = seteuid(65534) == 0;
  }
  ~Unprivileged() {
    if (changed_ && seteuid(0) != 0) abort();
  }

 private:
  bool changed_ = false;
};

TEST(MappedFile, HoldsTheBytesOfTheFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "some bytes");
  EXPECT_EQ(text(MappedFile::open(folder / "file", ErrorCode::model)), "some bytes");
}

TEST(MappedFile, KeepsTheBytesWhenMoved) {
  const TemporaryFolder folder;
  write_bytes(folder / "one", "one");
  write_bytes(folder / "two", "two");
  MappedFile one = MappedFile::open(folder / "one", ErrorCode::model);
  MappedFile two = MappedFile::open(folder / "two", ErrorCode::model);
  one = std::move(two);
  const MappedFile moved(std::move(one));
  EXPECT_EQ(text(moved), "two");
}

TEST(MappedFile, IsAnEmptySpanForAnEmptyFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "");
  EXPECT_TRUE(MappedFile::open(folder / "file", ErrorCode::model).bytes().empty());
}

TEST(MappedFile, RefusesWhatIsMissingOrNoFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(fails(ErrorCode::model, "No such file",
                    [&] { MappedFile::open(folder / "missing", ErrorCode::model); }));
  EXPECT_TRUE(fails(ErrorCode::input, "is not a file",
                    [&] { MappedFile::open(folder.path(), ErrorCode::input); }));
}

TEST(AtomicFile, IsInvisibleUntilItIsCommitted) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file", Existing::refuse);
  put(file, "whole");
  EXPECT_EQ(folder.names(), Names{});
  file.commit();
  EXPECT_EQ(folder.names(), Names{"file"});
  EXPECT_EQ(read_bytes(folder / "file"), "whole");
}

TEST(AtomicFile, LeavesNothingWhenAbandoned) {
  const TemporaryFolder folder;
  put(AtomicFile(folder / "file", Existing::replace), "half");
  EXPECT_EQ(folder.names(), Names{});
}

TEST(AtomicFile, ReplacesAnExistingTargetAtOnce) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "old");
  AtomicFile file(folder / "file", Existing::replace);
  put(file, "new");
  EXPECT_EQ(read_bytes(folder / "file"), "old");
  file.commit();
  EXPECT_EQ(read_bytes(folder / "file"), "new");
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, LeavesATargetThatAppearedMeanwhile) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "file", Existing::refuse);
    put(file, "mine");
    write_bytes(folder / "file", "theirs");
    EXPECT_TRUE(fails(ErrorCode::output, "File exists", [&] { file.commit(); }));
  }
  EXPECT_EQ(read_bytes(folder / "file"), "theirs");
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, HasTheModeOfAnOrdinaryNewFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "ordinary", "");
  AtomicFile file(folder / "atomic", Existing::refuse);
  file.commit();
  EXPECT_EQ(std::filesystem::status(folder / "atomic").permissions(),
            std::filesystem::status(folder / "ordinary").permissions());
}

TEST(AtomicFile, NamesTheFolderThatCannotBeWritten) {
  const TemporaryFolder folder;
  EXPECT_TRUE(fails(ErrorCode::output, (folder / "missing").string() + ": No such file",
                    [&] { AtomicFile(folder / "missing/file", Existing::refuse); }));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  const Unprivileged unprivileged;
  EXPECT_TRUE(fails(ErrorCode::output, folder.path().string() + ": Permission denied",
                    [&] { AtomicFile(folder / "file", Existing::refuse); }));
}

}  // namespace
}  // namespace upres
