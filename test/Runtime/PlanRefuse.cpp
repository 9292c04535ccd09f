//===- PlanRefuse.cpp - each refusal of a plan, once ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanExample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

using namespace example;
using testing::HasSubstr;
using testing::Not;

namespace {

CallT &call(Builder &b, size_t step) {
  return *b.program().steps[step]->kind.AsCall();
}
LoopT &loop(Builder &b) { return *b.program().steps[1]->kind.AsLoop(); }
CallT &inLoop(Builder &b, size_t step) {
  return *loop(b).body[step]->kind.AsCall();
}
ArgumentT &argument(Builder &b, size_t index) {
  return *b.program().arguments[index];
}

/// `rows()`, broken in one way, and what the message then says.
struct Refusal {
  const char *name;
  std::function<void(Builder &)> breakIt;
  const char *message;
};

void PrintTo(const Refusal &refusal, std::ostream *stream) {
  *stream << refusal.name;
}

const uint64_t huge = std::numeric_limits<uint64_t>::max();

const Refusal refusals[] = {
    {"NewerVersion", [](Builder &b) { b.plan.version = TE_RT_PLAN_VERSION + 1; },
     "plan: version is 3, wanted 1 to 2; a newer compiler wrote it"},
    {"NegativeLimit",
     [](Builder &b) { b.program().steps[0]->kind.AsCall()->cost->limit_ns = -1; },
     "limit is -1 ns, wanted 0 or more"},
    {"NegativePrediction",
     [](Builder &b) { b.program().steps[0]->kind.AsCall()->cost->predicted_ns = -1; },
     "prediction is -1 ns, wanted 0 or more"},
    {"NegativeOtherPrediction",
     [](Builder &b) { b.program().steps[0]->kind.AsCall()->cost->rather_ns = -1; },
     "prediction of rather is -1 ns, wanted 0 or more"},
    {"UnknownWay",
     [](Builder &b) { b.program().steps[0]->kind.AsCall()->way = Way(5); },
     "call 0: way is 5, wanted at most 4"},
    {"UnknownOtherWay",
     [](Builder &b) { b.program().steps[0]->kind.AsCall()->rather = Way(6); },
     "call 0: rather is 6, wanted at most 5"},
    {"NoVersion", [](Builder &b) { b.plan.version = 0; },
     "plan: version is 0, wanted 1 to 2"},
    {"ControlCharacter", [](Builder &b) { b.plan.locations[1] = "a\nb"; },
     "plan: location 1: text: byte 1 is the control character 10"},
    {"UnknownFunction", [](Builder &b) { b.plan.functions[1] = "system"; },
     "plan: function 1: 'system' is not a function of this library"},

    // Memory.
    {"WorkspaceName", [](Builder &b) { b.plan.workspaces[0]->name = ""; },
     "plan: workspace 0: name is empty"},
    {"WorkspaceBytes", [](Builder &b) { b.plan.workspaces[0]->bytes = huge; },
     "workspace 0: asks for 18446744073709551615 bytes beside 0"},
    {"WorkspaceMembers",
     [](Builder &b) {
       for (int e = 0; e < 3; ++e) {
         b.plan.workspaces[0]->members.push_back(std::make_unique<MemberT>());
         b.plan.workspaces[0]->members[e]->name = "w";
       }
     },
     "workspace 0: has 16 bytes, wanted a multiple of its 3 members"},
    {"ArenaBytes",
     [](Builder &b) { b.program().arena_bytes = uint64_t(1) << 46; },
     "program 0 'step': asks for 70368744177664 bytes beside 16"},
    {"ProgramName",
     [](Builder &b) {
       b.plan.programs.push_back(std::make_unique<ProgramT>());
       b.plan.programs[1]->name = "step";
     },
     "program 1: name 'step' is taken"},
    {"Ranks", [](Builder &b) { b.program().ranks = 0; },
     "program 0 'step': ranks is 0, wanted 1 to 65536"},

    // Tensors.
    {"Space", [](Builder &b) { b.tensor(X).space = Space(4); },
     "tensor 0: space is 4, wanted 0 to 3"},
    {"ArgumentIndex", [](Builder &b) { b.tensor(XRow).index = 3; },
     "tensor 3: index is 3, but there are 3 of argument"},
    {"ArenaIndex", [](Builder &b) { b.tensor(Row).index = 1; },
     "tensor 5: index is 1, but there are 1 of arena"},
    {"ConstantIndex", [](Builder &b) { b.tensor(Numbers).index = 7; },
     "tensor 6: index is 7, but there are 1 of constant"},
    {"WorkspaceIndex", [](Builder &b) { b.tensor(Cache).index = 2; },
     "tensor 7: index is 2, but there are 1 of workspace"},
    {"DType", [](Builder &b) { b.tensor(Row).dtype = DType(10); },
     "tensor 5: dtype is 10, wanted 0 to 9"},
    {"OddFp4",
     [](Builder &b) {
       b.tensor(Row).dtype = DType::F4E2M1;
       b.tensor(Row).shape.back() = 5;
     },
     "tensor 5: last extent is 5, wanted an even one for F4E2M1"},
    {"Fp4Scalar",
     [](Builder &b) {
       b.tensor(Row).dtype = DType::F4E2M1;
       b.tensor(Row).shape.clear();
     },
     "tensor 5: last extent is 1, wanted an even one for F4E2M1"},
    {"Rank", [](Builder &b) { b.tensor(Row).shape = {1, 1, 1, 1, 1}; },
     "tensor 5: rank is 5, wanted at most 4"},
    {"ShapeOverflow",
     [](Builder &b) {
       b.tensor(Row).shape = {uint64_t(1) << 32, uint64_t(1) << 32};
     },
     "tensor 5: extent 1 is 4294967296, which makes the tensor larger than"},
    {"ShapeOverflowBesideZero",
     [](Builder &b) { b.tensor(Row).shape = {0, huge}; },
     "tensor 5: extent 1 is 18446744073709551615"},
    {"Layout", [](Builder &b) { b.tensor(Row).layout = ScaleLayout(5); },
     "tensor 5: layout is 5, wanted 0 to 4"},
    {"BlockRows", [](Builder &b) { b.tensor(Row).block_rows = 1u << 31; },
     "tensor 5: block_rows is 2147483648"},
    {"NoBlock", [](Builder &b) { b.tensor(Row).layout = ScaleLayout::Compact; },
     "tensor 5: block is 0 x 0, wanted at least 1 x 1 for layout Compact"},
    {"BlockOfData", [](Builder &b) { b.tensor(Row).block_cols = 128; },
     "tensor 5: block is 0 x 128 with 0 groups, wanted 0 x 0"},
    {"UnalignedOffset", [](Builder &b) { b.tensor(Row).offset = 2; },
     "tensor 5: offset is 2 bytes, wanted a multiple of the element's 4"},
    {"UnalignedStride", [](Builder &b) { b.tensor(XRow).loop_strides = {6}; },
     "tensor 3: loop stride is 6 bytes"},
    {"ManyStrides", [](Builder &b) { b.tensor(XRow).loop_strides.resize(9); },
     "tensor 3: has 9 loop strides, wanted at most 8"},
    {"OutOfArena", [](Builder &b) { b.tensor(Filled).offset = 20; },
     "tensor 8: bytes 20 and 16 more of arena 0, which has 32"},
    {"OffsetOverflow", [](Builder &b) { b.tensor(Filled).offset = huge - 15; },
     "tensor 8: bytes 18446744073709551600 and 16 more"},
    {"OutOfConstant", [](Builder &b) { b.tensor(Numbers).shape = {5}; },
     "tensor 6: bytes 0 and 20 more of constant 0, which has 16"},

    // Arguments.
    {"ArgumentName", [](Builder &b) { argument(b, 2).name = "y"; },
     "argument 2: name 'y' is taken by an earlier one of this direction"},
    {"Direction", [](Builder &b) { argument(b, 1).direction = Direction(3); },
     "argument 1: direction is 3, wanted 0 to 2"},
    {"ArgumentTensor", [](Builder &b) { argument(b, 1).tensor = 99; },
     "argument 1: tensor is 99, but there are 9"},
    {"TensorOfAnother", [](Builder &b) { argument(b, 1).tensor = X; },
     "argument 1: tensor 0 lies in argument 0, wanted argument 1"},
    {"TensorIsAPart", [](Builder &b) { argument(b, 1).tensor = YRow; },
     "argument 1: tensor 4 has offset 0 and 1 loop strides, wanted none"},
    {"Members",
     [](Builder &b) {
       argument(b, 0).members.push_back(std::make_unique<MemberT>());
     },
     "argument 0: has 1 members, wanted 3"},
    {"Init", [](Builder &b) { argument(b, 0).init = Init(6); },
     "argument 0: init is 6, wanted 0 to 5"},
    {"RngType", [](Builder &b) { argument(b, 0).init = Init::Rng; },
     "argument 0: init Rng wants I64 of a last extent of 2, but the tensor is "
     "F32 of rank 2"},
    {"Deviation",
     [](Builder &b) {
       argument(b, 0).deviation = std::numeric_limits<float>::quiet_NaN();
     },
     "argument 0: deviation is nan"},
    {"NumExperts", [](Builder &b) { argument(b, 0).init = Init::Routing; },
     "argument 0: num_experts is 0, wanted 1 to 2147483647"},
    {"RoutingType",
     [](Builder &b) {
       argument(b, 0).init = Init::Routing;
       argument(b, 0).num_experts = 8;
     },
     "argument 0: init Routing wants I32 of rank 1 or more, but the tensor is "
     "F32 of rank 2"},
    {"NextUnknown", [](Builder &b) { argument(b, 0).next = "z"; },
     "argument 0 'x': next is 'z', wanted an argument that is Out"},
    {"NextDirection", [](Builder &b) { argument(b, 0).next = "last"; },
     "argument 0 'x': next is 'last' of direction InOut, wanted Out"},
    {"NextOfOut", [](Builder &b) { argument(b, 2).next = "y"; },
     "argument 2 'last': has a next, but direction InOut, wanted In"},
    {"NextShape",
     [](Builder &b) {
       b.addArgument("z", Direction::Out, {4});
       argument(b, 0).next = "z";
     },
     "argument 0 'x': next is 'z' of another type or shape"},

    // Steps.
    {"StepKind", [](Builder &b) { b.program().steps[0]->kind.Reset(); },
     "step 0: kind is 0, wanted 1 (call) or 2 (loop)"},
    {"TripCount", [](Builder &b) { loop(b).trip_count = huge; },
     "step 1 'loop': trip count is 18446744073709551615, wanted at most"},
    {"TooManySteps",
     [](Builder &b) {
       b.program().steps.clear();
       auto *steps = &b.program().steps;
       for (int i = 0; i < 2; ++i)
         steps = &b.addLoop(*steps, uint64_t(1) << 31).body;
     },
     "step 0 'loop': takes 2147483648 steps 2147483648 times"},
    {"LoopsTooDeep",
     [](Builder &b) {
       auto *steps = &b.program().steps;
       for (int i = 0; i < 9; ++i)
         steps = &b.addLoop(*steps, 1).body;
     },
     "is inside of 8 loops, wanted at most 8 in all"},
    {"FunctionIndex", [](Builder &b) { call(b, 0).function = 2; },
     "call 0: function is 2, but there are 2"},
    {"LocationIndex", [](Builder &b) { call(b, 0).location = 5; },
     "call 0: location is 5, but there are 5"},
    {"CostClassIndex", [](Builder &b) { call(b, 0).cost_class = 1; },
     "call 0: cost class is 1, but there are 1"},
    {"NumSlots", [](Builder &b) { call(b, 0).slots.clear(); },
     "call 0 'fill' at moe.mlir:1:3: has 0 slots, wanted 1"},
    {"MissingTensor", [](Builder &b) { call(b, 0).slots[0]->tensors = {}; },
     "call 0 'fill' at moe.mlir:1:3, slot 0 'output': has 0 tensors, wanted 1"},
    {"TwoTensors",
     [](Builder &b) { call(b, 0).slots[0]->tensors = {Row, Filled}; },
     "slot 0 'output': has 2 tensors, wanted 1"},
    {"TensorIndex", [](Builder &b) { call(b, 0).slots[0]->tensors = {9}; },
     "slot 0 'output': tensor is 9, but there are 9"},
    {"StridesWithoutLoop",
     [](Builder &b) { call(b, 2).slots[0]->tensors = {XRow}; },
     "tensor 3: has 1 loop strides, but is used inside of 0 loops"},
    {"OutOfSpaceInTheLastIteration", [](Builder &b) { loop(b).trip_count = 4; },
     "call 1 'copy' at moe.mlir:2:3, slot 0 'input', tensor 3: ends at byte 64 "
     "in the last iteration, but argument 0 has 48"},
    {"StrideOverflow",
     [](Builder &b) { b.tensor(XRow).loop_strides = {uint64_t(1) << 63}; },
     "tensor 3: loop stride 9223372036854775808 times 2 passes"},
    {"WrittenConstant",
     [](Builder &b) { call(b, 0).slots[0]->tensors = {Numbers}; },
     "tensor 6: is written, but lies in constant 0, which is read only"},
    {"WrittenInput", [](Builder &b) { call(b, 0).slots[0]->tensors = {X}; },
     "tensor 0: is written, but lies in argument 'x' of direction In"},
    {"NumAttributes", [](Builder &b) { call(b, 0).attributes.clear(); },
     "call 0 'fill' at moe.mlir:1:3: has 0 attributes, wanted 1"},
    {"AttributeKind",
     [](Builder &b) { call(b, 0).attributes[0]->value.Set(IntT()); },
     "attribute 0 'value': is of kind 1, wanted 2 (float)"},

    // Overlaps.
    {"PartialOverlap",
     [](Builder &b) {
       b.tensor(Filled).offset = 8;
       inLoop(b, 0).slots[0]->tensors = {Filled};
     },
     "slot 1 'output' tensor 5 is written at byte 0 to 16 of arena 0, where "
     "slot 0 'input' tensor 8 has 8 to 24, wanted no overlap"},
    {"InPlaceNotAllowed",
     [](Builder &b) { inLoop(b, 0).slots[0]->tensors = {Row}; },
     "slot 0 'input' tensor 5 has 0 to 16, wanted no overlap"},
    {"OverlapInALaterIteration",
     [](Builder &b) {
       b.program().arena_bytes = 64;
       b.tensor(Filled).offset = 32;
       b.tensor(Row).loop_strides = {16};
       inLoop(b, 0).slots[0]->tensors = {Filled};
     },
     "slot 1 'output' tensor 5 is written at byte 0 to 16"},
};

class PlanRefuse : public testing::TestWithParam<Refusal> {};

TEST_P(PlanRefuse, Message) {
  Builder b = rows();
  GetParam().breakIt(b);
  Loaded loaded = load(b.plan);
  EXPECT_EQ(loaded.status, TE_RT_INVALID_PLAN);
  EXPECT_EQ(loaded.plan, nullptr);
  EXPECT_THAT(loaded.message, HasSubstr(GetParam().message));
  EXPECT_THAT(loaded.message, Not(HasSubstr("\n")));
}

INSTANTIATE_TEST_SUITE_P(All, PlanRefuse, testing::ValuesIn(refusals),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

/// update_scales of two slots; `slots` are its five lists.
Loaded loadUpdate(std::vector<std::vector<uint32_t>> slots) {
  Builder b;
  b.addArgument("amax", Direction::In, {2});
  b.addArgument("state", Direction::InOut, {10});
  b.addTensor(Space::Argument, 0, 0, {});  // 2: amaxes
  b.addTensor(Space::Argument, 0, 4, {});  // 3
  b.addTensor(Space::Argument, 1, 0, {4}); // 4: histories
  b.addTensor(Space::Argument, 1, 16, {4});
  b.addTensor(Space::Argument, 1, 32, {}); // 6: scales
  b.addTensor(Space::Argument, 1, 36, {});
  b.addCall(b.program().steps, "update_scales", std::move(slots), {}, {448});
  auto &attributes = b.program().steps[0]->kind.AsCall()->attributes;
  for (int i = 0; i < 2; ++i) {
    attributes.push_back(std::make_unique<AttributeT>());
    attributes.back()->value.Set(IntT());
  }
  return load(b.plan);
}

TEST(PlanOverlap, ListsInPlaceElementByElement) {
  Loaded good = loadUpdate({{2, 3}, {4, 5}, {6, 7}, {4, 5}, {6, 7}});
  EXPECT_EQ(good.status, TE_RT_OK) << good.message;
  // Another element of the list, another slot, or written twice.
  EXPECT_THAT(loadUpdate({{2, 3}, {4, 5}, {6, 7}, {5, 4}, {6, 7}}).message,
              HasSubstr("wanted no overlap or the same tensor as 'history'"));
  EXPECT_THAT(loadUpdate({{6, 3}, {4, 5}, {2, 7}, {4, 5}, {6, 7}}).message,
              HasSubstr("'scale_out' tensor 6 is written"));
  EXPECT_THAT(loadUpdate({{2, 3}, {4, 5}, {6, 7}, {4, 4}, {6, 7}}).message,
              HasSubstr("wanted no overlap"));
}

// Two slices of one buffer that a loop moves in step never meet, though the
// bytes that they cover do.
TEST(PlanOverlap, SlicesInStep) {
  Builder b;
  b.program().arena_bytes = 96;
  b.addTensor(Space::Arena, 0, 0, {4}, {32});
  b.addTensor(Space::Arena, 0, 16, {4}, {32});
  LoopT &loop = b.addLoop(b.program().steps, 3);
  b.addCall(loop.body, "copy", {{0}, {1}});
  Loaded loaded = load(b.plan);
  EXPECT_EQ(loaded.status, TE_RT_OK) << loaded.message;
}

// Every operand overlaps every other: refused rather than compared for hours.
TEST(PlanOverlap, TooManyComparisons) {
  Builder b;
  b.program().arena_bytes = 1 << 20;
  std::vector<uint32_t> reads, writes;
  for (uint32_t i = 0; i < 20000; ++i) {
    // Reads move away from the writes in step with nothing, far to the right.
    reads.push_back(b.addTensor(Space::Arena, 0, 4 * i, {}, {1 << 18}));
    writes.push_back(
        b.addTensor(Space::Arena, 0, 4 * i + (1 << 17), {}, {1 << 18}));
  }
  LoopT &loop = b.addLoop(b.program().steps, 2);
  b.addCall(loop.body, "dispatch", {{reads[0]}, reads, writes});
  Loaded loaded = load(b.plan);
  EXPECT_EQ(loaded.status, TE_RT_INVALID_PLAN);
  EXPECT_THAT(loaded.message, HasSubstr("overlap too often"));
}

TEST(PlanFile, NotAPlan) {
  EXPECT_THAT(load(Bytes()).message, HasSubstr("has 0 bytes, wanted 8 to"));
  EXPECT_THAT(load(Bytes{1, 0, 0, 0, 'E', 'L', 'F', 7}).message,
              HasSubstr("file identifier is 'ELF?', wanted 'TEPL'"));
  Bytes bytes = pack(rows().plan);
  bytes.resize(bytes.size() / 2);
  EXPECT_THAT(load(bytes).message, HasSubstr("truncated or damaged"));
}

TEST(PlanFile, ConstantOutOfAlignment) {
  PlanT plan = std::move(rows().plan);
  flatbuffers::FlatBufferBuilder builder;
  // Without the schema's alignment of the data.
  builder.CreateVector(std::vector<uint8_t>(1, 0));
  auto data = builder.CreateVector(plan.constants[0]->data);
  auto constant = CreateConstant(builder, data);
  auto constants = builder.CreateVector(&constant, 1);
  PlanBuilder root(builder);
  root.add_version(TE_RT_PLAN_VERSION);
  root.add_constants(constants);
  FinishPlanBuffer(builder, root.Finish());
  Bytes bytes(builder.GetBufferPointer(),
              builder.GetBufferPointer() + builder.GetSize());
  EXPECT_THAT(load(bytes).message, HasSubstr("wanted a multiple of 32"));
}

TEST(PlanFile, NullArguments) {
  te_rt_plan *plan = nullptr;
  char message[64];
  EXPECT_EQ(te_rt_plan_load(nullptr, 8, &plan, message, sizeof(message)),
            TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(te_rt_plan_load(message, 8, nullptr, message, sizeof(message)),
            TE_RT_INVALID_ARGUMENT);
  // The message is cut to the room that there is.
  EXPECT_EQ(te_rt_plan_load(message, 0, &plan, message, 5), TE_RT_INVALID_PLAN);
  EXPECT_STREQ(message, "plan");
}

} // namespace
