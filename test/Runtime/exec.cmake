# Tests of te-exec's driver, included by CMakeLists.txt.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

te_runtime_test(exec
  ExecCompare.cpp
  ExecDriver.cpp
  ExecNpy.cpp
  ExecRandom.cpp
  ExecSafetensors.cpp
)
target_link_libraries(te_runtime_exec_test PRIVATE
  te_exec_driver te_plan_schema nlohmann_json::nlohmann_json)
