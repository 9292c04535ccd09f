# Tests of plans, included by CMakeLists.txt.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

te_runtime_test(plan PlanBranches.cpp PlanFuzz.cpp PlanRefuse.cpp PlanRun.cpp)
target_link_libraries(te_runtime_plan_test PRIVATE te_plan_schema GTest::gmock)
