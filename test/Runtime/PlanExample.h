//===- PlanExample.h - plans built by hand, for tests -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_TEST_RUNTIME_PLANEXAMPLE_H
#define TE_TEST_RUNTIME_PLANEXAMPLE_H

#include "plan_generated.h"
#include "te_runtime/plan.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace example {

using namespace te::plan;

using Bytes = std::vector<uint8_t>;

inline Bytes pack(const PlanT &plan) {
  flatbuffers::FlatBufferBuilder builder;
  FinishPlanBuffer(builder, CreatePlan(builder, &plan));
  return Bytes(builder.GetBufferPointer(),
               builder.GetBufferPointer() + builder.GetSize());
}

/// Appends a function, location or class where it is not there yet.
inline uint32_t intern(std::vector<std::string> &list,
                       const std::string &text) {
  for (uint32_t i = 0; i < list.size(); ++i)
    if (list[i] == text)
      return i;
  list.push_back(text);
  return uint32_t(list.size() - 1);
}

/// A plan of one program, built step by step.
struct Builder {
  PlanT plan;

  Builder() {
    plan.version = TE_RT_PLAN_VERSION;
    plan.producer = "test";
    plan.target = "sm_90";
    plan.programs.push_back(std::make_unique<ProgramT>());
    program().name = "step";
  }

  ProgramT &program() { return *plan.programs[0]; }
  TensorT &tensor(uint32_t index) { return *program().tensors[index]; }

  uint32_t addTensor(Space space, uint32_t index, uint64_t offset,
                     std::vector<uint64_t> shape,
                     std::vector<uint64_t> strides = {},
                     DType dtype = DType::F32) {
    auto tensor = std::make_unique<TensorT>();
    tensor->space = space;
    tensor->index = index;
    tensor->offset = offset;
    tensor->shape = std::move(shape);
    tensor->loop_strides = std::move(strides);
    tensor->dtype = dtype;
    program().tensors.push_back(std::move(tensor));
    return uint32_t(program().tensors.size() - 1);
  }

  /// Returns its tensor.
  uint32_t addArgument(const std::string &name, Direction direction,
                       std::vector<uint64_t> shape, DType dtype = DType::F32) {
    auto argument = std::make_unique<ArgumentT>();
    argument->name = name;
    argument->direction = direction;
    auto index = uint32_t(program().arguments.size());
    program().arguments.push_back(std::move(argument));
    uint32_t tensor =
        addTensor(Space::Argument, index, 0, std::move(shape), {}, dtype);
    program().arguments[index]->tensor = tensor;
    return tensor;
  }

  using Steps = std::vector<std::unique_ptr<StepT>>;
  CallT &addCall(Steps &steps, const std::string &function,
                 std::vector<std::vector<uint32_t>> slots,
                 std::vector<int64_t> integers = {},
                 std::vector<double> reals = {}) {
    CallT call;
    call.function = intern(plan.functions, function);
    for (std::vector<uint32_t> &tensors : slots) {
      call.slots.push_back(std::make_unique<SlotT>());
      call.slots.back()->tensors = std::move(tensors);
    }
    for (int64_t value : integers) {
      IntT scalar;
      scalar.value = value;
      call.attributes.push_back(std::make_unique<AttributeT>());
      call.attributes.back()->value.Set(std::move(scalar));
    }
    for (double value : reals) {
      FloatT scalar;
      scalar.value = value;
      call.attributes.push_back(std::make_unique<AttributeT>());
      call.attributes.back()->value.Set(std::move(scalar));
    }
    call.location =
        intern(plan.locations, "moe.mlir:" + std::to_string(++lastLine) + ":3");
    call.cost_class = intern(plan.cost_classes, "move");
    call.cost = std::make_unique<CallCostT>();
    call.cost->launches = 1;
    call.cost->bytes = 32;
    call.cost->limit_ns = 12.5;
    call.cost->predicted_ns = 14.5;
    steps.push_back(std::make_unique<StepT>());
    steps.back()->kind.Set(std::move(call));
    return *steps.back()->kind.AsCall();
  }
  LoopT &addLoop(Steps &steps, uint64_t tripCount) {
    LoopT loop;
    loop.trip_count = tripCount;
    steps.push_back(std::make_unique<StepT>());
    steps.back()->kind.Set(std::move(loop));
    return *steps.back()->kind.AsLoop();
  }

  int lastLine = 0;
};

/// Tensors of `rows`, in the order that it makes them.
enum RowsTensor : uint32_t {
  X,
  Y,
  Last,
  XRow,
  YRow,
  Row,
  Numbers,
  Cache,
  Filled
};

/// y = x, row by row through the arena; last = {1, 2, 3, 4}, a constant; the
/// workspace becomes 2.5.
inline Builder rows() {
  Builder b;
  b.addArgument("x", Direction::In, {3, 4});
  b.addArgument("y", Direction::Out, {3, 4});
  b.addArgument("last", Direction::InOut, {4});
  b.addTensor(Space::Argument, 0, 0, {4}, {16});
  b.addTensor(Space::Argument, 1, 0, {4}, {16});
  b.addTensor(Space::Arena, 0, 0, {4});
  b.addTensor(Space::Constant, 0, 0, {4});
  b.addTensor(Space::Workspace, 0, 0, {4});
  b.addTensor(Space::Arena, 0, 16, {4});
  b.program().arena_bytes = 32;

  b.plan.workspaces.push_back(std::make_unique<WorkspaceT>());
  b.plan.workspaces[0]->name = "cache";
  b.plan.workspaces[0]->bytes = 16;
  const float numbers[] = {1, 2, 3, 4};
  b.plan.constants.push_back(std::make_unique<ConstantT>());
  b.plan.constants[0]->data.resize(sizeof(numbers));
  std::memcpy(b.plan.constants[0]->data.data(), numbers, sizeof(numbers));

  Builder::Steps &steps = b.program().steps;
  b.addCall(steps, "fill", {{Filled}}, {}, {2.5});
  LoopT &loop = b.addLoop(steps, 3);
  b.addCall(loop.body, "copy", {{XRow}, {Row}});
  b.addCall(loop.body, "copy", {{Row}, {YRow}});
  b.addCall(steps, "copy", {{Numbers}, {Last}});
  b.addCall(steps, "copy", {{Filled}, {Cache}});
  return b;
}

struct PlanDeleter {
  void operator()(te_rt_plan *plan) const { te_rt_plan_destroy(plan); }
};
using Plan = std::unique_ptr<te_rt_plan, PlanDeleter>;

struct Loaded {
  te_rt_status status;
  std::string message;
  Plan plan;
};
inline Loaded load(const Bytes &bytes) {
  char message[1024] = "";
  te_rt_plan *plan = nullptr;
  te_rt_status status = te_rt_plan_load(bytes.data(), int64_t(bytes.size()),
                                        &plan, message, sizeof(message));
  return {status, message, Plan(plan)};
}
inline Loaded load(const PlanT &plan) { return load(pack(plan)); }

/// Memory of an argument: 64-byte aligned, and not a byte larger.
class Buffer {
public:
  explicit Buffer(int64_t bytes) : size(bytes) {
    void *memory = nullptr;
    if (posix_memalign(&memory, 64, bytes ? size_t(bytes) : 1))
      std::abort();
    data.reset(static_cast<char *>(memory));
    std::memset(memory, 0, size_t(bytes));
  }
  void *get() const { return data.get(); }
  int64_t bytes() const { return size; }
  float *floats() const { return reinterpret_cast<float *>(data.get()); }
  std::vector<float> values() const {
    return {floats(), floats() + size / int64_t(sizeof(float))};
  }

private:
  struct Free {
    void operator()(char *memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> data;
  int64_t size;
};

/// A plan's program on a context of its own, its arguments bound to zeros.
class Runner {
public:
  explicit Runner(const te_rt_plan *plan, int32_t program = 0) : plan(plan) {
    char message[256];
    if (te_rt_context_create(TE_RT_REF, 1, nullptr, 0, &context, message,
                             sizeof(message)))
      std::abort();
    status = te_rt_session_create(context, plan, program, &session);
    te_rt_program_info info;
    if (status || te_rt_plan_program(plan, program, &info))
      return;
    for (int32_t i = 0; i < info.num_arguments && !status; ++i) {
      te_rt_argument_info argument;
      te_rt_plan_argument(plan, program, i, &argument);
      buffers.emplace_back(argument.bytes);
      status = te_rt_session_bind(session, i, buffers[i].get(), argument.bytes);
    }
  }
  ~Runner() {
    te_rt_session_destroy(session);
    te_rt_context_destroy(context);
  }
  Runner(const Runner &) = delete;
  Runner &operator=(const Runner &) = delete;

  te_rt_status run() { return te_rt_session_run(session); }
  std::string error() const { return te_rt_last_error(context); }

  const te_rt_plan *plan;
  te_rt_context *context = nullptr;
  te_rt_session *session = nullptr;
  te_rt_status status; // of making the session
  std::vector<Buffer> buffers;
};

} // namespace example

#endif // TE_TEST_RUNTIME_PLANEXAMPLE_H
