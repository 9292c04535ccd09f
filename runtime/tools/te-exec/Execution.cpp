//===- Execution.cpp - one program on one rank ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Execution.h"
#include "Error.h"

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
                     int poison)
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
  } catch (...) {
    finish();
    throw;
  }
}

Execution::~Execution() { finish(); }

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
    if (te_rt_session_bind(session, static_cast<int32_t>(i), memory.back(),
                           argument.bytes) != TE_RT_OK)
      fail(program.label, ": argument ", argument.name, ": ",
           te_rt_last_error(context));
  }
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

double Execution::step() {
  for (size_t i = 0; stepsRun > 0 && i < program.arguments.size(); ++i) {
    const Argument &argument = program.arguments[i];
    if (!argument.next.empty())
      std::memcpy(
          memory[i],
          memory[static_cast<size_t>(program.findResult(argument.next))],
          static_cast<size_t>(argument.bytes));
  }
  int64_t began = now();
  if (te_rt_session_run(session) != TE_RT_OK)
    fail(te_rt_last_error(context));
  double seconds = static_cast<double>(now() - began) / 1e9;
  if (te_rt_take_overflow(context))
    fail(program.label, ": routing overflowed its capacity on rank ", rank,
         " in step ", stepsRun + 1,
         ": tokens were dropped; compile with a larger capacity");
  ++stepsRun;
  return seconds;
}

void Execution::finish() {
  if (session)
    te_rt_session_destroy(session);
  if (context)
    te_rt_context_destroy(context);
  session = nullptr;
  context = nullptr;
}

Results Execution::results() const {
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
