//===- Driver.h - one run of a plan, on all ranks ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_DRIVER_H
#define TE_EXEC_DRIVER_H

#include "Execution.h"
#include "ResultFiles.h"

#include <memory>
#include <optional>
#include <string_view>

namespace te::exec {

/// One invocation: the plans, the ranks' threads, and what they bring home.
class Driver {
public:
  Driver(const Options &options, std::string_view planBytes,
         std::optional<std::string_view> naiveBytes);
  /// Runs all ranks. Throws Error.
  void run();
  /// Prints what a run has given; false where a result missed its bound.
  bool report() const;

  const std::vector<Timeline> &timelinesOfRanks() const { return timelines; }
  /// Of the slowest rank: the median step, the first, which nothing has warmed up,
  /// left out where there are others.
  double secondsOfStep() const;

private:
  struct RankReport {
    std::vector<double> planSeconds; ///< of each step
    double naiveSeconds = 0;
    int64_t peakBytes = 0; ///< of the plan, on a device
    CheckReport check;
  };
  void checkBackend();
  void checkTypes() const;
  void checkMemory() const;
  void checkOutputs() const;
  std::string directoryOf(int rank) const;
  /// What a rank runs. A rank that fails ends it after it has told the others:
  /// some ends wait for all ranks.
  struct Executions {
    std::unique_ptr<Execution> wanted, found;
  };
  void runRank(int rank, Executions &executions);
  /// `step` and `runBegan` are read when calls are told, not here.
  void observe(Execution &execution, const Program &program, int rank,
               const int64_t &step, const int64_t &runBegan);
  void writeOutputs(const Execution &execution, int rank) const;

  const Options &options;
  Program plan;
  std::optional<Program> naive;
  std::vector<const Program *> programs;
  int ranks, threadsPerRank;
  Inputs inputs;
  std::vector<ResultFile> resultFiles; ///< of `plan`
  std::optional<Worlds> planWorlds, naiveWorlds;
  std::vector<RankReport> reports;
  std::vector<Timeline> timelines;
  te_rt_limits limits = {};
  std::unique_ptr<Progress> progress;
  int64_t began = 0;
};
} // namespace te::exec

#endif // TE_EXEC_DRIVER_H
