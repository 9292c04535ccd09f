//===- Bench.h - times of single functions on a GPU --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each row times one function on random data. The sets of buffers of a row pass
// the L2 several times over and take turns; a graph of all sets is replayed, and
// the median replay counts. The copy that a row is held against runs in between
// the replays.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_BENCH_BENCH_H
#define TE_RUNTIME_BENCH_BENCH_H

#include "te_runtime/activation.h"
#include "te_runtime/device.h"
#include "te_runtime/layout.h"
#include "te_runtime/quantize.h"
#include "te_runtime/routing.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace te_bench {

/// A context, and the memory of the row that runs.
class Bench {
public:
  /// Runs the rows whose names hold one of `filters`, or all without any. Exits
  /// with one message where there is no GPU.
  explicit Bench(std::vector<std::string> filters);
  ~Bench();

  te_rt_context *context() const { return handle; }

  /// A tensor of device memory, given back after the row.
  te_rt_tensor tensor(te_rt_dtype dtype, std::vector<int64_t> shape);
  /// With scales' layout and blocks.
  te_rt_tensor scales(te_rt_scale_layout layout, int32_t blockRows,
                      int32_t blockCols, int64_t rows, int64_t cols,
                      int32_t groups = 0, int64_t members = 0,
                      te_rt_dtype dtype = TE_RT_F32);
  /// Filled with normal data; of FP8 150 times as large, as scales would make it.
  te_rt_tensor normal(te_rt_dtype dtype, std::vector<int64_t> shape);
  void fillNormal(const te_rt_tensor &tensor);
  te_rt_tensor integers(std::vector<int64_t> shape,
                        const std::vector<int32_t> &values);

  /// One call on one set of buffers.
  using Call = std::function<te_rt_status()>;
  /// Times a row: `make` makes a set of buffers and the call on it; `bytes` is
  /// what one call must move.
  void row(const std::string &name, int64_t bytes,
           const std::function<Call()> &make);

  /// Whether a row of this name is asked for.
  bool wants(const std::string &name) const {
    return filters.empty() ||
           std::any_of(filters.begin(), filters.end(), [&](const auto &filter) {
             return name.find(filter) != std::string::npos;
           });
  }
  /// A graph of `times` calls; exits with a message where one fails.
  void *capture(const std::string &name, const Call &call, int times);
  /// us of one of the calls in a graph.
  double replay(void *graph, int calls);
  void releaseAll();

private:
  std::vector<std::string> filters;
  te_rt_context *handle = nullptr;
  std::vector<void *> memory;
  double copyRate = 0; // GB/s
};

/// One of several ways to the same result.
struct Contender {
  /// Runs some 2 ms of it; us of a call, of which there are `calls`.
  std::function<double()> replay;
  int calls;
  double burst = 0, sustained = 0; // us of a call, once they have raced
};

/// Times contenders in turns, in an order that is turned round each time. Burst:
/// 2 ms of work after a pause. Sustained: 60 ms after a pause and 100 ms of the
/// same contender, in which the card comes to its power limit, so that it does not
/// count what ran before. The median of either.
void race(std::vector<Contender> &contenders);

void runCasts(Bench &bench);
void runMicroscaling(Bench &bench);
void runMoves(Bench &bench);
void runProducts(Bench &bench);

} // namespace te_bench

#endif // TE_RUNTIME_BENCH_BENCH_H
