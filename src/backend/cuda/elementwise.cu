// SPDX-License-Identifier: Apache-2.0
// One thread makes one channel of one pixel: neighbouring threads write neighbouring channels.
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

/// out(x, y, channel) = value(x, y, channel) for the channels first .. first + channels - 1, and
/// zero from there to `end`.
template <typename ValueAt>
__global__ void __launch_bounds__(kThreads)
    fill(const Activations16 out, int first, int channels, int end, const ValueAt value_at) {
  const int width = end - first;
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t pixel = index / width;
  if (pixel >= int64_t(out.width) * out.height) return;
  const int channel = int(index % width);
  const int x = int(pixel % out.width);
  const int y = int(pixel / out.width);
  at(out, x, y, first + channel) = channel < channels ? value_at(x, y, channel) : __half(0.0f);
}

template <typename ValueAt>
void launch(const Activations16& out, int first, int channels, int end, cudaStream_t stream,
            const ValueAt& value_at) {
  const int64_t count = int64_t(out.width) * out.height * (end - first);
  const auto blocks = unsigned((count + kThreads - 1) / kThreads);
  fill<<<blocks, kThreads, 0, stream>>>(out, first, channels, end, value_at);
  check(cudaGetLastError(), "starting an operator");
}

/// All channels of `out`, and the rest of its last group.
template <typename ValueAt>
void launch(const Activations16& out, cudaStream_t stream, const ValueAt& value_at) {
  launch(out, 0, out.channels, whole_groups(out.channels), stream, value_at);
}

// Kernels' bodies as types: lambdas of the device would need a flag of the compiler.

struct Activated {
  Activations16 in;
  const float* slopes;
  bool one_each;
  __device__ __half operator()(int x, int y, int channel) const {
    const float value = __half2float(at(in, x, y, channel));
    return __float2half_rn(value > 0 ? value : value * slopes[one_each ? channel : 0]);
  }
};
struct Sum {
  Activations16 a, b;
  __device__ __half operator()(int x, int y, int channel) const {
    return __float2half_rn(__half2float(at(a, x, y, channel)) + __half2float(at(b, x, y, channel)));
  }
};
struct Scaled {
  Activations16 in;
  float factor;
  __device__ __half operator()(int x, int y, int channel) const {
    return __float2half_rn(__half2float(at(in, x, y, channel)) * factor);
  }
};
struct Copied {
  Activations16 in;
  __device__ __half operator()(int x, int y, int channel) const { return at(in, x, y, channel); }
};
struct Upsampled {
  Activations16 in;
  int factor;
  __device__ __half operator()(int x, int y, int channel) const {
    return at(in, x / factor, y / factor, channel);
  }
};
struct Shuffled {
  Activations16 in;
  int factor;
  __device__ __half operator()(int x, int y, int channel) const {
    return at(in, x / factor, y / factor, (channel * factor + y % factor) * factor + x % factor);
  }
};
struct Unshuffled {
  Activations16 in;
  int factor;
  __device__ __half operator()(int x, int y, int channel) const {
    const int dx = channel % factor;
    const int dy = channel / factor % factor;
    return at(in, x * factor + dx, y * factor + dy, channel / (factor * factor));
  }
};
struct Resized {
  Activations16 in;
  const ResizeTaps* table;
  int numerator, denominator;
  __device__ __half operator()(int x, int y, int channel) const {
    const ResizeTaps columns = table[x % numerator];
    const ResizeTaps rows = table[y % numerator];
    const int first_x = x / numerator * denominator + columns.first;
    const int first_y = y / numerator * denominator + rows.first;
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      const int row = min(max(first_y + i, 0), in.height - 1);
      float of_row = 0;
      for (int j = 0; j < 4; ++j) {
        const int column = min(max(first_x + j, 0), in.width - 1);
        of_row += __half2float(at(in, column, row, channel)) * columns.weights[j];
      }
      sum += of_row * rows.weights[i];
    }
    return __float2half_rn(sum);
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
    launch(out, first, in[i].channels, i + 1 < in.size() ? next : whole_groups(next), stream,
           Copied{in[i]});
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
