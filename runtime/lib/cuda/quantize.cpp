//===- quantize.cpp - casts to FP8 and back -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/cast.h"

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// Of casts of what lies in memory.
CastKernels matrixKernels(te_rt_dtype dtype) {
  CastKernels kernels = {byType(dtype, "cast_bf16", "cast_f32"),
                         byType(dtype, "amax_bf16", "amax_f32")};
  kernels.isMatrix = dtype == TE_RT_BF16;
  return kernels;
}
} // namespace

te_rt_status
cuda::quantize(te_rt_context *context, const te_rt_tensor *input,
               const te_rt_tensor *scale, const te_rt_tensor *amax,
               const te_rt_tensor *noop, const te_rt_tensor *offsets,
               const te_rt_tensor *rng, const te_rt_tensor *values,
               const te_rt_tensor *scales, const te_rt_tensor *values_t,
               const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
               const te_rt_tensor *tensor_amax,
               const te_rt_tensor *tensor_amax_t, int64_t member,
               int64_t pow2_scales, int64_t square_blocks, int64_t hadamard,
               int64_t rng_stream, double epsilon) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    TileTask task = {};
    TE_RT_TRY(describeMatrix(device, *input, offsets, member, task));
    task.source.input = input->data;
    Cast cast(device, input->dtype, data<const float>(noop), pow2_scales,
              epsilon);
    TE_RT_TRY(cast.add(task, {scale, amax, offsets, values, scales, values_t,
                              scales_t, amax_out, member, tensor_amax,
                              tensor_amax_t, square_blocks != 0, hadamard != 0,
                              rng, rng_stream}));
    return cast.run(matrixKernels(input->dtype));
  };
  return context->finish(run());
}

te_rt_status cuda::multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out,
    te_rt_tensor_list tensor_amax, te_rt_tensor_list tensor_amax_t,
    int64_t pow2_scales, int64_t square_blocks, double epsilon) {
  CudaDevice &device = deviceOf(context);
  // One launch for each type of input, so one where they are alike.
  auto run = [&](te_rt_dtype dtype) -> Outcome {
    Cast cast(device, dtype, data<const float>(noop), pow2_scales, epsilon);
    for (int64_t i = 0; i < inputs.count; ++i) {
      if (inputs.items[i].dtype != dtype)
        continue;
      auto at = [i](te_rt_tensor_list list) {
        return list.count ? list.items + i : nullptr;
      };
      TileTask task = {};
      TE_RT_TRY(describeMatrix(device, inputs.items[i], nullptr, -1, task));
      task.source.input = inputs.items[i].data;
      TE_RT_TRY(cast.add(task, {at(scale), at(amax), nullptr, at(values),
                                at(scales), at(values_t), at(scales_t),
                                at(amax_out), /*member=*/-1, at(tensor_amax),
                                at(tensor_amax_t), square_blocks != 0}));
    }
    CastKernels kernels = matrixKernels(dtype);
    // Amaxes and scales of tensors leave more to wait for.
    if (dtype == TE_RT_BF16 && cast.size() > 1)
      kernels.stream = {"cast_stream_bf16", amax_out.count ? 3 : 2,
                        kTile * kTile * 2};
    return cast.run(kernels);
  };
  if (te_rt_status status = context->finish(run(TE_RT_BF16)))
    return status;
  return context->finish(run(TE_RT_F32));
}

namespace {
/// Where the codes of a matrix come from.
Outcome describeCodes(const te_rt_tensor &codes, const te_rt_tensor &scales,
                      bool ragged, TileTask &task) {
  ScaleStrides strides;
  TE_RT_TRY(
      describeScales(scales, task.rows, task.cols, ragged, false, strides));
  RowSource &source = task.source;
  source.input = codes.data;
  source.e5m2 = codes.dtype == TE_RT_F8E5M2;
  source.scales = data<const float>(&scales);
  source.strideRow = strides.strideRow;
  source.strideCol = strides.strideCol;
  source.memberScales = strides.member;
  source.kind = strides.kind;
  source.scalePerGroup = strides.scalePerGroup;
  return {};
}
} // namespace

te_rt_status cuda::dequantize(te_rt_context *context,
                              const te_rt_tensor *values,
                              const te_rt_tensor *scales,
                              const te_rt_tensor *tensor_amax,
                              const te_rt_tensor *offsets,
                              const te_rt_tensor *output) {
  CudaDevice &device = deviceOf(context);
  if (!isTileScale(*scales))
    return context->finish(decodeRows(device, *values, *scales, tensor_amax,
                                      offsets, output->dtype, output->data));
  auto run = [&]() -> Outcome {
    TileArgs args = {};
    TE_RT_TRY(describeMatrix(device, *values, offsets, -1, args.task));
    TE_RT_TRY(describeCodes(*values, *scales, offsets != nullptr, args.task));
    args.task.output = output->data;
    args.task.outputStride = args.task.cols;
    return store(device, args,
                 byType(output->dtype, "dequantize_bf16", "dequantize_f32"));
  };
  return context->finish(run());
}

te_rt_status
cuda::requantize(te_rt_context *context, const te_rt_tensor *input,
                 const te_rt_tensor *input_scales, const te_rt_tensor *scale,
                 const te_rt_tensor *amax, const te_rt_tensor *offsets,
                 const te_rt_tensor *values, const te_rt_tensor *scales,
                 const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                 const te_rt_tensor *amax_out, int64_t via, int64_t pow2_scales,
                 double epsilon) {
  CudaDevice &device = deviceOf(context);
  auto dtype = static_cast<te_rt_dtype>(via);
  auto run = [&]() -> Outcome {
    TileTask task = {};
    TE_RT_TRY(describeMatrix(device, *input, offsets, -1, task));
    Cast cast(device, dtype, nullptr, pow2_scales, epsilon);
    const CastArguments arguments = {scale,  amax,     offsets,  values,
                                     scales, values_t, scales_t, amax_out};
    auto needsRows = [](const te_rt_tensor *out) {
      return out && !isTileScale(*out) && !hasByteScales(out);
    };
    if (!isTileScale(*input_scales) || needsRows(scales) ||
        needsRows(scales_t)) {
      // Rows in scratch memory, where tiles do not have all of a block.
      void *rows = nullptr;
      TE_RT_TRY(device.scratch(
          Use::DecodedRows,
          static_cast<size_t>(bytesOf(dtype, numElements(*input))), &rows));
      TE_RT_TRY(decodeRows(device, *input, *input_scales, nullptr, offsets,
                           dtype, rows));
      task.source.input = rows;
      TE_RT_TRY(cast.add(task, arguments));
      return cast.run(matrixKernels(dtype));
    }
    TE_RT_TRY(describeCodes(*input, *input_scales, offsets != nullptr, task));
    TE_RT_TRY(cast.add(task, arguments));
    return cast.run(
        {byType(dtype, "requantize_bf16", "requantize_f32"),
         byType(dtype, "requantize_amax_bf16", "requantize_amax_f32")});
  };
  return context->finish(run());
}

te_rt_status cuda::amax(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *offsets, const te_rt_tensor *amax,
                        int64_t member) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    TileTask task = {};
    TE_RT_TRY(describeMatrix(device, *input, offsets, member, task));
    task.source.input = input->data;
    Cast cast(device, input->dtype, nullptr, false, 0);
    CastArguments arguments = {};
    arguments.offsets = offsets;
    arguments.amaxOut = amax;
    arguments.member = member;
    TE_RT_TRY(cast.add(task, arguments));
    const char *kernel = byType(input->dtype, "amax_bf16", "amax_f32");
    return cast.run({kernel, kernel});
  };
  return context->finish(run());
}
