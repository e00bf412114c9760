// SPDX-License-Identifier: Apache-2.0
#include "fetch/part_file.h"

#include <gtest/gtest.h>

#include <optional>

#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::fails;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;
using Names = std::vector<std::string>;

const PartSource kSource{"0123", "\"tag\"", 10};

void append(PartFile& part, std::string_view text) {
  part.append(std::as_bytes(std::span(text)));
}

TEST(PartSource, ComesBackAsItWasWritten) {
  EXPECT_EQ(parse_part_source(to_json(kSource)), kSource);
  const PartSource quoted{"", "\"a\\\"b\"", UINT64_MAX};
  EXPECT_EQ(parse_part_source(to_json(quoted)), quoted);
  EXPECT_NO_THROW(to_json({"", "\xff\xfe", 0}));
}

TEST(PartSource, IsNothingWhenDamaged) {
  const std::string whole = R"({"url_sha256":"a","validator":"b","size_bytes":1})";
  EXPECT_TRUE(parse_part_source(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(parse_part_source(std::string_view(whole).substr(0, length))) << length;
  }
  for (const char* json : {"[]", "null", "{}", R"({"url_sha256":"a","validator":"b"})",
                           R"({"url_sha256":1,"validator":"b","size_bytes":1})",
                           R"({"url_sha256":"a","validator":null,"size_bytes":1})",
                           R"({"url_sha256":"a","validator":"b","size_bytes":-1})",
                           R"({"url_sha256":"a","validator":"b","size_bytes":"1"})",
                           R"({"url_sha256":"a","validator":"b\r\nHost: c","size_bytes":1})"}) {
    EXPECT_FALSE(parse_part_source(json)) << json;
  }
}

TEST(PartFile, KeepsItsBytesForALaterRun) {
  const TemporaryFolder folder;
  {
    PartFile part(folder / "a.pth");
    EXPECT_EQ(part.size(), 0u);
    EXPECT_FALSE(part.source());
    part.start(kSource);
    append(part, "hello ");
  }
  EXPECT_EQ(folder.names(), (Names{"a.pth.part", "a.pth.part.json"}));
  {
    PartFile part(folder / "a.pth");
    EXPECT_EQ(part.size(), 6u);
    EXPECT_EQ(part.source(), kSource);
    append(part, "world");
    part.put_in_place(Existing::refuse);
  }
  EXPECT_EQ(folder.names(), Names{"a.pth"});
  EXPECT_EQ(read_bytes(folder / "a.pth"), "hello world");
}

TEST(PartFile, StartsOver) {
  const TemporaryFolder folder;
  PartFile part(folder / "a.pth");
  part.start(kSource);
  append(part, "old bytes");
  const PartSource changed{"0123", "\"other\"", 3};
  part.start(changed);
  EXPECT_EQ(part.size(), 0u);
  append(part, "new");
  EXPECT_EQ(part.source(), changed);
  EXPECT_EQ(read_bytes(folder / "a.pth.part"), "new");
}

TEST(PartFile, LeavesNothingWhenNothingCameOrItIsDiscarded) {
  const TemporaryFolder folder;
  { PartFile part(folder / "a.pth"); }
  EXPECT_EQ(folder.names(), Names{});
  {
    PartFile part(folder / "a.pth");
    part.start(kSource);
    append(part, "bad");
    part.discard();
  }
  EXPECT_EQ(folder.names(), Names{});
}

TEST(PartFile, DoesNotKnowWhatBytesWithoutASourceAre) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.pth.part", "of somebody else");
  EXPECT_FALSE(PartFile(folder / "a.pth").source());
  write_bytes(folder / "a.pth.part.json", "{");
  EXPECT_FALSE(PartFile(folder / "a.pth").source());
}

TEST(PartFile, ReplacesATargetOnlyWhenTold) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.pth", "old");
  PartFile part(folder / "a.pth");
  part.start(kSource);
  append(part, "new");
  EXPECT_TRUE(
      fails(ErrorCode::output, "a.pth: File exists", [&] { part.put_in_place(Existing::refuse); }));
  EXPECT_EQ(read_bytes(folder / "a.pth"), "old");
  part.put_in_place(Existing::replace);
  EXPECT_EQ(read_bytes(folder / "a.pth"), "new");
  EXPECT_EQ(folder.names(), Names{"a.pth"});
}

TEST(PartFile, IsForOneProcessAtATime) {
  const TemporaryFolder folder;
  std::optional<PartFile> first(std::in_place, folder / "a.pth");
  EXPECT_TRUE(fails(ErrorCode::output, "another upres is downloading",
                    [&] { PartFile second(folder / "a.pth"); }));
  first.reset();
  EXPECT_NO_THROW(PartFile(folder / "a.pth"));
}

TEST(PartFile, FollowsNoLinksAndTakesFilesOnly) {
  const TemporaryFolder folder;
  write_bytes(folder / "victim", "mine");
  std::filesystem::create_symlink(folder / "victim", folder / "a.pth.part");
  EXPECT_TRUE(fails(ErrorCode::output, "a.pth.part", [&] { PartFile part(folder / "a.pth"); }));
  EXPECT_EQ(read_bytes(folder / "victim"), "mine");
  std::filesystem::create_directory(folder / "b.pth.part");
  EXPECT_TRUE(fails(ErrorCode::output, "b.pth.part", [&] { PartFile part(folder / "b.pth"); }));
  EXPECT_TRUE(fails(ErrorCode::output, "nowhere", [&] { PartFile p(folder / "nowhere/c.pth"); }));
}

}  // namespace
}  // namespace upres
