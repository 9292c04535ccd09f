//===- VerifyTensors.cpp - tensors, the memory they lie in, and arguments -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>

using namespace te_rt::interp;

static_assert(int(plan::DType::F4E2M1) == TE_RT_F4E2M1 &&
                  int(plan::ScaleLayout::Swizzled) == TE_RT_SWIZZLED &&
                  int(plan::Direction::InOut) == TE_RT_INOUT &&
                  int(plan::Init::Rng) == TE_RT_INIT_RNG,
              "the schema's numbers are those of the C ABI");

/// Bytes of an element, of F4E2M1 of two; 0 for a type that does not exist.
static uint64_t elementBytes(plan::DType dtype) {
  switch (dtype) {
  case plan::DType::F8E4M3:
  case plan::DType::F8E5M2:
  case plan::DType::F8E8M0:
  case plan::DType::U8:
  case plan::DType::F4E2M1:
    return 1;
  case plan::DType::BF16:
  case plan::DType::F16:
    return 2;
  case plan::DType::F32:
  case plan::DType::I32:
    return 4;
  case plan::DType::I64:
    return 8;
  }
  return 0;
}

template <typename Enum>
static void verifyEnum(const Where &where, const char *what, Enum value) {
  if (value > Enum::MAX)
    where.refuse(what, " is ", unsigned(value), ", wanted 0 to ",
                 unsigned(Enum::MAX));
}

static void verifyAligned(const Where &where, const char *what, uint64_t value,
                          uint64_t elementBytes) {
  if (value % elementBytes)
    where.refuse(what, " is ", value,
                 " bytes, wanted a multiple of the element's ", elementBytes);
}

const char *te_rt::interp::spaceName(plan::Space space) {
  switch (space) {
  case plan::Space::Argument:
    return "argument";
  case plan::Space::Arena:
    return "arena";
  case plan::Space::Workspace:
    return "workspace";
  case plan::Space::Constant:
    return "constant";
  }
  return "unknown space";
}

uint64_t te_rt::interp::spaceBytes(const te_rt_plan &plan,
                                   const Program &program, plan::Space space,
                                   uint32_t index) {
  switch (space) {
  case plan::Space::Argument:
    return program.arguments[index].info.bytes;
  case plan::Space::Arena:
    return program.arenaBytes;
  case plan::Space::Workspace:
    return plan.workspaces[index].bytes;
  case plan::Space::Constant:
    return plan.constants[index].bytes;
  }
  return 0;
}

/// That the elements can be read: flatbuffers::Verifier holds the alignment of
/// a vector's length, not that of wider elements behind it. A writer aligns
/// those that are there.
static void verifyReadable(const Where &where, const char *what,
                           const flatbuffers::Vector<uint64_t> *list) {
  if (list && list->size() &&
      reinterpret_cast<uintptr_t>(list->Data()) % sizeof(uint64_t))
    where.refuse(what, " lies at an address that is not a multiple of ",
                 sizeof(uint64_t));
}

/// Rank, extents and their product; returns the bytes.
static uint64_t verifyShape(const Where &where,
                            const flatbuffers::Vector<uint64_t> *shape,
                            uint64_t elementBytes, te_rt_tensor &descriptor) {
  bool twoInAByte = descriptor.dtype == TE_RT_F4E2M1;
  verifyReadable(where, "shape", shape);
  if (sizeOf(shape) > TE_RT_MAX_RANK)
    where.refuse("rank is ", shape->size(), ", wanted at most ",
                 int(TE_RT_MAX_RANK));
  descriptor.rank = int32_t(sizeOf(shape));
  uint64_t bytes = elementBytes;
  bool empty = false;
  for (int32_t i = 0; i < descriptor.rank; ++i) {
    uint64_t extent = shape->Get(i);
    empty |= extent == 0;
    // Extents beside an empty one count too: functions multiply them.
    uint64_t factor = std::max<uint64_t>(extent, 1);
    if (factor > limits::bytes / bytes)
      where.refuse("extent ", i, " is ", extent,
                   ", which makes the tensor larger than ", limits::bytes,
                   " bytes");
    bytes *= factor;
    descriptor.shape[i] = int64_t(extent);
  }
  uint64_t last = sizeOf(shape) ? shape->Get(sizeOf(shape) - 1) : 1;
  if (twoInAByte && last % 2)
    where.refuse("last extent is ", last, ", wanted an even one for F4E2M1");
  return empty ? 0 : twoInAByte ? bytes / 2 : bytes;
}

static int32_t verifyInt32(const Where &where, const char *what,
                           uint32_t value) {
  if (value > uint32_t(std::numeric_limits<int32_t>::max()))
    where.refuse(what, " is ", value, ", wanted at most ",
                 std::numeric_limits<int32_t>::max());
  return int32_t(value);
}

static void verifyLayout(const Where &where, const plan::Tensor &source,
                         te_rt_tensor &descriptor) {
  verifyEnum(where, "layout", source.layout());
  descriptor.layout = te_rt_scale_layout(source.layout());
  descriptor.block_rows = verifyInt32(where, "block_rows", source.block_rows());
  descriptor.block_cols = verifyInt32(where, "block_cols", source.block_cols());
  descriptor.groups = verifyInt32(where, "groups", source.groups());
  bool blocks = descriptor.layout != TE_RT_NOT_SCALES &&
                descriptor.layout != TE_RT_TENSOR;
  if (blocks && (!descriptor.block_rows || !descriptor.block_cols))
    where.refuse("block is ", descriptor.block_rows, " x ",
                 descriptor.block_cols, ", wanted at least 1 x 1 for layout ",
                 plan::EnumNameScaleLayout(source.layout()));
  if (!blocks &&
      (descriptor.block_rows || descriptor.block_cols || descriptor.groups))
    where.refuse("block is ", descriptor.block_rows, " x ",
                 descriptor.block_cols, " with ", descriptor.groups,
                 " groups, wanted 0 x 0 with 0 for layout ",
                 plan::EnumNameScaleLayout(source.layout()));
}

static void verifySpace(const Where &where, const plan::Plan &root,
                        const plan::Program &program,
                        const plan::Tensor &tensor) {
  verifyEnum(where, "space", tensor.space());
  uint32_t count = 1;
  if (tensor.space() == plan::Space::Argument)
    count = sizeOf(program.arguments());
  else if (tensor.space() == plan::Space::Workspace)
    count = sizeOf(root.workspaces());
  else if (tensor.space() == plan::Space::Constant)
    count = sizeOf(root.constants());
  if (tensor.index() >= count)
    where.refuse("index is ", tensor.index(), ", but there are ", count, " of ",
                 spaceName(tensor.space()));
}

void te_rt::interp::verifyTensors(Verification &v, const plan::Program &source,
                                  Program &program) {
  uint32_t count = sizeOf(source.tensors());
  program.tensors.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    Where::Scope scope(v.where, "tensor", i);
    const plan::Tensor &from = *source.tensors()->Get(i);
    Tensor tensor = {};
    verifySpace(v.where, v.root, source, from);
    tensor.space = from.space();
    tensor.index = from.index();
    verifyEnum(v.where, "dtype", from.dtype());
    tensor.descriptor.dtype = te_rt_dtype(from.dtype());
    uint64_t element = elementBytes(from.dtype());
    tensor.bytes =
        verifyShape(v.where, from.shape(), element, tensor.descriptor);
    verifyLayout(v.where, from, tensor.descriptor);
    tensor.descriptor.on_host = from.on_host();
    tensor.offset = from.offset();
    verifyAligned(v.where, "offset", tensor.offset, element);
    verifyReadable(v.where, "loop_strides", from.loop_strides());
    if (sizeOf(from.loop_strides()) > limits::depth)
      v.where.refuse("has ", from.loop_strides()->size(),
                     " loop strides, wanted at most ", limits::depth);
    for (uint32_t j = 0; j < sizeOf(from.loop_strides()); ++j) {
      uint64_t stride = from.loop_strides()->Get(j);
      verifyAligned(v.where, "loop stride", stride, element);
      tensor.strides.push_back(stride);
    }
    program.tensors.push_back(std::move(tensor));
  }
}

void te_rt::interp::verifyBounds(Verification &v, const Program &program) {
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    Where::Scope scope(v.where, "tensor", i);
    const Tensor &tensor = program.tensors[i];
    uint64_t space = spaceBytes(v.plan, program, tensor.space, tensor.index);
    if (tensor.offset > space || tensor.bytes > space - tensor.offset)
      v.where.refuse("bytes ", tensor.offset, " and ", tensor.bytes,
                     " more of ", spaceName(tensor.space), " ", tensor.index,
                     ", which has ", space);
  }
}

/// The tensor of an argument is all of it.
static const Tensor &verifyArgumentTensor(const Where &where,
                                          const Program &program,
                                          uint32_t argument, uint32_t index) {
  if (index >= program.tensors.size())
    where.refuse("tensor is ", index, ", but there are ",
                 program.tensors.size());
  const Tensor &tensor = program.tensors[index];
  if (tensor.space != plan::Space::Argument || tensor.index != argument)
    where.refuse("tensor ", index, " lies in ", spaceName(tensor.space), " ",
                 tensor.index, ", wanted argument ", argument);
  if (tensor.offset || !tensor.strides.empty())
    where.refuse("tensor ", index, " has offset ", tensor.offset, " and ",
                 tensor.strides.size(), " loop strides, wanted none");
  return tensor;
}

static void verifyMembers(const Where &where, const plan::Argument &source,
                          const te_rt_tensor &tensor, Argument &argument) {
  for (uint32_t i = 0; i < sizeOf(source.members()); ++i)
    argument.members.push_back(
        verifyString(where, "member", source.members()->Get(i)->name()));
  int64_t wanted = tensor.rank ? tensor.shape[0] : 0;
  if (!argument.members.empty() && int64_t(argument.members.size()) != wanted)
    where.refuse("has ", argument.members.size(), " members, wanted ", wanted,
                 " as its first dimension");
}

static void verifyInit(const Where &where, const plan::Argument &source,
                       te_rt_argument_info &info) {
  verifyEnum(where, "init", source.init());
  info.init = te_rt_init(source.init());
  info.deviation = source.deviation();
  if (!std::isfinite(info.deviation) || info.deviation < 0)
    where.refuse("deviation is ", info.deviation,
                 ", wanted a finite number of at least 0");
  info.num_experts = source.num_experts();
  const te_rt_tensor &tensor = info.tensor;
  if (info.init == TE_RT_INIT_RNG &&
      (tensor.dtype != TE_RT_I64 || tensor.rank < 1 ||
       tensor.shape[tensor.rank - 1] != 2))
    where.refuse("init Rng wants I64 of a last extent of 2, but the tensor is ",
                 plan::EnumNameDType(plan::DType(tensor.dtype)), " of rank ",
                 tensor.rank);
  if (info.init != TE_RT_INIT_ROUTING)
    return;
  if (info.num_experts < 1 ||
      info.num_experts > std::numeric_limits<int32_t>::max())
    where.refuse("num_experts is ", info.num_experts, ", wanted 1 to ",
                 std::numeric_limits<int32_t>::max(), " for init Routing");
  if (info.tensor.dtype != TE_RT_I32 || info.tensor.rank < 1)
    where.refuse("init Routing wants I32 of rank 1 or more, but the tensor is ",
                 plan::EnumNameDType(plan::DType(info.tensor.dtype)),
                 " of rank ", info.tensor.rank);
}

using ArgumentsByName = std::map<std::string_view, const te_rt_argument_info *>;

/// `next` names an argument of direction Out and the same type.
static void verifyNext(const Where &where, const te_rt_argument_info &info,
                       const ArgumentsByName &results) {
  auto found = results.find(info.next);
  if (found == results.end())
    where.refuse("next is '", info.next, "', wanted an argument that is Out");
  const te_rt_argument_info &next = *found->second;
  if (next.direction != TE_RT_OUT)
    where.refuse("next is '", info.next, "' of direction ",
                 plan::EnumNameDirection(plan::Direction(next.direction)),
                 ", wanted Out");
  if (info.direction != TE_RT_IN)
    where.refuse("has a next, but direction ",
                 plan::EnumNameDirection(plan::Direction(info.direction)),
                 ", wanted In");
  if (next.tensor.dtype != info.tensor.dtype ||
      next.tensor.rank != info.tensor.rank ||
      !std::equal(next.tensor.shape, next.tensor.shape + next.tensor.rank,
                  info.tensor.shape))
    where.refuse("next is '", info.next,
                 "' of another type or shape, wanted the same");
}

void te_rt::interp::verifyArguments(Verification &v,
                                    const plan::Program &source,
                                    Program &program) {
  uint32_t count = sizeOf(source.arguments());
  program.arguments.resize(count);
  // A state and its next value share a name: one is read, the other written.
  ArgumentsByName inputs, results;
  for (uint32_t i = 0; i < count; ++i) {
    const plan::Argument &from = *source.arguments()->Get(i);
    Argument &argument = program.arguments[i];
    te_rt_argument_info &info = argument.info;
    info = {};
    Where::Scope number(v.where, "argument", i);
    info.name = verifyString(v.where, "name", from.name());
    if (!*info.name)
      v.where.refuse("name is empty, wanted a name");
    verifyEnum(v.where, "direction", from.direction());
    info.direction = te_rt_direction(from.direction());
    if ((info.direction != TE_RT_OUT &&
         !inputs.emplace(info.name, &info).second) ||
        (info.direction != TE_RT_IN &&
         !results.emplace(info.name, &info).second))
      v.where.refuse("name '", info.name,
                     "' is taken by an earlier one of this direction, "
                     "wanted another name");
    const Tensor &tensor =
        verifyArgumentTensor(v.where, program, i, from.tensor());
    info.tensor = tensor.descriptor;
    info.bytes = int64_t(tensor.bytes);
    verifyMembers(v.where, from, info.tensor, argument);
    info.num_members = int32_t(argument.members.size());
    info.members = argument.members.data();
    verifyInit(v.where, from, info);
    info.next = verifyString(v.where, "next", from.next());
    info.group = verifyString(v.where, "group", from.group());
    info.group_index = from.group_index();
  }
  for (uint32_t i = 0; i < count; ++i) {
    const te_rt_argument_info &info = program.arguments[i].info;
    Where::Scope scope(v.where, "argument", i, info.name);
    if (*info.next)
      verifyNext(v.where, info, results);
  }
}
