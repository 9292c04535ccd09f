//===- Options.h - what te-exec and te-run share ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_OPTIONS_H
#define TE_EXEC_OPTIONS_H

#include "Random.h"
#include "te_runtime/device.h"

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace te::exec {

/// How to run a plan. A tool sets the names; the rest comes from addOptions.
struct Options {
  std::string tool = "te-exec";    ///< begins its messages
  std::string planName = "plan";   ///< the plan (or its source) in messages
  std::string naiveName = "naive"; ///< the plan of --check in messages

  te_rt_backend backend = TE_RT_REF;
  std::string entry;
  uint64_t seed = 0;
  std::vector<std::string> inputs;
  std::string outputDirectory;
  /// How --output-dir writes what is, or may be, packed.
  enum class OutputForm { AsIs, Packed, Members } outputForm = OutputForm::AsIs;
  int64_t steps = 1;
  bool graph = false;
  bool inOrder = false; ///< calls of the graph one after the other
  bool warmUp = false; ///< a step first that nobody times
  Routing routing;
  bool specials = false; ///< values that are hard to cast, among random data
  te_rt_products products = TE_RT_PRODUCTS_PLANNED;
  int libraryStreams = 0; ///< 0: 4
  bool profile = false;
  std::string trace;
  /// What memory not yet written holds where two programs are compared: as
  /// that of the naive one, so that what no op defines is equal.
  int poison = 0xFF;
  int ranks = 0;   ///< 0: those of the program
  int threads = 0; ///< of all ranks together; 0: as many as there are cores
};

/// Adds all options but the positional, `--check` and `--optimize`, which
/// differ between the tools. `options` must outlive the parse.
void addOptions(CLI::App &app, Options &options);

/// Parses the command line. Returns true to go on; else `exitStatus` is 0 after
/// `--help`, or 1 after one line `TOOL: error: ...`.
bool parseCommandLine(CLI::App &app, int argc, char **argv,
                      const std::string &tool, int &exitStatus);

/// Prints `TOOL: error: MESSAGE` on stderr, as one line; returns 1.
int reportError(const std::string &tool, const std::string &message);

} // namespace te::exec

#endif // TE_EXEC_OPTIONS_H
