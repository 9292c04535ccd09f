//===- params.h - arguments of kernels --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read by the host's compiler and by nvcc. A kernel takes one of these structs
// by value.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_PARAMS_H

#include <cstdint>

namespace te_rt {
namespace cuda {

/// Rows and columns of the part of a matrix that a block of threads takes: also
/// the largest block of scales.
constexpr int kTile = 128;
/// Rows that a thread holds, eight columns wide, and so threads of a block.
constexpr int kTileRows = 8;
constexpr int kTileThreads = kTile * 16 / kTileRows;
/// Of blocks that take one tile after another.
constexpr int kStreamThreads = kTileThreads + 32;
/// Rows and columns of a tile that a block has an SM for, which has so many
/// threads; bytes of shared memory that casts of them in both directions want, and
/// those of tiles of kTile.
constexpr int kLargeTile = 256, kLargeThreads = 1024, kLargePairShared = 88 * 1024,
              kPairShared = 20 * 1024;

/// Which elements share a scale, in the orientation of the input.
enum BlockKind : int32_t {
  kNoOutput,     // this direction is absent
  kWholeTensor,  // one scale for each group
  kRowBlocks,    // 1 x 128
  kColumnBlocks, // 128 x 1
  kSquareBlocks  // 128 x 128
};

/// One of the two outputs of a cast.
struct CastOutput {
  uint8_t *values;
  float *scales;
  int64_t stride;               // between rows of values as stored
  int64_t memberScales;         // between scales of packed members
  int64_t strideRow, strideCol; // of scales, between neighbouring blocks
  int32_t kind;                 // BlockKind
  int32_t transposed;
  int32_t e5m2;
  int32_t scalePerGroup; // kWholeTensor: scales has one for each group
  int32_t isEarly;       // needs no other warp, and no stage
};

/// Tokens that a row gathers, or where rows come from otherwise.
struct RowSource {
  const void *input;
  const int32_t *tokens; // gather: of each row, -1 for zeros
  // dequantize: scales of the codes in `input`
  const float *scales;
  int64_t strideRow, strideCol, memberScales;
  int32_t kind, scalePerGroup, e5m2;
  // activations
  const void *grad;
  const float *probs;
  float *gradProbs;
  float *partials;   // [rows of tiles, probTiles, kTile]
  uint32_t *tickets; // for each row of tiles; at zero between launches
  int64_t probTiles; // of the activation, across
  int64_t width;     // columns of the activation
};

/// What a kernel divides by `divisor` with.
inline uint32_t inverseOf(uint32_t divisor) {
  return divisor > 1 ? static_cast<uint32_t>((uint64_t(1) << 32) / divisor)
                     : UINT32_MAX;
}

/// A matrix, or `groups` of them: packed, or ragged with offsets.
struct TileTask {
  RowSource source;
  int64_t rows, cols;     // packed: of one member; ragged: the capacity
  uint32_t tilesAcross;    // of kTile columns
  uint32_t tilesPerMember; // packed
  uint32_t perAcross, perMember; // to divide by them: inverseOf
  int64_t firstTile;      // among the tiles of all tasks
  int64_t tiles;          // of this one
  const int32_t *offsets; // ragged; nullptr otherwise
  int64_t begin, end;     // ragged without offsets: the rows of `member`
  const int32_t *order;   // ragged: in which blocks of rows are taken; or none
  uint32_t band; // rows of tiles that are taken column by column; 0: one
  int32_t groups;         // members, or groups; 1 for a plain matrix
  int32_t member;         // -1 for all
  // outputs
  CastOutput out[2];
  int32_t findsColumns, findsSquares, findsAny; // amaxes
  int32_t isSame; // the codes of both directions
  void *output; // where rows are stored as they are
  int64_t outputStride;
  const float *multipliers; // kWholeTensor
  int32_t multiplierPerGroup;
  // amaxes: one accumulator for each group, at zero between launches
  uint32_t *accumulators;
  const float *amax;
  float *amaxOut;
  int32_t amaxPerGroup; // amax and amaxOut have one for each group
  // of the pass that chooses the multipliers of kWholeTensor
  float *chosen;         // [groups]
  float fp8MaxOfTensor;  // of the direction that chooses
  int32_t choosesLargest; // one scale for all groups
};

/// A task, or a table of them, whose tiles blocks take.
template <typename T> struct TaskArgs {
  using Task = T;
  Task task; // where there is no table
  const Task *table;
  const uint32_t *firstTiles; // of each task of the table
  int64_t numTasks;
  const float *noop;
  uint32_t *ticket; // counts blocks that are done; at zero between launches
};

struct TileArgs : TaskArgs<TileTask> {
  float epsilon, overflow; // overflow: of scales of blocks
  int32_t pow2;
  int32_t finishes; // the last block writes amaxes and scales of tensors
  // of kernels whose blocks take several tiles
  uint32_t tiles;
  uint32_t *counter; // of tiles beyond the first of each block; zero between
};

/// Rows of a matrix, and elements of a row, of activation_both.cu are fewer, so
/// that offsets within a tile fit 32 bits.
constexpr int64_t kBothStride = 1 << 24;
constexpr int kActivationThreads = 256;

/// Activations that are no casts: a block takes whole rows.
struct ActivationArgs {
  const void *grad, *input; // grad: backward
  void *output;
  const float *probs;
  float *gradProbs;
  const int32_t *offsets; // those of groups, or none
  int64_t rows, width;
  int32_t groups, blockRows;
  int32_t tiles;     // of kTile columns in a row
  uint32_t perParts; // to divide by 16 * tiles: inverseOf
};

/// One direction of a cast in blocks of any size, in the orientation of the input.
struct BlockCastArgs {
  TileTask task;
  uint8_t *values;
  float *scales;
  int64_t stride; // between rows of values as stored
  int64_t memberScales, strideRow, strideCol;
  int64_t chunkCols, chunks; // columns that a block of threads takes
  const float *noop;
  float epsilon, overflow;
  int32_t blockRows, blockCols;
  int32_t pow2, e5m2, transposed, ragged;
};

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

/// Scales of rows as a matrix with strides, in elements of `size` bytes.
struct RowScales {
  const void *from;
  void *to;
  int64_t fromRow, fromCol, toRow, toCol, cols;
  int32_t size;
};

/// Pairs of a token and a row that a block scatters.
constexpr int kBlockPairs = 256;
/// At most, so that four blocks of an SM keep their loads in registers.
constexpr int kUnpermuteThreads = 224;
/// In place of a row's token: padding has added the row.
constexpr int32_t kPadRow = -2;

/// permute and unpermute.
struct PermuteArgs {
  const void *input;
  void *output;
  int64_t rowBytes, cols, tokens, slots, capacity;
  const int32_t *rowMap; // [tokens, slots]
  const float *probs;
  float *outProbs;
  RowScales scales;       // from == nullptr: none
  const int32_t *counts;  // nullptr: no padding
  const int32_t *offsets;
  int32_t groups;
  int32_t padBlocks; // for each group
  int64_t blocks;    // unpermute: of each token
};

constexpr int kScatterThreads = 256;

/// permute, and permute_quantize to rows in blocks of 1 x 128, of rows that are
/// whole words of 16 bytes: a block takes some tokens, and a chunk of their
/// columns. `rows.rowBytes` is of the output; scales are F32.
struct ScatterArgs {
  PermuteArgs rows;
  int32_t blockTokens; // so many that a block has at most kBlockPairs
  int32_t chunks, chunkBytes, chunkScales;
  int64_t readBytes; // of a row of the input
  // Where gather_scales moves the scales: the token of each row, and, of a cast,
  // the scales of each token, one after another.
  int32_t *rowTokens;
  float *tokenScales;
  float padScale; // of rows that padding adds
  float epsilon, overflow;
  int32_t pow2, e5m2;
};

struct GatherScalesArgs {
  RowScales scales;
  const int32_t *tokens; // of each row; -1 for none
  int64_t rows;
  float padScale;
};

/// Fills tokens (of rows) from a row map, for gathers, and `order`.
struct InvertArgs {
  const int32_t *rowMap;
  int32_t *tokens;
  int32_t *order; // [blocks], or none
  int64_t blocks;
  int64_t pairs, slots, capacity;
  // the rest of permute_quantize that is no cast
  const float *probs;
  float *outProbs;
  const int32_t *counts, *offsets;
  int32_t groups;
};

struct MoveGroupsArgs {
  const void *input;
  void *output;
  int64_t rowBytes, inputRows, outputRows;
  const float *probs;
  float *outProbs;
  const int32_t *from, *to;
  int32_t groups;
};

struct RoutingArgs {
  const int32_t *indices;
  int32_t *rowMap, *counts, *offsets;
  int64_t pairs, alignment, capacity, pairsPerBlock;
  int32_t experts, warps;
  int32_t *blockCounts; // [blocks, experts]
  uint32_t *tickets;    // two words
  int32_t *overflow;
};

struct OffsetsArgs {
  const int32_t *counts;
  int32_t *offsets;
  int64_t experts, alignment;
};

struct CopyItem {
  const void *from;
  void *to;
  int64_t bytes, firstBlock;
};
struct CopyArgs {
  CopyItem item; // where there is no table
  const CopyItem *table;
  int64_t numItems;
};

struct FillArgs {
  void *output;
  int64_t elements;
  uint64_t bits;
  int32_t size;
};

/// to[j * toPitch + i] = from[i * fromPitch + j], or, of move_rows,
/// to[i * toPitch + j]: members of rows x cols elements.
struct MoveArgs {
  const void *from;
  void *to;
  int64_t rows, cols, members;
  int64_t fromPitch, toPitch, fromMember, toMember; // in elements
  uint32_t across, down; // tiles of a member
};

struct UpdateItem {
  const float *amax, *history, *scale;
  float *historyOut, *scaleOut;
  int64_t length, firstSlot;
};
struct UpdateArgs {
  UpdateItem item;
  const UpdateItem *table;
  int64_t numItems;
  float target; // fp8_max * 2^-margin
  int32_t mostRecent;
};

struct ScaleArgs {
  const float *amax;
  float *scale;
  int64_t elements;
  float fp8Max, epsilon;
  int32_t pow2;
};

struct RngArgs {
  const int64_t *from;
  int64_t *to;
  int64_t elements, by;
};

//===----------------------------------------------------------------------===//
// Communication: what lies with each rank, as this one finds it
//===----------------------------------------------------------------------===//

constexpr int kMaxRanks = 32, kMaxItems = 8;
constexpr int kMapTokens = 1024; // of a block of dispatch_count, dispatch_place

struct DispatchMapArgs {
  const int32_t *indices[kMaxRanks]; // [tokens, slots]
  int32_t *handle, *received;
  int32_t *counts; // [ranks * blocks of tokens, ranks]
  int64_t tokens, slots, experts;
  int32_t ranks, rank;
};

/// Rows of several tensors.
struct RowItem {
  const void *from[kMaxRanks];
  void *to;
  int64_t rowBytes, cols;
};

/// dispatch: to[handles[s][t, rank]] = from[s][t]. return_rows: to[s * tokens + t]
/// = from[rank][handles[s][t, rank]] for other ranks s. combine: to[t] = sum of
/// from[r][handles[rank][t, r]]; where `staged` says so, of from[r][t] for others.
struct ExchangeArgs {
  RowItem items[kMaxItems];
  const int32_t *handles[kMaxRanks]; // [tokens, ranks]
  int64_t tokens, capacity;          // capacity: received rows of a rank
  int32_t numItems, ranks, rank, staged;
};

/// output[i]: the largest of inputs[r][i].
struct ReduceArgs {
  const float *inputs[kMaxRanks];
  float *output;
  int64_t elements;
  int32_t ranks, rank;
};

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

enum GemmType : int32_t { kGemmF32, kGemmBf16, kGemmE4M3, kGemmE5M2 };

/// An operand as outer x inner (reduction) elements.
struct GemmOperand {
  const void *data;
  int64_t strideOuter, strideInner;
  const float *scales;
  int64_t scaleOuter, scaleInner; // between neighbouring blocks
  int32_t blockOuter, blockInner; // 0: one scale for each tensor or group
  int32_t raggedOuter, raggedInner;
  int32_t type, scalePerGroup;
};

/// One group of a product; begin and end of its rows or of its reduction.
struct GemmArgs {
  GemmOperand lhs, rhs;
  int64_t m, n, k;
  const int32_t *offsets; // begin and end, where the host does not know them
  int64_t begin, end, group;
  const void *bias;
  void *result;
  int32_t ragged, biasType, resultType, accumulate;
};

/// What cuBLASLt's grouped matmul reads on the device, an element for each
/// group.
struct GroupArrays {
  const void **lhs, **rhs;
  void **results;
  int32_t *m, *n, *k;
};
/// Groups of a reduction over BF16 rows, as these arrays. Written results of
/// groups without rows become 0, as nothing else writes them.
struct ProductGroupsArgs {
  const int32_t *offsets; // from the first group on
  const char *lhs, *rhs;
  void *const *results;
  int64_t groups, m, n;
  GroupArrays arrays;
  float *scales; // two: 1, and what is there times 1 or 0
  int32_t accumulate;
};

/// For each group, what a sum of FP4 is multiplied by, and what is added to it.
struct ProductFactorsArgs {
  const float *lhsAmax;
  const float *const *rhsAmaxes; // one for each group from firstGroup on
  float *factors;
  int64_t firstGroup, groups;
  int32_t lhsPerGroup, accumulate;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_PARAMS_H
