// SPDX-License-Identifier: Apache-2.0
#include "media/film_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>

#include "media/animation.h"
#include "media/film_pixels.h"
#include "media/gif_pictures.h"

namespace upres {
namespace {

using Options = std::vector<std::pair<std::string, std::string>>;

/// An encoder that upres knows how to ask for good pictures.
struct EncoderTraits {
  std::string_view name;
  bool even_sides;                    ///< of subsampled chroma takes whole samples only
  std::string_view constant_quality;  ///< the option for --crf; empty: none
  std::string_view preset;            ///< the option for --preset; empty: none
  Options defaults = {};
};

// Defaults: visually close to lossless, since an upscaled film is rarely the last generation.
const EncoderTraits kEncoders[] = {
    {"libx264", true, "crf", "preset", {{"crf", "17"}, {"preset", "medium"}}},
    {"libx264rgb", false, "crf", "preset", {{"crf", "17"}, {"preset", "medium"}}},
    {"libx265",
     true,
     "crf",
     "preset",
     {{"crf", "19"}, {"preset", "medium"}, {"x265-params", "log-level=error"}}},
    {"libsvtav1", true, "crf", "preset", {{"crf", "24"}, {"preset", "6"}}},
    {"libaom-av1",
     false,
     "crf",
     "cpu-used",
     {{"crf", "22"}, {"cpu-used", "4"}, {"b", "0"}, {"row-mt", "1"}}},
    {"libvpx-vp9", false, "crf", "cpu-used", {{"crf", "22"}, {"b", "0"}, {"row-mt", "1"}}},
    {"h264_nvenc",
     true,
     "cq",
     "preset",
     {{"rc", "vbr"}, {"cq", "18"}, {"b", "0"}, {"preset", "p6"}}},
    {"hevc_nvenc",
     true,
     "cq",
     "preset",
     {{"rc", "vbr"}, {"cq", "20"}, {"b", "0"}, {"preset", "p6"}}},
    {"av1_nvenc",
     true,
     "cq",
     "preset",
     {{"rc", "vbr"}, {"cq", "24"}, {"b", "0"}, {"preset", "p6"}}},
    {"prores_ks", false, "", "", {{"vendor", "apl0"}}},
    {"ffv1", false, "", "", {{"level", "3"}, {"slicecrc", "1"}}},
    {"ffvhuff", false, "", ""},
    {"mpeg4", false, "", "", {{"qscale", "2"}}},
    {"mpeg2video", false, "", "", {{"qscale", "2"}}},
    {"mjpeg", false, "", "", {{"qscale", "2"}}},
    {"png", false, "", ""},
    {"apng", false, "", ""},
    {"tiff", false, "", ""},
    {"gif", false, "", "", {{"gifflags", "0"}}},  // GifPictures has the differences
    {"libwebp_anim", false, "", "preset", {{"lossless", "1"}}},
    {"rawvideo", false, "", ""},
    {"wrapped_avframe", false, "", ""},
    {"v210", true, "", ""},
    {"dnxhd", true, "", "", {{"profile", "dnxhr_hq"}}},
};

const EncoderTraits* traits_of(std::string_view name) {
  const auto* found = std::ranges::find(kEncoders, name, &EncoderTraits::name);
  return found == std::end(kEncoders) ? nullptr : found;
}

/// What a container usually holds, best first; the first one that loses nothing is taken.
std::vector<std::string_view> usual_codecs(std::string_view container) {
  if (container == "webm") return {"libvpx-vp9"};
  if (container == "apng") return {"apng"};
  if (container == "webp") return {"libwebp_anim"};
  if (container == "gif") return {"gif"};
  if (container == "yuv4mpegpipe" || container == "null") return {"wrapped_avframe"};
  if (container == "rawvideo") return {"rawvideo"};
  if (container == "avi") return {"libx264", "ffv1"};
  if (container == "mov") return {"libx264", "libx265", "prores_ks"};
  if (container == "matroska" || container == "nut") {
    return {"libx264", "libx264rgb", "libx265", "ffv1"};
  }
  return {"libx264", "libx265"};
}

/// Encoders of pictures of RGB. What else libav's of WebP take they convert as if all films were
/// BT.601; that of GIF takes palettes.
bool takes_words(std::string_view codec) {
  return codec == "libwebp_anim" || codec == "libwebp" || codec == "gif";
}

/// What upres makes for them: words with alpha, and without. FilmEncoder makes of it what they
/// take.
constexpr AVPixelFormat kWords[] = {AV_PIX_FMT_0RGB32, AV_PIX_FMT_RGB32};

/// What an encoder takes from upres.
std::span<const AVPixelFormat> formats_of(const AVCodec& codec) {
  if (takes_words(codec.name)) return kWords;
  const AVPixelFormat* formats = codec.pix_fmts;
  size_t count = 0;
  while (formats && formats[count] != AV_PIX_FMT_NONE) ++count;
  return {formats, count};
}

/// More than 8 bits by H.264 is what few players decode; HEVC's Main 10 is what they do.
bool is_usual(std::string_view codec, const FilmFormat& source) {
  return codec != "libx264" || (source.depth == 8 && source.kind != FilmFormat::Kind::rgb);
}

const AVCodec& encoder_named(const std::string& name) {
  const AVCodec* codec = avcodec_find_encoder_by_name(name.c_str());
  if (!codec || codec->type != AVMEDIA_TYPE_VIDEO) {
    fail(ErrorCode::usage,
         "the libav at hand has no encoder {}; `upres doctor` lists those that it has", name);
  }
  return *codec;
}

AVPixelFormat format_for(const AVCodec& codec, const FilmInfo& source) {
  const auto formats = formats_of(codec);
  if (!formats.empty()) return best_format(source.format, formats);
  // An encoder that does not say takes all: raw video, for instance.
  const AVPixelFormat own = av_get_pix_fmt(source.pixel_format.c_str());
  return own;
}

/// What yuv4mpegpipe can say.
bool holds_y4m(AVPixelFormat format) {
  constexpr std::string_view kHeld[] = {
      "gray",        "gray9le",     "gray10le",    "gray12le",    "gray16le",    "yuv411p",
      "yuv420p",     "yuv422p",     "yuv444p",     "yuv420p9le",  "yuv422p9le",  "yuv444p9le",
      "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le",
      "yuv420p14le", "yuv422p14le", "yuv444p14le", "yuv420p16le", "yuv422p16le", "yuv444p16le"};
  return std::ranges::count(kHeld, std::string_view(av_get_pix_fmt_name(format))) > 0;
}

AVPixelFormat y4m_format(const FilmInfo& source) {
  std::vector<AVPixelFormat> held;
  for (const AVPixFmtDescriptor* desc = nullptr; (desc = av_pix_fmt_desc_next(desc));) {
    const AVPixelFormat format = av_pix_fmt_desc_get_id(desc);
    if (holds_y4m(format)) held.push_back(format);
  }
  return best_format(source.format, held);
}

struct Choice {
  const AVCodec* codec = nullptr;
  AVPixelFormat format = AV_PIX_FMT_NONE;
};

Choice choose_codec(const FilmInfo& source, const std::string& container,
                    const std::string& named) {
  const auto choice_of = [&](const std::string& name) {
    const AVCodec& codec = encoder_named(name);
    return Choice{&codec,
                  container == "yuv4mpegpipe" ? y4m_format(source) : format_for(codec, source)};
  };
  if (!named.empty()) return choice_of(named);
  if (container == "image2") return {};
  Choice least;
  int least_cost = 0;
  for (const std::string_view name : usual_codecs(container)) {
    if (!avcodec_find_encoder_by_name(std::string(name).c_str())) continue;
    const Choice choice = choice_of(std::string(name));
    if (choice.format == AV_PIX_FMT_NONE) continue;
    const int cost = loss_of(source.format, *layout_of(choice.format)).cost +
                     (is_usual(name, source.format) ? 0 : 50);
    if (!least.codec || cost < least_cost) {
      least = choice;
      least_cost = cost;
    }
  }
  return least;
}

bool has_option(const AVCodec& codec, const char* name) {
  const AVClass* options = codec.priv_class;
  return options && av_opt_find(&options, name, nullptr, 0, AV_OPT_SEARCH_FAKE_OBJ) != nullptr;
}

void set(Options& options, const std::string& key, const std::string& value) {
  const auto found = std::ranges::find(options, key, &Options::value_type::first);
  if (found != options.end()) {
    found->second = value;
  } else {
    options.emplace_back(key, value);
  }
}

Options options_of(const AVCodec& codec, const FilmEncodeOptions& wanted) {
  const EncoderTraits* traits = traits_of(codec.name);
  Options options = traits ? traits->defaults : Options{};
  if (wanted.crf) {
    const std::string quality(traits ? traits->constant_quality : "crf");
    if (quality.empty() || !has_option(codec, quality.c_str())) {
      fail(ErrorCode::usage,
           "the encoder {} has no constant quality for --crf; give -e KEY=VALUE "
           "for what it has",
           codec.name);
    }
    set(options, quality, fmt::format("{}", *wanted.crf));
  }
  if (!wanted.preset.empty()) {
    const std::string preset(traits ? traits->preset : "preset");
    if (preset.empty() || !has_option(codec, preset.c_str())) {
      fail(ErrorCode::usage, "the encoder {} has no presets; leave --preset out", codec.name);
    }
    set(options, preset, wanted.preset);
  }
  for (const auto& [key, value] : wanted.options) set(options, key, value);
  return options;
}

void tell_losses(FilmEncoding& encoding, const FilmInfo& source) {
  const Loss loss = loss_of(source.format, encoding.format);
  const auto tell = [&](bool lost, const std::string& what) {
    if (!lost) return;
    encoding.notices.push_back(fmt::format("{} of {} become {} in {}: {}", "the pictures",
                                           source.pixel_format, encoding.pixel_format,
                                           encoding.codec, what));
  };
  tell(loss.alpha, "their alpha is left out; -c ffv1 or -c prores_ks keeps it");
  tell(loss.depth,
       fmt::format("{} bits instead of {}", encoding.format.depth, source.format.depth));
  tell(loss.chroma, "their colour has a lower resolution");
  if (encoding.codec == "gif") {
    encoding.notices.push_back(
        "GIF has 256 colours a picture: more are dithered; WebP and APNG have them all");
    if (source.format.alpha) {
      encoding.notices.push_back(
          "GIF has no partial alpha: half and more becomes whole, and less becomes nothing");
    }
  }
  tell(loss.kind && encoding.format.kind == FilmFormat::Kind::gray, "their colour is left out");
}

/// "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)", as x265 wants it: in units of 0.00002 and 0.0001 cd/m2.
std::string x265_display(const AVMasteringDisplayMetadata& display) {
  const auto units = [](AVRational value, double unit) {
    return std::llround(av_q2d(value) * unit);
  };
  const auto point = [&](const AVRational* xy) {
    return fmt::format("({},{})", units(xy[0], 50000), units(xy[1], 50000));
  };
  return fmt::format("G{}B{}R{}WP{}L({},{})", point(display.display_primaries[1]),
                     point(display.display_primaries[2]), point(display.display_primaries[0]),
                     point(display.white_point), units(display.max_luminance, 10000),
                     units(display.min_luminance, 10000));
}

template <typename T>
const T* side_data_of_frame(const FilmFrame& frame, AVFrameSideDataType type) {
  const AVFrameSideData* data = frame.av ? av_frame_get_side_data(frame.av.get(), type) : nullptr;
  return data ? reinterpret_cast<const T*>(data->data) : nullptr;
}

/// x265 does not look at the light levels that frames carry: they are given to it as parameters.
void add_light_levels(AvOptions& options, const FilmFrame& like, const std::string& given) {
  std::string parameters = given;
  const auto add = [&](const std::string& one) {
    parameters += (parameters.empty() ? "" : ":") + one;
  };
  const auto* display = side_data_of_frame<AVMasteringDisplayMetadata>(
      like, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
  if (display && display->has_primaries && display->has_luminance &&
      given.find("master-display") == std::string::npos) {
    add("master-display=" + x265_display(*display));
  }
  const auto* light =
      side_data_of_frame<AVContentLightMetadata>(like, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
  if (light && given.find("max-cll") == std::string::npos) {
    add(fmt::format("max-cll={},{}", light->MaxCLL, light->MaxFALL));
  }
  if (!parameters.empty()) options.set("x265-params", parameters);
}

/// Where x264 uses AVX-512 its trees of macroblocks depend on memory that it has not written
/// (164.3095): the same frames do not become the same packets, which --resume relies on.
void keep_repeatable(AvOptions& options, const std::string& given) {
  if ((av_get_cpu_flags() & AV_CPU_FLAG_AVX512) == 0 || given.find("asm=") != std::string::npos) {
    return;
  }
  const std::string all_but_that = "asm=avx2,fma3,bmi1,bmi2,lzcnt";
  options.set("x264-params", given.empty() ? all_but_that : given + ":" + all_but_that);
}

/// A frame of words without alpha as one whose pixels are opaque.
Av<AVFrame> opaque(const AVFrame& words) {
  Av<AVFrame> made = new_av_frame();
  made->format = AV_PIX_FMT_RGB32;
  made->width = words.width;
  made->height = words.height;
  if (av_frame_get_buffer(made.get(), 0) < 0 || av_frame_copy_props(made.get(), &words) < 0) {
    throw std::bad_alloc();
  }
  for (int y = 0; y < words.height; ++y) {
    const uint8_t* from = words.data[0] + ptrdiff_t(y) * words.linesize[0];
    uint8_t* to = made->data[0] + ptrdiff_t(y) * made->linesize[0];
    for (int x = 0; x < words.width; ++x) {
      uint32_t word = 0;
      std::memcpy(&word, from + ptrdiff_t(x) * 4, sizeof(word));
      word |= 0xff000000U;
      std::memcpy(to + ptrdiff_t(x) * 4, &word, sizeof(word));
    }
  }
  return made;
}

/// Lets a frame's planes be those of a block of memory; returns the block's size.
int fill_planes(AVFrame& frame, uint8_t* block) {
  constexpr int kAlignment = 64;
  const int bytes =
      av_image_fill_arrays(frame.data, frame.linesize, block, AVPixelFormat(frame.format),
                           frame.width, frame.height, kAlignment);
  if (bytes < 0) throw std::bad_alloc();
  frame.extended_data = frame.data;
  return bytes;
}

}  // namespace

FilmLayout FilmEncoding::layout() const {
  Av<AVFrame> frame = new_av_frame();
  frame->format = av_get_pix_fmt(pixel_format.c_str());
  frame->width = format.size.width;
  frame->height = format.size.height;
  // Any address does: only what lies between them counts.
  uint8_t block = 0;
  constexpr size_t kReadAhead = 64;  // what encoders may read behind the last sample
  FilmLayout layout{.format = format,
                    .total_bytes = size_t(fill_planes(*frame, &block)) + kReadAhead};
  const FilmView view = view_of(*frame, format);
  for (size_t c = 0; c < size_t(format.components()); ++c) {
    layout.planes[c] = view.planes[c];
    layout.offsets[c] = size_t(view.planes[c].data - reinterpret_cast<std::byte*>(&block));
    layout.planes[c].data = nullptr;
  }
  return layout;
}

Size FilmEncoding::fitting(const std::string& codec, const FilmFormat& layout, Size size) {
  const EncoderTraits* traits = traits_of(codec);
  if (!traits || !traits->even_sides || layout.kind != FilmFormat::Kind::yuv) return size;
  const auto whole_samples = [](int side, int log2) {
    const int step = 1 << log2;
    return std::max(step, (side + step / 2) / step * step);
  };
  return {whole_samples(size.width, layout.chroma_log2_x),
          whole_samples(size.height, layout.chroma_log2_y)};
}

FilmEncoding plan_encoding(const FilmInfo& source, Size size, const std::string& container,
                           const FilmEncodeOptions& options, int threads) {
  start_av();
  const auto [codec, best] = choose_codec(source, container, options.codec);
  if (!codec) {
    fail(ErrorCode::output, "upres knows no encoder for {} files; name one with -c", container);
  }
  FilmEncoding encoding;
  encoding.codec = codec->name;
  AVPixelFormat format = best;
  if (!options.pixel_format.empty()) {
    format = av_get_pix_fmt(options.pixel_format.c_str());
    if (format == AV_PIX_FMT_NONE) {
      fail(ErrorCode::usage, "--pix-fmt {} is none that libav knows", options.pixel_format);
    }
    const auto formats = formats_of(*codec);
    if (!formats.empty() && std::ranges::count(formats, format) == 0) {
      std::string list;
      for (const AVPixelFormat one : formats) {
        if (layout_of(one)) list += fmt::format(" {}", av_get_pix_fmt_name(one));
      }
      fail(ErrorCode::usage, "the encoder {} does not take --pix-fmt {}; it takes{}", codec->name,
           options.pixel_format, list);
    }
  }
  const auto layout = layout_of(format);
  if (!layout) {
    fail(ErrorCode::usage,
         "upres makes none of the pixels that the encoder {} takes; choose another "
         "one with -c",
         codec->name);
  }
  encoding.pixel_format = av_get_pix_fmt_name(format);
  encoding.options = options_of(*codec, options);
  const Meaning meaning =
      meaning_of_result(*layout, FilmEncoding::fitting(encoding.codec, *layout, size), source);
  encoding.format = meaning.format;
  encoding.colour = meaning.colour;
  encoding.time_base = source.time_base;
  encoding.frame_rate = source.frame_rate;
  encoding.pixel_aspect = source.pixel_aspect;
  encoding.threads = threads;
  const AVOutputFormat* muxer = av_guess_format(container.c_str(), nullptr, nullptr);
  encoding.global_header = muxer && (muxer->flags & AVFMT_GLOBALHEADER) != 0;
  if (container == "avi") set(encoding.options, "bf", "0");  // which has no room for two times
  tell_losses(encoding, source);
  return encoding;
}

std::string picture_codec(const std::string& path) {
  const AVOutputFormat* muxer = require(av_guess_format("image2", nullptr, nullptr));
  const AVCodecID wanted =
      av_guess_codec(muxer, nullptr, path.c_str(), nullptr, AVMEDIA_TYPE_VIDEO);
  for (const std::string_view name : {"png", "tiff", "mjpeg"}) {
    const AVCodec* codec = avcodec_find_encoder_by_name(std::string(name).c_str());
    if (codec && codec->id == wanted) return std::string(name);
  }
  return {};
}

std::vector<std::string> film_encoders() {
  start_av();
  std::vector<std::string> found;
  for (const EncoderTraits& one : kEncoders) {
    if (avcodec_find_encoder_by_name(std::string(one.name).c_str())) found.emplace_back(one.name);
  }
  return found;
}

std::string encoder_without_gpu(const std::string& codec) {
  if (codec == "h264_nvenc") return "libx264";
  if (codec == "hevc_nvenc") return "libx265";
  if (codec == "av1_nvenc") return "libsvtav1";
  return "";
}

std::string film_library() {
  const auto version = [](unsigned number) {
    return fmt::format("{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
  };
  return fmt::format("libavformat {}, libavcodec {}", version(avformat_version()),
                     version(avcodec_version()));
}

struct FilmEncoder::Lav {
  Av<AVCodecContext> context;
  AVPixelFormat frames = AV_PIX_FMT_NONE;  ///< of the frames that it is given
  std::unique_ptr<GifPictures> gif;        ///< which it makes first; null: none
  bool taken_away = false;                 ///< the picture that is encoded
  Av<AVCodecParameters> parameters;
};

FilmEncoder::FilmEncoder(FilmEncoder&&) noexcept = default;
FilmEncoder::~FilmEncoder() = default;

FilmEncoder::FilmEncoder(const FilmEncoding& encoding, const FilmFrame& like)
    : encoding_(encoding), av_(std::make_unique<Lav>()) {
  start_av();
  const AVCodec& codec = encoder_named(encoding.codec);
  av_->context.reset(require(avcodec_alloc_context3(&codec)));
  AVCodecContext& context = *av_->context;
  context.width = encoding.format.size.width;
  context.height = encoding.format.size.height;
  av_->frames = av_get_pix_fmt(encoding.pixel_format.c_str());
  if (encoding.codec == "gif") av_->gif = std::make_unique<GifPictures>();
  context.pix_fmt = encoding.codec == "gif"       ? AV_PIX_FMT_PAL8
                    : takes_words(encoding.codec) ? AV_PIX_FMT_RGB32
                                                  : av_->frames;
  context.time_base = rational(encoding.time_base);
  if (encoding.frame_rate.num > 0) context.framerate = rational(encoding.frame_rate);
  if (encoding.pixel_aspect.num > 0) {
    context.sample_aspect_ratio = rational(encoding.pixel_aspect);
  }
  context.colorspace = AVColorSpace(encoding.colour.matrix);
  context.color_primaries = AVColorPrimaries(encoding.colour.primaries);
  context.color_trc = AVColorTransferCharacteristic(encoding.colour.transfer);
  context.color_range = encoding.format.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  context.chroma_sample_location = chroma_location(encoding.format);
  context.thread_count = encoding.threads;
  context.strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;  // JPEG of the full range, Y4M of depth
  if (encoding.global_header) context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AvOptions options;
  std::string parameters;
  for (const auto& [key, value] : encoding.options) {
    if (key == "qscale") {
      context.flags |= AV_CODEC_FLAG_QSCALE;
      context.global_quality = FF_QP2LAMBDA * std::atoi(value.c_str());
      continue;
    }
    options.set(key.c_str(), value);
    if (key == "x264-params" || key == "x265-params") parameters = value;
  }
  if (encoding.codec == "libx265") add_light_levels(options, like, parameters);
  if (encoding.codec.starts_with("libx264")) keep_repeatable(options, parameters);
  forget_av_errors();
  if (const int error = avcodec_open2(&context, &codec, options.get()); error < 0) {
    fail(ErrorCode::output, "the encoder {} does not take {}x{} pixels of {}: {}", codec.name,
         context.width, context.height, encoding.pixel_format, av_reason(error));
  }
  if (const std::string unknown = options.first(); !unknown.empty()) {
    fail(ErrorCode::usage, "the encoder {} has no option {}", codec.name, unknown);
  }
  av_->parameters.reset(require(avcodec_parameters_alloc()));
  avcodec_parameters_from_context(av_->parameters.get(), &context);
}

const AVCodecParameters& FilmEncoder::parameters() const {
  return *av_->parameters;
}

/// Gives a frame all but its samples.
void FilmEncoder::describe(AVFrame& frame, const FilmFrame& source) const {
  const AVCodecContext& context = *av_->context;
  if (source.av && av_frame_copy_props(&frame, source.av.get()) < 0) throw std::bad_alloc();
  frame.format = av_->frames;
  frame.width = context.width;
  frame.height = context.height;
  frame.crop_left = frame.crop_right = frame.crop_top = frame.crop_bottom = 0;
  frame.colorspace = context.colorspace;
  frame.color_primaries = context.color_primaries;
  frame.color_trc = context.color_trc;
  frame.color_range = context.color_range;
  frame.chroma_location = context.chroma_sample_location;
  frame.sample_aspect_ratio = context.sample_aspect_ratio;
  frame.pict_type = AV_PICTURE_TYPE_NONE;
  if (!source.interlaced) set_progressive(frame);
  frame.pts = source.pts;
}

FilmFrame FilmEncoder::frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) const {
  Av<AVFrame> frame = new_av_frame();
  describe(*frame, source);
  auto* block = reinterpret_cast<uint8_t*>(samples.get());
  const int bytes = fill_planes(*frame, block);
  using Owner = std::shared_ptr<std::byte>;
  auto owner = std::make_unique<Owner>(std::move(samples));
  const auto give_up = [](void* one, uint8_t*) { delete static_cast<Owner*>(one); };
  frame->buf[0] = require(
      av_buffer_create(block, size_t(bytes), give_up, owner.get(), AV_BUFFER_FLAG_READONLY));
  (void)owner.release();
  FilmFrame made;
  made.view = view_of(*frame, encoding_.format);
  made.pts = source.pts;
  made.duration = source.duration;
  made.interlaced = source.interlaced;
  made.top_field_first = source.top_field_first;
  made.av = std::move(frame);
  return made;
}

void FilmEncoder::encode(const FilmFrame& frame, const std::function<void(FilmPacket)>& put) {
  if (end_ == INT64_MIN) first_ = frame.pts;
  durations_[frame.pts] = frame.duration;
  end_ = std::max(end_, frame.pts + frame.duration);
  if (av_->gif) return send_gif(av_->gif->put(*frame.av), put);
  const bool lacks_alpha = av_->context->pix_fmt != av_->frames;
  send(lacks_alpha ? opaque(*frame.av).get() : frame.av.get(), put);
}

/// To the encoder; null: there is no more.
void FilmEncoder::send(const AVFrame* frame, const std::function<void(FilmPacket)>& put) {
  forget_av_errors();
  if (const int error = avcodec_send_frame(av_->context.get(), frame); error < 0) {
    fail(ErrorCode::output, "the encoder {} fails: {}", encoding_.codec, av_reason(error));
  }
  receive(put);
}

void FilmEncoder::send_gif(const std::optional<GifPicture>& picture,
                           const std::function<void(FilmPacket)>& put) {
  if (!picture) return;
  av_->taken_away = picture->taken_away;
  send(picture->frame.get(), put);
}

/// libav makes a whole film one packet, whose last frame has a delay that it guesses.
void FilmEncoder::add_last_delay(AVPacket& film) const {
  if (av_packet_make_writable(&film) < 0) throw std::bad_alloc();
  const Fraction base = encoding_.time_base;
  const auto ms = [&](int64_t time) { return time * base.num * 1000 / base.den; };  // as libav does
  set_webp_length({reinterpret_cast<std::byte*>(film.data), size_t(film.size)},
                  ms(end_) - ms(first_));
}

void FilmEncoder::finish(const std::function<void(FilmPacket)>& put) {
  if (av_->gif) send_gif(av_->gif->finish(), put);
  send(nullptr, put);
}

void FilmEncoder::receive(const std::function<void(FilmPacket)>& put) {
  for (;;) {
    Av<AVPacket> packet = new_av_packet();
    const int error = avcodec_receive_packet(av_->context.get(), packet.get());
    if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return;
    if (error < 0) {
      fail(ErrorCode::output, "the encoder {} fails: {}", encoding_.codec, av_reason(error));
    }
    if (packet->dts == AV_NOPTS_VALUE) packet->dts = packet->pts;
    if (const auto found = durations_.find(packet->pts); found != durations_.end()) {
      packet->duration = found->second;
      durations_.erase(found);
    }
    if (encoding_.codec == "libwebp_anim") add_last_delay(*packet);
    if (av_->gif) {
      if (av_packet_make_writable(packet.get()) < 0) throw std::bad_alloc();
      set_gif_disposal({reinterpret_cast<std::byte*>(packet->data), size_t(packet->size)},
                       av_->taken_away);
    }
    const FilmPacket made{nullptr, packet->pts, packet->dts};
    put({std::move(packet), made.pts, made.dts});
  }
}

}  // namespace upres
