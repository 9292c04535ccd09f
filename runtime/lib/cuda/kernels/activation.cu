//===- activation.cu - gated activations, and casts of them ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// swiglu and swiglu_backward, each followed by quantize: sources of tiles.
//
//   work      one block for each 128 x 128 of the activation; backward, of both
//             of its gradients, or of [da | db] where no tile ends with da. More
//             tiles than fit at a time: as many blocks as fit, which take one
//             after another
//   moves     BF16, both ways: swiglu 4 + 2 B for each element of the activation,
//             backward 6 + 4 B; and scales
//   bound     memory
//   measured  docs/Benchmarks.md, rows swiglu
//   not here  BF16 both ways in blocks of 128 elements (activation_both.cu)
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/casts.cuh"
#include "cuda/kernels/micro_mxfp8.cuh"
#include "cuda/kernels/swiglu_stream.cuh"

using namespace te_rt::cuda;

#define TE_RT_ACTIVATION(name, Source)                                         \
  TE_RT_CASTS(name, Source, 2)                                                 \
  TE_RT_MICRO_CASTS(name, Source, 2)

TE_RT_ACTIVATION(swiglu, SwigluSource)
TE_RT_ACTIVATION(swiglu_backward, SwigluBackwardSource)
TE_RT_ACTIVATION(swiglu_backward_any, SwigluBackwardAnySource)

TE_RT_STREAM_KERNEL(swiglu_cast_stream_bf16, SwigluStream<BF16>, CastSink,
                    false, 2)
TE_RT_STREAM_KERNEL(swiglu_backward_cast_stream_bf16,
                    SwigluBackwardStream<BF16>, CastSink, false, 2)
TE_RT_STREAM_KERNEL(swiglu_backward_any_cast_stream_bf16,
                    SwigluBackwardAnyStream<BF16>, CastSink, false, 2)
