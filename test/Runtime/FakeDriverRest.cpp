//===- FakeDriverRest.cpp - functions of the driver that do nothing -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All of them, each giving way to one in FakeDriver.cpp.
//
//===----------------------------------------------------------------------===//

#include "cuda/driver.h"

using namespace te_rt::cuda;

#define TE_RT_WEAK(name, symbol, parameters)                                   \
  extern "C" __attribute__((weak)) Result symbol parameters { return 0; }
TE_RT_DRIVER_FUNCTIONS(TE_RT_WEAK)
