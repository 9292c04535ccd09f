//===- GatedGemm.h - a product, its activation and its cast -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments of te_rt_grouped_gemm_swiglu_quantize, the call, and the pair of
// calls that it stands for.
//
//===----------------------------------------------------------------------===//

#ifndef TE_TEST_RUNTIME_GATEDGEMM_H
#define TE_TEST_RUNTIME_GATEDGEMM_H

#include "Twin.h"
#include "common/scales.h"

namespace te_test {

struct Gated {
  int64_t rows, width, k;
  std::vector<int32_t> offsets;
  bool packed = true, probs = true, pow2 = true;
  bool result = true, rowwise = true, columnwise = true;
  te_rt_dtype values = TE_RT_F8E4M3, valuesT = TE_RT_F8E4M3;
  te_rt_scale_layout layout = TE_RT_GEMM_READY; // of the rowwise scales
  double epsilon = 0;

  int64_t groups() const { return int64_t(offsets.size()) - 1; }
  std::string name() const {
    std::string text = std::to_string(rows) + " x " + std::to_string(width) +
                       " over " + std::to_string(k) +
                       (packed ? "" : ", lists") + (probs ? "" : ", no probs") +
                       (result ? ", result" : "") + (rowwise ? ", rows" : "") +
                       (columnwise ? ", columns" : "") + ", offsets";
    for (int32_t offset : offsets)
      text += " " + std::to_string(offset);
    return text;
  }
};

/// Where the arguments of a case stand; those of rhs and its scales take turns.
struct GatedPlaces {
  int lhs, lhsScales, probs, offsets, result, values, scales, valuesT, scalesT,
      rhs;
  int rhsCount;
};

inline Tensor scalesFor(int64_t rows, int64_t cols, te_rt_scale_layout layout,
                        int32_t blockRows, int32_t groups, int64_t members,
                        unsigned seed) {
  te_rt_tensor like = {};
  like.layout = layout;
  like.block_rows = blockRows, like.block_cols = 128, like.groups = groups;
  std::vector<int64_t> shape =
      te_rt::ScaleGrid(like, rows, cols,
                       groups ? te_rt::Ragged::Cols : te_rt::Ragged::No)
          .shape;
  if (members)
    shape.insert(shape.begin(), members);
  Tensor scales = normal(TE_RT_F32, shape, seed);
  for (int64_t i = 0; i < scales.size(); ++i)
    scales.set(i, std::exp2(scales.get(i) - 10));
  return scales.scales(layout, blockRows, 128, groups);
}

inline GatedPlaces build(const Gated &c, Arguments &arguments, unsigned seed) {
  GatedPlaces at = {};
  auto codes = [](std::vector<int64_t> shape, unsigned seed) {
    return normal(TE_RT_F8E4M3, shape, seed, 100);
  };
  auto optional = [&](bool exists, const Tensor &tensor) {
    return exists ? arguments.add(tensor) : arguments.none();
  };
  int64_t groups = c.groups(), n = 2 * c.width;
  at.lhs = arguments.add(codes({c.rows, c.k}, seed));
  at.lhsScales = arguments.add(
      scalesFor(c.rows, c.k, TE_RT_GEMM_READY, 1, 0, 0, seed + 1));
  at.probs = optional(c.probs, normal(TE_RT_F32, {c.rows}, seed + 2));
  at.offsets = arguments.add(offsetsOf(c.offsets));
  at.result = optional(c.result, Tensor(TE_RT_BF16, {c.rows, n}));
  at.values = optional(c.rowwise, Tensor(c.values, {c.rows, c.width}));
  at.scales = optional(c.rowwise,
                       scalesFor(c.rows, c.width, c.layout, 1, 0, 0, seed + 3));
  at.valuesT = optional(c.columnwise, Tensor(c.valuesT, {c.width, c.rows}));
  at.scalesT =
      optional(c.columnwise, scalesFor(c.width, c.rows, TE_RT_GEMM_READY, 1,
                                       int32_t(groups), 0, seed + 4));
  at.rhsCount = c.packed ? 1 : int(groups);
  for (int i = 0; i < at.rhsCount; ++i) {
    std::vector<int64_t> shape = {n, c.k};
    if (c.packed)
      shape.insert(shape.begin(), groups);
    int rhs = arguments.add(codes(shape, seed + 10 + i));
    arguments.add(scalesFor(n, c.k, TE_RT_GEMM_READY, 128, 0,
                            c.packed ? groups : 0, seed + 50 + i));
    if (i == 0)
      at.rhs = rhs;
  }
  return at;
}

struct GatedLists {
  std::vector<te_rt_tensor> rhs, scales;
  GatedLists(const GatedPlaces &at, const Tensors &t) {
    for (int i = 0; i < at.rhsCount; ++i) {
      rhs.push_back(*t[at.rhs + 2 * i]);
      scales.push_back(*t[at.rhs + 2 * i + 1]);
    }
  }
  static te_rt_tensor_list list(const std::vector<te_rt_tensor> &items) {
    return {items.data(), int64_t(items.size())};
  }
};

inline Call gatedCall(const Gated &c, const GatedPlaces &at) {
  return [c, at](te_rt_context *context, const Tensors &t) {
    GatedLists lists(at, t);
    return te_rt_grouped_gemm_swiglu_quantize(
        context, t[at.lhs], t[at.lhsScales], GatedLists::list(lists.rhs),
        GatedLists::list(lists.scales), t[at.probs], t[at.offsets],
        t[at.result], t[at.values], t[at.scales], t[at.valuesT], t[at.scalesT],
        c.pow2, c.epsilon);
  };
}

/// The same from grouped_gemm and swiglu_quantize: the case has a result.
inline Call pairOfCalls(const Gated &c, const GatedPlaces &at) {
  return [c, at](te_rt_context *context, const Tensors &t) {
    GatedLists lists(at, t);
    te_rt_status status = te_rt_grouped_gemm(
        context, t[at.lhs], t[at.lhsScales], nullptr,
        GatedLists::list(lists.rhs), GatedLists::list(lists.scales), {}, {},
        t[at.offsets], {t[at.result], 1}, TE_RT_RAGGED_ROWS, 0, 0, 0);
    if (status != TE_RT_OK || (!c.rowwise && !c.columnwise))
      return status;
    return te_rt_swiglu_quantize(context, t[at.result], t[at.probs],
                                 t[at.offsets], nullptr, nullptr, t[at.values],
                                 t[at.scales], t[at.valuesT], t[at.scalesT],
                                 nullptr, c.pow2, c.epsilon);
  };
}

/// Groups of rows: whole tiles, parts of such, an odd number of them, none; and
/// rows that are nobody's.
inline std::vector<Gated> gatedCases() {
  const std::vector<std::vector<int32_t>> patterns = {
      {0, 128, 384, 512, 640}, {0, 16, 16, 176, 400}, {16, 33, 33, 340, 341},
      {0, 0, 640, 640, 640},   {0, 0, 0, 0, 0},       {7, 70, 135, 199, 639}};
  std::vector<Gated> all;
  for (const std::vector<int32_t> &offsets : patterns)
    for (int variant = 0; variant < 6; ++variant) {
      Gated c = {656, variant % 2 ? 384 : 256, variant % 3 ? 272 : 128,
                 offsets};
      c.packed = variant != 1;
      c.probs = variant != 2;
      c.pow2 = variant != 3;
      c.result = variant == 0 || variant == 5;
      c.rowwise = variant != 4;
      c.columnwise = variant != 1 && variant != 5;
      if (variant == 3)
        c.values = TE_RT_F8E5M2, c.epsilon = 0.25;
      if (variant == 2)
        c.valuesT = TE_RT_F8E5M2, c.layout = TE_RT_COMPACT;
      all.push_back(c);
    }
  return all;
}

/// What `run` gives for the fused call is what it gives for the two.
template <typename Run>
void expectThePair(const Gated &c, unsigned seed, Run run) {
  SCOPED_TRACE(c.name());
  Arguments fused, pair;
  GatedPlaces at = build(c, fused, seed);
  std::vector<Bytes> found = run(fused, gatedCall(c, at));
  Gated whole = c;
  whole.result = true;
  GatedPlaces pairAt = build(whole, pair, seed);
  std::vector<Bytes> wanted = run(pair, pairOfCalls(whole, pairAt));
  if (!c.result)
    wanted[at.result].clear();
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_EQ(found[i], wanted[i]) << "argument " << i;
  if (c.rowwise && c.offsets.back() > c.offsets.front()) {
    EXPECT_NE(found[at.values], fused.items[at.values]->bytes) << "no values";
  }
}

} // namespace te_test

#endif // TE_TEST_RUNTIME_GATEDGEMM_H
