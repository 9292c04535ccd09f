//===- Casts.cpp - times of casts -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include <memory>

using namespace te_bench;

namespace {

struct Weights {
  const char *name;
  int64_t members;
  std::vector<std::pair<int64_t, int64_t>> shapes;
};
const Weights weights[] = {
    {"DeepSeek-V3 E=8", 8, {{4096, 7168}, {7168, 2048}}},
    {"Mixtral E=8", 8, {{28672, 4096}, {4096, 14336}}},
    {"Qwen3-30B E=128", 128, {{1536, 2048}, {2048, 768}}},
    {"GPT-OSS E=32", 32, {{5760, 2880}, {2880, 2880}}},
};

/// All weights of a layer, one tensor for each expert, in one launch.
void multiCast(Bench &bench, const Weights &w, bool square) {
  int64_t elements = 0;
  for (auto [rows, cols] : w.shapes)
    elements += w.members * rows * cols;
  bench.row(std::string("multi_cast_transpose ") +
                (square ? "128x128 " : "tensor+amax ") + w.name,
            4 * elements, [&bench, &w, square]() -> Bench::Call {
              struct Lists {
                std::vector<te_rt_tensor> in, scale, amax, q, s, qt, st;
              };
              auto lists = std::make_shared<Lists>();
              for (auto [rows, cols] : w.shapes)
                for (int64_t e = 0; e < w.members; ++e) {
                  lists->in.push_back(bench.normal(TE_RT_BF16, {rows, cols}));
                  lists->q.push_back(bench.tensor(TE_RT_F8E4M3, {rows, cols}));
                  lists->qt.push_back(bench.tensor(TE_RT_F8E4M3, {cols, rows}));
                  if (square) {
                    lists->s.push_back(bench.scales(TE_RT_GEMM_READY, 128, 128,
                                                    rows, cols));
                    lists->st.push_back(bench.scales(TE_RT_GEMM_READY, 128, 128,
                                                     cols, rows));
                    continue;
                  }
                  lists->scale.push_back(bench.normal(TE_RT_F32, {}));
                  lists->amax.push_back(bench.normal(TE_RT_F32, {}));
                  for (auto *list : {&lists->s, &lists->st}) {
                    list->push_back(bench.tensor(TE_RT_F32, {}));
                    list->back().layout = TE_RT_TENSOR;
                  }
                }
              return [&bench, lists] {
                auto list = [](const std::vector<te_rt_tensor> &items) {
                  return te_rt_tensor_list{items.data(), int64_t(items.size())};
                };
                return te_rt_multi_cast_transpose(
                    bench.context(), list(lists->in), list(lists->scale),
                    list(lists->amax), nullptr, list(lists->q), list(lists->s),
                    list(lists->qt), list(lists->st), list(lists->amax), {}, {}, 1,
                    0, 0);
              };
            });
}

/// Rows of tokens, 1 x 128, with or without transposed columns.
void quantize(Bench &bench, int64_t rows, bool columns,
              int64_t hidden = 7168) {
  int64_t elements = rows * hidden;
  bench.row("quantize 1x128 rows" +
                std::string(columns ? " + columns " : " ") +
                std::to_string(rows) +
                (hidden == 7168 ? "" : " x " + std::to_string(hidden)),
            elements * (columns ? 4 : 3) + elements / 32 * (columns ? 2 : 1),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x = bench.normal(TE_RT_BF16, {rows, hidden});
              te_rt_tensor q = bench.tensor(TE_RT_F8E4M3, {rows, hidden});
              te_rt_tensor s =
                  bench.scales(TE_RT_GEMM_READY, 1, 128, rows, hidden);
              te_rt_tensor qt = {}, st = {};
              if (columns) {
                qt = bench.tensor(TE_RT_F8E4M3, {hidden, rows});
                st = bench.scales(TE_RT_GEMM_READY, 1, 128, hidden, rows);
              }
              return [=, &bench] {
                return te_rt_quantize(bench.context(), &x, nullptr, nullptr,
                                      nullptr, nullptr, nullptr, &q, &s,
                                      columns ? &qt : nullptr,
                                      columns ? &st : nullptr, nullptr, nullptr,
                                      nullptr, -1, 1, 0, 0, 0, 0);
              };
            });
}
/// BF16, and the scales of activations.
void layouts(Bench &bench) {
  constexpr int64_t rows = 16384, cols = 7168, blocks = cols / 128;
  for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F8E4M3, TE_RT_F32})
    for (int64_t members : {1, 8}) {
      int64_t size = type == TE_RT_BF16 ? 2 : type == TE_RT_F32 ? 4 : 1;
      int64_t each = rows / members;
      std::string shape = (members > 1 ? std::to_string(members) + " x " : "") +
                          std::to_string(each) + " x 7168";
      bench.row(std::string("transpose ") +
                    (size == 2 ? "bf16 " : size == 1 ? "fp8 " : "f32 ") + shape,
                2 * size * rows * cols, [=, &bench]() -> Bench::Call {
                  te_rt_tensor x = bench.normal(type, {members, each, cols});
                  te_rt_tensor y = bench.tensor(type, {members, cols, each});
                  return [=, &bench] {
                    return te_rt_transpose(bench.context(), &x, &y);
                  };
                });
    }
  for (bool back : {false, true})
    bench.row(std::string("convert_scales 131072 x 56, ") +
                  (back ? "ready to compact" : "compact to ready"),
              8 * 8 * rows * blocks, [=, &bench]() -> Bench::Call {
                te_rt_tensor sides[2];
                for (bool ready : {false, true})
                  sides[ready] =
                      bench.scales(ready ? TE_RT_GEMM_READY : TE_RT_COMPACT, 1,
                                   128, 8 * rows, cols);
                return [=, &bench] {
                  return te_rt_convert_scales(bench.context(), &sides[back],
                                              &sides[!back], 8 * rows, cols);
                };
              });
}

/// The scales of all slots of a layer of delayed scaling.
void updateScales(Bench &bench, int64_t slots, int64_t groups) {
  constexpr int64_t kHistory = 1024;
  bench.row("update_scales " + std::to_string(slots) + " slots of " +
                std::to_string(groups) + ", history 1024",
            slots * groups * (2 * kHistory + 3) * 4,
            [=, &bench]() -> Bench::Call {
              struct Lists {
                std::vector<te_rt_tensor> amax, history, scale;
              };
              auto lists = std::make_shared<Lists>();
              for (int64_t i = 0; i < slots; ++i) {
                lists->amax.push_back(bench.normal(TE_RT_F32, {groups}));
                lists->history.push_back(
                    bench.normal(TE_RT_F32, {groups, kHistory}));
                lists->scale.push_back(bench.normal(TE_RT_F32, {groups}));
              }
              return [&bench, lists] {
                auto list = [](const std::vector<te_rt_tensor> &items) {
                  return te_rt_tensor_list{items.data(), int64_t(items.size())};
                };
                return te_rt_update_scales(
                    bench.context(), list(lists->amax), list(lists->history),
                    list(lists->scale), list(lists->history),
                    list(lists->scale), 448, 0, 0);
              };
            });
}
} // namespace

void te_bench::runCasts(Bench &bench) {
  for (const Weights &w : weights)
    for (bool square : {false, true})
      multiCast(bench, w, square);
  for (int64_t rows : {int64_t(2), int64_t(512), int64_t(8192), int64_t(16384),
                       int64_t(32768), int64_t(65536)})
    for (bool columns : {false, true})
      quantize(bench, rows, columns);
  for (bool columns : {false, true})
    quantize(bench, 65536, columns, 2880);
  layouts(bench);
  updateScales(bench, 6, 8);
  updateScales(bench, 6, 128);
}
