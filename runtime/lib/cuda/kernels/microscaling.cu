//===- microscaling.cu - casts to MXFP8 and NVFP4 -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quantize and multi_cast_transpose under scales of 8 bits, in any layout: one
// launch for MXFP8, two for NVFP4, whose scales stand under the amax of the tensor.
// Casts of rows that another function makes are beside that function's source.
//
//   work      tiles of 128 x 128, both directions from one read; the tile stays in
//             registers
//   moves     BF16 to MXFP8: 2 + 1 B for each element and 1/32 B of scales; both
//             ways 2 + 1 + 1 B. To NVFP4: 2 B for the amax, then 2 + 1/2 B, both
//             ways 2 + 1/2 + 1/2 B, and 1/16 B of scales for each direction
//   bound     memory: 32768 x 7168 to MXFP8 both ways moves 954 MB, 223 us at the
//             4.28 TB/s of a copy on an H200; NVFP4 both ways 1204 MB, 281 us
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_sink.cuh"
#include "cuda/kernels/sources.cuh"

using namespace te_rt::cuda;

namespace {
/// Elements of a matrix in memory.
template <typename T> struct MatrixSource {
  using Element = T;
  static constexpr int kParts = 1;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[1]) {
    const T *base = static_cast<const T *>(task.source.input) +
                    (place.member * task.rows + place.row0) * task.cols +
                    place.col0;
    bool vector = isVector(base, task.cols);
    int row0 = place.threadRow(), col0 = place.threadCol();
#pragma unroll
    for (int i = 0; i < 8; ++i)
      loadRow(base + (row0 + i) * task.cols + col0,
              row0 + i < place.rows ? place.cols - col0 : 0, vector, pieces[0],
              i);
  }
};
} // namespace

TE_RT_MICRO_KERNEL(mx_cast_bf16, MatrixSource<BF16>, Mxfp8, 3)
TE_RT_MICRO_KERNEL(mx_cast_f32, MatrixSource<float>, Mxfp8, 2)
TE_RT_MICRO_KERNEL(mx_requantize_bf16, CodeSource<BF16>, Mxfp8, 3)
TE_RT_MICRO_KERNEL(mx_requantize_f32, CodeSource<float>, Mxfp8, 2)
TE_RT_MICRO_KERNEL(nv_cast_bf16, MatrixSource<BF16>, Nvfp4, 2)
TE_RT_MICRO_KERNEL(nv_cast_f32, MatrixSource<float>, Nvfp4, 1)
TE_RT_MICRO_KERNEL(nv_amax_bf16, MatrixSource<BF16>, Nvfp4Amax, 3)
TE_RT_MICRO_KERNEL(nv_amax_f32, MatrixSource<float>, Nvfp4Amax, 2)
