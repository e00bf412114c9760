// SPDX-License-Identifier: Apache-2.0
#include "media/image_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "support/networks.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::equal;
using test::fails;
using test::Random;
using test::TemporaryFolder;

constexpr size_t kLimit = 100'000;

Frame rows_of(const Frame& frame, int first, int count) {
  Frame rows({frame.size().width, count}, frame.type(), frame.channels());
  copy_rows(frame, first, rows, 0, count);
  return rows;
}

TEST(ImageWriter, GivesUpAtAnyRowAndLeavesNothing) {
  const TemporaryFolder folder;
  Random random(3);
  const Frame frame = test::random_frame(random, {50, 40}, SampleType::u8, 3);
  for (const FormatTraits& format : image_formats()) {
    if (!format.has(kHoldsU8)) continue;
    for (const int rows : {0, 1, 39, 40}) {
      ImageWriter writer({folder / "picture", format.format}, frame.info(), {}, kLimit);
      if (rows > 0) writer.write(rows_of(frame, 0, rows));
    }
    EXPECT_TRUE(folder.names().empty()) << format.name;
  }
}

TEST(ImageWriter, TheFileIsThereAfterFinishOnly) {
  const TemporaryFolder folder;
  Random random(3);
  const Frame frame = test::random_frame(random, {50, 40}, SampleType::u8, 3);
  ImageWriter writer({folder / "picture.png", ImageFormat::png}, frame.info(), {}, kLimit);
  writer.write(rows_of(frame, 0, 40));
  while (!writer.is_encoded()) std::this_thread::yield();
  EXPECT_TRUE(folder.names().empty());
  writer.finish();
  EXPECT_TRUE(equal(read_image(folder / "picture.png").frame, frame));
}

TEST(ImageWriter, KeepsTheTimeItIsGiven) {
  const TemporaryFolder folder;
  Random random(3);
  const Frame frame = test::random_frame(random, {5, 4}, SampleType::u8, 3);
  ImageTarget target = {folder / "picture.png", ImageFormat::png};
  target.time = timespec{1'000'000'000, 123'456'789};
  write_image(target, frame, {});
  struct stat status {};
  ASSERT_EQ(stat(target.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'000'000'000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 123'456'789);
}

TEST(ImageWriter, WorksBesideOthersAndReaders) {
  const TemporaryFolder folder;
  Random random(3);
  const Frame frame = test::random_frame(random, {90, 70}, SampleType::u8, 3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto format = i % 2 ? ImageFormat::png : ImageFormat::webp;
      for (int j = 0; j < 5; ++j) {
        const auto path = folder / fmt::format("{}_{}", i, j);
        write_image({path, format, Existing::refuse, {.lossless = i % 2 == 0}}, frame, {});
        EXPECT_TRUE(equal(read_image(path).frame, frame));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(folder.names().size(), 40u);
}

TEST(ImageWriter, EachOfSeveralSaysWhyItFailed) {
  const TemporaryFolder folder;
  Random random(3);
  const Frame large = test::random_frame(random, {300, 300}, SampleType::u8, 3);
  const Frame small = test::random_frame(random, {8, 8}, SampleType::u8, 3);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{20'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const auto path = folder / fmt::format("{}.png", i);
      if (i % 2 == 0) return write_image({path, ImageFormat::png}, small, {});
      EXPECT_TRUE(fails(ErrorCode::output, fmt::format("{}.png: File too large", i), [&] {
        write_image({path, ImageFormat::png}, large, {});
      }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"0.png", "2.png", "4.png"}));
}

TEST(ImageWriter, EveryEncoderSaysThatTheDiskIsFull) {
  const TemporaryFolder folder;
  Random random(3);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{2'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  for (const FormatTraits& format : image_formats()) {
    const SampleType type = format.has(kHoldsU8) ? SampleType::u8 : SampleType::f32;
    const Frame frame = test::random_frame(random, {200, 200}, type, 3);
    EXPECT_TRUE(fails(ErrorCode::output, "File too large", [&] {
      write_image({folder / "picture", format.format}, frame, {});
    })) << format.name;
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace upres
