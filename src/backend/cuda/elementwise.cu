// SPDX-License-Identifier: Apache-2.0
// One thread makes eight channels of one pixel, and writes them at once; neighbouring threads write
// neighbouring channels. All of these are bound by memory.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/elementwise.h"
#include "graph/resize_taps.h"

namespace upres::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __half& at(const Activations16& value, int x, int y, int channel) {
  return value.data[(int64_t(y) * value.width + x) * value.stride + channel];
}

/// Neighbouring channels of a pixel.
struct alignas(16) Half8 {
  __half at[8];
};

__device__ Half8& eight_at(const Activations16& value, int x, int y, int channel) {
  return reinterpret_cast<Half8&>(at(value, x, y, channel));
}

/// out(x, y, channel) = made(x, y, channel) for all channels, and zero in the rest of the last
/// group. A row of blocks makes a row of pixels.
template <typename Made>
__global__ void __launch_bounds__(kThreads) fill(const Activations16 out, const Made made) {
  const int eights = whole_groups(out.channels) / 8;
  const int index = blockIdx.x * kThreads + threadIdx.x;
  const int x = index / eights;
  if (x >= out.width) return;
  const int channel = index % eights * 8;
  for (int y = blockIdx.y; y < out.height; y += gridDim.y) {
    Half8 result = {};
    if (channel < out.channels) result = made(x, y, channel);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (channel + i >= out.channels) result.at[i] = __half(0.0f);
    }
    eight_at(out, x, y, channel) = result;
  }
}

/// Blocks for so many threads a row, and as many rows of blocks as there can be.
dim3 grid_for(int64_t threads, int height) {
  constexpr int kMostRows = 65535;
  return {unsigned((threads + kThreads - 1) / kThreads), unsigned(std::min(height, kMostRows))};
}

template <typename Made>
void launch(const Activations16& out, cudaStream_t stream, const Made& made) {
  const int64_t threads = int64_t(out.width) * (whole_groups(out.channels) / 8);
  fill<<<grid_for(threads, out.height), kThreads, 0, stream>>>(out, made);
  check(cudaGetLastError(), "starting an operator");
}

/// Copies channels to where `out` has them from `first` on, and zeros from there to `end`: one
/// channel a thread, since slices may begin anywhere.
__global__ void __launch_bounds__(kThreads)
    copy_channels(const Activations16 in, const Activations16 out, int first, int end) {
  const int width = end - first;
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  const int x = int(index / width);
  if (x >= out.width) return;
  const int channel = int(index % width);
  for (int y = blockIdx.y; y < out.height; y += gridDim.y) {
    at(out, x, y, first + channel) = channel < in.channels ? at(in, x, y, channel) : __half(0.0f);
  }
}

// What the kernels compute, as types: lambdas of the device would need a flag of the compiler.

/// made(x, y, channel)[i] = value(channel + i, in[i]) of the same pixel.
template <typename Value>
__device__ Half8 mapped(Half8 in, int channel, const Value& value) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    in.at[i] = __float2half_rn(value(channel + i, __half2float(in.at[i]), i));
  }
  return in;
}

struct Activated {
  Activations16 in;
  const float* slopes;
  bool one_each;
  __device__ Half8 operator()(int x, int y, int channel) const {
    return mapped(eight_at(in, x, y, channel), channel, [&](int c, float value, int) {
      return value > 0 ? value : value * slopes[one_each ? min(c, in.channels - 1) : 0];
    });
  }
};
struct Sum {
  Activations16 a, b;
  __device__ Half8 operator()(int x, int y, int channel) const {
    const Half8 other = eight_at(b, x, y, channel);
    return mapped(eight_at(a, x, y, channel), channel,
                  [&](int, float value, int i) { return value + __half2float(other.at[i]); });
  }
};
struct Scaled {
  Activations16 in;
  float factor;
  __device__ Half8 operator()(int x, int y, int channel) const {
    return mapped(eight_at(in, x, y, channel), channel,
                  [&](int, float value, int) { return value * factor; });
  }
};
struct Upsampled {
  Activations16 in;
  int factor;
  __device__ Half8 operator()(int x, int y, int channel) const {
    return eight_at(in, x / factor, y / factor, channel);
  }
};
struct Shuffled {
  Activations16 in;
  int factor;
  __device__ Half8 operator()(int x, int y, int channel) const {
    const int phase = y % factor * factor + x % factor;
    Half8 result = {};
    for (int i = 0; i < 8 && (channel + i) * factor * factor + phase < in.channels; ++i) {
      result.at[i] = at(in, x / factor, y / factor, (channel + i) * factor * factor + phase);
    }
    return result;
  }
};
struct Unshuffled {
  Activations16 in;
  int factor;
  __device__ Half8 operator()(int x, int y, int channel) const {
    Half8 result = {};
    for (int i = 0; i < 8; ++i) {
      const int c = channel + i;
      if (c / (factor * factor) >= in.channels) break;
      result.at[i] =
          at(in, x * factor + c % factor, y * factor + c / factor % factor, c / (factor * factor));
    }
    return result;
  }
};
struct Resized {
  Activations16 in;
  const ResizeTaps* table;
  int numerator, denominator;
  __device__ Half8 operator()(int x, int y, int channel) const {
    const ResizeTaps columns = table[x % numerator];
    const ResizeTaps rows = table[y % numerator];
    const int first_x = x / numerator * denominator + columns.first;
    const int first_y = y / numerator * denominator + rows.first;
    float sums[8] = {};
    for (int i = 0; i < 4; ++i) {
      const int row = min(max(first_y + i, 0), in.height - 1);
      float of_row[8] = {};
      for (int j = 0; j < 4; ++j) {
        const int column = min(max(first_x + j, 0), in.width - 1);
        const Half8 pixel = eight_at(in, column, row, channel);
        for (int k = 0; k < 8; ++k) of_row[k] += __half2float(pixel.at[k]) * columns.weights[j];
      }
      for (int k = 0; k < 8; ++k) sums[k] += of_row[k] * rows.weights[i];
    }
    Half8 result;
    for (int k = 0; k < 8; ++k) result.at[k] = __float2half_rn(sums[k]);
    return result;
  }
};

}  // namespace

void activate(const Activations16& in, const DeviceBuffer& slopes, const Activations16& out,
              cudaStream_t stream) {
  launch(out, stream, Activated{in, slopes.as<const float>(), slopes.size_bytes() > sizeof(float)});
}

void add(const Activations16& a, const Activations16& b, const Activations16& out,
         cudaStream_t stream) {
  launch(out, stream, Sum{a, b});
}

void scale(const Activations16& in, float factor, const Activations16& out, cudaStream_t stream) {
  launch(out, stream, Scaled{in, factor});
}

void concat(std::span<const Activations16> in, const Activations16& out, cudaStream_t stream) {
  int first = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const int next = first + in[i].channels;
    const int end = i + 1 < in.size() ? next : whole_groups(next);
    const int64_t threads = int64_t(out.width) * (end - first);
    copy_channels<<<grid_for(threads, out.height), kThreads, 0, stream>>>(in[i], out, first, end);
    check(cudaGetLastError(), "starting an operator");
    first = next;
  }
}

void upsample(const Activations16& in, int factor, const Activations16& out, cudaStream_t stream) {
  launch(out, stream, Upsampled{in, factor});
}

void pixel_shuffle(const Activations16& in, int factor, const Activations16& out,
                   cudaStream_t stream) {
  launch(out, stream, Shuffled{in, factor});
}

void pixel_unshuffle(const Activations16& in, int factor, const Activations16& out,
                     cudaStream_t stream) {
  launch(out, stream, Unshuffled{in, factor});
}

DeviceBuffer resize_table(const Resize& op) {
  std::vector<ResizeTaps> table;
  for (int phase = 0; phase < op.numerator; ++phase) table.push_back(resize_taps(op, phase));
  return DeviceBuffer::of<ResizeTaps>(table);
}

void resize(const Activations16& in, const Resize& op, const DeviceBuffer& table,
            const Activations16& out, cudaStream_t stream) {
  launch(out, stream, Resized{in, table.as<const ResizeTaps>(), op.numerator, op.denominator});
}

}  // namespace upres::cuda
