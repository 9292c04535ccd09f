//===- PlanTensors.h - where the buffers of a program lie -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_TARGET_PLAN_PLANTENSORS_H
#define TE_LIB_TARGET_PLAN_PLANTENSORS_H

#include "te/Dialect/TERuntime/IR/TERuntime.h"

#include "llvm/ADT/MapVector.h"
#include "plan_generated.h"

#include <map>
#include <tuple>

namespace mlir::te {

/// Constants and workspaces, which all programs of a plan share.
struct PlanMemory {
  flatbuffers::FlatBufferBuilder &builder;
  llvm::MapVector<Attribute, unsigned> constants;
  std::vector<flatbuffers::Offset<::te::plan::Constant>> constantData;
  llvm::MapVector<StringAttr, int64_t> workspaces; // name, bytes
};

/// The tensors of one program, each once.
class PlanTensors {
public:
  explicit PlanTensors(PlanMemory &memory) : memory(memory) {}

  /// The number of the tensor that `buffer` is. Emits an error and fails where
  /// its type has no form in a plan, or it has no place yet.
  FailureOr<uint32_t> getTensor(Value buffer);

  std::vector<flatbuffers::Offset<::te::plan::Tensor>> tensors;

private:
  struct Place {
    ::te::plan::Space space;
    uint32_t index;
    uint64_t offset;
    std::vector<uint64_t> strides;
  };
  FailureOr<Place> getPlace(Value buffer);
  FailureOr<uint32_t> getConstant(te_rt::ConstantOp op);

  PlanMemory &memory;
  llvm::DenseMap<Value, uint32_t> numbers;
  std::map<std::tuple<unsigned, uint32_t, uint64_t, std::vector<uint64_t>,
                      const void *>,
           uint32_t>
      known;
};

} // namespace mlir::te

#endif // TE_LIB_TARGET_PLAN_PLANTENSORS_H
