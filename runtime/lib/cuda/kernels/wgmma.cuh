//===- wgmma.cuh - copy engine, barriers and tensor cores of sm_90a -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin names for the instructions that a pipelined product uses. Shared memory
// is addressed by 32 bits throughout.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WGMMA_CUH
#define TE_RUNTIME_CUDA_KERNELS_WGMMA_CUH

#include "cuda/kernels/grouped_params.h"

#include <type_traits>

namespace te_rt {
namespace cuda {
namespace hopper {

__device__ inline uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

__device__ inline void initBarrier(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier),
               "r"(arrivals));
}
__device__ inline void expectBytes(uint32_t barrier, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
      "r"(bytes)
      : "memory");
}
__device__ inline void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}
/// The same address in block `rank` of the cluster.
__device__ inline uint32_t addressIn(uint32_t address, uint32_t rank) {
  uint32_t there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(there)
               : "r"(address), "r"(rank));
  return there;
}
/// Writes to memory of another block, and tells its barrier.
__device__ inline void sendThere(uint32_t to, int value, uint32_t barrier) {
  asm volatile("st.shared::cluster.s32 [%0], %1;\n"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%2];" ::
                   "r"(to),
               "r"(value), "r"(barrier)
               : "memory");
}
/// Waits for what another block sends so.
__device__ inline void waitThere(uint32_t barrier, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, "
               "[%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}
/// On a barrier that addressIn told.
__device__ inline void arriveThere(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}
__device__ inline void wait(uint32_t barrier, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}
/// Whether the wait for this parity is over.
__device__ inline bool isDone(uint32_t barrier, uint32_t parity) {
  uint32_t done;
  asm volatile("{\n"
               ".reg .pred done;\n"
               "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
               "selp.b32 %0, 1, 0, done;\n"
               "}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return done;
}
/// Counts bytes as the copy engine does, for what threads have copied.
__device__ inline void completeBytes(uint32_t barrier, uint32_t bytes) {
  asm volatile("fence.acq_rel.cta;\n"
               "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(
                   barrier),
               "r"(bytes)
               : "memory");
}
__device__ inline void syncNamed(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
/// Counts the thread in without waiting for the others.
__device__ inline void arriveNamed(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ inline uint32_t clusterRank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
/// True for one lane of a warp, all of whose lanes ask. Of what it executes the
/// compiler knows that one thread does, which it does not by a comparison of
/// indexes: an instruction of the copy engine is then that, not a loop over the
/// lanes that might execute it.
__device__ inline bool isElected() {
  uint32_t elected;
  asm volatile("{\n"
               ".reg .pred p;\n"
               "elect.sync _|p, 0xffffffff;\n"
               "selp.b32 %0, 1, 0, p;\n"
               "}"
               : "=r"(elected));
  return elected;
}
/// After it, what threads of the cluster have done to each other's memory is done.
__device__ inline void syncCluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\n"
               "barrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}
/// The same in two halves, for barriers in memory that have just been made: these
/// have a fence of their own, and nothing else is ordered.
__device__ inline void arriveCluster() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ inline void waitCluster() {
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
}
/// The next launch of the stream may begin, once all blocks of this one have
/// said so or ended, if it waits by itself for this one's end: waitForLaunches.
__device__ inline void letNextBegin() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
/// Until all that was launched before is done, and what it wrote is there.
__device__ inline void waitForLaunches() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
/// F32 in shared memory, after the wait for it.
__device__ inline float readShared(uint32_t from) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(from) : "memory");
  return value;
}
__device__ inline float2 readSharedPair(uint32_t from) {
  float2 v;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];"
               : "=f"(v.x), "=f"(v.y)
               : "r"(from)
               : "memory");
  return v;
}
__device__ inline uint4 readSharedWords(uint32_t from) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(from)
               : "memory");
  return v;
}
/// At once: the compiler may take apart what it wrote by itself.
__device__ inline void writeWords(void *to, uint4 v) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.x),
               "r"(v.y), "r"(v.z), "r"(v.w)
               : "memory");
}
__device__ inline float4 readSharedFour(uint32_t from) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(from)
               : "memory");
  return v;
}
/// What this thread wrote to shared memory, to the copy engine and tensor cores.
__device__ inline void fenceProxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
template <int Registers> __device__ inline void takeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers> __device__ inline void giveRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

__device__ inline void prefetchMap(const TensorMap *map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
/// What the L2 is to do with lines when it needs room.
struct Policy {
  uint64_t word;
};
__device__ inline Policy dropOldest() {
  Policy policy;
  asm volatile("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;"
               : "=l"(policy.word));
  return policy;
}
__device__ inline Policy dropLast() {
  Policy policy;
  asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;"
               : "=l"(policy.word));
  return policy;
}
__device__ inline Policy dropFirst() {
  Policy policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;"
               : "=l"(policy.word));
  return policy;
}
/// A box of the tensor at (x, y, z) to shared memory; `barrier` counts its bytes.
__device__ inline void loadBox(uint32_t to, const TensorMap *map,
                               uint32_t barrier, int x, int y, int z,
                               Policy policy) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::"
               "complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %4, %5}], "
               "[%2], %6;" ::"r"(to),
               "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z), "l"(policy.word)
               : "memory");
}
__device__ inline void loadBox(uint32_t to, const TensorMap *map,
                               uint32_t barrier, int x, int y, int z) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::"
               "complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
               "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z)
               : "memory");
}
/// The same, to the same place of both blocks of the cluster.
__device__ inline void loadBoxToBoth(uint32_t to, const TensorMap *map,
                                     uint32_t barrier, int x, int y, int z,
                                     Policy policy) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::"
      "bytes.multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4, %5}], [%2], "
      "%6, %7;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z),
      "h"(static_cast<uint16_t>(3)), "l"(policy.word)
      : "memory");
}
__device__ inline void loadBoxToBoth(uint32_t to, const TensorMap *map,
                                     uint32_t barrier, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::"
      "bytes.multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z),
      "h"(static_cast<uint16_t>(3))
      : "memory");
}
__device__ inline void storeBox(const TensorMap *map, uint32_t from, int x,
                                int y, int z) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group "
               "[%0, {%2, %3, %4}], [%1];" ::"l"(map),
               "r"(from), "r"(x), "r"(y), "r"(z)
               : "memory");
}
__device__ inline void storeBox(const TensorMap *map, uint32_t from, int x,
                                int y, int z, Policy policy) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group."
               "L2::cache_hint [%0, {%2, %3, %4}], [%1], %5;" ::"l"(map),
               "r"(from), "r"(x), "r"(y), "r"(z), "l"(policy.word)
               : "memory");
}
__device__ inline void commitStores() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
/// Until stores have read shared memory.
__device__ inline void waitStoresRead() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void waitStores() {
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}
/// `bytes` in a row; addresses and length are multiples of 16.
__device__ inline void loadRow(uint32_t to, const void *from, uint32_t bytes,
                               uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
               "bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from), "r"(bytes), "r"(barrier)
               : "memory");
}
__device__ inline void storeMatrices(uint32_t to, uint32_t a, uint32_t b,
                                     uint32_t c, uint32_t d) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
          to),
      "r"(a), "r"(b), "r"(c), "r"(d)
      : "memory");
}

//===----------------------------------------------------------------------===//
// Tensor cores
//===----------------------------------------------------------------------===//

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
/// Keeps the compiler from computing a value again where it is used.
template <typename T> __device__ inline void keep(T &value) {
  if constexpr (std::is_floating_point_v<T>)
    asm volatile("" : "+f"(value));
  else if constexpr (sizeof(T) == 8)
    asm volatile("" : "+l"(value));
  else
    asm volatile("" : "+r"(value));
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
