//===- Timeline.cpp - what ran, and for how long --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Timeline.h"
#include "Files.h"
#include "Table.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unistd.h>

using namespace te::exec;

int64_t te::exec::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void CallSite::add(const CallSite &other) {
  calls += other.calls;
  launches += other.launches;
  bytes += other.bytes;
  flops += other.flops;
  nanoseconds += other.nanoseconds;
  predicted += other.predicted;
}

void Timeline::add(const te_rt_call_info &call, int64_t runBegan) {
  CallSite &site = sites[call.step];
  if (site.calls == 0) {
    site.function = call.function;
    site.costClass = call.cost_class;
    site.location = call.location;
    site.dtype = call.dtype;
  }
  site.variant = call.variant;
  ++site.calls;
  site.launches += call.launches;
  site.bytes += call.bytes;
  site.flops += call.flops;
  site.nanoseconds += call.end_ns - call.begin_ns;
  site.predicted += call.predicted_ns;
  if (keepEvents)
    events.push_back(
        {call.step, runBegan + call.begin_ns, runBegan + call.end_ns});
}

/// What the call takes at least, in nanoseconds; 0 where that is not known.
static double limitOf(const CallSite &site, const te_rt_limits &limits) {
  double peak = site.dtype == TE_RT_F8E4M3 || site.dtype == TE_RT_F8E5M2
                    ? limits.fp8
                : site.dtype == TE_RT_BF16 ? limits.bf16
                                           : 0;
  if (limits.copy <= 0 || (site.flops && peak <= 0))
    return 0;
  double moves = static_cast<double>(site.bytes) / limits.copy;
  double computes = site.flops ? static_cast<double>(site.flops) / peak : 0;
  return 1e9 * std::max(moves, computes);
}

static std::vector<std::string> profileRow(const CallSite &site,
                                           int64_t totalTime, double limit,
                                           bool foreseen) {
  double ns = static_cast<double>(std::max<int64_t>(site.nanoseconds, 1));
  double all = static_cast<double>(std::max<int64_t>(totalTime, 1));
  return {site.function,
          site.costClass,
          std::to_string(site.calls),
          std::to_string(site.launches),
          formatNumber("%.1f", ns / 1e3),
          foreseen ? formatNumber("%.1f", site.predicted / 1e3) : "-",
          foreseen ? formatNumber("%.2f", ns / site.predicted) : "-",
          std::to_string(site.bytes),
          formatNumber("%.2f", static_cast<double>(site.bytes) / ns),
          formatNumber("%.3f", static_cast<double>(site.flops) / ns / 1e3),
          formatNumber("%.1f%%", 100 * ns / all),
          limit > 0 ? formatNumber("%.1f%%", 100 * limit / ns) : "-",
          site.variant.empty() ? "-" : site.variant,
          site.location};
}

std::string te::exec::profileTable(const std::vector<Timeline> &ranks,
                                   const te_rt_limits &limits) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, CallSite>
      merged;
  CallSite total;
  total.function = "total";
  for (const Timeline &rank : ranks)
    for (auto &[position, site] : rank.sites) {
      CallSite &row =
          merged[{site.function, site.costClass, site.location, site.variant}];
      row.function = site.function;
      row.costClass = site.costClass;
      row.location = site.location;
      row.variant = site.variant;
      row.dtype = site.dtype;
      row.add(site);
      total.add(site);
    }
  std::multimap<int64_t, const CallSite *> byTime;
  for (auto &[key, site] : merged)
    byTime.emplace(-site.nanoseconds, &site);
  Table table({"function", "class", "calls", "launches", "us", "predicted",
               "ratio", "bytes", "GB/s", "TFLOP/s", "time", "of limit",
               "variant", "location"},
              "llrrrrrrrrrrll");
  // Of the whole, only if no part is unknown. Predictions are of a device's kernels.
  double all = 0;
  bool known = true, foreseen = limits.copy > 0;
  for (auto &[time, site] : byTime) {
    double limit = limitOf(*site, limits);
    bool isFree = site->bytes == 0 && site->flops == 0;
    known &= limit > 0 || isFree;
    bool isForeseen = limits.copy > 0 && site->predicted > 0;
    foreseen &= isForeseen || isFree;
    all += limit;
    table.add(profileRow(*site, total.nanoseconds, limit, isForeseen));
  }
  table.add(
      profileRow(total, total.nanoseconds, known ? all : 0, foreseen));
  return table.str();
}

void te::exec::writeTrace(const std::string &path,
                          const std::vector<Timeline> &ranks) {
  OutputFile file(path);
  std::string separator = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
  auto write = [&](const nlohmann::json &event) {
    std::string text =
        separator +
        event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    file.write(text.data(), static_cast<int64_t>(text.size()));
    separator = ",\n";
  };
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    write({{"ph", "M"},
           {"name", "thread_name"},
           {"pid", 0},
           {"tid", rank},
           {"args", {{"name", "rank " + std::to_string(rank)}}}});
    for (const Timeline::Event &event : ranks[rank].events) {
      const CallSite &site = ranks[rank].sites.at(event.position);
      double calls = static_cast<double>(site.calls);
      write({{"ph", "X"},
             {"name", site.function},
             {"cat", site.costClass},
             {"pid", 0},
             {"tid", rank},
             {"ts", static_cast<double>(event.begin) / 1e3},
             {"dur", static_cast<double>(event.end - event.begin) / 1e3},
             {"args",
              {{"location", site.location},
               {"variant", site.variant},
               {"bytes", static_cast<double>(site.bytes) / calls},
               {"flops", static_cast<double>(site.flops) / calls}}}});
    }
  }
  std::string end = "\n]}\n";
  file.write(end.data(), static_cast<int64_t>(end.size()));
  file.commit();
}

static constexpr int64_t second = 1'000'000'000;

Progress::Progress()
    : enabled(isatty(STDERR_FILENO)), began(now()), next(began + 2 * second) {}

Progress::~Progress() {
  if (shown)
    std::fprintf(stderr, "\r\033[K");
}

bool Progress::isDue() { return enabled && now() >= next; }

void Progress::show(const std::string &text) {
  int64_t time = now();
  next = time + second / 5;
  std::fprintf(stderr, "\r\033[K%s: %s",
               formatSeconds(static_cast<double>(time - began) / 1e9).c_str(),
               text.c_str());
  std::fflush(stderr);
  shown = true;
}

void Progress::showInput(const std::string &name) {
  if (isDue())
    show("data of " + name);
}

void Progress::showCall(const std::string &label, int64_t step, int64_t steps,
                        const te_rt_call_info &call) {
  int64_t &position = last[label];
  position = std::max(position, call.step);
  if (!isDue())
    return;
  // In the first step the last call is yet to be seen.
  std::string of = step > 0 ? " of " + std::to_string(position + 1) : "";
  show(label + ": step " + std::to_string(step + 1) + " of " +
       std::to_string(steps) + ", call " + std::to_string(call.step + 1) + of +
       ": " + call.function);
}
