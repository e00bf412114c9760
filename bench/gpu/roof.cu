// SPDX-License-Identifier: Apache-2.0
#include "roof.h"

#include "backend/cuda/ptx/mma_sync.cuh"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 132 * 2 * 4;  // of any GPU's multiprocessors some waves
constexpr int kRounds = 2000;
constexpr int kRows = 4;     // fragments of 16 pixels,
constexpr int kColumns = 4;  // and of 8 outputs, that every warp multiplies with each other

__device__ uint32_t next(uint32_t& state) {
  state = state * 1664525 + 1013904223;
  return state;
}

/// Two numbers of either sign, 1/8 to 1/2.
__device__ uint32_t two_halves(uint32_t& state) {
  return 0x30003000 | (next(state) >> 3 & 0x87ff87ff);
}

__global__ void __launch_bounds__(kThreads, 2) multiply(float* result) {
  uint32_t state = blockIdx.x * kThreads + threadIdx.x;
  uint32_t a[kRows][4];
  uint32_t b[kColumns][2];
  float sums[kRows][kColumns][4] = {};
  for (auto& row : a) {
    for (uint32_t& pair : row) pair = two_halves(state);
  }
  for (auto& column : b) {
    for (uint32_t& pair : column) pair = two_halves(state);
  }
#pragma unroll 1
  for (int round = 0; round < kRounds; ++round) {
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
#pragma unroll
      for (int column = 0; column < kColumns; ++column) {
        ptx::multiply_add(sums[row][column], a[row], b[column][0], b[column][1]);
      }
    }
  }
  float total = 0;
  for (auto& row : sums) {
    for (auto& column : row) {
      for (const float sum : column) total += sum;
    }
  }
  if (total == 1) *result = total;  // so that it is not all for nothing
}

}  // namespace

double launch_mma_sync_roof(cudaStream_t stream) {
  multiply<<<kBlocks, kThreads, 0, stream>>>(nullptr);
  check(cudaGetLastError(), "starting multiplications");
  return double(kBlocks) * (kThreads / 32) * kRounds * kRows * kColumns * 2 * 16 * 8 * 16;
}

}  // namespace upres::cuda
