//===- LayoutAssignmentTest.cpp - against exhaustive search ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LayoutAssignment.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

using namespace mlir::te;

namespace {
bool isAllowed(const LayoutGraph &graph, const LayoutLabels &labels) {
  for (size_t v = 0; v < labels.size(); ++v)
    if (!(graph.allowed[v] >> labels[v] & 1))
      return false;
  return true;
}

int64_t searchLeastCost(const LayoutGraph &graph) {
  int64_t least = std::numeric_limits<int64_t>::max();
  LayoutLabels labels(graph.allowed.size());
  for (unsigned bits = 0; bits < 1u << labels.size(); ++bits) {
    for (size_t v = 0; v < labels.size(); ++v)
      labels[v] = bits >> v & 1;
    if (isAllowed(graph, labels))
      least = std::min(least, getConversionCost(graph, labels));
  }
  return least;
}

/// Variables, flows of one to four readers, costs of which many are equal.
LayoutGraph makeRandomGraph(std::mt19937 &random) {
  auto below = [&](unsigned n) { return unsigned(random() % n); };
  LayoutGraph graph;
  unsigned variables = 1 + below(10);
  for (unsigned v = 0; v < variables; ++v)
    graph.allowed.push_back(below(2) ? uint8_t(LayoutGraph::kAny)
                                     : uint8_t(1 + below(2)));
  for (unsigned f = below(10); f > 0; --f) {
    LayoutGraph::Flow flow{below(variables), {}, int64_t(below(6))};
    for (unsigned r = 1 + below(4); r > 0; --r)
      flow.readers.push_back(below(variables));
    graph.flows.push_back(flow);
  }
  return graph;
}

/// The first layout that each variable may have, or the last.
LayoutLabels makeStart(const LayoutGraph &graph, bool last) {
  LayoutLabels labels;
  for (uint8_t allowed : graph.allowed)
    labels.push_back(last ? allowed >> 1 : !(allowed & 1));
  return labels;
}

TEST(LayoutAssignment, CostsNoMoreThanAnyOther) {
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    LayoutGraph graph = makeRandomGraph(random);
    LayoutLabels labels = assignLayouts(graph, makeStart(graph, i % 2));
    ASSERT_TRUE(isAllowed(graph, labels)) << "graph " << i;
    ASSERT_EQ(getConversionCost(graph, labels), searchLeastCost(graph))
        << "graph " << i;
  }
}

TEST(LayoutAssignment, LeavesWhatIsBest) {
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    LayoutGraph graph = makeRandomGraph(random);
    LayoutLabels labels = assignLayouts(graph, makeStart(graph, i % 2));
    ASSERT_EQ(assignLayouts(graph, labels), labels) << "graph " << i;
  }
}

TEST(LayoutAssignment, OneConversionServesAllReaders) {
  // A producer of layout 0 with three readers of layout 1: one conversion; with
  // a free producer, none.
  LayoutGraph graph;
  graph.allowed = {LayoutGraph::kFirst, LayoutGraph::kSecond,
                   LayoutGraph::kSecond, LayoutGraph::kSecond};
  graph.flows = {{0, {1, 2, 3}, 5}};
  EXPECT_EQ(getConversionCost(graph, assignLayouts(graph, {0, 1, 1, 1})), 5);
  graph.allowed[0] = LayoutGraph::kAny;
  EXPECT_EQ(assignLayouts(graph, {0, 1, 1, 1}), LayoutLabels({1, 1, 1, 1}));
}

TEST(LayoutAssignment, ConvertsWhereItIsCheapest) {
  // A chain from layout 0 to layout 1 by free variables: one cut, the cheapest.
  LayoutGraph graph;
  graph.allowed = {LayoutGraph::kFirst, LayoutGraph::kAny, LayoutGraph::kAny,
                   LayoutGraph::kSecond};
  graph.flows = {{0, {1}, 7}, {1, {2}, 3}, {2, {3}, 9}};
  EXPECT_EQ(assignLayouts(graph, {0, 0, 0, 1}), LayoutLabels({0, 0, 1, 1}));
}

TEST(LayoutAssignment, TakesLongChainsAndLargeCosts) {
  constexpr unsigned kLength = 20000;
  constexpr int64_t kCost = std::numeric_limits<int64_t>::max() / kLength / 2;
  LayoutGraph graph;
  graph.allowed.assign(kLength, LayoutGraph::kAny);
  graph.allowed.front() = LayoutGraph::kFirst;
  graph.allowed.back() = LayoutGraph::kSecond;
  for (unsigned v = 0; v + 1 < kLength; ++v)
    graph.flows.push_back({v, {v + 1}, v == 1234 ? kCost - 1 : kCost});
  LayoutLabels current(kLength);
  for (unsigned v = 0; v < kLength; ++v)
    current[v] = v + 1 == kLength;
  LayoutLabels labels = assignLayouts(graph, current);
  EXPECT_EQ(getConversionCost(graph, labels), kCost - 1);
}
} // namespace
