//===- ExecDriver.cpp - te-exec from plan to results ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArrayFile.h"
#include "ExecSupport.h"
#include "PlanExample.h"
#include "Run.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace te::exec;
using example::Builder;
using te::plan::Direction;
using te::plan::DType;
using te::plan::Init;
using te::plan::Space;

namespace {
constexpr uint64_t experts = 2, rows = 4, cols = 8;

void addMembers(Builder &builder, const std::string &prefix) {
  for (uint64_t e = 0; e < experts; ++e) {
    auto member = std::make_unique<te::plan::MemberT>();
    member->name = prefix + "." + std::to_string(e);
    builder.program().arguments.back()->members.push_back(std::move(member));
  }
}

/// A state `a` whose next value is state `b`, and the other way round.
void addStates(Builder &b) {
  uint32_t a = b.addArgument("a", Direction::In, {5});
  b.program().arguments.back()->next = "a_next";
  uint32_t other = b.addArgument("b", Direction::In, {5});
  b.program().arguments.back()->next = "b_next";
  uint32_t aNext = b.addArgument("a_next", Direction::Out, {5});
  uint32_t bNext = b.addArgument("b_next", Direction::Out, {5});
  b.addCall(b.program().steps, "copy", {{a}, {bNext}});
  b.addCall(b.program().steps, "copy", {{other}, {aNext}});
}

/// dw.e = w.e for each expert, each an argument of its own.
Builder naivePlan() {
  Builder b;
  auto setMember = [&](const char *group, uint64_t e) {
    te::plan::ArgumentT &argument = *b.program().arguments.back();
    argument.group = group;
    argument.group_index = static_cast<uint32_t>(e);
  };
  for (uint64_t e = 0; e < experts; ++e) {
    std::string suffix = "." + std::to_string(e);
    uint32_t w =
        b.addArgument("w" + suffix, Direction::In, {rows, cols}, DType::BF16);
    setMember("w", e);
    uint32_t dw =
        b.addArgument("dw" + suffix, Direction::Out, {rows, cols}, DType::BF16);
    setMember("dw", e);
    b.addCall(b.program().steps, "copy", {{w}, {dw}});
  }
  addStates(b);
  return b;
}

/// The same with both packed, and a loop over the experts.
Builder packedPlan() {
  Builder b;
  b.addArgument("w", Direction::In, {experts, rows, cols}, DType::BF16);
  addMembers(b, "w");
  b.addArgument("dw", Direction::Out, {experts, rows, cols}, DType::BF16);
  addMembers(b, "dw");
  uint64_t stride = rows * cols * 2;
  uint32_t w =
      b.addTensor(Space::Argument, 0, 0, {rows, cols}, {stride}, DType::BF16);
  uint32_t dw =
      b.addTensor(Space::Argument, 1, 0, {rows, cols}, {stride}, DType::BF16);
  te::plan::LoopT &loop = b.addLoop(b.program().steps, experts);
  b.addCall(loop.body, "copy", {{w}, {dw}});
  addStates(b);
  return b;
}

/// Tokens of `k` choices among four experts, with room for `capacity` rows.
Builder routingPlan(int64_t capacity, int64_t alignment = 1) {
  Builder b;
  uint32_t indices =
      b.addArgument("indices", Direction::In, {6, 2}, DType::I32);
  b.program().arguments.back()->init = Init::Routing;
  b.program().arguments.back()->num_experts = 4;
  uint32_t rowMap =
      b.addArgument("row_map", Direction::Out, {6, 2}, DType::I32);
  uint32_t counts = b.addArgument("counts", Direction::Out, {4}, DType::I32);
  uint32_t offsets = b.addArgument("offsets", Direction::Out, {5}, DType::I32);
  b.addCall(b.program().steps, "routing_map",
            {{indices}, {rowMap}, {counts}, {offsets}}, {alignment, capacity});
  return b;
}

std::string bytesOf(const Builder &builder) {
  example::Bytes bytes = example::pack(builder.plan);
  return {bytes.begin(), bytes.end()};
}

class Driver : public TemporaryDirectory {
protected:
  Driver() {
    options.planName = "in.plan";
    options.naiveName = "naive.plan";
  }
  int run(const std::string &plan,
          std::optional<std::string_view> naive = std::nullopt) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int status = te::exec::run(options, plan, naive);
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return status;
  }
  /// Expects exit status 1 after one line with `part` in it.
  void expectError(const std::string &plan, const std::string &part) {
    EXPECT_EQ(run(plan), 1);
    EXPECT_EQ(err.rfind("te-exec: error: ", 0), 0u) << err;
    EXPECT_PRED_FORMAT2(testing::IsSubstring, part, err);
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    EXPECT_EQ(out, "");
  }
  /// The data of result `name` as it was written.
  std::string result(const std::string &name,
                     const std::string &directory = "out") {
    std::string file = directory + "/" + name + ".npy";
    ArrayFile array = findNpy(path(file));
    return read(file).substr(static_cast<size_t>(array.offset));
  }

  Options options;
  std::string out, err;
};

TEST_F(Driver, PackedAndSeparateParametersSeeTheSameData) {
  std::string naive = bytesOf(naivePlan());
  EXPECT_EQ(run(bytesOf(packedPlan()), naive), 0) << err << out;
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "dw      2 x bf16[4, 8]  exact",
                      out);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "all within bounds", out);
  // And the other way round, over steps and ranks.
  options.steps = 3;
  options.ranks = 2;
  std::string packed = bytesOf(packedPlan());
  EXPECT_EQ(run(naive, packed), 0) << err << out;
}

TEST_F(Driver, ADifferenceIsAMiss) {
  Builder wrong = packedPlan();
  wrong.addCall(wrong.program().steps, "copy", {{0}, {1}});
  // One more call, of element 5 of the second member.
  uint32_t element = wrong.addTensor(Space::Argument, 1, 2 * (32 + 8 + 5), {1},
                                     {}, DType::BF16);
  wrong.addCall(wrong.program().steps, "fill", {{element}}, {}, {100.0});
  std::string naive = bytesOf(naivePlan());
  EXPECT_EQ(run(bytesOf(wrong), naive), 1);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "MISS: dw.1[1, 5]", out);
  EXPECT_EQ(err, "");
}

TEST_F(Driver, AResultNotWrittenIsAMiss) {
  Builder lazy = packedPlan();
  lazy.program().steps.erase(lazy.program().steps.begin());
  std::string naive = bytesOf(naivePlan());
  EXPECT_EQ(run(bytesOf(lazy), naive), 1);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "MISS: dw.", out);
}

TEST_F(Driver, AMissingResultIsAMiss) {
  std::string naive = bytesOf(naivePlan());
  EXPECT_EQ(run(bytesOf(routingPlan(12)), naive), 1);
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "dw.0 is missing in the program",
                      out);
}

TEST_F(Driver, AnInputOfTwoTypesIsRefused) {
  Builder plan, naive;
  plan.addArgument("x", Direction::In, {3, 4});
  naive.addArgument("x", Direction::In, {4, 3});
  std::string bytes = bytesOf(naive);
  EXPECT_EQ(run(bytesOf(plan), bytes), 1);
  EXPECT_EQ(err, "te-exec: error: naive.plan: argument x: found f32[4, 3], "
                 "wanted f32[3, 4] as in in.plan\n");
}

TEST_F(Driver, StatesTakeTheirNextValues) {
  options.outputDirectory = path("out");
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  std::string a = result("a_next"), b = result("b_next");
  EXPECT_NE(a, b);
  options.steps = 2;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_EQ(result("a_next"), b);
  EXPECT_EQ(result("b_next"), a);
}

TEST_F(Driver, RanksHaveTheirOwnData) {
  options.outputDirectory = path("out");
  options.ranks = 3;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_NE(result("rank0/dw"), result("rank1/dw"));
  std::string first = result("rank0/dw");
  options.ranks = 1;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_EQ(result("dw"), first);
  options.seed = 1;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_NE(result("dw"), first);
  // Nothing but the results is left.
  for (auto &entry : std::filesystem::directory_iterator(path("out")))
    EXPECT_TRUE(entry.is_directory() || entry.path().extension() == ".npy")
        << entry;
}

TEST_F(Driver, InputsByNameMemberAndGroup) {
  std::string pattern(experts * rows * cols * 2, '\0');
  for (size_t i = 0; i < pattern.size(); ++i)
    pattern[i] = static_cast<char>(i % 61);
  std::string half = pattern.substr(pattern.size() / 2);
  writeNpy(path("all.npy"), {TE_RT_BF16, {experts, rows, cols}},
           pattern.data());
  writeNpy(path("one.npy"), {TE_RT_BF16, {rows, cols}}, half.data());
  options.outputDirectory = path("out");

  options.inputs = {"w=" + path("all.npy")};
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_EQ(result("dw"), pattern);
  ASSERT_EQ(run(bytesOf(naivePlan())), 0) << err; // the group of w.0, w.1
  EXPECT_EQ(result("dw.1"), half);

  options.inputs = {"w.1=" + path("one.npy")};
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  EXPECT_EQ(result("dw").substr(half.size()), half);
  EXPECT_NE(result("dw"), pattern);
}

/// Whatever form the plan has.
TEST_F(Driver, OutputForms) {
  std::string pattern(experts * rows * cols * 2, '\0');
  for (size_t i = 0; i < pattern.size(); ++i)
    pattern[i] = static_cast<char>(i % 61);
  writeNpy(path("all.npy"), {TE_RT_BF16, {experts, rows, cols}},
           pattern.data());
  options.inputs = {"w=" + path("all.npy")};
  for (const std::string &plan :
       {bytesOf(packedPlan()), bytesOf(naivePlan())}) {
    options.outputDirectory = path("packed");
    options.outputForm = Options::OutputForm::Packed;
    ASSERT_EQ(run(plan), 0) << err;
    EXPECT_EQ(findNpy(path("packed/dw.npy")).shape,
              (std::vector<int64_t>{experts, rows, cols}));
    EXPECT_EQ(result("dw", "packed"), pattern);
    EXPECT_FALSE(std::filesystem::exists(path("packed/dw.0.npy")));

    options.outputDirectory = path("members");
    options.outputForm = Options::OutputForm::Members;
    ASSERT_EQ(run(plan), 0) << err;
    EXPECT_EQ(findNpy(path("members/dw.1.npy")).shape,
              (std::vector<int64_t>{rows, cols}));
    EXPECT_EQ(result("dw.1", "members"), pattern.substr(pattern.size() / 2));
    EXPECT_FALSE(std::filesystem::exists(path("members/dw.npy")));
    std::filesystem::remove_all(path("packed"));
    std::filesystem::remove_all(path("members"));
  }
}

TEST_F(Driver, RefusesInputs) {
  std::string plan = bytesOf(packedPlan());
  std::string zeros(experts * rows * cols * 4, '\0');
  writeNpy(path("f32.npy"), {TE_RT_F32, {experts, rows, cols}}, zeros.data());
  writeNpy(path("all.npy"), {TE_RT_BF16, {experts, rows, cols}}, zeros.data());
  writeNpy(path("one.npy"), {TE_RT_BF16, {rows, cols}}, zeros.data());
  auto refuse = [&](std::vector<std::string> inputs, const std::string &part) {
    options.inputs = std::move(inputs);
    expectError(plan, part);
  };
  refuse({"w=" + path("f32.npy")},
         "f32.npy: found <f4[2, 4, 8], wanted bf16[2, 4, 8] for w");
  refuse({"w=" + path("one.npy")}, "found <u2[4, 8], wanted bf16[2, 4, 8]");
  refuse({"v=" + path("one.npy")},
         "found no input 'v', wanted one of: w, a, b");
  refuse({"dw=" + path("all.npy")}, "dw is an output of in.plan");
  refuse({"w=" + path("all.npy"), "w.1=" + path("one.npy")},
         "w.1 is given twice");
  refuse({"w"}, "wanted NAME=FILE.npy");
  refuse({"w=" + path("none.npy")}, "cannot be opened");
}

TEST_F(Driver, RefusesPlansAndOptions) {
  std::string plan = bytesOf(packedPlan());
  expectError(plan.substr(0, plan.size() / 2), "in.plan: ");
  expectError("", "in.plan: ");
  options.entry = "forward";
  expectError(plan, "found no program 'forward', wanted one of: step");
  options.entry = "";
  options.graph = true;
  expectError(plan, "wanted --backend=cuda");
  options.graph = false;
  options.outputDirectory = write("file", "");
  expectError(plan, "file: ");
  options.outputDirectory = "/proc/none";
  expectError(plan, "/proc/none: directory cannot be made");
  options.outputDirectory = "";
  options.trace = path("none/trace.json");
  expectError(plan, "trace.json: cannot be written");
}

TEST_F(Driver, RanksMustFitTheProgram) {
  Builder b = packedPlan();
  b.program().ranks = 2;
  options.ranks = 3;
  expectError(bytesOf(b), "--ranks: found 3, wanted a multiple of the 2 ranks");
  options.ranks = 4;
  EXPECT_EQ(run(bytesOf(b)), 0) << err;
}

TEST_F(Driver, MoreMemoryThanThereIsIsRefused) {
  Builder b = packedPlan();
  b.program().arena_bytes = uint64_t{1} << 44;
  expectError(bytesOf(b), "out of memory: 1 ranks want 16.0 TiB");
}

TEST_F(Driver, OverflowIsAnError) {
  EXPECT_EQ(run(bytesOf(routingPlan(12))), 0) << err;
  expectError(bytesOf(routingPlan(11)),
              "routing overflowed its capacity on rank 0 in step 1");
}

/// Where one rank gives up, the other one must not wait for it for ever.
TEST_F(Driver, AFailingRankEndsTheOthers) {
  int passed = 0, failed = 0;
  for (int64_t capacity = 12; capacity <= 24; ++capacity) {
    Builder b = routingPlan(capacity, /*alignment=*/4);
    uint32_t handle =
        b.addArgument("handle", Direction::Out, {6, 2}, DType::I32);
    uint32_t received =
        b.addArgument("received", Direction::Out, {12, 2}, DType::I32);
    b.addCall(b.program().steps, "dispatch_map", {{0}, {handle}, {received}},
              {2, 2});
    b.program().ranks = 2;
    options.steps = 2;
    options.seed = static_cast<uint64_t>(capacity);
    int status = run(bytesOf(b));
    ++(status ? failed : passed);
    if (status)
      EXPECT_PRED_FORMAT2(testing::IsSubstring, "routing overflowed", err);
  }
  EXPECT_GT(passed, 0);
  EXPECT_GT(failed, 0);
}

TEST_F(Driver, ProfileSumsOverIterationsAndRanks) {
  options.profile = true;
  options.ranks = 2;
  options.steps = 3;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  // The copy in the loop: 2 experts x 2 ranks x the 2 steps behind the first.
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "moe.mlir:1:3", out);
  EXPECT_TRUE(out.find(" 8         8 ") != std::string::npos) << out;
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "100.0%", out);
}

TEST_F(Driver, TraceHasAnEventForEachCall) {
  options.trace = path("trace.json");
  options.ranks = 2;
  ASSERT_EQ(run(bytesOf(packedPlan())), 0) << err;
  nlohmann::json trace = nlohmann::json::parse(read("trace.json"));
  int calls[2] = {0, 0};
  for (auto &event : trace["traceEvents"])
    if (event["ph"] == "X") {
      EXPECT_EQ(event["name"], "copy");
      EXPECT_GE(event["dur"].get<double>(), 0);
      ++calls[event["tid"].get<int>()];
    }
  EXPECT_EQ(calls[0], 4);
  EXPECT_EQ(calls[1], 4);
}

int parse(Options &options, std::vector<const char *> arguments) {
  CLI::App app;
  addOptions(app, options);
  arguments.insert(arguments.begin(), "te-exec");
  int status = 0;
  testing::internal::CaptureStderr();
  parseCommandLine(app, static_cast<int>(arguments.size()),
                   const_cast<char **>(arguments.data()), "te-exec", status);
  std::string err = testing::internal::GetCapturedStderr();
  EXPECT_EQ(status != 0, err.rfind("te-exec: error: ", 0) == 0) << err;
  EXPECT_LE(std::count(err.begin(), err.end(), '\n'), 1) << err;
  return status;
}

TEST(ExecOptions, Parse) {
  Options options;
  EXPECT_EQ(parse(options, {"--seed=7", "--input", "a=x.npy", "--input=b=y.npy",
                            "--routing=zipf:1.5", "--steps=3", "--ranks=4",
                            "--profile"}),
            0);
  EXPECT_EQ(options.seed, 7u);
  EXPECT_EQ(options.inputs, (std::vector<std::string>{"a=x.npy", "b=y.npy"}));
  EXPECT_EQ(options.routing.kind, Routing::Zipf);
  EXPECT_EQ(options.routing.exponent, 1.5);
  EXPECT_EQ(options.steps, 3);
  EXPECT_TRUE(options.profile);
}

TEST(ExecOptions, RefuseInOneLine) {
  for (const char *bad :
       {"--steps=0", "--ranks=-1", "--backend=tpu", "--routing=best",
        "--seed=x", "--nothing", "stray", "--threads=", "--input"}) {
    Options options;
    EXPECT_EQ(parse(options, {bad}), 1) << bad;
  }
}
} // namespace
