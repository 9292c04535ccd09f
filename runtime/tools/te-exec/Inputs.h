//===- Inputs.h - arrays that the user brings -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_INPUTS_H
#define TE_EXEC_INPUTS_H

#include "ArrayFile.h"
#include "Program.h"

#include <map>

namespace te::exec {

/// Where the data of each leaf comes from that `--input` names.
class Inputs {
public:
  /// Resolves `specs`, each NAME=FILE.npy or NAME=FILE.safetensors#KEY, against
  /// the inputs of `programs`. NAME is an argument, a member of a packed one,
  /// or a group that is not packed: its members laid one behind another.
  /// Throws Error: unknown or repeated name, an output, wrong type or shape.
  Inputs(const std::vector<std::string> &specs,
         const std::vector<const Program *> &programs);

  /// Reads the data of `leaf` into `data`; false if the user brings none.
  bool read(const Leaf &leaf, void *data) const;

private:
  struct Source {
    std::string path;
    int64_t offset;
  };
  void add(const std::string &name, const std::string &file,
           const std::vector<const Program *> &programs);
  void place(const std::string &name, const ArrayFile &array,
             const ArrayType &type, const std::vector<Leaf> &leaves);

  std::map<std::string, Source> sources; ///< by name of the leaf
};

} // namespace te::exec

#endif // TE_EXEC_INPUTS_H
