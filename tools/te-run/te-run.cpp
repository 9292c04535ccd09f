//===- te-run.cpp - compiles a program, then runs it ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "Run.h"

#include <CLI/CLI.hpp>

int main(int argc, char **argv) {
  te::exec::Options options;
  options.tool = "te-run";
  std::string path;
  bool optimize = true, check = false;
  CLI::App app{"Compiles a program of the te dialect, and runs it.", "te-run"};
  app.add_option("program", path, "The program, or - for standard input")
      ->required();
  app.add_option("--optimize", optimize,
                 "Whether te-optimize rewrites the program first")
      ->default_str("true");
  app.add_flag("--check", check,
               "Runs the program as it is given on ref too, and compares all "
               "results: exact on ref, else within a bound");
  te::exec::addOptions(app, options);
  int exitStatus = 0;
  if (!te::exec::parseCommandLine(app, argc, argv, options.tool, exitStatus))
    return exitStatus;

  te_run::Plans plans;
  plans.wantOptimized = optimize;
  plans.wantNaive = check || !optimize;
  if (!te_run::compile(path, plans))
    return 1;
  std::string source = path == "-" ? "standard input" : path;
  options.planName = source;
  options.naiveName = source + ", as given";
  const std::string &plan = optimize ? plans.optimized : plans.naive;
  if (!check)
    return te::exec::run(options, plan);
  return te::exec::run(options, plan, plans.naive);
}
