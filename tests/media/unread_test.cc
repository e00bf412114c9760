// SPDX-License-Identifier: Apache-2.0
#include "media/unread.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

namespace upres {
namespace {

std::string_view unread(const std::string& file) {
  return unread_metadata(std::as_bytes(std::span(file.data(), file.size())));
}

/// A directory of two entries at byte 8, in either byte order.
std::string tiff(bool big_endian, char high, char low) {
  const auto pair = [&](char first, char second) {
    return big_endian ? std::string{first, second} : std::string{second, first};
  };
  std::string file =
      big_endian ? std::string("MM\0*\0\0\0\x08", 8) : std::string("II*\0\x08\0\0\0", 8);
  file += pair(0, 2);
  file += pair(1, 0) + std::string(10, '\0');
  file += pair(high, low) + std::string(10, '\0');
  return file;
}

TEST(UnreadMetadata, FindsExifInTiffOfBothByteOrders) {
  for (const bool big_endian : {false, true}) {
    EXPECT_EQ(unread(tiff(big_endian, '\x87', '\x69')), "EXIF of TIFF files");
    EXPECT_EQ(unread(tiff(big_endian, '\x87', '\x68')), "");
  }
}

TEST(UnreadMetadata, FindsIptcAmongAPngsChunks) {
  const std::string signature = "\x89PNG\r\n\x1a\n";
  const std::string other("\0\0\0\x04gAMA1234crc!", 16);
  const std::string iptc("\0\0\0\x18zTXtRaw profile type iptc\0zzcrc!", 36);
  EXPECT_EQ(unread(signature + other + iptc), "IPTC of PNG files");
  EXPECT_EQ(unread(signature + other), "");
}

TEST(UnreadMetadata, EndsWhereADamagedFileDoes) {
  const std::string whole = tiff(false, '\x87', '\x69');
  for (size_t size = 0; size < 24; ++size) EXPECT_EQ(unread(whole.substr(0, size)), "");
  EXPECT_EQ(unread(std::string("II*\0\xff\xff\xff\xff", 8)), "");
  EXPECT_EQ(unread(std::string("II+\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16)), "");
  EXPECT_EQ(unread(std::string("\x89PNG\r\n\x1a\n\xff\xff\xff\xffzTXtRaw", 19)), "");
}

}  // namespace
}  // namespace upres
