//===- wgmma.cuh - tensor cores of sm_90a -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin names for their instructions, as hopper.cuh has them for the others.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WGMMA_CUH
#define TE_RUNTIME_CUDA_KERNELS_WGMMA_CUH

#include "cuda/kernels/hopper.cuh"

namespace te_rt {
namespace cuda {
namespace hopper {

enum class Element { E4M3, E5M2, BF16 };
/// Which dimension of an operand is contiguous: its reduction, or the other.
enum class Major { Reduction, Outer };

/// The low half of the descriptor of an operand in shared memory, in 128-byte rows,
/// swizzled by 128 bytes. Reduction: a row for each outer index. Outer: boxes of 64
/// rows of 64 outer indices. Addresses count in 16 bytes.
template <Major major> __device__ inline uint32_t describe(uint32_t address) {
  // Above 18 bits, the address tells the block of the cluster.
  return (major == Major::Reduction ? 1 : 512) << 16 | (address >> 4 & 0x3fff);
}
/// What to add to a descriptor to go to the next 32 bytes of the reduction.
template <Major major>
constexpr uint32_t kNextStep = major == Major::Reduction ? 2 : 128;

__device__ inline void fenceRegisters() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Pending> __device__ inline void waitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
/// Keeps the compiler from moving uses of accumulators across.
template <int N> __device__ inline void pin(float (&sums)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i)
    asm volatile("" : "+f"(sums[i])::"memory");
}

// clang-format off
#define TE_OUT8(i)                                                             \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]),                  \
  "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define TE_REGISTERS_64 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TE_OUT_64 \
  TE_OUT8(0), TE_OUT8(8), TE_OUT8(16), TE_OUT8(24)
#define TE_REGISTERS_128 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TE_OUT_128 \
  TE_OUT8(0), TE_OUT8(8), TE_OUT8(16), TE_OUT8(24), \
  TE_OUT8(32), TE_OUT8(40), TE_OUT8(48), TE_OUT8(56)
#define TE_REGISTERS_192 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define TE_OUT_192 \
  TE_OUT8(0), TE_OUT8(8), TE_OUT8(16), TE_OUT8(24), \
  TE_OUT8(32), TE_OUT8(40), TE_OUT8(48), TE_OUT8(56), \
  TE_OUT8(64), TE_OUT8(72), TE_OUT8(80), TE_OUT8(88)
#define TE_REGISTERS_256 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define TE_OUT_256 \
  TE_OUT8(0), TE_OUT8(8), TE_OUT8(16), TE_OUT8(24), \
  TE_OUT8(32), TE_OUT8(40), TE_OUT8(48), TE_OUT8(56), \
  TE_OUT8(64), TE_OUT8(72), TE_OUT8(80), TE_OUT8(88), \
  TE_OUT8(96), TE_OUT8(104), TE_OUT8(112), TE_OUT8(120)
#define TE_WGMMA(cols, a, b, add, shape, immediates)                           \
  asm volatile("{\n.reg .pred p;\n.reg .b64 a, b;\n"                           \
               "setp.ne.b32 p, %" add ", 0;\n"                                 \
               /* Groups of eight rows are 1024 bytes apart. */                \
               "mov.b64 a, {%" a ", 0x40000040};\n"                            \
               "mov.b64 b, {%" b ", 0x40000040};\n"                            \
               "wgmma.mma_async.sync.aligned." shape " {" TE_REGISTERS_##cols    \
               "}, a, b, p, " immediates ";\n}"                                \
               : TE_OUT_##cols                                                 \
               : "r"(lhs), "r"(rhs), "r"(accumulates))
// clang-format on

/// d (+)= lhs * rhs over 32 bytes of reduction: 64 rows of FP8, and of columns
/// twice the number of registers.
#define TE_MULTIPLY_FP8(cols, a, b, add)                                        \
  template <Element lhsType, Element rhsType>                                  \
  __device__ inline void multiply(float (&d)[cols / 2], uint32_t lhs,          \
                                  uint32_t rhs, int accumulates) {             \
    if constexpr (lhsType == Element::E5M2)                                    \
      TE_WGMMA(cols, a, b, add, "m64n" #cols "k32.f32.e5m2.e4m3", "1, 1");     \
    else if constexpr (rhsType == Element::E5M2)                               \
      TE_WGMMA(cols, a, b, add, "m64n" #cols "k32.f32.e4m3.e5m2", "1, 1");     \
    else                                                                       \
      TE_WGMMA(cols, a, b, add, "m64n" #cols "k32.f32.e4m3.e4m3", "1, 1");     \
  }
TE_MULTIPLY_FP8(64, "32", "33", "34")
TE_MULTIPLY_FP8(128, "64", "65", "66")
TE_MULTIPLY_FP8(192, "96", "97", "98")
/// d = lhs * rhs over 8 BF16, rows lane / 4 and 8 below of lhs in registers; rhs
/// in shared memory, 16 bytes for each of 128 columns, its address counted in 16
/// bytes. The instruction takes 16: the second 8 of lhs are zero, and those of
/// rhs the first 8 again. The registers of lhs are read until the product is
/// there.
__device__ inline void multiplyFactors(float (&d)[64], uint32_t upper,
                                       uint32_t lower, uint32_t rhs) {
  asm volatile(
      "{\n.reg .pred p;\n.reg .b32 zero;\n.reg .b64 b;\n"
      "setp.ne.b32 p, 0, 0;\n"
      "mov.b32 zero, 0;\n"
      /* Groups of eight columns are 128 bytes apart. */
      "mov.b64 b, {%66, 8};\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{" TE_REGISTERS_128 "}, {%64, %65, zero, zero}, b, p, 1, 1, 0;\n}"
      : TE_OUT_128
      : "r"(upper), "r"(lower), "r"(rhs & 0x3fff));
}
/// 256 columns of BF16.
template <Major lhsMajor, Major rhsMajor>
__device__ inline void multiply(float (&d)[128], uint32_t lhs, uint32_t rhs,
                                int accumulates) {
  if constexpr (lhsMajor == Major::Reduction && rhsMajor == Major::Reduction)
    TE_WGMMA(256, "128", "129", "130", "m64n256k16.f32.bf16.bf16", "1, 1, 0, 0");
  else if constexpr (lhsMajor == Major::Reduction)
    TE_WGMMA(256, "128", "129", "130", "m64n256k16.f32.bf16.bf16", "1, 1, 0, 1");
  else if constexpr (rhsMajor == Major::Reduction)
    TE_WGMMA(256, "128", "129", "130", "m64n256k16.f32.bf16.bf16", "1, 1, 1, 0");
  else
    TE_WGMMA(256, "128", "129", "130", "m64n256k16.f32.bf16.bf16", "1, 1, 1, 1");
}

#undef TE_MULTIPLY_FP8
#undef TE_WGMMA
#undef TE_OUT_256
#undef TE_REGISTERS_256
#undef TE_OUT_192
#undef TE_REGISTERS_192
#undef TE_OUT_128
#undef TE_REGISTERS_128
#undef TE_OUT_64
#undef TE_REGISTERS_64
#undef TE_OUT8

} // namespace hopper
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WGMMA_CUH
