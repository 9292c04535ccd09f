//===- bulk.cuh - copies of rows to and from shared memory ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One thread starts a copy of any number of bytes: addresses and sizes are
// multiples of 16.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_BULK_CUH
#define TE_RUNTIME_CUDA_KERNELS_BULK_CUH

#include <cstdint>

namespace te_rt {
namespace cuda {
namespace bulk {

__device__ inline uint32_t addressOf(const void *shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}
/// One thread makes a barrier, before a barrier of all that wait for it.
__device__ inline void init(uint64_t &barrier, uint32_t arrivals = 1) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n"
               "fence.mbarrier_init.release.cluster;" ::"r"(addressOf(&barrier)),
               "r"(arrivals)
               : "memory");
}
__device__ inline void arrive(uint64_t &barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(
                   addressOf(&barrier))
               : "memory");
}
/// Copies to shared memory; `barrier` completes a phase when all is there.
__device__ inline void load(void *to, const void *from, uint32_t bytes,
                            uint64_t &barrier) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   addressOf(&barrier)),
               "r"(bytes)
               : "memory");
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
               "bytes [%0], [%1], %2, [%3];" ::"r"(addressOf(to)),
               "l"(from), "r"(bytes), "r"(addressOf(&barrier))
               : "memory");
}
__device__ inline void wait(const uint64_t &barrier, uint32_t parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(addressOf(&barrier)),
               "r"(parity)
               : "memory");
}
/// What this thread has written to shared memory may be stored after this, by
/// others after a barrier.
__device__ inline void publish() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ inline void store(void *to, const void *from, uint32_t bytes) {
  asm volatile(
      "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to),
      "r"(addressOf(from)), "r"(bytes)
      : "memory");
}
/// Until what this thread stores has been read.
__device__ inline void waitRead() {
  asm volatile("cp.async.bulk.commit_group;\n"
               "cp.async.bulk.wait_group.read 0;" ::
                   : "memory");
}

} // namespace bulk
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_BULK_CUH
