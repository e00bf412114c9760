// SPDX-License-Identifier: Apache-2.0
// Every format that is written: what it holds comes back, what it does not hold is refused.
#include "media/image_format.h"

#include <gtest/gtest.h>

#include <cmath>

#include "media/image_reader.h"
#include "media/image_writer.h"
#include "support/networks.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::equal;
using test::fails;
using test::Random;
using test::TemporaryFolder;

struct Case {
  ImageFormat format;
  SampleType type;
  int channels;
};

void PrintTo(const Case& a, std::ostream* out) {
  *out << traits(a.format).name << ", " << a.channels << " channels";
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const auto& [format, type, channels] = info.param;
  const char* types[] = {"u8", "u16", "f32"};
  return fmt::format("{}_{}_{}", traits(format).suffixes[0].substr(1), types[size_t(type)],
                     channels);
}

FormatFlag holds(SampleType type) {
  return type == SampleType::u8 ? kHoldsU8 : type == SampleType::u16 ? kHoldsU16 : kHoldsF32;
}

std::vector<Case> cases(bool held) {
  std::vector<Case> cases;
  for (const FormatTraits& format : image_formats()) {
    for (const SampleType type : {SampleType::u8, SampleType::u16, SampleType::f32}) {
      for (const int channels : {1, 2, 3, 4}) {
        const bool fits = format.has(holds(type)) && (channels % 2 == 1 || format.has(kHoldsAlpha));
        if (fits == held) cases.push_back({format.format, type, channels});
      }
    }
  }
  return cases;
}

/// Soft, so that lossy formats like it, and opaque on the left only.
Frame soft_picture(Size size, SampleType type, int channels) {
  Frame frame(size, type, channels);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < channels; ++c) {
        double value = 0.5 + 0.4 * std::sin(0.05 * (x + y) + 0.3 * c);
        if (frame.has_alpha() && c == channels - 1) value = x < size.width / 2 ? 1 : 0.25;
        const size_t i = size_t((y * size.width + x) * channels + c);
        switch (type) {
          case SampleType::u8:
            frame.data()[i] = std::byte(std::lround(value * 255));
            break;
          case SampleType::u16:
            reinterpret_cast<uint16_t*>(frame.data())[i] = uint16_t(std::lround(value * 65535));
            break;
          case SampleType::f32:
            reinterpret_cast<float*>(frame.data())[i] = float(value);
            break;
        }
      }
    }
  }
  return frame;
}

/// A sample in 0..1; where gray was made RGB, of its red.
double sample(const Frame& frame, int x, int y, int channel) {
  const auto i = size_t((y * frame.size().width + x) * frame.channels() + channel);
  switch (frame.type()) {
    case SampleType::u8:
      return double(frame.data()[i]) / 255;
    case SampleType::u16:
      return reinterpret_cast<const uint16_t*>(frame.data())[i] / 65535.0;
    case SampleType::f32:
      return reinterpret_cast<const float*>(frame.data())[i];
  }
  return -1;
}

/// The root of the mean square difference. Frames may differ in that gray was made RGB.
double difference(const Frame& read, const Frame& written) {
  double sum = 0;
  for (int y = 0; y < written.size().height; ++y) {
    for (int x = 0; x < written.size().width; ++x) {
      for (int c = 0; c < written.channels(); ++c) {
        const bool alpha = written.has_alpha() && c == written.channels() - 1;
        const int same = alpha ? read.channels() - 1 : c;
        sum += std::pow(sample(read, x, y, same) - sample(written, x, y, c), 2);
      }
    }
  }
  return std::sqrt(sum /
                   (double(written.size().width) * written.size().height * written.channels()));
}

class Held : public testing::TestWithParam<Case> {};

TEST_P(Held, ComesBack) {
  const auto& [format, type, channels] = GetParam();
  const TemporaryFolder folder;
  const FormatTraits& can = traits(format);
  const auto path = folder / ("picture" + std::string(can.suffixes[0]));
  const bool lossless = !can.has(kLossy) || can.has(kLossless);
  Random random(3);
  for (const Size size : {Size{1, 1}, Size{67, 45}}) {
    // Without transparent pixels, whose colours WebP leaves out.
    const bool any = lossless && (channels % 2 == 1 || format != ImageFormat::webp);
    const Frame frame =
        any ? test::random_frame(random, size, type, channels) : soft_picture(size, type, channels);
    const ImageTarget target = {path, format, Existing::replace, {.lossless = can.has(kLossless)}};
    write_image(target, frame, {});
    const Frame read = read_image(path).frame;
    ASSERT_EQ(read.size(), size);
    if (format != ImageFormat::gif) {  // its palette has a transparent colour in any case
      EXPECT_EQ(read.has_alpha(), frame.has_alpha());
    }
    EXPECT_EQ(read.type(), type);
    if (lossless && read.channels() == channels) {
      EXPECT_TRUE(equal(read, frame));
    } else if (lossless) {
      EXPECT_EQ(difference(read, frame), 0) << "gray is RGB there";
    } else {
      EXPECT_LT(difference(read, frame), 0.03);
    }
    EXPECT_EQ(read_image_info(path), read.info());
  }
}

TEST_P(Held, ComesBackNearlyAtTheUsualQuality) {
  const auto& [format, type, channels] = GetParam();
  const TemporaryFolder folder;
  const auto path = folder / "picture";
  const Frame frame = soft_picture({67, 45}, type, channels);
  write_image({path, format}, frame, {});
  EXPECT_LT(difference(read_image(path).frame, frame), 0.03);
}

TEST_P(Held, IsTheSameFileEveryTime) {
  const auto& [format, type, channels] = GetParam();
  const TemporaryFolder folder;
  const Frame frame = soft_picture({67, 45}, type, channels);
  write_image({folder / "a", format}, frame, {});
  write_image({folder / "b", format}, frame, {});
  EXPECT_EQ(test::read_bytes(folder / "a"), test::read_bytes(folder / "b"));
}

INSTANTIATE_TEST_SUITE_P(Formats, Held, testing::ValuesIn(cases(true)), name_of);

TEST(CheckHolds, RefusesEveryKindThatAFormatDoesNotHold) {
  const TemporaryFolder folder;
  for (const auto& [format, type, channels] : cases(false)) {
    const Frame frame({3, 2}, type, channels);
    EXPECT_TRUE(fails(ErrorCode::output, "cannot hold", [&] {
      write_image({folder / "picture", format}, frame, {});
    }));
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(CheckHolds, RefusesSidesThatAreTooLong) {
  for (const FormatTraits& format : image_formats()) {
    const SampleType type = format.has(kHoldsU8) ? SampleType::u8 : SampleType::f32;
    const int most = format.max_side;
    const int shortest = format.format == ImageFormat::heic ? 32 : 1;
    for (const Size fits : {Size{most, shortest}, Size{shortest, most}}) {
      check_holds(format.format, "out", {fits, type, 3});
    }
    for (const Size does_not : {Size{most + 1, 1}, Size{1, most + 1}}) {
      EXPECT_TRUE(fails(ErrorCode::output, fmt::format("{} pixels a side", most + 1), [&] {
        check_holds(format.format, "out", {does_not, type, 3});
      }));
    }
  }
}

TEST(CheckHolds, TheLongestSidesAreReallyWritten) {
  const TemporaryFolder folder;
  const std::pair<ImageFormat, Size> cases[] = {
      {ImageFormat::jpeg, {65500, 1}}, {ImageFormat::jpeg, {1, 65500}},
      {ImageFormat::webp, {16383, 1}}, {ImageFormat::webp, {1, 16383}},
      {ImageFormat::avif, {16384, 1}}, {ImageFormat::heic, {32, 16383}}};
  for (const auto& [format, size] : cases) {
    EXPECT_EQ(std::max(size.width, size.height), traits(format).max_side);
    const Frame frame = soft_picture(size, SampleType::u8, 3);
    const auto path = folder / "picture";
    write_image({path, format, Existing::replace}, frame, {});
    EXPECT_EQ(read_image(path).frame.size(), size) << traits(format).name;
  }
}

TEST(CheckHolds, ThinHeicIsWrittenUpToASideAndRefusedBeyond) {
  const TemporaryFolder folder;
  for (const Size size : {Size{4216, 31}, Size{31, 4216}, Size{4217, 32}}) {
    const auto path = folder / "picture";
    write_image({path, ImageFormat::heic, Existing::replace}, soft_picture(size, SampleType::u8, 3),
                {});
    EXPECT_EQ(read_image(path).frame.size(), size);
  }
  for (const Size size : {Size{4217, 31}, Size{31, 4217}}) {
    EXPECT_TRUE(fails(ErrorCode::output, "HEIC cannot hold 4217 by 31 pixels", [&] {
      check_holds(ImageFormat::heic, "out", {size, SampleType::u8, 3});
    }));
  }
}

TEST(NeedsBigTiff, WhereFourGibibytesMayBePassed) {
  EXPECT_FALSE(needs_bigtiff({{24000, 16000}, SampleType::u8, 3}));
  EXPECT_FALSE(needs_bigtiff({{32768, 32768}, SampleType::u8, 3}));
  EXPECT_TRUE(needs_bigtiff({{32768, 32769}, SampleType::u8, 3}));
  EXPECT_TRUE(needs_bigtiff({{32768, 32768}, SampleType::u8, 4}));
  EXPECT_TRUE(needs_bigtiff({{32768, 32768}, SampleType::u16, 3}));
}

TEST(CheckOptions, RefusesWhatAFormatHasNot) {
  check_options(ImageFormat::jpeg, {.quality = 50});
  check_options(ImageFormat::png, {.lossless = true});
  check_options(ImageFormat::webp, {.lossless = true});
  const auto refuses = [](ImageFormat format, const EncodeOptions& options, const char* words) {
    return fails(ErrorCode::usage, words, [&] { check_options(format, options); });
  };
  EXPECT_TRUE(refuses(ImageFormat::png, {.quality = 50}, "PNG has no --quality"));
  EXPECT_TRUE(refuses(ImageFormat::jpeg, {.lossless = true}, "JPEG has no --lossless"));
  EXPECT_TRUE(refuses(ImageFormat::avif, {.lossless = true}, "AVIF has no --lossless"));
  EXPECT_TRUE(refuses(ImageFormat::webp, {.quality = 50, .lossless = true}, "contradict"));
}

}  // namespace
}  // namespace upres
