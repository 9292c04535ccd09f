//===- CudaLargeTest.cpp - more elements than 31 bits can count -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs repeat a part whose size divides no power of two, each with a mark of its
// own, so that an index that wraps around meets other values. What lies around
// 2^31 and at both ends is held to ref, or to the same function on that part alone,
// which other tests hold to ref.
//
//===----------------------------------------------------------------------===//

#include "GroupedGemm.h"
#include "Recipes.h"

using namespace te_test;

namespace {
constexpr int64_t kCols = 7168, kPartRows = 4096, kParts = 74;
constexpr int64_t kRows = kPartRows * kParts;
static_assert(kRows * kCols > int64_t(1) << 31, "as the file says");

/// Memory of the device; null where there is not enough.
struct Memory {
  void *data = nullptr;
  int64_t bytes;
  explicit Memory(int64_t bytes) : bytes(bytes) {
    te_rt_allocate(Gpu::get().context, bytes, &data);
  }
  ~Memory() {
    if (data)
      te_rt_release(Gpu::get().context, data);
  }
  char *at(int64_t byte) const { return static_cast<char *>(data) + byte; }
  void copy(int64_t to, const void *from, int64_t count) const {
    EXPECT_EQ(te_rt_copy_memory(Gpu::get().context, at(to), from, count),
              TE_RT_OK);
  }
  Bytes read(int64_t from, int64_t count) const {
    Bytes bytes(static_cast<size_t>(count));
    EXPECT_EQ(te_rt_copy_memory(Gpu::get().context, bytes.data(), at(from),
                                count),
              TE_RT_OK);
    return bytes;
  }
  te_rt_tensor tensor(te_rt_dtype dtype, std::vector<int64_t> shape,
                      int64_t byte = 0) const {
    te_rt_tensor made = Tensor(dtype, {0}).t;
    made.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), made.shape);
    made.data = at(byte);
    return made;
  }
  /// Scales of blocks of 1 x 128 of rows x cols.
  te_rt_tensor scales(int64_t rows, int64_t cols, int64_t byte = 0) const {
    te_rt_tensor made = tensor(TE_RT_F32, {rows, cols / 128}, byte);
    made.layout = TE_RT_COMPACT, made.block_rows = 1, made.block_cols = 128;
    return made;
  }
};

bool hasRoom() {
  const char *value = std::getenv("TE_CONFORMANCE");
  return !value; // neither reduced nor on the host
}

/// Part `part` of the input: the same normal data, its first row times a power.
Tensor partOf(const Tensor &period, int64_t part) {
  Tensor made = period;
  for (int64_t col = 0; col < kCols; ++col)
    made.set(col, made.get(col) * std::ldexp(1.0f, int(part) - 40));
  return made;
}

/// The part with element 2^31, those at both ends, and one between.
constexpr int64_t kSomeParts[] = {
    0, (int64_t(1) << 31) / kCols / kPartRows / 2,
    (int64_t(1) << 31) / kCols / kPartRows, kParts - 1};

/// kRows x kCols of BF16: parts of the same data, each with a mark.
void fillParts(const Memory &input, const Tensor &period) {
  for (int64_t part = 0; part < kParts; ++part)
    input.copy(part * kPartRows * kCols * 2,
               part ? input.data : period.bytes.data(), kPartRows * kCols * 2);
  for (int64_t part = 0; part < kParts; ++part)
    input.copy(part * kPartRows * kCols * 2, partOf(period, part).bytes.data(),
               kCols * 2);
}

/// That bytes of all and of one part are equal.
void expectSameBytes(const Memory &all, int64_t at, const Memory &part,
                     int64_t count, const std::string &what) {
  EXPECT_TRUE(all.read(at, count) == part.read(0, count)) << what;
}

#define EXPECT_CALL(call)                                                      \
  ASSERT_EQ(call, TE_RT_OK) << te_rt_last_error(context);                      \
  ASSERT_EQ(te_rt_synchronize(context), TE_RT_OK) << te_rt_last_error(context)

TEST(CudaLarge, Quantize) {
  NEEDS_GPU();
  if (!hasRoom())
    GTEST_SKIP() << "wanted all of a GPU";
  te_rt_context *context = Gpu::get().context;
  int64_t elements = kRows * kCols;
  Memory input(2 * elements), rows(elements), columns(elements),
      scales(elements / 32), columnScales(elements / 32);
  if (!input.data || !rows.data || !columns.data || !columnScales.data)
    GTEST_SKIP() << "found no memory for 9 GB on the device";
  Tensor period = normal(TE_RT_BF16, {kPartRows, kCols}, 1);
  fillParts(input, period);

  struct Form {
    int32_t cols; // of a block of rows
    te_rt_dtype type;
  };
  for (Form form : {Form{32, TE_RT_F8E8M0}, Form{128, TE_RT_F32}}) {
    bool mx = form.cols == 32;
    te_rt_tensor x = input.tensor(TE_RT_BF16, {kRows, kCols});
    te_rt_tensor q = rows.tensor(TE_RT_F8E4M3, {kRows, kCols});
    te_rt_tensor s = scales.tensor(form.type, {kRows, kCols / form.cols});
    s.layout = TE_RT_COMPACT, s.block_rows = 1, s.block_cols = form.cols;
    te_rt_tensor qt = columns.tensor(TE_RT_F8E4M3, {kRows, kCols});
    te_rt_tensor st =
        columnScales.tensor(form.type, {kRows / form.cols, kCols});
    st.layout = TE_RT_COMPACT, st.block_rows = form.cols, st.block_cols = 1;
    ASSERT_EQ(te_rt_quantize(context, &x, nullptr, nullptr, nullptr, nullptr,
                             nullptr, &q, &s, &qt, &st, nullptr, nullptr,
                             nullptr, -1, 0, 0, 0, 0, 0),
              TE_RT_OK)
        << te_rt_last_error(context);
    ASSERT_EQ(te_rt_synchronize(context), TE_RT_OK) << te_rt_last_error(context);
    for (int64_t part : kSomeParts) {
      Arguments arguments;
      arguments.add(partOf(period, part));
      arguments.add(Tensor(TE_RT_F8E4M3, {kPartRows, kCols}));
      arguments.add(Tensor(form.type, {kPartRows, kCols / form.cols})
                        .scales(TE_RT_COMPACT, 1, form.cols));
      arguments.add(Tensor(TE_RT_F8E4M3, {kPartRows, kCols}));
      arguments.add(Tensor(form.type, {kPartRows / form.cols, kCols})
                        .scales(TE_RT_COMPACT, form.cols, 1));
      std::vector<Bytes> wanted =
          runOnRef(arguments, [](te_rt_context *ref, const Tensors &t) {
            return te_rt_quantize(ref, t[0], nullptr, nullptr, nullptr, nullptr,
                                  nullptr, t[1], t[2], t[3], t[4], nullptr,
                                  nullptr, nullptr, -1, 0, 0, 0, 0, 0);
          });
      int64_t each = kPartRows * kCols;
      int64_t scaleBytes = each / form.cols * (mx ? 1 : 4);
      EXPECT_TRUE(rows.read(part * each, each) == wanted[1]) << part;
      EXPECT_TRUE(scales.read(part * scaleBytes, scaleBytes) == wanted[2]);
      EXPECT_TRUE(columns.read(part * each, each) == wanted[3]) << part;
      EXPECT_TRUE(columnScales.read(part * scaleBytes, scaleBytes) ==
                  wanted[4]);
    }
  }
}

TEST(CudaLarge, Permute) {
  NEEDS_GPU();
  if (!hasRoom())
    GTEST_SKIP() << "wanted all of a GPU";
  te_rt_context *context = Gpu::get().context;
  constexpr int64_t slots = 8, tokens = kRows / slots;
  Memory input(tokens * kCols * 2), output(kRows * kCols * 2),
      map(kRows * 4);
  if (!input.data || !output.data || !map.data)
    GTEST_SKIP() << "found no memory for 5 GB on the device";
  Tensor period = noise(TE_RT_BF16, {kPartRows + 1, kCols}, 2);
  auto periodBytes = static_cast<int64_t>(period.bytes.size());
  for (int64_t at = 0; at < input.bytes; at += periodBytes)
    input.copy(at, period.bytes.data(), std::min(periodBytes, input.bytes - at));
  std::vector<int32_t> rowMap(static_cast<size_t>(kRows));
  constexpr int64_t stride = 100003; // a prime, so that each row comes once
  for (int64_t i = 0; i < kRows; ++i)
    rowMap[static_cast<size_t>(i)] = static_cast<int32_t>(i * stride % kRows);
  map.copy(0, rowMap.data(), map.bytes);
  te_rt_tensor x = input.tensor(TE_RT_BF16, {tokens, kCols});
  te_rt_tensor y = output.tensor(TE_RT_BF16, {kRows, kCols});
  te_rt_tensor rows = map.tensor(TE_RT_I32, {tokens, slots});
  ASSERT_EQ(te_rt_permute(context, &x, nullptr, nullptr, &rows, nullptr,
                          nullptr, &y, nullptr, nullptr),
            TE_RT_OK)
      << te_rt_last_error(context);
  for (int64_t pair = 0; pair < kRows; pair += pair < kRows - 900 ? 887 : 1) {
    int64_t row = rowMap[static_cast<size_t>(pair)];
    int64_t token = pair / slots % (kPartRows + 1);
    Bytes found = output.read(row * kCols * 2, kCols * 2);
    ASSERT_TRUE(std::equal(found.begin(), found.end(),
                           period.bytes.begin() + token * kCols * 2))
        << "row " << row;
  }
}

/// Gates and gradients of gates: rows of [a | b] that pass 2^31 elements.
TEST(CudaLarge, Activations) {
  NEEDS_GPU();
  if (!hasRoom())
    GTEST_SKIP() << "wanted all of a GPU";
  te_rt_context *context = Gpu::get().context;
  constexpr int64_t width = kCols / 2, elements = kRows * kCols;
  Memory input(elements * 2), probs(kRows * 4), output(elements),
      values(elements), valuesT(elements), scales(elements / 32),
      scalesT(elements / 32), gradProbs(kRows * 4);
  constexpr int64_t partElements = kPartRows * kCols;
  Memory partOutput(partElements), partValues(partElements),
      partValuesT(partElements), partScales(partElements / 32),
      partScalesT(partElements / 32), partGradProbs(kPartRows * 4);
  if (!input.data || !output.data || !values.data || !valuesT.data ||
      !scalesT.data)
    GTEST_SKIP() << "found no memory for 13 GB on the device";
  fillParts(input, normal(TE_RT_BF16, {kPartRows, kCols}, 3));
  Tensor some = te_test::values(TE_RT_F32, {kPartRows}, 4);
  for (int64_t part = 0; part < kParts; ++part)
    probs.copy(part * kPartRows * 4, some.bytes.data(), kPartRows * 4);

  // `rows` of what begins at row `row`; the gradient of the output is the left half of
  // the input, read as rows of its own.
  auto run = [&](int64_t row, int64_t rows, const Memory &y, const Memory &q,
                 const Memory &s, const Memory &qt, const Memory &st,
                 const Memory &dp) {
    te_rt_tensor x = input.tensor(TE_RT_BF16, {rows, kCols}, row * kCols * 2);
    te_rt_tensor g = input.tensor(TE_RT_BF16, {rows, width}, row * width * 2);
    te_rt_tensor p = probs.tensor(TE_RT_F32, {rows}, row * 4);
    te_rt_tensor out = y.tensor(TE_RT_BF16, {rows, width});
    te_rt_tensor dProbs = dp.tensor(TE_RT_F32, {rows});
    te_rt_tensor v = q.tensor(TE_RT_F8E4M3, {rows, kCols}),
                 vs = s.scales(rows, kCols),
                 vt = qt.tensor(TE_RT_F8E4M3, {kCols, rows}),
                 vts = st.scales(kCols, rows);
    EXPECT_CALL(te_rt_swiglu(context, &x, &p, nullptr, &out));
    EXPECT_CALL(te_rt_swiglu_backward_quantize(
        context, &g, &x, &p, nullptr, nullptr, nullptr, &v, &vs, &vt, &vts,
        nullptr, &dProbs, 0, 0));
  };
  run(0, kRows, output, values, scales, valuesT, scalesT, gradProbs);
  for (int64_t part : kSomeParts) {
    SCOPED_TRACE(part);
    int64_t row = part * kPartRows;
    run(row, kPartRows, partOutput, partValues, partScales, partValuesT,
        partScalesT, partGradProbs);
    expectSameBytes(output, row * width * 2, partOutput, partElements,
                    "swiglu");
    expectSameBytes(values, row * kCols, partValues, partElements, "values");
    expectSameBytes(scales, row * kCols / 32, partScales, partElements / 32,
                    "scales");
    expectSameBytes(gradProbs, row * 4, partGradProbs, kPartRows * 4,
                    "gradients of probabilities");
    for (int64_t col = 0; col < kCols; col += col < kCols - 100 ? 97 : 1) {
      ASSERT_TRUE(valuesT.read(col * kRows + row, kPartRows) ==
                  partValuesT.read(col * kPartRows, kPartRows))
          << "column " << col;
      ASSERT_TRUE(scalesT.read((col * kRows + row) / 32, kPartRows / 32) ==
                  partScalesT.read(col * kPartRows / 32, kPartRows / 32))
          << "scales of column " << col;
    }
  }
}

/// Back from FP8, and sums of rows that lie all over.
TEST(CudaLarge, DequantizeAndUnpermute) {
  NEEDS_GPU();
  if (!hasRoom())
    GTEST_SKIP() << "wanted all of a GPU";
  te_rt_context *context = Gpu::get().context;
  constexpr int64_t elements = kRows * kCols, slots = 8, tokens = kRows / slots;
  Memory values(elements), scales(elements / 32), rows(elements * 2),
      map(kRows * 4), sums(tokens * kCols * 2);
  if (!values.data || !rows.data || !scales.data || !sums.data)
    GTEST_SKIP() << "found no memory for 8 GB on the device";
  Tensor period = operandOf(TE_RT_F8E4M3, {kPartRows + 1, kCols}, 5);
  auto bytes = static_cast<int64_t>(period.bytes.size());
  for (int64_t at = 0; at < elements; at += bytes)
    values.copy(at, period.bytes.data(), std::min(bytes, elements - at));
  Tensor factors = scalesOf({kPartRows, kCols / 128}, 6);
  for (int64_t part = 0; part < kParts; ++part)
    scales.copy(part * kPartRows * kCols / 32, factors.bytes.data(),
                kPartRows * kCols / 32);
  te_rt_tensor q = values.tensor(TE_RT_F8E4M3, {kRows, kCols}),
               s = scales.scales(kRows, kCols),
               x = rows.tensor(TE_RT_BF16, {kRows, kCols});
  EXPECT_CALL(te_rt_dequantize(context, &q, &s, nullptr, nullptr, &x));
  Memory part(kPartRows * kCols * 2);
  for (int64_t at : kSomeParts) {
    int64_t row = at * kPartRows;
    te_rt_tensor qp = values.tensor(TE_RT_F8E4M3, {kPartRows, kCols},
                                    row * kCols),
                 sp = scales.scales(kPartRows, kCols, row * kCols / 32),
                 xp = part.tensor(TE_RT_BF16, {kPartRows, kCols});
    EXPECT_CALL(te_rt_dequantize(context, &qp, &sp, nullptr, nullptr, &xp));
    expectSameBytes(rows, row * kCols * 2, part, part.bytes, "dequantize");
  }

  std::vector<int32_t> rowMap(static_cast<size_t>(kRows));
  for (int64_t i = 0; i < kRows; ++i)
    rowMap[static_cast<size_t>(i)] = static_cast<int32_t>(i * 100003 % kRows);
  map.copy(0, rowMap.data(), map.bytes);
  te_rt_tensor where = map.tensor(TE_RT_I32, {tokens, slots}),
               y = sums.tensor(TE_RT_BF16, {tokens, kCols});
  EXPECT_CALL(te_rt_unpermute(context, &x, nullptr, &where, &y, nullptr));
  for (int64_t token = 0; token < tokens; token += 397) {
    // The rows of one token, as a call of their own on ref.
    Arguments arguments;
    Tensor mine(TE_RT_BF16, {slots, kCols}), order(TE_RT_I32, {1, slots});
    std::vector<int32_t> sorted(rowMap.begin() + token * slots,
                                rowMap.begin() + (token + 1) * slots);
    std::sort(sorted.begin(), sorted.end());
    for (int64_t i = 0; i < slots; ++i) {
      Bytes row = rows.read(sorted[i] * kCols * 2, kCols * 2);
      std::copy(row.begin(), row.end(),
                mine.bytes.begin() + i * kCols * 2);
      order.as<int32_t>()[i] = static_cast<int32_t>(i);
    }
    arguments.add(mine);
    arguments.add(order);
    arguments.add(Tensor(TE_RT_BF16, {1, kCols}));
    std::vector<Bytes> wanted =
        runOnRef(arguments, [](te_rt_context *ref, const Tensors &t) {
          return te_rt_unpermute(ref, t[0], nullptr, t[1], t[2], nullptr);
        });
    ASSERT_TRUE(sums.read(token * kCols * 2, kCols * 2) == wanted[2])
        << "token " << token;
  }
}

/// Rows of FP8, their products, and gradients of weights, each beyond 2^31 elements:
/// a group has the bits that it has alone.
TEST(CudaLarge, Products) {
  NEEDS_GPU();
  if (!hasRoom())
    GTEST_SKIP() << "wanted all of a GPU";
  te_rt_context *context = Gpu::get().context;
  struct Extents {
    int64_t groups, rows, n, k; // over the reduction rows are K of a group
    bool overReduction;
  };
  for (Extents e : {Extents{kParts, kPartRows, 256, kCols, false},
                    {kParts, kPartRows, kCols, 256, false},
                    {80, 128, 4096, kCols, true}}) {
    int64_t capacity = e.groups * e.rows;
    std::vector<int64_t> left = {capacity, e.k}, right = {e.groups, e.n, e.k},
                         out = {capacity, e.n};
    if (e.overReduction)
      left = {e.n, capacity}, right = {e.k, capacity},
      out = {e.groups, e.n, e.k};
    auto count = [](const std::vector<int64_t> &shape) {
      int64_t product = 1;
      for (int64_t extent : shape)
        product *= extent;
      return product;
    };
    te_rt_dtype type = e.overReduction ? TE_RT_F32 : TE_RT_BF16;
    int64_t each = bytesOf(type, e.overReduction ? e.n * e.k : e.rows * e.n);
    Memory lhs(count(left)), rhs(count(right)), factors(e.groups * 4),
        starts((e.groups + 1) * 4), result(e.groups * each), alone(each);
    if (!lhs.data || !rhs.data || !result.data || !alone.data)
      GTEST_SKIP() << "found no memory for 10 GB on the device";
    Tensor period = operandOf(TE_RT_F8E4M3, {4099, 1021}, 7);
    for (const Memory *memory : {&lhs, &rhs})
      for (int64_t at = 0; at < memory->bytes; at += period.bytes.size())
        memory->copy(at, period.bytes.data(),
                     std::min<int64_t>(period.bytes.size(),
                                       memory->bytes - at));
    factors.copy(0, scalesOf({e.groups}, 8).bytes.data(), factors.bytes);
    std::vector<int32_t> offsets;
    for (int64_t g = 0; g <= e.groups; ++g)
      offsets.push_back(static_cast<int32_t>(g * e.rows));
    starts.copy(0, offsets.data(), starts.bytes);
    te_rt_tensor a = lhs.tensor(TE_RT_F8E4M3, left),
                 b = rhs.tensor(TE_RT_F8E4M3, right),
                 s = factors.tensor(TE_RT_F32, {e.groups}),
                 o = starts.tensor(TE_RT_I32, {e.groups + 1}),
                 y = result.tensor(type, out);
    s.layout = TE_RT_TENSOR;
    int64_t ragged =
        e.overReduction ? TE_RT_RAGGED_REDUCTION : TE_RT_RAGGED_ROWS;
    EXPECT_CALL(te_rt_grouped_gemm(context, &a, &s, nullptr, {&b, 1}, {&s, 1},
                                   {}, {}, &o, {&y, 1}, ragged, 0, 0, 0));
    for (int64_t g : {int64_t(0), e.groups / 2, e.groups - 2, e.groups - 1}) {
      // Its operands, moved to where nothing is large.
      int64_t reduction = e.overReduction ? e.rows : e.k;
      Memory x(e.overReduction ? e.n * e.rows : e.rows * e.k),
          w(e.overReduction ? e.k * e.rows : e.n * e.k);
      auto take = [&](const Memory &to, const Memory &from, bool isWeight) {
        if (!e.overReduction)
          return to.copy(0, from.at(g * to.bytes), to.bytes);
        for (int64_t row = 0; row < (isWeight ? e.k : e.n); ++row)
          to.copy(row * e.rows, from.at(row * capacity + g * e.rows), e.rows);
      };
      take(x, lhs, false), take(w, rhs, true);
      te_rt_tensor xa = x.tensor(TE_RT_F8E4M3, {x.bytes / reduction, reduction}),
                   wa = w.tensor(TE_RT_F8E4M3, {w.bytes / reduction, reduction}),
                   sa = factors.tensor(TE_RT_F32, {}, g * 4),
                   ya = alone.tensor(type, {x.bytes / reduction,
                                            w.bytes / reduction});
      sa.layout = TE_RT_TENSOR;
      EXPECT_CALL(te_rt_gemm(context, &xa, &sa, nullptr, &wa, &sa, nullptr,
                             nullptr, nullptr, &ya, TE_RT_DENSE, 0, 0, 0, 0));
      expectSameBytes(result, g * each, alone, each,
                      "group " + std::to_string(g) + " of products of " +
                          std::to_string(e.n) + " over " +
                          std::to_string(e.k));
    }
  }
}
} // namespace
