//===- layout.cpp - conversions and moves that change no value ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/encode.h"
#include "common/numeric.h"
#include "cuda/cast.h"

#include <algorithm>
#include <cmath>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
constexpr int64_t kCopyBytes = 4096; // as in layout.cu

int64_t sizeOf(const te_rt_tensor &tensor) {
  return te_rt::bytesOf(tensor.dtype, numElements(tensor));
}


Outcome needsDeviceMemory(std::initializer_list<const te_rt_tensor *> tensors) {
  for (const te_rt_tensor *tensor : tensors)
    if (tensor->on_host)
      return {TE_RT_UNSUPPORTED,
              "tensor: found host memory, wanted device memory"};
  return {};
}
} // namespace

Outcome cuda::copyAll(CudaDevice &device, std::vector<CopyItem> &items) {
  int64_t blocks = 0;
  for (CopyItem &item : items) {
    item.firstBlock = blocks;
    blocks += ceilDiv(item.bytes, kCopyBytes);
  }
  CopyArgs args = {};
  args.numItems = static_cast<int64_t>(items.size());
  if (items.size() == 1) {
    args.item = items[0];
    return device.launch("copy_bytes", {blocks, kThreads}, args);
  }
  if (blocks == 0)
    return {};
  const void *table = nullptr;
  TE_RT_TRY(
      device.table(items.data(), items.size() * sizeof(CopyItem), &table));
  args.table = static_cast<const CopyItem *>(table);
  return device.launch("multi_copy_bytes", {blocks, kThreads}, args);
}

te_rt_status cuda::pack(te_rt_context *context, te_rt_tensor_list inputs,
                        const te_rt_tensor *output) {
  auto run = [&]() -> Outcome {
    TE_RT_TRY(needsDeviceMemory({output}));
    std::vector<CopyItem> items;
    auto *to = data<uint8_t>(output);
    for (int64_t i = 0; i < inputs.count; ++i) {
      int64_t bytes = sizeOf(inputs.items[i]);
      if (to != inputs.items[i].data)
        items.push_back({inputs.items[i].data, to, bytes, 0});
      to += bytes;
    }
    return items.empty() ? Outcome() : copyAll(deviceOf(context), items);
  };
  return context->finish(run());
}

te_rt_status cuda::copy(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *output) {
  auto run = [&]() -> Outcome {
    TE_RT_TRY(needsDeviceMemory({input, output}));
    if (input->data == output->data)
      return {};
    std::vector<CopyItem> items = {
        {input->data, output->data, sizeOf(*input), 0}};
    return copyAll(deviceOf(context), items);
  };
  return context->finish(run());
}

te_rt_status cuda::fill(te_rt_context *context, const te_rt_tensor *output,
                        double value) {
  auto run = [&]() -> Outcome {
    TE_RT_TRY(needsDeviceMemory({output}));
    FillArgs args = {};
    args.output = output->data;
    // A byte holds two of F4E2M1, and their bits are those of both.
    args.elements = sizeOf(*output) / elementSize(output->dtype);
    args.bits = encodeElementBits(output->dtype, value);
    args.size = static_cast<int32_t>(elementSize(output->dtype));
    int64_t blocks = ceilDiv(args.elements * args.size, kCopyBytes);
    return deviceOf(context).launch("fill_elements", {blocks, kThreads}, args);
  };
  return context->finish(run());
}

Outcome cuda::moveStrided(CudaDevice &device, StridedMove move) {
  if (move.fromCol != 1 && move.cols > 1) {
    std::swap(move.rows, move.cols);
    std::swap(move.fromRow, move.fromCol);
    std::swap(move.toRow, move.toCol);
  }
  MoveArgs args = {};
  args.from = move.from;
  args.to = move.to;
  args.rows = move.rows;
  args.cols = move.cols;
  args.members = move.members;
  args.fromPitch = move.fromRow;
  args.fromMember = move.fromMember;
  args.toMember = move.toMember;
  if (move.toRow != 1) {
    args.toPitch = move.toRow;
    int64_t words = move.rows * move.cols * move.members;
    return device.launch("move_rows", {ceilDiv(words, kThreads), kThreads},
                         args);
  }
  args.toPitch = move.toCol;
  // Tiles as in transpose.cu, whose columns are 256 bytes.
  int64_t rows = 256 / move.size, held = move.size == 8 ? 4 : 8;
  int64_t cols = kThreads * held / rows * (16 / move.size);
  args.across = static_cast<uint32_t>(ceilDiv(move.cols, cols));
  args.down = static_cast<uint32_t>(ceilDiv(move.rows, rows));
  std::string kernel = "transpose_" + std::to_string(move.size);
  return device.launch(
      kernel.c_str(),
      {int64_t(args.across) * args.down * move.members, kThreads}, args);
}

te_rt_status cuda::transpose(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *output) {
  StridedMove move = {};
  move.from = input->data;
  move.to = output->data;
  move.rows = input->shape[input->rank - 2];
  move.cols = input->shape[input->rank - 1];
  move.members = input->rank == 3 ? input->shape[0] : 1;
  move.fromMember = move.toMember = move.rows * move.cols;
  move.fromRow = move.cols;
  move.fromCol = move.toRow = 1;
  move.toCol = move.rows;
  move.size = static_cast<int>(elementSize(input->dtype));
  return context->finish(moveStrided(deviceOf(context), move));
}

te_rt_status cuda::convert_scales(te_rt_context *context,
                                  const te_rt_tensor *scales,
                                  const te_rt_tensor *output, int64_t rows,
                                  int64_t cols) {
  if (hasByteScales(scales))
    return context->finish(convertByteScales(deviceOf(context), *scales,
                                             *output, rows, cols));
  Ragged ragged = raggedOf(*scales);
  ScaleGrid from(*scales, rows, cols, ragged), to(*output, rows, cols, ragged);
  StridedMove move = {};
  move.from = scales->data;
  move.to = output->data;
  move.rows = from.gridRows;
  move.cols = from.gridCols;
  move.members = scales->rank == 3 ? scales->shape[0] : 1;
  move.fromRow = from.strideRow;
  move.fromCol = from.strideCol;
  move.toRow = to.strideRow;
  move.toCol = to.strideCol;
  move.fromMember = from.elements;
  move.toMember = to.elements;
  move.size = sizeof(float);
  return context->finish(moveStrided(deviceOf(context), move));
}

te_rt_status cuda::update_scales(te_rt_context *context, te_rt_tensor_list amax,
                                 te_rt_tensor_list history,
                                 te_rt_tensor_list scale,
                                 te_rt_tensor_list history_out,
                                 te_rt_tensor_list scale_out, double fp8_max,
                                 int64_t margin, int64_t most_recent) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    UpdateArgs args = {};
    args.target =
        static_cast<float>(std::ldexp(fp8_max, -static_cast<int>(margin)));
    args.mostRecent = most_recent != 0;
    args.numItems = amax.count;
    std::vector<UpdateItem> items;
    int64_t slots = 0;
    for (int64_t i = 0; i < amax.count; ++i) {
      items.push_back({data<float>(&amax.items[i]),
                       data<float>(&history.items[i]),
                       data<float>(&scale.items[i]),
                       data<float>(&history_out.items[i]),
                       data<float>(&scale_out.items[i]),
                       lastDim(history.items[i]), slots});
      slots += numElements(amax.items[i]);
    }
    if (slots == 0)
      return {};
    if (items.size() == 1) {
      args.item = items[0];
    } else {
      const void *table = nullptr;
      TE_RT_TRY(device.table(items.data(), items.size() * sizeof(UpdateItem),
                             &table));
      args.table = static_cast<const UpdateItem *>(table);
    }
    return device.launch("update_scales", {slots, kThreads}, args);
  };
  return context->finish(run());
}

te_rt_status cuda::scale_from_amax(te_rt_context *context,
                                   te_rt_tensor_list amax,
                                   te_rt_tensor_list scale, double fp8_max,
                                   int64_t pow2_scales, double epsilon) {
  auto run = [&]() -> Outcome {
    for (int64_t i = 0; i < amax.count; ++i) {
      ScaleArgs args = {data<float>(&amax.items[i]),
                        data<float>(&scale.items[i]),
                        numElements(amax.items[i]),
                        static_cast<float>(fp8_max),
                        static_cast<float>(epsilon),
                        pow2_scales != 0};
      TE_RT_TRY(deviceOf(context).launch(
          "scale_from_amax", {ceilDiv(args.elements, kThreads), kThreads},
          args));
    }
    return {};
  };
  return context->finish(run());
}

te_rt_status cuda::advance_rng(te_rt_context *context, const te_rt_tensor *rng,
                               const te_rt_tensor *output, int64_t by) {
  RngArgs args = {data<int64_t>(rng), data<int64_t>(output), numElements(*rng),
                  by};
  return context->finish(deviceOf(context).launch(
      "advance_rng", {ceilDiv(args.elements, kThreads), kThreads}, args));
}
