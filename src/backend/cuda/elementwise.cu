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

/// Neighbouring channels of a pixel.
template <typename T>
struct alignas(16) Eight {
  T at[8];
};

template <typename T>
__device__ T& at(const Activations& value, int x, int y, int channel) {
  return *pointer_to<T>(value, x, y, channel);
}
template <typename T>
__device__ Eight<T>& eight_at(const Activations& value, int x, int y, int channel) {
  return *reinterpret_cast<Eight<T>*>(pointer_to<T>(value, x, y, channel));
}

/// out(x, y, channel) = made(x, y, channel) for all channels, and zero in the rest of the last
/// group. A row of blocks makes a row of pixels.
template <typename T, typename Made>
__global__ void __launch_bounds__(kThreads) fill(const Activations out, const Made made) {
  const int eights = whole_groups(out.channels) / 8;
  const int index = blockIdx.x * kThreads + threadIdx.x;
  const int x = index / eights;
  if (x >= out.width) return;
  const int channel = index % eights * 8;
  const int end = out.first_row + out.rows;
  for (int y = out.first_row + blockIdx.y; y < end; y += gridDim.y) {
    Eight<T> result = {};
    if (channel < out.channels) result = made(x, y, channel);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (channel + i >= out.channels) result.at[i] = T(0.0f);
    }
    eight_at<T>(out, x, y, channel) = result;
  }
}

/// Blocks for so many threads a row, and as many rows of blocks as there can be.
dim3 grid_for(int64_t threads, int height) {
  constexpr int kMostRows = 65535;
  return {unsigned((threads + kThreads - 1) / kThreads), unsigned(std::min(height, kMostRows))};
}

/// Made: a kernel's work as a template over the type of elements, made of what it reads.
template <template <typename> typename Made, typename... Arguments>
void launch(const Activations& out, cudaStream_t stream, const Arguments&... arguments) {
  const int64_t threads = int64_t(out.width) * (whole_groups(out.channels) / 8);
  with_element(out.element, [&](auto element) {
    using T = decltype(element);
    fill<T><<<grid_for(threads, out.rows), kThreads, 0, stream>>>(out, Made<T>{arguments...});
  });
  check(cudaGetLastError(), "starting an operator");
}

/// Copies channels to where `out` has them from `first` on, and zeros from there to `end`: one
/// channel a thread, since slices may begin anywhere.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    copy_channels(const Activations in, const Activations out, int first, int end) {
  const int width = end - first;
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  const int x = int(index / width);
  if (x >= out.width) return;
  const int channel = int(index % width);
  const int last = out.first_row + out.rows;
  for (int y = out.first_row + blockIdx.y; y < last; y += gridDim.y) {
    at<T>(out, x, y, first + channel) = channel < in.channels ? at<T>(in, x, y, channel) : T(0.0f);
  }
}

// What the kernels compute, as types: lambdas of the device would need a flag of the compiler.

/// made(x, y, channel)[i] = value(channel + i, in[i]) of the same pixel.
template <typename T, typename Value>
__device__ Eight<T> mapped(Eight<T> in, int channel, const Value& value) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    in.at[i] = T(value(channel + i, float(in.at[i]), i));
  }
  return in;
}

template <typename T>
struct Activated {
  Activations in;
  const float* slopes;
  bool one_each;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    return mapped(eight_at<T>(in, x, y, channel), channel, [&](int c, float value, int) {
      return value > 0 ? value : value * slopes[one_each ? min(c, in.channels - 1) : 0];
    });
  }
};
template <typename T>
struct Sum {
  Activations a, b;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    const Eight<T> other = eight_at<T>(b, x, y, channel);
    return mapped(eight_at<T>(a, x, y, channel), channel,
                  [&](int, float value, int i) { return value + float(other.at[i]); });
  }
};
template <typename T>
struct Scaled {
  Activations in;
  float factor;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    return mapped(eight_at<T>(in, x, y, channel), channel,
                  [&](int, float value, int) { return value * factor; });
  }
};
template <typename T>
struct Upsampled {
  Activations in;
  int factor;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    return eight_at<T>(in, x / factor, y / factor, channel);
  }
};
template <typename T>
struct Shuffled {
  Activations in;
  int factor;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    const int phase = y % factor * factor + x % factor;
    Eight<T> result = {};
    for (int i = 0; i < 8 && (channel + i) * factor * factor + phase < in.channels; ++i) {
      result.at[i] = at<T>(in, x / factor, y / factor, (channel + i) * factor * factor + phase);
    }
    return result;
  }
};
template <typename T>
struct Unshuffled {
  Activations in;
  int factor;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
    Eight<T> result = {};
    for (int i = 0; i < 8; ++i) {
      const int c = channel + i;
      if (c / (factor * factor) >= in.channels) break;
      result.at[i] = at<T>(in, x * factor + c % factor, y * factor + c / factor % factor,
                           c / (factor * factor));
    }
    return result;
  }
};
template <typename T>
struct Resized {
  Activations in;
  const ResizeTaps* table;
  int numerator, denominator;
  __device__ Eight<T> operator()(int x, int y, int channel) const {
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
        const Eight<T> pixel = eight_at<T>(in, column, row, channel);
        for (int k = 0; k < 8; ++k) of_row[k] += float(pixel.at[k]) * columns.weights[j];
      }
      for (int k = 0; k < 8; ++k) sums[k] += of_row[k] * rows.weights[i];
    }
    Eight<T> result;
    for (int k = 0; k < 8; ++k) result.at[k] = T(sums[k]);
    return result;
  }
};

}  // namespace

void activate(const Activations& in, const DeviceBuffer& slopes, const Activations& out,
              cudaStream_t stream) {
  launch<Activated>(out, stream, in, slopes.as<const float>(), slopes.size_bytes() > sizeof(float));
}

void add(const Activations& a, const Activations& b, const Activations& out, cudaStream_t stream) {
  launch<Sum>(out, stream, a, b);
}

void scale(const Activations& in, float factor, const Activations& out, cudaStream_t stream) {
  launch<Scaled>(out, stream, in, factor);
}

void concat(std::span<const Activations> in, const Activations& out, cudaStream_t stream) {
  int first = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const int next = first + in[i].channels;
    const int end = i + 1 < in.size() ? next : whole_groups(next);
    const int64_t threads = int64_t(out.width) * (end - first);
    with_element(out.element, [&](auto element) {
      copy_channels<decltype(element)>
          <<<grid_for(threads, out.rows), kThreads, 0, stream>>>(in[i], out, first, end);
    });
    check(cudaGetLastError(), "starting an operator");
    first = next;
  }
}

void upsample(const Activations& in, int factor, const Activations& out, cudaStream_t stream) {
  launch<Upsampled>(out, stream, in, factor);
}

void pixel_shuffle(const Activations& in, int factor, const Activations& out, cudaStream_t stream) {
  launch<Shuffled>(out, stream, in, factor);
}

void pixel_unshuffle(const Activations& in, int factor, const Activations& out,
                     cudaStream_t stream) {
  launch<Unshuffled>(out, stream, in, factor);
}

DeviceBuffer resize_table(const Resize& op) {
  std::vector<ResizeTaps> table;
  for (int phase = 0; phase < op.numerator; ++phase) table.push_back(resize_taps(op, phase));
  return DeviceBuffer::of<ResizeTaps>(table);
}

void resize(const Activations& in, const Resize& op, const DeviceBuffer& table,
            const Activations& out, cudaStream_t stream) {
  launch<Resized>(out, stream, in, table.as<const ResizeTaps>(), op.numerator, op.denominator);
}

}  // namespace upres::cuda
