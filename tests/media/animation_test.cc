// SPDX-License-Identifier: Apache-2.0
// What animated pictures say of themselves, whole, cut off anywhere and with lengths that lie.
#include "media/animation.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace upres {
namespace {

using namespace std::string_view_literals;

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

const std::string kGifHeader("GIF89a\x02\x00\x02\x00\x80\x00\x00...***"sv);  // two colours
const std::string kGifImage(
    "\x21\xf9\x04\x00\x0a\x00\x00\x00"  // a delay
    "\x2c\x00\x00\x00\x00\x02\x00\x02\x00\x00\x02\x03\x44\x02\x05\x00"sv);

std::string gif_loop(int repeated) {
  return std::string("\x21\xff\x0bNETSCAPE2.0\x03\x01"sv) + char(repeated & 255) +
         char(repeated >> 8) + '\0';
}

TEST(PlaysOfGif, AreItsRepetitionsAndTheFirst) {
  for (const auto& [repeated, plays] :
       {std::pair{0, 0}, {1, 2}, {4, 5}, {300, 301}, {65535, 65535}}) {
    EXPECT_EQ(plays_of_gif(bytes(kGifHeader + gif_loop(repeated) + kGifImage + ";")), plays);
  }
}

TEST(PlaysOfGif, IsOneWithoutAnyWord) {
  EXPECT_EQ(plays_of_gif(bytes(kGifHeader + kGifImage + kGifImage + ";")), 1);
}

TEST(PlaysOfGif, IsFoundBehindOtherBlocks) {
  const std::string comment("\x21\xfe\x05NETSC\x03\x01\x01\x00\x00"sv);
  const std::string other("\x21\xff\x0bXMP DataXMP\x02\x01\x02\x00"sv);
  EXPECT_EQ(plays_of_gif(bytes(kGifHeader + comment + other + kGifImage + gif_loop(7) + ";")), 8);
}

TEST(PlaysOfGif, EndsWhereTheFileIsCutOff) {
  const std::string whole = kGifHeader + kGifImage + gif_loop(2);
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto plays = plays_of_gif(bytes(std::string(whole, 0, size)));
    if (size < 4) {
      EXPECT_FALSE(plays) << size;
    } else {
      EXPECT_TRUE(plays) << size;
    }
  }
  EXPECT_EQ(plays_of_gif(bytes(kGifHeader + std::string(1000, '\xff'))), 1);
  EXPECT_EQ(plays_of_gif(bytes(kGifHeader + std::string(1000, '\x21'))), 1);
}

std::string chunk(std::string_view name, const std::string& data) {
  const size_t n = data.size();
  return std::string{char(n >> 24), char(n >> 16), char(n >> 8), char(n)} + std::string(name) +
         data + "crc.";
}

const std::string kPngHeader =
    std::string("\x89PNG\r\n\x1a\n"sv) + chunk("IHDR", std::string(13, '\1'));

std::string png_plays(std::string_view number) {
  return chunk("acTL", std::string("\0\0\0\2"sv) + std::string(number));
}

TEST(PlaysOfApng, AreThoseThatItSays) {
  EXPECT_EQ(plays_of_apng(bytes(kPngHeader + png_plays("\0\0\0\0"sv))), 0);
  EXPECT_EQ(plays_of_apng(bytes(kPngHeader + png_plays("\0\0\1\2"sv))), 258);
  EXPECT_EQ(plays_of_apng(bytes(kPngHeader + png_plays("\xff\0\0\1"sv))), kMostPlays);
}

TEST(PlaysOfApng, AreNoneOfAStillPicture) {
  EXPECT_EQ(plays_of_apng(bytes(kPngHeader + chunk("IDAT", "data"))), std::nullopt);
  EXPECT_EQ(plays_of_apng(bytes(kPngHeader + chunk("IDAT", "data") + png_plays("\0\0\0\1"sv))),
            std::nullopt);
  EXPECT_EQ(plays_of_apng(bytes("GIF89a")), std::nullopt);
}

TEST(PlaysOfApng, EndsWhereTheFileIsCutOff) {
  const std::string whole = kPngHeader + png_plays("\0\0\0\5"sv);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(plays_of_apng(bytes(std::string(whole, 0, size))), std::nullopt) << size;
  }
  EXPECT_EQ(plays_of_apng(bytes(whole)), 5);
  std::string lying = kPngHeader + "\xff\xff\xff\xff" + "tEXt" + std::string(100, 'x');
  EXPECT_EQ(plays_of_apng(bytes(lying)), std::nullopt);
}

}  // namespace
}  // namespace upres
