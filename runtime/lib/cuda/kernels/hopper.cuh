//===- hopper.cuh - copy engine and barriers of sm_90a ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin names for the instructions that a pipelined product uses. Shared memory
// is addressed by 32 bits throughout.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_HOPPER_CUH
#define TE_RUNTIME_CUDA_KERNELS_HOPPER_CUH

#include "cuda/kernels/grouped_params.h"

#include <type_traits>

namespace te_rt {
namespace cuda {
namespace hopper {

/// Keeps the compiler from computing a value again where it is used.
template <typename T> __device__ inline void keep(T &value) {
  if constexpr (std::is_floating_point_v<T>)
    asm volatile("" : "+f"(value));
  else if constexpr (sizeof(T) == 8)
    asm volatile("" : "+l"(value));
  else
    asm volatile("" : "+r"(value));
}
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

} // namespace hopper
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_HOPPER_CUH
