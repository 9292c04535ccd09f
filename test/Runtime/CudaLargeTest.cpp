//===- CudaLargeTest.cpp - more elements than 31 bits can count -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs repeat a part whose size divides no power of two, each with a mark of its
// own, so that an index that wraps around meets other values. What lies around
// 2^31 and at both ends is held to ref.
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"
#include "Twin.h"

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
  te_rt_tensor tensor(te_rt_dtype dtype, std::vector<int64_t> shape) const {
    te_rt_tensor made = Tensor(dtype, {0}).t;
    made.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), made.shape);
    made.data = data;
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
  for (int64_t part = 0; part < kParts; ++part) {
    int64_t at = part * kPartRows * kCols * 2;
    if (part == 0)
      input.copy(at, period.bytes.data(), kPartRows * kCols * 2);
    else
      input.copy(at, input.data, kPartRows * kCols * 2);
  }
  for (int64_t part = 0; part < kParts; ++part)
    input.copy(part * kPartRows * kCols * 2, partOf(period, part).bytes.data(),
               kCols * 2);

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
    constexpr int64_t boundary = (int64_t(1) << 31) / kCols / kPartRows;
    for (int64_t part : {int64_t(0), boundary / 2, boundary, kParts - 1}) {
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
} // namespace
