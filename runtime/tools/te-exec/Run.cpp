//===- Run.cpp - what te-exec does with plans -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Run.h"
#include "Driver.h"
#include "Error.h"
#include "Table.h"

#include <algorithm>
#include <cstdio>
#include <map>

using namespace te::exec;

/// Runs `action`, which returns the exit status.
template <typename Action>
static int guarded(const Options &options, Action action) {
  try {
    int status = action();
    if (std::fflush(stdout) != 0)
      return reportError(options.tool, "standard output cannot be written");
    return status;
  } catch (const std::bad_alloc &) {
    return reportError(options.tool, "out of memory");
  } catch (const std::exception &error) {
    return reportError(options.tool, error.what());
  }
}

int te::exec::run(const Options &options, std::string_view plan,
                  std::optional<std::string_view> naive) {
  return guarded(options, [&] {
    Driver driver(options, plan, naive);
    driver.run();
    return driver.report() ? 0 : 1;
  });
}

namespace {
/// What a plan takes for one step of all ranks: by class, and in all.
struct Speed {
  std::map<std::string, CallSite> classes;
  CallSite total;
  double step = 0;  ///< seconds of the slowest rank
  double graph = 0; ///< likewise, as a graph; 0 where that cannot be
};
} // namespace

static Speed measure(Options options, std::string_view plan) {
  Speed speed;
  options.warmUp = true;
  options.trace.clear();
  options.outputDirectory.clear();
  options.graph = options.profile = false;
  auto runPlan = [&](auto told) {
    Driver driver(options, plan, std::nullopt);
    driver.run();
    told(driver);
  };
  runPlan([&](Driver &driver) { speed.step = driver.secondsOfStep(); });
  options.profile = true;
  runPlan([&](Driver &driver) {
    for (const Timeline &rank : driver.timelinesOfRanks())
      for (const auto &[position, site] : rank.sites) {
        speed.classes[site.costClass].add(site);
        speed.total.add(site);
      }
  });
  if (options.backend != TE_RT_CUDA)
    return speed;
  options.profile = false;
  options.graph = true;
  try {
    runPlan([&](Driver &driver) { speed.graph = driver.secondsOfStep(); });
  } catch (const Error &) {
    // A program with host synchronizations fits in no graph.
  }
  return speed;
}

static std::string ratio(double before, double after) {
  return before > 0 && after > 0 ? formatNumber("%.2f", before / after) : "-";
}

int te::exec::runAgainst(const Options &options, std::string_view plan,
                         std::string_view naive) {
  return guarded(options, [&] {
    Options others = options;
    others.planName = options.naiveName;
    Speed before = measure(others, naive), after = measure(options, plan);
    Table table({"class", "launches", "launches", "us", "us", "ratio"},
                "lrrrrr");
    table.add({"", "naive", "", "naive", "", ""});
    auto perStep = [&](double count) {
      return count / static_cast<double>(options.steps);
    };
    auto add = [&](const std::string &name, const CallSite &was,
                   const CallSite &is) {
      auto launches = [&](const CallSite &site) {
        return formatNumber("%.0f",
                            perStep(static_cast<double>(site.launches)));
      };
      auto us = [&](const CallSite &site) {
        return perStep(static_cast<double>(site.nanoseconds)) / 1e3;
      };
      table.add({name, launches(was), launches(is),
                 formatNumber("%.1f", us(was)), formatNumber("%.1f", us(is)),
                 ratio(us(was), us(is))});
    };
    std::map<std::string, CallSite> names = before.classes;
    names.insert(after.classes.begin(), after.classes.end());
    for (const auto &[name, site] : names)
      add(name, before.classes[name], after.classes[name]);
    add("total", before.total, after.total);
    auto whole = [&](const char *name, double was, double is) {
      auto us = [](double seconds) {
        return seconds > 0 ? formatNumber("%.1f", seconds * 1e6) : "-";
      };
      table.add({name, "", "", us(was), us(is), ratio(was, is)});
    };
    whole("a step", before.step, after.step);
    if (options.backend == TE_RT_CUDA)
      whole("as a graph", before.graph, after.graph);
    std::printf("%s\n", table.str().c_str());
    return 0;
  });
}
