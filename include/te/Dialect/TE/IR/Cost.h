//===- Cost.h - what an op costs, and its call of the runtime ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_COST_H
#define TE_DIALECT_TE_IR_COST_H

#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Types.h"

namespace mlir::te {

/// What a cost report sorts ops into, in the order in which it prints them.
enum class CostClass {
  WeightQuantize,
  ActivationQuantize,
  Dequantize,
  ScaleConversion,
  Swizzle,
  Transpose,
  UpdateScales,
  Offsets,
  RoutingMap,
  Permute,
  Pad,
  Activation,
  Gemm,
  Communication,
  Copy,
  Other,
};
constexpr unsigned kNumCostClasses = unsigned(CostClass::Other) + 1;

/// "weight_quantize" and so on.
StringRef stringifyCostClass(CostClass costClass);

/// What one execution of an op costs on the device.
struct OpCost {
  CostClass costClass = CostClass::Other;
  /// Kernels and memsets.
  int64_t launches = 0;
  /// Read and written in device memory.
  int64_t bytes = 0;
  /// Multiplications and additions of matrix products.
  int64_t flops = 0;
  int64_t hostSyncs = 0;
  /// What a product multiplies: decides its rate. Null without flops.
  Type product;
};

class TargetAttr;

/// The least time that the rates of `target` allow one execution.
double getRooflineSeconds(const OpCost &cost, TargetAttr target);

/// A call of the runtime, as far as the time it takes depends on it.
struct CallTypes {
  struct Slot {
    SmallVector<RankedTensorType> types;
    bool isOutput;
    int64_t alignment = 256; ///< bytes that all of them begin at a multiple of
  };
  StringRef function;
  SmallVector<Slot> slots;
  SmallVector<int64_t> scalars; ///< those that are integers
  StringRef way;                ///< of a product: as chosen, or empty
};

/// A way in which the runtime may make a product (runtime/schema/product_ways.h).
struct ProductWay {
  StringRef name;
  std::string whyNot;  ///< empty if it takes the product
  bool readsOnHost;    ///< the host waits for offsets that lie on the device
  int64_t launches;
  double seconds;      ///< as measured ones take; 0 where nothing was measured
};

/// The ways of a call, in the order in which they are tried; none if the call is no
/// product. Of groups whose extents only a run knows, each counts with an equal share
/// of the capacity.
SmallVector<ProductWay> getProductWays(const OpCost &cost, const CallTypes &call,
                                       TargetAttr target);

/// What one execution is predicted to take by the kernels of `target`, from measured
/// ones (Prediction.cpp); 0 where nothing was measured.
double getPredictedSeconds(const OpCost &cost, const CallTypes &call,
                           TargetAttr target);
/// The same of the call that `op` becomes; 0 too where it becomes none.
double getPredictedSeconds(Operation *op);

/// Bytes of a value of this tensor type; 0 for another type or a dynamic one.
int64_t getBytes(Type type);

/// The cost of an op that launches one kernel, reads its operands (not those
/// that it only overwrites) and writes its results; a member op its share.
OpCost getMemoryBoundCost(Operation *op, CostClass costClass);

/// WeightQuantize if `input` is, through views, an argument of the function
/// with te.parameter, else ActivationQuantize.
CostClass getQuantizeClass(Value input);

/// How often `op` runs in one call of its function: the product of the trip
/// counts of the loops around it, or nothing where one is not a constant.
std::optional<int64_t> getNumExecutions(Operation *op);

/// One argument of a function of the runtime: no value (it is absent), one, or
/// those of a list.
struct RuntimeSlot {
  SmallVector<Value> values;
  bool isOutput = false;
  /// Of an output: the slot whose entries its own may be the same memory as.
  std::optional<unsigned> inPlaceOf = std::nullopt;

  /// This output, which may be in place of slot `input`.
  RuntimeSlot orInPlaceOf(unsigned input) const {
    RuntimeSlot slot = *this;
    slot.inPlaceOf = input;
    return slot;
  }

  static RuntimeSlot in(Value value) {
    return value ? in(ValueRange(value)) : in(ValueRange());
  }
  static RuntimeSlot in(ValueRange values) {
    return {SmallVector<Value>(values), false, std::nullopt};
  }
  static RuntimeSlot out(Value value) {
    return value ? out(ValueRange(value)) : out(ValueRange());
  }
  static RuntimeSlot out(ValueRange values) {
    return {SmallVector<Value>(values), true, std::nullopt};
  }
};

/// A call of te_rt_<function>: its slots in order, then its scalars in order
/// (integer attributes of 64 bits, float attributes of 64 bits).
struct RuntimeCall {
  StringRef function;
  SmallVector<RuntimeSlot> slots;
  SmallVector<Attribute> scalars;
};

} // namespace mlir::te

#endif // TE_DIALECT_TE_IR_COST_H
