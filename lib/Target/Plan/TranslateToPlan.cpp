//===- TranslateToPlan.cpp - te_rt to a plan ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Target/Plan/Plan.h"

#include "PlanTensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::te;
namespace plan = ::te::plan;
using te_rt::TERuntimeDialect;

/// Names from a te.members attribute; none where there is none.
static std::vector<flatbuffers::Offset<plan::Member>>
writeMembers(flatbuffers::FlatBufferBuilder &builder, Attribute names) {
  std::vector<flatbuffers::Offset<plan::Member>> members;
  if (auto list = dyn_cast_or_null<ArrayAttr>(names))
    for (auto member : list.getAsRange<StringAttr>())
      members.push_back(plan::CreateMemberDirect(builder, member.data()));
  return members;
}

/// The version of the schema that this writes.
static constexpr uint32_t kPlanVersion = 2;

namespace {
/// Strings that are told by number.
struct Strings {
  uint32_t operator[](StringRef text) {
    return numbers.insert({text.str(), numbers.size()}).first->second;
  }
  std::vector<std::string> take() {
    std::vector<std::string> list;
    for (auto &[text, number] : numbers)
      list.push_back(text);
    return list;
  }
  llvm::MapVector<std::string, uint32_t, std::map<std::string, unsigned>>
      numbers;
};

class PlanWriter {
public:
  explicit PlanWriter(ModuleOp module) : module(module) {}
  LogicalResult write(std::string &bytes);

private:
  template <typename T> using Offset = flatbuffers::Offset<T>;
  template <typename T> using Vector = std::vector<flatbuffers::Offset<T>>;

  FailureOr<Offset<plan::Program>> writeProgram(func::FuncOp function);
  FailureOr<Offset<plan::Argument>>
  writeArgument(func::FuncOp function, unsigned number, PlanTensors &tensors);
  LogicalResult writeBody(Block &block, PlanTensors &tensors,
                          Vector<plan::Step> &steps);
  FailureOr<Offset<plan::Call>> writeCall(te_rt::CallOp call,
                                          PlanTensors &tensors);

  ModuleOp module;
  flatbuffers::FlatBufferBuilder builder;
  PlanMemory memory{builder, {}, {}, {}};
  Strings functions, locations, costClasses;
};
} // namespace

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

/// "file:line:column", "name at file:line:column" or "name".
static std::string describe(Location location) {
  if (auto file = dyn_cast<FileLineColRange>(location))
    return (file.getFilename().getValue() + ":" + Twine(file.getStartLine()) +
            ":" + Twine(file.getStartColumn()))
        .str();
  if (auto name = dyn_cast<NameLoc>(location)) {
    if (isa<UnknownLoc>(name.getChildLoc()))
      return name.getName().str();
    return name.getName().str() + " at " + describe(name.getChildLoc());
  }
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return describe(call.getCallee());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (!isa<UnknownLoc>(part))
        return describe(part);
  return "unknown location";
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

static plan::Way getWay(te_rt::CallOp call) {
  auto name = call->getAttrOfType<StringAttr>(TERuntimeDialect::kWayAttr);
  if (name)
    for (plan::Way way : plan::EnumValuesWay())
      if (name.getValue().equals_insensitive(plan::EnumNameWay(way)))
        return way;
  return plan::Way::Unset;
}

FailureOr<flatbuffers::Offset<plan::Call>>
PlanWriter::writeCall(te_rt::CallOp call, PlanTensors &tensors) {
  Vector<plan::Slot> slots;
  for (OperandRange buffers : call.getSlots()) {
    std::vector<uint32_t> numbers;
    for (Value buffer : buffers) {
      FailureOr<uint32_t> number = tensors.getTensor(buffer);
      if (failed(number))
        return failure();
      numbers.push_back(*number);
    }
    slots.push_back(plan::CreateSlotDirect(builder, &numbers));
  }
  Vector<plan::Attribute> attributes;
  for (mlir::Attribute scalar : call.getScalars()) {
    if (auto integer = dyn_cast<IntegerAttr>(scalar))
      attributes.push_back(plan::CreateAttribute(
          builder, plan::Scalar::Int,
          plan::CreateInt(builder, integer.getInt()).Union()));
    else
      attributes.push_back(plan::CreateAttribute(
          builder, plan::Scalar::Float,
          plan::CreateFloat(builder, cast<FloatAttr>(scalar).getValueAsDouble())
              .Union()));
  }
  OpCost cost = call.getCost();
  TargetAttr target = TargetAttr::lookup(module);
  plan::Way way = getWay(call), rather = plan::Way::Unset;
  CallTypes types = te_rt::getCallTypes(call);
  double predicted = getPredictedSeconds(cost, types, target),
         ratherPredicted = 0;
  if (way == plan::Way::Groups) {
    // Which cuBLASLt a machine has is not known here; our kernel takes all that
    // its grouped matmul does.
    rather = std::exchange(way, plan::Way::Own);
    types.way = "own";
    ratherPredicted =
        std::exchange(predicted, getPredictedSeconds(cost, types, target));
    for (const ProductWay &own : getProductWays(cost, types, target))
      if (own.name == types.way)
        cost.launches = own.launches;
  }
  auto costs = plan::CreateCallCost(builder, cost.launches, cost.bytes,
                                    cost.flops, cost.hostSyncs,
                                    getRooflineSeconds(cost, target) * 1e9,
                                    predicted * 1e9, ratherPredicted * 1e9);
  return plan::CreateCallDirect(builder, functions[call.getFunction()], &slots,
                                &attributes, locations[describe(call.getLoc())],
                                costClasses[stringifyCostClass(cost.costClass)],
                                /*cost_v1=*/nullptr, costs, way, rather);
}

LogicalResult PlanWriter::writeBody(Block &block, PlanTensors &tensors,
                                    Vector<plan::Step> &steps) {
  for (Operation &op : block) {
    if (auto call = dyn_cast<te_rt::CallOp>(op)) {
      auto written = writeCall(call, tensors);
      if (failed(written))
        return failure();
      steps.push_back(
          plan::CreateStep(builder, plan::StepKind::Call, written->Union()));
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      std::optional<APInt> trips = loop.getStaticTripCount();
      if (!trips || loop.getNumResults())
        return loop.emitOpError(
            "must have constant bounds and carry nothing to "
            "be written to a plan: run te-lower first");
      Vector<plan::Step> body;
      if (failed(writeBody(*loop.getBody(), tensors, body)))
        return failure();
      steps.push_back(plan::CreateStep(
          builder, plan::StepKind::Loop,
          plan::CreateLoopDirect(builder, trips->getZExtValue(), &body)
              .Union()));
    } else if (!isa<te_rt::AllocOp, te_rt::WorkspaceOp, te_rt::ConstantOp,
                    te_rt::MemberOp, scf::YieldOp, func::ReturnOp>(op) &&
               !op.hasTrait<OpTrait::ConstantLike>()) {
      return op.emitOpError("cannot be written to a plan: run te-lower first");
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

FailureOr<flatbuffers::Offset<plan::Argument>>
PlanWriter::writeArgument(func::FuncOp function, unsigned number,
                          PlanTensors &tensors) {
  auto get = [&](StringRef name) { return function.getArgAttr(number, name); };
  auto name = dyn_cast_or_null<StringAttr>(get(TEDialect::kNameAttr));
  auto direction =
      dyn_cast_or_null<StringAttr>(get(TERuntimeDialect::kDirectionAttr));
  if (!name || !direction ||
      !isa<te_rt::BufferType>(function.getArgument(number).getType()))
    return function.emitOpError("argument ")
           << number << " must be a te_rt.buffer with te.name and "
           << TERuntimeDialect::kDirectionAttr
           << " to be written to a plan: run te-lower first";
  FailureOr<uint32_t> tensor = tensors.getTensor(function.getArgument(number));
  if (failed(tensor))
    return failure();

  Vector<plan::Member> members =
      writeMembers(builder, get(TEDialect::kMembersAttr));
  auto getText = [&](StringRef name) {
    auto text = dyn_cast_or_null<StringAttr>(get(name));
    return text ? text.str() : std::string();
  };
  std::string next = getText(TEDialect::kNextAttr);
  std::string group = getText(TEDialect::kGroupAttr);
  auto index = dyn_cast_or_null<IntegerAttr>(get(TEDialect::kMemberAttr));
  plan::Init init = plan::Init::Normal;
  double deviation = 1.0;
  int64_t experts = 0;
  if (auto given = dyn_cast_or_null<InitAttr>(get(TEDialect::kInitAttr))) {
    init = plan::Init(unsigned(given.getKind()));
    if (given.getDeviation())
      deviation = given.getDeviation().getValueAsDouble();
    experts = given.getExperts();
  }
  return plan::CreateArgumentDirect(
      builder, name.str().c_str(),
      direction == "out" ? plan::Direction::Out : plan::Direction::In, *tensor,
      members.empty() ? nullptr : &members, init, float(deviation), experts,
      next.empty() ? nullptr : next.c_str(),
      group.empty() ? nullptr : group.c_str(), index ? index.getInt() : 0);
}

FailureOr<flatbuffers::Offset<plan::Program>>
PlanWriter::writeProgram(func::FuncOp function) {
  if (function.getNumResults() || !function.getBody().hasOneBlock())
    return function.emitOpError("must have one block and no results to be "
                                "written to a plan: run te-lower first");
  PlanTensors tensors(memory);
  Vector<plan::Argument> arguments;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto argument = writeArgument(function, i, tensors);
    if (failed(argument))
      return failure();
    arguments.push_back(*argument);
  }
  Vector<plan::Step> steps;
  if (failed(writeBody(function.front(), tensors, steps)))
    return failure();
  auto getInt = [&](StringRef name, int64_t otherwise) {
    auto value = function->getAttrOfType<IntegerAttr>(name);
    return value ? value.getInt() : otherwise;
  };
  return plan::CreateProgramDirect(builder, function.getName().str().c_str(),
                                   &arguments, &tensors.tensors, &steps,
                                   getInt(TERuntimeDialect::kArenaBytesAttr, 0),
                                   getInt(TEDialect::kRanksAttr, 1));
}

LogicalResult PlanWriter::write(std::string &bytes) {
  Vector<plan::Program> programs;
  for (Operation &op : *module.getBody()) {
    if (isa<ml_program::GlobalOp>(op))
      continue;
    auto function = dyn_cast<func::FuncOp>(op);
    if (!function)
      return op.emitOpError("has no form in a plan, which holds functions "
                            "that te-lower has lowered");
    auto program = writeProgram(function);
    if (failed(program))
      return failure();
    programs.push_back(*program);
  }
  if (programs.empty())
    return module.emitError("has no function to be written to a plan");
  Vector<plan::Workspace> workspaces;
  for (auto &[name, size] : memory.workspaces) {
    Vector<plan::Member> members = writeMembers(
        builder, module.lookupSymbol(name)->getAttr(TEDialect::kMembersAttr));
    workspaces.push_back(
        plan::CreateWorkspaceDirect(builder, name.str().c_str(), size,
                                    members.empty() ? nullptr : &members));
  }
  auto makeStrings = [&](Strings &strings) {
    return builder.CreateVectorOfStrings(strings.take());
  };
  auto functionNames = makeStrings(functions);
  auto locationNames = makeStrings(locations);
  auto costNames = makeStrings(costClasses);
  auto producer = builder.CreateString("te-opt");
  auto target =
      builder.CreateString(TargetAttr::lookup(module).getChip().str());
  auto workspaceList = builder.CreateVector(workspaces);
  auto constantList = builder.CreateVector(memory.constantData);
  auto programList = builder.CreateVector(programs);
  plan::FinishPlanBuffer(
      builder, plan::CreatePlan(builder, kPlanVersion, producer, target,
                                functionNames, locationNames, costNames,
                                workspaceList, constantList, programList));
  bytes.assign(reinterpret_cast<const char *>(builder.GetBufferPointer()),
               builder.GetSize());
  return success();
}

LogicalResult mlir::te::translateToPlan(ModuleOp module, std::string &bytes) {
  return PlanWriter(module).write(bytes);
}
