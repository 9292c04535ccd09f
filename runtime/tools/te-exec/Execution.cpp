//===- Execution.cpp - one program on one rank ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Execution.h"
#include "Error.h"
#include "te_runtime/device.h"

#include <cstring>

using namespace te::exec;

Worlds::Worlds(const Program &program, int total) : size(program.ranks) {
  if (size < 1 || total % size != 0)
    fail("--ranks: found ", total, ", wanted a multiple of the ", size,
         " ranks of ", program.label);
  for (int world = 0; size > 1 && world < total / size; ++world) {
    te_rt_communicator *communicator = nullptr;
    if (te_rt_communicator_create(size, &communicator) != TE_RT_OK) {
      for (te_rt_communicator *made : communicators)
        te_rt_communicator_destroy(made);
      fail("cannot make a communicator of ", size, " ranks");
    }
    communicators.push_back(communicator);
  }
}

Worlds::~Worlds() {
  for (te_rt_communicator *communicator : communicators)
    te_rt_communicator_destroy(communicator);
}

void Worlds::abort() {
  for (te_rt_communicator *communicator : communicators)
    te_rt_communicator_abort(communicator);
}

Execution::Execution(const Program &program, te_rt_backend backend, int threads,
                     const Worlds &worlds, int rank,
                     const ConstantInputs &constants, const InputData &data,
                     int poison, int graph)
    : program(program), rank(rank) {
  char message[1024] = "";
  if (te_rt_context_create(backend, threads, worlds.of(rank),
                           worlds.rankWithin(rank), &context, message,
                           sizeof message) != TE_RT_OK)
    fail(message);
  try {
    if (te_rt_session_create(context, program.handle(), program.index(),
                             &session) != TE_RT_OK)
      fail(program.label, ": ", te_rt_last_error(context));
    te_rt_session_poison(session, poison);
    bindAll(constants, data, poison);
    te_rt_session_use_graph(session, graph);
  } catch (...) {
    release();
    throw;
  }
}

Execution::~Execution() { release(); }

void Execution::bindAll(const ConstantInputs &constants, const InputData &data,
                        int poison) {
  for (size_t i = 0; i < program.arguments.size(); ++i) {
    const Argument &argument = program.arguments[i];
    if (argument.isConstant()) {
      memory.push_back(constants.find(program, i));
    } else {
      buffers.emplace_back(argument.bytes, "argument " + argument.name);
      memory.push_back(buffers.back().data());
      if (argument.direction != TE_RT_OUT)
        data.fill(argument, memory.back());
      else if (poison >= 0)
        std::memset(memory.back(), poison, static_cast<size_t>(argument.bytes));
    }
    if (te_rt_session_bind(session, static_cast<int32_t>(i),
                           boundMemory(i, poison),
                           argument.bytes) != TE_RT_OK)
      fail(program.label, ": argument ", argument.name, ": ",
           te_rt_last_error(context));
  }
}

void *Execution::boundMemory(size_t index, int poison) {
  const Argument &argument = program.arguments[index];
  onDevice.push_back(nullptr);
  if (!te_rt_has_device_memory(context) || argument.onHost)
    return memory[index];
  require(te_rt_allocate(context, argument.bytes, &onDevice[index]));
  // What a run writes without reading is as it is on the host where that is
  // poisoned.
  if (argument.direction != TE_RT_OUT || poison >= 0)
    require(te_rt_copy_memory(context, onDevice[index], memory[index],
                              argument.bytes));
  return onDevice[index];
}

void Execution::require(te_rt_status status) const {
  if (status != TE_RT_OK)
    fail(program.label, ": ", te_rt_last_error(context));
}

void Execution::download() {
  for (size_t i = 0; i < onDevice.size(); ++i)
    if (onDevice[i] && program.arguments[i].isResult())
      require(te_rt_copy_memory(context, memory[i], onDevice[i],
                                program.arguments[i].bytes));
}

void Execution::observe(Observer function) {
  observer = std::move(function);
  te_rt_session_observe(
      session,
      [](void *user, const te_rt_call_info *call) {
        static_cast<Execution *>(user)->observer(*call);
      },
      this);
}

void Execution::useProducts(te_rt_products products, int streams) {
  require(te_rt_use_products(context, products, streams));
}

double Execution::step() {
  for (size_t i = 0; stepsRun > 0 && i < program.arguments.size(); ++i) {
    const Argument &argument = program.arguments[i];
    if (argument.next.empty())
      continue;
    auto next = static_cast<size_t>(program.findResult(argument.next));
    if (onDevice[i])
      require(te_rt_copy_memory(context, onDevice[i], onDevice[next],
                                argument.bytes));
    else
      std::memcpy(memory[i], memory[next], static_cast<size_t>(argument.bytes));
  }
  int64_t began = now();
  if (te_rt_session_run(session) != TE_RT_OK)
    fail(te_rt_last_error(context));
  if (te_rt_synchronize(context) != TE_RT_OK)
    fail(te_rt_last_error(context));
  double seconds = static_cast<double>(now() - began) / 1e9;
  if (te_rt_take_overflow(context))
    fail(program.label, ": routing overflowed its capacity on rank ", rank,
         " in step ", stepsRun + 1,
         ": tokens were dropped; compile with a larger capacity");
  ++stepsRun;
  return seconds;
}

void Execution::finish(bool wanted) {
  if (wanted)
    download();
  peak = te_rt_peak_memory(context);
  release();
}

void Execution::release() {
  for (void *&data : onDevice) {
    te_rt_release(context, data);
    data = nullptr;
  }
  if (session)
    te_rt_session_destroy(session);
  if (context)
    te_rt_context_destroy(context);
  session = nullptr;
  context = nullptr;
}

Results Execution::results() {
  download();
  Results results;
  for (size_t i = 0; i < program.arguments.size(); ++i) {
    const Argument &argument = program.arguments[i];
    if (argument.isResult())
      for (const Leaf &leaf : argument.leaves)
        results.emplace(leaf.name, Result{argument.name, leaf.type,
                                          memory[i] + leaf.offset});
  }
  return results;
}
