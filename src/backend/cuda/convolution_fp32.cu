// SPDX-License-Identifier: Apache-2.0
// A thread makes 16 outputs of a pixel. Inputs come from the first cache, where the taps of
// neighbouring threads meet; weights are the same for all threads of a block.
#include "backend/cuda/convolution_fp32.h"
#include "backend/cuda/pixels.cuh"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr dim3 kTile(32, 8);

__device__ void store_group(const ConvolutionArguments& args, const float (&sums)[kGroup], int x,
                            int y) {
  const int group = int(blockIdx.z);
  bool finite = true;
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    const int channel = group * kGroup + i;
    const float sum = sums[i] + args.biases[channel];
    float value = sum > 0 ? sum : sum * args.slopes[channel];
    for (int k = 0; k < args.addend_count; ++k) {
      value += args.addend_scales[k] * *pointer_to<float>(args.addends[k], x, y, channel);
    }
    if (args.sink == Sink::activations) {
      *pointer_to<float>(args.out, x, y, channel) = value;
    } else if (args.sink == Sink::samples) {
      const float values[] = {value};
      finite &= store_samples(args.samples, x, y, channel, 3, values);
    } else {  // a group is a colour's 4 x 4 pixels
      const float values[] = {value + *pointer_to<float>(args.base, x, y, group)};
      finite &= store_samples(args.samples, 4 * x + i % 4, 4 * y + i / 4, group, group + 1, values);
    }
  }
  if (!finite) *args.not_finite = 1;
}

__global__ void __launch_bounds__(kTile.x* kTile.y)
    convolve_fp32(int kernel, const ConvolutionArguments args) {
  const int x = int(blockIdx.x * kTile.x + threadIdx.x);
  const int y = args.out.first_row + int(blockIdx.y * kTile.y + threadIdx.y);
  const int width = args.in.width * args.enlarge;
  const int height = args.in.height * args.enlarge;
  if (x >= width || y >= args.out.first_row + args.out.rows) return;
  const int inputs = args.in_groups * kGroup;
  const auto* weights = static_cast<const float*>(args.weights) +
                        int64_t(blockIdx.z) * kernel * kernel * inputs * kGroup;
  float sums[kGroup] = {};
  for (int dy = 0; dy < kernel; ++dy) {
    for (int dx = 0; dx < kernel; ++dx, weights += inputs * kGroup) {
      const int from_x = x + dx - kernel / 2;
      const int from_y = y + dy - kernel / 2;
      if (from_x < 0 || from_x >= width || from_y < 0 || from_y >= height) continue;
      for (int first = 0; first < inputs; first += kGroup) {
        const float* in =
            pointer_to<float>(args.in, from_x / args.enlarge, from_y / args.enlarge, first);
#pragma unroll
        for (int c = 0; c < kGroup; ++c) {
          const float value = in[c];
#pragma unroll
          for (int i = 0; i < kGroup; ++i) {
            sums[i] = fmaf(value, weights[(first + c) * kGroup + i], sums[i]);
          }
        }
      }
    }
  }
  store_group(args, sums, x, y);
}

}  // namespace

void launch_fp32(int kernel, const ConvolutionArguments& args, cudaStream_t stream) {
  const auto tiles = [](int length, unsigned side) { return (unsigned(length) + side - 1) / side; };
  const dim3 grid(tiles(args.in.width * args.enlarge, kTile.x), tiles(args.out.rows, kTile.y),
                  unsigned(args.out_groups));
  convolve_fp32<<<grid, kTile, 0, stream>>>(kernel, args);
  check(cudaGetLastError(), "starting a convolution");
}

}  // namespace upres::cuda
