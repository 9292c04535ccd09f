//===- activation.cpp - gated activations, and casts of them --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/cast.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// A matrix of `cols` columns with the rows of `input`.
Outcome describeRows(CudaDevice &device, const te_rt_tensor &input,
                     int64_t cols, const te_rt_tensor *offsets,
                     TileTask &task) {
  te_rt_tensor rows = input;
  rows.shape[1] = cols;
  return describeMatrix(device, rows, offsets, -1, task);
}

Outcome describeSwiglu(CudaDevice &device, const te_rt_tensor &input,
                       const te_rt_tensor *probs, const te_rt_tensor *offsets,
                       TileTask &task) {
  TE_RT_TRY(describeRows(device, input, input.shape[1] / 2, offsets, task));
  task.source.input = input.data;
  task.source.probs = data<float>(probs);
  task.source.width = task.cols;
  return {};
}

/// Whether a tile of the activation makes two of its gradients, which start with
/// one then; otherwise tiles are those of [da | db].
bool isWide(const TileTask &task) {
  return task.tilesAcross * kTile == task.source.width;
}
/// The dynamic shared memory that it wants: a tile of BF16.
int sharedFor(const TileTask &task, te_rt_dtype dtype) {
  return isWide(task) && dtype == TE_RT_BF16 ? kTile * kTile * 2 : 0;
}

/// Whether activation_both.cu takes rows of these.
bool isAligned(const TileTask &task, te_rt_dtype dtype,
               const te_rt_tensor *values) {
  if (dtype != TE_RT_BF16 ||
      std::max(task.rows, 2 * task.source.width) >= kBothStride)
    return false;
  uintptr_t bits = reinterpret_cast<uintptr_t>(task.source.input) |
                   reinterpret_cast<uintptr_t>(task.source.grad) |
                   static_cast<uintptr_t>(task.source.width);
  return values && (bits | reinterpret_cast<uintptr_t>(values->data)) % 16 == 0;
}

bool isOfRows(const te_rt_tensor *scales) {
  return scales && scales->block_rows == 1 && scales->block_cols == kTile;
}

Outcome describeBackward(CudaDevice &device, const te_rt_tensor &grad,
                         const te_rt_tensor &input, const te_rt_tensor *probs,
                         const te_rt_tensor *offsets,
                         const te_rt_tensor *gradProbs, TileTask &task) {
  TE_RT_TRY(describeRows(device, input, input.shape[1], offsets, task));
  RowSource &source = task.source;
  source.input = input.data;
  source.grad = grad.data;
  source.probs = data<float>(probs);
  source.width = grad.shape[1];
  if (source.width % kTile == 0)
    task.tilesAcross = static_cast<uint32_t>(source.width / kTile);
  if (!gradProbs)
    return {};
  source.gradProbs = data<float>(gradProbs);
  source.probTiles = ceilDiv(source.width, kTile);
  int64_t rowsOfTiles = task.rows / kTile + task.groups + 1;
  if (rowsOfTiles * (kTileThreads / 32) + CudaDevice::kRowTickets >
      CudaDevice::kTickets)
    return {TE_RT_UNSUPPORTED,
            "input: found " + std::to_string(task.rows) +
                " rows, wanted below 2^22 with grad_probs on cuda"};
  source.tickets = device.tickets() + CudaDevice::kRowTickets;
  void *partials = nullptr;
  TE_RT_TRY(device.scratch(Use::Partials,
                           static_cast<size_t>(rowsOfTiles * source.probTiles) *
                               kTile * sizeof(float),
                           &partials));
  source.partials = static_cast<float *>(partials);
  return {};
}

/// What is no cast: some whole rows for each block.
Outcome runRows(CudaDevice &device, ActivationArgs args,
                const te_rt_tensor *offsets, const char *kernel) {
  constexpr int64_t kSums = 48 << 10; // that a block's shared memory has room for
  args.groups = offsets ? static_cast<int32_t>(offsets->shape[0] - 1) : 0;
  TE_RT_TRY(deviceOffsets(device, offsets, &args.offsets));
  int64_t tiles = ceilDiv(args.width, kTile);
  if (tiles > kSums)
    return {TE_RT_UNSUPPORTED, "input: found " + std::to_string(args.width) +
                                   " columns of each half, wanted at most " +
                                   std::to_string(kSums * kTile) + " on cuda"};
  args.tiles = static_cast<int32_t>(tiles);
  args.perParts = inverseOf(static_cast<uint32_t>(16 * tiles));
  // Four parts for each thread, or fewer, so that all SMs have some.
  args.blockRows = static_cast<int32_t>(std::max<int64_t>(
      1, std::min(4 * kActivationThreads / std::max<int64_t>(16 * tiles, 1),
                  args.rows / (4 * device.numSms()))));
  int shared = args.gradProbs
                   ? static_cast<int>(args.blockRows * tiles * sizeof(float))
                   : 0;
  return device.launch(
      kernel,
      {tiles ? ceilDiv(args.rows, args.blockRows) : 0, kActivationThreads,
       shared},
      args);
}

Outcome runSwiglu(CudaDevice &device, const te_rt_tensor &input,
                  const te_rt_tensor *probs, const te_rt_tensor *offsets,
                  void *output) {
  ActivationArgs args = {};
  args.input = input.data;
  args.output = output;
  args.probs = data<float>(probs);
  args.rows = input.shape[0];
  args.width = input.shape[1] / 2;
  return runRows(device, args, offsets,
                 byType(input.dtype, "swiglu_bf16", "swiglu_f32"));
}

Outcome runBackward(CudaDevice &device, const te_rt_tensor &grad,
                    const te_rt_tensor &input, const te_rt_tensor *probs,
                    const te_rt_tensor *offsets, void *gradInput,
                    const te_rt_tensor *gradProbs) {
  ActivationArgs args = {};
  args.grad = grad.data;
  args.input = input.data;
  args.output = gradInput;
  args.probs = data<float>(probs);
  args.gradProbs = data<float>(gradProbs);
  args.rows = grad.shape[0];
  args.width = grad.shape[1];
  return runRows(
      device, args, offsets,
      byType(input.dtype, "swiglu_backward_bf16", "swiglu_backward_f32"));
}
} // namespace

te_rt_status cuda::swiglu(te_rt_context *context, const te_rt_tensor *input,
                          const te_rt_tensor *probs,
                          const te_rt_tensor *offsets,
                          const te_rt_tensor *output) {
  return context->finish(
      runSwiglu(deviceOf(context), *input, probs, offsets, output->data));
}

te_rt_status cuda::swiglu_backward(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *grad_input, const te_rt_tensor *grad_probs) {
  return context->finish(runBackward(deviceOf(context), *grad, *input, probs,
                                     offsets, grad_input->data, grad_probs));
}

te_rt_status cuda::swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t pow2_scales, double epsilon) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    TileTask task = {};
    TE_RT_TRY(describeSwiglu(device, *input, probs, offsets, task));
    Cast cast(device, input->dtype, nullptr, pow2_scales, epsilon);
    TE_RT_TRY(cast.add(task, {scale, amax, offsets, values, scales, values_t,
                              scales_t, amax_out}));
    CastKernels kernels = {
        byType(input->dtype, "swiglu_cast_bf16", "swiglu_cast_f32"),
        byType(input->dtype, "swiglu_amax_bf16", "swiglu_amax_f32")};
    if (input->dtype == TE_RT_BF16)
      kernels.stream = {"swiglu_cast_stream_bf16", 2, kTile * kTile * 4};
    if (isAligned(task, input->dtype, values))
      kernels.both = {"swiglu_both_bf16", 2, kTile * kTile * 4};
    kernels.store = [&](void *rows) {
      return runSwiglu(device, *input, probs, offsets, rows);
    };
    return cast.run(kernels);
  };
  return context->finish(run());
}

te_rt_status cuda::swiglu_backward_quantize(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *grad_probs,
    int64_t pow2_scales, double epsilon) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    TileTask task = {};
    TE_RT_TRY(describeBackward(device, *grad, *input, probs, offsets,
                               grad_probs, task));
    bool aligned = isAligned(task, input->dtype, values);
    // On twice as many SMs, two tiles take less time than one of both.
    if (aligned && isOfRows(scales) && isOfRows(scales_t) &&
        2 * numTiles(task) <= device.numSms())
      task.tilesAcross = static_cast<uint32_t>(ceilDiv(task.cols, kTile));
    Cast cast(device, input->dtype, nullptr, pow2_scales, epsilon);
    TE_RT_TRY(cast.add(task, {scale, amax, offsets, values, scales, values_t,
                              scales_t, amax_out}));
    bool wide = isWide(task);
    CastKernels kernels = {
        wide ? byType(input->dtype, "swiglu_backward_cast_bf16",
                      "swiglu_backward_cast_f32")
             : byType(input->dtype, "swiglu_backward_any_cast_bf16",
                      "swiglu_backward_any_cast_f32"),
        wide ? byType(input->dtype, "swiglu_backward_amax_bf16",
                      "swiglu_backward_amax_f32")
             : byType(input->dtype, "swiglu_backward_any_amax_bf16",
                      "swiglu_backward_any_amax_f32"),
        sharedFor(task, input->dtype)};
    // Of a, b, and six of eight rows of the gradients.
    if (task.source.width % 8 == 0 && input->dtype == TE_RT_BF16)
      kernels.stream = {wide ? "swiglu_backward_cast_stream_bf16"
                             : "swiglu_backward_any_cast_stream_bf16",
                        2, kTile * kTile * 2 * 11 / 4};
    if (aligned)
      kernels.both = {wide ? "swiglu_backward_both_bf16"
                           : "swiglu_backward_any_both_bf16",
                      2, kTile * kTile * 6};
    kernels.store = [&](void *rows) {
      return runBackward(device, *grad, *input, probs, offsets, rows,
                         grad_probs);
    };
    return cast.run(kernels);
  };
  return context->finish(run());
}
