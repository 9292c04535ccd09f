//===- LibraryTest.cpp - libraries that are not there ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/blas.h"
#include "cuda/driver.h"
#include "cuda/library.h"
#include "cuda/nccl.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr const char *kNowhere = "/nowhere/lib.so";

void expectMissing(const std::string &why, const std::string &what,
                   const std::string &variable) {
  EXPECT_EQ(why, what + ": found " + variable + "=" + kNowhere +
                     ", which does not open (" + kNowhere +
                     ": cannot open shared object file: No such file or "
                     "directory), wanted the library's file");
}

TEST(Library, SaysWhatWasLookedForAndTheRemedy) {
  std::string why;
  unsetenv("TE_RT_TEST");
  EXPECT_EQ(openLibrary("Thing", "TE_RT_TEST",
                        {"libnowhere.so.2", "libnowhere.so.1"}, why),
            nullptr);
  EXPECT_EQ(why.find("Thing: not found (libnowhere.so.2: "), 0u) << why;
  EXPECT_NE(why.find("; libnowhere.so.1: "), std::string::npos) << why;
  EXPECT_NE(why.find("wanted it in the loader's search path (LD_LIBRARY_PATH), "
                     "or its file in TE_RT_TEST"),
            std::string::npos)
      << why;
  // A file that is named is the only one that is tried.
  setenv("TE_RT_TEST", kNowhere, 1);
  EXPECT_EQ(openLibrary("Thing", "TE_RT_TEST", {"libm.so.6"}, why), nullptr);
  expectMissing(why, "Thing", "TE_RT_TEST");
  setenv("TE_RT_TEST", "libm.so.6", 1);
  EXPECT_NE(openLibrary("Thing", "TE_RT_TEST", {"libnowhere.so"}, why),
            nullptr);
}

TEST(Library, DriverIsMissing) {
  setenv("TE_RT_CUDA_DRIVER", kNowhere, 1);
  expectMissing(driver().why, "CUDA driver", "TE_RT_CUDA_DRIVER");
}

TEST(Library, CublasLtIsMissing) {
  setenv("TE_RT_CUBLASLT", kNowhere, 1);
  Blas blas;
  Outcome outcome = blas.open();
  EXPECT_EQ(outcome.status, TE_RT_UNAVAILABLE);
  expectMissing(outcome.message, "cuBLASLt", "TE_RT_CUBLASLT");
}

TEST(Library, NcclIsMissing) {
  setenv("TE_RT_NCCL", kNowhere, 1);
  NcclId id;
  Outcome outcome = Nccl::makeId(id);
  EXPECT_EQ(outcome.status, TE_RT_UNAVAILABLE);
  expectMissing(outcome.message, "NCCL", "TE_RT_NCCL");
}
} // namespace
