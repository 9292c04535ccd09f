//===- words.cuh - rows in words of 16 bytes --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WORDS_CUH
#define TE_RUNTIME_CUDA_KERNELS_WORDS_CUH

#include "cuda/kernels/numeric.cuh"

namespace te_rt {
namespace cuda {

constexpr int kRowThreads = 256;

/// Calls body(word type, count) for a row of `bytes`, in words of 16 bytes where
/// all rows are aligned for that.
template <typename Body>
__device__ inline void forWordType(uintptr_t alignment, int64_t bytes,
                                   Body body) {
  if (alignment % 16 == 0)
    body(uint4(), bytes / 16);
  else if (alignment % 4 == 0)
    body(uint32_t(), bytes / 4);
  else
    body(uint8_t(), bytes);
}
/// Calls body(word type, index) for each of these words.
template <typename Body>
__device__ inline void forWords(uintptr_t alignment, int64_t bytes, Body body) {
  forWordType(alignment, bytes, [&](auto word, int64_t words) {
    for (int64_t i = threadIdx.x; i < words; i += blockDim.x)
      body(word, i);
  });
}
template <typename T> __device__ inline T zeroOf();
template <> __device__ inline uint4 zeroOf<uint4>() { return make_uint4(0, 0, 0, 0); }
template <> __device__ inline uint32_t zeroOf<uint32_t>() { return 0; }
template <> __device__ inline uint8_t zeroOf<uint8_t>() { return 0; }

/// Adds `words` of a row to sums, as floats.
__device__ inline void add(float (&sums)[8], uint4 words, BF16) {
  const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    sums[2 * p] += lowOf(pairs[p]);
    sums[2 * p + 1] += highOf(pairs[p]);
  }
}
__device__ inline void add(float (&sums)[4], uint4 words, float) {
  sums[0] += __uint_as_float(words.x), sums[1] += __uint_as_float(words.y);
  sums[2] += __uint_as_float(words.z), sums[3] += __uint_as_float(words.w);
}
__device__ inline uint4 pack(const float (&sums)[8]) {
  return make_uint4(packBf16(sums[0], sums[1]), packBf16(sums[2], sums[3]),
                    packBf16(sums[4], sums[5]), packBf16(sums[6], sums[7]));
}
__device__ inline uint4 pack(const float (&sums)[4]) {
  return make_uint4(__float_as_uint(sums[0]), __float_as_uint(sums[1]),
                    __float_as_uint(sums[2]), __float_as_uint(sums[3]));
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WORDS_CUH
