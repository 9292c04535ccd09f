# TEOpt-runtime.cmake: the component `runtime` of TEOpt.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/TEOptRuntimeTargets.cmake")
set(TEOpt_runtime_FOUND ON)
