//===- Execution.h - one program on one rank --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_EXECUTION_H
#define TE_EXEC_EXECUTION_H

#include "Compare.h"
#include "Memory.h"
#include "Program.h"
#include "Timeline.h"

#include <functional>
#include <memory>

namespace te::exec {

/// The worlds of one program: `total` ranks in groups that communicate.
class Worlds {
public:
  /// Throws Error where `total` is not a multiple of what the program wants.
  Worlds(const Program &program, int total);
  ~Worlds();
  Worlds(const Worlds &) = delete;
  Worlds &operator=(const Worlds &) = delete;

  /// Null for a program of one rank.
  te_rt_communicator *of(int rank) const {
    return size > 1 ? communicators[static_cast<size_t>(rank / size)] : nullptr;
  }
  int rankWithin(int rank) const { return rank % size; }
  /// Lets every rank that waits for another one fail.
  void abort();

private:
  int size;
  std::vector<te_rt_communicator *> communicators;
};

/// A program with its memory, ready to run on one rank. Results stay readable
/// after finish().
class Execution {
public:
  using Observer = std::function<void(const te_rt_call_info &)>;

  /// `poison`: the byte that memory not yet written is filled with, of 0xFF it
  /// reads as NaN; -1 leaves it as it is. `graph` as for te_rt_session_use_graph.
  /// Throws Error.
  Execution(const Program &program, te_rt_backend backend, int threads,
            const Worlds &worlds, int rank, const ConstantInputs &constants,
            const InputData &data, int poison, int graph = 0);
  ~Execution();
  Execution(const Execution &) = delete;
  Execution &operator=(const Execution &) = delete;

  void observe(Observer observer);
  /// As te_rt_use_products.
  void useProducts(te_rt_products products, int streams);
  /// Runs once; states first take the values that the step before left for
  /// them. Returns the seconds taken. Throws Error, also where routing
  /// overflowed.
  double step();
  /// Brings the results to the host where `wanted`, and gives back all memory but that
  /// of arguments there.
  void finish(bool wanted);
  /// All results by name of the leaf, after bringing them to the host.
  Results results();
  /// Of a device: the most bytes held at a time, once finished.
  int64_t peakBytes() const { return peak; }
  /// The memory of argument `index`.
  const char *data(size_t index) const { return memory[index]; }

private:
  void bindAll(const ConstantInputs &constants, const InputData &data,
               int poison);
  /// The memory that argument `index` is bound to.
  void *boundMemory(size_t index, int poison);
  void download();
  void release();
  /// Throws Error with the context's message unless `status` is OK.
  void require(te_rt_status status) const;

  const Program &program;
  int rank;
  int64_t stepsRun = 0, peak = 0;
  std::vector<Buffer> buffers;
  std::vector<char *> memory; ///< of each argument, on the host
  std::vector<void *> onDevice; ///< likewise; null where it is on the host alone
  te_rt_context *context = nullptr;
  te_rt_session *session = nullptr;
  Observer observer;
};

} // namespace te::exec

#endif // TE_EXEC_EXECUTION_H
