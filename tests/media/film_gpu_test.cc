// SPDX-License-Identifier: Apache-2.0
// Films that a GPU is to decode, on machines without one: the processor does, with a word.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "media/film_encoder.h"
#include "media/film_muxer.h"
#include "media/film_pixels.h"
#include "media/film_reader.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

constexpr Size kSize = {64, 48};
constexpr int kFrames = 7;

/// A film by an encoder that every libav has, of a kind that GPUs decode.
std::string film_in(const test::TemporaryFolder& folder) {
  const std::string raw = (folder.path() / "frames.raw").string();
  std::ofstream file(raw, std::ios::binary);
  for (int i = 0; i < kFrames; ++i) {
    for (int at = 0; at < kSize.width * kSize.height * 3 / 2; ++at) {
      file.put(char(60 + 10 * i + at % 7));
    }
  }
  file.close();
  FilmReader reader(
      raw, {.format = "rawvideo",
            .demuxer_options = {
                {"video_size", "64x48"}, {"pixel_format", "yuv420p"}, {"framerate", "25"}}});
  const std::string path = (folder.path() / "film.mkv").string();
  const FilmEncoding encoding =
      plan_encoding(reader.info(), kSize, "matroska", {.codec = "mpeg4"}, 1);
  FilmEncoder encoder(encoding, reader.first());
  FilmMuxer muxer({.path = path, .container = "matroska", .part = {}}, reader, encoding,
                  encoder.parameters(), reader.first());
  const auto put = [&](const FilmPacket& packet) { muxer.write_video(packet); };
  const FilmLayout layout = encoding.layout();
  while (const auto source = reader.read()) {
    const std::shared_ptr<std::byte> memory(new std::byte[layout.total_bytes],
                                            std::default_delete<std::byte[]>());
    const FilmView view = layout.at(memory.get());
    for (size_t c = 0; c < 3; ++c) {
      const Size size = view.format.size_of(int(c));
      for (int y = 0; y < size.height; ++y) {
        std::copy_n(source->view.planes[c].data + y * source->view.planes[c].row_bytes, size.width,
                    view.planes[c].data + y * view.planes[c].row_bytes);
      }
    }
    encoder.encode(encoder.frame(*source, memory), put);
  }
  encoder.finish(put);
  muxer.finish();
  return path;
}

std::vector<std::byte> luma_of(FilmReader& reader, std::vector<int64_t>& times) {
  std::vector<std::byte> samples;
  while (const auto frame = reader.read()) {
    const FilmFrame here = in_host_memory(*frame);
    times.push_back(here.pts);
    for (int y = 0; y < kSize.height; ++y) {
      const std::byte* row = here.view.planes[0].data + y * here.view.planes[0].row_bytes;
      samples.insert(samples.end(), row, row + kSize.width);
    }
  }
  return samples;
}

TEST(FilmOnGpu, IsDecodedByTheProcessorWhereThereIsNone) {
  const test::TemporaryFolder folder;
  const std::string path = film_in(folder);
  FilmReader plain(path, {});
  FilmReader tried(path, {.gpu = GpuShare{}});  // without a context
  EXPECT_EQ(tried.decoder(), "mpeg4");
  ASSERT_EQ(tried.notices().size(), 1u);
  EXPECT_TRUE(tried.notices()[0].starts_with("decoding on the processor: the GPU"))
      << tried.notices()[0];
  EXPECT_EQ(tried.info().pixel_format, "yuv420p");
  std::vector<int64_t> times, other_times;
  const auto samples = luma_of(plain, times);
  EXPECT_EQ(samples.size(), size_t(kFrames * kSize.width * kSize.height));
  EXPECT_EQ(luma_of(tried, other_times), samples);
  EXPECT_EQ(other_times, times);
  EXPECT_FALSE(tried.damage().any());
}

TEST(FilmOnGpu, IsNotTriedWhereItHasNoDecoderOfTheKind) {
  const test::TemporaryFolder folder;
  std::ofstream((folder.path() / "frame.raw").string()) << std::string(64 * 48, 'x');
  const FilmReader reader((folder.path() / "frame.raw").string(),
                          {.format = "rawvideo",
                           .demuxer_options = {{"video_size", "64x48"}, {"pixel_format", "gray"}},
                           .gpu = GpuShare{}});
  EXPECT_TRUE(reader.notices().empty());
}

TEST(FilmPixels, SamplesInWiderWordsLieAtTheirTop) {
  // As GPUs store yuv420p12: in words of 16 bits.
  Av<AVFrame> frame = new_av_frame();
  frame->format = AV_PIX_FMT_P016LE;
  frame->width = frame->height = 16;
  ASSERT_GE(av_frame_get_buffer(frame.get(), 0), 0);
  const FilmFormat format{.size = {16, 16}, .depth = 12, .chroma_log2_x = 1, .chroma_log2_y = 1};
  const FilmView view = view_of(*frame, format);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(view.planes[c].shift, 4);
    EXPECT_EQ(view.planes[c].word_bytes, 2);
    EXPECT_EQ(view.planes[c].step_bytes, c == 0 ? 2 : 4);
  }
  EXPECT_EQ(view.planes[2].data - view.planes[1].data, 2);
  frame->format = AV_PIX_FMT_P010LE;
  EXPECT_EQ(view_of(*frame, {.size = {16, 16}, .depth = 10}).planes[0].shift, 6);
}

TEST(FilmEncoding, FramesOverMemoryAreLaidOutAsItsLayoutSays) {
  const test::TemporaryFolder folder;
  FilmReader reader(film_in(folder), {});
  const FilmFrame source = *reader.read();
  const FilmEncoding encoding =
      plan_encoding(reader.info(), kSize, "nut", {.codec = "rawvideo"}, 1);
  FilmEncoder encoder(encoding, source);
  const FilmLayout layout = encoding.layout();
  bool is_gone = false;
  std::shared_ptr<std::byte> memory(new std::byte[layout.total_bytes], [&](std::byte* block) {
    is_gone = true;
    delete[] block;
  });
  const FilmView view = layout.at(memory.get());
  FilmFrame made = encoder.frame(source, memory);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(made.view.planes[c].data, view.planes[c].data);
    EXPECT_EQ(made.view.planes[c].row_bytes, view.planes[c].row_bytes);
    EXPECT_EQ(view.planes[c].row_bytes % 64, 0);
  }
  EXPECT_EQ(made.pts, source.pts);
  memory.reset();
  EXPECT_FALSE(is_gone);
  made = {};
  EXPECT_TRUE(is_gone);
}

}  // namespace
}  // namespace upres
