// SPDX-License-Identifier: Apache-2.0
// As row streams multiply: two warpgroups a block, 64 pixels by 192 outputs, twelve at a time.
#include <cstddef>

#include "backend/cuda/ptx/wgmma.cuh"
#include "backend/cuda/runtime.h"
#include "roof.h"

namespace upres::cuda {
namespace {

constexpr int kStreams = 2;
constexpr int kThreads = kStreams * 128;
constexpr int kPixels = 64;
constexpr int kOutputs = 192;
constexpr int kTakes = 12;  // of 16 inputs
constexpr int kRounds = 4000;
constexpr int kPixelBytes = kPixels * 16 * 2;  // of one take
constexpr int kWeightBytes = kOutputs * 16 * 2;
constexpr int kSharedBytes = kTakes * (kStreams * kPixelBytes + kWeightBytes);

__global__ void __launch_bounds__(kThreads, 1) multiply(float* result) {
  extern __shared__ __align__(128) std::byte memory[];
  const auto shared = uint32_t(__cvta_generic_to_shared(memory));
  uint32_t state = blockIdx.x * kThreads + threadIdx.x;
  for (int i = threadIdx.x; i < kSharedBytes / 4; i += kThreads) {
    state = state * 1664525 + 1013904223;
    // Two numbers of either sign, 1/8 to 1/2.
    reinterpret_cast<uint32_t*>(memory)[i] = 0x30003000 | (state >> 3 & 0x87ff87ff);
  }
  __syncthreads();
  asm volatile("fence.proxy.async;" ::: "memory");
  const int stream = __shfl_sync(0xffffffff, int(threadIdx.x) / 128, 0);
  // Columns of eight inputs, one after the other.
  const uint32_t pixels =
      ptx::descriptor_low(shared + kTakes * (kWeightBytes + stream * kPixelBytes), kPixels * 16);
  const uint32_t weights = ptx::descriptor_low(shared, kOutputs * 16);
  constexpr uint32_t kHigh = ptx::descriptor_high(8 * 16, ptx::Swizzle::none);
  float sums[kOutputs / 2] = {};
#pragma unroll 1
  for (int round = 0; round < kRounds; ++round) {
    ptx::fence_warpgroup();
#pragma unroll
    for (int take = 0; take < kTakes; ++take) {
      ptx::multiply_add<kOutputs>(sums, ptx::descriptor(pixels + take * kPixelBytes / 16, kHigh),
                                  ptx::descriptor(weights + take * kWeightBytes / 16, kHigh));
    }
    ptx::commit_multiplications();
    ptx::wait_multiplications<0>();
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  if (total == 1) *result = total;  // so that it is not all for nothing
}

}  // namespace

double launch_wgmma_roof(cudaStream_t stream) {
  int device = 0;
  int blocks = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, device),
        "asking for the GPU");
  check(cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
        "preparing multiplications");
  multiply<<<blocks, kThreads, kSharedBytes, stream>>>(nullptr);
  check(cudaGetLastError(), "starting multiplications");
  return double(blocks) * kStreams * kRounds * kTakes * 2 * kPixels * kOutputs * 16;
}

}  // namespace upres::cuda
