//===- headers.cpp - the headers of the C API are C++ as well -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Builders.h"
#include "te-c/Cost.h"
#include "te-c/Dialects.h"
#include "te-c/Passes.h"
#include "te-c/Plan.h"
