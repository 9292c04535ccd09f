//===- GroupedGemm.h - calls of grouped products ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TEST_RUNTIME_GROUPEDGEMM_H
#define TE_TEST_RUNTIME_GROUPEDGEMM_H

#include "Twin.h"
#include "common/context.h"
#include "common/scales.h"

namespace te_test {
using namespace te_rt;

enum class Scheme { Bf16, Tensor, RowSquare, RowRow };

struct Grouped {
  Scheme scheme;
  int64_t m, n, k; // m, or k over the reduction: the capacity
  int64_t ragged;
  std::vector<int32_t> offsets;
  te_rt_dtype result = TE_RT_BF16;
  bool accumulate = false, bias = false, packed = true;
  te_rt_dtype lhs = TE_RT_F8E4M3, rhs = TE_RT_F8E4M3;
  bool transposeLhs = false, transposeRhs = false;

  int64_t groups() const { return int64_t(offsets.size()) - 1; }
  bool overRows() const { return ragged == TE_RT_RAGGED_ROWS; }
  te_rt_dtype type(bool isLhs) const {
    return scheme == Scheme::Bf16 ? TE_RT_BF16 : isLhs ? lhs : rhs;
  }
  std::string name() const {
    std::string text =
        "scheme " + std::to_string(int(scheme)) + ", " + std::to_string(m) +
        " x " + std::to_string(n) + " over " + std::to_string(k) + ", ragged " +
        std::to_string(ragged) + ", result " + dtypeName(result) +
        (accumulate ? " +=" : "") + (bias ? ", bias" : "") +
        (packed ? "" : ", lists") + ", offsets";
    for (int32_t offset : offsets)
      text += " " + std::to_string(offset);
    return text;
  }
};

inline Tensor operandOf(te_rt_dtype type, std::vector<int64_t> shape,
                        unsigned seed) {
  Tensor tensor = values(TE_RT_F32, shape, seed), operand(type, shape);
  for (int64_t i = 0; i < operand.size(); ++i)
    operand.set(i, tensor.get(i) * (isFp8(type) ? 100 : 1));
  return operand;
}

/// Scales of many sizes, not powers of two.
inline Tensor scalesOf(std::vector<int64_t> shape, unsigned seed) {
  Tensor scales = values(TE_RT_F32, shape, seed);
  for (int64_t i = 0; i < scales.size(); ++i)
    scales.set(i, std::exp2(2 * scales.get(i)));
  return scales;
}

/// Where the arguments of a case stand.
struct Places {
  int lhs, lhsScales, rhs, rhsScales, bias, offsets, out;
  int rhsCount, outCount;
};

inline Tensor withScales(const Grouped &c, bool isLhs,
                         std::vector<int64_t> shape, int64_t members,
                         unsigned seed) {
  bool divided = !c.overRows() || isLhs;
  if (c.scheme == Scheme::Tensor) {
    std::vector<int64_t> each;
    if (divided)
      each = {c.groups()};
    else if (members)
      each = {members};
    return scalesOf(each, seed).scales(TE_RT_TENSOR);
  }
  te_rt_tensor like = {};
  like.layout = TE_RT_GEMM_READY;
  like.block_rows = c.scheme == Scheme::RowSquare && !isLhs ? 128 : 1;
  like.block_cols = 128;
  like.groups = c.overRows() ? 0 : int32_t(c.groups());
  std::vector<int64_t> scaleShape =
      ScaleGrid(like, shape[0], shape[1],
                c.overRows() ? Ragged::No : Ragged::Cols)
          .shape;
  if (members)
    scaleShape.insert(scaleShape.begin(), members);
  return scalesOf(scaleShape, seed)
      .scales(like.layout, like.block_rows, like.block_cols, like.groups);
}

inline Places build(const Grouped &c, Arguments &arguments, unsigned seed) {
  Places at = {};
  auto turned = [](std::vector<int64_t> shape, bool transposed) {
    if (transposed)
      std::swap(shape[0], shape[1]);
    return shape;
  };
  bool scaled = c.scheme != Scheme::Bf16;
  std::vector<int64_t> lhs = turned({c.m, c.k}, c.transposeLhs);
  std::vector<int64_t> rhs = turned({c.n, c.k}, c.transposeRhs);
  at.lhs = arguments.add(operandOf(c.type(true), lhs, seed));
  at.lhsScales = scaled ? arguments.add(withScales(c, true, lhs, 0, seed + 1))
                        : arguments.none();
  bool packed = c.overRows() && c.packed;
  at.rhsCount = !c.overRows() || packed ? 1 : int(c.groups());
  int64_t members = packed ? c.groups() : 0;
  std::vector<int64_t> rhsShape = rhs;
  if (packed)
    rhsShape.insert(rhsShape.begin(), members);
  for (int i = 0; i < at.rhsCount; ++i) {
    int rhsAt =
        arguments.add(operandOf(c.type(false), rhsShape, seed + 10 + i));
    int scalesAt =
        scaled
            ? arguments.add(withScales(c, false, rhs, members, seed + 50 + i))
            : arguments.none();
    if (i == 0)
      at.rhs = rhsAt, at.rhsScales = scalesAt;
  }
  at.bias = c.bias
                ? arguments.add(values(c.result, {c.groups(), c.n}, seed + 2))
                : arguments.none();
  at.offsets = arguments.add(offsetsOf(c.offsets));
  at.outCount = c.overRows() || c.packed ? 1 : int(c.groups());
  for (int i = 0; i < at.outCount; ++i) {
    std::vector<int64_t> shape = {c.m, c.n};
    if (!c.overRows() && c.packed)
      shape.insert(shape.begin(), c.groups());
    int outAt = arguments.add(values(c.result, shape, seed + 90 + i));
    if (i == 0)
      at.out = outAt;
  }
  return at;
}

inline Call callOf(const Grouped &c, const Places &at) {
  return [&c, at](te_rt_context *context, const Tensors &t) {
    std::vector<te_rt_tensor> rhs, scales, results;
    for (int i = 0; i < at.rhsCount; ++i) {
      rhs.push_back(*t[at.rhs + 2 * i]);
      if (t[at.rhsScales])
        scales.push_back(*t[at.rhsScales + 2 * i]);
    }
    for (int i = 0; i < at.outCount; ++i)
      results.push_back(*t[at.out + i]);
    auto list = [](const std::vector<te_rt_tensor> &items) {
      return te_rt_tensor_list{items.data(), int64_t(items.size())};
    };
    te_rt_tensor_list bias = {t[at.bias], t[at.bias] ? 1 : 0};
    return te_rt_grouped_gemm(context, t[at.lhs], t[at.lhsScales], nullptr,
                              list(rhs), list(scales), {}, bias, t[at.offsets],
                              list(results), c.ragged, c.transposeLhs,
                              c.transposeRhs, c.accumulate);
  };
}

/// Drops signs of what a product adds up.
inline Arguments magnitudes(const Arguments &arguments, const Places &at) {
  Arguments result;
  for (size_t i = 0; i < arguments.items.size(); ++i) {
    if (!arguments.items[i]) {
      result.none();
      continue;
    }
    Tensor tensor = *arguments.items[i];
    if (int(i) != at.offsets)
      for (int64_t j = 0; j < tensor.size(); ++j)
        tensor.set(j, std::fabs(tensor.get(j)));
    result.add(tensor);
  }
  return result;
}

/// Each element is held to the bound of its own sum, for which ref runs a second
/// time on magnitudes (`sizes`). Tensor cores add 128 FP8 products to 2^-11 of the sum
/// of their magnitudes, and BF16 products as F32 that is cut off.
inline void expectWithin(const Grouped &c, const Arguments &arguments,
                  const Places &at, const std::vector<Bytes> &wanted,
                  const std::vector<Bytes> &sizes,
                  const std::vector<Bytes> &found) {
  // Of FP8, the tensor cores cut what they add: half a bit for
  // each of 32 terms, which have an eighth of the largest on average.
  double relative = c.scheme == Scheme::Bf16 ? double(c.k) * 0x1p-23 : 0x1p-11;
  double rounding = c.result == TE_RT_BF16 ? 0x1p-7 : 0x1p-22;
  int misses = 0;
  for (int i = at.out; i < at.out + at.outCount; ++i) {
    Tensor want = *arguments.items[i], size = want, got = want;
    auto fill = [&](Tensor &tensor, const Bytes &bytes) {
      tensor.bytes = bytes;
      tensor.t.data = tensor.bytes.data();
    };
    fill(want, wanted[i]), fill(size, sizes[i]), fill(got, found[i]);
    for (int64_t j = 0; j < want.size(); ++j) {
      float x = want.get(j), y = got.get(j);
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      double bound = relative * size.get(j) * 1.01 +
                     rounding * (std::fabs(x) + size.get(j) * relative);
      // The rounded product, which a sum may cancel.
      if (c.accumulate && c.result == TE_RT_BF16)
        bound += 2 * rounding *
                 (std::fabs(x) + std::fabs(arguments.items[i]->get(j)));
      if (!(std::fabs(double(x) - y) <= bound) && misses++ < 3)
        ADD_FAILURE() << "result " << i - at.out << ", element " << j
                      << ": ref " << x << ", cuda " << y << ", bound " << bound;
    }
  }
  if (misses > 3)
    ADD_FAILURE() << misses << " elements are off";
  // Whatever is not a result stays as it was.
  for (size_t i = 0; i < wanted.size(); ++i)
    if (int(i) < at.out && arguments.items[i]) {
      EXPECT_EQ(wanted[i], found[i]) << "argument " << i;
    }
}

/// Runs the case on both, holds one to the other, and cuda to itself.
inline void expectProduct(const Grouped &c, unsigned seed) {
  SCOPED_TRACE(c.name());
  Arguments arguments;
  Places at = build(c, arguments, seed);
  Call call = callOf(c, at);
  if (!takesNext() && !launchesMore(arguments, call))
    return;
  std::vector<Bytes> found = runOnCuda(arguments, call);
  expectWithin(c, arguments, at, runOnRef(arguments, call),
               runOnRef(magnitudes(arguments, at), call), found);
  if (!isSampled()) {
    EXPECT_EQ(found, runOnCuda(arguments, call)) << "a second run differs";
  }
}

/// Groups of none, of one and of odd numbers of rows. Rows that are nobody's, before,
/// between and after groups, hold their bytes: ref leaves them alone.
inline const std::vector<std::vector<int32_t>> kPatterns = {
    {0, 128, 384, 512, 640},  {0, 16, 16, 176, 400}, {16, 33, 33, 340, 341},
    {0, 0, 640, 640, 640},    {0, 0, 0, 0, 0},       {7, 70, 135, 199, 639},
    {128, 129, 257, 258, 260}};

inline std::vector<Grouped> someCases() {
  std::vector<Grouped> all;
  std::vector<int32_t> offsets = {0, 144, 144, 400, 608};
  for (Scheme scheme : {Scheme::Bf16, Scheme::Tensor, Scheme::RowSquare})
    all.push_back({scheme, 656, 328, 272, TE_RT_RAGGED_ROWS, offsets});
  for (Scheme scheme : {Scheme::Bf16, Scheme::Tensor, Scheme::RowRow}) {
    all.push_back({scheme, 264, 328, 656, TE_RT_RAGGED_REDUCTION, offsets});
    all.back().result = TE_RT_F32;
    all.back().transposeLhs = all.back().transposeRhs = scheme == Scheme::Bf16;
  }
  return all;
}

/// One captured call, replayed with each of `patterns` as its offsets, makes what a call
/// with them makes.
inline void expectReplays(te_rt_context *context, const Grouped &c,
                          const std::vector<std::vector<int32_t>> &patterns) {
  Arguments arguments;
  Places at = build(c, arguments, 11);
  std::vector<te_rt_tensor> descriptors(arguments.items.size());
  Tensors tensors;
  for (size_t i = 0; i < arguments.items.size(); ++i) {
    if (!arguments.items[i]) {
      tensors.push_back(nullptr);
      continue;
    }
    const Tensor &item = *arguments.items[i];
    descriptors[i] = item.t;
    ASSERT_EQ(te_rt_allocate(context, item.bytes.size(), &descriptors[i].data),
              TE_RT_OK);
    te_rt_copy_memory(context, descriptors[i].data, item.bytes.data(),
                      item.bytes.size());
    tensors.push_back(&descriptors[i]);
  }
  Call call = callOf(c, at);
  context->device->beginPreparing();
  EXPECT_EQ(call(context, tensors), TE_RT_OK);
  EXPECT_EQ(context->device->endPreparing().status, TE_RT_OK);
  void *graph = nullptr;
  ASSERT_EQ(context->device->beginCapture().status, TE_RT_OK);
  EXPECT_EQ(call(context, tensors), TE_RT_OK) << te_rt_last_error(context);
  ASSERT_EQ(context->device->endCapture(&graph).status, TE_RT_OK);
  for (const std::vector<int32_t> &offsets : patterns) {
    Grouped changed = c;
    changed.offsets = offsets;
    arguments.items[at.offsets] = std::make_unique<Tensor>(offsetsOf(offsets));
    const Tensor &out = *arguments.items[at.out];
    te_rt_copy_memory(context, descriptors[at.offsets].data, offsets.data(),
                      offsets.size() * sizeof(int32_t));
    te_rt_copy_memory(context, descriptors[at.out].data, out.bytes.data(),
                      out.bytes.size());
    EXPECT_EQ(context->device->launchGraph(graph).status, TE_RT_OK);
    ASSERT_EQ(te_rt_synchronize(context), TE_RT_OK);
    Bytes replayed(out.bytes.size());
    te_rt_copy_memory(context, replayed.data(), descriptors[at.out].data,
                      replayed.size());
    EXPECT_EQ(runOnCuda(arguments, callOf(changed, at))[at.out], replayed)
        << changed.name();
  }
  context->device->destroyGraph(graph);
  for (te_rt_tensor &descriptor : descriptors)
    if (descriptor.data)
      te_rt_release(context, descriptor.data);
}

} // namespace te_test

#endif // TE_TEST_RUNTIME_GROUPEDGEMM_H
