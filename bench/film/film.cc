// SPDX-License-Identifier: Apache-2.0
// What the way of a film costs beside the network: decoding, R'G'B', tiles, and back, with an
// engine that does nothing but repeat pixels. bench/film/run.py compares it with ffmpeg's own
// scaler.
//
// usage: bench_film IN OUT|null [ENCODER [KEY=VALUE...]]
#include <malloc.h>

#include <chrono>
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

/// Repeats each pixel of packed 16-bit RGB.
class Nearest : public Session {
 public:
  bool plan(Size) override { return true; }
  void wait() override {}
  void submit(const Job& job) override {
    UPRES_ASSERT(job.src.type == SampleType::u16 && job.src.components == 3 && job.skip == Point{},
                 "films come so, in one tile");
    for (int y = 0; y < job.read.height; ++y) {
      const auto* from = reinterpret_cast<const uint16_t*>(
          job.src.planes[0].data + (job.read.y + y) * job.src.planes[0].row_bytes);
      std::byte* row =
          job.dst.planes[0].data + (job.write.y + kScale * y) * job.dst.planes[0].row_bytes;
      auto* to = reinterpret_cast<uint16_t*>(row);
      for (int x = 0; x < job.read.width; ++x, from += 3, to += 6) {
        to[0] = to[3] = from[0];
        to[1] = to[4] = from[1];
        to[2] = to[5] = from[2];
      }
      std::memcpy(row + job.dst.planes[0].row_bytes, row, size_t(job.read.width) * 12);
    }
  }
};

class NearestEngine : public Engine {
 public:
  std::unique_ptr<Session> open() const override { return std::make_unique<Nearest>(); }
  size_t bytes_needed(Size) const override { return 0; }
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
  const FilmFormat& format() const override { return encoding_.format; }
  FilmFrame frame(const FilmFrame& source) override { return encoder_.frame(source); }
  void put(const FilmFrame&) override {}

 private:
  const FilmEncoding& encoding_;
  const FilmEncoder& encoder_;
};

int run(int argc, char** argv) {
  const std::string input = argv[1];
  const std::string output = argv[2];
  const bool discards = output == "null";
  FilmReader reader(input, {});
  const FilmTarget target{.path = discards ? "null.nut" : output,
                          .container = discards ? "nut" : film_container(output, ""),
                          .existing = Existing::replace,
                          .part = {}};
  FilmEncodeOptions options{.codec = argc > 3 ? argv[3] : "rawvideo"};
  for (int i = 4; i < argc; ++i) {
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
  if (argc < 3) {
    std::fputs("usage: bench_film IN OUT|null [ENCODER [KEY=VALUE...]]\n", stderr);
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
