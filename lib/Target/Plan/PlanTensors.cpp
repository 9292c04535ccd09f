//===- PlanTensors.cpp - where the buffers of a program lie ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanTensors.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::te;
namespace plan = ::te::plan;
using te_rt::BufferType;

static std::optional<plan::DType> getDType(Type type) {
  return llvm::TypeSwitch<Type, std::optional<plan::DType>>(type)
      .Case<Float32Type>([](Type) { return plan::DType::F32; })
      .Case<BFloat16Type>([](Type) { return plan::DType::BF16; })
      .Case<Float16Type>([](Type) { return plan::DType::F16; })
      .Case<Float8E4M3FNType>([](Type) { return plan::DType::F8E4M3; })
      .Case<Float8E5M2Type>([](Type) { return plan::DType::F8E5M2; })
      .Case<Float8E8M0FNUType>([](Type) { return plan::DType::F8E8M0; })
      .Case<Float4E2M1FNType>([](Type) { return plan::DType::F4E2M1; })
      .Case<IntegerType>([](IntegerType type) -> std::optional<plan::DType> {
        switch (type.getWidth()) {
        case 8:
          return plan::DType::U8;
        case 32:
          return plan::DType::I32;
        case 64:
          return plan::DType::I64;
        default:
          return std::nullopt;
        }
      })
      .Default([](Type) { return std::nullopt; });
}

/// The number of loops around `op`.
static unsigned getDepth(Operation *op) {
  unsigned depth = 0;
  while ((op = op->getParentOfType<scf::ForOp>()))
    ++depth;
  return depth;
}

FailureOr<uint32_t> PlanTensors::getConstant(te_rt::ConstantOp op) {
  auto [found, isNew] =
      memory.constants.insert({op.getValue(), memory.constants.size()});
  if (!isNew)
    return found->second;
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense)
    return op.emitOpError("must be dense to be written to a plan, but got ")
           << op.getValue();
  static_assert(llvm::endianness::native == llvm::endianness::little,
                "a plan is little-endian, as dense attributes are here");
  ArrayRef<char> raw = dense.getRawData();
  std::vector<uint8_t> bytes(raw.begin(), raw.end());
  size_t wanted = op.getBuffer().getType().getBytes();
  if (dense.isSplat() && !raw.empty()) {
    bytes.resize(wanted);
    for (size_t i = 0; i < wanted; ++i)
      bytes[i] = raw[i % raw.size()];
  }
  // The alignment that the schema promises of Constant.data.
  memory.builder.ForceVectorAlignment(bytes.size(), sizeof(uint8_t), 32);
  auto data = memory.builder.CreateVector(bytes);
  memory.constantData.push_back(plan::CreateConstant(memory.builder, data));
  return found->second;
}

FailureOr<PlanTensors::Place> PlanTensors::getPlace(Value buffer) {
  if (auto argument = dyn_cast<BlockArgument>(buffer))
    return Place{plan::Space::Argument, argument.getArgNumber(), 0, {}};
  Operation *def = buffer.getDefiningOp();
  if (auto alloc = dyn_cast<te_rt::AllocOp>(def)) {
    if (!alloc.getOffset())
      return alloc.emitOpError("has no place in the arena: run te-plan-memory");
    return Place{plan::Space::Arena, 0, *alloc.getOffset(), {}};
  }
  if (auto workspace = dyn_cast<te_rt::WorkspaceOp>(def)) {
    auto entry =
        memory.workspaces.insert({workspace.getGlobalAttr().getAttr(),
                                  workspace.getBuffer().getType().getBytes()});
    return Place{plan::Space::Workspace,
                 uint32_t(entry.first - memory.workspaces.begin()),
                 0,
                 {}};
  }
  if (auto constant = dyn_cast<te_rt::ConstantOp>(def)) {
    FailureOr<uint32_t> index = getConstant(constant);
    if (failed(index))
      return failure();
    return Place{plan::Space::Constant, *index, 0, {}};
  }
  auto member = cast<te_rt::MemberOp>(def);
  FailureOr<Place> place = getPlace(member.getPacked());
  if (failed(place))
    return failure();
  uint64_t bytes = member.getBuffer().getType().getBytes();
  auto [start, step] = member.getStartAndStep();
  place->offset += start * bytes;
  if (Value counter = member.getDynamicIndex()) {
    Operation *loop = cast<BlockArgument>(counter).getOwner()->getParentOp();
    unsigned depth = getDepth(loop);
    if (place->strides.size() <= depth)
      place->strides.resize(depth + 1);
    place->strides[depth] += step * bytes;
  }
  return place;
}

FailureOr<uint32_t> PlanTensors::getTensor(Value buffer) {
  auto numbered = numbers.find(buffer);
  if (numbered != numbers.end())
    return numbered->second;
  FailureOr<Place> place = getPlace(buffer);
  if (failed(place))
    return failure();
  RankedTensorType type = cast<BufferType>(buffer.getType()).getTensor();
  auto [found, isNew] =
      known.insert({{unsigned(place->space), place->index, place->offset,
                     place->strides, type.getAsOpaquePointer()},
                    uint32_t(tensors.size())});
  numbers[buffer] = found->second;
  if (!isNew)
    return found->second;

  std::optional<plan::DType> dtype = getDType(type.getElementType());
  if (!dtype)
    return emitError(buffer.getLoc())
           << "elements of type " << type.getElementType()
           << " have no form in a plan, in " << buffer.getType();
  constexpr int64_t maxRank = 4; // TE_RT_MAX_RANK
  if (type.getRank() > maxRank)
    return emitError(buffer.getLoc())
           << "a plan holds tensors of rank " << maxRank << " at most, but got "
           << buffer.getType();
  auto &builder = memory.builder;
  auto strides = place->strides.empty()
                     ? flatbuffers::Offset<flatbuffers::Vector<uint64_t>>()
                     : builder.CreateVector(place->strides);
  auto shape = builder.CreateVector(
      std::vector<uint64_t>(type.getShape().begin(), type.getShape().end()));
  plan::TensorBuilder tensor(builder);
  tensor.add_space(place->space);
  tensor.add_index(place->index);
  tensor.add_offset(place->offset);
  tensor.add_loop_strides(strides);
  tensor.add_dtype(*dtype);
  tensor.add_shape(shape);
  if (ScalesAttr scales = getScalesEncoding(type)) {
    tensor.add_layout(plan::ScaleLayout(unsigned(scales.getLayout())));
    tensor.add_block_rows(scales.getRows());
    tensor.add_block_cols(scales.getCols());
    // A vector of E scales tells the groups by its shape.
    if (!scales.isTensor())
      tensor.add_groups(scales.getGroups());
  }
  tensor.add_on_host(isOnHost(type));
  tensors.push_back(tensor.Finish());
  return found->second;
}
