//===- cast.h - work over tiles, as kernels want it -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_CAST_H
#define TE_RUNTIME_CUDA_CAST_H

#include "common/check.h"
#include "cuda/backend.h"
#include "cuda/blocks.h"
#include "cuda/device.h"
#include "cuda/kernels/params.h"
#include "cuda/microscaling.h"

#include <functional>

namespace te_rt {
namespace cuda {

inline CudaDevice &deviceOf(te_rt_context *context) {
  return static_cast<CudaDevice &>(*context->device);
}
template <typename T> T *data(const te_rt_tensor *tensor) {
  return tensor ? static_cast<T *>(tensor->data) : nullptr;
}

/// Bytes of one element of a type whose elements are whole bytes.
inline int64_t elementSize(te_rt_dtype dtype) { return bytesOf(dtype, 1); }

/// Copies in one launch, whatever their number; fills in each firstBlock.
Outcome copyAll(CudaDevice &device, std::vector<CopyItem> &items);

/// to[i * toRow + j * toCol] = from[i * fromRow + j * fromCol] of members of rows
/// x cols elements of `size` bytes. Each side is dense along one dimension;
/// where both are along the same, `size` is 4.
struct StridedMove {
  const void *from;
  void *to;
  int64_t rows, cols, members;
  int64_t fromRow, fromCol, toRow, toCol, fromMember, toMember;
  int size;
};
Outcome moveStrided(CudaDevice &device, StridedMove move);

/// Whether the groups from `first` to before `last` of offsets on the host ascend
/// within `capacity`.
Outcome checkOffsets(const int32_t *at, int64_t first, int64_t last,
                     int64_t capacity);
/// Offsets in device memory, uploaded where they lie on the host; nullptr for
/// none.
Outcome deviceOffsets(CudaDevice &device, const te_rt_tensor *offsets,
                      const int32_t **memory, Use use = Use::Offsets);

/// Arguments of quantize for one tensor; those absent are nullptr.
struct CastArguments {
  const te_rt_tensor *scale, *amax, *offsets;
  const te_rt_tensor *values, *scales, *valuesT, *scalesT, *amaxOut;
  int64_t member = -1;
  // of scales of 8 bits alone
  const te_rt_tensor *tensorAmax = nullptr, *tensorAmaxT = nullptr;
  bool squareBlocks = false, hadamard = false;
  const te_rt_tensor *rng = nullptr;
  int64_t rngStream = 0;
};

/// Fills in how a matrix of this shape is divided: packed, ragged or plain.
Outcome describeMatrix(CudaDevice &device, const te_rt_tensor &matrix,
                       const te_rt_tensor *offsets, int64_t member,
                       TileTask &task);
/// Tiles of `side` rows that cover the matrix, whatever its offsets say.
int64_t numTiles(const TileTask &task, int64_t side = kTile);

/// Scales of a matrix of rows x cols (of one member) as strides in its own
/// orientation. `transposed`: the data they belong to is stored transposed.
struct ScaleStrides {
  int32_t kind, scalePerGroup;
  int64_t strideRow, strideCol, member;
};
Outcome describeScales(const te_rt_tensor &scales, int64_t rows, int64_t cols,
                       bool ragged, bool transposed, ScaleStrides &strides);
/// One direction of a cast of rows x cols (of one member) to FP8.
Outcome describeOutput(const te_rt_tensor &values, const te_rt_tensor &scales,
                       int64_t rows, int64_t cols, bool ragged, bool columnwise,
                       CastOutput &out);
/// Scales that describeScales takes.
inline bool isTileScale(const te_rt_tensor &scales) {
  return scales.layout == TE_RT_TENSOR ||
         (scales.dtype == TE_RT_F32 &&
          (scales.block_rows == kTile || scales.block_cols == kTile) &&
          scales.block_rows <= kTile && scales.block_cols <= kTile);
}

/// The names of the kernels of one source: `cast` casts, `amax` finds amaxes;
/// with multi_ before, those that read a table of tasks.
struct CastKernels {
  const char *cast, *amax;
  int shared = 0;        // bytes of dynamic shared memory
  /// Stores what is cast, as it is; of rows that a function makes.
  std::function<Outcome(void *rows)> store = {};
  /// Blocks that take one tile after another (stream.cuh), so many on each SM.
  struct Stream {
    const char *kernel = nullptr;
    int perSm = 0, shared = 0;
  };
  /// Of more tiles than fit at a time; of any number, of one matrix that is cast
  /// to rows and columns in blocks of 128 elements.
  Stream stream = {}, both = {};
  /// Of BF16 as it lies in memory: there are kernels for aligned rows.
  bool isMatrix = false;
};

/// Casts of any number of matrices, described by describeMatrix and with their
/// sources set: one launch, or two where a tensor's scale comes from its amax.
class Cast {
public:
  Cast(CudaDevice &device, te_rt_dtype inputType, const float *noop,
       bool pow2Scales, double epsilon);
  Outcome add(TileTask task, CastArguments arguments);
  Outcome run(const CastKernels &kernels);
  size_t size() const { return tasks.size(); }

private:
  /// Casts matrices of aligned rows by kernels of their own (aligned.cpp);
  /// `done`: where one serves them.
  Outcome castAligned(bool finish, bool &done);
  Outcome castMatrix(bool isSame, bool finish);
  Outcome castList(bool isSame, bool finish, bool &done);
  /// Puts the tasks into `args`.
  Outcome setTable();
  Outcome launch(const char *kernel, Grid grid, bool finish);

  CudaDevice &device;
  MicroCast micro;
  BlockCast blocks;
  TileArgs args = {};
  std::vector<TileTask> tasks;
  int64_t tiles = 0, groups = 0;
  bool needsAmaxPass = false, finishes = false;
};

/// Enqueues a kernel that stores the rows of one matrix.
inline Outcome store(CudaDevice &device, TileArgs &args, const char *kernel,
                     int shared = 0) {
  args.task.tiles = numTiles(args.task);
  args.task.perAcross = inverseOf(args.task.tilesAcross);
  args.task.perMember = inverseOf(args.task.tilesPerMember);
  return device.launch(kernel, {args.task.tiles, kTileThreads, shared}, args);
}

/// "cast_bf16" or "cast_f32" by type.
inline const char *byType(te_rt_dtype dtype, const char *bf16,
                          const char *f32) {
  return dtype == TE_RT_BF16 ? bf16 : f32;
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_CAST_H
