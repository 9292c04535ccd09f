//===- emulated_gemm.cu - products of MXFP8 and NVFP4 by BF16 -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For GPUs that have no product of these formats. A code times its scale is BF16
// exactly: E4M3 has 4 bits of precision and E5M2 3, times a power of two; E2M1
// times E4M3 has 6. (Below 2^-133, which BF16 has not, it is rounded.) So operands
// become BF16 on their way to shared memory, tensor cores multiply them, and sums
// are F32.
//
//   work      a block for 128 x 128 of the result of one group, in steps of 64
//             along the reduction; groups' extents are read on the device
//   moves     each operand once for each 128 rows or columns of the result
//   bound     tensor cores, at the rate of mma.sync, and conversions: 3 operations
//             for each element of an operand tile
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/microscaling.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256, kSide = 128, kDepth = 64;
// 16 bytes more than the data, so that eight rows meet all banks.
constexpr int kPitch = kDepth + 8, kPitchTransposed = kSide + 8;
constexpr int kOperandElements =
    kSide * kPitch > kDepth * kPitchTransposed ? kSide * kPitch
                                               : kDepth * kPitchTransposed;

struct Shared {
  uint16_t lhs[kOperandElements], rhs[kOperandElements]; // BF16
  float scales[2][2][kSide]; // transposed operands: of each 32 of the reduction
};

/// What a block works on.
struct Work {
  EmulatedGroup group;
  int index;             // of the group
  int64_t row0, rowEnd;  // of the result
  int64_t col0;
  int64_t begin, length; // of the reduction
};

/// The part of an operand's tile that a thread converts: 32 codes that lie next to
/// one another, and scales.
template <bool Fp4, bool Transposed> class Loader {
public:
  static constexpr int kBlock = Fp4 ? 16 : 32;

  __device__ Loader(const EmulatedSide &side, const uint8_t *codes,
                    const uint8_t *scales, int64_t outer0, int64_t outerEnd,
                    const Work &work, bool restarts)
      : side(side), codes(codes), scales(scales), outer0(outer0),
        outerEnd(outerEnd), begin(work.begin), length(work.length),
        tilesAcross(side.tilesAcross) {
    if (!restarts)
      return;
    scaleBase = side.paddedOuter * (begin / (kBlock * 4) * 4);
    tilesAcross = (length + kBlock * 4 - 1) / (kBlock * 4);
  }

  __device__ void fetch(int64_t k0) {
    int64_t line, at; // of the matrix as stored, and in it
    int64_t left;
    if (Transposed) {
      line = k0 + threadIdx.x / 4;
      at = outer0 + threadIdx.x % 4 * 32;
      left = line < length ? outerEnd - at : 0;
      line += begin;
      int64_t outer = outer0 + threadIdx.x % kSide;
      int64_t k = k0 + threadIdx.x / kSide * 32;
      scale = outer < outerEnd && k < length ? scaleOf(outer, k) : 0;
    } else {
      line = outer0 + threadIdx.x / 2;
      int64_t k = k0 + threadIdx.x % 2 * 32;
      left = line < outerEnd ? length - k : 0;
      at = begin + k;
      scale = left > 0 ? scaleOf(line, k) : 0;
      if (Fp4 && left > 16)
        scale |= scaleOf(line, k + 16) << 8;
    }
    const uint8_t *from = codes + (line * side.stride + at) / (Fp4 ? 2 : 1);
    bool vector = left >= 32 && reinterpret_cast<uintptr_t>(from) % 16 == 0;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      if (vector)
        held[v] = *(reinterpret_cast<const uint4 *>(from) + v);
      else
        held[v] = fetchBytes(from + v * 16,
                             (left + (Fp4 ? 1 : 0)) / (Fp4 ? 2 : 1) - v * 16);
  }

  /// Scales of a transposed operand, for all threads.
  __device__ void shareScales(float (&shared)[2][kSide]) const {
    if (Transposed)
      shared[threadIdx.x / kSide][threadIdx.x % kSide] = valueOfE8M0(scale);
  }

  __device__ void store(uint16_t *to, const float (&shared)[2][kSide]) const {
    uint32_t words[16];
    const uint32_t *in = &held[0].x;
    if constexpr (Fp4) {
#pragma unroll
      for (int w = 0; w < 16; ++w) {
        // E2M1 as the upper bits of F16 is 2^-14 times its value.
        uint32_t pair = in[w / 4] >> (w % 4 * 8);
        uint32_t halves = (pair & 7) << 9 | (pair & 8) << 12 |
                          (pair & 0x70) << 21 | (pair & 0x80) << 24;
        float2 values = __half22float2(*reinterpret_cast<__half2 *>(&halves));
        float factor =
            valueOfE4M3(w < 8 ? scale & 0xff : scale >> 8) * 16384.0f;
        words[w] = packBf16(values.x * factor, values.y * factor);
      }
    } else {
      const float *lineScales =
          shared[threadIdx.x / kSide] + threadIdx.x % 4 * 32;
#pragma unroll
      for (int w = 0; w < 16; ++w) {
        float2 values = decodePair(in[w / 2] >> (w % 2 * 16), side.e5m2);
        float first = Transposed ? lineScales[2 * w] : valueOfE8M0(scale);
        float second = Transposed ? lineScales[2 * w + 1] : first;
        words[w] = packBf16(values.x * first, values.y * second);
      }
    }
    uint16_t *line =
        Transposed ? to + threadIdx.x / 4 * kPitchTransposed + threadIdx.x % 4 * 32
                   : to + threadIdx.x / 2 * kPitch + threadIdx.x % 2 * 32;
#pragma unroll
    for (int v = 0; v < 4; ++v)
      reinterpret_cast<uint4 *>(line)[v] = make_uint4(
          words[4 * v], words[4 * v + 1], words[4 * v + 2], words[4 * v + 3]);
  }

private:
  static constexpr int kVectors = Fp4 ? 1 : 2;

  __device__ uint32_t scaleOf(int64_t outer, int64_t k) const {
    int64_t at = scaleBase + swizzledPlace(outer, k / kBlock, tilesAcross);
    // Offsets that are no multiples of 128 must not lead out of the tensor.
    return scales[at < side.scaleBytes ? at : side.scaleBytes - 1];
  }
  __device__ static uint4 fetchBytes(const uint8_t *from, int64_t count) {
    uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 16; ++i)
      if (i < count)
        words[i / 4] |= static_cast<uint32_t>(from[i]) << (i % 4 * 8);
    return make_uint4(words[0], words[1], words[2], words[3]);
  }

  const EmulatedSide &side;
  const uint8_t *codes, *scales;
  int64_t outer0, outerEnd, begin, length, tilesAcross, scaleBase = 0;
  uint4 held[kVectors];
  uint32_t scale = 0;
};

__device__ void loadMatrices(uint32_t (&out)[4], const uint16_t *from,
                             bool transposed) {
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(from));
  if (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address));
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address));
}
__device__ void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0,
                         uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Eight warps, two down and four across: 64 x 32 of the result each.
struct Sums {
  float of[4][4][4];
};

template <bool TransposedLhs, bool TransposedRhs>
__device__ void multiplyStep(const Shared &shared, Sums &sums) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int row0 = warp / 4 * 64, col0 = warp % 4 * 32;
  int line = lane % 8, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    uint32_t a[4][4], b[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int row = row0 + i * 16;
      loadMatrices(a[i],
                   TransposedLhs
                       ? shared.lhs + (k + line + high) * kPitchTransposed +
                             row + low
                       : shared.lhs + (row + line + low) * kPitch + k + high,
                   TransposedLhs);
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      int col = col0 + j * 16;
      loadMatrices(b[j],
                   TransposedRhs
                       ? shared.rhs + (k + line + low) * kPitchTransposed + col +
                             high
                       : shared.rhs + (col + line + high) * kPitch + k + low,
                   TransposedRhs);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        multiply(sums.of[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
  }
}

/// Which group and tile a block has; false: none.
__device__ bool locateWork(const EmulatedArgs &args, Work &work) {
  uint32_t across = static_cast<uint32_t>(args.tilesAcross);
  int64_t slot = blockIdx.x / across;
  work.col0 = int64_t(blockIdx.x - slot * across) * kSide;
  auto offset = [&](int64_t g, int64_t capacity) {
    int64_t at = args.offsets[g];
    return at < 0 ? 0 : at > capacity ? capacity : at;
  };
  work.begin = 0;
  work.length = args.reduction;
  work.row0 = slot * kSide;
  work.rowEnd = args.lhs.outer;
  work.index = 0;
  if (args.ragged == 1) {
    // Tiles of groups number as in tile.cuh.
    int64_t capacity = args.lhs.outer;
    if (args.member >= 0) {
      work.index = args.member;
    } else {
      auto first = [&](int64_t g) { return offset(g, capacity) / kSide + g; };
      work.index = countUpTo(args.groups, slot, first) - 1;
      if (work.index < 0)
        return false;
      slot -= first(work.index);
    }
    work.row0 = offset(work.index, capacity) + slot * kSide;
    work.rowEnd = offset(work.index + 1, capacity);
    if (work.row0 >= work.rowEnd)
      return false;
  } else if (args.ragged == 2) {
    work.index = args.member >= 0 ? args.member
                                  : static_cast<int>(slot / args.tilesDown);
    work.row0 = slot % args.tilesDown * kSide;
    work.begin = offset(work.index, args.reduction);
    int64_t length = offset(work.index + 1, args.reduction) - work.begin;
    work.length = length > 0 ? length : 0;
    if (work.length == 0 && args.accumulate)
      return false;
  }
  work.group = args.table ? args.table[work.index] : args.group;
  return true;
}

template <typename T>
__device__ void storeSum(const EmulatedArgs &args, const Work &work, int64_t row,
                         int64_t col, float sum) {
  T *out = static_cast<T *>(work.group.result) + row * args.rhs.outer + col;
  if (work.group.bias)
    sum += args.biasType == kGemmF32
               ? static_cast<const float *>(work.group.bias)[col]
               : toFloat(static_cast<const BF16 *>(work.group.bias)[col]);
  T rounded = fromFloat<T>(sum);
  *out = args.accumulate ? fromFloat<T>(toFloat(*out) + toFloat(rounded))
                         : rounded;
}

template <bool Fp4, bool TransposedLhs, bool TransposedRhs>
__device__ void runEmulated(const EmulatedArgs &args) {
  extern __shared__ uint4 memory[];
  Shared &shared = *reinterpret_cast<Shared *>(memory);
  Work work;
  if (!locateWork(args, work))
    return;
  bool restarts = args.ragged == 2;
  Loader<Fp4, TransposedLhs> lhs(args.lhs, work.group.lhs, work.group.lhsScales,
                                 work.row0, work.rowEnd, work, restarts);
  Loader<Fp4, TransposedRhs> rhs(args.rhs, work.group.rhs, work.group.rhsScales,
                                 work.col0, args.rhs.outer, work, restarts);
  Sums sums = {};
  if (work.length > 0) {
    lhs.fetch(0);
    rhs.fetch(0);
  }
  for (int64_t k = 0; k < work.length; k += kDepth) {
    if (TransposedLhs || TransposedRhs) {
      __syncthreads();
      lhs.shareScales(shared.scales[0]);
      rhs.shareScales(shared.scales[1]);
    }
    __syncthreads();
    lhs.store(shared.lhs, shared.scales[0]);
    rhs.store(shared.rhs, shared.scales[1]);
    if (k + kDepth < work.length) {
      lhs.fetch(k + kDepth);
      rhs.fetch(k + kDepth);
    }
    __syncthreads();
    multiplyStep<TransposedLhs, TransposedRhs>(shared, sums);
  }
  float alpha = 1.0f;
  if (Fp4)
    alpha = __fdiv_rn(
        __fmul_rn(args.lhs.amax[args.lhs.amaxPerGroup ? work.index : 0],
                  *work.group.rhsAmax),
        7225344.0f);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t row0 = work.row0 + warp / 4 * 64 + lane / 4;
  int64_t col0 = work.col0 + warp % 4 * 32 + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        int64_t row = row0 + i * 16 + e / 2 * 8, col = col0 + j * 8 + e % 2;
        if (row >= work.rowEnd || col >= args.rhs.outer)
          continue;
        float sum = sums.of[i][j][e] * alpha;
        if (args.resultType == kGemmF32)
          storeSum<float>(args, work, row, col, sum);
        else
          storeSum<BF16>(args, work, row, col, sum);
      }
}
} // namespace

#define TE_RT_EMULATED(name, fp4, transposedLhs, transposedRhs)                \
  extern "C" __global__ void __launch_bounds__(kThreads, 2)                    \
      name(const __grid_constant__ EmulatedArgs args) {                        \
    runEmulated<fp4, transposedLhs, transposedRhs>(args);                      \
  }

TE_RT_EMULATED(emulated_gemm_mx, false, false, false)
TE_RT_EMULATED(emulated_gemm_mx_r, false, false, true)
TE_RT_EMULATED(emulated_gemm_mx_l, false, true, false)
TE_RT_EMULATED(emulated_gemm_mx_lr, false, true, true)
TE_RT_EMULATED(emulated_gemm_nv, true, false, false)
