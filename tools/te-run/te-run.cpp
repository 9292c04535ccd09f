//===- te-run.cpp - compiles a program, then runs it ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "Run.h"

#include <CLI/CLI.hpp>
#include <cstdio>

int main(int argc, char **argv) {
  te::exec::Options options;
  options.tool = "te-run";
  std::string path;
  bool optimize = true, check = false, against = false;
  CLI::App app{"Compiles a program of the te dialect, and runs it.", "te-run"};
  app.add_option("program", path, "The program, or - for standard input")
      ->required();
  app.add_option("--optimize", optimize,
                 "Whether te-optimize rewrites the program first")
      ->default_str("true");
  std::vector<std::string> passes;
  app.add_option(
         "--passes", passes,
         "Rewrites the program with these passes in place of "
         "te-optimize, as in func.func(te-share-offsets). May be given any "
         "number of times: each is run, and checked, on its own")
      ->allow_extra_args(false);
  int64_t memoryBudget = 0;
  app.add_option("--memory-budget", memoryBudget,
                 "Lets te-optimize compute tensors again where the arena would "
                 "have more bytes than this (te-recompute)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--check", check,
               "Runs the program as it is given on ref too, and compares all "
               "results: exact on ref, else within a bound. With "
               "--optimize=false it runs twice as given, in memory that holds "
               "NaN and in memory that holds zeros: a result that differs is "
               "made of what no op wrote");
  app.add_flag("--against", against,
               "Runs the program as it is given too, on the same backend, and "
               "prints launches and times of both")
      ->excludes("--check");
  te::exec::addOptions(app, options);
  int exitStatus = 0;
  if (!te::exec::parseCommandLine(app, argc, argv, options.tool, exitStatus))
    return exitStatus;

  if (!optimize && !passes.empty())
    return te::exec::reportError(
        options.tool, "--passes: found --optimize=false, wanted true");
  if (!optimize && against)
    return te::exec::reportError(
        options.tool, "--against: found --optimize=false, wanted true");
  if (memoryBudget && (!optimize || !passes.empty()))
    return te::exec::reportError(options.tool,
                                 "--memory-budget: found " +
                                     std::string(optimize ? "--passes"
                                                          : "--optimize=false") +
                                     " beside it, wanted te-optimize");
  if (memoryBudget)
    passes = {"te-optimize{memory-budget=" + std::to_string(memoryBudget) +
              "}"};
  else if (optimize && passes.empty())
    passes = {"te-optimize"};
  te_run::Plans plans;
  for (const std::string &each : passes)
    plans.rewritten.push_back({each, ""});
  plans.wantNaive = check || against || !optimize;
  if (!te_run::compile(path, plans))
    return 1;
  std::string source = path == "-" ? "standard input" : path;
  options.naiveName = source + ", as given";
  auto run = [&](const std::string &plan) {
    if (against)
      return te::exec::runAgainst(options, plan, plans.naive);
    return check ? te::exec::run(options, plan, plans.naive)
                 : te::exec::run(options, plan);
  };
  options.planName = source;
  if (!optimize) {
    options.poison = 0;
    return run(plans.naive);
  }
  for (const te_run::Rewritten &each : plans.rewritten) {
    if (passes.size() > 1)
      std::printf("passes: %s\n", each.passes.c_str());
    bool passed = !each.plan.empty() && run(each.plan) == 0;
    if (passes.size() > 1)
      std::printf("passes: %s\n", passed ? "passed" : "failed");
    exitStatus |= !passed;
  }
  return exitStatus;
}
