//===- Moves.cpp - times of routing, moves and activations ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include <cmath>
#include <memory>
#include <random>

using namespace te_bench;

namespace {
constexpr int64_t kTokens = 16384, kWidth = 2048;

/// Tokens to distinct experts, evenly, or expert e in proportion to
/// (e + 1)^-skew (Zipf).
struct Routes {
  int64_t experts, tokens, hidden, slots;
  std::string suffix; // of names of rows
  std::vector<int32_t> indices, rowMap, counts, offsets;
  int64_t capacity = 0;

  Routes(int64_t tokens, int64_t experts, int64_t alignment, double skew = 0,
         int64_t hidden = 7168, int64_t slots = 8, std::string name = "")
      : experts(experts), tokens(tokens), hidden(hidden), slots(slots),
        suffix(std::to_string(tokens) + (name.empty() ? "" : " " + name)),
        counts(experts), offsets(experts + 1) {
    std::mt19937 random(7);
    std::vector<double> weights(experts);
    for (int64_t e = 0; e < experts; ++e)
      weights[e] = std::pow(double(e + 1), -skew);
    std::discrete_distribution<int32_t> draw(weights.begin(), weights.end());
    std::vector<int32_t> last(experts, -1); // the last token of each expert
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t s = 0; s < slots; ++s) {
        int32_t expert = draw(random);
        while (last[expert] == t)
          expert = draw(random);
        last[expert] = static_cast<int32_t>(t);
        indices.push_back(expert);
        ++counts[expert];
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
  int64_t slots = routes->slots;
  bench.row("routing_map " + std::to_string(tokens * slots) + " ids, " +
                std::to_string(experts) + " experts",
            tokens * slots * 8, [&bench, routes]() -> Bench::Call {
              te_rt_tensor indices =
                  bench.integers({routes->tokens, routes->slots}, routes->indices);
              te_rt_tensor map =
                  bench.tensor(TE_RT_I32, {routes->tokens, routes->slots});
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
  int64_t rows = routes->tokens * (routes->slots + 1);
  if (pads)
    rows = routes->tokens + routes->capacity;
  bench.row(std::string("permute") + (pads ? " + pad 128 " : " ") +
                (scaled ? "fp8 + scales " : "bf16 ") +
                routes->suffix,
            rows * (routes->hidden * size + (scaled ? routes->hidden / 32 : 0)),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  scaled ? bench.tensor(type, {routes->tokens, routes->hidden})
                         : bench.normal(type, {routes->tokens, routes->hidden});
              te_rt_tensor out =
                  bench.tensor(type, {routes->capacity, routes->hidden});
              te_rt_tensor s = bench.scales(TE_RT_COMPACT, 1, 128,
                                            routes->tokens, routes->hidden);
              te_rt_tensor outS = bench.scales(TE_RT_GEMM_READY, 1, 128,
                                               routes->capacity, routes->hidden);
              te_rt_tensor map =
                  bench.integers({routes->tokens, routes->slots}, routes->rowMap);
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
  bench.row("unpermute bf16 " + routes->suffix,
            routes->tokens * (routes->slots + 1) * routes->hidden * 2,
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  bench.normal(TE_RT_BF16, {routes->capacity, routes->hidden});
              te_rt_tensor out =
                  bench.tensor(TE_RT_BF16, {routes->tokens, routes->hidden});
              te_rt_tensor map =
                  bench.integers({routes->tokens, routes->slots}, routes->rowMap);
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
                routes->suffix,
            routes->tokens * routes->hidden * 2 +
                rows * routes->hidden * (columns ? 2 : 1) +
                rows * routes->hidden / 32 * (columns ? 2 : 1),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x =
                  bench.normal(TE_RT_BF16, {routes->tokens, routes->hidden});
              CastOutputs out(bench, rows, routes->hidden,
                              static_cast<int32_t>(routes->experts));
              te_rt_tensor map =
                  bench.integers({routes->tokens, routes->slots}, routes->rowMap);
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

void activations(Bench &bench, int64_t rows, bool backward, bool casts,
                 int64_t width = kWidth) {
  int64_t written = (backward ? 2 : 1) * width;
  bench.row(std::string("swiglu") + (backward ? "_backward" : "") +
                (casts ? "_quantize both " : " ") + std::to_string(rows) +
                (width == kWidth ? "" : " x " + std::to_string(width)),
            rows * width * (backward ? 6 : 4) + rows * 4 +
                (casts ? rows * written * 2 + rows * written / 16
                       : rows * written * 2),
            [=, &bench]() -> Bench::Call {
              te_rt_tensor x = bench.normal(TE_RT_BF16, {rows, 2 * width});
              te_rt_tensor g = bench.normal(TE_RT_BF16, {rows, width});
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
  for (int64_t experts : {32, 256, 384})
    routingMap(bench, experts, kTokens);
  routingMap(bench, 256, 64);
  auto moves = [&](std::shared_ptr<Routes> tight,
                   std::shared_ptr<Routes> padded) {
    permute(bench, tight, TE_RT_BF16, false);
    permute(bench, padded, TE_RT_BF16, true);
    permute(bench, tight, TE_RT_F8E4M3, false);
    permute(bench, padded, TE_RT_F8E4M3, true);
    unpermute(bench, tight);
    permuteQuantize(bench, padded, false);
    permuteQuantize(bench, padded, true);
  };
  for (int64_t tokens : {int64_t(3), int64_t(64), kTokens})
    moves(std::make_shared<Routes>(tokens, 32, 1),
          std::make_shared<Routes>(tokens, 32, 128));
  struct {
    const char *name;
    int64_t experts, hidden, slots;
    double skew;
  } const others[] = {{"E=384", 384, 7168, 8, 0},
                      {"Zipf 1.5", 32, 7168, 8, 1.5},
                      {"GPT-OSS", 32, 2880, 4, 0}};
  for (const auto &o : others)
    moves(std::make_shared<Routes>(kTokens, o.experts, 1, o.skew, o.hidden,
                                   o.slots, o.name),
          std::make_shared<Routes>(kTokens, o.experts, 128, o.skew, o.hidden,
                                   o.slots, o.name));
  for (int64_t rows : {int64_t(512), int64_t(131072)})
    for (bool backward : {false, true})
      for (bool casts : {false, true})
        activations(bench, rows, backward, casts);
  for (int64_t width : {1408, 2880}) // DeepSeek-V2-Lite, GPT-OSS
    for (bool backward : {false, true})
      activations(bench, 65536, backward, true, width);
}
