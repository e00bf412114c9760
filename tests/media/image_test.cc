// SPDX-License-Identifier: Apache-2.0
#include "media/image_reader.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <random>

#include "base/error.h"
#include "media/image_writer.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

namespace fs = std::filesystem;
using test::fails;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;
using Names = std::vector<std::string>;

const fs::path kPictures = fs::path(UPRES_SOURCE_DIR) / "../shared/data/images";

/// Skips a test whose pictures are not beside the project; where CI=true they must be.
#define UPRES_NEEDS_PICTURES(folder)                                      \
  if (!fs::exists(kPictures / (folder))) {                                \
    const char* ci = std::getenv("CI");                                   \
    if (ci && std::string(ci) == "true") FAIL() << "no " << kPictures;    \
    GTEST_SKIP() << "SKIPPED: no " << kPictures << " beside the project"; \
  }

// Pictures ---------------------------------------------------------------------------------------

Frame random_frame(Size size, SampleType type, int channels) {
  Frame frame(size, type, channels);
  std::mt19937 random(7);
  for (size_t i = 0; i < frame.total_bytes(); ++i) frame.data()[i] = std::byte(random() & 255);
  return frame;
}

/// 8 bit, soft as JPEG likes it, for sizes up to 120 x 64.
Frame gradient(Size size, int channels) {
  Frame frame(size, SampleType::u8, channels);
  std::byte* sample = frame.data();
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < channels; ++c) *sample++ = std::byte(x + y + 20 * c);
    }
  }
  return frame;
}

/// Gray, white in the upper left quarter only.
Frame bright_corner(Size size) {
  Frame frame(size, SampleType::u8, 1);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const bool bright = x < size.width / 2 && y < size.height / 2;
      frame.data()[y * size.width + x] = std::byte(bright ? 255 : 0);
    }
  }
  return frame;
}

/// Of 8-bit frames of the same kind.
double mean_difference(const Frame& a, const Frame& b) {
  double sum = 0;
  for (size_t i = 0; i < a.total_bytes(); ++i) {
    sum += std::abs(std::to_integer<int>(a.data()[i]) - std::to_integer<int>(b.data()[i]));
  }
  return sum / double(a.total_bytes());
}

bool equal(const Frame& a, const Frame& b) {
  return a.size() == b.size() && a.type() == b.type() && a.channels() == b.channels() &&
         std::memcmp(a.data(), b.data(), a.total_bytes()) == 0;
}

void write(const fs::path& path, const Frame& frame) {
  write_image({path, *find_format(path)}, frame, {});
}

// What JPEG files hold beside the samples
// ----------------------------------------------------------

/// A JPEG file with a segment put before all others.
std::string with_segment(const std::string& jpeg, char marker, const std::string& content) {
  const size_t length = content.size() + 2;
  const std::string header = {'\xff', marker, char(length >> 8), char(length & 255)};
  return jpeg.substr(0, 2) + header + content + jpeg.substr(2);
}

/// A JPEG file without the EXIF block that every writer of libvips adds.
std::string without_exif(const std::string& jpeg) {
  const size_t begin = jpeg.find("Exif") - 4;
  const auto byte = [&](size_t i) { return size_t(static_cast<unsigned char>(jpeg[i])); };
  return jpeg.substr(0, begin) + jpeg.substr(begin + 2 + (byte(begin + 2) << 8 | byte(begin + 3)));
}

/// An EXIF block with two tags: the orientation and the artist.
std::string exif(int orientation, const std::string& artist) {
  using namespace std::string_literals;
  const std::string text = artist + "\0"s;
  return "Exif\0\0MM\0*\0\0\0\x08\0\x02"s + "\x01\x12\0\x03\0\0\0\x01\0"s + char(orientation) +
         "\0\0"s + "\x01\x3b\0\x02\0\0\0"s + char(text.size()) + "\0\0\0\x26"s + "\0\0\0\0"s + text;
}

std::string jpeg_of(const Frame& frame) {
  const TemporaryFolder folder;
  write(folder / "picture.jpg", frame);
  return without_exif(read_bytes(folder / "picture.jpg"));
}

// Samples
// ------------------------------------------------------------------------------------------

class EveryKind : public testing::TestWithParam<std::tuple<SampleType, int, Size>> {};

TEST_P(EveryKind, ComesBackFromPngBitForBit) {
  const auto [type, channels, size] = GetParam();
  const TemporaryFolder folder;
  const Frame frame = random_frame(size, type, channels);
  write(folder / "picture.png", frame);
  EXPECT_TRUE(equal(read_image(folder / "picture.png").frame, frame));
  const FrameInfo info = read_image_info(folder / "picture.png");
  EXPECT_EQ(info.size, size);
  EXPECT_EQ(info.type, type);
  EXPECT_EQ(info.channels, channels);
  EXPECT_EQ(info.total_bytes(), frame.total_bytes());
}

INSTANTIATE_TEST_SUITE_P(Png, EveryKind,
                         testing::Combine(testing::Values(SampleType::u8, SampleType::u16),
                                          testing::Values(1, 2, 3, 4),
                                          testing::Values(Size{1, 1}, Size{129, 67})));

TEST(ReadImage, FindsAJpegCloseToWhatWasWritten) {
  const TemporaryFolder folder;
  for (const int channels : {1, 3}) {
    const Frame frame = gradient({120, 61}, channels);
    const fs::path path = folder / fmt::format("{}.jpg", channels);
    write(path, frame);
    const Frame read = read_image(path).frame;
    ASSERT_EQ(read.size(), frame.size());
    ASSERT_EQ(read.channels(), channels);
    EXPECT_LT(mean_difference(read, frame), 1.5);
  }
}

TEST(ReadImage, TellsTheFormatByContent) {
  const TemporaryFolder folder;
  const Frame frame = random_frame({5, 4}, SampleType::u8, 3);
  write(folder / "picture.png", frame);
  fs::rename(folder / "picture.png", folder / "[n=2] misnamed.jpg");
  EXPECT_TRUE(equal(read_image(folder / "[n=2] misnamed.jpg").frame, frame));
}

TEST(ReadImage, ExpandsPalettesAndFewBits) {
  UPRES_NEEDS_PICTURES("pngsuite");
  struct Case {
    const char* name;
    SampleType type;
    int channels;
  };
  for (const auto& [name, type, channels] :
       {Case{"basn0g01", SampleType::u8, 1}, Case{"basi0g02", SampleType::u8, 1},
        Case{"basn0g04", SampleType::u8, 1}, Case{"basn0g16", SampleType::u16, 1},
        Case{"basn3p01", SampleType::u8, 3}, Case{"basi3p04", SampleType::u8, 3},
        Case{"tbbn3p08", SampleType::u8, 4}, Case{"tbbn0g04", SampleType::u8, 2},
        Case{"tbgn2c16", SampleType::u16, 4}, Case{"basi6a16", SampleType::u16, 4}}) {
    const Frame frame = read_image(kPictures / "pngsuite" / (std::string(name) + ".png")).frame;
    EXPECT_EQ(frame.type(), type) << name;
    EXPECT_EQ(frame.channels(), channels) << name;
    EXPECT_EQ(frame.size(), (Size{32, 32})) << name;
  }
  // One bit is black and white, not 0 and 1.
  const Frame frame = read_image(kPictures / "pngsuite/basn0g01.png").frame;
  EXPECT_EQ(*std::max_element(frame.data(), frame.data() + frame.total_bytes()), std::byte(255));
}

TEST(ReadImage, TurnsCmykIntoSrgb) {
  UPRES_NEEDS_PICTURES("jpeg");
  const Frame cmyk = read_image(kPictures / "jpeg/pil_sample_cmyk.jpg").frame;
  const Frame rgb = read_image(kPictures / "jpeg/pil_sample_rgb.jpg").frame;
  ASSERT_EQ(cmyk.channels(), 3);
  ASSERT_EQ(cmyk.size(), rgb.size());
  EXPECT_LT(mean_difference(cmyk, rgb), 12);
  EXPECT_EQ(read_image_info(kPictures / "jpeg/pil_sample_cmyk.jpg").channels, 3);
}

// Orientation and metadata
// -------------------------------------------------------------------------

TEST(Orientation, IsAppliedAndReset) {
  struct Case {
    int orientation;
    bool turned, right, lower;  ///< sides swapped; where the bright corner comes to be
  };
  const TemporaryFolder folder;
  const std::string jpeg = jpeg_of(bright_corner({48, 16}));
  for (const auto& [orientation, turned, right, lower] :
       {Case{1, false, false, false}, Case{2, false, true, false}, Case{3, false, true, true},
        Case{4, false, false, true}, Case{5, true, false, false}, Case{6, true, true, false},
        Case{7, true, true, true}, Case{8, true, false, true}}) {
    const fs::path path = folder / fmt::format("{}.jpg", orientation);
    write_bytes(path, with_segment(jpeg, '\xe1', exif(orientation, "somebody")));
    const Image image = read_image(path);
    const Size size = turned ? Size{16, 48} : Size{48, 16};
    ASSERT_EQ(image.frame.size(), size) << orientation;
    EXPECT_EQ(read_image_info(path).size, size) << orientation;
    const int x = right ? size.width - 2 : 1;
    const int y = lower ? size.height - 2 : 1;
    EXPECT_GT(image.frame.data()[y * size.width + x], std::byte(200)) << orientation;

    for (const char* extension : {"png", "jpg"}) {
      const fs::path written = folder / fmt::format("written_{}.{}", orientation, extension);
      write_image({written, *find_format(written)}, image.frame, image.metadata);
      EXPECT_EQ(read_image(written).frame.size(), size) << written;
      EXPECT_NE(read_bytes(written).find("somebody"), std::string::npos) << written;
    }
  }
}

TEST(Orientation, MakesOnePictureOfFilesTurnedInAllWays) {
  UPRES_NEEDS_PICTURES("exif-orientation");
  // Landscape_1, upright in the file, was toned differently.
  const Frame upright = read_image(kPictures / "exif-orientation/Landscape_2.jpg").frame;
  for (int i = 3; i <= 8; ++i) {
    const fs::path path = kPictures / "exif-orientation" / fmt::format("Landscape_{}.jpg", i);
    const Frame frame = read_image(path).frame;
    ASSERT_EQ(frame.size(), upright.size()) << path;
    EXPECT_LT(mean_difference(frame, upright), 5) << path;
  }
}

TEST(Metadata, XmpGoesFromJpegToJpeg) {
  const TemporaryFolder folder;
  const std::string xmp = "<x:xmpmeta xmlns:x='adobe:ns:meta/'>kept</x:xmpmeta>";
  write_bytes(folder / "in.jpg",
              with_segment(jpeg_of(gradient({16, 16}, 3)), '\xe1',
                           std::string("http://ns.adobe.com/xap/1.0/") + '\0' + xmp));
  const Image image = read_image(folder / "in.jpg");
  write_image({folder / "out.jpg", ImageFormat::jpeg}, image.frame, image.metadata);
  EXPECT_NE(read_bytes(folder / "out.jpg").find(xmp), std::string::npos);
}

TEST(Metadata, AProfileGoesThroughPng) {
  UPRES_NEEDS_PICTURES("exif-orientation");
  const TemporaryFolder folder;
  const fs::path original = kPictures / "exif-orientation/Landscape_2.jpg";
  const std::string mark = std::string("ICC_PROFILE") + '\0' + "\x01\x01";
  const std::string bytes = read_bytes(original);
  const std::string profile = bytes.substr(bytes.find(mark), mark.size() + 1960);
  const Image first = read_image(original);
  write_image({folder / "a.png", ImageFormat::png}, first.frame, first.metadata);
  const Image second = read_image(folder / "a.png");
  EXPECT_TRUE(equal(first.frame, second.frame));  // nothing was converted by it
  write_image({folder / "b.jpg", ImageFormat::jpeg}, second.frame, second.metadata);
  EXPECT_NE(read_bytes(folder / "b.jpg").find(profile), std::string::npos);
}

TEST(Metadata, DropsTheThumbnailOfTheFormerPicture) {
  UPRES_NEEDS_PICTURES("jpeg");
  const TemporaryFolder folder;
  const std::string start_of_jpeg = "\xff\xd8\xff";
  const fs::path original = kPictures / "jpeg/flower.jpg";
  ASSERT_NE(read_bytes(original).find(start_of_jpeg, 1), std::string::npos);
  const Image image = read_image(original);
  write_image({folder / "out.jpg", ImageFormat::jpeg}, image.frame, image.metadata);
  EXPECT_EQ(read_bytes(folder / "out.jpg").find(start_of_jpeg, 1), std::string::npos);
}

// Refusals
// -----------------------------------------------------------------------------------------

TEST(ReadImage, RefusesWhatIsNoPicture) {
  const TemporaryFolder folder;
  write_bytes(folder / "empty.png", "");
  write_bytes(folder / "text.png", "not a picture\n");
  write_bytes(folder / "picture.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
  const auto refuses = [&](const std::string& name, const std::string& words) {
    return fails(ErrorCode::input, words, [&] { read_image(folder / name); });
  };
  EXPECT_TRUE(refuses("missing.png", "No such file"));
  EXPECT_TRUE(refuses("", "is a folder"));
  EXPECT_TRUE(refuses("empty.png", "is empty"));
  EXPECT_TRUE(refuses("text.png", "is not a picture"));
  EXPECT_TRUE(refuses("picture.svg", "is not a picture that upres knows; upres reads PNG, JPEG"));
  EXPECT_TRUE(fails(ErrorCode::input, "is not a file", [] { read_image("/dev/null"); }));
}

TEST(ReadImage, ShowsAFileToNoReaderButItsOwn) {
  // Found by fuzzing: libvips asked all of its readers whether such a TIFF was theirs, and
  // OpenSlide allocated 4 GiB to tell. Whoever answers, it is the TIFF reader now.
  const TemporaryFolder folder;
  std::string tiff("II*\0\x20\x03\0\0", 8);
  tiff.resize(1024, '\xff');
  write_bytes(folder / "damaged.tif", tiff);
  EXPECT_TRUE(fails(ErrorCode::input, "cannot read", [&] { read_image(folder / "damaged.tif"); }));
}

TEST(ReadImage, RefusesAPngChunkLargerThanItsFile) {
  // Found by fuzzing: libpng cleared a gigabyte for such a chunk.
  const TemporaryFolder folder;
  write(folder / "picture.png", random_frame({8, 8}, SampleType::u8, 3));
  std::string bytes = read_bytes(folder / "picture.png");
  bytes.insert(33, std::string("\x3f\xff\xff\xffzTXtdamaged", 15));  // behind the header
  write_bytes(folder / "picture.png", bytes);
  EXPECT_TRUE(fails(ErrorCode::input, "a chunk of 1073741823 bytes goes beyond its end",
                    [&] { read_image(folder / "picture.png"); }));
}

TEST(ReadImage, RefusesEveryTruncation) {
  const TemporaryFolder folder;
  for (const char* extension : {"png", "jpg"}) {
    const fs::path whole = folder / fmt::format("whole.{}", extension);
    write(whole, gradient({64, 64}, 3));
    const std::string bytes = read_bytes(whole);
    for (const double share : {0.01, 0.1, 0.5, 0.9}) {
      const fs::path cut = folder / fmt::format("cut.{}", extension);
      write_bytes(cut, bytes.substr(0, size_t(double(bytes.size()) * share)));
      EXPECT_TRUE(fails(ErrorCode::input, cut.string(), [&] { read_image(cut); })) << share;
    }
  }
}

TEST(ReadImage, SaysWhereAPngIsDamaged) {
  const TemporaryFolder folder;
  write(folder / "picture.png", random_frame({64, 64}, SampleType::u8, 3));
  std::string bytes = read_bytes(folder / "picture.png");
  bytes[bytes.size() / 2] ^= 1;
  write_bytes(folder / "picture.png", bytes);
  EXPECT_TRUE(
      fails(ErrorCode::input, "IDAT: CRC error", [&] { read_image(folder / "picture.png"); }));
}

TEST(ReadImage, RefusesAHugeClaimBeforeItDecodes) {
  const TemporaryFolder folder;
  std::string jpeg = jpeg_of(gradient({16, 16}, 3));
  const size_t size = jpeg.find("\xff\xc0") + 5;  // of the frame header: height, width
  jpeg.replace(size, 4, "\xff\xdc\xff\xdc");
  write_bytes(folder / "huge.jpg", jpeg);
  EXPECT_TRUE(fails(ErrorCode::input, "claims 65500x65500 pixels",
                    [&] { read_image_info(folder / "huge.jpg"); }));
  EXPECT_TRUE(fails(ErrorCode::input, "claims 65500x65500 pixels",
                    [&] { read_image(folder / "huge.jpg"); }));
}

TEST(ReadImage, FinishesOrRefusesCorruptFilesWithinSeconds) {
  UPRES_NEEDS_PICTURES("corrupt");
  const std::vector<std::string> hopeless = {
      "broken.png",          "broken_data_stream.png", "sharp_corrupt-header.jpg",
      "sharp_truncated.jpg", "sharp_truncated.png",    "truncated_image.png",
      "truncated_jpeg.jpg",  "decompression_bomb.gif", "negative_size.ppm"};
  for (const auto& entry : fs::directory_iterator(kPictures / "corrupt")) {
    const std::string name = entry.path().filename().string();
    const auto start = std::chrono::steady_clock::now();
    const auto error = test::error_of([&] { read_image(entry.path()); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 2) << name;
    EXPECT_TRUE(!error || error->code() == ErrorCode::input) << name << ": " << error->what();
    const bool refused = std::find(hopeless.begin(), hopeless.end(), name) != hopeless.end();
    EXPECT_TRUE(error || !refused) << name;
  }
}

// Writing
// ------------------------------------------------------------------------------------------

TEST(FindFormat, GoesByTheExtension) {
  EXPECT_EQ(find_format("a/b.png"), ImageFormat::png);
  EXPECT_EQ(find_format("B.PNG"), ImageFormat::png);
  EXPECT_EQ(find_format("b.jpg"), ImageFormat::jpeg);
  EXPECT_EQ(find_format("b.png.Jpeg"), ImageFormat::jpeg);
  EXPECT_EQ(find_format("b.webp"), ImageFormat::webp);
  EXPECT_EQ(find_format("b.heif"), ImageFormat::heic);
  EXPECT_EQ(find_format("b.svg"), std::nullopt);
  for (const FormatTraits& format : image_formats()) {
    EXPECT_EQ(&traits(format.format), &format) << "the table is in the order of the enumeration";
  }
  EXPECT_EQ(find_format("png"), std::nullopt);
}

TEST(CheckHolds, NamesWhatTheFormatCannotHold) {
  const auto refuses = [](ImageFormat format, const FrameInfo& picture, const std::string& words) {
    return fails(ErrorCode::output, words, [&] { check_holds(format, "out.jpg", picture); });
  };
  EXPECT_TRUE(refuses(ImageFormat::jpeg, {{8, 8}, SampleType::u8, 4}, "alpha"));
  EXPECT_TRUE(refuses(ImageFormat::jpeg, {{8, 8}, SampleType::u8, 2}, "alpha"));
  EXPECT_TRUE(refuses(ImageFormat::jpeg, {{8, 8}, SampleType::u16, 3}, "16 bits"));
  EXPECT_TRUE(refuses(ImageFormat::jpeg, {{8, 65501}, SampleType::u8, 3}, "65501 pixels"));
  EXPECT_TRUE(refuses(ImageFormat::png, {{20'000'000, 8}, SampleType::u8, 3}, "20000000 pixels"));
  check_holds(ImageFormat::jpeg, "out.jpg", {{65500, 1}, SampleType::u8, 3});
  check_holds(ImageFormat::png, "out.png", {{65536, 1}, SampleType::u16, 4});
}

TEST(WriteImage, RefusesWhatTheFormatCannotHold) {
  const TemporaryFolder folder;
  EXPECT_TRUE(fails(ErrorCode::output, "alpha", [&] {
    write(folder / "a.jpg", gradient({8, 8}, 4));
  }));
  EXPECT_EQ(folder.names(), Names{});
}

TEST(WriteImage, LeavesAnExistingFileUnlessToldToReplaceIt) {
  const TemporaryFolder folder;
  const Frame frame = gradient({8, 8}, 3);
  write_bytes(folder / "a.png", "mine");
  EXPECT_TRUE(fails(ErrorCode::output, "exists", [&] { write(folder / "a.png", frame); }));
  EXPECT_EQ(read_bytes(folder / "a.png"), "mine");
  write_image({folder / "a.png", ImageFormat::png, Existing::replace}, frame, {});
  EXPECT_TRUE(equal(read_image(folder / "a.png").frame, frame));
  EXPECT_EQ(folder.names(), Names{"a.png"});
}

TEST(WriteImage, NamesTheFolderThatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_TRUE(fails(ErrorCode::output, (folder / "missing").string(), [&] {
    write(folder / "missing/a.png", gradient({8, 8}, 3));
  }));
}

/// Files may not grow beyond `bytes`, as on a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

TEST(WriteImage, LeavesNothingWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const Frame frame = random_frame({256, 256}, SampleType::u8, 3);
  const FileSizeLimit limit(50'000);
  for (const char* name : {"a.png", "a.jpg"}) {
    EXPECT_TRUE(fails(ErrorCode::output, "File too large", [&] { write(folder / name, frame); }));
    EXPECT_EQ(folder.names(), Names{});
  }
}

}  // namespace
}  // namespace upres
