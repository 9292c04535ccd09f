//===- Memory.h - memory of arguments ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_MEMORY_H
#define TE_EXEC_MEMORY_H

#include "Inputs.h"
#include "Options.h"
#include "Program.h"
#include "Timeline.h"

#include <map>

namespace te::exec {

/// Pages of zeros from the system, page-aligned, taken when first touched.
class Buffer {
public:
  Buffer() = default;
  /// Throws Error, naming `what`, where there is no memory.
  Buffer(int64_t bytes, const std::string &what);
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept;
  ~Buffer();

  char *data() const { return pages; }

private:
  char *pages = nullptr;
  size_t length = 0;
};

/// Makes the data of inputs on one rank: the user's where there is some, else
/// random by seed, rank and name of the leaf, so that packing changes nothing.
class InputData {
public:
  /// `progress` may be null.
  InputData(const Inputs &inputs, const Options &options, int rank, int threads,
            Progress *progress = nullptr)
      : inputs(inputs), options(options), rank(rank), threads(threads),
        progress(progress) {}
  void fill(const Argument &argument, char *data) const;

private:
  const Inputs &inputs;
  const Options &options;
  int rank, threads;
  Progress *progress;
};

/// The constant inputs of one rank, held once for all programs: where one has a
/// leaf as an argument and another within a packed one, both see one memory. A
/// leaf must have one type in all of them.
class ConstantInputs {
public:
  ConstantInputs(const std::vector<const Program *> &programs,
                 const InputData &data);
  /// The memory of argument `index` of `program`, which must be constant.
  char *find(const Program &program, size_t index) const {
    return places.at({&program, index});
  }

private:
  char *reuse(const Argument &argument) const;

  std::vector<Buffer> buffers;
  std::map<std::string, char *> leaves;
  std::map<std::pair<const Program *, size_t>, char *> places;
};

} // namespace te::exec

#endif // TE_EXEC_MEMORY_H
