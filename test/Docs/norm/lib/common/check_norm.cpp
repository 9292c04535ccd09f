//===- check_norm.cpp - what the arguments of norms must be ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

using namespace te_rt;

te_rt_status check::rms_norm(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *output, double epsilon) {
  Checker check(context);
  Arg in = check.required("input", input);
  in.type({TE_RT_BF16, TE_RT_F32}).rank(2, 2);
  check.required("output", output).typeOf(in).shape({in.dim(0), in.dim(1)});
  if (!(epsilon > 0))
    check.finding("epsilon", epsilon, "a number above 0");
  return check.status();
}
