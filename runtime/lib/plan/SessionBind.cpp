//===- SessionBind.cpp - the memory of arguments --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Session.h"

#include <algorithm>
#include <utility>

using namespace te_rt::interp;

te_rt_status Session::findWorkspace(int32_t workspace, void **data) const {
  if (!data)
    return context->fail(TE_RT_INVALID_ARGUMENT,
                         "data: found NULL, wanted a pointer");
  if (workspace < 0 || size_t(workspace) >= workspaces.size())
    return context->fail(TE_RT_INVALID_ARGUMENT, "workspace: found ", workspace,
                         ", wanted 0 to ", int64_t(workspaces.size()) - 1);
  *data = workspaces[workspace].get();
  return TE_RT_OK;
}

te_rt_status Session::verifyArgument(int32_t argument) const {
  if (argument < 0 || size_t(argument) >= bindings.size())
    return context->fail(TE_RT_INVALID_ARGUMENT, "argument: found ", argument,
                         ", wanted 0 to ", int64_t(bindings.size()) - 1,
                         " of program '", program.name, "'");
  return TE_RT_OK;
}

te_rt_status Session::bind(int32_t argument, void *data, int64_t bytes) {
  if (te_rt_status status = verifyArgument(argument))
    return status;
  const te_rt_argument_info &info = program.arguments[argument].info;
  if (bytes != info.bytes)
    return context->fail(TE_RT_INVALID_ARGUMENT, "argument ", argument, " '",
                         info.name, "': found ", bytes, " bytes, wanted ",
                         info.bytes);
  if ((!data && bytes) ||
      reinterpret_cast<uintptr_t>(data) % memoryAlignment != 0)
    return context->fail(TE_RT_INVALID_ARGUMENT, "argument ", argument, " '",
                         info.name, "': found data at ", data,
                         ", wanted an address that is not NULL and a multiple "
                         "of ",
                         memoryAlignment);
  Binding &binding = bindings[argument];
  release(binding);
  binding.data = static_cast<uint8_t *>(data);
  binding.bound = true;
  bindingsVerified = false;
  for (const ReadyUse &use : binding.uses)
    descriptors[use.descriptor].data = address(*use.tensor);
  return TE_RT_OK;
}

te_rt_status Session::bindShared(int32_t argument, const dl::Tensor &tensor,
                                 uint64_t flags,
                                 std::function<void()> release) {
  if (te_rt_status status = verifyArgument(argument))
    return status;
  const te_rt_argument_info &info = program.arguments[argument].info;
  const Device &device = *context->device;
  std::string mismatch = dl::findMismatch(tensor, flags, info,
                                          {device.isHost(), device.ordinal()});
  if (!mismatch.empty())
    return context->fail(TE_RT_INVALID_ARGUMENT, "argument ", argument, " '",
                         info.name, "': DLPack tensor: ", mismatch);
  if (te_rt_status status = bind(argument, dl::dataOf(tensor), info.bytes))
    return status;
  bindings[argument].release = std::move(release);
  return TE_RT_OK;
}

void Session::release(Binding &binding) {
  if (!binding.release)
    return;
  context->device->synchronize();
  std::exchange(binding.release, nullptr)();
}

te_rt_status Session::verifyBindings() {
  struct Range {
    uintptr_t begin, end;
    size_t argument;
  };
  std::vector<Range> ranges;
  for (size_t i = 0; i < bindings.size(); ++i) {
    const te_rt_argument_info &info = program.arguments[i].info;
    if (!bindings[i].bound)
      return context->fail(TE_RT_INVALID_ARGUMENT, "argument ", i, " '",
                           info.name, "': not bound, wanted ", info.bytes,
                           " bytes of memory");
    auto begin = reinterpret_cast<uintptr_t>(bindings[i].data);
    if (info.bytes)
      ranges.push_back({begin, begin + uintptr_t(info.bytes), i});
  }
  // What the plan's verification says of overlaps holds if arguments that are
  // written lie apart. Ends that do not fall are the reach of all before.
  std::sort(ranges.begin(), ranges.end(),
            [](const Range &a, const Range &b) { return a.begin < b.begin; });
  const Range *furthest = nullptr, *furthestWritten = nullptr;
  for (const Range &range : ranges) {
    bool written = program.arguments[range.argument].info.direction != TE_RT_IN;
    const Range *other = written ? furthest : furthestWritten;
    if (other && other->end > range.begin)
      return context->fail(
          TE_RT_INVALID_ARGUMENT, "argument ", range.argument, " '",
          program.arguments[range.argument].info.name,
          "': bound to memory of argument ", other->argument, " '",
          program.arguments[other->argument].info.name,
          "', of which one is written; wanted memory of its own");
    if (!furthest || range.end > furthest->end)
      furthest = &range;
    if (written && (!furthestWritten || range.end > furthestWritten->end))
      furthestWritten = &range;
  }
  return TE_RT_OK;
}
