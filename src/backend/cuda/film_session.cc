// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/film_session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <mutex>
#include <span>
#include <utility>

#include "backend/cuda/film_pixels.h"
#include "backend/cuda/session.h"
#include "base/error.h"
#include "pixel/film.h"
#include "pixel/film_plan.h"

namespace upres::cuda {
namespace {

// One frame comes in, one is made, one goes out.
constexpr size_t kSlots = 3;

/// Pinned memory that is used again. What was handed out keeps it alive.
class PinnedPool : public std::enable_shared_from_this<PinnedPool> {
 public:
  explicit PinnedPool(size_t size_bytes) : size_bytes_(size_bytes) {}

  std::shared_ptr<std::byte> take() {
    PinnedBuffer block = free_one();
    if (!block.data()) block = PinnedBuffer(size_bytes_);
    std::byte* data = block.data();
    auto held = std::make_shared<PinnedBuffer>(std::move(block));
    return {data, [pool = shared_from_this(), held](std::byte*) { pool->give(std::move(*held)); }};
  }

 private:
  PinnedBuffer free_one() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    PinnedBuffer block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  void give(PinnedBuffer block) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(block));
  }

  size_t size_bytes_;
  std::mutex mutex_;
  std::vector<PinnedBuffer> free_;
};

/// Rows of memory that one component has, or several that take turns in it.
struct Strip {
  const std::byte* data;
  ptrdiff_t row_bytes;
  size_t width_bytes;
  int rows;
  size_t offset;  ///< in the block that all strips are packed into
};

/// How the memory of a frame is packed into one block without gaps.
struct Packing {
  explicit Packing(const FilmView& frame) : layout{frame.format, 0, frame.planes, {}} {
    std::array<size_t, 4> strip_of = {};
    for (size_t c = 0; c < size_t(frame.format.components()); ++c) {
      const FilmPlane& plane = frame.planes[c];
      const Size size = frame.format.size_of(int(c));
      const Strip strip{plane.data, plane.row_bytes, size_t(size.width) * size_t(plane.step_bytes),
                        size.height, 0};
      strip_of[c] = join(strip, plane.step_bytes);
    }
    for (Strip& strip : strips) {
      strip.offset = layout.total_bytes;
      layout.total_bytes += strip.width_bytes * size_t(strip.rows);
    }
    for (size_t c = 0; c < size_t(frame.format.components()); ++c) {
      const Strip& strip = strips[strip_of[c]];
      layout.offsets[c] = strip.offset + size_t(frame.planes[c].data - strip.data);
      layout.planes[c].data = nullptr;
      layout.planes[c].row_bytes = ptrdiff_t(strip.width_bytes);
    }
  }

  std::vector<Strip> strips;
  FilmLayout layout;

 private:
  /// The strip's number, which may be one that is there.
  size_t join(const Strip& strip, ptrdiff_t step) {
    for (size_t i = 0; i < strips.size(); ++i) {
      Strip& other = strips[i];
      const ptrdiff_t apart = strip.data - other.data;
      if (strip.row_bytes != other.row_bytes || std::abs(apart) >= step) continue;
      other.data = std::min(other.data, strip.data);
      other.width_bytes = std::max(other.width_bytes, strip.width_bytes);
      return i;
    }
    strips.push_back(strip);
    return strips.size() - 1;
  }
};

/// Whether a component has one level alone.
bool is_constant(const FilmView& frame, int component) {
  const FilmPlane& plane = frame.planes[size_t(component)];
  const Size size = frame.format.size_of(component);
  const auto word = size_t(plane.word_bytes);
  const auto width_bytes = ptrdiff_t(size.width) * plane.step_bytes;
  for (ptrdiff_t x = 0; x < width_bytes; x += plane.step_bytes) {
    if (std::memcmp(plane.data + x, plane.data, word) != 0) return false;
  }
  // Where components take turns in a row, those beside this one count, too: one is enough.
  for (int y = 1; y < size.height; ++y) {
    const std::byte* row = plane.data + y * plane.row_bytes;
    if (std::memcmp(row, plane.data, size_t(width_bytes)) != 0) return false;
  }
  return true;
}

/// The largest range of a component of the picture, 1 being full scale. A frame of one colour has
/// none, whatever the colour.
float range_of(const FilmView& frame) {
  const Frame picture = upres::picture_from_film(frame);
  const std::span samples(reinterpret_cast<const uint16_t*>(picture.data()),
                          picture.total_bytes() / sizeof(uint16_t));
  const auto channels = size_t(frame.format.channels());
  int largest = 0;
  for (size_t c = 0; c < channels; ++c) {
    int least = samples[c];
    int most = least;
    for (size_t i = c; i < samples.size(); i += channels) {
      least = std::min(least, int(samples[i]));
      most = std::max(most, int(samples[i]));
    }
    largest = std::max(largest, most - least);
  }
  return float(largest) / kFilmOne;
}

class CudaFilmSession : public FilmSession {
 public:
  CudaFilmSession(const CudaEngine& engine, const FilmRoute& route)
      : engine_(engine),
        route_(route),
        from_film_(route.src),
        to_film_(route.dst.format),
        pool_(std::make_shared<PinnedPool>(route.dst.total_bytes)) {
    engine_.use_gpu();
    in_ = make_stream();
    compute_ = make_stream();
    out_ = make_stream();
    compare_ = make_stream();
    plan_tiles();
  }
  ~CudaFilmSession() override {
    engine_.use_gpu();
    for (const Stream* stream : {&in_, &compute_, &out_, &compare_}) {
      cudaStreamSynchronize(stream->get());
    }
  }

  /// False where memory does not suffice.
  bool allocate() {
    const size_t limit = engine_.options().memory_limit;
    size_t available = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
    const size_t needed = arena_bytes_ + picture_.total_bytes() + result_.total_bytes() +
                          tile_src_bytes_ + tile_dst_bytes_ + gray_floats_bytes_ +
                          kSlots * (picture_.total_bytes() + route_.dst.total_bytes);
    if (needed > available || (limit > 0 && needed > limit)) return false;
    try {
      arena_ = DeviceBuffer(arena_bytes_);
      picture_memory_ = DeviceBuffer(picture_.total_bytes());
      result_memory_ = DeviceBuffer(result_.total_bytes());
      tile_src_ = DeviceBuffer(tile_src_bytes_);
      tile_dst_ = DeviceBuffer(tile_dst_bytes_);
      gray_floats_ = DeviceBuffer(gray_floats_bytes_);
      differ_ = DeviceBuffer(sizeof(int));
      differ_host_ = PinnedBuffer(sizeof(int));
      for (Slot& slot : slots_) slot.dst = DeviceBuffer(route_.dst.total_bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::memory) throw;
      return false;
    }
    picture_.data = picture_memory_.data();
    result_.data = result_memory_.data();
    for (Slot& slot : slots_) prepare(slot);
    return true;
  }

  const TileGrid& grid() const override { return route_.grid; }
  size_t depth() const override { return kSlots; }

  std::shared_ptr<std::byte> memory() override {
    engine_.use_gpu();
    return pool_->take();
  }

  void submit(const FilmView& src, std::shared_ptr<std::byte> dst) override {
    UPRES_ASSERT(src.format == route_.src && on_their_way_ < kSlots, "a frame has its turn");
    engine_.use_gpu();
    Slot& slot = slots_[(first_ + on_their_way_) % kSlots];
    bring(src, slot);
    cudaStream_t stream = compute_.get();
    check(cudaStreamWaitEvent(stream, slot.came.get(), 0), "waiting for a frame");
    picture_from_film(from_film_, slot.staged.at(slot.src.data()), picture_, stream);
    check(cudaEventRecord(slot.begun.get(), stream), "recording an event");
    check(cudaGraphLaunch(slot.network.get(), stream), "starting the network");
    check(cudaEventRecord(slot.ended.get(), stream), "recording an event");
    film_from_picture(to_film_, result_, route_.dst.at(slot.dst.data()), stream);
    check(cudaEventRecord(slot.made.get(), stream), "recording an event");

    cudaStream_t out = out_.get();
    check(cudaStreamWaitEvent(out, slot.made.get(), 0), "waiting for a frame");
    check(cudaMemcpyAsync(dst.get(), slot.dst.data(), route_.dst.total_bytes,
                          cudaMemcpyDeviceToHost, out),
          "copying a frame from the GPU");
    check(cudaMemcpyAsync(slot.not_finite_host.data(), slot.not_finite.data(), sizeof(int),
                          cudaMemcpyDeviceToHost, out),
          "copying a flag from the GPU");
    check(cudaEventRecord(slot.finished.get(), out), "recording an event");
    slot.result = std::move(dst);
    ++on_their_way_;
    check(cudaEventSynchronize(slot.came.get()), "copying a frame to the GPU");
  }

  bool finish() override {
    UPRES_ASSERT(on_their_way_ > 0, "a frame is on its way");
    engine_.use_gpu();
    Slot& slot = slots_[first_];
    last_ = first_;
    first_ = (first_ + 1) % kSlots;
    --on_their_way_;
    check(cudaEventSynchronize(slot.finished.get()), "running the network");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, slot.begun.get(), slot.ended.get()),
          "reading a clock");
    network_s_ += double(milliseconds) / 1000;
    const auto result = std::exchange(slot.result, nullptr);
    return !is_wrong(slot, result.get());
  }

  FilmView source(std::vector<std::byte>& memory) override {
    engine_.use_gpu();
    const Slot& slot = slots_[last_];
    memory.resize(slot.staged.total_bytes);
    check(cudaMemcpy(memory.data(), slot.src.data(), memory.size(), cudaMemcpyDeviceToHost),
          "copying a frame from the GPU");
    return slot.staged.at(memory.data());
  }

  double network_s() const override { return network_s_; }

  bool same_samples(const FilmView& a, const FilmView& b) override {
    if (a.memory != b.memory) return false;
    for (size_t c = 0; c < size_t(a.format.components()); ++c) {
      if (a.planes[c].word_bytes != b.planes[c].word_bytes) return false;
    }
    engine_.use_gpu();
    cudaStream_t stream = compare_.get();
    wait_for_decoder(b, compare_decoded_, stream);
    check(cudaMemsetAsync(differ_.data(), 0, sizeof(int), stream), "clearing a flag");
    compare_samples(a, b, differ_.as<int>(), stream);
    check(cudaMemcpyAsync(differ_host_.data(), differ_.data(), sizeof(int), cudaMemcpyDeviceToHost,
                          stream),
          "copying a flag from the GPU");
    check(cudaStreamSynchronize(stream), "comparing frames");
    int differ = 0;
    std::memcpy(&differ, differ_host_.data(), sizeof differ);
    return differ == 0;
  }

 private:
  /// A frame on its way.
  struct Slot {
    PinnedBuffer brought;  ///< of a frame in the host's memory
    DeviceBuffer src, dst;
    FilmLayout staged;  ///< of src
    DeviceBuffer not_finite;
    PinnedBuffer not_finite_host;
    Recording network;
    Event came, begun, ended, made, finished;
    std::shared_ptr<std::byte> result;
  };

  void plan_tiles() {
    const int components = route_.src.channels();
    picture_ = {nullptr, route_.src.size, SampleType::u16, components};
    result_ = {nullptr, route_.dst.format.size, SampleType::u16, components};
    for (const auto& tile : tiles()) {
      const Layout layout = engine_.plan(tile.read.size());
      arena_bytes_ = std::max(arena_bytes_, layout.arena.size_bytes);
      const Packed made = result_of(layout);
      if (!is_whole(tile, layout)) {
        tile_src_bytes_ = std::max(tile_src_bytes_, src_of(tile).total_bytes());
        tile_dst_bytes_ = std::max(tile_dst_bytes_, made.total_bytes());
      }
      if (components == 1) {
        gray_floats_bytes_ =
            std::max(gray_floats_bytes_,
                     size_t(made.size.width) * size_t(made.size.height) * 3 * sizeof(float));
      }
    }
  }

  std::vector<Tile> tiles() const {
    std::vector<Tile> all;
    for (int row = 0; row < route_.grid.rows(); ++row) {
      for (int column = 0; column < route_.grid.columns(); ++column) {
        all.push_back(route_.grid.tile(column, row));
      }
    }
    return all;
  }

  Packed src_of(const Tile& tile) const {
    return {tile_src_.data(), tile.read.size(), SampleType::u16, picture_.components};
  }
  /// What the network makes of a tile, its padding included.
  Packed result_of(const Layout& layout) const {
    const Size size = engine_.graph().size_of(engine_.graph().output(), layout.padded);
    return {tile_dst_.data(), size, SampleType::u16, picture_.components};
  }
  /// Whether the network goes from picture to result without a copy between.
  bool is_whole(const Tile& tile, const Layout& layout) const {
    return tile.read == whole(picture_.size) && result_of(layout).size == result_.size;
  }

  void prepare(Slot& slot) {
    slot.came = make_blocking_event();
    slot.begun = make_timer();
    slot.ended = make_timer();
    slot.made = make_event();
    slot.finished = make_blocking_event();
    slot.not_finite = DeviceBuffer(sizeof(int));
    slot.not_finite_host = PinnedBuffer(sizeof(int));
    cudaStream_t stream = compute_.get();
    slot.network = record(stream, [&] {
      check(cudaMemsetAsync(slot.not_finite.data(), 0, sizeof(int), stream), "clearing a flag");
      for (const Tile& tile : tiles()) launch(tile, slot.not_finite.as<int>(), stream);
    });
  }

  void launch(const Tile& tile, int* not_finite, cudaStream_t stream) const {
    const Layout layout = engine_.plan(tile.read.size());
    if (is_whole(tile, layout)) {
      return engine_.launch(
          layout, {picture_, result_, gray_floats_.data(), arena_.data(), not_finite}, stream);
    }
    const Packed src = src_of(tile);
    const Packed dst = result_of(layout);
    copy_rectangle(picture_, {tile.read.x, tile.read.y}, src, {}, src.size, stream);
    engine_.launch(layout, {src, dst, gray_floats_.data(), arena_.data(), not_finite}, stream);
    const int scale = engine_.graph().scale();
    const Rect kept = scaled(tile.keep, scale);
    copy_rectangle(dst, {(tile.keep.x - tile.read.x) * scale, (tile.keep.y - tile.read.y) * scale},
                   result_, {kept.x, kept.y}, kept.size(), stream);
  }

  static void copy_rectangle(const Packed& src, Point from, const Packed& dst, Point to, Size size,
                             cudaStream_t stream) {
    const size_t pixel = size_bytes(src.type) * size_t(src.components);
    const auto at = [&](const Packed& packed, Point point) {
      return packed.data + (size_t(point.y) * size_t(packed.size.width) + size_t(point.x)) * pixel;
    };
    check(cudaMemcpy2DAsync(at(dst, to), size_t(dst.size.width) * pixel, at(src, from),
                            size_t(src.size.width) * pixel, size_t(size.width) * pixel,
                            size_t(size.height), cudaMemcpyDeviceToDevice, stream),
          "copying a tile");
  }

  /// Puts the samples into the slot's memory on the GPU, packed.
  void bring(const FilmView& src, Slot& slot) {
    const Packing packing(src);
    slot.staged = packing.layout;
    const size_t bytes = packing.layout.total_bytes;
    if (slot.src.size_bytes() < bytes) slot.src = DeviceBuffer(bytes);
    cudaStream_t stream = in_.get();
    if (src.memory == MemoryKind::device) {
      wait_for_decoder(src, decoded_, stream);
      for (const Strip& strip : packing.strips) {
        check(cudaMemcpy2DAsync(slot.src.data() + strip.offset, strip.width_bytes, strip.data,
                                size_t(strip.row_bytes), strip.width_bytes, size_t(strip.rows),
                                cudaMemcpyDefault, stream),
              "copying a frame on the GPU");
      }
    } else {
      if (slot.brought.size_bytes() < bytes) slot.brought = PinnedBuffer(bytes);
      for (const Strip& strip : packing.strips) {
        for (int y = 0; y < strip.rows; ++y) {
          std::memcpy(slot.brought.data() + strip.offset + size_t(y) * strip.width_bytes,
                      strip.data + y * strip.row_bytes, strip.width_bytes);
        }
      }
      check(cudaMemcpyAsync(slot.src.data(), slot.brought.data(), bytes, cudaMemcpyHostToDevice,
                            stream),
            "copying a frame to the GPU");
    }
    check(cudaEventRecord(slot.came.get(), stream), "recording an event");
  }

  /// Has a stream wait for all that the decoder of a frame has begun. The event is of the decoder's
  /// GPU, which may be another one.
  void wait_for_decoder(const FilmView& frame, Event& decoded, cudaStream_t stream) const {
    check(cudaSetDevice(frame.gpu.index), "choosing the GPU");
    if (!decoded) decoded = make_event();
    check(cudaEventRecord(decoded.get(), static_cast<cudaStream_t>(frame.gpu.stream)),
          "recording an event");
    engine_.use_gpu();
    check(cudaStreamWaitEvent(stream, decoded.get(), 0), "waiting for a decoder");
  }

  /// Whether a result shows that half precision overflowed.
  bool is_wrong(const Slot& slot, std::byte* result) {
    int not_finite = 0;
    std::memcpy(&not_finite, slot.not_finite_host.data(), sizeof not_finite);
    if (not_finite) return true;
    const FilmView made = route_.dst.at(result);
    for (int c = 0; c < made.format.components(); ++c) {
      if (!is_constant(made, c)) return false;
    }
    std::vector<std::byte> memory;
    return range_of(source(memory)) > kPlainRange;
  }

  const CudaEngine& engine_;
  FilmRoute route_;
  FilmPlan from_film_, to_film_;
  std::shared_ptr<PinnedPool> pool_;
  Stream in_, compute_, out_, compare_;
  Packed picture_, result_;
  size_t arena_bytes_ = 0, tile_src_bytes_ = 0, tile_dst_bytes_ = 0, gray_floats_bytes_ = 0;
  DeviceBuffer arena_, picture_memory_, result_memory_, tile_src_, tile_dst_, gray_floats_;
  DeviceBuffer differ_;
  PinnedBuffer differ_host_;
  Event decoded_, compare_decoded_;
  std::array<Slot, kSlots> slots_;
  size_t first_ = 0, on_their_way_ = 0, last_ = 0;
  double network_s_ = 0;
};

}  // namespace

std::unique_ptr<FilmSession> open_cuda_film(const CudaEngine& engine, const FilmRoute& route) {
  auto session = std::make_unique<CudaFilmSession>(engine, route);
  if (!session->allocate()) return nullptr;
  return session;
}

}  // namespace upres::cuda
