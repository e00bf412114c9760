// SPDX-License-Identifier: Apache-2.0
// Films on a GPU: what comes out of a FilmSession, against pixel/film.h's plain loops. Skipped
// where there is no GPU for it.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "compile/compile.h"
#include "pixel/film.h"
#include "support/networks.h"

namespace upres {
namespace {

using Kind = FilmFormat::Kind;
using test::Random;

/// How samples lie in memory.
enum class Store { planar, chroma_in_turns, high_bits, words_of_another_machine, gpu };

FilmLayout layout_of(const FilmFormat& format, Store store) {
  FilmLayout layout{.format = format};
  const bool in_turns = store == Store::chroma_in_turns || store == Store::high_bits ||
                        (store == Store::gpu && format.kind == Kind::yuv);
  const bool two_bytes = format.depth > 8 || store == Store::words_of_another_machine;
  for (int c = 0; c < format.components(); ++c) {
    const Size size = format.size_of(c);
    FilmPlane& plane = layout.planes[size_t(c)];
    const bool shares = in_turns && c == 2;
    plane.word_bytes = two_bytes ? 2 : 1;
    plane.step_bytes = plane.word_bytes * (in_turns && c > 0 ? 2 : 1);
    plane.row_bytes = ptrdiff_t(size.width) * plane.step_bytes + 6;  // rows are apart
    plane.shift = store == Store::high_bits ? 16 - format.depth : 0;
    plane.big_endian = store == Store::words_of_another_machine;
    layout.offsets[size_t(c)] =
        shares ? layout.offsets[1] + size_t(plane.word_bytes) : layout.total_bytes;
    if (!shares) layout.total_bytes += size_t(plane.row_bytes) * size_t(size.height) + 32;
  }
  return layout;
}

FilmLayout plain_layout(const FilmFormat& format) {
  return layout_of(format, Store::planar);
}

/// Random samples, those beyond the nominal range among them.
std::vector<std::byte> random_frame(Random& random, const FilmLayout& layout) {
  std::vector<std::byte> memory(layout.total_bytes);
  const FilmView view = layout.at(memory.data());
  for (int c = 0; c < layout.format.components(); ++c) {
    const FilmPlane& plane = view.planes[size_t(c)];
    const Size size = layout.format.size_of(c);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        const unsigned sample = unsigned(random.uniform(0, 1) * float(1u << layout.format.depth)) &
                                ((1u << layout.format.depth) - 1);
        const unsigned word = sample << plane.shift;
        std::byte* at = plane.data + y * plane.row_bytes + x * plane.step_bytes;
        at[0] = std::byte(plane.big_endian ? word >> 8 : word);
        if (plane.word_bytes == 2) at[1] = std::byte(plane.big_endian ? word : word >> 8);
      }
    }
  }
  return memory;
}

/// Every pixel as a square of them.
Frame doubled(const Frame& picture) {
  const Size size = picture.size();
  Frame made({size.width * 2, size.height * 2}, picture.type(), picture.channels());
  const size_t pixel = picture.row_bytes() / size_t(size.width);
  for (int y = 0; y < made.size().height; ++y) {
    for (int x = 0; x < made.size().width; ++x) {
      std::memcpy(made.row(y) + size_t(x) * pixel, picture.row(y / 2) + size_t(x / 2) * pixel,
                  pixel);
    }
  }
  return made;
}

/// Samples of all components, without what lies between them.
std::vector<std::byte> samples_of(const FilmView& view) {
  std::vector<std::byte> samples;
  for (int c = 0; c < view.format.components(); ++c) {
    const FilmPlane& plane = view.planes[size_t(c)];
    const Size size = view.format.size_of(c);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        const std::byte* at = plane.data + y * plane.row_bytes + x * plane.step_bytes;
        samples.insert(samples.end(), at, at + plane.word_bytes);
      }
    }
  }
  return samples;
}

/// Memory of the GPU.
class OnGpu {
 public:
  explicit OnGpu(const std::vector<std::byte>& bytes) {
    EXPECT_EQ(cudaMalloc(&memory_, bytes.size()), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(memory_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;
  ~OnGpu() { cudaFree(memory_); }
  FilmView view(const FilmLayout& layout, const GpuShare& gpu) const {
    FilmView view = layout.at(static_cast<std::byte*>(memory_));
    view.memory = MemoryKind::device;
    view.gpu = gpu;
    return view;
  }

 private:
  void* memory_ = nullptr;
};

class CudaFilm : public testing::Test {
 protected:
  void SetUp() override {
    for (const BackendInfo& backend : backends()) {
      if (backend.name == "cuda" && backend.can_run()) {
        device_ = open_device("cuda", {});
        const ValueId in = nearest_.add_input(3);
        nearest_.set_output(nearest_.add("nearest", Upsample{2}, {in}));
        doubling_ = compile(nearest_, *device_, Precision::fp32);
        return;
      }
    }
    GTEST_SKIP() << "no GPU";
  }

  static FilmFormat larger(FilmFormat format, int scale = 2) {
    format.size = {format.size.width * scale, format.size.height * scale};
    return format;
  }

  static FilmRoute route(const FilmFormat& from, const FilmLayout& to) {
    return {from, to, TileGrid(from.size, from.size, 0, 1)};
  }

  /// Through the network that repeats pixels, against the processor's loops.
  void expect_doubled(const FilmFormat& from, Store store, const FilmLayout& to) {
    SCOPED_TRACE(testing::Message()
                 << from.size.width << "x" << from.size.height << ", kind " << int(from.kind)
                 << ", depth " << from.depth << " to " << to.format.depth << ", chroma "
                 << from.chroma_log2_x << from.chroma_log2_y << ", site " << int(from.site_x)
                 << int(from.site_y) << ", store " << int(store));
    const FilmLayout layout = layout_of(from, store);
    const std::vector<std::byte> memory = random_frame(random_, layout);
    const FilmView frame = layout.at(const_cast<std::byte*>(memory.data()));
    std::vector<std::byte> wanted(to.total_bytes);
    film_from_picture(doubled(picture_from_film(frame)), to.at(wanted.data()));

    const auto session = doubling_->open_film(route(from, to));
    ASSERT_NE(session, nullptr);
    const auto got = session->memory();
    std::memset(got.get(), 0xaa, to.total_bytes);
    if (store == Store::gpu) {
      const OnGpu there(memory);
      session->submit(there.view(layout, *device_->gpu()), got);
    } else {
      session->submit(frame, got);
    }
    EXPECT_TRUE(session->finish());
    EXPECT_EQ(samples_of(to.at(got.get())), samples_of(to.at(wanted.data())));
    std::vector<std::byte> kept;
    EXPECT_EQ(samples_of(session->source(kept)), samples_of(frame));
  }

  std::unique_ptr<Device> device_;
  Graph nearest_;
  std::unique_ptr<Engine> doubling_;
  Random random_{20261125};
};

TEST_F(CudaFilm, ConvertsAsTheProcessorDoesWhateverTheFormat) {
  for (const Size size : {Size{1, 1}, Size{7, 5}, Size{64, 34}, Size{131, 77}}) {
    for (const int depth : {8, 10, 12, 16}) {
      for (const auto& [across, down] : {std::pair(0, 0), {1, 0}, {1, 1}, {2, 0}, {2, 2}}) {
        const FilmFormat format{.size = size,
                                .depth = depth,
                                .chroma_log2_x = across,
                                .chroma_log2_y = down,
                                .matrix = FilmMatrix(depth / 2 % 5),
                                .full_range = depth == 12};
        for (const Store store : {Store::planar, Store::chroma_in_turns, Store::high_bits,
                                  Store::words_of_another_machine, Store::gpu}) {
          if (depth == 8 && store == Store::high_bits) continue;
          expect_doubled(format, store, plain_layout(larger(format)));
        }
      }
      const FilmFormat rgb{.size = size, .kind = Kind::rgb, .depth = depth, .full_range = true};
      expect_doubled(rgb, Store::planar, plain_layout(larger(rgb)));
      const FilmFormat gray{.size = size, .kind = Kind::gray, .depth = depth};
      expect_doubled(gray, Store::planar, plain_layout(larger(gray)));
    }
  }
}

TEST_F(CudaFilm, PutsChromaWhereItsSitingSays) {
  for (const int site_x : {0, 1, 2}) {
    for (const int site_y : {0, 1, 2}) {
      for (const auto& [across, down] : {std::pair(1, 1), {2, 2}, {1, 0}}) {
        const FilmFormat format{.size = {45, 38},
                                .chroma_log2_x = across,
                                .chroma_log2_y = down,
                                .site_x = ChromaSite(site_x),
                                .site_y = ChromaSite(site_y)};
        expect_doubled(format, Store::planar, plain_layout(larger(format)));
      }
    }
  }
}

TEST_F(CudaFilm, MakesOtherFormatsThanItGets) {
  const FilmFormat yuv{.size = {50, 22}, .depth = 10, .chroma_log2_x = 1, .chroma_log2_y = 1};
  FilmFormat rgb = yuv;
  rgb.kind = Kind::rgb;
  rgb.chroma_log2_x = rgb.chroma_log2_y = 0;
  FilmFormat gray = rgb;
  gray.kind = Kind::gray;
  FilmFormat eight = yuv;
  eight.depth = 8;
  for (const FilmFormat& from : {yuv, rgb, gray}) {
    for (const FilmFormat& to : {yuv, rgb, gray, eight}) {
      expect_doubled(from, Store::planar, plain_layout(larger(to)));
      if (to.kind == Kind::yuv) {
        expect_doubled(from, Store::planar, layout_of(larger(to), Store::chroma_in_turns));
      }
    }
  }
}

// Of one colour each, which is nothing to suspect.
TEST_F(CudaFilm, FramesFinishInOrderHoweverManyAreOnTheirWay) {
  const FilmFormat format{.size = {160, 90}, .chroma_log2_x = 1, .chroma_log2_y = 1};
  const FilmLayout from = plain_layout(format);
  const FilmLayout to = plain_layout(larger(format));
  const auto session = doubling_->open_film(route(format, to));
  ASSERT_NE(session, nullptr);
  std::vector<std::shared_ptr<std::byte>> made;
  size_t finished = 0;
  const auto finish = [&] {
    EXPECT_TRUE(session->finish());
    const auto luma = uint8_t(made[finished].get()[to.offsets[0] + 100]);
    EXPECT_EQ(luma, 100 + finished);
    ++finished;
  };
  for (size_t i = 0; i < 40; ++i) {
    std::vector<std::byte> frame(from.total_bytes, std::byte(110));
    const FilmPlane& luma = from.planes[0];
    for (int y = 0; y < format.size.height; ++y) {
      std::memset(frame.data() + y * luma.row_bytes, int(100 + i), size_t(format.size.width));
    }
    if (i - finished == session->depth()) finish();
    made.push_back(session->memory());
    session->submit(from.at(frame.data()), made.back());
  }
  while (finished < made.size()) finish();
  EXPECT_GT(session->network_s(), 0);
}

TEST_F(CudaFilm, TilesThatAreCutWhereTheyMeetChangeNothing) {
  const Graph graph = test::srvgg(random_, 64, 3, 4);
  const auto engine = compile(graph, *device_);
  const FilmFormat format{.size = {201, 140}, .depth = 10, .chroma_log2_x = 1, .chroma_log2_y = 1};
  const FilmLayout from = plain_layout(format);
  const FilmLayout to = plain_layout(larger(format, graph.scale()));
  const std::vector<std::byte> frame = random_frame(random_, from);
  std::vector<std::vector<std::byte>> made;
  for (const Size tile : {format.size, Size{90, 201}, Size{70, 60}}) {
    const auto session = engine->open_film({format, to, TileGrid(format.size, tile, 2 * 8, 1)});
    ASSERT_NE(session, nullptr);
    const auto got = session->memory();
    session->submit(from.at(const_cast<std::byte*>(frame.data())), got);
    EXPECT_TRUE(session->finish());
    made.push_back(samples_of(to.at(got.get())));
  }
  EXPECT_EQ(made[0], made[1]);
  EXPECT_EQ(made[0], made[2]);
}

TEST_F(CudaFilm, TellsOfWhatOverflowsHalfPrecision) {
  const Graph graph = test::overflowing(random_);
  const auto engine = compile(graph, *device_, Precision::fp16);
  const FilmFormat format{.size = {70, 40}, .chroma_log2_x = 1, .chroma_log2_y = 1};
  const FilmLayout layout = plain_layout(format);
  const auto session = engine->open_film(route(format, layout));
  ASSERT_NE(session, nullptr);
  const std::vector<std::byte> frame = random_frame(random_, layout);
  session->submit(layout.at(const_cast<std::byte*>(frame.data())), session->memory());
  EXPECT_FALSE(session->finish());
  std::vector<std::byte> kept;
  EXPECT_EQ(samples_of(session->source(kept)),
            samples_of(layout.at(const_cast<std::byte*>(frame.data()))));
}

TEST_F(CudaFilm, KnowsFramesThatAreAlike) {
  const FilmFormat format{.size = {333, 41}, .depth = 10, .chroma_log2_x = 1, .chroma_log2_y = 1};
  const FilmLayout layout = layout_of(format, Store::gpu);
  const auto session = doubling_->open_film(route(format, plain_layout(larger(format))));
  ASSERT_NE(session, nullptr);
  std::vector<std::byte> frame = random_frame(random_, layout);
  const OnGpu one(frame);
  const OnGpu same(frame);
  const GpuShare gpu = *device_->gpu();
  EXPECT_TRUE(session->same_samples(one.view(layout, gpu), same.view(layout, gpu)));
  frame[layout.offsets[2] + size_t(40 / 2 * layout.planes[2].row_bytes)] ^= std::byte(1);
  const OnGpu other(frame);
  EXPECT_FALSE(session->same_samples(one.view(layout, gpu), other.view(layout, gpu)));
}

}  // namespace
}  // namespace upres
