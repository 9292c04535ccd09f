//===- PlanRun.cpp - sessions: loops, memory, bindings, observers, errors -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanExample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace example;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

/// Puts what is told of each call behind those in `calls`.
void observe(Runner &runner, std::vector<te_rt_call_info> &calls) {
  te_rt_session_observe(
      runner.session,
      [](void *user, const te_rt_call_info *call) {
        static_cast<std::vector<te_rt_call_info> *>(user)->push_back(*call);
      },
      &calls);
}

TEST(PlanRun, FunctionNames) {
  std::vector<std::string> names;
  while (const char *name = te_rt_function_name(int32_t(names.size())))
    names.push_back(name);
  EXPECT_EQ(names.size(), 32u);
  EXPECT_EQ(names.front(), "quantize");
  EXPECT_EQ(names.back(), "swiglu_backward_quantize");
  EXPECT_EQ(te_rt_function_name(-1), nullptr);
}

TEST(PlanRun, Info) {
  Builder b = rows();
  b.program().ranks = 4;
  for (const char *name : {"e0", "e1", "e2"}) {
    b.program().arguments[0]->members.push_back(std::make_unique<MemberT>());
    b.program().arguments[0]->members.back()->name = name;
  }
  b.program().arguments[0]->deviation = 0.5;
  b.program().arguments[0]->next = "y";
  b.tensor(X).on_host = true;
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  EXPECT_STREQ(te_rt_plan_target(loaded.plan.get()), "sm_90");
  EXPECT_EQ(te_rt_plan_num_programs(loaded.plan.get()), 1);

  te_rt_program_info info;
  ASSERT_EQ(te_rt_plan_program(loaded.plan.get(), 0, &info), TE_RT_OK);
  EXPECT_STREQ(info.name, "step");
  EXPECT_EQ(info.num_arguments, 3);
  EXPECT_EQ(info.ranks, 4);
  EXPECT_EQ(info.arena_bytes, 32);
  EXPECT_EQ(info.workspace_bytes, 16);
  EXPECT_EQ(info.constant_bytes, 16);
  EXPECT_EQ(info.num_steps, 9);
  EXPECT_EQ(te_rt_plan_program(loaded.plan.get(), 1, &info),
            TE_RT_INVALID_ARGUMENT);

  te_rt_argument_info x;
  ASSERT_EQ(te_rt_plan_argument(loaded.plan.get(), 0, 0, &x), TE_RT_OK);
  EXPECT_STREQ(x.name, "x");
  EXPECT_EQ(x.direction, TE_RT_IN);
  EXPECT_EQ(x.bytes, 48);
  EXPECT_EQ(x.tensor.rank, 2);
  EXPECT_EQ(x.tensor.shape[1], 4);
  EXPECT_EQ(x.tensor.on_host, 1);
  ASSERT_EQ(x.num_members, 3);
  EXPECT_STREQ(x.members[2], "e2");
  EXPECT_EQ(x.deviation, 0.5f);
  EXPECT_STREQ(x.next, "y");
  EXPECT_EQ(te_rt_plan_argument(loaded.plan.get(), 0, 3, &x),
            TE_RT_INVALID_ARGUMENT);
}

TEST(PlanRun, StateSharesItsNameWithItsNextValue) {
  Builder b = rows();
  b.program().arguments[1]->name = "x";
  b.program().arguments[0]->next = "x";
  Loaded loaded = load(b.plan);
  EXPECT_EQ(loaded.status, TE_RT_OK) << loaded.message;
}

TEST(PlanRun, LoopsConstantsArena) {
  Loaded loaded = load(rows().plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  ASSERT_EQ(runner.status, TE_RT_OK) << runner.error();
  std::iota(runner.buffers[0].floats(), runner.buffers[0].floats() + 12, 1.0f);
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_EQ(runner.buffers[1].values(), runner.buffers[0].values());
  EXPECT_THAT(runner.buffers[2].values(), ElementsAre(1, 2, 3, 4));

  // Another binding of an argument that a loop moves and one that it does not.
  Buffer y(48), last(16);
  ASSERT_EQ(te_rt_session_bind(runner.session, 1, y.get(), 48), TE_RT_OK);
  ASSERT_EQ(te_rt_session_bind(runner.session, 2, last.get(), 16), TE_RT_OK);
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_EQ(y.values(), runner.buffers[0].values());
  EXPECT_THAT(last.values(), ElementsAre(1, 2, 3, 4));
}

// A transpose of one element at a time: strides are outermost first, and the
// inner loop begins anew.
TEST(PlanRun, NestedLoops) {
  Builder b;
  b.addArgument("x", Direction::In, {2, 3});
  b.addArgument("y", Direction::Out, {3, 2});
  uint32_t from = b.addTensor(Space::Argument, 0, 0, {1}, {12, 4});
  uint32_t to = b.addTensor(Space::Argument, 1, 0, {1}, {4, 8});
  LoopT &outer = b.addLoop(b.program().steps, 2);
  LoopT &inner = b.addLoop(outer.body, 3);
  b.addCall(inner.body, "copy", {{from}, {to}});
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  std::iota(runner.buffers[0].floats(), runner.buffers[0].floats() + 6, 1.0f);
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_THAT(runner.buffers[1].values(), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(PlanRun, NoIteration) {
  Builder b = rows();
  b.program().steps[1]->kind.AsLoop()->trip_count = 0;
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  runner.buffers[1].floats()[0] = 5;
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_EQ(runner.buffers[1].values()[0], 5);
}

TEST(PlanRun, WorkspaceIsZeroThenKept) {
  Builder b = rows();
  b.program().steps.clear();
  b.addCall(b.program().steps, "copy", {{Cache}, {Last}});
  b.addCall(b.program().steps, "fill", {{Cache}}, {}, {7});
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  runner.buffers[2].floats()[3] = 1;
  ASSERT_EQ(runner.run(), TE_RT_OK);
  EXPECT_THAT(runner.buffers[2].values(), Each(0));
  ASSERT_EQ(runner.run(), TE_RT_OK);
  EXPECT_THAT(runner.buffers[2].values(), Each(7));
}

/// An optimizer finds the member of a packed workspace, run after run in the
/// same place.
TEST(PlanRun, WorkspaceMembers) {
  Builder b = rows();
  for (const char *name : {"cache.0", "cache.1"}) {
    b.plan.workspaces[0]->members.push_back(std::make_unique<MemberT>());
    b.plan.workspaces[0]->members.back()->name = name;
  }
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  ASSERT_EQ(te_rt_plan_num_workspaces(loaded.plan.get()), 1);
  te_rt_workspace_info info;
  ASSERT_EQ(te_rt_plan_workspace(loaded.plan.get(), 0, &info), TE_RT_OK);
  EXPECT_STREQ(info.name, "cache");
  EXPECT_EQ(info.bytes, 16);
  ASSERT_EQ(info.num_members, 2);
  EXPECT_STREQ(info.members[1], "cache.1");
  EXPECT_EQ(te_rt_plan_workspace(loaded.plan.get(), 1, &info),
            TE_RT_INVALID_ARGUMENT);

  Runner runner(loaded.plan.get());
  void *before = nullptr, *after = nullptr;
  ASSERT_EQ(te_rt_session_workspace(runner.session, 0, &before), TE_RT_OK);
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  ASSERT_EQ(te_rt_session_workspace(runner.session, 0, &after), TE_RT_OK);
  EXPECT_EQ(before, after);
  EXPECT_EQ(static_cast<const float *>(after)[2], 2.5f);
  EXPECT_EQ(te_rt_session_workspace(runner.session, 1, &after),
            TE_RT_INVALID_ARGUMENT);
  EXPECT_THAT(runner.error(), HasSubstr("workspace: found 1, wanted 0 to 0"));
  EXPECT_EQ(te_rt_session_workspace(runner.session, 0, nullptr),
            TE_RT_INVALID_ARGUMENT);
}

TEST(PlanRun, Poison) {
  Builder b = rows();
  b.program().steps.clear();
  b.addCall(b.program().steps, "copy", {{Filled}, {Last}});
  b.addCall(b.program().steps, "fill", {{Filled}}, {}, {3});
  Loaded loaded = load(b.plan);
  Runner runner(loaded.plan.get());
  te_rt_session_poison(runner.session, 0xFF);
  for (int run = 0; run < 2; ++run) {
    ASSERT_EQ(runner.run(), TE_RT_OK);
    for (float value : runner.buffers[2].values())
      EXPECT_TRUE(std::isnan(value));
  }
  te_rt_session_poison(runner.session, -1);
  ASSERT_EQ(runner.run(), TE_RT_OK);
  EXPECT_THAT(runner.buffers[2].values(), Each(3));
}

TEST(PlanRun, Observer) {
  Loaded loaded = load(rows().plan);
  Runner runner(loaded.plan.get());
  std::vector<te_rt_call_info> calls;
  observe(runner, calls);
  ASSERT_EQ(runner.run(), TE_RT_OK);
  std::vector<int64_t> positions;
  int64_t last = 0;
  for (const te_rt_call_info &call : calls) {
    positions.push_back(call.step);
    EXPECT_LE(last, call.begin_ns);
    EXPECT_LE(call.begin_ns, call.end_ns);
    last = call.end_ns;
  }
  EXPECT_THAT(positions, ElementsAre(0, 1, 2, 1, 2, 1, 2, 3, 4));
  EXPECT_STREQ(calls[0].function, "fill");
  EXPECT_STREQ(calls[1].function, "copy");
  EXPECT_STREQ(calls[2].location, "moe.mlir:3:3");
  EXPECT_STREQ(calls[2].cost_class, "move");
  EXPECT_EQ(calls[2].launches, 1u);
  EXPECT_EQ(calls[2].bytes, 32u);
  EXPECT_EQ(calls[2].limit_ns, 12.5);
  EXPECT_EQ(calls[2].predicted_ns, 14.5);
}

// Of a call that did not go that way: ref has none.
TEST(PlanRun, PredictionOfTheWayThatRan) {
  Builder b = rows();
  CallT &call = *b.program().steps[0]->kind.AsCall();
  call.way = Way::Own;
  call.rather = Way::Groups;
  call.cost->rather_ns = 13.5;
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  std::vector<te_rt_call_info> calls;
  observe(runner, calls);
  ASSERT_EQ(runner.run(), TE_RT_OK);
  EXPECT_EQ(calls[0].predicted_ns, 14.5);
  EXPECT_STREQ(calls[0].variant, "");
}

TEST(PlanRun, FirstVersion) {
  Builder b = rows();
  b.plan.version = 1;
  auto rewrite = [](auto &&self, std::vector<std::unique_ptr<StepT>> &steps)
      -> void {
    for (std::unique_ptr<StepT> &step : steps) {
      if (LoopT *loop = step->kind.AsLoop())
        self(self, loop->body);
      if (CallT *call = step->kind.AsCall()) {
        call->cost.reset(); // not read in this version
        call->cost_v1 = std::make_unique<CostV1>(3, 64, 5, 1);
      }
    }
  };
  rewrite(rewrite, b.program().steps);
  Loaded loaded = load(b.plan);
  EXPECT_EQ(te_rt_plan_version(loaded.plan.get()), 1);
  Runner runner(loaded.plan.get());
  std::vector<te_rt_call_info> calls;
  observe(runner, calls);
  ASSERT_EQ(runner.run(), TE_RT_OK);
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls[0].launches, 3u);
  EXPECT_EQ(calls[0].bytes, 64u);
  EXPECT_EQ(calls[0].flops, 5u);
  EXPECT_EQ(calls[0].host_syncs, 1u);
  EXPECT_EQ(calls[0].limit_ns, 0);
  EXPECT_EQ(calls[0].predicted_ns, 0);
}

TEST(PlanRun, FailureBeginsWithTheLocation) {
  Builder b = rows();
  b.tensor(Row).dtype = DType::I32;
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  EXPECT_EQ(runner.run(), TE_RT_INVALID_ARGUMENT);
  EXPECT_THAT(runner.error(), StartsWith("moe.mlir:2:3: copy: "));
  // The message does not grow from run to run.
  std::string first = runner.error();
  EXPECT_EQ(runner.run(), TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(runner.error(), first);
}

TEST(PlanRun, InPlace) {
  Builder b;
  uint32_t amax = b.addArgument("amax", Direction::In, {});
  uint32_t history = b.addArgument("history", Direction::InOut, {4});
  uint32_t scale = b.addArgument("scale", Direction::InOut, {});
  b.addCall(b.program().steps, "update_scales",
            {{amax}, {history}, {scale}, {history}, {scale}}, {}, {});
  CallT &call = *b.program().steps[0]->kind.AsCall();
  auto add = [&](auto scalar) {
    call.attributes.push_back(std::make_unique<AttributeT>());
    call.attributes.back()->value.Set(std::move(scalar));
  };
  FloatT largest;
  largest.value = 448;
  add(std::move(largest));
  add(IntT());
  add(IntT());
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  runner.buffers[0].floats()[0] = 2;
  ASSERT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_THAT(runner.buffers[1].values(), ElementsAre(0, 0, 0, 2));
  EXPECT_THAT(runner.buffers[2].values(), ElementsAre(224));
}

TEST(PlanRun, Bindings) {
  Loaded loaded = load(rows().plan);
  Runner runner(loaded.plan.get());
  auto bind = [&](int32_t argument, void *data, int64_t bytes) {
    EXPECT_EQ(te_rt_session_bind(runner.session, argument, data, bytes),
              TE_RT_INVALID_ARGUMENT);
    return runner.error();
  };
  Buffer buffer(256);
  char *data = static_cast<char *>(buffer.get());
  EXPECT_EQ(bind(3, data, 48),
            "session_bind: argument: found 3, wanted 0 to 2 of program 'step'");
  EXPECT_EQ(bind(1, data, 47),
            "session_bind: argument 1 'y': found 47 bytes, wanted 48");
  EXPECT_THAT(bind(1, data + 16, 48), HasSubstr("a multiple of 64"));
  EXPECT_THAT(bind(1, nullptr, 48), HasSubstr("not NULL"));

  // x is only read, but y is written.
  ASSERT_EQ(te_rt_session_bind(runner.session, 0, data, 48), TE_RT_OK);
  ASSERT_EQ(te_rt_session_bind(runner.session, 1, data, 48), TE_RT_OK);
  EXPECT_EQ(runner.run(), TE_RT_INVALID_ARGUMENT);
  EXPECT_THAT(runner.error(), HasSubstr("of which one is written"));
  ASSERT_EQ(te_rt_session_bind(runner.session, 1, data + 64, 48), TE_RT_OK);
  EXPECT_EQ(runner.run(), TE_RT_OK) << runner.error();
}

TEST(PlanRun, Unbound) {
  Loaded loaded = load(rows().plan);
  Runner runner(loaded.plan.get());
  te_rt_session *session = nullptr;
  ASSERT_EQ(
      te_rt_session_create(runner.context, loaded.plan.get(), 0, &session),
      TE_RT_OK);
  EXPECT_EQ(te_rt_session_run(session), TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(runner.error(), "session_run: argument 0 'x': not bound, wanted 48 "
                            "bytes of memory");
  te_rt_session_destroy(session);
  EXPECT_EQ(
      te_rt_session_create(runner.context, loaded.plan.get(), 1, &session),
      TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(session, nullptr);
  EXPECT_THAT(runner.error(), HasSubstr("program: found 1, wanted 0 to 0"));
}

TEST(PlanRun, OutOfMemory) {
  Builder b = rows();
  b.program().arena_bytes = uint64_t(1) << 45;
  Loaded loaded = load(b.plan);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  EXPECT_EQ(runner.status, TE_RT_OUT_OF_MEMORY);
  EXPECT_EQ(runner.session, nullptr);
  EXPECT_THAT(runner.error(), HasSubstr("arena of 'step': could not allocate "
                                        "35184372088832 bytes"));
}

} // namespace

// An allocation that is too large gives NULL, as it does without the sanitizer.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
