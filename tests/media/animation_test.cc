// SPDX-License-Identifier: Apache-2.0
// What animated pictures say of themselves, whole, cut off anywhere and with lengths that lie.
#include "media/animation.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace upres {
namespace {

using namespace std::string_literals;
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

TEST(GifThatIsCutOff, IsSeenButAtTheEndOfABlock) {
  const std::string whole = kGifHeader + gif_loop(0) + kGifImage + ";";
  EXPECT_FALSE(is_gif_cut_off(bytes(whole)));
  EXPECT_FALSE(is_gif_cut_off(bytes(kGifHeader + gif_loop(0) + kGifImage)));
  for (size_t missing = 2; missing < 15; ++missing) {
    const std::string cut(whole, 0, whole.size() - missing);
    EXPECT_TRUE(is_gif_cut_off(bytes(cut))) << missing;
  }
}

TEST(GifDisposal, IsSetInTheFirstPacketAndInOthers) {
  for (const std::string& before : {std::string(), kGifHeader}) {
    for (const bool taken_away : {false, true}) {
      std::string packet = before + kGifImage;
      set_gif_disposal(std::as_writable_bytes(std::span(packet)), taken_away);
      EXPECT_EQ(packet[before.size() + 3], char((taken_away ? 2 : 1) << 2 | 1));
      EXPECT_EQ(packet[before.size() + 6], char(255));
      EXPECT_EQ(packet.substr(before.size() + 8), kGifImage.substr(8));
      std::string named = before + kGifImage;
      named[before.size() + 3] = 1;
      named[before.size() + 6] = 7;
      set_gif_disposal(std::as_writable_bytes(std::span(named)), taken_away);
      EXPECT_EQ(named[before.size() + 6], 7);
    }
  }
  for (size_t size = 0; size < kGifHeader.size() + 7; ++size) {
    const std::string whole = (kGifHeader + kGifImage).substr(0, size);
    std::string packet = whole;
    set_gif_disposal(std::as_writable_bytes(std::span(packet)), true);
    EXPECT_EQ(packet.substr(0, size), whole) << size;
  }
}

std::string little(uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += char(number >> 8 * i & 255);
  return text;
}

std::string webp_chunk(std::string_view name, const std::string& data) {
  return std::string(name) + little(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}

std::string webp_frame(int x, int y, Size size, int delay_ms, int how, const std::string& samples) {
  return webp_chunk("ANMF", little(uint64_t(x / 2), 3) + little(uint64_t(y / 2), 3) +
                                little(uint64_t(size.width - 1), 3) +
                                little(uint64_t(size.height - 1), 3) +
                                little(uint64_t(delay_ms), 3) + little(uint64_t(how), 1) + samples);
}

std::string webp(const std::string& frames) {
  const std::string body = "WEBP" +
                           webp_chunk("VP8X", little(2, 4) + little(99, 3) + little(49, 3)) +
                           webp_chunk("ANIM", little(0xffffffff, 4) + little(5, 2)) + frames;
  return "RIFF" + little(body.size(), 4) + body;
}

TEST(WebpFrames, AreThoseOfTheFile) {
  const std::string file =
      webp(webp_frame(0, 0, {100, 50}, 70, 2, "first") + webp_chunk("JUNK", "odd") +
           webp_frame(10, 4, {20, 30}, 300, 1, "the second"));
  const auto found = find_webp_frames(bytes(file));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size, (Size{100, 50}));
  EXPECT_EQ(found->plays, 5);
  EXPECT_TRUE(found->has_alpha);  // the second is smaller than the canvas
  EXPECT_FALSE(found->cut_off);
  ASSERT_EQ(found->frames.size(), 2U);
  EXPECT_EQ(found->frames[0].delay_ms, 70);
  EXPECT_FALSE(found->frames[0].blends);
  EXPECT_FALSE(found->frames[0].is_cleared);
  const WebpFrame& second = found->frames[1];
  EXPECT_EQ(second.x, 10);
  EXPECT_EQ(second.y, 4);
  EXPECT_EQ(second.size, (Size{20, 30}));
  EXPECT_TRUE(second.blends);
  EXPECT_TRUE(second.is_cleared);
  EXPECT_EQ(file.substr(size_t(second.data), size_t(second.length)), "the second");
}

TEST(WebpFrames, EndWhereTheFileIsCutOff) {
  const std::string one = webp(webp_frame(0, 0, {100, 50}, 70, 2, "first"));
  const std::string two = webp(webp_frame(0, 0, {100, 50}, 70, 2, "first") +
                               webp_frame(0, 0, {100, 50}, 90, 2, "second"));
  for (size_t size = 0; size < two.size(); ++size) {
    const auto found = find_webp_frames(bytes(two.substr(0, size)));
    EXPECT_EQ(found.has_value(), size >= 30) << size;
    if (!found) continue;
    EXPECT_TRUE(found->cut_off) << size;
    // "first" is followed by a byte that fills up
    EXPECT_EQ(found->frames.size(), size + 1 < one.size() ? 0U : 1U) << size;
    for (const WebpFrame& frame : found->frames) EXPECT_LE(frame.data + frame.length, size);
  }
  std::string lying = one;
  lying[lying.find("ANMF") + 7] = char(0xff);
  EXPECT_TRUE(find_webp_frames(bytes(lying))->cut_off);
  EXPECT_TRUE(find_webp_frames(bytes(lying))->frames.empty());
  EXPECT_FALSE(find_webp_frames(bytes("RIFF\x10\0\0\0WEBPVP8L and further bytes"s)));
}

TEST(WebpLength, IsThatOfTheLastFrame) {
  std::string file = webp(webp_frame(0, 0, {100, 50}, 70, 2, "first") +
                          webp_frame(0, 0, {100, 50}, 1, 2, "second"));
  set_webp_length(std::as_writable_bytes(std::span(file)), 1000);
  EXPECT_EQ(find_webp_frames(bytes(file))->frames[1].delay_ms, 930);
  EXPECT_EQ(find_webp_frames(bytes(file))->frames[0].delay_ms, 70);
  set_webp_length(std::as_writable_bytes(std::span(file)), -5);
  EXPECT_EQ(find_webp_frames(bytes(file))->frames[1].delay_ms, 1);
  std::string still = "RIFF";
  set_webp_length(std::as_writable_bytes(std::span(still)), 1000);
  EXPECT_EQ(still, "RIFF");
}

}  // namespace
}  // namespace upres
