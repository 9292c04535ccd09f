//===- check.cpp - tests of one argument ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "comm/communicator.h"

#include <algorithm>
#include <cstring>

using namespace te_rt;

std::string te_rt::toString(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Shape te_rt::shapeOf(const te_rt_tensor &tensor) {
  return Shape(tensor.shape, tensor.shape + tensor.rank);
}

std::initializer_list<te_rt_dtype> te_rt::scaleTypesOf(te_rt_dtype values) {
  static constexpr std::initializer_list<te_rt_dtype> fp8 = {TE_RT_F32,
                                                             TE_RT_F8E8M0};
  static constexpr std::initializer_list<te_rt_dtype> fp4 = {TE_RT_F8E4M3};
  return values == TE_RT_F4E2M1 ? fp4 : fp8;
}

std::string te_rt::blockOf(const te_rt_tensor &scales) {
  return std::to_string(scales.block_rows) + " x " +
         std::to_string(scales.block_cols);
}

int64_t te_rt::scaleRows(te_rt_dtype dtype, int64_t rows) {
  return isByteScale(dtype) ? roundUp(rows, ScaleGrid::kTileOuter) : rows;
}

int64_t te_rt::numElements(const te_rt_tensor &tensor) {
  int64_t elements = 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    elements *= tensor.shape[i];
  return elements;
}

//===----------------------------------------------------------------------===//
// Arg
//===----------------------------------------------------------------------===//

Arg::operator bool() const { return tensor && checker.ok(); }

int64_t Arg::dim(int32_t index) const {
  return *this && index < tensor->rank ? tensor->shape[index] : 0;
}

int64_t Arg::extentFrom(int32_t skip) const {
  if (!*this)
    return 0;
  int64_t extent = 1;
  for (int32_t i = skip; i < tensor->rank; ++i)
    extent *= tensor->shape[i];
  return extent;
}

const Arg &Arg::type(std::initializer_list<te_rt_dtype> wanted) const {
  if (!*this ||
      std::find(wanted.begin(), wanted.end(), tensor->dtype) != wanted.end())
    return *this;
  std::string text;
  for (te_rt_dtype dtype : wanted)
    text += (text.empty() ? "" : " or ") + std::string(dtypeName(dtype));
  checker.finding(name, dtypeName(tensor->dtype), text);
  return *this;
}

const Arg &Arg::typeOf(const Arg &other) const {
  return other ? type({other.get().dtype}) : *this;
}

const Arg &Arg::rank(int32_t least, int32_t most) const {
  if (*this && (tensor->rank < least || tensor->rank > most))
    checker.finding(name, "rank " + std::to_string(tensor->rank),
                    "rank " + std::to_string(least) +
                        (most == least ? "" : " to " + std::to_string(most)));
  return *this;
}

const Arg &Arg::shape(const Shape &wanted) const {
  if (*this && shapeOf(*tensor) != wanted)
    checker.finding(name, "shape " + toString(shapeOf(*tensor)),
                    toString(wanted));
  return *this;
}

const Arg &Arg::scalarOr(int64_t members) const {
  if (*this && tensor->rank != 0 &&
      (members == 0 || shapeOf(*tensor) != Shape{members}))
    checker.finding(name, "shape " + toString(shapeOf(*tensor)),
                    members ? "[] or " + toString({members})
                            : std::string("[]"));
  return *this;
}

//===----------------------------------------------------------------------===//
// Checker
//===----------------------------------------------------------------------===//

Arg Checker::required(std::string name, const te_rt_tensor *tensor) {
  if (!tensor)
    finding(name, "no tensor", "one");
  return optional(std::move(name), tensor);
}

Arg Checker::optional(std::string name, const te_rt_tensor *tensor) {
  if (tensor)
    wellFormed(name, *tensor);
  return Arg(*this, std::move(name), tensor);
}

Arg Checker::element(const char *name, te_rt_tensor_list list, int64_t index) {
  std::string label = std::string(name) + "[" + std::to_string(index) + "]";
  return required(label,
                  ok() && index < list.count ? &list.items[index] : nullptr);
}

void Checker::list(const char *name, te_rt_tensor_list list, int64_t count,
                   bool mayBeEmpty) {
  if (list.count == 0 && mayBeEmpty)
    return;
  if (list.count != count || count < 0)
    finding(name, std::to_string(list.count) + " tensors",
            count < 0 ? "0 or more"
                      : std::to_string(count) + (mayBeEmpty ? " or none" : ""));
  else if (count > 0 && !list.items)
    finding(name, "NULL items", std::to_string(count) + " tensors");
}

void Checker::sameLists(const char *name, te_rt_tensor_list list,
                        const char *other, te_rt_tensor_list others,
                        std::initializer_list<te_rt_dtype> types) {
  this->list(name, list, list.count);
  this->list(other, others, list.count);
  for (int64_t i = 0; ok() && i < list.count; ++i) {
    Arg one = element(name, list, i).type(types);
    Arg same = element(other, others, i).type(types);
    if (one)
      same.shape(shapeOf(one.get()));
  }
}

void Checker::wellFormed(const std::string &name, const te_rt_tensor &tensor) {
  // Whatever a caller of C wrote there: not loaded as an enum until it is one.
  int32_t dtype, layout;
  std::memcpy(&dtype, &tensor.dtype, sizeof(dtype));
  std::memcpy(&layout, &tensor.layout, sizeof(layout));
  if (dtype < TE_RT_F32 || dtype > TE_RT_F4E2M1)
    return finding(name, "dtype " + std::to_string(dtype), "a te_rt_dtype");
  if (layout < TE_RT_NOT_SCALES || layout > TE_RT_SWIZZLED)
    return finding(name, "layout " + std::to_string(layout),
                   "a te_rt_scale_layout");
  if (tensor.rank < 0 || tensor.rank > TE_RT_MAX_RANK)
    return finding(name, "rank " + std::to_string(tensor.rank), "rank 0 to 4");
  // The product of all extents but zeros must fit, so that later products of
  // some of them do.
  int64_t room = (int64_t(1) << 51) / elementBits(tensor.dtype);
  bool empty = false;
  for (int64_t extent : shapeOf(tensor)) {
    if (extent < 0 || extent > room)
      return finding(name, "shape " + toString(shapeOf(tensor)),
                     "extents from 0, at most 2^48 bytes");
    empty |= extent == 0;
    room /= std::max<int64_t>(extent, 1);
  }
  if (tensor.dtype == TE_RT_F4E2M1 &&
      (tensor.rank == 0 || lastDim(tensor) % 2 != 0))
    return finding(name, "F4E2M1 of shape " + toString(shapeOf(tensor)),
                   "a last extent that is even");
  if (!tensor.data && !empty)
    finding(name, "NULL data", "memory of shape " + toString(shapeOf(tensor)));
}

void Checker::pair(const Arg &one, const Arg &other) {
  if (!one.pointer() != !other.pointer()) {
    const Arg &there = one.pointer() ? one : other;
    const Arg &missing = one.pointer() ? other : one;
    finding(missing.label(), "no tensor", "one, as there is " + there.label());
  }
}

int64_t Checker::ranks() const {
  return context->communicator ? context->communicator->ranks() : 1;
}

int64_t Checker::offsets(const char *name, const te_rt_tensor *tensor) {
  Arg arg = optional(name, tensor);
  arg.type({TE_RT_I32}).rank(1, 1);
  if (arg && arg.dim(0) < 2)
    finding(name, "shape " + toString(shapeOf(*tensor)),
            "[E+1] of E at least 1");
  return arg ? arg.dim(0) - 1 : 0;
}

/// Blocks and layouts that go with the type.
void Checker::blocks(const Arg &arg) {
  const te_rt_tensor &scales = arg.get();
  auto isBlock = [&](int32_t rows, int32_t cols) {
    return scales.block_rows == rows && scales.block_cols == cols;
  };
  bool ofMxfp8 = isBlock(1, 32) || isBlock(32, 1), ofNvfp4 = isBlock(1, 16);
  std::string found =
      std::string(dtypeName(scales.dtype)) + " of blocks of " + blockOf(scales);
  if (scales.dtype == TE_RT_F8E8M0 && !ofMxfp8)
    finding(arg.label(), found, "blocks of 1 x 32 or 32 x 1 for F8E8M0");
  else if (scales.dtype == TE_RT_F8E4M3 && !ofNvfp4)
    finding(arg.label(), found, "blocks of 1 x 16 for F8E4M3");
  else if (scales.dtype == TE_RT_F32 && (ofMxfp8 || ofNvfp4))
    finding(arg.label(), found, ofMxfp8 ? "F8E8M0" : "F8E4M3");
  else if (isByteScale(scales.dtype) && scales.layout == TE_RT_GEMM_READY)
    finding(arg.label(), "layout GEMM_READY",
            std::string("COMPACT or SWIZZLED for ") + dtypeName(scales.dtype));
  else if (scales.dtype == TE_RT_F32 && scales.layout == TE_RT_SWIZZLED)
    finding(arg.label(), "layout SWIZZLED", "COMPACT or GEMM_READY for F32");
}

void Checker::scales(const Arg &arg, int64_t rows, int64_t cols,
                     int64_t members, Ragged ragged, int64_t groups,
                     std::initializer_list<te_rt_dtype> types) {
  arg.type(types);
  if (!arg)
    return;
  const te_rt_tensor &scales = arg.get();
  std::string groupsName = arg.label() + ".groups";
  if (scales.layout == TE_RT_TENSOR) {
    arg.type({TE_RT_F32});
    arg.scalarOr(members ? members : groups);
    if (members && arg && scales.rank == 0)
      finding(arg.label(), "shape []", toString({members}));
    if (scales.groups != 0 && scales.groups != groups)
      finding(groupsName, scales.groups, groups);
    return;
  }
  if (scales.layout == TE_RT_NOT_SCALES)
    return finding(arg.label(), "layout NOT_SCALES", "a layout of scales");
  if (scales.block_rows < 1 || scales.block_cols < 1)
    return finding(arg.label(), "blocks of " + blockOf(scales),
                   "at least 1 x 1");
  blocks(arg);
  int32_t along = ragged == Ragged::Rows   ? scales.block_rows
                  : ragged == Ragged::Cols ? scales.block_cols
                                           : 1;
  int64_t wantedGroups = along > 1 ? groups : 0;
  if (scales.groups != wantedGroups)
    return finding(groupsName, scales.groups, wantedGroups);
  Shape wanted =
      ScaleGrid(scales, rows, cols, groups ? ragged : Ragged::No).shape;
  if (members)
    wanted.insert(wanted.begin(), members);
  arg.shape(wanted);
}

void Checker::attribute(const char *name, int64_t value, int64_t least,
                        int64_t most) {
  if (value < least || value > most)
    finding(name, value,
            std::to_string(least) + (most == INT64_MAX
                                         ? std::string(" or more")
                                         : " to " + std::to_string(most)));
}
