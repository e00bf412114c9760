// SPDX-License-Identifier: Apache-2.0
#include "upscale/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string name = (fs::temp_directory_path() / "upres-journal-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    output_ = folder_ / "film.mkv";
  }
  ~JournalTest() override { fs::remove_all(folder_); }

  ErrorCode resume_fails(const FilmRunPlan& plan, const std::string& what) {
    try {
      Journal::resume(output_, plan);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "it went on";
    return ErrorCode::interrupted;
  }

  fs::path folder_;
  fs::path output_;
  FilmRunPlan plan_ = {{"--model", "a b\nc \\ d"}, {"--crf", ""}};
};

TEST_F(JournalTest, KeepsItsSegmentsThroughAnInterruption) {
  {
    Journal journal = Journal::begin(output_, plan_);
    journal.add({.frames = 250, .duplicates = 3, .end_bytes = 1000, .reorder = 2});
    journal.add({.frames = 10, .duplicates = 0, .end_bytes = int64_t(1) << 40, .reorder = 1});
  }
  Journal journal = Journal::resume(output_, plan_);
  EXPECT_EQ(journal.frames(), 260);
  EXPECT_EQ(journal.end_bytes(), int64_t(1) << 40);
  ASSERT_EQ(journal.segments().size(), 2u);
  EXPECT_EQ(journal.segments()[0].duplicates, 3);
  EXPECT_EQ(journal.segments()[1].reorder, 1);
}

TEST_F(JournalTest, NamesWhatIsAnotherPlan) {
  { Journal::begin(output_, plan_); }
  FilmRunPlan other = plan_;
  other[1].second = "20";
  EXPECT_EQ(resume_fails(other, "--crf is another one: it was \"\" and is \"20\""),
            ErrorCode::usage);
  other = plan_;
  other.pop_back();
  EXPECT_EQ(resume_fails(other, "--crf is another one"), ErrorCode::usage);
}

TEST_F(JournalTest, ForgetsALineThatWasCutOffAndGoesOnBehindTheOthers) {
  {
    Journal journal = Journal::begin(output_, plan_);
    journal.add({.frames = 7, .end_bytes = 70});
  }
  std::ofstream(Journal::folder_of(output_) / "journal", std::ios::app) << "segment 9 0 1";
  {
    Journal journal = Journal::resume(output_, plan_);
    EXPECT_EQ(journal.frames(), 7);
    journal.add({.frames = 8, .end_bytes = 150});
  }
  EXPECT_EQ(Journal::resume(output_, plan_).frames(), 15);
}

TEST_F(JournalTest, IsOfOneProcessAtATime) {
  const Journal journal = Journal::begin(output_, plan_);
  EXPECT_EQ(resume_fails(plan_, "another upres is at work"), ErrorCode::output);
}

TEST_F(JournalTest, OfNothingOrOfSomethingElseIsToldApart) {
  EXPECT_EQ(resume_fails(plan_, "nothing to resume"), ErrorCode::output);
  fs::create_directory(Journal::folder_of(output_));
  std::ofstream(Journal::folder_of(output_) / "journal") << "upres journal 1\nplan --model";
  EXPECT_EQ(resume_fails(plan_, "no journal of this upres"), ErrorCode::output);
}

TEST_F(JournalTest, IsGoneWhenItIsRemoved) {
  Journal journal = Journal::begin(output_, plan_);
  journal.remove();
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace upres
