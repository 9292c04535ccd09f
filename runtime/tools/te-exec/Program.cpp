//===- Program.cpp - one program of a plan, as the driver sees it ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Program.h"
#include "Error.h"

#include <algorithm>

using namespace te::exec;

/// The type of each of `count` members of a packed argument: the rest of the
/// dimensions where the first one counts the members, else an equal share of
/// it.
static ArrayType memberType(const ArrayType &packed, int64_t count) {
  ArrayType member = packed;
  if (packed.shape.front() == count)
    member.shape.erase(member.shape.begin());
  else
    member.shape.front() /= count;
  return member;
}

ArrayType te::exec::packedType(const std::vector<const Argument *> &members) {
  ArrayType type = members.front()->type;
  type.shape.insert(type.shape.begin(), static_cast<int64_t>(members.size()));
  return type;
}

Program::Program(const std::string &label, std::string_view bytes,
                 const std::string &entry)
    : label(label) {
  char message[1024] = "";
  te_rt_plan *loaded = nullptr;
  if (te_rt_plan_load(bytes.data(), static_cast<int64_t>(bytes.size()), &loaded,
                      message, sizeof message) != TE_RT_OK)
    fail(label, ": ", message);
  plan.reset(loaded);
  select(entry);

  te_rt_program_info info;
  te_rt_plan_program(loaded, program, &info);
  name = info.name;
  ranks = info.ranks;
  arenaBytes = info.arena_bytes;
  workspaceBytes = info.workspace_bytes;
  dtypes = info.dtypes;
  argumentBytes = 0;
  for (int32_t i = 0; i < info.num_arguments; ++i) {
    te_rt_argument_info argument;
    if (te_rt_plan_argument(loaded, program, i, &argument) != TE_RT_OK)
      fail(label, ": argument ", i, " of ", name, " cannot be read");
    addArgument(argument);
  }
  for (const Argument &argument : arguments) {
    if (argument.next.empty())
      continue;
    int next = findResult(argument.next);
    if (next < 0 || arguments[next].type != argument.type)
      fail(label, ": argument ", argument.name, ": found next value '",
           argument.next, "', wanted a result of type ", argument.type.str());
  }
}

void Program::select(const std::string &entry) {
  int32_t count = te_rt_plan_num_programs(plan.get());
  std::string names;
  for (int32_t i = 0; i < count; ++i) {
    te_rt_program_info info;
    te_rt_plan_program(plan.get(), i, &info);
    if (info.name == entry || (entry.empty() && count == 1)) {
      program = i;
      return;
    }
    names += (i ? ", " : "") + std::string(info.name);
  }
  if (count == 0)
    fail(label, ": found no program");
  if (entry.empty())
    fail(label, ": found ", count, " programs (", names,
         "), wanted --entry=NAME with one of them");
  fail(label, ": found no program '", entry, "', wanted one of: ", names);
}

void Program::addArgument(const te_rt_argument_info &info) {
  Argument argument;
  argument.name = info.name;
  argument.direction = info.direction;
  argument.type.dtype = info.tensor.dtype;
  argument.type.shape.assign(info.tensor.shape,
                             info.tensor.shape + info.tensor.rank);
  argument.bytes = info.bytes;
  argument.packed = info.num_members > 0;
  argument.onHost = info.tensor.on_host != 0;
  argument.init = info.init;
  argument.deviation = info.deviation;
  argument.numExperts = info.num_experts;
  argument.next = info.next ? info.next : "";
  argument.group = info.group ? info.group : "";
  argument.groupIndex = info.group_index;
  if (argument.type.bytes() != argument.bytes)
    fail(label, ": argument ", argument.name, ": found ", argument.bytes,
         " bytes, wanted ", argument.type.bytes(), " for ",
         argument.type.str());
  if (!argument.packed) {
    argument.leaves.push_back({argument.name, argument.type, 0});
  } else {
    if (argument.type.shape.empty() ||
        argument.type.shape.front() % info.num_members != 0)
      fail(label, ": argument ", argument.name, ": found ", info.num_members,
           " members of ", argument.type.str(),
           ", wanted a count that divides its first dimension");
    ArrayType type = memberType(argument.type, info.num_members);
    for (int32_t m = 0; m < info.num_members; ++m)
      argument.leaves.push_back({info.members[m], type, m * type.bytes()});
  }
  if (__builtin_add_overflow(argumentBytes, argument.bytes, &argumentBytes))
    fail(label, ": the arguments of ", name, " pass 2^63 bytes");
  arguments.push_back(std::move(argument));
}

int Program::findResult(const std::string &name) const {
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i].isResult() && arguments[i].name == name)
      return static_cast<int>(i);
  return -1;
}

std::vector<const Argument *> Program::findGroup(const std::string &name,
                                                 bool results) const {
  std::vector<const Argument *> found;
  for (const Argument &argument : arguments)
    if (argument.group == name && argument.isResult() == results)
      found.push_back(&argument);
  std::sort(found.begin(), found.end(),
            [](const Argument *a, const Argument *b) {
              return a->groupIndex < b->groupIndex;
            });
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i]->groupIndex != static_cast<int64_t>(i) || found[i]->packed ||
        found[i]->type != found.front()->type)
      return {};
  return found;
}
