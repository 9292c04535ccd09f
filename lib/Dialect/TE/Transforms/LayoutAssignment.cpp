//===- LayoutAssignment.cpp - which of two layouts each value has ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A variable on the side of the source has layout 0, on that of the sink 1.
// Each flow of cost c has two nodes between its producer p and its readers r:
//
//   p --c--> a --inf--> each r    cut where p has 0 and some reader 1
//   each r --inf--> b --c--> p    cut where p has 1 and some reader 0
//
//===----------------------------------------------------------------------===//

#include "LayoutAssignment.h"

#include "te/Support/Assert.h"

#include <algorithm>
#include <limits>
#include <numeric>

using namespace mlir::te;

namespace {
/// Maximum flow by Dinic's algorithm.
class Network {
public:
  explicit Network(unsigned nodes) : edgesOf(nodes) {}

  unsigned addNode() {
    edgesOf.emplace_back();
    return edgesOf.size() - 1;
  }
  void addEdge(unsigned from, unsigned to, int64_t capacity) {
    edgesOf[from].push_back(edges.size());
    edges.push_back({to, capacity});
    edgesOf[to].push_back(edges.size());
    edges.push_back({from, 0});
  }
  void saturate(unsigned source, unsigned sink) {
    while (findLevels(sink, source)) {
      next.assign(edgesOf.size(), 0);
      while (push(source, sink, std::numeric_limits<int64_t>::max()))
        continue;
    }
  }
  /// After `saturate`: whether `node` can still reach the sink, so that it lies
  /// on the sink's side of each minimum cut.
  bool reachesSink(unsigned node) const { return level[node] >= 0; }

private:
  struct Edge {
    unsigned to;
    int64_t capacity;
  };

  /// Distances to the sink; false if the source has none.
  bool findLevels(unsigned sink, unsigned source) {
    level.assign(edgesOf.size(), -1);
    level[sink] = 0;
    std::vector<unsigned> queue = {sink};
    for (size_t i = 0; i < queue.size(); ++i)
      for (unsigned e : edgesOf[queue[i]]) {
        unsigned from = edges[e].to; // e ^ 1 leads from there to here
        if (edges[e ^ 1].capacity == 0 || level[from] >= 0)
          continue;
        level[from] = level[queue[i]] + 1;
        queue.push_back(from);
      }
    return level[source] >= 0;
  }

  /// Pushes along one shortest path, on a stack of its own: paths are as long
  /// as the chains of the program.
  int64_t push(unsigned source, unsigned sink, int64_t limit) {
    std::vector<unsigned> path;
    unsigned node = source;
    while (node != sink) {
      if (next[node] < edgesOf[node].size()) {
        unsigned e = edgesOf[node][next[node]];
        if (edges[e].capacity > 0 && level[edges[e].to] == level[node] - 1) {
          path.push_back(e);
          node = edges[e].to;
          continue;
        }
        ++next[node];
        continue;
      }
      if (path.empty())
        return 0;
      node = edges[path.back() ^ 1].to;
      ++next[node];
      path.pop_back();
    }
    for (unsigned e : path)
      limit = std::min(limit, edges[e].capacity);
    for (unsigned e : path) {
      edges[e].capacity -= limit;
      edges[e ^ 1].capacity += limit;
    }
    return limit;
  }

  std::vector<std::vector<unsigned>> edgesOf;
  std::vector<Edge> edges; // each followed by its reverse
  std::vector<int> level;
  std::vector<size_t> next;
};

/// Variables and flows that are connected.
struct Component {
  std::vector<unsigned> variables, flows;
};

std::vector<Component> getComponents(const LayoutGraph &graph) {
  std::vector<unsigned> parent(graph.allowed.size());
  std::iota(parent.begin(), parent.end(), 0u);
  auto find = [&](unsigned v) {
    while (parent[v] != v)
      v = parent[v] = parent[parent[v]];
    return v;
  };
  for (const LayoutGraph::Flow &flow : graph.flows)
    for (unsigned reader : flow.readers)
      parent[find(reader)] = find(flow.producer);

  constexpr unsigned kNone = ~0u;
  std::vector<unsigned> indexOf(parent.size(), kNone);
  std::vector<Component> components;
  for (unsigned v = 0; v < parent.size(); ++v) {
    unsigned &index = indexOf[find(v)];
    if (index == kNone) {
      index = components.size();
      components.emplace_back();
    }
    components[index].variables.push_back(v);
  }
  for (unsigned f = 0; f < graph.flows.size(); ++f)
    components[indexOf[find(graph.flows[f].producer)]].flows.push_back(f);
  return components;
}

int64_t getFlowCost(const LayoutGraph::Flow &flow, const LayoutLabels &labels) {
  return std::any_of(flow.readers.begin(), flow.readers.end(),
                     [&](unsigned reader) {
                       return labels[reader] != labels[flow.producer];
                     })
             ? flow.cost
             : 0;
}

int64_t getCost(const LayoutGraph &graph, const Component &component,
                const LayoutLabels &labels) {
  int64_t cost = 0;
  for (unsigned f : component.flows)
    cost += getFlowCost(graph.flows[f], labels);
  return cost;
}

/// Sets the labels of a component to an assignment of least cost.
void solve(const LayoutGraph &graph, const Component &component,
           LayoutLabels &labels) {
  enum : unsigned { kSource, kSink };
  Network network(2 + component.variables.size());
  // Variables ascend, so a search finds the node of one.
  auto node = [&](unsigned variable) -> unsigned {
    auto it = std::lower_bound(component.variables.begin(),
                               component.variables.end(), variable);
    return 2 + (it - component.variables.begin());
  };
  int64_t infinite = 1;
  for (unsigned f : component.flows)
    infinite += graph.flows[f].cost;

  for (unsigned v : component.variables) {
    if (graph.allowed[v] == LayoutGraph::kFirst)
      network.addEdge(kSource, node(v), infinite);
    if (graph.allowed[v] == LayoutGraph::kSecond)
      network.addEdge(node(v), kSink, infinite);
  }
  for (unsigned f : component.flows) {
    const LayoutGraph::Flow &flow = graph.flows[f];
    unsigned a = network.addNode(), b = network.addNode();
    network.addEdge(node(flow.producer), a, flow.cost);
    network.addEdge(b, node(flow.producer), flow.cost);
    for (unsigned reader : flow.readers) {
      network.addEdge(a, node(reader), infinite);
      network.addEdge(node(reader), b, infinite);
    }
  }
  network.saturate(kSource, kSink);
  for (unsigned v : component.variables)
    labels[v] = network.reachesSink(node(v));
}
} // namespace

int64_t mlir::te::getConversionCost(const LayoutGraph &graph,
                                    const LayoutLabels &labels) {
  int64_t cost = 0;
  for (const LayoutGraph::Flow &flow : graph.flows)
    cost += getFlowCost(flow, labels);
  return cost;
}

LayoutLabels mlir::te::assignLayouts(const LayoutGraph &graph,
                                     const LayoutLabels &current) {
  LayoutLabels labels = current;
  for (const Component &component : getComponents(graph)) {
    int64_t cost = getCost(graph, component, current);
    if (cost == 0)
      continue;
    solve(graph, component, labels);
    TE_ASSERT(getCost(graph, component, labels) <= cost,
              "a minimum cut costs no more than what is there");
    if (getCost(graph, component, labels) == cost)
      for (unsigned v : component.variables)
        labels[v] = current[v];
  }
  return labels;
}
