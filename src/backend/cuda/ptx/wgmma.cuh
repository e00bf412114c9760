// SPDX-License-Identifier: Apache-2.0
// Hopper's tensor cores: one instruction of a warpgroup (four warps) multiplies 64 pixels by up to
// 256 outputs, both operands in shared memory. One instruction a function.
#pragma once

#include <cstdint>

namespace upres::cuda::ptx {

/// How an operand lies in shared memory (PTX ISA, "Matrix descriptor format"), less its address.
/// Offsets in bytes: `leading` from one 16-byte column of eight rows to the next (not used with a
/// swizzle), `stride` from eight rows to the next eight.
enum class Swizzle : uint32_t { none = 0, bytes64 = 2, bytes32 = 3 };
constexpr uint32_t descriptor_high(uint32_t stride, Swizzle swizzle) {
  return stride >> 4 | uint32_t(swizzle) << 30;
}
constexpr uint32_t descriptor_low(uint32_t address, uint32_t leading) {
  return (address & 0x3ffff) >> 4 | leading >> 4 << 16;
}
__device__ inline uint64_t descriptor(uint32_t low, uint32_t high) {
  return uint64_t(high) << 32 | low;
}

/// Before a warpgroup's first multiplication, and after it has touched the sums itself.
__device__ inline void fence_warpgroup() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commit_multiplications() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ void wait_multiplications() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// sums += A (64 pixels x 16 inputs) * B (16 inputs x kOutputs), fp16 in, fp32 sums. Lane 4 * g + q
/// of warp w holds of outputs 8 * j + 2 * q + e, at sums[4 * j + e], pixel 16 * w + g, and at
/// sums[4 * j + 2 + e] pixel 16 * w + g + 8.
template <int kOutputs>
__device__ void multiply_add(float (&sums)[kOutputs / 2], uint64_t a, uint64_t b);

// The registers of an instruction are written out one by one: four to a macro.
#define UPRES_SUMS4(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
template <>
__device__ inline void multiply_add<8>(float (&sums)[4], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {"
      "%0,%1,%2,%3"
      "}, %4, %5, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<16>(float (&sums)[8], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7"
      "}, %8, %9, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<24>(float (&sums)[12], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n24k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11"
      "}, %12, %13, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<32>(float (&sums)[16], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
      "}, %16, %17, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<48>(float (&sums)[24], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n48k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23"
      "}, %24, %25, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<64>(float (&sums)[32], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
      "}, %32, %33, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20), UPRES_SUMS4(24), UPRES_SUMS4(28)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<96>(float (&sums)[48], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n96k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,"
      "%40,%41,%42,%43,%44,%45,%46,%47"
      "}, %48, %49, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20), UPRES_SUMS4(24), UPRES_SUMS4(28), UPRES_SUMS4(32), UPRES_SUMS4(36),
        UPRES_SUMS4(40), UPRES_SUMS4(44)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<128>(float (&sums)[64], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,"
      "%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63"
      "}, %64, %65, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20), UPRES_SUMS4(24), UPRES_SUMS4(28), UPRES_SUMS4(32), UPRES_SUMS4(36),
        UPRES_SUMS4(40), UPRES_SUMS4(44), UPRES_SUMS4(48), UPRES_SUMS4(52), UPRES_SUMS4(56),
        UPRES_SUMS4(60)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<144>(float (&sums)[72], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n144k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,"
      "%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71"
      "}, %72, %73, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20), UPRES_SUMS4(24), UPRES_SUMS4(28), UPRES_SUMS4(32), UPRES_SUMS4(36),
        UPRES_SUMS4(40), UPRES_SUMS4(44), UPRES_SUMS4(48), UPRES_SUMS4(52), UPRES_SUMS4(56),
        UPRES_SUMS4(60), UPRES_SUMS4(64), UPRES_SUMS4(68)
      : "l"(a), "l"(b));
}
template <>
__device__ inline void multiply_add<192>(float (&sums)[96], uint64_t a, uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,"
      "%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
      "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
      "}, %96, %97, add, 1, 1, 0, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12), UPRES_SUMS4(16),
        UPRES_SUMS4(20), UPRES_SUMS4(24), UPRES_SUMS4(28), UPRES_SUMS4(32), UPRES_SUMS4(36),
        UPRES_SUMS4(40), UPRES_SUMS4(44), UPRES_SUMS4(48), UPRES_SUMS4(52), UPRES_SUMS4(56),
        UPRES_SUMS4(60), UPRES_SUMS4(64), UPRES_SUMS4(68), UPRES_SUMS4(72), UPRES_SUMS4(76),
        UPRES_SUMS4(80), UPRES_SUMS4(84), UPRES_SUMS4(88), UPRES_SUMS4(92)
      : "l"(a), "l"(b));
}

/// The same, A in registers: lane 4 * g + q of warp w has inputs 2 * q + {0, 1} of pixel 16 * w +
/// g, the same of pixel 16 * w + g + 8, and inputs 2 * q + {8, 9} of the two.
__device__ inline void multiply_add(float (&sums)[16], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
      "}, {%16,%17,%18,%19}, %20, add, 1, 1, 0;\n}"
      : UPRES_SUMS4(0), UPRES_SUMS4(4), UPRES_SUMS4(8), UPRES_SUMS4(12)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
#undef UPRES_SUMS4

}  // namespace upres::cuda::ptx
