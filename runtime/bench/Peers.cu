//===- Peers.cu - routing maps by the CUDA toolkit's own means ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What one writes today with CUB: a radix sort of pairs by expert, then the ends
// of experts in the sorted ids, and the inverse of the order. C functions that
// tools/scripts/gpu-peers.py calls; they return a cudaError_t.
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cub/device/device_radix_sort.cuh>

namespace {
/// Counts by binary search in the sorted experts, offsets rounded up; one block.
__global__ void offsetsOf(const int32_t *sorted, int64_t pairs, int32_t experts,
                          int32_t alignment, int32_t *counts, int32_t *offsets) {
  auto firstOf = [&](int32_t expert) {
    int64_t low = 0, high = pairs;
    while (low < high) {
      int64_t middle = (low + high) / 2;
      if (sorted[middle] < expert)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  };
  for (int e = threadIdx.x; e < experts; e += blockDim.x)
    counts[e] = static_cast<int32_t>(firstOf(e + 1) - firstOf(e));
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t at = 0;
    for (int e = 0; e < experts; ++e) {
      offsets[e] = at;
      at += (counts[e] + alignment - 1) / alignment * alignment;
    }
    offsets[experts] = at;
  }
}

/// rowMap[pair] = where the pair stands among those of its expert, padded.
__global__ void rowsOf(const int32_t *sorted, const int32_t *order,
                       int64_t pairs, int32_t experts, const int32_t *counts,
                       const int32_t *offsets, int32_t *rowMap) {
  extern __shared__ int32_t starts[]; // of experts in the sorted ids
  if (threadIdx.x == 0) {
    int32_t at = 0;
    for (int e = 0; e < experts; ++e) {
      starts[e] = at;
      at += counts[e];
    }
  }
  __syncthreads();
  int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x;
  if (i < pairs) {
    int32_t expert = sorted[i];
    rowMap[order[i]] = offsets[expert] + static_cast<int32_t>(i) - starts[expert];
  }
}
} // namespace

/// Of `pairs` ids below `experts`; `order` holds 0, 1, ... and `scratch` `bytes`,
/// which are set, and nothing runs, where `scratch` is null.
extern "C" int te_peer_routing_map(const int32_t *ids, const int32_t *order,
                                   int32_t *sortedIds, int32_t *sortedOrder,
                                   int32_t *rowMap, int32_t *counts,
                                   int32_t *offsets, int64_t pairs,
                                   int32_t experts, int32_t alignment,
                                   void *scratch, size_t *bytes, void *stream) {
  auto work = static_cast<cudaStream_t>(stream);
  int bits = 1;
  while (1 << bits < experts)
    ++bits;
  cudaError_t error = cub::DeviceRadixSort::SortPairs(
      scratch, *bytes, ids, sortedIds, order, sortedOrder, pairs, 0, bits, work);
  if (error != cudaSuccess || !scratch)
    return error;
  offsetsOf<<<1, 512, 0, work>>>(sortedIds, pairs, experts, alignment, counts,
                                 offsets);
  rowsOf<<<static_cast<unsigned>((pairs + 255) / 256), 256,
           experts * sizeof(int32_t), work>>>(sortedIds, sortedOrder, pairs,
                                              experts, counts, offsets, rowMap);
  return cudaGetLastError();
}
