// SPDX-License-Identifier: Apache-2.0
#include "media/raw_profile.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "media/file_bytes.h"

namespace upres {
namespace {

std::string profile(std::string_view text) {
  const std::vector<std::byte> bytes = raw_profile(text);
  return std::string(text_of(bytes));
}

TEST(RawProfile, IsHexadecimalInLines) {
  EXPECT_EQ(profile("\niptc\n       5\n48656c\n6c6F\n"), "Hello");
  EXPECT_EQ(profile("\nIPTC profile\n5\n48656c6c6f"), "Hello");
  EXPECT_EQ(profile("generic\r\n 2\r\n48\r\n65"), "He");
}

TEST(RawProfile, IsNothingWhereItIsDamaged) {
  for (const char* text :
       {"", "\n", "\niptc", "\niptc\n", "\niptc\n  ", "\niptc\n 5", "\niptc\n 5\n48656c6c6",
        "\niptc\n 5\n48656c6cxx", "\niptc\n -5\n48656c6c6f", "\niptc\n 0\n",
        "\niptc\n 99999999999999999999\n48", "\niptc\n 18446744073709551615\n48",
        "\niptc\n 2\n4 865"}) {
    EXPECT_EQ(profile(text), "") << text;
  }
}

}  // namespace
}  // namespace upres
