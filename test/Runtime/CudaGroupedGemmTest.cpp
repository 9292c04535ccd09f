//===- CudaGroupedGemmTest.cpp - products of all groups, ref and cuda -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each element is held to the bound of its own sum, for which ref runs a second
// time on magnitudes. Tensor cores add 128 FP8 products to 2^-11 of the sum of
// their magnitudes, and BF16 products as F32 that is cut off. How they add is
// known to the bit, and held to it where scales are one.
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/context.h"
#include "common/scales.h"

using namespace te_test;
using namespace te_rt;

namespace {
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
    std::string text = "scheme " + std::to_string(int(scheme)) + ", " +
                       std::to_string(m) + " x " + std::to_string(n) +
                       " over " + std::to_string(k) + ", ragged " +
                       std::to_string(ragged) + ", result " +
                       dtypeName(result) + (accumulate ? " +=" : "") +
                       (bias ? ", bias" : "") + (packed ? "" : ", lists") +
                       ", offsets";
    for (int32_t offset : offsets)
      text += " " + std::to_string(offset);
    return text;
  }
};

Tensor operandOf(te_rt_dtype type, std::vector<int64_t> shape, unsigned seed) {
  Tensor tensor = values(TE_RT_F32, shape, seed), operand(type, shape);
  for (int64_t i = 0; i < operand.size(); ++i)
    operand.set(i, tensor.get(i) * (isFp8(type) ? 100 : 1));
  return operand;
}

/// Scales of many sizes, not powers of two.
Tensor scalesOf(std::vector<int64_t> shape, unsigned seed) {
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

Tensor withScales(const Grouped &c, bool isLhs, std::vector<int64_t> shape,
                  int64_t members, unsigned seed) {
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

Places build(const Grouped &c, Arguments &arguments, unsigned seed) {
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
  at.lhsScales = scaled
                     ? arguments.add(withScales(c, true, lhs, 0, seed + 1))
                     : arguments.none();
  bool packed = c.overRows() && c.packed;
  at.rhsCount = !c.overRows() || packed ? 1 : int(c.groups());
  int64_t members = packed ? c.groups() : 0;
  std::vector<int64_t> rhsShape = rhs;
  if (packed)
    rhsShape.insert(rhsShape.begin(), members);
  for (int i = 0; i < at.rhsCount; ++i) {
    int rhsAt = arguments.add(operandOf(c.type(false), rhsShape, seed + 10 + i));
    int scalesAt =
        scaled ? arguments.add(withScales(c, false, rhs, members, seed + 50 + i))
               : arguments.none();
    if (i == 0)
      at.rhs = rhsAt, at.rhsScales = scalesAt;
  }
  at.bias = c.bias ? arguments.add(values(c.result, {c.groups(), c.n}, seed + 2))
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

Call callOf(const Grouped &c, const Places &at) {
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
                              list(rhs), list(scales), {}, bias,
                              t[at.offsets], list(results), c.ragged,
                              c.transposeLhs, c.transposeRhs, c.accumulate);
  };
}

/// Drops signs of what a product adds up.
Arguments magnitudes(const Arguments &arguments, const Places &at) {
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

void expectWithin(const Grouped &c, const Arguments &arguments,
                  const Places &at, const std::vector<Bytes> &wanted,
                  const std::vector<Bytes> &sizes,
                  const std::vector<Bytes> &found) {
  // Of FP8, the tensor cores cut what they add (see addProducts): half a bit for
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
      double bound =
          relative * size.get(j) * 1.01 + rounding * (std::fabs(x) + size.get(j) * relative);
      // The rounded product, which a sum may cancel.
      if (c.accumulate && c.result == TE_RT_BF16)
        bound += 2 * rounding * (std::fabs(x) + std::fabs(arguments.items[i]->get(j)));
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

/// Rows that are nobody's, before, between and after groups, hold their bytes:
/// ref leaves them alone, so they compare equal above.
const std::vector<std::vector<int32_t>> kPatterns = {
    {0, 128, 384, 512, 640},  {0, 16, 16, 176, 400},  {16, 33, 33, 340, 341},
    {0, 0, 640, 640, 640},    {0, 0, 0, 0, 0},        {7, 70, 135, 199, 639},
    {128, 129, 257, 258, 260}};

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
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, seed * 100);
    Call call = callOf(c, at);
    std::vector<Bytes> found = runOnCuda(arguments, call);
    expectWithin(c, arguments, at, runOnRef(arguments, call),
                 runOnRef(magnitudes(arguments, at), call), found);
    EXPECT_EQ(found, runOnCuda(arguments, call)) << "a second run differs";
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
    Grouped rows = {Scheme::RowSquare, offsets.back() + 5, 776, 272,
                    TE_RT_RAGGED_ROWS, offsets};
    std::vector<Grouped> all = {rows};
    for (Scheme scheme : {Scheme::RowRow, Scheme::RowSquare}) {
      all.push_back({scheme, 264, 328, offsets.back() + 5,
                     TE_RT_RAGGED_REDUCTION, offsets});
      all.back().result = TE_RT_F32;
      all.back().accumulate = scheme == Scheme::RowRow || groups == 70;
    }
    for (const Grouped &c : all) {
      SCOPED_TRACE(c.name());
      Arguments arguments;
      Places at = build(c, arguments, 7);
      Call call = callOf(c, at);
      std::vector<Bytes> found = runOnCuda(arguments, call);
      expectWithin(c, arguments, at, runOnRef(arguments, call),
                   runOnRef(magnitudes(arguments, at), call), found);
      EXPECT_EQ(found, runOnCuda(arguments, call)) << "a second run differs";
    }
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

std::vector<Grouped> someCases() {
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
      Call single = [&](te_rt_context *context, const Tensors &t) {
        auto member = [&](const te_rt_tensor &packed) {
          te_rt_tensor one = packed;
          int64_t size = bytesOf(packed.dtype, 1);
          for (int32_t i = 1; i < packed.rank; ++i)
            size *= one.shape[i - 1] = packed.shape[i];
          one.rank -= 1;
          one.data = static_cast<char *>(packed.data) + g * size;
          return one;
        };
        te_rt_tensor rhs = c.overRows() ? member(*t[at.rhs]) : *t[at.rhs];
        te_rt_tensor out = c.overRows() ? *t[at.out] : member(*t[at.out]);
        te_rt_tensor scales = {};
        if (t[at.rhsScales])
          scales = c.overRows() ? member(*t[at.rhsScales]) : *t[at.rhsScales];
        return te_rt_gemm(context, t[at.lhs], t[at.lhsScales], nullptr, &rhs,
                          t[at.rhsScales] ? &scales : nullptr, nullptr, nullptr,
                          t[at.offsets], &out, c.ragged, g, c.transposeLhs,
                          c.transposeRhs, 0);
      };
      EXPECT_EQ(partOf(c, at, whole, g),
                partOf(c, at, runOnCuda(arguments, single), g))
          << "member " << g;
    }
  }
}

/// `sum` and 32 FP8 products (or fewer) as the tensor cores of sm_90 add them:
/// each is cut to 2^-13 of the largest power of two among them, where that of a
/// product is the product of its factors', and so is what comes of it.
double addProducts(double sum, const Tensor &lhs, int64_t lhsAt,
                   const Tensor &rhs, int64_t rhsAt, int64_t count) {
  auto exponentOf = [](double x) { return x == 0 ? -1000 : std::ilogb(x); };
  auto cut = [](double x, int exponent) {
    double unit = std::ldexp(1.0, exponent - 13);
    return std::trunc(x / unit) * unit;
  };
  int largest = exponentOf(sum);
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, exponentOf(lhs.get(lhsAt + i)) +
                                    exponentOf(rhs.get(rhsAt + i)));
  double total = cut(sum, largest);
  for (int64_t i = 0; i < count; ++i)
    total += cut(double(lhs.get(lhsAt + i)) * rhs.get(rhsAt + i), largest);
  return total == 0 ? 0 : cut(total, exponentOf(total));
}

/// With scales of one, a result is the F32 sum of blocks of 128 products, each
/// as the tensor cores add them, bit for bit.
TEST(CudaGroupedGemm, BlocksAsTensorCoresAddThem) {
  NEEDS_GPU();
  if (Gpu::get().context->device->isHost())
    GTEST_SKIP() << "ref adds in F32";
  std::vector<Grouped> all;
  std::vector<int32_t> offsets = {0, 144, 144, 304};
  for (Scheme scheme : {Scheme::Tensor, Scheme::RowSquare})
    all.push_back({scheme, 304, 136, 272, TE_RT_RAGGED_ROWS, offsets});
  for (Scheme scheme : {Scheme::Tensor, Scheme::RowSquare, Scheme::RowRow})
    for (te_rt_dtype lhs : {TE_RT_F8E4M3, TE_RT_F8E5M2}) {
      all.push_back({scheme, 136, 72, 304, TE_RT_RAGGED_REDUCTION, offsets});
      all.back().lhs = lhs;
    }
  for (Grouped &c : all) {
    c.result = TE_RT_F32;
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 17);
    for (int index : {at.lhsScales, at.rhsScales})
      for (int64_t i = 0; i < arguments.items[index]->size(); ++i)
        arguments.items[index]->set(i, 1);
    const Tensor &lhs = *arguments.items[at.lhs], &rhs = *arguments.items[at.rhs];
    Tensor found = *arguments.items[at.out];
    found.bytes = runOnCuda(arguments, callOf(c, at))[at.out];
    found.t.data = found.bytes.data();
    int64_t differ = 0;
    for (int64_t g = 0; g < c.groups(); ++g) {
      int64_t first = c.offsets[g], last = c.offsets[g + 1];
      int64_t begin = c.overRows() ? 0 : first, end = c.overRows() ? c.k : last;
      for (int64_t row = 0; row < (c.overRows() ? last - first : c.m); ++row)
        for (int64_t col = 0; col < c.n; ++col) {
          float sum = 0;
          for (int64_t block = begin; block < end; block += 128) {
            double part = 0;
            for (int64_t k = block; k < std::min(block + 128, end); k += 32) {
              int64_t lhsRow = c.overRows() ? first + row : row;
              int64_t rhsRow = c.overRows() ? g * c.n + col : col;
              part = addProducts(part, lhs, lhsRow * c.k + k, rhs,
                                 rhsRow * c.k + k, std::min<int64_t>(32, end - k));
            }
            sum += static_cast<float>(part);
          }
          int64_t resultRow = c.overRows() ? first + row : g * c.m + row;
          differ += found.get(resultRow * c.n + col) != sum;
        }
    }
    EXPECT_EQ(differ, 0);
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

/// One captured call, replayed with other offsets: nothing of them is on the
/// host.
TEST(CudaGroupedGemm, GraphReadsOffsetsWhenItRuns) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no graphs";
  for (const Grouped &c : someCases()) {
    SCOPED_TRACE(c.name());
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
    for (const std::vector<int32_t> &offsets : kPatterns) {
      if (!c.overRows() && c.scheme != Scheme::Bf16 && offsets[1] % 16)
        continue;
      Grouped changed = c;
      changed.offsets = offsets;
      arguments.items[at.offsets] =
          std::make_unique<Tensor>(offsetsOf(offsets));
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
}

/// Products by cuBLASLt while it lives.
struct ByLibrary {
  ByLibrary(te_rt_context *context, int32_t streams) : context(context) {
    EXPECT_EQ(te_rt_use_products(context, TE_RT_PRODUCTS_LIBRARY, streams), TE_RT_OK);
  }
  ~ByLibrary() { te_rt_use_products(context, TE_RT_PRODUCTS_PLANNED, 0); }
  te_rt_context *context;
};

/// However many streams share the groups: the same bits, within the bound, with counts
/// on the device and on the host; groups of none or of odd numbers of rows among them.
TEST(CudaGroupedGemm, LibraryOnStreams) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  for (Grouped c : someCases())
    for (const std::vector<int32_t> &offsets : kPatterns) {
      c.offsets = offsets;
      SCOPED_TRACE(c.name());
      Arguments arguments;
      Places at = build(c, arguments, 17);
      Call call = callOf(c, at);
      std::vector<Bytes> found;
      for (int32_t streams : {1, 2, 4, 8})
        for (bool onHost : {false, true}) {
          ByLibrary library(context, streams);
          arguments.items[at.offsets]->t.on_host = onHost;
          std::vector<Bytes> now = runOnCuda(arguments, call);
          if (found.empty())
            found = now;
          EXPECT_EQ(now[at.out], found[at.out])
              << streams << " streams" << (onHost ? ", counts on the host" : "");
          if (te_rt_has_device_memory(context)) {
            EXPECT_EQ(context->variant.rfind("library:", 0), 0u) << context->variant;
          }
        }
      arguments.items[at.offsets]->t.on_host = false;
      expectWithin(c, arguments, at, runOnRef(arguments, call),
                   runOnRef(magnitudes(arguments, at), call), found);
      if (HasFailure())
        return;
    }
}

/// A graph holds them where the host has the counts, and refuses them otherwise.
TEST(CudaGroupedGemm, LibraryInAGraph) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (!te_rt_has_device_memory(context))
    GTEST_SKIP() << "ref has no graphs";
  for (const Grouped &c : someCases()) {
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 19);
    ByLibrary library(context, 4);
    std::vector<Bytes> wanted = runOnCuda(arguments, callOf(c, at));
    std::string message;
    auto captured = [&](te_rt_context *context, const Tensors &tensors) {
      void *graph = nullptr;
      Device &device = *context->device;
      device.beginPreparing();
      EXPECT_EQ(callOf(c, at)(context, tensors), TE_RT_OK);
      EXPECT_EQ(device.endPreparing().status, TE_RT_OK);
      EXPECT_EQ(device.beginCapture().status, TE_RT_OK);
      te_rt_status status = callOf(c, at)(context, tensors);
      message = te_rt_last_error(context);
      EXPECT_EQ(device.endCapture(&graph).status, TE_RT_OK);
      if (status == TE_RT_OK) {
        EXPECT_EQ(device.launchGraph(graph).status, TE_RT_OK);
      }
      te_rt_synchronize(context);
      device.destroyGraph(graph);
      return status;
    };
    arguments.items[at.offsets]->t.on_host = true;
    EXPECT_EQ(runOnCuda(arguments, captured)[at.out], wanted[at.out]);
    arguments.items[at.offsets]->t.on_host = false;
    runOnCuda(arguments, [&](te_rt_context *context, const Tensors &tensors) {
      EXPECT_EQ(captured(context, tensors), TE_RT_UNSUPPORTED);
      EXPECT_NE(message.find("wanted on the host"), std::string::npos) << message;
      return TE_RT_OK;
    });
  }
}
} // namespace
