# Tests of te-exec's driver.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

find_package(GTest REQUIRED)
include(GoogleTest)

add_executable(te-exec-tests
  ExecCompare.cpp
  ExecDriver.cpp
  ExecNpy.cpp
  ExecRandom.cpp
  ExecSafetensors.cpp
)
target_link_libraries(te-exec-tests PRIVATE
  te_exec_driver te_plan_schema nlohmann_json::nlohmann_json GTest::gtest_main)
gtest_discover_tests(te-exec-tests)
