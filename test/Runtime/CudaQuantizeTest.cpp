//===- CudaQuantizeTest.cpp - casts, ref against cuda ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/check.h"
#include "common/scales.h"

using namespace te_test;
using namespace te_rt;

namespace {
/// What a direction of a cast is quantized by.
enum class Scheme { None, Whole, Rows, CompactRows, Columns, CompactColumns, Square };

struct CastCase {
  te_rt_dtype input = TE_RT_BF16;
  std::vector<int64_t> shape;
  std::vector<int32_t> offsets;
  Scheme rowwise = Scheme::None, columnwise = Scheme::None;
  te_rt_dtype values = TE_RT_F8E4M3, valuesT = TE_RT_F8E4M3;
  bool delayed = false, amax = false, pow2 = false, special = false;
  float noop = -1; // below 0: absent
  int64_t member = -1;
  double epsilon = 0;
  bool hostOffsets = false;
};

/// An output pair of a cast, shaped as the contract wants.
void addOutput(Arguments &arguments, const CastCase &c, Scheme scheme,
               bool columnwise) {
  if (scheme == Scheme::None) {
    arguments.none();
    arguments.none();
    return;
  }
  size_t packed = c.shape.size() - 2;
  int64_t rows = c.shape[packed], cols = c.shape[packed + 1];
  int32_t groups =
      c.offsets.empty() ? 0 : static_cast<int32_t>(c.offsets.size()) - 1;
  bool transposed = columnwise && scheme != Scheme::CompactColumns;
  std::vector<int64_t> shape = c.shape;
  if (transposed)
    std::swap(shape[packed], shape[packed + 1]);
  Tensor values(columnwise ? c.valuesT : c.values, shape);
  te_rt_tensor d = {};
  switch (scheme) {
  case Scheme::Whole:
    d.layout = TE_RT_TENSOR;
    break;
  case Scheme::CompactRows:
  case Scheme::Rows:
  case Scheme::Columns:
    d.layout = scheme == Scheme::CompactRows ? TE_RT_COMPACT : TE_RT_GEMM_READY;
    d.block_rows = 1, d.block_cols = 128;
    break;
  case Scheme::CompactColumns:
    d.layout = TE_RT_COMPACT;
    d.block_rows = 128, d.block_cols = 1;
    break;
  default:
    d.layout = TE_RT_GEMM_READY;
    d.block_rows = d.block_cols = 128;
  }
  bool alongBlocks = transposed ? d.block_cols > 1 : d.block_rows > 1;
  d.groups = alongBlocks ? groups : 0;
  ScaleGrid grid(d, transposed ? cols : rows, transposed ? rows : cols,
                 !groups ? Ragged::No : transposed ? Ragged::Cols : Ragged::Rows);
  std::vector<int64_t> scaleShape = grid.shape;
  int64_t domains = groups ? groups : packed ? c.shape[0] : 0;
  if (scheme == Scheme::Whole)
    scaleShape = domains ? std::vector<int64_t>{domains}
                         : std::vector<int64_t>{};
  else if (packed)
    scaleShape.insert(scaleShape.begin(), c.shape[0]);
  arguments.add(values);
  arguments.add(Tensor(TE_RT_F32, scaleShape)
                    .scales(d.layout, d.block_rows, d.block_cols, d.groups));
}

/// input, scale, amax, noop, offsets, values, scales, values_t, scales_t,
/// amax_out.
Arguments makeCast(const CastCase &c, unsigned seed) {
  Arguments arguments;
  arguments.add(values(c.input, c.shape, seed, c.special));
  int64_t domains = !c.offsets.empty() ? int64_t(c.offsets.size()) - 1
                    : c.shape.size() == 3 ? c.shape[0]
                                          : 0;
  std::vector<int64_t> perGroup;
  if (domains && c.member < 0)
    perGroup = {domains};
  if (c.delayed) {
    Tensor scale(TE_RT_F32, perGroup);
    for (int64_t i = 0; i < scale.size(); ++i)
      scale.set(i, 3.0f + 7.0f * i);
    arguments.add(scale);
  } else {
    arguments.none();
  }
  if (c.amax) {
    Tensor amax(TE_RT_F32, perGroup);
    for (int64_t i = 0; i < amax.size(); ++i)
      amax.set(i, i % 2 ? 1000.0f : c.special ? NAN : 0.0f);
    arguments.add(amax);
  } else {
    arguments.none();
  }
  if (c.noop >= 0)
    arguments.add(floats({}, {c.noop}));
  else
    arguments.none();
  if (!c.offsets.empty()) {
    Tensor offsets = offsetsOf(c.offsets);
    offsets.t.on_host = c.hostOffsets;
    arguments.add(offsets);
  } else {
    arguments.none();
  }
  addOutput(arguments, c, c.rowwise, false);
  addOutput(arguments, c, c.columnwise, true);
  if (c.amax)
    arguments.add(Tensor(TE_RT_F32, perGroup));
  else
    arguments.none();
  return arguments;
}

void check(const CastCase &c, unsigned seed = 1) {
  std::string name = "shape";
  for (int64_t extent : c.shape)
    name += " " + std::to_string(extent);
  SCOPED_TRACE(name + ", row " + std::to_string(int(c.rowwise)) + ", column " +
               std::to_string(int(c.columnwise)) + ", groups " +
               std::to_string(c.offsets.size()) + ", member " +
               std::to_string(c.member));
  expectTwins(makeCast(c, seed), [&](te_rt_context *context, const Tensors &t) {
    return te_rt_quantize(context, t[0], t[1], t[2], t[3], t[4], nullptr, t[5],
                          t[6], t[7], t[8], t[9], nullptr, nullptr, c.member,
                          c.pow2, 0, 0, 0, c.epsilon);
  });
}

std::vector<std::vector<int64_t>> shapes() {
  if (isReduced())
    return {{1, 1}, {130, 257}, {256, 128}, {0, 64}, {2, 131, 136}};
  return {{1, 1},     {1, 16},    {16, 1},     {1, 128},   {128, 1},
          {43, 43},   {65, 96},   {127, 129},  {128, 128}, {131, 257},
          {256, 256}, {256, 384}, {993, 512},  {16, 512},  {1024, 1},
          {257, 1031}, {0, 64},   {64, 0},     {3, 7168},  {320, 7168},
          {2880, 720}, {2, 128, 128}, {3, 131, 136}, {5, 7, 11}, {1, 256, 512},
          {4, 0, 32}, {8, 192, 1408},
          {2570, 2696}}; // more tiles than blocks fit
}

const Scheme rowSchemes[] = {Scheme::None, Scheme::Whole, Scheme::Rows,
                             Scheme::CompactRows, Scheme::Square};
const Scheme columnSchemes[] = {Scheme::None, Scheme::Whole, Scheme::Columns,
                                Scheme::CompactColumns, Scheme::Square};

TEST(CudaQuantize, EveryShapeAndScheme) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const auto &shape : shapes())
    for (Scheme rowwise : rowSchemes)
      for (Scheme columnwise : columnSchemes) {
        CastCase c;
        c.shape = shape;
        c.rowwise = rowwise, c.columnwise = columnwise;
        // The other choices take turns.
        ++seed;
        c.input = seed % 3 ? TE_RT_BF16 : TE_RT_F32;
        c.pow2 = seed % 2;
        c.special = seed % 4 > 1;
        c.amax = seed % 5 == 0;
        c.values = seed % 7 == 0 ? TE_RT_F8E5M2 : TE_RT_F8E4M3;
        c.valuesT = seed % 11 == 0 ? TE_RT_F8E5M2 : c.values;
        c.epsilon = seed % 6 == 0 ? 1.0 : 0.0;
        c.noop = seed % 9 == 0 ? 0.0f : -1;
        if (rowwise == Scheme::None && columnwise == Scheme::None && !c.amax)
          continue;
        check(c, seed);
        if (HasFatalFailure() || HasFailure())
          return;
      }
}

TEST(CudaQuantize, DelayedScaling) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const auto &shape : shapes())
    for (bool columnwise : {false, true}) {
      CastCase c;
      c.shape = shape;
      c.rowwise = Scheme::Whole;
      c.columnwise = columnwise ? Scheme::Whole : Scheme::None;
      c.delayed = true;
      c.amax = ++seed % 2;
      c.special = seed % 3 == 0;
      check(c, seed);
    }
}

TEST(CudaQuantize, NoopWritesNothing) {
  NEEDS_GPU();
  for (bool delayed : {false, true}) {
    CastCase c;
    c.shape = {200, 300};
    c.rowwise = c.columnwise = Scheme::Whole;
    c.delayed = delayed;
    c.amax = true;
    c.noop = 1.0f;
    check(c);
  }
}

/// Groups of every kind: aligned, not, empty, at the ends, all rows in one.
std::vector<std::pair<int64_t, std::vector<int32_t>>> raggedRows() {
  std::vector<std::pair<int64_t, std::vector<int32_t>>> all = {
      {300, {0, 130, 130, 257, 290}},
      {256, {0, 128, 256}},
      {64, {0, 0, 0, 64}},
      {512, {16, 144, 400, 400}},
      {129, {0, 1, 2, 129}},
      {100, {0, 0, 0}}};
  if (!isReduced()) {
    std::vector<int32_t> many = {0}; // 300 groups, more than a block has threads
    for (int g = 0; g < 300; ++g)
      many.push_back(many.back() + (g * 7919) % 97 % 40);
    all.push_back({many.back() + 100, many});
    all.push_back({4096, {0, 3968, 3968, 3984, 4096}});
  }
  return all;
}

TEST(CudaQuantize, Ragged) {
  NEEDS_GPU();
  unsigned seed = 100;
  for (const auto &[rows, offsets] : raggedRows())
    for (Scheme rowwise : rowSchemes)
      for (Scheme columnwise : columnSchemes)
        for (int64_t cols : {136, 257}) {
          if (rowwise == Scheme::None && columnwise == Scheme::None)
            continue;
          CastCase c;
          c.shape = {rows, cols};
          c.offsets = offsets;
          c.rowwise = rowwise, c.columnwise = columnwise;
          ++seed;
          c.special = seed % 3 == 0;
          c.amax = seed % 4 == 0;
          c.pow2 = seed % 2;
          c.input = seed % 5 ? TE_RT_BF16 : TE_RT_F32;
          check(c, seed);
          if (HasFailure())
            return;
        }
}

TEST(CudaQuantize, OneMemberAtATime) {
  NEEDS_GPU();
  unsigned seed = 200;
  for (const auto &[rows, offsets] : raggedRows())
    for (int64_t member = 0; member < std::min<int64_t>(5, offsets.size() - 1);
         ++member)
      for (bool host : {false, true})
        for (Scheme scheme : {Scheme::Whole, Scheme::Rows, Scheme::Square}) {
          CastCase c;
          c.shape = {rows, 144};
          c.offsets = offsets;
          c.member = member;
          c.hostOffsets = host;
          c.rowwise = scheme;
          c.columnwise = scheme == Scheme::Rows ? Scheme::Columns : scheme;
          c.amax = ++seed % 2;
          c.delayed = scheme == Scheme::Whole && seed % 4 > 1;
          check(c, seed);
          if (HasFailure())
            return;
        }
}

/// One multi_cast_transpose of the arguments of several makeCasts.
void checkMulti(Arguments &arguments) {
  expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
    std::vector<te_rt_tensor> lists[10];
    for (size_t i = 0; i < t.size(); ++i)
      if (t[i])
        lists[i % 10].push_back(*t[i]);
    auto list = [&](int k) {
      return te_rt_tensor_list{lists[k].data(), int64_t(lists[k].size())};
    };
    return te_rt_multi_cast_transpose(
        context, list(0), list(1), list(2), nullptr, list(5), list(6), list(7),
        list(8), list(9), {}, {}, 1, 0, 0.0);
  });
}

TEST(CudaQuantize, MultiCastTransposeMixesShapes) {
  NEEDS_GPU();
  const std::vector<std::vector<int64_t>> mix = {
      {1, 1},     {1, 768},   {768, 1},      {768, 768},   {43, 43},
      {43, 256},  {256, 43},  {256, 256},    {0, 16},      {2, 100, 136},
      {3, 64, 64}};
  for (size_t count : {size_t(1), size_t(11), size_t(65), size_t(130)})
    for (Scheme scheme : {Scheme::Whole, Scheme::Square, Scheme::Rows})
      for (int variant = 0; variant < 4; ++variant) {
        if (isReduced() && (count > 11 || variant == 1))
          continue;
        bool delayed = scheme == Scheme::Whole && variant % 3;
        Arguments arguments;
        for (size_t i = 0; i < count; ++i) {
          CastCase c;
          c.shape = mix[i % mix.size()];
          c.input = variant > 1 && i % 3 == 0 ? TE_RT_F32 : TE_RT_BF16;
          c.rowwise = scheme;
          c.columnwise = scheme == Scheme::Rows ? Scheme::Columns : scheme;
          c.delayed = delayed;
          c.amax = variant > 0;
          c.special = i % 2;
          Arguments one = makeCast(c, static_cast<unsigned>(i) + 7);
          for (auto &item : one.items)
            arguments.items.push_back(std::move(item));
        }
        checkMulti(arguments);
        if (HasFailure())
          return;
      }
}

// So large that tiles of 256 x 256 take them, and with edges: rows and columns
// that end within each half of a tile, transposed rows that are no multiples of 16
// bytes, groups that begin anywhere and empty ones.
TEST(CudaQuantize, LargeTiles) {
  NEEDS_GPU();
  unsigned seed = 300;
  for (Scheme scheme : {Scheme::Whole, Scheme::Square, Scheme::Rows}) {
    if (isReduced() && scheme == Scheme::Square)
      continue;
    // Blocks along each direction want more to be taken so.
    int64_t more = scheme == Scheme::Rows ? 4360 : 0;
    CastCase plain;
    plain.shape = {5992 + more, 5848 + more};
    CastCase ragged;
    int32_t last = static_cast<int32_t>(6144 + more);
    ragged.shape = {last + 32, 5896 + more};
    ragged.offsets = {0,    1,    1,          129,        900,
                      900,  1412, last - 200, last - 200, last};
    std::vector<CastCase> cases = {plain, ragged};
    if (more == 0) {
      cases.emplace_back();
      cases.back().shape = {3, 3432, 3656};
    }
    for (CastCase c : cases) {
      ++seed;
      c.rowwise = scheme;
      c.columnwise = scheme == Scheme::Rows ? Scheme::Columns : scheme;
      c.values = c.valuesT = seed % 2 ? TE_RT_F8E4M3 : TE_RT_F8E5M2;
      if (scheme == Scheme::Rows && seed % 3 == 0)
        c.valuesT = TE_RT_F8E4M3;
      c.delayed = scheme == Scheme::Whole && seed % 4 < 2;
      c.amax = scheme != Scheme::Rows;
      c.special = c.pow2 = seed % 3;
      check(c, seed);
      if (HasFailure())
        return;
      if (isReduced()) // one of each kernel
        break;
    }
  }
}

TEST(CudaQuantize, ManyTilesOfSeveral) {
  NEEDS_GPU();
  // Other kernels take a list with a matrix of nothing, whose amax is written, too.
  struct {
    Scheme scheme;
    int64_t rows;
  } lists[] = {{Scheme::Whole, 8},
               {Scheme::Whole, 0},
               {Scheme::Square, 8},
               {Scheme::Rows, 8}};
  for (auto [scheme, rows] : lists) {
    if (isReduced() && scheme == Scheme::Square)
      continue;
    Arguments arguments;
    unsigned seed = 7;
    for (std::vector<int64_t> shape :
         std::vector<std::vector<int64_t>>{{5360, 5112},
                                           {8, 16},
                                           {rows, 16},
                                           {248, 5112},
                                           {3, 64, 64},
                                           {2176, 5000},
                                           {2552, 5112}}) {
      CastCase c;
      c.shape = shape;
      c.rowwise = scheme;
      c.columnwise = scheme == Scheme::Rows ? Scheme::Columns : scheme;
      c.delayed = c.amax = scheme == Scheme::Whole;
      c.special = seed % 2;
      Arguments one = makeCast(c, ++seed);
      for (auto &item : one.items)
        arguments.items.push_back(std::move(item));
    }
    checkMulti(arguments);
    if (HasFailure())
      return;
  }
}

/// As many matrices as a kernel has first tiles of among its arguments, and one more.
TEST(CudaQuantize, AsManyAsTheArgumentsHold) {
  NEEDS_GPU();
  if (isReduced())
    return;
  for (int64_t members : {639, 640})
    for (Scheme scheme : {Scheme::Square, Scheme::Rows}) {
      Arguments arguments;
      for (std::vector<int64_t> shape :
           std::vector<std::vector<int64_t>>{{members, 256, 256}, {512, 256}}) {
        CastCase c;
        c.shape = shape;
        c.rowwise = scheme;
        c.columnwise = scheme == Scheme::Rows ? Scheme::Columns : scheme;
        Arguments one = makeCast(c, static_cast<unsigned>(members));
        for (auto &item : one.items)
          arguments.items.push_back(std::move(item));
      }
      checkMulti(arguments);
    }
}

TEST(CudaQuantize, AmaxInPlace) {
  NEEDS_GPU();
  CastCase c;
  c.shape = {4, 130, 144};
  c.rowwise = c.columnwise = Scheme::Whole;
  c.delayed = c.amax = true;
  Arguments arguments = makeCast(c, 3);
  expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
    return te_rt_quantize(context, t[0], t[1], t[2], t[3], t[4], nullptr, t[5],
                          t[6], t[7], t[8], t[2], nullptr, nullptr, -1, 0, 0, 0,
                          0, 0);
  });
}

//===----------------------------------------------------------------------===//
// Back from FP8
//===----------------------------------------------------------------------===//

/// A cast matrix: values, scales, offsets.
Arguments makeCodes(const CastCase &c, unsigned seed) {
  Arguments cast = makeCast(c, seed);
  std::vector<Bytes> after =
      runOnRef(cast, [&](te_rt_context *context, const Tensors &t) {
        return te_rt_quantize(context, t[0], nullptr, nullptr, nullptr, t[4],
                              nullptr, t[5], t[6], nullptr, nullptr, nullptr,
                              nullptr, nullptr, -1, 0, 0, 0, 0, 0);
      });
  Arguments codes;
  for (int i : {5, 6, 4}) {
    codes.items.push_back(std::move(cast.items[i]));
    if (codes.items.back()) {
      codes.items.back()->bytes = after[i];
      codes.items.back()->t.data = codes.items.back()->bytes.data();
    }
  }
  return codes;
}

TEST(CudaQuantize, Dequantize) {
  NEEDS_GPU();
  unsigned seed = 300;
  auto checkOne = [&](CastCase c) {
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32}) {
      Arguments arguments = makeCodes(c, ++seed);
      arguments.add(Tensor(type, c.shape));
      expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
        return te_rt_dequantize(context, t[0], t[1], nullptr, t[2], t[3]);
      });
    }
  };
  for (Scheme scheme : {Scheme::Whole, Scheme::Rows, Scheme::CompactRows,
                        Scheme::Square}) {
    CastCase c;
    c.rowwise = scheme;
    for (const auto &shape : shapes()) {
      c.shape = shape;
      c.special = ++seed % 2;
      c.values = seed % 3 ? TE_RT_F8E4M3 : TE_RT_F8E5M2;
      checkOne(c);
    }
    for (const auto &[rows, offsets] : raggedRows()) {
      c.shape = {rows, 257};
      c.offsets = offsets;
      checkOne(c);
      c.offsets.clear();
    }
  }
}

TEST(CudaQuantize, Requantize) {
  NEEDS_GPU();
  unsigned seed = 400;
  for (const auto &[rows, offsets] : raggedRows())
    for (bool ragged : {false, true})
      for (Scheme from : {Scheme::Whole, Scheme::Rows, Scheme::CompactRows})
        for (Scheme columnwise :
             {Scheme::Columns, Scheme::CompactColumns, Scheme::Whole}) {
          CastCase c;
          c.shape = {rows, 144};
          if (ragged)
            c.offsets = offsets;
          c.rowwise = from;
          c.special = ++seed % 2;
          Arguments arguments = makeCodes(c, seed);
          addOutput(arguments, c, columnwise, true);
          te_rt_dtype via = seed / 3 % 2 ? TE_RT_F32 : TE_RT_BF16;
          expectTwins(arguments,
                      [&](te_rt_context *context, const Tensors &t) {
                        return te_rt_requantize(
                            context, t[0], t[1], nullptr, nullptr, t[2],
                            nullptr, nullptr, t[3], t[4], nullptr, via, 1, 0);
                      });
          if (HasFailure())
            return;
        }
}
} // namespace
