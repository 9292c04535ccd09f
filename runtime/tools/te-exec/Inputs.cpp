//===- Inputs.cpp - arrays that the user brings ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Inputs.h"
#include "Error.h"
#include "Files.h"

#include <optional>

using namespace te::exec;

namespace {
/// What a name stands for: leaves, and the type of all of them together.
struct Target {
  ArrayType type;
  std::vector<Leaf> leaves;
};

std::optional<Target> resolve(const Program &program, const std::string &name) {
  for (const Argument &argument : program.arguments) {
    bool isInput = argument.direction != TE_RT_OUT;
    if (argument.name == name) {
      if (!isInput)
        fail("--input: ", name, " is an output of ", program.label);
      return Target{argument.type, argument.leaves};
    }
    for (const Leaf &leaf : argument.leaves)
      if (isInput && leaf.name == name)
        return Target{leaf.type, {Leaf{leaf.name, leaf.type, 0}}};
  }
  return std::nullopt;
}

/// The members of a group that is not packed, as one array.
std::optional<Target> resolveGroup(const Program &program,
                                   const std::string &name) {
  std::vector<const Argument *> members =
      program.findGroup(name, /*results=*/false);
  if (members.empty())
    return std::nullopt;
  Target target{packedType(members), {}};
  for (const Argument *member : members)
    target.leaves.push_back(
        {member->name, member->type,
         member->bytes * static_cast<int64_t>(target.leaves.size())});
  return target;
}

/// Inputs that a user may have meant.
std::string inputNames(const Program &program) {
  std::string text;
  for (const Argument &argument : program.arguments)
    if (argument.direction != TE_RT_OUT)
      text += (text.empty() ? "" : ", ") + argument.name;
  if (text.size() > 300)
    text = text.substr(0, 300) + " ...";
  return text.empty() ? "none" : text;
}
} // namespace

Inputs::Inputs(const std::vector<std::string> &specs,
               const std::vector<const Program *> &programs) {
  for (const std::string &spec : specs) {
    size_t equals = spec.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == spec.size())
      fail("--input: found '", spec,
           "', wanted NAME=FILE.npy or NAME=FILE.safetensors#KEY");
    add(spec.substr(0, equals), spec.substr(equals + 1), programs);
  }
}

void Inputs::add(const std::string &name, const std::string &file,
                 const std::vector<const Program *> &programs) {
  std::optional<Target> target;
  for (const Program *program : programs)
    if (!target)
      target = resolve(*program, name);
  for (const Program *program : programs)
    if (!target)
      target = resolveGroup(*program, name);
  if (!target)
    fail("--input: found no input '", name,
         "', wanted one of: ", inputNames(*programs.front()));
  place(name, findArray(file), target->type, target->leaves);
}

void Inputs::place(const std::string &name, const ArrayFile &array,
                   const ArrayType &type, const std::vector<Leaf> &leaves) {
  std::vector<int64_t> wanted = type.fileShape();
  if (!array.canRead(type.dtype) || array.shape != wanted)
    fail(array.place, ": found ", array.found, shapeString(array.shape),
         ", wanted ", type.str(),
         type.dtype == TE_RT_F4E2M1 ? " as bytes" + shapeString(wanted) : "",
         " for ", name);
  for (const Leaf &leaf : leaves)
    if (!sources
             .emplace(leaf.name, Source{array.path, array.offset + leaf.offset})
             .second)
      fail("--input: ", leaf.name, " is given twice",
           leaf.name == name ? "" : " (again with " + name + ")");
}

bool Inputs::read(const Leaf &leaf, void *data) const {
  auto source = sources.find(leaf.name);
  if (source == sources.end())
    return false;
  InputFile(source->second.path)
      .read(source->second.offset, data, leaf.type.bytes());
  return true;
}
