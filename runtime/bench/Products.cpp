//===- Products.cpp - times of grouped products ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels for all groups, and in turns with them the loop over cuBLASLt,
// which has the counts of rows on the host ("ways": on several streams). "groups": in
// turns with cuBLASLt's grouped matmul. "skewed": the same rows shared out otherwise, in
// turns with even shares.
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include "common/context.h"
#include "cuda/blas.h"
#include "cuda/product.h"
#include "te_runtime/gemm.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>

using namespace te_bench;
using te_rt::cuda::ProductCall;
using te_rt::cuda::Way;

namespace {
struct Layer {
  const char *name;
  int64_t experts, n, k;
  std::vector<int64_t> rows; // of an expert
};
const Layer layers[] = {
    {"E=8 fc1 4096x7168", 8, 4096, 7168, {128, 512, 1024, 4096, 8192}},
    {"E=8 fc2 7168x2048", 8, 7168, 2048, {128, 512, 1024, 4096, 8192}},
    {"E=8 fc1 dgrad 7168x4096", 8, 7168, 4096, {4096}},
    {"E=8 fc2 dgrad 2048x7168", 8, 2048, 7168, {4096}},
    {"E=32 fc1 4096x7168", 32, 4096, 7168, {512, 4096}},
    {"E=32 fc2 7168x2048", 32, 7168, 2048, {512, 4096}},
    {"E=128 fc1 1536x2048", 128, 1536, 2048, {128, 512, 1024}},
    {"E=128 fc2 2048x768", 128, 2048, 768, {128, 512, 1024}},
};

/// Square: wgrad whose rhs has blocks of 128 x 128.
enum class Kind { Block, Square, Tensor, Bf16 };

/// Rows of each expert: m, give or take 30 %, rounded up to 128.
std::vector<int32_t> offsetsOf(const Layer &layer, int64_t m) {
  std::mt19937 random(5);
  std::vector<int32_t> offsets = {0};
  for (int64_t e = 0; e < layer.experts; ++e) {
    double rows = double(m) * (0.7 + 0.6 * (random() % 10000) / 10000.0);
    offsets.push_back(offsets.back() +
                      int32_t(te_rt::roundUp(int64_t(rows), 128)));
  }
  return offsets;
}

enum class Skew { Even, Zipf, One, Half };
const char *const skewNames[] = {"even", "Zipf 1.5", "one expert",
                                 "half of them empty"};

/// As many rows in all as even shares of m have, shared out by `skew`; multiples of 128.
std::vector<int32_t> skewedOffsets(const Layer &layer, int64_t m, Skew skew) {
  std::vector<double> shares;
  double all = 0;
  for (int64_t e = 0; e < layer.experts; ++e) {
    shares.push_back(skew == Skew::Even   ? 1
                     : skew == Skew::Zipf ? std::pow(double(e + 1), -1.5)
                     : skew == Skew::One  ? e == 0
                                          : e % 2 == 0);
    all += shares.back();
  }
  std::vector<int32_t> offsets = {0};
  int64_t total = m * layer.experts;
  double before = 0;
  for (double share : shares) {
    before += share;
    auto end = int64_t(double(total) * before / all + 64) / 128 * 128;
    offsets.push_back(int32_t(std::min(end, total)));
  }
  return offsets;
}

/// A call and what it reads and writes.
struct Work {
  te_rt_tensor lhs, lhsScales, rhs, rhsScales, offsets, result;
  ProductCall call;
};

/// `spare`: rows behind those of all groups.
std::shared_ptr<Work> makeWork(Bench &bench, const Layer &layer, Kind kind,
                               const std::vector<int32_t> &offsets, bool wgrad,
                               bool accumulate, int64_t spare = 0) {
  auto work = std::make_shared<Work>();
  int64_t rows = offsets.back() + spare, experts = layer.experts;
  auto groups = static_cast<int32_t>(experts);
  std::vector<int64_t> lhs = {rows, layer.k}, rhs = {experts, layer.n, layer.k},
                       result = {rows, layer.n};
  bool transposed = wgrad && kind == Kind::Bf16;
  if (wgrad) {
    lhs = {layer.n, rows}, rhs = {layer.k, rows};
    result = {experts, layer.n, layer.k};
    if (transposed)
      std::swap(lhs[0], lhs[1]), std::swap(rhs[0], rhs[1]);
  }
  te_rt_dtype type = kind == Kind::Bf16 ? TE_RT_BF16 : TE_RT_F8E4M3;
  work->lhs = bench.normal(type, lhs);
  work->rhs = bench.normal(type, rhs);
  if (kind == Kind::Tensor) {
    work->lhsScales = bench.normal(TE_RT_F32, {experts});
    work->rhsScales = bench.normal(TE_RT_F32, {experts});
    work->lhsScales.layout = work->rhsScales.layout = TE_RT_TENSOR;
  } else if (kind != Kind::Bf16) {
    work->lhsScales = bench.scales(TE_RT_GEMM_READY, 1, 128, lhs[0], lhs[1],
                                   wgrad ? groups : 0);
    work->rhsScales =
        wgrad ? bench.scales(TE_RT_GEMM_READY, kind == Kind::Square ? 128 : 1,
                             128, rhs[0], rhs[1], groups)
              : bench.scales(TE_RT_GEMM_READY, 128, 128, rhs[1], rhs[2], 0,
                             experts);
    bench.fillNormal(work->lhsScales);
    bench.fillNormal(work->rhsScales);
  }
  work->offsets = bench.integers({experts + 1}, offsets);
  work->result = bench.tensor(wgrad ? TE_RT_F32 : TE_RT_BF16, result);
  bool scaled = kind != Kind::Bf16;
  work->call = {&work->lhs,
                scaled ? &work->lhsScales : nullptr,
                {&work->rhs, 1},
                {&work->rhsScales, scaled ? 1 : 0},
                {},
                &work->offsets,
                {&work->result, 1},
                wgrad ? TE_RT_RAGGED_REDUCTION : TE_RT_RAGGED_ROWS,
                transposed,
                transposed,
                accumulate,
                0,
                experts};
  return work;
}

te_rt_status by(te_rt::cuda::CudaDevice &device, const ProductCall &call, Way way,
                int streams) {
  te_rt::cuda::Went went;
  return te_rt::cuda::multiply(device, call, way, streams, went).status;
}

std::string nameOf(const Layer &layer, int64_t m, Kind kind, bool wgrad,
                   bool accumulate) {
  const char *kinds[] = {"1x128", "128x128", "tensor", "bf16"};
  return std::string(wgrad ? "wgrad " : "rows ") + kinds[int(kind)] + " " +
         layer.name + " m~" + std::to_string(m) +
         (!wgrad       ? ""
          : accumulate ? " +="
                       : " =");
}

/// The kernel of all groups, the same for one group after the other, and cuBLASLt on so
/// many streams: in graphs, and enqueued from the host call by call.
void ways(Bench &bench, const Layer &layer, int64_t m, Kind kind, bool wgrad) {
  std::string name = nameOf(layer, m, kind, wgrad, true);
  if (!bench.wants("ways " + name))
    return;
  std::vector<int32_t> offsets = offsetsOf(layer, m);
  std::shared_ptr<Work> work = makeWork(bench, layer, kind, offsets, wgrad, wgrad);
  te_rt_tensor onHost = work->offsets;
  onHost.data = offsets.data();
  onHost.on_host = 1;
  ProductCall library = work->call;
  library.offsets = &onHost;
  te_rt::cuda::CudaDevice &device = te_rt::cuda::deviceOf(bench.context());
  std::printf("%-46s", ("ways " + name).c_str());
  auto own = [&] { return by(device, work->call, Way::Own, 1); };
  auto each = [&] {
    te_rt_status status = TE_RT_OK;
    for (int64_t g = 0; g < layer.experts && status == TE_RT_OK; ++g)
      status = by(device, te_rt::cuda::GroupCall(work->call, g).call, Way::Own, 1);
    return status;
  };
  auto loop = [&](int streams) {
    return [&, streams] { return by(device, library, Way::Library, streams); };
  };
  const std::pair<const char *, std::function<te_rt_status()>> forms[] = {
      {"own", own},         {"each", each},       {"library/1", loop(1)},
      {"library/2", loop(2)}, {"library/4", loop(4)}, {"library/8", loop(8)}};
  for (auto &[form, call] : forms) {
    constexpr int kCalls = 3, kRounds = 5;
    void *graph = bench.capture(name, call, kCalls);
    std::vector<double> replays, enqueued;
    for (int round = 0; round < kRounds; ++round)
      replays.push_back(bench.replay(graph, kCalls));
    device.destroyGraph(graph);
    for (int round = 0; round < kRounds; ++round) {
      auto began = std::chrono::steady_clock::now();
      for (int i = 0; i < kCalls; ++i)
        call();
      device.synchronize();
      enqueued.push_back(std::chrono::duration<double, std::micro>(
                             std::chrono::steady_clock::now() - began)
                             .count() /
                         kCalls);
    }
    std::sort(replays.begin(), replays.end());
    std::sort(enqueued.begin(), enqueued.end());
    std::printf(" %s %.1f (%.1f)", form, replays[kRounds / 2],
                enqueued[kRounds / 2]);
  }
  std::printf("\n");
  std::fflush(stdout);
  bench.releaseAll();
}

/// Two ways to the same result; `what` names the second one.
void duel(Bench &bench, const std::string &name, double flops,
          const Bench::Call &own, const Bench::Call &other, const char *what) {
  int calls = std::max(1, int(2e-3 / (flops / 1e15)));
  te_rt::cuda::CudaDevice &device = te_rt::cuda::deviceOf(bench.context());
  void *graphs[] = {bench.capture(name, own, calls),
                    bench.capture(name, other, calls)};
  std::vector<Contender> both;
  for (void *graph : graphs)
    both.push_back({[&bench, graph, calls] { return bench.replay(graph, calls); },
                    calls});
  race(both);
  for (void *graph : graphs)
    device.destroyGraph(graph);
  std::printf("%-46s burst %9.1f us %5.0f TFLOP/s (%s %5.0f)  sustained "
              "%9.1f us %5.0f (%5.0f) x %.3f\n",
              name.c_str(), both[0].burst, flops / both[0].burst / 1e6, what,
              flops / both[1].burst / 1e6, both[0].sustained,
              flops / both[0].sustained / 1e6, flops / both[1].sustained / 1e6,
              both[1].sustained / both[0].sustained);
  std::fflush(stdout);
  bench.releaseAll();
}

void product(Bench &bench, const Layer &layer, int64_t m, Kind kind, bool wgrad,
             bool accumulate) {
  std::string name = nameOf(layer, m, kind, wgrad, accumulate);
  if (!bench.wants("product " + name))
    return;
  std::vector<int32_t> offsets = offsetsOf(layer, m);
  std::shared_ptr<Work> work =
      makeWork(bench, layer, kind, offsets, wgrad, accumulate);
  // The library is told the counts.
  te_rt_tensor onHost = work->offsets;
  onHost.data = const_cast<int32_t *>(offsets.data());
  onHost.on_host = 1;
  ProductCall library = work->call;
  library.offsets = &onHost;

  double flops = 2.0 * offsets.back() * double(layer.n) * double(layer.k);
  te_rt::cuda::CudaDevice &device = te_rt::cuda::deviceOf(bench.context());
  auto own = [&] { return by(device, work->call, Way::Own, 1); };
  auto loop = [&] { return by(device, library, Way::Library, 1); };
  duel(bench, name, flops, own, loop, "library");
}

/// Gradients of BF16 weights by cuBLASLt's grouped matmul, beside ours.
void groups(Bench &bench, const Layer &layer, int64_t m, bool accumulate) {
  std::string name = nameOf(layer, m, Kind::Bf16, /*wgrad=*/true, accumulate);
  if (!bench.wants("groups " + name))
    return;
  te_rt::cuda::CudaDevice &device = te_rt::cuda::deviceOf(bench.context());
  te_rt::cuda::Blas *blas = nullptr;
  te_rt::Outcome opened = device.blas(&blas);
  int64_t version = opened.status == TE_RT_OK ? blas->groupsVersion() : 0;
  if (version < te::products::kGroupsVersion) {
    std::printf("groups %s: needs cuBLASLt %lld, found %lld %s\n", name.c_str(),
                static_cast<long long>(te::products::kGroupsVersion),
                static_cast<long long>(version), opened.message.c_str());
    return;
  }
  std::vector<int32_t> offsets = offsetsOf(layer, m);
  std::shared_ptr<Work> work =
      makeWork(bench, layer, Kind::Bf16, offsets, /*wgrad=*/true, accumulate);
  duel(
      bench, "groups " + name,
      2.0 * offsets.back() * double(layer.n) * double(layer.k),
      [&] { return by(device, work->call, Way::Own, 1); },
      [&] { return by(device, work->call, Way::Groups, 1); }, "groups");
}

/// Rows that are shared out by `skew`, with as many behind them that nobody has, against
/// even shares and none behind: what the rows that are used predict.
void skewed(Bench &bench, const Layer &layer, int64_t m, Kind kind, bool wgrad,
            Skew skew) {
  std::string name = nameOf(layer, m, kind, wgrad, true);
  name.replace(name.find("m~"), 2, "m=");
  name += std::string(" ") + skewNames[int(skew)];
  if (!bench.wants("product skewed " + name))
    return;
  int64_t total = m * layer.experts;
  std::vector<int32_t> uneven = skewedOffsets(layer, m, skew),
                       even = skewedOffsets(layer, m, Skew::Even);
  auto first = makeWork(bench, layer, kind, uneven, wgrad, wgrad, total),
       second = makeWork(bench, layer, kind, even, wgrad, wgrad);
  te_rt::cuda::CudaDevice &device = te_rt::cuda::deviceOf(bench.context());
  duel(
      bench, "skewed " + name, 2.0 * double(total) * double(layer.n * layer.k),
      [&] { return by(device, first->call, Way::Own, 1); },
      [&] { return by(device, second->call, Way::Own, 1); }, "even");
}

/// fc1 with its activation and cast, and the two calls that it stands for; in
/// training with the product and both directions.
void gated(Bench &bench, const Layer &layer, int64_t m, bool training) {
  std::string name = std::string("rows 1x128 ") + layer.name + " m~" +
                     std::to_string(m) + " swiglu_quantize " +
                     (training ? "both, product" : "one");
  if (!bench.wants("product " + name))
    return;
  std::vector<int32_t> offsets = offsetsOf(layer, m);
  std::shared_ptr<Work> work = makeWork(bench, layer, Kind::Block, offsets,
                                        /*wgrad=*/false, /*accumulate=*/false);
  int64_t rows = offsets.back(), width = layer.n / 2;
  auto groups = static_cast<int32_t>(layer.experts);
  te_rt_tensor probs = bench.normal(TE_RT_F32, {rows});
  te_rt_tensor values = bench.tensor(TE_RT_F8E4M3, {rows, width});
  te_rt_tensor scales =
      bench.scales(TE_RT_GEMM_READY, 1, 128, rows, width);
  te_rt_tensor valuesT = bench.tensor(TE_RT_F8E4M3, {width, rows});
  te_rt_tensor scalesT =
      bench.scales(TE_RT_GEMM_READY, 1, 128, width, rows, groups);
  const te_rt_tensor *columns = training ? &valuesT : nullptr,
                     *columnScales = training ? &scalesT : nullptr;
  te_rt_context *context = bench.context();
  const ProductCall &call = work->call;
  auto fused = [&] {
    return te_rt_grouped_gemm_swiglu_quantize(
        context, call.lhs, call.lhsScales, call.rhs, call.rhsScales, &probs,
        call.offsets, training ? &work->result : nullptr, &values, &scales,
        columns, columnScales, 1, 0);
  };
  auto apart = [&]() -> te_rt_status {
    te_rt_status status = te_rt_grouped_gemm(
        context, call.lhs, call.lhsScales, nullptr, call.rhs, call.rhsScales,
        {}, {}, call.offsets, call.results, call.ragged, 0, 0, 0);
    return status != TE_RT_OK
               ? status
               : te_rt_swiglu_quantize(context, &work->result, &probs,
                                       call.offsets, nullptr, nullptr, &values,
                                       &scales, columns, columnScales, nullptr,
                                       1, 0);
  };
  duel(bench, name, 2.0 * double(rows) * double(layer.n) * double(layer.k),
       fused, apart, "apart");
}
} // namespace

void te_bench::runProducts(Bench &bench) {
  for (const Layer &layer : layers)
    for (int64_t m : layer.rows)
      product(bench, layer, m, Kind::Block, false, false);
  for (bool training : {false, true}) {
    gated(bench, layers[4], 4096, training);
    gated(bench, layers[6], 1024, training);
  }
  for (const Layer &layer : layers)
    for (int64_t m : layer.rows)
      if (m >= 512)
        product(bench, layer, m, Kind::Block, true, true);
  product(bench, layers[0], 512, Kind::Block, true, false);
  product(bench, layers[0], 1024, Kind::Block, true, false);
  for (const Layer *layer : {&layers[0], &layers[1]})
    for (int64_t m : {1024, 4096, 8192})
      product(bench, *layer, m, Kind::Square, true, true);
  for (Kind kind : {Kind::Tensor, Kind::Bf16})
    for (bool wgrad : {false, true})
      for (const Layer *layer : {&layers[0], &layers[1]})
        product(bench, *layer, 4096, kind, wgrad, wgrad);
  for (Kind kind : {Kind::Block, Kind::Tensor, Kind::Bf16})
    for (bool wgrad : {false, true})
      for (const Layer *layer : {&layers[4], &layers[6]})
        for (Skew skew : {Skew::Even, Skew::Zipf, Skew::One, Skew::Half})
          skewed(bench, *layer, 1024, kind, wgrad, skew);
  for (Kind kind : {Kind::Block, Kind::Tensor, Kind::Bf16})
    for (bool wgrad : {false, true})
      for (int i : {0, 1, 6, 7})
        for (int64_t m : {128, 512, 2048})
          ways(bench, layers[i], m, kind, wgrad);
  for (bool accumulate : {true, false})
    for (int i : {0, 1, 4, 6, 7})
      for (int64_t m : {128, 512, 1024, 4096})
        if (m * layers[i].experts <= 131072)
          groups(bench, layers[i], m, accumulate);
}
