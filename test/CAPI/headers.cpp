//===- headers.cpp - the headers of the C APIs are C++ too -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Builders.h"
#include "te-c/Cost.h"
#include "te-c/Dialects.h"
#include "te-c/Passes.h"
#include "te-c/Plan.h"

#include "te_runtime/activation.h"
#include "te_runtime/device.h"
#include "te_runtime/gemm.h"
#include "te_runtime/layout.h"
#include "te_runtime/plan.h"
#include "te_runtime/quantize.h"
#include "te_runtime/routing.h"
