//===- SessionRun.cpp - calls checked, run, captured and told of ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Session.h"

#include "plan/Where.h"

#include <algorithm>

using namespace te_rt::interp;

te_rt_status Session::prepare() {
  if (bindingsVerified)
    return TE_RT_OK;
  dropGraph(); // it holds addresses
  if (te_rt_status status = verifyBindings())
    return status;
  if (te_rt_status status = checkCalls())
    return status;
  if (context->device->isHost())
    prepareHost();
  else if (te_rt_status status = prepareDevice())
    return status;
  if (context->backend->prepare)
    context->backend->prepare(context);
  bindingsVerified = true;
  return TE_RT_OK;
}

te_rt_status Session::run() {
  if (te_rt_status status = prepare())
    return status;
  if (poison >= 0)
    if (te_rt_status status = context->finish(
            context->device->fill(arena.get(), poison, program.arenaBytes)))
      return status;
  if (graphWanted && !graph)
    if (te_rt_status status = capture())
      return status;
  runBegan = std::chrono::steady_clock::now();
  if (graph)
    return context->finish(context->device->launchGraph(graph));
  te_rt_status status = runAll();
  if (status == TE_RT_OK && !timed.empty()) {
    status = context->finish(context->device->synchronize());
    if (status == TE_RT_OK)
      tellTimes();
  }
  timed.clear();
  return status;
}

namespace {
/// Sets what calls do with their arguments, for a while.
struct ChecksScope {
  ChecksScope(te_rt_context *context, te_rt_context::Checks checks)
      : context(context), function(context->function) {
    context->checks = checks;
  }
  ~ChecksScope() {
    context->planned = te::products::Way::Unset;
    context->checks = te_rt_context::Checks::AndRun;
    context->function = function;
  }

  te_rt_context *context;
  const char *function; // around the calls
};
} // namespace

te_rt_status Session::runAll() {
  ChecksScope scope(context, te_rt_context::Checks::Done);
  counters.clear();
  return runSteps(steps, 0);
}

te_rt_status Session::checkCalls() {
  ChecksScope scope(context, te_rt_context::Checks::Alone);
  counters.clear();
  return checkSteps(steps, 0);
}

te_rt_status Session::checkSteps(const std::vector<ReadyStep> &steps,
                                 size_t depth) {
  for (const ReadyStep &step : steps) {
    if (!step.isLoop) {
      if (te_rt_status status = invoke(step.call))
        return status;
    } else if (step.tripCount != 0) {
      counters.resize(depth + 1);
      counters[depth] = 0;
      if (te_rt_status status = checkSteps(step.body, depth + 1))
        return status;
    }
  }
  return TE_RT_OK;
}

/// Adds what the tensors of a call ask for to the most that any call asks for.
static void measure(const Program &program, const std::vector<Step> &steps,
                    int64_t &elements, int64_t &extents, int64_t &tensors) {
  for (const Step &step : steps) {
    if (const Loop *loop = std::get_if<Loop>(&step.kind)) {
      measure(program, loop->body, elements, extents, tensors);
      continue;
    }
    int64_t callExtents = 0, callTensors = 0;
    for (const std::vector<uint32_t> &slot : std::get<Call>(step.kind).slots)
      for (uint32_t index : slot) {
        const te_rt_tensor &tensor = program.tensors[index].descriptor;
        int64_t matrix = 1; // members of a packed tensor go one by one
        for (int32_t i = 0; i < tensor.rank; ++i) {
          matrix *= i + 2 < tensor.rank ? 1 : tensor.shape[i];
          callExtents += tensor.shape[i];
        }
        elements = std::max(elements, matrix);
        ++callTensors;
      }
    extents = std::max(extents, callExtents);
    tensors = std::max(tensors, callTensors);
  }
}

void Session::prepareHost() {
  int64_t elements = 0, extents = 0, tensors = 0;
  measure(program, program.steps, elements, extents, tensors);
  context->reserve(elements, extents, tensors);
}

te_rt_status Session::prepareDevice() {
  context->device->beginPreparing();
  isPreparing = true;
  te_rt_status status = runAll();
  shared.clear();
  // Tables of the first pass may hold addresses of scratch that has grown since.
  if (status == TE_RT_OK)
    status = runAll();
  isPreparing = false;
  Outcome outcome = context->device->endPreparing();
  return status == TE_RT_OK ? context->finish(outcome) : status;
}

void Session::useGraph(bool enable, bool inOrderWanted) {
  graphWanted = enable;
  if (!enable || inOrder != inOrderWanted)
    dropGraph();
  inOrder = inOrderWanted;
}

te_rt_status Session::capture() {
  if (te_rt_status status = context->finish(context->device->beginCapture()))
    return status;
  te_rt_observer told = observer;
  observer = nullptr; // nothing runs while it is captured
  // Communication has an order of its own.
  isBranching = !inOrder && program.ranks == 1;
  branches.clear();
  numCaptured = 0;
  te_rt_status status = runAll();
  isBranching = false;
  observer = told;
  std::string message = context->message;
  Outcome outcome = context->device->endCapture(&graph);
  if (status == TE_RT_OK)
    return context->finish(outcome);
  context->message = message;
  dropGraph();
  return status;
}

void Session::dropGraph() {
  if (graph)
    context->device->destroyGraph(graph);
  graph = nullptr;
}

te_rt_status Session::runSteps(const std::vector<ReadyStep> &steps,
                               size_t depth) {
  for (const ReadyStep &step : steps) {
    if (!step.isLoop) {
      if (te_rt_status status = runCall(step.call))
        return status;
      continue;
    }
    counters.resize(depth + 1);
    for (uint64_t i = 0; i < step.tripCount; ++i) {
      counters[depth] = i;
      if (te_rt_status status = runSteps(step.body, depth + 1))
        return status;
    }
  }
  return TE_RT_OK;
}

void Session::moveDescriptors(const ReadyCall &ready) {
  for (uint32_t i = ready.movingBegin; i < ready.movingEnd; ++i) {
    const Tensor &tensor = *moving[i].tensor;
    uint8_t *data = address(tensor);
    if (data)
      for (size_t loop = 0; loop < tensor.strides.size(); ++loop)
        data += tensor.strides[loop] * counters[loop];
    descriptors[moving[i].descriptor].data = data;
  }
}

te_rt_status Session::invoke(const ReadyCall &ready) {
  moveDescriptors(ready);
  const Call &call = *ready.call;
  context->planned =
      call.rather != te::products::Way::Unset ? call.rather : call.way;
  context->variant.clear();
  context->went = te::products::Way::Unset;
  context->wentAsPlanned = true;
  te_rt_status status =
      call.function->invoke(context, operands.data() + ready.operands);
  return status == TE_RT_OK ? status : describeFailure(call, status);
}

/// Captures a call behind those alone that it must follow.
te_rt_status Session::captureCall(const ReadyCall &ready) {
  std::vector<Branches::Reach> reaches;
  const Function &function = *ready.call->function;
  moveDescriptors(ready);
  const Operand *operand = operands.data() + ready.operands;
  for (uint32_t slot = 0; slot < function.numSlots; ++slot)
    for (int64_t i = 0; i < operand[slot].tensors.count; ++i) {
      auto begin =
          reinterpret_cast<uintptr_t>(operand[slot].tensors.items[i].data);
      uint64_t bytes = program.tensors[ready.call->slots[slot][i]].bytes;
      reaches.push_back(
          {begin, begin + bytes, function.parameters[slot].isWritten()});
    }
  Device &device = *context->device;
  std::vector<size_t> after =
      branches.add(std::move(reaches), shared[numCaptured++]);
  if (te_rt_status status = context->finish(device.beginBranch(after)))
    return status;
  if (te_rt_status status = invoke(ready))
    return status;
  return context->finish(device.endBranch());
}

te_rt_status Session::runCall(const ReadyCall &ready) {
  if (isBranching)
    return captureCall(ready);
  if (isPreparing) {
    te_rt_status status = invoke(ready);
    shared.push_back(context->device->takeShared());
    return status;
  }
  if (!observer)
    return invoke(ready);
  const Call &call = *ready.call;
  Device &device = *context->device;
  auto now = [this] {
    return int64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::steady_clock::now() - runBegan)
                       .count());
  };
  auto mark = [&](size_t index) {
    return device.isHost() ? TE_RT_OK : context->finish(device.mark(index));
  };
  int64_t begin = now();
  te_rt_status status = mark(2 * timed.size());
  if (status == TE_RT_OK) {
    if (te_rt_status failed = invoke(ready))
      return failed;
    status = mark(2 * timed.size() + 1);
  }
  int64_t end = now();
  if (status != TE_RT_OK)
    return describeFailure(call, status);
  if (device.isHost())
    tell({&call, context->variant, predictedOf(call)}, begin, end);
  else
    timed.push_back({&call, context->variant, predictedOf(call)});
  return TE_RT_OK;
}

double Session::predictedOf(const Call &call) const {
  if (!context->wentAsPlanned)
    return 0;
  return call.rather != te::products::Way::Unset && context->went == call.rather
             ? call.cost.ratherNs
             : call.cost.predictedNs;
}

te_rt_dtype Session::dtypeOf(const Call &call) const {
  for (const std::vector<uint32_t> &slot : call.slots)
    if (!slot.empty())
      return program.tensors[slot.front()].descriptor.dtype;
  return TE_RT_F32;
}

void Session::tell(const ToldCall &told, int64_t begin, int64_t end) {
  const Call &call = *told.call;
  te_rt_call_info info = {call.function->name,
                          call.costClass,
                          call.location,
                          call.position,
                          call.cost.launches,
                          call.cost.bytes,
                          call.cost.flops,
                          call.cost.hostSyncs,
                          begin,
                          end,
                          call.cost.limitNs,
                          dtypeOf(call),
                          told.predictedNs,
                          told.variant.c_str()};
  observer(observerUser, &info);
}

void Session::tellTimes() {
  for (size_t i = 0; i < timed.size(); ++i)
    tell(timed[i],
         int64_t(context->device->nanosecondsBetween(0, 2 * i)),
         int64_t(context->device->nanosecondsBetween(0, 2 * i + 1)));
}

te_rt_status Session::describeFailure(const Call &call, te_rt_status status) {
  context->message = say(call.location, ": ", context->message);
  return status;
}
