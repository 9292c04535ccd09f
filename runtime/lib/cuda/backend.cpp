//===- backend.cpp - table of the CUDA backend ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/backend.h"

using namespace te_rt;

const BackendTable &cuda::table() {
  static const BackendTable functions = {
#define TE_RT_FUNCTION(name) cuda::name,
#include "common/functions.def"
  };
  return functions;
}
