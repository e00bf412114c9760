// SPDX-License-Identifier: Apache-2.0
// What the way of a film costs beside the network: decoding, R'G'B', tiles, and back, with an
// engine that does nothing but repeat pixels. bench/film/run.py compares it with ffmpeg's own
// scaler.
//
// usage: bench_film THREADS IN OUT|null [ENCODER [KEY=VALUE...]]; THREADS decode
#include <malloc.h>

#include <chrono>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/system.h"
#include "media/film_encoder.h"
#include "media/film_muxer.h"
#include "media/film_reader.h"
#include "upscale/film_input.h"
#include "upscale/film_output.h"

namespace upres {
namespace {

constexpr int kScale = 2;

using Eight [[gnu::vector_size(16)]] = uint16_t;
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define UPRES_VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define UPRES_VECTORISED
#endif

/// Repeats each pixel of packed 16-bit RGB.
class Nearest : public Session {
 public:
  bool plan(Size) override { return true; }
  void wait() override {}
  void submit(const Job& job) override {
    UPRES_ASSERT(job.src.type == SampleType::u16 && job.src.components == 3 && job.skip == Point{},
                 "films come so, in tiles that share nothing");
    const Plane& src = job.src.planes[0];
    const Plane& dst = job.dst.planes[0];
    const auto row_of = [](const Plane& plane, const Rect& rect, int y) {
      return plane.data + (rect.y + y) * plane.row_bytes + rect.x * kPixel;
    };
    for (int y = 0; y < job.read.height; ++y) {
      std::byte* to = row_of(dst, job.write, kScale * y);
      repeat(row_of(src, job.read, y), to, to + dst.row_bytes, job.read.width);
    }
  }

 private:
  static constexpr int kPixel = 3 * sizeof(uint16_t);

  /// A row of pixels, twice as wide, into two rows. Four pixels become three vectors.
  UPRES_VECTORISED
  static void repeat(const std::byte* from, std::byte* upper, std::byte* lower, int count) {
    const auto put = [&](Eight samples) {
      std::memcpy(upper, &samples, sizeof(samples));
      std::memcpy(lower, &samples, sizeof(samples));
      upper += sizeof(samples);
      lower += sizeof(samples);
    };
    const auto load = [&](int sample) {
      Eight samples;
      std::memcpy(&samples, from + sample * 2, sizeof(samples));
      return samples;
    };
    for (; count > 4; count -= 4, from += 4 * kPixel) {
      const Eight a = load(0), b = load(3), c = load(7);
      put(__builtin_shufflevector(a, a, 0, 1, 2, 0, 1, 2, 3, 4));
      put(__builtin_shufflevector(b, b, 2, 0, 1, 2, 3, 4, 5, 3));
      put(__builtin_shufflevector(c, c, 0, 1, 2, 3, 4, 2, 3, 4));
    }
    for (; count > 0; --count, from += kPixel) {
      for (int twice = 0; twice < 2; ++twice, upper += kPixel, lower += kPixel) {
        std::memcpy(upper, from, kPixel);
        std::memcpy(lower, from, kPixel);
      }
    }
  }
};

class NearestEngine : public Engine {
 public:
  std::unique_ptr<Session> open() const override { return std::make_unique<Nearest>(); }
  size_t bytes_needed(Size) const override { return 0; }
  /// Tiles whose results a processor's cache holds.
  Size largest() const override { return {INT_MAX, 8}; }
};

class NearestDevice : public Device {
 public:
  std::string name() const override { return "nearest"; }
  Capabilities capabilities() const override { return {}; }
  std::vector<Precision> precisions() const override { return {Precision::fp32}; }
  bool uses_host_memory() const override { return true; }
  size_t tile_budget() const override { return size_t(4) << 30; }
  size_t memory_available(size_t) const override { return size_t(8) << 30; }

 protected:
  std::unique_ptr<Engine> load_as(const Graph&, Precision) const override {
    return std::make_unique<NearestEngine>();
  }
};

Graph nearest_graph() {
  Graph graph;
  const ValueId in = graph.add_input(3);
  graph.set_output(graph.add("nearest", Upsample{kScale}, {in}));
  return graph;
}

/// Takes frames and does nothing with them.
class NoOutput : public FilmSink {
 public:
  NoOutput(const FilmEncoding& encoding, const FilmEncoder& encoder)
      : encoding_(encoding), encoder_(encoder) {}
  FilmLayout layout() const override { return encoding_.layout(); }
  FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) override {
    return encoder_.frame(source, std::move(samples));
  }
  void put(const FilmFrame&) override {}

 private:
  const FilmEncoding& encoding_;
  const FilmEncoder& encoder_;
};

int run(int argc, char** argv) {
  const std::string input = argv[2];
  const std::string output = argv[3];
  const bool discards = output == "null";
  FilmReader reader(input, {.threads = std::stoi(argv[1])});
  const FilmTarget target{.path = discards ? "null.nut" : output,
                          .container = discards ? "nut" : film_container(output, ""),
                          .existing = Existing::replace,
                          .part = {}};
  FilmEncodeOptions options{.codec = argc > 4 ? argv[4] : "rawvideo"};
  for (int i = 5; i < argc; ++i) {
    const std::string pair = argv[i];
    options.options.emplace_back(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
  }
  const Size size = reader.info().format.size;
  options.pixel_format = reader.info().pixel_format;
  const FilmEncoding encoding =
      plan_encoding(reader.info(), {size.width * kScale, size.height * kScale}, target.container,
                    options, processor_count());
  const NearestDevice device;
  const Graph graph = nearest_graph();
  const NearestEngine engine;
  Upscaler upscaler(device, engine, graph, {});
  FilmEncoder encoder(encoding, reader.first());
  FilmInput frames(reader, {});
  const FilmSource source = [&] { return frames.next(); };
  const auto start = std::chrono::steady_clock::now();
  FilmCount count;
  const FilmStreamOptions stream{.upscale = {}, .duplicates_once = false, .pause = nullptr};
  if (discards) {
    NoOutput sink(encoding, encoder);
    count = run_film(source, {&upscaler}, sink, stream, {}, {});
  } else {
    FilmMuxer muxer(target, reader, encoding, encoder.parameters(), reader.first());
    DirectOutput sink(encoding, encoder,
                      [&](const FilmPacket& packet) { muxer.write_video(packet); });
    count = run_film(source, {&upscaler}, sink, stream, {}, {});
    sink.finish();
    muxer.finish();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double n = double(count.frames);
  std::printf("%.1f frames/s; decode %.2f, network %.2f, encode %.2f ms a frame\n",
              n / took.count(), 1e3 * count.decode_s / n, 1e3 * count.network_s / n,
              1e3 * count.encode_s / n);
  return 0;
}

}  // namespace
}  // namespace upres

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: bench_film THREADS IN OUT|null [ENCODER [KEY=VALUE...]]\n", stderr);
    return 2;
  }
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as the program has it: blocks of frames stay
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    return upres::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_film: %s\n", error.what());
    return 1;
  }
}
