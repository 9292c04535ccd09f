//===- Microscaling.cpp - times of MXFP8 and NVFP4 ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include "te_runtime/gemm.h"

#include <memory>

using namespace te_bench;

namespace {
constexpr int64_t kHidden = 7168;

/// One direction of a cast of rows x cols, of `members` if that is not 0.
struct Output {
  te_rt_tensor values = {}, scales = {}, amax = {};

  Output(Bench &bench, bool fp4, int64_t rows, int64_t cols, bool columnwise,
         te_rt_scale_layout layout, int64_t members = 0, int32_t groups = 0) {
    bool turned = columnwise && fp4;
    if (turned)
      std::swap(rows, cols);
    std::vector<int64_t> shape = {rows, cols};
    if (members)
      shape.insert(shape.begin(), members);
    values = bench.tensor(fp4 ? TE_RT_F4E2M1 : TE_RT_F8E4M3, shape);
    bool down = columnwise && !fp4;
    scales = bench.scales(layout, down ? 32 : 1, down ? 1 : fp4 ? 16 : 32, rows,
                          cols, columnwise ? groups : 0, members,
                          fp4 ? TE_RT_F8E4M3 : TE_RT_F8E8M0);
    int64_t domains = members ? members : groups;
    if (fp4)
      amax = bench.tensor(TE_RT_F32, domains ? std::vector<int64_t>{domains}
                                             : std::vector<int64_t>{});
  }
};

/// Rows of tokens; `extra`: square blocks, or a Hadamard transform and stochastic
/// rounding.
void quantize(Bench &bench, bool fp4, int64_t rows, bool columns,
              te_rt_scale_layout layout, bool hadamard, bool stochastic) {
  int64_t elements = rows * kHidden;
  int64_t perDirection =
      fp4 ? elements / 2 + elements / 16 : elements + elements / 32;
  std::string name = std::string("quantize ") + (fp4 ? "NVFP4" : "MXFP8") +
                     (columns ? " rows+columns" : " rows") +
                     (layout == TE_RT_SWIZZLED ? " swizzled" : " compact") +
                     (hadamard ? " hadamard" : "") +
                     (stochastic ? " stochastic " : " ") + std::to_string(rows);
  bench.row(name, elements * (fp4 ? 4 : 2) + perDirection * (columns ? 2 : 1),
            [&, layout]() -> Bench::Call {
              te_rt_tensor x = bench.normal(TE_RT_BF16, {rows, kHidden});
              Output row(bench, fp4, rows, kHidden, false, layout);
              auto column = std::make_shared<Output>(row);
              if (columns)
                *column = Output(bench, fp4, rows, kHidden, true, layout);
              te_rt_tensor rng = bench.tensor(TE_RT_I64, {2});
              return [=, &bench] {
                return te_rt_quantize(
                    bench.context(), &x, nullptr, nullptr, nullptr, nullptr,
                    stochastic ? &rng : nullptr, &row.values, &row.scales,
                    columns ? &column->values : nullptr,
                    columns ? &column->scales : nullptr, nullptr,
                    fp4 ? &row.amax : nullptr,
                    fp4 && columns ? &column->amax : nullptr, -1, 0, 0,
                    hadamard, 0, 0);
              };
            });
}

/// All weights of a layer in one launch, scales as products take them.
void weights(Bench &bench, bool fp4) {
  struct Weight {
    int64_t members, rows, cols;
  };
  const std::vector<Weight> all = {{8, 4096, 7168}, {8, 7168, 2048}};
  int64_t elements = 0;
  for (const Weight &w : all)
    elements += w.members * w.rows * w.cols;
  int64_t both = 2 * (fp4 ? elements / 2 + elements / 16
                          : elements + elements / 32);
  bench.row(std::string("multi_cast_transpose ") + (fp4 ? "NVFP4" : "MXFP8") +
                " DeepSeek-V3 E=8",
            elements * (fp4 ? 4 : 2) + both, [&, fp4]() -> Bench::Call {
              struct Lists {
                std::vector<te_rt_tensor> in, q, s, a, qt, st, at;
              };
              auto lists = std::make_shared<Lists>();
              for (const Weight &w : all) {
                lists->in.push_back(
                    bench.normal(TE_RT_BF16, {w.members, w.rows, w.cols}));
                for (bool columnwise : {false, true}) {
                  Output out(bench, fp4, w.rows, w.cols, columnwise,
                             TE_RT_SWIZZLED, w.members);
                  (columnwise ? lists->qt : lists->q).push_back(out.values);
                  (columnwise ? lists->st : lists->s).push_back(out.scales);
                  if (fp4)
                    (columnwise ? lists->at : lists->a).push_back(out.amax);
                }
              }
              return [&bench, lists, fp4] {
                auto list = [](const std::vector<te_rt_tensor> &items) {
                  return te_rt_tensor_list{items.data(), int64_t(items.size())};
                };
                return te_rt_multi_cast_transpose(
                    bench.context(), list(lists->in), {}, {}, nullptr,
                    list(lists->q), list(lists->s), list(lists->qt),
                    list(lists->st), {}, list(lists->a), list(lists->at), 0,
                    fp4, 0);
              };
            });
}

/// Scales of members from one layout to the other, and a copy of as many bytes.
void swizzle(Bench &bench, bool fp4, bool columnwise, bool back,
             int64_t members, int64_t rows) {
  int64_t bytes = members * rows * kHidden / (fp4 ? 16 : 32);
  std::string size = std::to_string(members) + " x " + std::to_string(rows);
  bench.row(std::string(back ? "unswizzle " : "swizzle ") +
                (fp4 ? "NVFP4 " : "MXFP8 ") + (columnwise ? "columns " : "") +
                size,
            2 * bytes, [&]() -> Bench::Call {
              auto layouts = {TE_RT_COMPACT, TE_RT_SWIZZLED};
              std::vector<te_rt_tensor> both;
              for (te_rt_scale_layout layout : layouts)
                both.push_back(bench.scales(layout, columnwise ? 32 : 1,
                                            columnwise ? 1 : fp4 ? 16 : 32,
                                            rows, kHidden, 0, members,
                                            fp4 ? TE_RT_F8E4M3 : TE_RT_F8E8M0));
              return [=, &bench] {
                return te_rt_convert_scales(bench.context(), &both[back],
                                            &both[!back], rows, kHidden);
              };
            });
}
void copyOfScales(Bench &bench, int64_t bytes) {
  bench.row("copy of " + std::to_string(bytes) + " B", 2 * bytes,
            [&]() -> Bench::Call {
              te_rt_tensor from = bench.tensor(TE_RT_U8, {bytes});
              te_rt_tensor to = bench.tensor(TE_RT_U8, {bytes});
              return [=, &bench] {
                return te_rt_copy(bench.context(), &from, &to);
              };
            });
}

void dequantize(Bench &bench, bool fp4, int64_t rows) {
  int64_t elements = rows * kHidden;
  bench.row(std::string("dequantize ") + (fp4 ? "NVFP4 " : "MXFP8 ") +
                std::to_string(rows),
            elements * 2 + (fp4 ? elements / 2 + elements / 16
                                : elements + elements / 32),
            [&]() -> Bench::Call {
              Output in(bench, fp4, rows, kHidden, false, TE_RT_COMPACT);
              te_rt_tensor out = bench.tensor(TE_RT_BF16, {rows, kHidden});
              return [=, &bench] {
                return te_rt_dequantize(bench.context(), &in.values, &in.scales,
                                        fp4 ? &in.amax : nullptr, nullptr,
                                        &out);
              };
            });
}

/// swiglu of rows of 2 x 2048, cast both ways for products.
void swiglu(Bench &bench, int64_t rows) {
  constexpr int64_t width = 2048;
  int64_t elements = rows * width;
  bench.row("swiglu + quantize MXFP8 rows+columns " + std::to_string(rows),
            elements * 6 + elements / 16, [&]() -> Bench::Call {
              te_rt_tensor x = bench.normal(TE_RT_BF16, {rows, 2 * width});
              te_rt_tensor probs = bench.normal(TE_RT_F32, {rows});
              Output row(bench, false, rows, width, false, TE_RT_SWIZZLED);
              Output column(bench, false, rows, width, true, TE_RT_SWIZZLED);
              return [=, &bench] {
                return te_rt_swiglu_quantize(
                    bench.context(), &x, &probs, nullptr, nullptr, nullptr,
                    &row.values, &row.scales, &column.values, &column.scales,
                    nullptr, 0, 0);
              };
            });
}
/// Products of a layer's first weights, eight experts: rows, or the reduction of
/// their gradients, are 32768 tokens.
void product(Bench &bench, bool fp4, bool ofGradients) {
  constexpr int64_t experts = 8, tokens = 32768, width = 4096;
  int64_t perByte = fp4 ? 2 : 1;
  int64_t bytes = tokens * kHidden / perByte +
                  (ofGradients ? tokens * width / perByte +
                                     experts * width * kHidden * 4
                               : experts * width * kHidden / perByte +
                                     tokens * width * 2);
  bench.row(std::string("grouped_gemm ") + (fp4 ? "NVFP4" : "MXFP8") +
                (ofGradients ? " wgrad" : " fprop") + " 1.92 TFLOP",
            bytes, [&]() -> Bench::Call {
              std::vector<int32_t> offsets;
              for (int64_t e = 0; e <= experts; ++e)
                offsets.push_back(static_cast<int32_t>(e * tokens / experts));
              te_rt_tensor begins = bench.integers({experts + 1}, offsets);
              // Codes and scales of any bytes would hold NaN, which cost no more.
              Output x(bench, fp4, tokens, kHidden, ofGradients, TE_RT_SWIZZLED,
                       0, experts);
              Output w = ofGradients
                             ? Output(bench, fp4, tokens, width, true,
                                      TE_RT_SWIZZLED, 0, experts)
                             : Output(bench, fp4, width, kHidden, false,
                                      TE_RT_SWIZZLED, experts);
              te_rt_tensor y =
                  ofGradients
                      ? bench.tensor(TE_RT_F32, {experts, width, kHidden})
                      : bench.tensor(TE_RT_BF16, {tokens, width});
              return [=, &bench] {
                const Output &lhs = ofGradients ? w : x;
                const Output &rhs = ofGradients ? x : w;
                bool turned = ofGradients && !fp4;
                return te_rt_grouped_gemm(
                    bench.context(), &lhs.values, &lhs.scales,
                    fp4 ? &lhs.amax : nullptr, {&rhs.values, 1},
                    {&rhs.scales, 1}, {fp4 ? &rhs.amax : nullptr, fp4}, {},
                    &begins, {&y, 1},
                    ofGradients ? TE_RT_RAGGED_REDUCTION : TE_RT_RAGGED_ROWS,
                    turned, turned, 0);
              };
            });
}
} // namespace

void te_bench::runMicroscaling(Bench &bench) {
  for (int64_t rows : {int64_t(512), int64_t(8192), int64_t(32768)})
    for (bool fp4 : {false, true})
      for (bool columns : {false, true})
        quantize(bench, fp4, rows, columns, TE_RT_SWIZZLED, false, false);
  quantize(bench, false, 32768, true, TE_RT_COMPACT, false, false);
  quantize(bench, true, 32768, true, TE_RT_SWIZZLED, true, false);
  quantize(bench, true, 32768, true, TE_RT_SWIZZLED, true, true);
  for (bool fp4 : {false, true})
    weights(bench, fp4);
  swiglu(bench, 32768);
  for (bool fp4 : {false, true})
    for (bool ofGradients : {false, true})
      product(bench, fp4, ofGradients);
  for (bool fp4 : {false, true})
    dequantize(bench, fp4, 32768);
  for (int64_t members : {1, 8}) {
    copyOfScales(bench, members * 32768 * kHidden / 32);
    for (bool back : {false, true}) {
      swizzle(bench, false, false, back, members, 32768);
      swizzle(bench, false, true, back, members, 32768);
    }
    copyOfScales(bench, members * 32768 * kHidden / 16);
    for (bool back : {false, true})
      swizzle(bench, true, false, back, members, 32768);
  }
}
