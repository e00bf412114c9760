// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/packed_convolution.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace upres::cpu {
namespace {

// Where the system does not say: what processors of the last ten years have at least.
constexpr long kUsualCacheBytes = 256 * 1024;

// Tiles beyond this many gain nothing: the weights are read once for all of them.
constexpr int kMostTilesAtOnce = 48;

/// Of one core's second-level cache.
long cache_bytes() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return bytes;
#endif
  return kUsualCacheBytes;
}

int panels(int channels, int lanes) {
  return (channels + 2 * lanes - 1) / (2 * lanes);
}

/// Outputs of the panels from `panel` on, of two vectors or one.
int panel_width(int channels, int panel, int lanes) {
  return channels - panel * 2 * lanes > lanes ? 2 * lanes : lanes;
}

int whole_vectors(int channels, int lanes) {
  return (channels + lanes - 1) / lanes * lanes;
}

float* floats(Buffer& buffer) {
  return reinterpret_cast<float*>(buffer.data());
}
const float* floats(const Buffer& buffer) {
  return reinterpret_cast<const float*>(buffer.data());
}

/// One value an output, and `rest` to whole vectors.
Buffer per_output(const std::vector<float>& values, int channels, int lanes, float rest) {
  const auto count = size_t(whole_vectors(channels, lanes));
  Buffer buffer(count * sizeof(float));
  std::fill_n(floats(buffer), count, rest);
  for (int c = 0; c < channels; ++c) floats(buffer)[c] = values[values.size() == 1 ? 0 : size_t(c)];
  return buffer;
}

Buffer slopes_of(const Conv2d& conv, int lanes) {
  const std::vector<float>& slopes = conv.epilogue.activation.slopes;
  return per_output(slopes.empty() ? std::vector{1.0f} : slopes, conv.out_channels, lanes, 1);
}

/// Weights in panels: [panels][rows of them][width], where (in, tap) is row `row_of(in, tap)`.
template <typename RowOf>
Buffer pack_weights(const Conv2d& conv, int lanes, RowOf&& row_of) {
  const int taps = conv.kernel * conv.kernel;
  const int rows = conv.in_channels * taps;
  Buffer packed(size_t(rows) * size_t(whole_vectors(conv.out_channels, lanes)) * sizeof(float));
  float* panel_begin = floats(packed);
  for (int panel = 0; panel < panels(conv.out_channels, lanes); ++panel) {
    const int width = panel_width(conv.out_channels, panel, lanes);
    for (int in = 0; in < conv.in_channels; ++in) {
      for (int tap = 0; tap < taps; ++tap) {
        float* to = panel_begin + ptrdiff_t(row_of(in, tap)) * width;
        for (int i = 0; i < width; ++i) {
          const int out = panel * 2 * lanes + i;
          to[i] = out < conv.out_channels
                      ? (*conv.weights)[(size_t(out) * size_t(conv.in_channels) + size_t(in)) *
                                            size_t(taps) +
                                        size_t(tap)]
                      : 0.0f;
        }
      }
    }
    panel_begin += ptrdiff_t(rows) * width;
  }
  return packed;
}

/// The part of 0..count-1 that is the calling thread's.
Range own_share(int count) {
  const auto threads = int64_t(omp_get_num_threads());
  const auto thread = int64_t(omp_get_thread_num());
  return {int(count * thread / threads), int(count * (thread + 1) / threads)};
}

}  // namespace

PackedConvolution::PackedConvolution(const Conv2d& conv, const Kernels& kernels, Buffer weights)
    : kernels_(kernels),
      kernel_(conv.kernel),
      enlarge_(conv.enlarge),
      shuffle_(conv.shuffle),
      in_channels_(conv.in_channels),
      out_channels_(conv.out_channels),
      weights_(std::move(weights)),
      biases_(per_output(*conv.biases, conv.out_channels, kernels.lanes, 0)),
      slopes_(slopes_of(conv, kernels.lanes)) {
  for (const Addend& addend : conv.epilogue.addends) {
    UPRES_ASSERT(addend.enlarge == conv.shuffle, "what is added is enlarged as it is shuffled");
    addend_scales_.push_back(addend.scale);
  }
}

/// A layer needs nothing made for a size.
class PackedConvolution::Layer : public Convolution::Prepared {
 public:
  explicit Layer(const PackedConvolution& layer) : layer_(layer) {}

  void run(const Blocks& in, std::span<const Blocks> addends, const Blocks& out,
           std::byte* scratch) const override {
    std::vector<AddendBlocks> added;
    for (size_t i = 0; i < addends.size(); ++i) {
      added.push_back({addends[i], layer_.addend_scales_[i]});
    }
    layer_.run({.in = in,
                .kernel = layer_.kernel_,
                .enlarge = layer_.enlarge_,
                .out = out,
                .out_channels = layer_.out_channels_,
                .shuffle = layer_.shuffle_,
                .weights = floats(layer_.weights_),
                .biases = floats(layer_.biases_),
                .slopes = floats(layer_.slopes_),
                .addends = added.data(),
                .addend_count = int(added.size())},
               reinterpret_cast<float*>(scratch));
  }

 private:
  const PackedConvolution& layer_;
};

std::unique_ptr<Convolution::Prepared> PackedConvolution::prepare(int, int) const {
  return std::make_unique<Layer>(*this);
}

WinogradConvolution::WinogradConvolution(const Conv2d& conv, const Kernels& kernels)
    : PackedConvolution(conv, kernels, pack_weights(conv, kernels.lanes, [](int in, int tap) {
                          return in * 9 + tap;
                        })) {}

size_t WinogradConvolution::transformed_floats(int tile) const {
  return kernels().transformed_floats(in_channels(), out_channels(), tile);
}

/// As many tiles at once as two thirds of the second-level cache hold; results do not depend on it.
TileGrid WinogradConvolution::grid(int tile, int rows, int columns) const {
  const auto tiles = [&](int pixels) { return (pixels + tile - 1) / tile; };
  const int lanes = kernels().lanes;
  const long tile_bytes = long(tile + 2) * (tile + 2) * long(sizeof(float)) *
                          (whole_vectors(in_channels(), lanes) + 2 * lanes);
  const int step = kernels().gemm_rows;
  const int fit = int(cache_bytes() * 2 / 3 / tile_bytes) / step * step;
  return {tile, tiles(columns), tiles(rows) * tiles(columns),
          std::clamp(fit, step, kMostTilesAtOnce)};
}

size_t WinogradConvolution::scratch_bytes(int threads) const {
  size_t most = 0;
  for (const int tile : {4, 6}) {
    const size_t per_thread = kernels().winograd_scratch(in_channels(), grid(tile, 1, 1));
    most = std::max(most, transformed_floats(tile) + size_t(threads) * per_thread);
  }
  return most * sizeof(float);
}

void WinogradConvolution::run(const ConvolutionWork& work, float* scratch) const {
  // Large tiles make more of what lies beyond the picture.
  const auto products = [](const TileGrid& g) {
    return int64_t(g.count) * (g.tile + 2) * (g.tile + 2);
  };
  TileGrid chosen = grid(6, work.rows(), work.columns());
  const TileGrid small = grid(4, work.rows(), work.columns());
  if (products(small) < products(chosen)) chosen = small;

  float* const transformed = scratch;
  float* const first_scratch = scratch + transformed_floats(chosen.tile);
  const size_t scratch_floats = kernels().winograd_scratch(in_channels(), chosen);
#pragma omp parallel
  {
    ConvolutionWork own = work;
    own.weights = transformed;
    kernels().transform_weights(work.weights, in_channels(), out_channels(), chosen.tile,
                                own_share(panels(out_channels(), kernels().lanes) * in_channels()),
                                transformed);
#pragma omp barrier
    kernels().winograd(own, chosen, own_share(chosen.count),
                       first_scratch + size_t(omp_get_thread_num()) * scratch_floats);
  }
}

DirectConvolution::DirectConvolution(const Conv2d& conv, const Kernels& kernels)
    : PackedConvolution(conv, kernels, pack_weights(conv, kernels.lanes, [&](int in, int tap) {
                          return tap * conv.in_channels + in;
                        })) {}

size_t DirectConvolution::scratch_bytes(int threads) const {
  return size_t(threads) * kernels().direct_scratch(in_channels(), kernel()) * sizeof(float);
}

void DirectConvolution::run(const ConvolutionWork& work, float* scratch) const {
  const size_t scratch_floats = kernels().direct_scratch(in_channels(), kernel());
#pragma omp parallel
  kernels().direct(work, own_share(work.rows()),
                   scratch + size_t(omp_get_thread_num()) * scratch_floats);
}

std::unique_ptr<const Convolution> pack_convolution(const Conv2d& conv, const Kernels& kernels) {
  if (conv.kernel == 3) return std::make_unique<WinogradConvolution>(conv, kernels);
  return std::make_unique<DirectConvolution>(conv, kernels);
}

}  // namespace upres::cpu
