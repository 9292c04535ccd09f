//===- VerifyPlan.cpp - what the programs of a plan share -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Verify.h"

#include <set>
#include <string_view>

using namespace te_rt::interp;

const char *te_rt::interp::verifyString(const Where &where, const char *what,
                                        const flatbuffers::String *string) {
  if (!string)
    return "";
  for (uint32_t i = 0; i < string->size(); ++i) {
    auto byte = static_cast<unsigned char>(string->Get(i));
    if (byte < 0x20 || byte == 0x7f)
      where.refuse(what, ": byte ", i, " is the control character ",
                   unsigned(byte), ", wanted text on one line");
  }
  return string->c_str();
}

static const char *verifyName(const Where &where,
                              const flatbuffers::String *string,
                              std::set<std::string_view> &taken) {
  const char *name = verifyString(where, "name", string);
  if (!*name)
    where.refuse("name is empty, wanted a name");
  if (!taken.insert(name).second)
    where.refuse("name '", name,
                 "' is taken by an earlier one, wanted "
                 "another name");
  return name;
}

static void verifyFunctions(Verification &v) {
  for (uint32_t i = 0; i < sizeOf(v.root.functions()); ++i) {
    Where::Scope scope(v.where, "function", i);
    const char *name =
        verifyString(v.where, "name", v.root.functions()->Get(i));
    const Function *function = findFunction(name);
    if (!function)
      v.where.refuse("'", name, "' is not a function of this library");
    v.functions.push_back(function);
  }
}

static void verifyStrings(
    Verification &v, const char *kind,
    const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *list) {
  for (uint32_t i = 0; i < sizeOf(list); ++i) {
    Where::Scope scope(v.where, kind, i);
    verifyString(v.where, "text", list->Get(i));
  }
}

/// Adds to a total of bytes that stays within the limit.
static uint64_t addBytes(const Where &where, uint64_t total, uint64_t bytes) {
  if (bytes > limits::bytes || total + bytes > limits::bytes)
    where.refuse("asks for ", bytes, " bytes beside ", total,
                 ", wanted at most ", limits::bytes, " in all");
  return total + bytes;
}

static uint64_t verifyWorkspaces(Verification &v) {
  std::set<std::string_view> names;
  uint64_t total = 0;
  for (uint32_t i = 0; i < sizeOf(v.root.workspaces()); ++i) {
    Where::Scope scope(v.where, "workspace", i);
    const plan::Workspace *source = v.root.workspaces()->Get(i);
    const char *name = verifyName(v.where, source->name(), names);
    total = addBytes(v.where, total, source->bytes());
    std::vector<const char *> members;
    for (uint32_t m = 0; m < sizeOf(source->members()); ++m)
      members.push_back(
          verifyString(v.where, "member", source->members()->Get(m)->name()));
    if (!members.empty() && source->bytes() % members.size())
      v.where.refuse("has ", source->bytes(), " bytes, wanted a multiple of ",
                     "its ", members.size(), " members");
    v.plan.workspaces.push_back({name, source->bytes(), std::move(members)});
  }
  return total;
}

static void verifyConstants(Verification &v) {
  for (uint32_t i = 0; i < sizeOf(v.root.constants()); ++i) {
    Where::Scope scope(v.where, "constant", i);
    const auto *data = v.root.constants()->Get(i)->data();
    if (!data) {
      v.plan.constants.push_back({nullptr, 0});
      continue;
    }
    // Constants are read where they lie.
    uint64_t at = data->data() - v.plan.bytes.get();
    if (data->size() && at % constantAlignment)
      v.where.refuse("data at byte ", at, " of the plan, wanted a multiple of ",
                     constantAlignment);
    v.plan.constants.push_back({data->data(), data->size()});
  }
}

static void verifyProgram(Verification &v, const plan::Program &source,
                          uint64_t workspaceBytes, const char *name) {
  v.plan.programs.emplace_back();
  Program &program = v.plan.programs.back();
  program.name = name;
  program.arenaBytes = source.arena_bytes();
  addBytes(v.where, workspaceBytes, program.arenaBytes);
  if (source.ranks() < 1 || source.ranks() > limits::ranks)
    v.where.refuse("ranks is ", source.ranks(), ", wanted 1 to ",
                   limits::ranks);
  program.ranks = source.ranks();
  verifyTensors(v, source, program);
  verifyArguments(v, source, program);
  uint64_t total = workspaceBytes + program.arenaBytes;
  for (size_t i = 0; i < program.arguments.size(); ++i) {
    Where::Scope scope(v.where, "argument", i, program.arguments[i].info.name);
    total = addBytes(v.where, total, program.arguments[i].info.bytes);
  }
  verifyBounds(v, program);
  verifySteps(v, source, program);
}

void te_rt::interp::verifyPlan(Verification &v) {
  verifyString(v.where, "producer", v.root.producer());
  v.plan.target = verifyString(v.where, "target", v.root.target());
  verifyFunctions(v);
  verifyStrings(v, "location", v.root.locations());
  verifyStrings(v, "cost class", v.root.cost_classes());
  uint64_t workspaceBytes = verifyWorkspaces(v);
  verifyConstants(v);

  std::set<std::string_view> names;
  v.plan.programs.reserve(sizeOf(v.root.programs()));
  for (uint32_t i = 0; i < sizeOf(v.root.programs()); ++i) {
    const plan::Program *source = v.root.programs()->Get(i);
    const char *name;
    {
      Where::Scope scope(v.where, "program", i);
      name = verifyName(v.where, source->name(), names);
    }
    Where::Scope scope(v.where, "program", i, name);
    verifyProgram(v, *source, workspaceBytes, name);
  }
}
