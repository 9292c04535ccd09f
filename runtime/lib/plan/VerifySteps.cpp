//===- VerifySteps.cpp - loops, and calls with their operands -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Verify.h"

#include <algorithm>
#include <cmath>

using namespace te_rt::interp;

namespace {

class StepVerifier {
public:
  StepVerifier(Verification &v, const Program &program)
      : v(v), program(program) {}

  using Steps = flatbuffers::Vector<flatbuffers::Offset<plan::Step>>;
  /// Appends the verified `source` to `target`; returns how many steps a run
  /// of them takes.
  uint64_t verifyBody(const Steps *source, std::vector<Step> &target);

private:
  uint64_t verifyLoop(const plan::Loop &source, Loop &loop);
  Call verifyCall(const plan::Call &source);
  void verifySlots(const plan::Call &source, Call &call);
  const Tensor &verifyUse(uint32_t index, const Parameter &parameter);
  void verifyAttributes(const plan::Call &source, Call &call);
  CallCost verifyCost(const plan::Call &source);

  template <typename T>
  void verifyIndex(const char *what, uint32_t index, const T *list) {
    if (index >= sizeOf(list))
      v.where.refuse(what, " is ", index, ", but there are ", sizeOf(list));
  }

  Verification &v;
  const Program &program;
  std::vector<uint64_t> tripCounts; // of the loops around
  std::vector<Use> uses;            // of the call being verified
  int64_t numCalls = 0;
};

} // namespace

uint64_t te_rt::interp::loopReach(const Where &where, const Tensor &tensor,
                                  const std::vector<uint64_t> &tripCounts) {
  uint64_t reach = 0;
  for (size_t i = 0; i < tensor.strides.size(); ++i) {
    uint64_t last = std::max<uint64_t>(tripCounts[i], 1) - 1;
    if (last == 0 || tensor.strides[i] == 0)
      continue;
    if (tensor.strides[i] > limits::bytes / last ||
        (reach += tensor.strides[i] * last) > limits::bytes)
      where.refuse("loop stride ", tensor.strides[i], " times ", last,
                   " passes ", limits::bytes, " bytes");
  }
  return reach;
}

uint64_t StepVerifier::verifyBody(const Steps *source,
                                  std::vector<Step> &target) {
  target.reserve(sizeOf(source));
  uint64_t steps = 0;
  for (uint32_t i = 0; i < sizeOf(source); ++i) {
    const plan::Step &step = *source->Get(i);
    const plan::Call *call = step.kind_as_Call();
    const plan::Loop *loop = step.kind_as_Loop();
    if (call) {
      target.push_back({verifyCall(*call)});
      ++steps;
    } else if (loop) {
      Where::Scope scope(v.where, "step", i, "loop");
      target.push_back({Loop()});
      steps += verifyLoop(*loop, std::get<Loop>(target.back().kind));
    } else {
      Where::Scope scope(v.where, "step", i);
      v.where.refuse("kind is ", unsigned(step.kind_type()),
                     ", wanted 1 (call) or 2 (loop)");
    }
    if (steps > limits::steps)
      v.where.refuse("a run takes ", steps, " steps, wanted at most ",
                     limits::steps);
  }
  return steps;
}

uint64_t StepVerifier::verifyLoop(const plan::Loop &source, Loop &loop) {
  loop.tripCount = source.trip_count();
  if (loop.tripCount > limits::tripCount)
    v.where.refuse("trip count is ", loop.tripCount, ", wanted at most ",
                   limits::tripCount);
  if (tripCounts.size() == limits::depth)
    v.where.refuse("is inside of ", tripCounts.size(),
                   " loops, wanted at most ", limits::depth, " in all");
  tripCounts.push_back(loop.tripCount);
  uint64_t steps = std::max<uint64_t>(verifyBody(source.body(), loop.body), 1);
  tripCounts.pop_back();
  if (loop.tripCount && steps > limits::steps / loop.tripCount)
    v.where.refuse("takes ", steps, " steps ", loop.tripCount,
                   " times, wanted at most ", limits::steps);
  return steps * loop.tripCount;
}

CallCost StepVerifier::verifyCost(const plan::Call &source) {
  if (v.root.version() == 1) {
    const plan::CostV1 *cost = source.cost_v1();
    return cost ? CallCost{cost->launches(), cost->bytes(), cost->flops(),
                           cost->host_syncs(), 0}
                : CallCost();
  }
  const plan::CallCost *cost = source.cost();
  if (!cost)
    return {};
  for (auto [name, ns] :
       {std::pair<const char *, double>{"limit", cost->limit_ns()},
        {"prediction", cost->predicted_ns()},
        {"prediction of rather", cost->rather_ns()}})
    if (!(ns >= 0 && std::isfinite(ns)))
      v.where.refuse(name, " is ", ns, " ns, wanted 0 or more");
  return {cost->launches(),   cost->bytes(),    cost->flops(),
          cost->host_syncs(), cost->limit_ns(), cost->predicted_ns(),
          cost->rather_ns()};
}

Call StepVerifier::verifyCall(const plan::Call &source) {
  Call call = {};
  call.position = numCalls++;
  {
    Where::Scope scope(v.where, "call", call.position);
    verifyIndex("function", source.function(), v.root.functions());
    verifyIndex("location", source.location(), v.root.locations());
    verifyIndex("cost class", source.cost_class(), v.root.cost_classes());
  }
  call.function = v.functions[source.function()];
  call.location = v.root.locations()->Get(source.location())->c_str();
  call.costClass = v.root.cost_classes()->Get(source.cost_class())->c_str();
  call.cost = verifyCost(source);
  static_assert(uint8_t(plan::Way::MAX) == uint8_t(te::products::Way::Groups));
  auto verifyWay = [&](const char *name, plan::Way way, plan::Way most) {
    if (way <= most)
      return;
    Where::Scope scope(v.where, "call", call.position);
    v.where.refuse(name, " is ", unsigned(way), ", wanted at most ",
                   unsigned(most));
  };
  verifyWay("way", source.way(), plan::Way::Plain);
  verifyWay("rather", source.rather(), plan::Way::MAX);
  call.way = static_cast<te::products::Way>(source.way());
  call.rather = static_cast<te::products::Way>(source.rather());
  Where::Scope scope(v.where, "call", call.position, call.function->name,
                     call.location);
  verifySlots(source, call);
  verifyAttributes(source, call);
  verifyOverlaps(v, program, *call.function, uses, tripCounts);
  return call;
}

void StepVerifier::verifySlots(const plan::Call &source, Call &call) {
  const Function &function = *call.function;
  if (sizeOf(source.slots()) != function.numSlots)
    v.where.refuse("has ", sizeOf(source.slots()), " slots, wanted ",
                   function.numSlots);
  uses.clear();
  for (uint32_t i = 0; i < function.numSlots; ++i) {
    const Parameter &parameter = function.parameters[i];
    Where::Scope scope(v.where, "slot", i, parameter.name);
    const auto *indices = source.slots()->Get(i)->tensors();
    uint32_t count = sizeOf(indices);
    if (parameter.kind == ParameterKind::Tensor &&
        (count > 1 || (count == 0 && !parameter.optional)))
      v.where.refuse("has ", count, " tensors, wanted ",
                     parameter.optional ? "0 or 1" : "1");
    v.uses += count;
    if (v.uses > limits::uses)
      v.where.refuse("the plan uses tensors ", v.uses,
                     " times up to here, wanted at most ", limits::uses);
    std::vector<uint32_t> slot;
    slot.reserve(count);
    for (uint32_t j = 0; j < count; ++j) {
      uint32_t index = indices->Get(j);
      uses.push_back({&verifyUse(index, parameter), i, j});
      slot.push_back(index);
    }
    call.slots.push_back(std::move(slot));
  }
}

const Tensor &StepVerifier::verifyUse(uint32_t index,
                                      const Parameter &parameter) {
  if (index >= program.tensors.size())
    v.where.refuse("tensor is ", index, ", but there are ",
                   program.tensors.size());
  const Tensor &tensor = program.tensors[index];
  Where::Scope scope(v.where, "tensor", index);
  if (tensor.strides.size() > tripCounts.size())
    v.where.refuse("has ", tensor.strides.size(),
                   " loop strides, but is used inside of ", tripCounts.size(),
                   " loops");
  uint64_t space = spaceBytes(v.plan, program, tensor.space, tensor.index);
  uint64_t reach = loopReach(v.where, tensor, tripCounts);
  // verifyBounds has held offset + bytes, and loopReach holds the rest.
  uint64_t end = tensor.offset + tensor.bytes + reach;
  if (end > space)
    v.where.refuse("ends at byte ", end, " in the last iteration, but ",
                   spaceName(tensor.space), " ", tensor.index, " has ", space);
  if (parameter.isWritten()) {
    if (tensor.space == plan::Space::Constant)
      v.where.refuse("is written, but lies in constant ", tensor.index,
                     ", which is read only");
    if (tensor.space == plan::Space::Argument &&
        program.arguments[tensor.index].info.direction == TE_RT_IN)
      v.where.refuse("is written, but lies in argument '",
                     program.arguments[tensor.index].info.name,
                     "' of direction In, wanted Out or InOut");
  }
  return tensor;
}

void StepVerifier::verifyAttributes(const plan::Call &source, Call &call) {
  const Function &function = *call.function;
  if (sizeOf(source.attributes()) != function.numAttributes)
    v.where.refuse("has ", sizeOf(source.attributes()), " attributes, wanted ",
                   function.numAttributes);
  for (uint32_t i = 0; i < function.numAttributes; ++i) {
    const Parameter &parameter = function.parameters[function.numSlots + i];
    Where::Scope scope(v.where, "attribute", i, parameter.name);
    const plan::Attribute &attribute = *source.attributes()->Get(i);
    const plan::Int *integer = attribute.value_as_Int();
    const plan::Float *real = attribute.value_as_Float();
    bool wantsInt = parameter.kind == ParameterKind::Int;
    if (wantsInt ? !integer : !real)
      v.where.refuse("is of kind ", unsigned(attribute.value_type()),
                     ", wanted ", wantsInt ? "1 (int)" : "2 (float)");
    Operand operand = {};
    if (wantsInt)
      operand.integer = integer->value();
    else
      operand.real = real->value();
    call.attributes.push_back(operand);
  }
}

void te_rt::interp::verifySteps(Verification &v, const plan::Program &source,
                                Program &program) {
  program.numSteps =
      StepVerifier(v, program).verifyBody(source.steps(), program.steps);
}
