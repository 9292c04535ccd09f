//===- main.cpp - te-exec: runs a plan ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Error.h"
#include "Files.h"
#include "Run.h"

#include <CLI/CLI.hpp>

using namespace te::exec;

int main(int argc, char **argv) {
  Options options;
  std::string planPath, naivePath, againstPath;
  CLI::App app{"Runs a plan that te-translate --te-to-plan wrote.", "te-exec"};
  app.add_option("plan", planPath, "The plan, or - for standard input")
      ->required();
  app.add_option(
      "--check", naivePath,
      "Runs this plan on ref too, and compares all results: exact on "
      "ref, else within a bound");
  app.add_option("--against", againstPath,
                 "Runs this plan too, on the same backend, and prints launches "
                 "and times of both")
      ->excludes("--check");
  addOptions(app, options);
  int exitStatus = 0;
  if (!parseCommandLine(app, argc, argv, options.tool, exitStatus))
    return exitStatus;
  try {
    options.planName = planPath == "-" ? "standard input" : planPath;
    options.naiveName = againstPath.empty() ? naivePath : againstPath;
    std::string plan = readWholeFile(planPath);
    if (!againstPath.empty()) {
      std::string naive = readWholeFile(againstPath);
      return runAgainst(options, plan, naive);
    }
    if (naivePath.empty())
      return run(options, plan);
    std::string naive = readWholeFile(naivePath);
    return run(options, plan, naive);
  } catch (const std::exception &error) {
    return reportError(options.tool, error.what());
  }
}
