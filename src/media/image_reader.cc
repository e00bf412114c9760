// SPDX-License-Identifier: Apache-2.0
#include "media/image_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "media/file_bytes.h"
#include "media/metadata.h"
#include "media/vips.h"

namespace upres {
namespace {

namespace fs = std::filesystem;
using Picture = VipsHandle<VipsImage>;

constexpr const char* kReads =
    "upres reads PNG, JPEG, WebP, TIFF, AVIF, HEIC, JPEG XL, JPEG 2000, PPM, PFM, BMP and GIF";

[[noreturn]] void fail_reading(const fs::path& path) {
  fail(ErrorCode::input, "cannot read {}: {}", path.string(), vips_reason());
}

/// The result of one of libvips' operations, in the place of what it was made of.
template <typename Operation>
void replace(Picture& image, const fs::path& path, Operation&& operation) {
  VipsImage* result = nullptr;
  if (operation(image.get(), &result) != 0) fail_reading(path);
  image.reset(result);
}

void check_is_file(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error) fail(ErrorCode::input, "cannot open {}: {}", path.string(), error.message());
  if (fs::is_directory(status)) {
    fail(ErrorCode::input, "{} is a folder; name the pictures in it, or give -r", path.string());
  }
  if (!fs::is_regular_file(status)) fail(ErrorCode::input, "{} is not a file", path.string());
  if (fs::file_size(path, error) == 0) fail(ErrorCode::input, "{} is empty", path.string());
}

void check_claim(const fs::path& path, int64_t width, int64_t height, int64_t max_pixels) {
  if (width > 0 && height > max_pixels / width) {
    fail(ErrorCode::input, "{} claims {}x{} pixels; upres reads up to {}, or --max-pixels N",
         path.string(), width, height, max_pixels);
  }
}

// Opening -----------------------------------------------------------------------------------

/// What the first bytes of a kind of file are.
struct Signature {
  std::string_view bytes;
  size_t offset;
  const char* loader;  ///< libvips' operation
};

// Told here and not by libvips: it would show the file to all of its readers to ask whose it is,
// the untrusted ones too (OpenSlide's allocates what a damaged TIFF claims).
constexpr Signature kSignatures[] = {
    {kPngSignature, 0, "pngload_source"},
    {"\xff\xd8", 0, "jpegload_source"},
    {"GIF8", 0, "gifload_source"},
    {"WEBP", 8, "webpload_source"},
    {{"II*\0", 4}, 0, "tiffload_source"},
    {{"MM\0*", 4}, 0, "tiffload_source"},
    {{"II+\0", 4}, 0, "tiffload_source"},  // BigTIFF
    {{"MM\0+", 4}, 0, "tiffload_source"},
    {"ftypavi", 4, "heifload_source"},
    {"ftyphe", 4, "heifload_source"},
    {"ftypmif1", 4, "heifload_source"},
    {"ftypmsf1", 4, "heifload_source"},
    {"\xff\x0a", 0, "jxlload_source"},
    {"JXL \r\n\x87\n", 4, "jxlload_source"},
    {"jP  \r\n\x87\n", 4, "jp2kload_source"},
    {"\xff\x4f\xff\x51", 0, "jp2kload_source"},
    {"P1", 0, "ppmload_source"},
    {"P2", 0, "ppmload_source"},
    {"P3", 0, "ppmload_source"},
    {"P4", 0, "ppmload_source"},
    {"P5", 0, "ppmload_source"},
    {"P6", 0, "ppmload_source"},
    {"PF", 0, "ppmload_source"},
    {"Pf", 0, "ppmload_source"},
};

/// The operation that reads such a file; Error{input} where it is none that upres knows.
const char* find_loader(std::span<const std::byte> file, const fs::path& path) {
  const std::string_view text = text_of(file);
  for (const Signature& signature : kSignatures) {
    if (text.size() >= signature.offset &&
        text.substr(signature.offset).starts_with(signature.bytes)) {
      return signature.loader;
    }
  }
  fail(ErrorCode::input, "{} is not a picture that upres knows; {}", path.string(), kReads);
}

/// Its rows are stored from the bottom, which libvips 8.14 does not mind.
bool is_pfm(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte('P') &&
         (bytes[1] == std::byte('F') || bytes[1] == std::byte('f'));
}

bool is_bmp(std::span<const std::byte> bytes) {
  return bytes.size() >= 26 && bytes[0] == std::byte('B') && bytes[1] == std::byte('M');
}

/// Whether a BMP has 32 bits a pixel of which nothing says that the last eight are alpha. By its
/// specification they mean nothing; ImageMagick takes them for alpha where they are not all zero.
bool has_unused_bits(std::span<const std::byte> bytes) {
  constexpr int64_t kNotCompressed = 0;  // BI_RGB; with alpha it would be BI_BITFIELDS
  return number_at(bytes, 28, 2, ByteOrder::little) == 32 &&
         number_at(bytes, 30, 4, ByteOrder::little) == kNotCompressed;
}

/// BMP comes through ImageMagick, which allocates what a header claims: it is looked at before.
Picture open_bmp(const fs::path& path, std::span<const std::byte> bytes, int64_t max_pixels) {
  const bool is_old =
      number_at(bytes, 14, 4, ByteOrder::little) == 12;  // OS/2's header has 16-bit sizes
  const int64_t width = is_old ? int64_t(number_at(bytes, 18, 2, ByteOrder::little))
                               : int32_t(number_at(bytes, 18, 4, ByteOrder::little));
  const int64_t height = is_old ? int64_t(number_at(bytes, 20, 2, ByteOrder::little))
                                : int32_t(number_at(bytes, 22, 4, ByteOrder::little));
  if (width <= 0 || height == 0) {
    fail(ErrorCode::input, "cannot read {}: it claims {}x{} pixels", path.string(), width, height);
  }
  check_claim(path, width, std::abs(height), max_pixels);
  VipsImage* image = nullptr;
  if (vips_magickload_buffer(const_cast<std::byte*>(bytes.data()), bytes.size(), &image, "access",
                             VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR, nullptr) != 0) {
    fail_reading(path);
  }
  Picture picture(image);
  if (!is_old && has_unused_bits(bytes) && vips_image_get_bands(image) == 4) {
    replace(picture, path, [](VipsImage* in, VipsImage** out) {
      return vips_extract_band(in, out, 0, "n", 3, nullptr);
    });
  }
  return picture;
}

/// A PNG chunk may claim up to 2 GiB, which libpng allocates and clears before it finds that the
/// file is shorter. Only IDAT is read in pieces.
void check_png_chunks(std::span<const std::byte> file, const fs::path& path) {
  for_each_png_chunk(file, [&](const PngChunk& chunk) {
    if (chunk.name == "IEND") return false;
    if (!chunk.whole && chunk.name != "IDAT") {
      fail(ErrorCode::input, "cannot read {}: a chunk of {} bytes goes beyond its end",
           path.string(), chunk.length);
    }
    return true;
  });
}

/// PBM, or PGM or PPM written as text: P1 to P4.
bool is_bits_or_text(std::span<const std::byte> file) {
  return file.size() >= 2 && file[0] == std::byte('P') && file[1] >= std::byte('1') &&
         file[1] <= std::byte('4');
}

/// Whether such a file has all its samples. libvips takes those that are missing for 0, and takes
/// its time for each.
bool has_all_samples(std::span<const std::byte> file, VipsImage* image) {
  const auto kind = char(file[1]);
  const bool bits = kind == '1' || kind == '4';  // as text they need no space between them
  const int64_t header = bits ? 2 : 3;           // width, height and, of others, the largest level
  const int64_t width = vips_image_get_width(image);
  const int64_t height = vips_image_get_height(image);
  const int64_t needed = header + width * height * vips_image_get_bands(image);
  const std::string_view text = text_of(file);
  int64_t numbers = 0;
  bool in_number = false;
  bool in_comment = false;
  for (size_t at = 2; at < text.size(); ++at) {
    const char c = text[at];
    in_comment = c == '#' || (in_comment && c != '\n');
    const bool digit = !in_comment && c >= '0' && c <= '9';
    if (kind == '4' && numbers == header && !digit) {  // what ends the header
      return int64_t(text.size() - at - 1) >= (width + 7) / 8 * height;
    }
    if (digit && (!in_number || (bits && numbers > header))) ++numbers;
    if (kind != '4' && numbers >= needed) return true;
    in_number = digit;
  }
  return false;
}

Picture open_other(const fs::path& path, const char* loader) {
  const VipsHandle<VipsSource> source(vips_source_new_from_file(path.c_str()));
  if (!source) fail_reading(path);
  VipsImage* image = nullptr;
  if (vips_call(loader, source.get(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                VIPS_FAIL_ON_ERROR, nullptr) != 0) {
    fail_reading(path);
  }
  return Picture(image);
}

// Into what networks read --------------------------------------------------------------------

bool has_16_bits(VipsImage* image) {
  return vips_image_get_format(image) == VIPS_FORMAT_USHORT;
}

/// Whether libjxl 0.7 gives the samples of a lossy JPEG XL in its linear sRGB, which it does where
/// the file has a profile; what is beyond sRGB is then cut off.
bool is_linear_srgb(VipsImage* image) {
  using namespace std::string_view_literals;
  const void* data = nullptr;
  size_t size = 0;
  if (vips_image_get_typeof(image, VIPS_META_ICC_NAME) == 0 ||
      vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, &size) != 0) {
    return false;
  }
  // In the profile's description, "RGB_D65_SRG_Rel_Lin" or "Gra_D65_Rel_Lin", as UTF-16.
  const std::string_view profile(static_cast<const char*>(data), size);
  return profile.find("\0D\0006\0005\0_"sv) != std::string_view::npos &&
         profile.find("\0R\0e\0l\0_\0L\0i\0n"sv) != std::string_view::npos;
}

/// The same in sRGB as it is usual, without a profile: networks do not know linear light.
void linear_to_srgb(Picture& image, const fs::path& path) {
  const int bands = vips_image_get_bands(image.get());
  const int colours = bands <= 2 ? 1 : 3;
  const bool deep = has_16_bits(image.get());
  const int largest = deep ? 65535 : 255;
  std::vector<uint16_t> table(size_t(largest + 1) * size_t(bands));
  for (int level = 0; level <= largest; ++level) {
    const double linear = double(level) / largest;
    const double curved =
        linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
    for (int band = 0; band < bands; ++band) {
      table[size_t(level) * size_t(bands) + size_t(band)] =
          uint16_t(band < colours ? std::lround(curved * largest) : level);
    }
  }
  Picture levels(vips_image_new_from_memory_copy(table.data(), table.size() * sizeof(table[0]),
                                                 largest + 1, 1, bands, VIPS_FORMAT_USHORT));
  if (!levels) fail_reading(path);
  const VipsBandFormat format = vips_image_get_format(image.get());
  const VipsInterpretation kind = vips_image_get_interpretation(image.get());
  replace(levels, path,
          [&](VipsImage* in, VipsImage** out) { return vips_cast(in, out, format, nullptr); });
  replace(image, path, [&](VipsImage* in, VipsImage** out) {
    return vips_maplut(in, out, levels.get(), nullptr);
  });
  replace(image, path, [&](VipsImage* in, VipsImage** out) {
    return vips_copy(in, out, "interpretation", kind, nullptr);
  });
  vips_image_remove(image.get(), VIPS_META_ICC_NAME);
}

/// To sRGB where the samples are not those of gray or some RGB.
void convert_colours(Picture& image, const fs::path& path) {
  const int depth = has_16_bits(image.get()) ? 16 : 8;
  switch (vips_image_get_interpretation(image.get())) {
    case VIPS_INTERPRETATION_CMYK:
      // By the profile in the file, or libvips' own. Ink at its darkest becomes black.
      return replace(image, path, [&](VipsImage* in, VipsImage** out) {
        return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "input_profile", "cmyk",
                                  "depth", depth, "black_point_compensation", TRUE, nullptr);
      });
    case VIPS_INTERPRETATION_LAB:
    case VIPS_INTERPRETATION_LABS:
    case VIPS_INTERPRETATION_LABQ:
    case VIPS_INTERPRETATION_LCH:
    case VIPS_INTERPRETATION_XYZ:
    case VIPS_INTERPRETATION_YXY: {
      const bool fine = vips_image_get_interpretation(image.get()) == VIPS_INTERPRETATION_LABS;
      replace(image, path, [&](VipsImage* in, VipsImage** out) {
        const auto space = fine ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
        return vips_colourspace(in, out, space, nullptr);
      });
      vips_image_remove(image.get(), VIPS_META_ICC_NAME);  // it was Lab's
      return;
    }
    default:
      return;
  }
}

void check_channels(VipsImage* image, const fs::path& path) {
  const int channels = vips_image_get_bands(image);
  if (channels > 4) {
    fail(ErrorCode::input, "{} has {} channels; upres reads 1 to 4", path.string(), channels);
  }
}

void convert_samples(Picture& image, const fs::path& path) {
  switch (vips_image_get_format(image.get())) {
    case VIPS_FORMAT_UCHAR:
    case VIPS_FORMAT_USHORT:
    case VIPS_FORMAT_FLOAT:
      return;
    case VIPS_FORMAT_DOUBLE:
      return replace(image, path, [](VipsImage* in, VipsImage** out) {
        return vips_cast_float(in, out, nullptr);
      });
    default:
      fail(ErrorCode::input, "{} has samples of {}; upres reads 8 and 16 bits and floats",
           path.string(),
           vips_enum_nick(VIPS_TYPE_BAND_FORMAT, vips_image_get_format(image.get())));
  }
}

double largest_sample(VipsImage* image) {
  switch (vips_image_get_format(image)) {
    case VIPS_FORMAT_UCHAR:
      return 255;
    case VIPS_FORMAT_USHORT:
      return 65535;
    default:
      return 1;
  }
}

void flatten(Picture& image, const fs::path& path, const std::array<uint8_t, 3>& colour) {
  const int channels = vips_image_get_bands(image.get());
  if (channels != 2 && channels != 4) return;
  const double largest = largest_sample(image.get());
  std::vector<double> background;
  for (const uint8_t level : colour) background.push_back(level / 255.0 * largest);
  if (channels == 2) {
    background = {0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]};
  }
  VipsArrayDouble* array = vips_array_double_new(background.data(), int(background.size()));
  replace(image, path, [&](VipsImage* in, VipsImage** out) {
    return vips_flatten(in, out, "background", array, "max_alpha", largest, nullptr);
  });
  vips_area_unref(VIPS_AREA(array));
}

SampleType sample_type(VipsImage* image) {
  switch (vips_image_get_format(image)) {
    case VIPS_FORMAT_UCHAR:
      return SampleType::u8;
    case VIPS_FORMAT_USHORT:
      return SampleType::u16;
    default:
      return SampleType::f32;
  }
}

/// Whether there was anything to clamp. Not a number becomes 0.
bool clamp01(Frame& frame) {
  const std::span floats(reinterpret_cast<float*>(frame.data()),
                         frame.total_bytes() / sizeof(float));
  bool clamped = false;
  for (float& value : floats) {
    clamped |= !(value >= 0 && value <= 1);
    value = value > 0 ? std::min(value, 1.0f) : 0.0f;
  }
  return clamped;
}

// Reading ------------------------------------------------------------------------------------

/// One thread at a time reads, since libvips has one list of errors for all.
class Reading {
 public:
  Reading() {
    start_vips();
    forget_vips_errors();
  }

 private:
  static std::mutex mutex_;
  std::lock_guard<std::mutex> lock_{mutex_};
};

std::mutex Reading::mutex_;

}  // namespace

struct ImageReader::Vips {
  std::optional<MappedFile> file;  ///< of a picture that is not read through a stream
  Picture image;
  VipsHandle<VipsRegion> region;
  bool upside_down = false;

  bool lies_upright() const { return !upside_down && vips_image_get_orientation(image.get()) == 1; }
};

ImageReader::ImageReader(const fs::path& path, const ReadOptions& options)
    : path_(path), vips_(std::make_unique<Vips>()) {
  const Reading reading;
  check_is_file(path);
  Picture& image = vips_->image;
  MappedFile file = MappedFile::open(path, ErrorCode::input);
  const std::span<const std::byte> bytes = file.bytes();
  bool is_jxl = false;
  if (is_bmp(bytes)) {
    vips_->file = std::move(file);
    image = open_bmp(path, bytes, options.max_pixels);
  } else {
    const char* loader = find_loader(bytes, path);
    if (loader == std::string_view("pngload_source")) check_png_chunks(bytes, path);
    image = open_other(path, loader);
    is_jxl = loader == std::string_view("jxlload_source");
    vips_->upside_down = is_pfm(bytes);
  }
  check_claim(path, vips_image_get_width(image.get()), vips_image_get_height(image.get()),
              options.max_pixels);
  if (is_bits_or_text(bytes) && !has_all_samples(bytes, image.get())) {
    fail(ErrorCode::input, "cannot read {}: it ends before its last sample", path.string());
  }
  convert_colours(image, path);
  std::string unread;
  if (is_jxl && vips_image_get_format(image.get()) != VIPS_FORMAT_FLOAT &&
      is_linear_srgb(image.get())) {
    linear_to_srgb(image, path);
    unread = "the colour profile of lossy JPEG XL files";
  }
  metadata_ = metadata_of(image.get(), bytes, std::move(unread));
  check_channels(image.get(), path);
  convert_samples(image, path);
  if (options.flatten) flatten(image, path, *options.flatten);
  info_ = {{vips_image_get_width(image.get()), vips_image_get_height(image.get())},
           sample_type(image.get()),
           vips_image_get_bands(image.get())};
  if (vips_image_get_orientation_swap(image.get())) std::swap(info_.size.width, info_.size.height);
}

ImageReader::~ImageReader() = default;

size_t ImageReader::bytes_held() const {
  return vips_->lies_upright() ? 0 : info_.total_bytes();
}

Frame ImageReader::read() {
  const Reading reading;
  Picture& image = vips_->image;
  if (!vips_->region) {
    if (!vips_->lies_upright()) {  // turning reads out of order
      replace(image, path_, [](VipsImage* in, VipsImage** out) {
        *out = vips_image_copy_memory(in);
        return *out ? 0 : -1;
      });
      replace(image, path_, [&](VipsImage* in, VipsImage** out) {
        return vips_->upside_down ? vips_flip(in, out, VIPS_DIRECTION_VERTICAL, nullptr)
                                  : vips_autorot(in, out, nullptr);
      });
    }
    vips_->region.reset(vips_region_new(image.get()));
  }
  const int count = std::min(strip_height(info_), info_.size.height - next_row_);
  const VipsRect area = {0, next_row_, info_.size.width, count};
  if (vips_region_prepare(vips_->region.get(), &area) != 0) fail_reading(path_);
  Frame rows({info_.size.width, count}, info_.type, info_.channels);
  for (int y = 0; y < count; ++y) {
    std::memcpy(rows.row(y), VIPS_REGION_ADDR(vips_->region.get(), 0, next_row_ + y),
                rows.row_bytes());
  }
  if (info_.type == SampleType::f32 && clamp01(rows)) has_clamped_ = true;
  next_row_ += count;
  return rows;
}

Image read_image(const fs::path& path, const ReadOptions& options) {
  ImageReader reader(path, options);
  Image image{Frame(reader.info()), reader.metadata()};
  FrameSink sink(image.frame);
  pass_rows(reader, sink);
  return image;
}

FrameInfo read_image_info(const fs::path& path, const ReadOptions& options) {
  return ImageReader(path, options).info();
}

}  // namespace upres
