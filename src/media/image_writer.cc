// SPDX-License-Identifier: Apache-2.0
#include "media/image_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "frame/row_queue.h"
#include "media/exif.h"
#include "media/metadata.h"
#include "media/vips.h"

namespace upres {
namespace {

// Predicting from the row above halves the bytes of upscaled photographs and is faster than no
// filter.
constexpr VipsForeignPngFilter kPngFilter = VIPS_FOREIGN_PNG_FILTER_UP;

// Rows that libvips asks for at once.
constexpr int kRowsAsked = 16;

// Fine enough that the network's detail is worth it, and quick enough for large pictures: an
// encoder at its default takes longer than the network.
constexpr int kJxlEffort = 4;
constexpr int kAvifEffort = 3;

VipsInterpretation interpretation_of(const FrameInfo& info) {
  const bool gray = info.channels <= 2;
  if (info.type == SampleType::u16) {
    return gray ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16;
  }
  return gray ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
}

VipsBandFormat band_format(SampleType type) {
  switch (type) {
    case SampleType::u8:
      return VIPS_FORMAT_UCHAR;
    case SampleType::u16:
      return VIPS_FORMAT_USHORT;
    case SampleType::f32:
      return VIPS_FORMAT_FLOAT;
  }
  UPRES_ASSERT(false, "every sample type has a band format");
}

// A file as libvips' target ----------------------------------------------------------------------

/// Passes on what libvips does to a file, and keeps why a write failed: its own list of errors is
/// shared by all threads.
class FileTarget {
 public:
  explicit FileTarget(int descriptor) : descriptor_(descriptor), target_(vips_target_custom_new()) {
    g_signal_connect(target_.get(), "write", G_CALLBACK(&FileTarget::write), this);
    g_signal_connect(target_.get(), "read", G_CALLBACK(&FileTarget::read), this);
    g_signal_connect(target_.get(), "seek", G_CALLBACK(&FileTarget::seek), this);
  }

  VipsTarget* get() { return VIPS_TARGET(target_.get()); }
  /// The errno of the write that failed first, or 0.
  int error() const { return error_; }

 private:
  static gint64 write(VipsTargetCustom*, const void* bytes, gint64 count, FileTarget* self) {
    const ssize_t written = ::write(self->descriptor_, bytes, size_t(count));
    if (written < 0 && self->error_ == 0) self->error_ = errno;
    return written;
  }
  static gint64 read(VipsTargetCustom*, void* bytes, gint64 count, FileTarget* self) {
    return ::read(self->descriptor_, bytes, size_t(count));
  }
  static gint64 seek(VipsTargetCustom*, gint64 offset, int whence, FileTarget* self) {
    return ::lseek(self->descriptor_, offset, whence);
  }

  int descriptor_;
  VipsHandle<VipsTargetCustom> target_;
  int error_ = 0;
};

// Encoders ---------------------------------------------------------------------------------------

bool save_heif(VipsImage* image, ImageFormat format, const FrameInfo& info, int quality,
               VipsTarget* target) {
  const bool avif = format == ImageFormat::avif;
  return vips_heifsave_target(
             image, target, "Q", quality, "bitdepth", info.type == SampleType::u16 ? 12 : 8,
             "compression",
             avif ? VIPS_FOREIGN_HEIF_COMPRESSION_AV1 : VIPS_FOREIGN_HEIF_COMPRESSION_HEVC,
             "effort", kAvifEffort, "subsample_mode", VIPS_FOREIGN_SUBSAMPLE_OFF, nullptr) == 0;
}

bool save_tiff(VipsImage* image, const FrameInfo& info, VipsTarget* target) {
  const bool floats = info.type == SampleType::f32;
  return vips_tiffsave_target(
             image, target, "compression", VIPS_FOREIGN_TIFF_COMPRESSION_DEFLATE, "predictor",
             floats ? VIPS_FOREIGN_TIFF_PREDICTOR_FLOAT : VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL,
             "bigtiff", needs_bigtiff(info), nullptr) == 0;
}

bool save_ppm(VipsImage* image, VipsForeignPpmFormat format, VipsTarget* target) {
  // Else a comment is written that holds the time, and that other readers of PFM stumble over.
  constexpr gboolean kNoComment = TRUE;
  return vips_ppmsave_target(image, target, "format", format, "strip", kNoComment, nullptr) == 0;
}

/// Its rows are stored from the bottom, which libvips 8.14 does not mind.
bool save_pfm(VipsImage* image, VipsTarget* target) {
  const VipsHandle<VipsImage> whole(vips_image_copy_memory(image));
  VipsImage* flipped = nullptr;
  if (!whole || vips_flip(whole.get(), &flipped, VIPS_DIRECTION_VERTICAL, nullptr) != 0) {
    return false;
  }
  const VipsHandle<VipsImage> owner(flipped);
  return save_ppm(flipped, VIPS_FOREIGN_PPM_FORMAT_PFM, target);
}

/// What an encoder left in memory.
void write_buffer(void* bytes, size_t count, AtomicFile& file) {
  const VipsMemory<void> owner(bytes);
  file.write({static_cast<const std::byte*>(bytes), count});
}

bool save_bmp(VipsImage* image, AtomicFile& file) {
  void* bytes = nullptr;
  size_t count = 0;
  if (vips_magicksave_buffer(image, &bytes, &count, "format", "BMP", nullptr) != 0) return false;
  write_buffer(bytes, count, file);
  return true;
}

/// In memory: given a file on a full disk, OpenJPEG 2.5 tries to write for ever.
bool save_jp2(VipsImage* image, int quality, gboolean lossless, AtomicFile& file) {
  void* bytes = nullptr;
  size_t count = 0;
  if (vips_jp2ksave_buffer(image, &bytes, &count, "Q", quality, "lossless", lossless, nullptr) !=
      0) {
    return false;
  }
  write_buffer(bytes, count, file);
  return true;
}

bool save(VipsImage* image, const ImageTarget& to, const FrameInfo& info, AtomicFile& file,
          VipsTarget* target) {
  const int quality = to.options.quality.value_or(default_quality(to.format));
  const gboolean lossless = to.options.lossless;
  switch (to.format) {
    case ImageFormat::png:
      return vips_pngsave_target(image, target, "compression", to.options.png_level, "filter",
                                 kPngFilter, nullptr) == 0;
    case ImageFormat::jpeg:  // with chroma at full resolution: the network has just made it sharp
      return vips_jpegsave_target(image, target, "Q", quality, "subsample_mode",
                                  VIPS_FOREIGN_SUBSAMPLE_OFF, nullptr) == 0;
    case ImageFormat::webp:
      return vips_webpsave_target(image, target, "Q", quality, "lossless", lossless, nullptr) == 0;
    case ImageFormat::tiff:
      return save_tiff(image, info, target);
    case ImageFormat::avif:
    case ImageFormat::heic:
      return save_heif(image, to.format, info, quality, target);
    case ImageFormat::jxl:
      return vips_jxlsave_target(image, target, "Q", quality, "lossless", lossless, "effort",
                                 kJxlEffort, nullptr) == 0;
    case ImageFormat::jp2:
      return save_jp2(image, quality, lossless, file);
    case ImageFormat::ppm:
      return save_ppm(image, VIPS_FOREIGN_PPM_FORMAT_PNM, target);
    case ImageFormat::pfm:
      return save_pfm(image, target);
    case ImageFormat::bmp:
      return save_bmp(image, file);
    case ImageFormat::gif:
      return vips_gifsave_target(image, target, nullptr) == 0;
  }
  UPRES_ASSERT(false, "every format has an encoder");
}

}  // namespace

// Rows as libvips' image -------------------------------------------------------------------------

struct ImageWriter::Encoding {
  Encoding(const ImageTarget& target_, const FrameInfo& info_, const ImageMetadata& metadata_,
           size_t limit_bytes)
      : target(target_),
        info(info_),
        metadata(metadata_),
        file(target.path, target.existing),
        queue(limit_bytes) {}

  /// The work of the thread.
  void run();
  void encode();
  void add_exif();
  /// The rows to come as an image that is read from top to bottom; null on failure.
  VipsHandle<VipsImage> image();
  /// libvips asks for rows, all in order.
  static int generate(VipsRegion* region, void*, void* encoding, void*, gboolean*);
  bool fill(VipsRegion* region);

  const ImageTarget target;
  const FrameInfo info;
  const ImageMetadata metadata;
  AtomicFile file;
  RowQueue queue;
  std::optional<Frame> strip;  ///< the last one taken from the queue
  int strip_row = 0;           ///< its row that comes next
  int next_row = 0;            ///< the picture's row that comes next
  std::exception_ptr failure;  ///< set before `done`
  std::atomic<bool> done = false;
  std::thread thread;
};

int ImageWriter::Encoding::generate(VipsRegion* region, void*, void* encoding, void*, gboolean*) {
  return static_cast<Encoding*>(encoding)->fill(region) ? 0 : -1;
}

bool ImageWriter::Encoding::fill(VipsRegion* region) {
  const VipsRect& area = region->valid;
  UPRES_ASSERT(area.left == 0 && area.width == info.size.width && area.top == next_row,
               "libvips asks a sequential image for whole rows in order");
  for (; next_row < VIPS_RECT_BOTTOM(&area); ++next_row, ++strip_row) {
    if (!strip || strip_row == strip->size().height) {
      strip.reset();
      strip = queue.take();
      strip_row = 0;
    }
    if (!strip) return false;
    std::memcpy(VIPS_REGION_ADDR(region, 0, next_row), strip->row(strip_row), strip->row_bytes());
  }
  return true;
}

VipsHandle<VipsImage> ImageWriter::Encoding::image() {
  VipsHandle<VipsImage> rows(vips_image_new());
  VipsImage* const fields = metadata.fields() ? metadata.fields()->image.get() : nullptr;
  vips_image_init_fields(rows.get(), info.size.width, info.size.height, info.channels,
                         band_format(info.type), VIPS_CODING_NONE, interpretation_of(info),
                         fields ? vips_image_get_xres(fields) : kUsualResolution,
                         fields ? vips_image_get_yres(fields) : kUsualResolution);
  put_metadata(metadata, target.format, rows.get());
  VipsImage* in_order = nullptr;
  if (vips_image_pipelinev(rows.get(), VIPS_DEMAND_STYLE_THINSTRIP, nullptr) != 0 ||
      vips_image_generate(rows.get(), nullptr, generate, nullptr, this, nullptr) != 0 ||
      vips_sequential(rows.get(), &in_order, "tile_height", kRowsAsked, nullptr) != 0) {
    return nullptr;
  }
  return VipsHandle<VipsImage>(in_order);
}

void ImageWriter::Encoding::encode() {
  FileTarget to(file.descriptor());
  const VipsHandle<VipsImage> rows = image();
  if (!rows || !save(rows.get(), target, info, file, to.get())) {
    fail(ErrorCode::output, "cannot write {}: {}", target.path.string(),
         to.error() != 0 ? std::strerror(to.error()) : vips_reason());
  }
  if (target.format == ImageFormat::tiff) add_exif();
}

/// Puts EXIF into a TIFF that libvips has written without: a new first directory behind its end, of
/// which the header then says that it is the first.
void ImageWriter::Encoding::add_exif() {
  const Exif exif = read_exif(exif_of(metadata));
  if (exif.tags.empty()) return;
  const int descriptor = file.descriptor();
  const off_t end = ::lseek(descriptor, 0, SEEK_END);
  const std::array<std::byte, 1> padding = {};
  if (end % 2 != 0) file.write(padding);
  const MappedFile written =
      MappedFile::open(fmt::format("/proc/self/fd/{}", descriptor), ErrorCode::output);
  const TiffForm form = tiff_form(written.bytes()).value();
  const uint64_t offset = written.bytes().size();
  file.write(first_directory_with(exif, written.bytes(), info.size));
  std::vector<std::byte> address;
  put_number(address, offset, form.address_bytes(), form.order);
  if (::pwrite(descriptor, address.data(), address.size(), off_t(first_tiff_directory_at(form))) !=
      ssize_t(address.size())) {
    fail(ErrorCode::output, "cannot write {}: {}", target.path.string(), std::strerror(errno));
  }
}

void ImageWriter::Encoding::run() {
  try {
    encode();
  } catch (...) {
    failure = std::current_exception();
  }
  strip.reset();
  queue.abandon();
  done = true;
}

// The writer -------------------------------------------------------------------------------------

ImageWriter::ImageWriter(const ImageTarget& target, const FrameInfo& info,
                         const ImageMetadata& metadata, size_t limit_bytes) {
  check_holds(target.format, target.path, info);
  start_vips();
  encoding_ = std::make_unique<Encoding>(target, info, metadata, limit_bytes);
  encoding_->thread = std::thread([encoding = encoding_.get()] { encoding->run(); });
}

ImageWriter::~ImageWriter() {
  encoding_->queue.abandon();
  if (encoding_->thread.joinable()) encoding_->thread.join();
}

void ImageWriter::write(Frame rows) {
  try {
    encoding_->queue.write(std::move(rows));
  } catch (const RowQueue::Abandoned&) {
    finish();
    UPRES_ASSERT(false, "an encoder that takes no more rows has failed");
  }
}

void ImageWriter::finish() {
  if (encoding_->thread.joinable()) encoding_->thread.join();
  if (encoding_->failure) std::rethrow_exception(encoding_->failure);
  if (encoding_->target.time) encoding_->file.set_time(*encoding_->target.time);
  encoding_->file.commit();
}

bool ImageWriter::is_encoded() const {
  return encoding_->done;
}

size_t ImageWriter::bytes_needed(ImageFormat format, const FrameInfo& info, size_t limit_bytes) {
  if (traits(format).has(kStreams)) return std::min(info.total_bytes(), limit_bytes);
  // The picture, and about as much again in the encoder's own form.
  return 2 * info.total_bytes();
}

void write_image(const ImageTarget& target, const Frame& frame, const ImageMetadata& metadata) {
  ImageWriter writer(target, frame.info(), metadata, frame.total_bytes());
  FrameSource source(frame);
  pass_rows(source, writer);
  writer.finish();
}

}  // namespace upres
