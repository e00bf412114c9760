// SPDX-License-Identifier: Apache-2.0
#include "frame/row_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "support/networks.h"
#include "support/pictures.h"

namespace upres {
namespace {

using test::equal;
using test::Random;

Frame rows(int count) {
  return Frame({10, count}, SampleType::u8, 1);
}

/// Long enough that what does not wait would be done.
void wait_a_moment() {
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
}

TEST(RowQueue, GivesStripsInTheirOrder) {
  RowQueue queue(1000);
  for (int i = 1; i <= 3; ++i) queue.write(rows(i));
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(queue.take()->size().height, i);
}

TEST(RowQueue, WaitsWhereMoreThanItsLimitWouldBeInIt) {
  RowQueue queue(50);
  std::atomic<int> written = 0;
  std::thread writer([&] {
    for (int i = 0; i < 4; ++i, ++written) queue.write(rows(2));
  });
  wait_a_moment();
  EXPECT_EQ(written, 2) << "of 20 bytes each; a third is too much";
  EXPECT_TRUE(queue.take());
  wait_a_moment();
  EXPECT_EQ(written, 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.take());
  writer.join();
}

TEST(RowQueue, TakesAStripOfAnySizeWhenItIsEmpty) {
  RowQueue queue(1);
  queue.write(rows(100));
  EXPECT_EQ(queue.take()->size().height, 100);
}

TEST(RowQueue, AbandonedRefusesToWriteAndGivesWhatItHas) {
  RowQueue queue(1000);
  queue.write(rows(1));
  queue.abandon();
  EXPECT_THROW(queue.write(rows(1)), RowQueue::Abandoned);
  EXPECT_TRUE(queue.take());
  EXPECT_FALSE(queue.take());
}

TEST(RowQueue, AbandonEndsTheWaitOfBothSides) {
  RowQueue full(1), empty(1);
  full.write(rows(1));
  std::thread writer([&] { EXPECT_THROW(full.write(rows(1)), RowQueue::Abandoned); });
  std::thread taker([&] { EXPECT_FALSE(empty.take()); });
  wait_a_moment();
  full.abandon();
  empty.abandon();
  writer.join();
  taker.join();
}

TEST(ReadAhead, GivesWhatItsSourceGives) {
  Random random(3);
  const Frame frame = test::random_frame(random, {10, 57}, SampleType::u16, 2);
  for (const size_t limit : {1, 100, 100'000}) {
    ReadAhead ahead(std::make_unique<test::StripSource>(frame, 5), limit);
    EXPECT_EQ(ahead.info(), frame.info());
    Frame passed(frame.info());
    FrameSink sink(passed);
    pass_rows(ahead, sink);
    EXPECT_TRUE(equal(passed, frame));
  }
}

TEST(ReadAhead, PassesOnWhyItsSourceFailed) {
  ReadAhead ahead(std::make_unique<test::FailingSource>(FrameInfo{{10, 9}, SampleType::u8, 1}, 3),
                  1000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ahead.read().size().height, 1);
  for (int i = 0; i < 2; ++i) {
    try {
      ahead.read();
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "the rest is missing");
    }
  }
}

TEST(ReadAhead, CanBeGivenUpAtAnyTime) {
  Random random(3);
  const Frame frame = test::random_frame(random, {10, 57}, SampleType::u8, 1);
  for (const int read : {0, 1, 56}) {
    ReadAhead ahead(std::make_unique<test::StripSource>(frame, 1), 20);
    for (int i = 0; i < read; ++i) ahead.read();
  }
}

}  // namespace
}  // namespace upres
