//===- OpenStep.cpp - a step whose signature grows with its body ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpenStep.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::te;

OpenStep::OpenStep(ModuleOp module, int64_t ranks, int64_t microbatches)
    : b(module.getContext()), microbatches(microbatches),
      arguments{b.getContext(), {}, {}}, results{b.getContext(), {}, {}} {
  b.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(
      b, loc("step"), "step", b.getFunctionType({}, {}),
      getRanksAttribute(b, ranks));
  b.setInsertionPointToEnd(function.addEntryBlock());
}

NamedAttribute OpenStep::init(InitKind kind, FloatAttr deviation,
                              int64_t experts) {
  return b.getNamedAttr(
      TEDialect::kInitAttr,
      InitAttr::get(b.getContext(), kind, deviation, experts));
}

Value OpenStep::zeros(RankedTensorType type) {
  return arith::ConstantOp::create(b, loc("zeros"), b.getZeroAttr(type));
}

Value OpenStep::addArgument(const Twine &name, Type type,
                            ArrayRef<NamedAttribute> attributes) {
  arguments.add(name, type, attributes);
  return function.getBody().addArgument(type, loc(name));
}

void OpenStep::addResult(const Twine &name, Value value,
                         ArrayRef<NamedAttribute> attributes) {
  results.add(name, value.getType(), attributes);
  returned.push_back(value);
}

Value OpenStep::addMicrobatchArgument(const Twine &name, RankedTensorType type,
                                      ArrayRef<NamedAttribute> attributes) {
  Value all = addArgument(name, MemberOp::getPackedType(type, microbatches),
                          attributes);
  return MemberOp::create(b, loc(name), all, index);
}

void OpenStep::addMicrobatchResult(const Twine &name, Value value) {
  auto type = MemberOp::getPackedType(cast<RankedTensorType>(value.getType()),
                                      microbatches);
  OpBuilder outer = OpBuilder::atBlockEnd(&function.getBody().front());
  Value all = tensor::EmptyOp::create(outer, loc(name), type, ValueRange());
  microbatchResults.push_back({name.str(), all});
  MicrobatchResult &result = microbatchResults.back();
  carry(result.all);
  result.all = InsertMemberOp::create(b, loc(name), value, result.all, index);
}

void OpenStep::beginLoop() {
  body = std::make_unique<Block>();
  index = body->addArgument(b.getIndexType(), loc("microbatches"));
  b.setInsertionPointToEnd(body.get());
}

void OpenStep::carry(Value &value) {
  carried.push_back({&value, value});
  value = body->addArgument(value.getType(), value.getLoc());
}

void OpenStep::endLoop(bool unrolled) {
  b.setInsertionPointToEnd(&function.getBody().front());
  SmallVector<Value> inits, yields;
  for (const Carried &each : carried) {
    inits.push_back(each.init);
    yields.push_back(*each.value);
  }
  if (unrolled)
    unroll(inits, yields);
  else
    settle(inits, yields);
  body.reset();
  for (const MicrobatchResult &result : microbatchResults)
    addResult(result.name, result.all);
}

void OpenStep::unroll(ArrayRef<Value> inits, ArrayRef<Value> yields) {
  SmallVector<Value> values(inits);
  for (int64_t i = 0; i < microbatches; ++i) {
    IRMapping map;
    map.map(body->getArguments().drop_front(), values);
    for (Operation &op : *body) {
      // Only these know the counter.
      if (auto member = dyn_cast<MemberOp>(op);
          member && member.getDynamicIndex())
        map.map(member.getOutput(),
                MemberOp::create(b, op.getLoc(),
                                 map.lookupOrDefault(member.getPacked()), i)
                    .getOutput());
      else if (auto insert = dyn_cast<InsertMemberOp>(op);
               insert && insert.getDynamicIndex())
        map.map(insert.getOutput(),
                InsertMemberOp::create(
                    b, op.getLoc(), map.lookupOrDefault(insert.getValue()),
                    map.lookupOrDefault(insert.getPacked()), i)
                    .getOutput());
      else
        b.clone(op, map);
    }
    for (auto [value, yield] : llvm::zip_equal(values, yields))
      value = map.lookupOrDefault(yield);
  }
  for (auto [each, value] : llvm::zip_equal(carried, values))
    *each.value = value;
  // Behind their users, which go with them.
  while (!body->empty())
    body->back().erase();
}

void OpenStep::settle(ArrayRef<Value> inits, ArrayRef<Value> yields) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc("microbatches"), value);
  };
  Value lower = constant(0), upper = constant(microbatches), one = constant(1);
  auto loop =
      scf::ForOp::create(b, loc("microbatches"), lower, upper, one, inits);
  Block *into = loop.getBody();
  if (!into->empty())
    into->back().erase(); // a yield of nothing, where nothing is carried
  b.setInsertionPointToEnd(body.get());
  scf::YieldOp::create(b, loc("microbatches"), yields);
  b.setInsertionPointAfter(loop);
  for (auto [from, to] :
       llvm::zip_equal(body->getArguments(), into->getArguments()))
    from.replaceAllUsesWith(to);
  into->getOperations().splice(into->end(), body->getOperations());
  for (auto [each, result] : llvm::zip_equal(carried, loop.getResults()))
    *each.value = result;
}

void OpenStep::finish() {
  func::ReturnOp::create(b, loc("step"), returned);
  function.setFunctionType(b.getFunctionType(arguments.types, results.types));
  function.setAllArgAttrs(arguments.attributes);
  function.setAllResultAttrs(results.attributes);
}
