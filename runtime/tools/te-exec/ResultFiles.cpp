//===- ResultFiles.cpp - the files that results go to ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultFiles.h"
#include "ArrayFile.h"

using namespace te::exec;

std::vector<ResultFile> te::exec::listResultFiles(const Program &program,
                                                  Options::OutputForm form) {
  std::vector<ResultFile> files;
  for (size_t i = 0; i < program.arguments.size(); ++i) {
    const Argument &argument = program.arguments[i];
    if (!argument.isResult())
      continue;
    if (form == Options::OutputForm::Members) {
      for (const Leaf &leaf : argument.leaves)
        files.push_back(
            {leaf.name, leaf.type, {{i, leaf.offset, leaf.type.bytes()}}});
      continue;
    }
    std::vector<const Argument *> members;
    if (form == Options::OutputForm::Packed && !argument.group.empty())
      members = program.findGroup(argument.group, /*results=*/true);
    if (members.empty()) {
      files.push_back({argument.name, argument.type, {{i, 0, argument.bytes}}});
    } else if (members.front() == &argument) {
      files.push_back({argument.group, packedType(members), {}});
      for (const Argument *member : members)
        files.back().parts.push_back(
            {static_cast<size_t>(member - program.arguments.data()), 0,
             member->bytes});
    }
  }
  return files;
}

void te::exec::writeResultFile(const std::string &directory,
                               const ResultFile &file,
                               const Execution &execution) {
  std::string path = directory + "/" + file.name + ".npy";
  const ResultFile::Part &first = file.parts.front();
  if (file.parts.size() == 1)
    return writeNpy(path, file.type,
                    execution.data(first.argument) + first.offset);
  std::string bytes;
  bytes.reserve(static_cast<size_t>(file.type.bytes()));
  for (const ResultFile::Part &part : file.parts)
    bytes.append(execution.data(part.argument) + part.offset,
                 static_cast<size_t>(part.bytes));
  writeNpy(path, file.type, bytes.data());
}
