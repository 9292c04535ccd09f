//===- driver.cpp - the CUDA driver, opened at run time -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/driver.h"
#include "cuda/library.h"

#include <dlfcn.h>

using namespace te_rt::cuda;

static Driver openDriver() {
  Driver driver = {};
  void *library = openLibrary("CUDA driver", "TE_RT_CUDA_DRIVER",
                              {"libcuda.so.1"}, driver.why);
  if (!library)
    return driver;
#define TE_RT_LOAD(name, symbol, parameters)                                   \
  driver.name = reinterpret_cast<Result(*) parameters>(                        \
      dlsym(library, #symbol));                                                \
  if (!driver.name) {                                                          \
    driver.why = "CUDA driver: found one without " #symbol                     \
                 ", wanted a driver of CUDA 12.4 or newer";                    \
    return driver;                                                             \
  }
  TE_RT_DRIVER_FUNCTIONS(TE_RT_LOAD)
#undef TE_RT_LOAD
  if (Result result = driver.init(0))
    driver.why = "CUDA driver: " + driver.describe(result);
  return driver;
}

const Driver &te_rt::cuda::driver() {
  static Driver opened = openDriver();
  return opened;
}

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (errorName)
    errorName(result, &name);
  if (errorString)
    errorString(result, &text);
  return std::string(name ? name : "CUDA error " + std::to_string(result)) +
         (text ? std::string(": ") + text : std::string());
}
