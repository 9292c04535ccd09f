//===- PlanBranches.cpp - which calls wait for which ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Branches.h"

#include <gmock/gmock.h>

using te_rt::interp::Branches;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

constexpr bool kRead = false, kWrite = true;

TEST(Branches, FollowWhatWritesAndWhatReadsWhatTheyWrite) {
  Branches branches;
  EXPECT_THAT(branches.add({{0, 64, kWrite}}, 0), IsEmpty());
  EXPECT_THAT(branches.add({{0, 64, kRead}, {64, 128, kWrite}}, 0),
              ElementsAre(0));
  EXPECT_THAT(branches.add({{32, 64, kRead}, {128, 192, kWrite}}, 0),
              ElementsAre(0));
  // Written again: behind the writer and the readers.
  EXPECT_THAT(branches.add({{63, 64, kWrite}}, 0), ElementsAre(0, 1, 2));
}

TEST(Branches, ReadersOfOneTensorAndNeighboursAreIndependent) {
  Branches branches;
  EXPECT_THAT(branches.add({{0, 64, kRead}, {64, 128, kWrite}}, 0), IsEmpty());
  EXPECT_THAT(branches.add({{0, 64, kRead}, {128, 192, kWrite}}, 0), IsEmpty());
  // Of no bytes.
  EXPECT_THAT(branches.add({{96, 96, kWrite}}, 0), IsEmpty());
}

TEST(Branches, ThoseThatShareMemoryKeepTheirOrder) {
  Branches branches;
  EXPECT_THAT(branches.add({{0, 64, kWrite}}, 1), IsEmpty());
  EXPECT_THAT(branches.add({{64, 128, kWrite}}, 2), IsEmpty());
  EXPECT_THAT(branches.add({{128, 192, kWrite}}, 3), ElementsAre(0, 1));
  branches.clear();
  EXPECT_THAT(branches.add({{0, 64, kRead}}, 3), IsEmpty());
}

} // namespace
