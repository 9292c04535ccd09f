//===- Moves.cpp - times of routing, moves and activations ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include <memory>
#include <numeric>
#include <random>

using namespace te_bench;

namespace {
constexpr int64_t kTokens = 16384, kSlots = 8, kHidden = 7168, kWidth = 2048;

/// Tokens to distinct experts, evenly.
struct Routes {
  int64_t experts, tokens;
  std::vector<int32_t> indices, rowMap, counts, offsets;
  int64_t capacity = 0;

  Routes(int64_t tokens, int64_t experts, int64_t alignment)
      : experts(experts), tokens(tokens), counts(experts),
        offsets(experts + 1) {
    std::mt19937 random(7);
    std::vector<int32_t> order(experts);
    std::iota(order.begin(), order.end(), 0);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t s = 0; s < kSlots; ++s) {
        std::swap(order[s], order[s + random() % (experts - s)]);
        indices.push_back(order[s]);
        ++counts[order[s]];
      }
    for (int64_t e = 0; e < experts; ++e)
      offsets[e + 1] = static_cast<int32_t>(
          offsets[e] + (counts[e] + alignment - 1) / alignment * alignment);
    std::vector<int32_t> next(offsets.begin(), offsets.end() - 1);
    for (int32_t expert : indices)
      rowMap.push_back(next[expert]++);
    capacity = offsets.back();
  }
};

void routingMap(Bench &bench, int64_t experts, int64_t tokens) {
  auto routes = std::make_shared<Routes>(tokens, experts, 128);
  bench.row("routing_map " + std::to_string(tokens * kSlots) + " ids, " +
                std::to_string(experts) + " experts",
            tokens * kSlots * 8, [&bench, routes]() -> Bench::Call {
              te_rt_tensor indices =
                  bench.integers({routes->tokens, kSlots}, routes->indices);
              te_rt_tensor map =
                  bench.tensor(TE_RT_I32, {routes->tokens, kSlots});
              te_rt_tensor counts = bench.tensor(TE_RT_I32, {routes->experts});
              te_rt_tensor offsets =
                  bench.tensor(TE_RT_I32, {routes->experts + 1});
              return [=, &bench] {
                return te_rt_routing_map(bench.context(), &indices, &map,
                                         &counts, &offsets, 128,
                                         routes->capacity);
              };
            });
}

void permute(Bench &bench, std::shared_ptr<Routes> routes, te_rt_dtype type,
             bool pads) {
  int64_t size = type == TE_RT_BF16 ? 2 : 1;
  bool scaled = type != TE_RT_BF16;
  int64_t rows = routes->tokens * (kSlots + 1);
  if (pads)
    rows = routes->tokens + routes->capacity;
  bench.row(std::string("permute") + (pads ? " + pad 128 " : " ") +
                (scaled ? "fp8 + scales " : "bf16 ") +
                std::to_string(routes->tokens),
            rows * (kHidden * size + (scaled ? kHidden / 32 : 0)),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  scaled ? bench.tensor(type, {routes->tokens, kHidden})
                         : bench.normal(type, {routes->tokens, kHidden});
              te_rt_tensor out =
                  bench.tensor(type, {routes->capacity, kHidden});
              te_rt_tensor s = bench.scales(TE_RT_COMPACT, 1, 128,
                                            routes->tokens, kHidden);
              te_rt_tensor outS = bench.scales(TE_RT_GEMM_READY, 1, 128,
                                               routes->capacity, kHidden);
              te_rt_tensor map =
                  bench.integers({routes->tokens, kSlots}, routes->rowMap);
              te_rt_tensor counts =
                  bench.integers({routes->experts}, routes->counts);
              te_rt_tensor offsets =
                  bench.integers({routes->experts + 1}, routes->offsets);
              return [=, &bench] {
                return te_rt_permute(bench.context(), &x, scaled ? &s : nullptr,
                                     nullptr, &map, pads ? &counts : nullptr,
                                     pads ? &offsets : nullptr, &out,
                                     scaled ? &outS : nullptr, nullptr);
              };
            });
}

void unpermute(Bench &bench, std::shared_ptr<Routes> routes) {
  bench.row("unpermute bf16 " + std::to_string(routes->tokens),
            routes->tokens * (kSlots + 1) * kHidden * 2,
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  bench.normal(TE_RT_BF16, {routes->capacity, kHidden});
              te_rt_tensor out =
                  bench.tensor(TE_RT_BF16, {routes->tokens, kHidden});
              te_rt_tensor map =
                  bench.integers({routes->tokens, kSlots}, routes->rowMap);
              return [=, &bench] {
                return te_rt_unpermute(bench.context(), &x, nullptr, &map, &out,
                                       nullptr);
              };
            });
}

/// Outputs of a cast of ragged rows, 1 x 128 and transposed.
struct CastOutputs {
  te_rt_tensor q, s, qt, st;
  CastOutputs(Bench &bench, int64_t rows, int64_t cols, int32_t groups)
      : q(bench.tensor(TE_RT_F8E4M3, {rows, cols})),
        s(bench.scales(TE_RT_GEMM_READY, 1, 128, rows, cols)),
        qt(bench.tensor(TE_RT_F8E4M3, {cols, rows})),
        st(bench.scales(TE_RT_GEMM_READY, 1, 128, cols, rows, groups)) {}
};

void permuteQuantize(Bench &bench, std::shared_ptr<Routes> routes,
                     bool columns) {
  int64_t rows = routes->capacity;
  bench.row(std::string("permute_quantize rows") +
                (columns ? " + columns " : " ") +
                std::to_string(routes->tokens),
            routes->tokens * kHidden * 2 +
                rows * kHidden * (columns ? 2 : 1) +
                rows * kHidden / 32 * (columns ? 2 : 1),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  bench.normal(TE_RT_BF16, {routes->tokens, kHidden});
              CastOutputs out(bench, rows, kHidden,
                              static_cast<int32_t>(routes->experts));
              te_rt_tensor map =
                  bench.integers({routes->tokens, kSlots}, routes->rowMap);
              te_rt_tensor counts =
                  bench.integers({routes->experts}, routes->counts);
              te_rt_tensor offsets =
                  bench.integers({routes->experts + 1}, routes->offsets);
              return [=, &bench] {
                return te_rt_permute_quantize(
                    bench.context(), &x, nullptr, &map, nullptr, nullptr,
                    &offsets, &counts, &out.q, &out.s,
                    columns ? &out.qt : nullptr, columns ? &out.st : nullptr,
                    nullptr, nullptr, 1, 0);
              };
            });
}

void activations(Bench &bench, int64_t rows, bool backward, bool casts) {
  int64_t written = (backward ? 2 : 1) * kWidth;
  bench.row(std::string("swiglu") + (backward ? "_backward" : "") +
                (casts ? "_quantize both " : " ") + std::to_string(rows),
            rows * kWidth * (backward ? 6 : 4) + rows * 4 +
                (casts ? rows * written * 2 + rows * written / 16
                       : rows * written * 2),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x = bench.normal(TE_RT_BF16, {rows, 2 * kWidth});
              te_rt_tensor g = bench.normal(TE_RT_BF16, {rows, kWidth});
              te_rt_tensor p = bench.normal(TE_RT_F32, {rows});
              te_rt_tensor dp = bench.tensor(TE_RT_F32, {rows});
              te_rt_tensor y = bench.tensor(TE_RT_BF16, {rows, written});
              CastOutputs out(bench, rows, written, 0);
              return [=, &bench] {
                te_rt_context *c = bench.context();
                if (!casts)
                  return backward
                             ? te_rt_swiglu_backward(c, &g, &x, &p, nullptr, &y,
                                                     &dp)
                             : te_rt_swiglu(c, &x, &p, nullptr, &y);
                return backward
                           ? te_rt_swiglu_backward_quantize(
                                 c, &g, &x, &p, nullptr, nullptr, nullptr,
                                 &out.q, &out.s, &out.qt, &out.st, nullptr, &dp,
                                 1, 0)
                           : te_rt_swiglu_quantize(c, &x, &p, nullptr, nullptr,
                                                   nullptr, &out.q, &out.s,
                                                   &out.qt, &out.st, nullptr, 1,
                                                   0);
              };
            });
}
} // namespace

void te_bench::runMoves(Bench &bench) {
  for (int64_t experts : {32, 256})
    routingMap(bench, experts, kTokens);
  routingMap(bench, 256, 64);
  for (int64_t tokens : {int64_t(64), kTokens}) {
    auto tight = std::make_shared<Routes>(tokens, 32, 1);
    auto padded = std::make_shared<Routes>(tokens, 32, 128);
    permute(bench, tight, TE_RT_BF16, false);
    permute(bench, padded, TE_RT_BF16, true);
    permute(bench, tight, TE_RT_F8E4M3, false);
    permute(bench, padded, TE_RT_F8E4M3, true);
    unpermute(bench, tight);
    permuteQuantize(bench, padded, false);
    permuteQuantize(bench, padded, true);
  }
  for (int64_t rows : {int64_t(512), int64_t(131072)})
    for (bool backward : {false, true})
      for (bool casts : {false, true})
        activations(bench, rows, backward, casts);
}
