//===- Options.cpp - what te-exec and te-run share ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Options.h"
#include "Error.h"

#include <CLI/CLI.hpp>
#include <cstdio>

using namespace te::exec;

void te::exec::addOptions(CLI::App &app, Options &options) {
  app.add_option_function<std::string>(
         "--backend",
         [&options](const std::string &name) {
           options.backend = name == "cuda" ? TE_RT_CUDA : TE_RT_REF;
         },
         "Where to run: ref (any machine, the default) or cuda")
      ->check(CLI::IsMember({"ref", "cuda"}));
  app.add_option("--entry", options.entry,
                 "The program to run; needed where there are several");
  app.add_option("--seed", options.seed,
                 "Of the random data for inputs that --input does not give")
      ->check([](const std::string &text) {
        return text.rfind('-', 0) == 0
                   ? "found '" + text + "', wanted a number of at least 0"
                   : std::string();
      });
  app.add_option(
         "--input", options.inputs,
         "NAME=FILE.npy or NAME=FILE.safetensors#KEY, any number of times; the "
         "same on every rank. NAME is an argument, or in whichever form the "
         "program has it a packed one, or a member of that. In a .npy, "
         "BF16 is <u2 or V2 (bit patterns, as ml_dtypes saves it), FP8 is u1, "
         "V1 "
         "or f1; F32 is <f4, I32 <i4, I64 <i8")
      ->allow_extra_args(false);
  app.add_option("--output-dir", options.outputDirectory,
                 "Writes each result to DIR/NAME.npy, of several ranks to "
                 "DIR/rankR/NAME.npy; BF16 as <u2, FP8 as u1 bit patterns");
  app.add_option_function<std::string>(
         "--output-form",
         [&options](const std::string &form) {
           options.outputForm = form == "packed" ? Options::OutputForm::Packed
                                                 : Options::OutputForm::Members;
         },
         "Whether --output-dir writes the results of a group packed, or the "
         "members, each under its own name; as the program has them if absent")
      ->check(CLI::IsMember({"packed", "members"}));
  app.add_option("--steps", options.steps,
                 "Runs so many times; a state takes its next value in between")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  app.add_flag("--graph", options.graph,
               "Captures a step as one CUDA graph; needs --backend=cuda");
  app.add_flag("--in-order", options.inOrder,
               "With --graph: calls wait for the one before, and not for those "
               "alone whose memory they use");
  app.add_option_function<std::string>(
         "--products",
         [&options](const std::string &way) {
           options.products = way == "own"       ? TE_RT_PRODUCTS_OWN
                              : way == "library" ? TE_RT_PRODUCTS_LIBRARY
                                                 : TE_RT_PRODUCTS_PLANNED;
         },
         "How a GPU makes products that several ways take: cost (what the plan says, "
         "the default), own (this library's kernels) or library (cuBLASLt for each "
         "expert; the host waits for the counts of rows, so that no graph holds "
         "it)")
      ->check(CLI::IsMember({"own", "library", "cost"}));
  app.add_option("--library-streams", options.libraryStreams,
                 "The streams, up to 8, that the calls of cuBLASLt for one product go "
                 "to; 4 if absent")
      ->check(CLI::Range(1, 8));
  app.add_option_function<std::string>(
      "--routing",
      [&options](const std::string &text) {
        try {
          options.routing = Routing::parse(text);
        } catch (const Error &error) {
          throw CLI::ValidationError(error.what());
        }
      },
      "The skew of random routing: uniform (the default), zipf:S, one-expert "
      "or "
      "empty-experts");
  app.add_option_function<std::string>(
         "--data",
         [&options](const std::string &kind) {
           options.specials = kind == "special";
         },
         "What is among random floating-point data: normal (the default), or "
         "special: NaN, infinities, denormals, -0, extreme magnitudes, blocks "
         "of zeros")
      ->check(CLI::IsMember({"normal", "special"}));
  app.add_flag("--profile", options.profile,
               "Prints a row per call: time, what the compiler predicted, bytes, "
               "GB/s, TFLOP/s, its share, how a product was made; of all steps but "
               "the first, if there are several");
  app.add_option("--trace", options.trace,
                 "Writes the timeline as JSON, for Perfetto");
  app.add_option("--ranks", options.ranks,
                 "Ranks, each a thread: a multiple of what the program wants, "
                 "independent worlds beyond that")
      ->check(CLI::Range(1, 1024));
  app.add_option("--threads", options.threads,
                 "Host threads of all ranks together; as many as there are "
                 "cores if absent")
      ->check(CLI::Range(1, 4096));
}

bool te::exec::parseCommandLine(CLI::App &app, int argc, char **argv,
                                const std::string &tool, int &exitStatus) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::Success &success) {
    exitStatus = app.exit(success);
  } catch (const CLI::ConversionError &error) {
    // "Could not convert: --name = value": says what was found, not wanted.
    std::string text = error.what();
    size_t colon = text.find(": "), equals = text.find(" = ");
    if (colon == std::string::npos || equals == std::string::npos) {
      exitStatus = reportError(tool, text);
      return false;
    }
    std::string name = text.substr(colon + 2, equals - colon - 2);
    const CLI::Option *option = app.get_option_no_throw(name);
    std::string wanted = option ? option->get_type_name() : "another value";
    exitStatus = reportError(
        tool, name + ": found '" + text.substr(equals + 3) + "', wanted " +
                  (wanted == "BOOLEAN" ? "true or false"
                   : wanted == "UINT"  ? "a number of at least 0"
                   : wanted == "INT"   ? "a number"
                                       : wanted));
  } catch (const CLI::ParseError &error) {
    exitStatus = reportError(tool, error.what());
  }
  return false;
}

int te::exec::reportError(const std::string &tool, const std::string &message) {
  std::string line = message;
  while (!line.empty() && line.back() == '\n')
    line.pop_back();
  for (char &c : line)
    // Names come from files that may hold anything.
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      c = ' ';
  std::fprintf(stderr, "%s: error: %s\n", tool.c_str(), line.c_str());
  return 1;
}
