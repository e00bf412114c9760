// SPDX-License-Identifier: Apache-2.0
#include "media/iptc.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace upres {
namespace {

using namespace std::string_literals;

std::vector<std::byte> bytes(const std::string& text) {
  const auto span = std::as_bytes(std::span(text));
  return {span.begin(), span.end()};
}

const std::string kRecords = "\x1c\2\x19\0\3sea"s;

TEST(Iptc, OfTiffIsTheRecords) {
  EXPECT_EQ(iptc_records(bytes(kRecords)), bytes(kRecords));
}

TEST(Iptc, IsFoundBehindOtherResourcesOfPhotoshop) {
  const std::string other = "8BIM\4\x25\3abc\0\0\0\3xyz\0"s;  // a name and data of odd length
  const std::string iptc = "8BIM\4\4\0\0\0\0\0\x08"s + kRecords;
  EXPECT_EQ(iptc_records(bytes("Photoshop 3.0\0"s + other + iptc)), bytes(kRecords));
  EXPECT_EQ(iptc_records(bytes(other + iptc)), bytes(kRecords));
}

TEST(Iptc, GoesIntoABlockAndOutOfIt) {
  for (const std::string& records : {kRecords, kRecords + "\0"s}) {
    const auto block = photoshop_block(bytes(records));
    EXPECT_EQ(block.size() % 2, 0u);
    EXPECT_EQ(iptc_records(block), bytes(records));
  }
}

TEST(Iptc, IsNotFoundInWhatIsDamaged) {
  const auto block = photoshop_block(bytes(kRecords));
  for (size_t size = 0; size < block.size(); ++size) {
    EXPECT_TRUE(iptc_records(std::span(block).first(size)).empty()) << size;
  }
  EXPECT_TRUE(iptc_records(bytes("Photoshop 3.0\0"s + "8BIM\4\4\0\0\xff\xff\xff\xff"s)).empty());
}

}  // namespace
}  // namespace upres
