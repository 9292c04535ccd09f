//===- Session.cpp - programs made ready ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Session.h"

#include "plan/Verify.h"

#include <algorithm>

using namespace te_rt::interp;

Session::Session(te_rt_context *context, const te_rt_plan &plan,
                 const Program &program)
    : context(context), plan(plan), program(program),
      bindings(program.arguments.size()) {
  allocate();
  size_t numUses = 0, numOperands = 0;
  countUses(program.steps, numUses, numOperands);
  // Operands point to descriptors: these must not move.
  descriptors.reserve(numUses);
  operands.reserve(numOperands);
  prepare(program.steps, steps);
  counters.reserve(limits::depth);
}

Session::~Session() {
  dropGraph();
  for (Binding &binding : bindings)
    release(binding);
}

Session::DeviceMemory Session::take(const char *kind, const char *name,
                                    uint64_t bytes) const {
  Device *device = context->device.get();
  DeviceMemory memory(static_cast<uint8_t *>(device->allocate(bytes)),
                      Release{device});
  if (!memory)
    throw OutOfMemory(
        say(kind, " '", name, "': could not allocate ", bytes, " bytes"));
  return memory;
}

void Session::allocate() {
  Device &device = *context->device;
  auto require = [](const Outcome &outcome) {
    if (outcome.status != TE_RT_OK)
      throw std::runtime_error(outcome.message);
  };
  arena = take("arena of", program.name, program.arenaBytes);
  for (const Workspace &workspace : plan.workspaces) {
    workspaces.push_back(take("workspace", workspace.name, workspace.bytes));
    require(device.fill(workspaces.back().get(), 0, workspace.bytes));
  }
  if (device.isHost())
    return;
  for (const Constant &constant : plan.constants) {
    constants.push_back(take("constant of", program.name, constant.bytes));
    require(device.copy(constants.back().get(), constant.data, constant.bytes));
  }
  uint64_t hostBytes = 0;
  for (const Tensor &tensor : program.tensors)
    if (tensor.descriptor.on_host && tensor.space == plan::Space::Arena)
      hostBytes = std::max(hostBytes, tensor.offset + tensor.bytes);
  // Where it lies in the arena: only pages that are touched take memory.
  if (hostBytes && !(hostArena = allocateMemory(hostBytes)))
    throw OutOfMemory(say("host arena of '", program.name,
                          "': could not allocate ", hostBytes, " bytes"));
}

void Session::countUses(const std::vector<Step> &steps, size_t &uses,
                        size_t &operands) const {
  for (const Step &step : steps) {
    if (const Loop *loop = std::get_if<Loop>(&step.kind)) {
      countUses(loop->body, uses, operands);
      continue;
    }
    const Call &call = std::get<Call>(step.kind);
    for (const std::vector<uint32_t> &slot : call.slots)
      uses += slot.size();
    operands += call.slots.size() + call.attributes.size();
  }
}

void Session::prepare(const std::vector<Step> &source,
                      std::vector<ReadyStep> &target) {
  target.reserve(source.size());
  for (const Step &step : source) {
    target.push_back({});
    ReadyStep &ready = target.back();
    const Loop *loop = std::get_if<Loop>(&step.kind);
    ready.isLoop = loop;
    if (loop) {
      ready.tripCount = loop->tripCount;
      prepare(loop->body, ready.body);
    } else {
      ready.call = prepareCall(std::get<Call>(step.kind));
    }
  }
}

ReadyCall Session::prepareCall(const Call &call) {
  ReadyCall ready = {};
  ready.call = &call;
  ready.operands = uint32_t(operands.size());
  ready.movingBegin = uint32_t(moving.size());
  for (const std::vector<uint32_t> &slot : call.slots) {
    Operand operand = {};
    operand.tensors = {descriptors.data() + descriptors.size(),
                       int64_t(slot.size())};
    operands.push_back(operand);
    for (uint32_t index : slot) {
      const Tensor &tensor = program.tensors[index];
      auto descriptor = uint32_t(descriptors.size());
      descriptors.push_back(tensor.descriptor);
      descriptors.back().data = address(tensor);
      bool moves = std::any_of(tensor.strides.begin(), tensor.strides.end(),
                               [](uint64_t stride) { return stride != 0; });
      if (moves)
        moving.push_back({descriptor, &tensor});
      else if (tensor.space == plan::Space::Argument)
        bindings[tensor.index].uses.push_back({descriptor, &tensor});
    }
  }
  operands.insert(operands.end(), call.attributes.begin(),
                  call.attributes.end());
  ready.movingEnd = uint32_t(moving.size());
  return ready;
}

uint8_t *Session::address(const Tensor &tensor) const {
  uint8_t *base = nullptr;
  switch (tensor.space) {
  case plan::Space::Argument:
    base = bindings[tensor.index].data;
    break;
  case plan::Space::Arena:
    base =
        tensor.descriptor.on_host && hostArena ? hostArena.get() : arena.get();
    break;
  case plan::Space::Workspace:
    base = workspaces[tensor.index].get();
    break;
  case plan::Space::Constant:
    // Descriptors have no const; verified: no call writes a constant.
    base = constants.empty() || tensor.descriptor.on_host
               ? const_cast<uint8_t *>(plan.constants[tensor.index].data)
               : constants[tensor.index].get();
    break;
  }
  return base ? base + tensor.offset : nullptr;
}
