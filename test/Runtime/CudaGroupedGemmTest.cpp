//===- CudaGroupedGemmTest.cpp - products of all groups, ref and cuda -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each element is held to the bound of its own sum (GroupedGemm.h). How tensor
// cores add is known to the bit: CudaTensorCoresTest.cpp.
//
//===----------------------------------------------------------------------===//

#include "GroupedGemm.h"

using namespace te_test;
using namespace te_rt;

namespace {
std::vector<Grouped> everyCase() {
  std::vector<Grouped> all;
  struct Extents {
    int64_t n, k;
  };
  for (Extents e : {Extents{384, 256}, {200, 336}, {8, 128}, {521, 48}})
    for (const std::vector<int32_t> &offsets : kPatterns) {
      for (Scheme scheme : {Scheme::Bf16, Scheme::Tensor, Scheme::RowSquare})
        for (int variant = 0; variant < 4; ++variant) {
          Grouped c = {scheme, 656, e.n, e.k, TE_RT_RAGGED_ROWS, offsets};
          c.result = variant & 1 ? TE_RT_F32 : TE_RT_BF16;
          c.accumulate = variant == 2 || variant == 3;
          c.bias = variant == 1;
          c.packed = variant != 0;
          if (scheme == Scheme::RowSquare && variant == 2)
            c.lhs = TE_RT_F8E5M2;
          if (scheme == Scheme::Tensor && variant == 3)
            c.rhs = TE_RT_F8E5M2;
          all.push_back(c);
        }
      for (int variant = 0; variant < 4; ++variant)
        for (Scheme scheme : {Scheme::Bf16, Scheme::Tensor, Scheme::RowSquare,
                              Scheme::RowRow}) {
          Grouped c = {scheme, e.k, e.n, 656, TE_RT_RAGGED_REDUCTION, offsets};
          c.result = variant == 2 ? TE_RT_BF16 : TE_RT_F32;
          c.accumulate = variant & 1;
          c.packed = variant != 3;
          if (scheme == Scheme::Bf16) // 2: lhs alone, which is read by hand
            c.transposeLhs = variant != 3, c.transposeRhs = variant != 2;
          if (scheme == Scheme::RowRow && variant == 1)
            c.lhs = TE_RT_F8E5M2;
          all.push_back(c);
        }
    }
  // BF16 whose weight lies the other way round, as in dgrad.
  for (const std::vector<int32_t> &offsets : kPatterns)
    for (bool lhs : {false, true}) {
      Grouped c = {Scheme::Bf16, 656, 264, 328, TE_RT_RAGGED_ROWS, offsets};
      c.transposeLhs = lhs;
      c.transposeRhs = true;
      all.push_back(c);
    }
  return all;
}

TEST(CudaGroupedGemm, EveryFormWithinItsBound) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const Grouped &c : everyCase()) {
    ++seed;
    if (isReduced() && seed % 11)
      continue;
    expectProduct(c, seed * 100);
    if (HasFailure())
      return;
  }
}

/// Each type with each, of rows and over the reduction, to BF16 and to F32.
TEST(CudaGroupedGemm, EveryType) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  bool isHopper = !context->device->isHost() &&
                  te_rt::cuda::deviceOf(context).major() == 9;
  for (Scheme scheme : {Scheme::Tensor, Scheme::RowSquare, Scheme::RowRow})
    for (bool first : {false, true})
      for (bool second : {false, true})
        for (te_rt_dtype result : {TE_RT_BF16, TE_RT_F32}) {
          if (first && second)
            continue; // refused
          bool overRows = scheme != Scheme::RowRow;
          Grouped c = {scheme, overRows ? 300 : 136,
                       200,    overRows ? 272 : 304,
                       overRows ? TE_RT_RAGGED_ROWS : TE_RT_RAGGED_REDUCTION,
                       {0, 144, 144, 288}};
          c.result = result;
          c.lhs = first ? TE_RT_F8E5M2 : TE_RT_F8E4M3;
          c.rhs = second ? TE_RT_F8E5M2 : TE_RT_F8E4M3;
          expectProduct(c, 41);
          if (isHopper) {
            EXPECT_EQ(context->variant.rfind("own:grouped_", 0), 0u)
                << context->variant;
          }
          if (HasFailure())
            return;
        }
}

TEST(CudaGroupedGemm, ManyGroupsAndTiles) {
  NEEDS_GPU();
  if (isReduced())
    return;
  for (int64_t groups : {33, 70}) {
    std::vector<int32_t> offsets = {0};
    for (int64_t g = 0; g < groups; ++g)
      offsets.push_back(offsets.back() +
                        int32_t(g % 5 == 3 ? 0 : g * 37 % 290));
    Grouped rows = {Scheme::RowSquare,
                    offsets.back() + 5,
                    776,
                    272,
                    TE_RT_RAGGED_ROWS,
                    offsets};
    std::vector<Grouped> all = {rows};
    for (Scheme scheme : {Scheme::RowRow, Scheme::RowSquare}) {
      all.push_back({scheme, 264, 328, offsets.back() + 5,
                     TE_RT_RAGGED_REDUCTION, offsets});
      all.back().result = TE_RT_F32;
      all.back().accumulate = scheme == Scheme::RowRow || groups == 70;
    }
    for (const Grouped &c : all)
      expectProduct(c, 7);
  }
}

/// `groups` groups of so many rows in all: by Zipf's law of 1.5, most of them with a few
/// rows or none; or a single row in each third.
std::vector<int32_t> sharedOut(int64_t groups, int64_t rows, bool zipf) {
  double all = 0;
  for (int64_t g = 0; g < groups; ++g)
    all += std::pow(double(g + 1), -1.5);
  std::vector<int32_t> offsets = {0};
  for (int64_t g = 0; g < groups; ++g)
    offsets.push_back(
        offsets.back() +
        int32_t(zipf ? rows * std::pow(double(g + 1), -1.5) / all : g % 3 == 1));
  return offsets;
}

/// 512 experts, skewed or of single rows, and 2880 of K, which is no multiple of
/// 128: over rows and over the reduction.
TEST(CudaGroupedGemm, ManyExpertsAndOddWidths) {
  NEEDS_GPU();
  struct Edge {
    int64_t groups, n, k;
  };
  for (Edge e : {Edge{512, 136, 144}, {5, 328, 2880}, {3, 2880, 272}})
    for (bool zipf : {true, false})
      for (Scheme scheme : {Scheme::Bf16, Scheme::Tensor, Scheme::RowSquare}) {
        if (isReduced() && (e.groups != 5 || scheme == Scheme::Tensor))
          continue;
        std::vector<int32_t> offsets = sharedOut(e.groups, 1500, zipf);
        int64_t capacity = (offsets.back() + 31) / 16 * 16;
        expectProduct({scheme, capacity, e.n, e.k, TE_RT_RAGGED_ROWS, offsets},
                      31);
        bool scaled = scheme != Scheme::Bf16;
        Grouped over = {scheme == Scheme::RowSquare ? Scheme::RowRow : scheme,
                        e.n % 2880 ? e.n : 264,
                        e.k,
                        capacity,
                        TE_RT_RAGGED_REDUCTION,
                        offsets};
        over.result = TE_RT_F32;
        over.accumulate = zipf;
        over.transposeLhs = over.transposeRhs = !scaled;
        expectProduct(over, 37);
        if (HasFailure())
          return;
      }
}

/// Elements of `group` in the results, as bytes.
Bytes partOf(const Grouped &c, const Places &at, const std::vector<Bytes> &all,
             int64_t group) {
  int64_t row = bytesOf(c.result, c.n);
  int64_t begin = c.overRows() ? c.offsets[group] : group * c.m;
  int64_t end = c.overRows() ? c.offsets[group + 1] : (group + 1) * c.m;
  const Bytes &bytes = all[at.out];
  return Bytes(bytes.begin() + begin * row, bytes.begin() + end * row);
}

/// te_rt_gemm of one group.
Call memberOf(const Grouped &c, const Places &at, int64_t g) {
  return [&c, at, g](te_rt_context *context, const Tensors &t) {
    auto member = [&](const te_rt_tensor &packed) {
      te_rt_tensor one = packed;
      int64_t size = bytesOf(packed.dtype, 1);
      for (int32_t i = 1; i < packed.rank; ++i)
        size *= one.shape[i - 1] = packed.shape[i];
      one.rank -= 1;
      one.data = static_cast<char *>(packed.data) + g * size;
      return one;
    };
    int first = at.rhsCount > 1 ? 2 * int(g) : 0;
    const te_rt_tensor *scalesOfAll = t[at.rhsScales + first];
    bool inOne = c.overRows() && c.packed;
    te_rt_tensor rhs = *t[at.rhs + first], scales = {},
                 out = c.overRows() ? *t[at.out] : member(*t[at.out]);
    if (inOne)
      rhs = member(rhs);
    if (scalesOfAll)
      scales = inOne ? member(*scalesOfAll) : *scalesOfAll;
    return te_rt_gemm(context, t[at.lhs], t[at.lhsScales], nullptr, &rhs,
                      scalesOfAll ? &scales : nullptr, nullptr, nullptr,
                      t[at.offsets], &out, c.ragged, g, c.transposeLhs,
                      c.transposeRhs, 0);
  };
}

/// A group has the same bits alone, beside garbage, and through te_rt_gemm.
TEST(CudaGroupedGemm, GroupsDoNotSeeEachOther) {
  NEEDS_GPU();
  for (const Grouped &c : someCases()) {
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 3);
    std::vector<Bytes> whole = runOnCuda(arguments, callOf(c, at));
    // NaN in all elements of the token operands but those of group 2.
    Arguments spoiled;
    for (const auto &item : arguments.items)
      item ? spoiled.add(*item) : spoiled.none();
    for (int index : {at.lhs, at.rhs}) {
      if (index == at.rhs && c.overRows())
        continue;
      Tensor &tensor = *spoiled.items[index];
      bool transposed = index == at.lhs ? c.transposeLhs : c.transposeRhs;
      bool alongRows = c.overRows() != transposed;
      int64_t cols = tensor.t.shape[1];
      for (int64_t i = 0; i < tensor.size(); ++i) {
        int64_t where = alongRows ? i / cols : i % cols;
        if (where < c.offsets[2] || where >= c.offsets[3])
          tensor.set(i, NAN);
      }
    }
    std::vector<Bytes> beside = runOnCuda(spoiled, callOf(c, at));
    EXPECT_EQ(partOf(c, at, whole, 2), partOf(c, at, beside, 2));
    EXPECT_NE(partOf(c, at, whole, 3), partOf(c, at, beside, 3));

    for (int64_t g = 0; g < c.groups(); ++g) {
      if (!takesNext())
        continue;
      EXPECT_EQ(partOf(c, at, whole, g),
                partOf(c, at, runOnCuda(arguments, memberOf(c, at, g)), g))
          << "member " << g;
    }
  }
}

/// Where there are many tiles these are of 128 x 256, to the bits of those of
/// 128 x 192 that a group by itself has.
TEST(CudaGroupedGemm, WideTilesHaveTheSameBits) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  // The last tile of a row has 8 columns; rows begin anywhere.
  Grouped c = {Scheme::RowSquare,
               15360,
               8200,
               144,
               TE_RT_RAGGED_ROWS,
               {3, 131, 132, 132, 2004, 8196, 8268, 15000, 15350}};
  bool isHopper = !context->device->isHost() &&
                  te_rt::cuda::deviceOf(context).major() == 9;
  for (int variant = 0; variant < 3; ++variant) {
    if (variant == 1)
      c.lhs = TE_RT_F8E5M2, c.packed = false;
    if (variant == 2)
      c.lhs = TE_RT_F8E4M3, c.rhs = TE_RT_F8E5M2, c.k = 400;
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 23 + variant);
    std::vector<Bytes> whole = runOnCuda(arguments, callOf(c, at));
    if (isHopper) {
      EXPECT_EQ(context->variant.rfind("own:grouped_row_square_wide", 0), 0u)
          << context->variant;
    }
    for (int64_t g = 0; g < c.groups(); ++g) {
      if (isReduced() && g != 3 + variant)
        continue;
      std::vector<Bytes> alone = runOnCuda(arguments, memberOf(c, at, g));
      if (context->variant.rfind("own:", 0) == 0) {
        EXPECT_NE(context->variant.find("row_square_staged"), std::string::npos)
            << context->variant;
      }
      EXPECT_EQ(partOf(c, at, whole, g), partOf(c, at, alone, g))
          << "member " << g;
    }
  }
}

/// A scale that is NaN spoils what it scales, and nothing else.
TEST(CudaGroupedGemm, NanScales) {
  NEEDS_GPU();
  for (const Grouped &c : someCases()) {
    if (c.scheme == Scheme::Bf16 || c.scheme == Scheme::Tensor)
      continue;
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 5);
    arguments.items[at.lhsScales]->set(3, NAN);
    arguments.items[at.rhsScales]->set(1, NAN);
    Call call = callOf(c, at);
    std::vector<Bytes> wanted = runOnRef(arguments, call);
    Tensor result = *arguments.items[at.out];
    result.bytes = wanted[at.out];
    int64_t nans = 0;
    for (int64_t i = 0; i < result.size(); ++i)
      nans += std::isnan(result.get(i));
    EXPECT_GT(nans, 0);
    EXPECT_LT(nans, result.size());
    // Sizes without NaN, so that they bound what is a number.
    Arguments clean;
    for (const auto &item : arguments.items)
      item ? clean.add(*item) : clean.none();
    clean.items[at.lhsScales]->set(3, 1);
    clean.items[at.rhsScales]->set(1, 1);
    expectWithin(c, arguments, at, wanted,
                 runOnRef(magnitudes(clean, at), call),
                 runOnCuda(arguments, call));
  }
}

/// Nothing of the offsets is on the host.
TEST(CudaGroupedGemm, GraphReadsOffsetsWhenItRuns) {
  NEEDS_GPU();
  if (Gpu::get().context->device->isHost())
    GTEST_SKIP() << "ref has no graphs";
  for (const Grouped &c : someCases()) {
    SCOPED_TRACE(c.name());
    std::vector<std::vector<int32_t>> patterns;
    for (const std::vector<int32_t> &offsets : kPatterns)
      if ((c.overRows() || c.scheme == Scheme::Bf16 || offsets[1] % 16 == 0) &&
          takesNext())
        patterns.push_back(offsets);
    expectReplays(Gpu::get().context, c, patterns);
  }
}

/// A launch begins while the one before ends, whose result it reads and whose
/// operand it overwrites.
TEST(CudaGroupedGemm, LaunchesWaitForEachOther) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no graphs";
  Grouped c = {Scheme::Bf16, 2048, 512, 512, TE_RT_RAGGED_ROWS,
               {0, 300, 1100, 1100, 2000}};
  Arguments arguments;
  Places at = build(c, arguments, 23);
  auto launchAll = [&](te_rt_context *context, Tensors tensors, bool waits) {
    te_rt_status status = TE_RT_OK;
    for (int i = 0; i < 12 && status == TE_RT_OK; ++i) {
      status = callOf(c, at)(context, tensors);
      if (waits)
        te_rt_synchronize(context);
      std::swap(tensors[at.lhs], tensors[at.out]);
    }
    return status;
  };
  auto inOrder = [&](bool waits) {
    return [&, waits](te_rt_context *context, const Tensors &tensors) {
      return launchAll(context, tensors, waits);
    };
  };
  auto inAGraph = [&](te_rt_context *context, const Tensors &tensors) {
    void *graph = nullptr;
    Device &device = *context->device;
    device.beginPreparing();
    EXPECT_EQ(launchAll(context, tensors, false), TE_RT_OK);
    EXPECT_EQ(device.endPreparing().status, TE_RT_OK);
    EXPECT_EQ(device.beginCapture().status, TE_RT_OK);
    te_rt_status status = launchAll(context, tensors, false);
    EXPECT_EQ(device.endCapture(&graph).status, TE_RT_OK);
    EXPECT_EQ(device.launchGraph(graph).status, TE_RT_OK);
    te_rt_synchronize(context);
    device.destroyGraph(graph);
    return status;
  };
  std::vector<Bytes> wanted = runOnCuda(arguments, inOrder(true));
  for (const std::vector<Bytes> &found :
       {runOnCuda(arguments, inOrder(false)), runOnCuda(arguments, inAGraph)}) {
    EXPECT_EQ(found[at.lhs], wanted[at.lhs]);
    EXPECT_EQ(found[at.out], wanted[at.out]);
  }
}
} // namespace
