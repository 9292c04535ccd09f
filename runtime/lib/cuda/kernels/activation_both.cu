//===- activation_both.cu - gated activations, cast both ways -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// te_rt_swiglu_quantize and te_rt_swiglu_backward_quantize of BF16 to rows in blocks
// of 1 x 128 and columns of 128 x 1.
//
//   work      blocks that take one tile of 128 x 128 after another; backward, of
//             both gradients, or of one where no tile ends with those of a, or
//             where tiles are fewer than half of the SMs
//   moves     4 + 2 B for each element of the activation, backward 6 + 4 B
//   bound     memory
//   measured  docs/Benchmarks.md, rows swiglu
//   not here  other blocks, and widths that are no multiples of 16
//             (activation.cu)
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/swiglu_both.cuh"

TE_RT_BOTH_KERNEL(swiglu_both_bf16, Swiglu)
TE_RT_BOTH_KERNEL(swiglu_backward_both_bf16, SwigluBackward)
TE_RT_BOTH_KERNEL(swiglu_backward_any_both_bf16, SwigluBackwardAny)
