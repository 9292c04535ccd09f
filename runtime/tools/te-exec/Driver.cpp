//===- Driver.cpp - one run of a plan, on all ranks -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Driver.h"
#include "Error.h"
#include "Files.h"
#include "Table.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <unistd.h>

using namespace te::exec;

/// What the memory of the naive program holds in the beginning: NaN.
static constexpr int naivePoison = 0xFF;

static std::vector<const Program *>
listOf(const Program &plan, const std::optional<Program> &naive) {
  if (naive)
    return {&plan, &*naive};
  return {&plan};
}

Driver::Driver(const Options &options, std::string_view planBytes,
               std::optional<std::string_view> naiveBytes)
    : options(options), plan(options.planName, planBytes, options.entry),
      naive(naiveBytes ? std::make_optional<Program>(options.naiveName,
                                                     *naiveBytes, options.entry)
                       : std::nullopt),
      programs(listOf(plan, naive)), ranks(options.ranks),
      inputs(options.inputs, programs),
      resultFiles(listResultFiles(plan, options.outputForm)) {
  for (const Program *program : programs)
    if (options.ranks == 0)
      ranks = std::max(ranks, program->ranks);
  int cores = options.threads
                  ? options.threads
                  : static_cast<int>(std::thread::hardware_concurrency());
  threadsPerRank = std::max(1, cores / ranks);
  planWorlds.emplace(plan, ranks);
  if (naive)
    naiveWorlds.emplace(*naive, ranks);
  checkBackend();
  checkTypes();
  checkMemory();
  checkOutputs();
  reports.resize(static_cast<size_t>(ranks));
  timelines.assign(static_cast<size_t>(ranks),
                   Timeline(!options.trace.empty()));
}

/// Says what is missing before any data is made.
void Driver::checkBackend() {
  if (options.graph && options.backend != TE_RT_CUDA)
    fail("--graph: found --backend=ref, wanted --backend=cuda");
  if (options.products != TE_RT_PRODUCTS_PLANNED && options.backend == TE_RT_REF)
    fail("--products: found --backend=ref, which has one way, wanted "
         "--backend=cuda");
  if (options.inOrder && !options.graph)
    fail("--in-order: found no --graph, wanted one");
  if (options.backend == TE_RT_REF)
    return;
  te_rt_context *context = nullptr;
  char message[1024] = "";
  if (te_rt_context_create(options.backend, 1, nullptr, 0, &context, message,
                           sizeof message) != TE_RT_OK)
    fail("--backend=cuda: ", message);
  std::string why;
  if (options.profile && te_rt_measure_limits(context, &limits) != TE_RT_OK)
    why = te_rt_last_error(context);
  te_rt_context_destroy(context);
  if (!why.empty())
    fail("--profile: ", why);
}

/// An input that both plans have is made once, for both.
void Driver::checkTypes() const {
  std::map<std::string, ArrayType> types;
  for (const Program *program : programs)
    for (const Argument &argument : program->arguments)
      for (const Leaf &leaf : argument.leaves) {
        if (argument.direction == TE_RT_OUT)
          continue;
        const ArrayType &type =
            types.emplace(leaf.name, leaf.type).first->second;
        if (type != leaf.type)
          fail(program->label, ": argument ", leaf.name, ": found ",
               leaf.type.str(), ", wanted ", type.str(), " as in ", plan.label);
      }
}

/// The system hands out more memory than there is, and ends who touches it.
void Driver::checkMemory() const {
  double machine = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                   static_cast<double>(sysconf(_SC_PAGESIZE));
  for (const Program *program : programs) {
    double wanted = ranks * (static_cast<double>(program->argumentBytes) +
                             static_cast<double>(program->arenaBytes) +
                             static_cast<double>(program->workspaceBytes));
    if (wanted > machine)
      fail(program->label, ": out of memory: ", ranks, " ranks want ",
           formatBytes(wanted), ", this machine has ", formatBytes(machine));
  }
}

std::string Driver::directoryOf(int rank) const {
  return ranks == 1 ? options.outputDirectory
                    : options.outputDirectory + "/rank" + std::to_string(rank);
}

void Driver::checkOutputs() const {
  if (!options.trace.empty())
    OutputFile probe(options.trace);
  if (options.outputDirectory.empty())
    return;
  for (const ResultFile &file : resultFiles)
    if (file.name.empty() || file.name.front() == '.' ||
        file.name.find('/') != std::string::npos)
      fail("--output-dir: result '", file.name, "' of ", plan.label,
           " cannot name a file");
  for (int rank = 0; rank < ranks; ++rank)
    prepareDirectory(directoryOf(rank));
}

void Driver::run() {
  progress = std::make_unique<Progress>();
  began = now();
  std::mutex mutex;
  std::string firstError;
  bool failed = false;
  auto guarded = [&](int rank) {
    std::string message;
    Executions executions;
    try {
      return runRank(rank, executions);
    } catch (const std::bad_alloc &) {
      message = "out of memory";
    } catch (const std::exception &error) {
      message = error.what();
    }
    std::lock_guard<std::mutex> lock(mutex);
    // The others fail because of the first one: only that is worth telling.
    if (!failed)
      firstError = message;
    failed = true;
    planWorlds->abort();
    if (naiveWorlds)
      naiveWorlds->abort();
  };
  std::vector<std::thread> threads;
  for (int rank = 1; rank < ranks; ++rank)
    threads.emplace_back(guarded, rank);
  guarded(0);
  for (std::thread &thread : threads)
    thread.join();
  progress.reset();
  if (failed)
    fail(firstError);
  if (!options.trace.empty())
    writeTrace(options.trace, timelines);
}

void Driver::runRank(int rank, Executions &executions) {
  auto &[wanted, found] = executions;
  RankReport &mine = reports[static_cast<size_t>(rank)];
  InputData data(inputs, options, rank, threadsPerRank,
                 rank == 0 ? progress.get() : nullptr);
  ConstantInputs constants(programs, data);
  int64_t step = 0, runBegan = 0;
  for (; step < options.steps; ++step) {
    bool isLast = step + 1 == options.steps;
    if (naive) {
      if (!wanted) {
        wanted = std::make_unique<Execution>(*naive, TE_RT_REF, threadsPerRank,
                                             *naiveWorlds, rank, constants,
                                             data, naivePoison);
        observe(*wanted, *naive, rank, step, runBegan);
      }
      mine.naiveSeconds += wanted->step();
      // One arena at a time, where there is but one step.
      if (isLast)
        wanted->finish(/*wanted=*/true);
    }
    if (!found) {
      found = std::make_unique<Execution>(
          plan, options.backend, threadsPerRank, *planWorlds, rank, constants,
          data, naive ? options.poison : -1,
          options.graph ? 1 + options.inOrder : 0);
      found->useProducts(options.products, options.libraryStreams);
      if (options.warmUp)
        found->step();
      observe(*found, plan, rank, step, runBegan);
    }
    runBegan = now() - began;
    mine.planSeconds.push_back(found->step());
    if (isLast)
      found->finish(naive || !options.outputDirectory.empty());
    mine.peakBytes = found->peakBytes();
    if (naive) {
      std::string where;
      if (ranks > 1)
        where += ", rank " + std::to_string(rank);
      if (options.steps > 1)
        where += ", step " + std::to_string(step + 1);
      mine.check.add(wanted->results(), found->results(),
                     options.backend == TE_RT_REF
                         ? Tolerance::exactly()
                         : Tolerance::through(plan.dtypes | naive->dtypes),
                     where);
    }
  }
  if (!options.outputDirectory.empty())
    writeOutputs(*found, rank);
}

void Driver::observe(Execution &execution, const Program &program, int rank,
                     const int64_t &step, const int64_t &runBegan) {
  bool timed = &program == &plan && (options.profile || !options.trace.empty());
  bool watched = rank == 0 && progress->isEnabled();
  if (!timed && !watched)
    return;
  Timeline &timeline = timelines[static_cast<size_t>(rank)];
  // What nothing has warmed up is no measure where there are other steps; a trace shows
  // all of them.
  bool skipsFirst =
      options.trace.empty() && options.steps > 1 && !options.warmUp;
  execution.observe(
      [=, &program, &timeline, &step, &runBegan](const te_rt_call_info &call) {
        if (timed && (step > 0 || !skipsFirst))
          timeline.add(call, runBegan);
        if (watched)
          progress->showCall(program.label, step, options.steps, call);
      });
}

void Driver::writeOutputs(const Execution &execution, int rank) const {
  for (const ResultFile &file : resultFiles)
    writeResultFile(directoryOf(rank), file, execution);
}

double Driver::secondsOfStep() const {
  double seconds = 0;
  for (const RankReport &rank : reports) {
    std::vector<double> steps = rank.planSeconds;
    if (steps.size() > 1)
      steps.erase(steps.begin());
    std::sort(steps.begin(), steps.end());
    seconds = std::max(seconds, steps[steps.size() / 2]);
  }
  return seconds;
}

bool Driver::report() const {
  if (options.profile)
    std::printf("%s\n", profileTable(timelines, limits).c_str());
  CheckReport check;
  double planSeconds = 0, naiveSeconds = 0;
  int64_t peakBytes = 0;
  for (const RankReport &rank : reports) {
    check.merge(rank.check);
    planSeconds = std::max(planSeconds,
                           std::accumulate(rank.planSeconds.begin(),
                                           rank.planSeconds.end(), 0.0));
    naiveSeconds = std::max(naiveSeconds, rank.naiveSeconds);
    peakBytes = std::max(peakBytes, rank.peakBytes);
  }
  if (naive)
    std::printf("%s\n", check.str().c_str());
  std::string before =
      naive ? ", naive on ref " + formatSeconds(naiveSeconds) : "";
  std::printf("%s on %s: %s for %lld step%s, %d rank%s%s\n", plan.name.c_str(),
              options.backend == TE_RT_REF ? "ref" : "cuda",
              formatSeconds(planSeconds).c_str(),
              static_cast<long long>(options.steps),
              options.steps == 1 ? "" : "s", ranks, ranks == 1 ? "" : "s",
              before.c_str());
  if (options.steps > 1)
    std::printf("a step, the median of all but the first: %s\n",
                formatNumber("%.1f us", secondsOfStep() * 1e6).c_str());
  int64_t planned = plan.arenaBytes + plan.workspaceBytes + plan.argumentBytes;
  std::printf("memory of a rank: %s (arena %s, workspaces %s, arguments %s)\n",
              formatBytes(static_cast<double>(planned)).c_str(),
              formatBytes(static_cast<double>(plan.arenaBytes)).c_str(),
              formatBytes(static_cast<double>(plan.workspaceBytes)).c_str(),
              formatBytes(static_cast<double>(plan.argumentBytes)).c_str());
  if (peakBytes)
    std::printf("allocated at most: %s, that and %s of scratch memory\n",
                formatBytes(static_cast<double>(peakBytes)).c_str(),
                formatBytes(static_cast<double>(peakBytes - planned)).c_str());
  return !naive || check.passed();
}
