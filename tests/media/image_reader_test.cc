// SPDX-License-Identifier: Apache-2.0
#include "media/image_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "media/image_writer.h"
#include "support/networks.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::fails;
using test::TemporaryFolder;
using test::write_bytes;
using namespace std::string_literals;

template <typename Sample>
Frame frame_of(Size size, SampleType type, int channels, const std::vector<Sample>& samples) {
  Frame frame(size, type, channels);
  EXPECT_EQ(frame.total_bytes(), samples.size() * sizeof(Sample));
  std::memcpy(frame.data(), samples.data(), frame.total_bytes());
  return frame;
}

template <typename Sample>
std::vector<Sample> samples_of(const Frame& frame) {
  std::vector<Sample> samples(frame.total_bytes() / sizeof(Sample));
  std::memcpy(samples.data(), frame.data(), frame.total_bytes());
  return samples;
}

Frame read_flattened(const std::filesystem::path& path, std::array<uint8_t, 3> colour) {
  return read_image(path, {.flatten = colour}).frame;
}

TEST(Flatten, LaysAlphaOverAColour) {
  const TemporaryFolder folder;
  const auto path = folder / "picture.png";
  write_image({path, ImageFormat::png},
              frame_of<uint8_t>({3, 1}, SampleType::u8, 4,
                                {10, 20, 30, 255, 10, 20, 30, 0, 100, 100, 100, 51}),
              {});
  const Frame flat = read_flattened(path, {200, 100, 0});
  EXPECT_EQ(flat.channels(), 3);
  const auto samples = samples_of<uint8_t>(flat);
  const std::vector<int> wanted = {10, 20, 30, 200, 100, 0, 180, 100, 20};
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(samples[i], wanted[i], 1) << i;
  EXPECT_EQ(read_image_info(path, {.flatten = {{0, 0, 0}}}), flat.info());
}

TEST(Flatten, LaysGrayOverTheColoursLuma) {
  const TemporaryFolder folder;
  const auto path = folder / "picture.png";
  write_image({path, ImageFormat::png},
              frame_of<uint8_t>({2, 1}, SampleType::u8, 2, {50, 255, 50, 0}), {});
  const Frame flat = read_flattened(path, {255, 0, 0});
  EXPECT_EQ(flat.channels(), 1);
  EXPECT_EQ(samples_of<uint8_t>(flat)[0], 50);
  EXPECT_NEAR(samples_of<uint8_t>(flat)[1], 76, 1);
}

TEST(Flatten, Knows16BitsAndFloats) {
  const TemporaryFolder folder;
  write_image({folder / "a.png", ImageFormat::png},
              frame_of<uint16_t>({2, 1}, SampleType::u16, 4,
                                 {1000, 2000, 3000, 65535, 1000, 2000, 3000, 0}),
              {});
  const auto deep = samples_of<uint16_t>(read_flattened(folder / "a.png", {255, 0, 128}));
  EXPECT_EQ(deep, (std::vector<uint16_t>{1000, 2000, 3000, 65535, 0, 32896}));
  write_image(
      {folder / "a.tif", ImageFormat::tiff},
      frame_of<float>({2, 1}, SampleType::f32, 4, {0.25f, 0.5f, 0.75f, 1, 0.25f, 0.5f, 0.75f, 0}),
      {});
  const auto floats = samples_of<float>(read_flattened(folder / "a.tif", {255, 0, 51}));
  const std::vector<float> wanted = {0.25f, 0.5f, 0.75f, 1, 0, 0.2f};
  ASSERT_EQ(floats.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(floats[i], wanted[i], 1e-6);
}

TEST(Flatten, LeavesPicturesWithoutAlphaAlone) {
  const TemporaryFolder folder;
  const Frame frame = frame_of<uint8_t>({1, 1}, SampleType::u8, 3, {1, 2, 3});
  write_image({folder / "a.png", ImageFormat::png}, frame, {});
  EXPECT_TRUE(test::equal(read_flattened(folder / "a.png", {9, 9, 9}), frame));
}

TEST(ImageReader, RefusesMorePixelsThanItMay) {
  const TemporaryFolder folder;
  test::Random random(3);
  for (const FormatTraits& format : image_formats()) {
    const SampleType type = format.has(kHoldsU8) ? SampleType::u8 : SampleType::f32;
    const auto path = folder / ("picture" + std::string(format.suffixes[0]));
    write_image({path, format.format}, test::random_frame(random, {40, 25}, type, 3), {});
    EXPECT_EQ(read_image(path, {.max_pixels = 1000}).frame.size(), (Size{40, 25}));
    EXPECT_TRUE(fails(ErrorCode::input, "claims 40x25 pixels; upres reads up to 999", [&] {
      ImageReader(path, {.max_pixels = 999});
    })) << format.name;
  }
}

TEST(ImageReader, ClampsFloats) {
  const TemporaryFolder folder;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Frame frame =
      frame_of<float>({3, 2}, SampleType::f32, 1, {-1, 0, 0.5f, 1.5f, std::nanf(""), kInfinity});
  for (const ImageFormat format : {ImageFormat::tiff, ImageFormat::pfm}) {
    write_image({folder / "picture", format, Existing::replace}, frame, {});
    EXPECT_EQ(samples_of<float>(read_image(folder / "picture").frame),
              (std::vector<float>{0, 0, 0.5f, 1, 0, 1}));
  }
}

TEST(ImageReader, TellsWhetherFloatsWereClamped) {
  const TemporaryFolder folder;
  const auto clamped = [&](float value, SampleType type) {
    Frame frame({1, 300}, SampleType::f32, 1);
    std::memset(frame.data(), 0, frame.total_bytes());
    std::memcpy(frame.row(299), &value, sizeof(value));
    if (type == SampleType::u8) frame = Frame({1, 300}, SampleType::u8, 1);
    write_image({folder / "picture", ImageFormat::tiff, Existing::replace}, frame, {});
    ImageReader reader(folder / "picture", {});
    Frame read(reader.info());
    FrameSink sink(read);
    EXPECT_FALSE(reader.has_clamped());
    pass_rows(reader, sink);
    return reader.has_clamped();
  };
  for (const float value : {0.0f, 0.5f, 1.0f}) EXPECT_FALSE(clamped(value, SampleType::f32));
  for (const float value : {-0.001f, 1.001f, std::nanf("")}) {
    EXPECT_TRUE(clamped(value, SampleType::f32)) << value;
  }
  EXPECT_FALSE(clamped(0, SampleType::u8));
}

TEST(ImageReader, ReadsPfmFromTheBottom) {
  const TemporaryFolder folder;
  const std::string bottom = "\0\0\0\0"s, top = "\0\0\0\x3f"s;  // 0 and 0.5
  write_bytes(folder / "a.pfm", "Pf\n1 2\n-1.0\n" + bottom + top);
  const Frame frame = read_image(folder / "a.pfm").frame;
  EXPECT_EQ(samples_of<float>(frame), (std::vector<float>{0.5f, 0}));
  write_image({folder / "b.pfm", ImageFormat::pfm}, frame, {});
  const std::string written = test::read_bytes(folder / "b.pfm");
  EXPECT_TRUE(written.ends_with(bottom + top));
  EXPECT_EQ(written.find('#'), std::string::npos) << "PFM has no comments";
}

/// A BMP of one pixel, 1 2 3 and 77 in the fourth byte.
std::string bmp(char compression, const std::string& masks) {
  const auto size = char(40 + masks.size());
  return "BM\0\0\0\0\0\0\0\0"s + char(14 + size) + "\0\0\0"s + size +
         "\0\0\0\1\0\0\0\1\0\0\0\1\0\x20\0"s + compression + "\0\0\0"s +
         "\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s + masks + "\3\2\1\x4d"s;
}

TEST(ImageReader, RefusesBitsAndTextThatEndEarly) {
  const TemporaryFolder folder;
  const auto path = folder / "picture.ppm";
  const auto read = [&](const std::string& text) {
    write_bytes(path, text);
    return read_image(path, {}).frame;
  };
  EXPECT_EQ(read("P2 2 2 255\n1 2 3 4\n").total_bytes(), 4u);
  EXPECT_EQ(read("P3\n# 7 7\n1 2 255 1 2 3\n# 9\n4 5 6").total_bytes(), 6u);
  EXPECT_EQ(samples_of<uint8_t>(read("P1 4 1 0 1 1 0")), (std::vector<uint8_t>{255, 0, 0, 255}));
  EXPECT_EQ(read("P4 12 10\n" + std::string(20, 'x')).total_bytes(), 120u);
  EXPECT_EQ(read("P1\n10 11 " + std::string(110, '1')).total_bytes(), 110u);
  EXPECT_EQ(samples_of<uint8_t>(read("P4 4 2\n\x50\xa0"s)),
            (std::vector<uint8_t>{255, 0, 255, 0, 0, 255, 0, 255}));
  for (const char* text : {"P2 2 2 255\n1 2 3", "P2 3000 3000 255\n1 2 3", "P3 1 1 255 1 2 # 3",
                           "P1 4 1 011", "P2# 16164 16", "P4 4 2\n\x50", "P4 13082 1616"}) {
    EXPECT_TRUE(fails(ErrorCode::input, "cannot read", [&] { read(text); })) << text;
  }
}

TEST(ImageReader, TakesTheFourthByteOfABmpForAlphaOnlyWhereItIsSaidToBe) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.bmp", bmp(0, ""));
  EXPECT_EQ(samples_of<uint8_t>(read_image(folder / "a.bmp").frame),
            (std::vector<uint8_t>{1, 2, 3}));
  const std::string masks = "\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xff"s + std::string(52, '\0');
  write_bytes(folder / "b.bmp", bmp(3, masks));
  EXPECT_EQ(samples_of<uint8_t>(read_image(folder / "b.bmp").frame),
            (std::vector<uint8_t>{1, 2, 3, 77}));
}

TEST(ImageReader, TellsWhatItHolds) {
  const TemporaryFolder folder;
  test::Random random(3);
  const Frame frame = test::random_frame(random, {40, 25}, SampleType::f32, 1);
  write_image({folder / "a.tif", ImageFormat::tiff}, frame, {});
  write_image({folder / "a.pfm", ImageFormat::pfm}, frame, {});
  EXPECT_EQ(ImageReader(folder / "a.tif", {}).bytes_held(), 0u);
  EXPECT_EQ(ImageReader(folder / "a.pfm", {}).bytes_held(), frame.total_bytes());
}

TEST(ImageReader, SeveralReadAtOnce) {
  const TemporaryFolder folder;
  test::Random random(3);
  const Frame frame = test::random_frame(random, {700, 900}, SampleType::u8, 3);
  write_image({folder / "a.png", ImageFormat::png}, frame, {});
  ImageReader a(folder / "a.png", {}), b(folder / "a.png", {});
  for (int rows = 0; rows < 900;) {
    const Frame from_a = a.read(), from_b = b.read();
    ASSERT_TRUE(test::equal(from_a, from_b));
    rows += from_a.size().height;
  }
}

}  // namespace
}  // namespace upres
