//===- Session.cpp - programs made ready, bound and run -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Session.h"

#include "plan/Verify.h"

#include <algorithm>
#include <cstring>
#include <utility>

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
  else if (te_rt_status status = prepareDevice(/*forGraph=*/false))
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

/// Sets what calls do with their arguments, for a while.
struct ChecksScope {
  ChecksScope(te_rt_context *context, te_rt_context::Checks checks)
      : context(context), function(context->function) {
    context->checks = checks;
  }
  ~ChecksScope() {
    context->checks = te_rt_context::Checks::AndRun;
    context->function = function;
  }

  te_rt_context *context;
  const char *function; // around the calls
};

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

te_rt_status Session::prepareDevice(bool forGraph) {
  context->device->beginPreparing(forGraph);
  isPreparing = true;
  te_rt_status status = runAll();
  // Tables of the first pass may hold addresses of scratch that has grown since.
  if (status == TE_RT_OK)
    status = runAll();
  isPreparing = false;
  Outcome outcome = context->device->endPreparing();
  return status == TE_RT_OK ? context->finish(outcome) : status;
}

void Session::useGraph(bool enable) {
  graphWanted = enable;
  if (!enable)
    dropGraph();
}

te_rt_status Session::capture() {
  // What a graph holds may go other ways, which want other memory.
  if (te_rt_status status = prepareDevice(/*forGraph=*/true))
    return status;
  if (te_rt_status status = context->finish(context->device->beginCapture()))
    return status;
  te_rt_observer told = observer;
  observer = nullptr; // nothing runs while it is captured
  te_rt_status status = runAll();
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

te_rt_status Session::invoke(const ReadyCall &ready) {
  for (uint32_t i = ready.movingBegin; i < ready.movingEnd; ++i) {
    const Tensor &tensor = *moving[i].tensor;
    uint8_t *data = address(tensor);
    if (data)
      for (size_t loop = 0; loop < tensor.strides.size(); ++loop)
        data += tensor.strides[loop] * counters[loop];
    descriptors[moving[i].descriptor].data = data;
  }
  const Call &call = *ready.call;
  te_rt_status status =
      call.function->invoke(context, operands.data() + ready.operands);
  return status == TE_RT_OK ? status : describeFailure(call, status);
}

te_rt_status Session::runCall(const ReadyCall &ready) {
  if (!observer || isPreparing)
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
    tell(call, begin, end);
  else
    timed.push_back(&call);
  return TE_RT_OK;
}

te_rt_dtype Session::dtypeOf(const Call &call) const {
  for (const std::vector<uint32_t> &slot : call.slots)
    if (!slot.empty())
      return program.tensors[slot.front()].descriptor.dtype;
  return TE_RT_F32;
}

void Session::tell(const Call &call, int64_t begin, int64_t end) {
  te_rt_call_info info = {call.function->name,
                          call.costClass,
                          call.location,
                          call.position,
                          call.cost.launches,
                          call.cost.bytes,
                          call.cost.flops,
                          call.cost.hostSyncs,
                          dtypeOf(call),
                          begin,
                          end,
                          call.cost.limitNs};
  observer(observerUser, &info);
}

void Session::tellTimes() {
  for (size_t i = 0; i < timed.size(); ++i)
    tell(*timed[i], int64_t(context->device->nanosecondsBetween(0, 2 * i)),
         int64_t(context->device->nanosecondsBetween(0, 2 * i + 1)));
}

te_rt_status Session::describeFailure(const Call &call, te_rt_status status) {
  context->message = say(call.location, ": ", context->message);
  return status;
}
