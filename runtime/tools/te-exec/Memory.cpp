//===- Memory.cpp - memory of arguments -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Memory.h"
#include "Error.h"
#include "Random.h"

#include <algorithm>
#include <sys/mman.h>
#include <tuple>

using namespace te::exec;

Buffer::Buffer(int64_t bytes, const std::string &what) {
  // An empty tensor has an address too.
  length = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  void *mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    fail(what, ": out of memory: wanted ", bytes, " bytes");
  pages = static_cast<char *>(mapped);
}

Buffer &Buffer::operator=(Buffer &&other) noexcept {
  std::swap(pages, other.pages);
  std::swap(length, other.length);
  return *this;
}

Buffer::~Buffer() {
  if (pages)
    munmap(pages, length);
}

void InputData::fill(const Argument &argument, char *data) const {
  for (const Leaf &leaf : argument.leaves) {
    if (progress)
      progress->showInput(leaf.name);
    if (inputs.read(leaf, data + leaf.offset))
      continue;
    RandomSpec spec{leaf.type, argument.init, argument.deviation,
                    argument.numExperts};
    fillRandom(RandomStream(options.seed, rank, leaf.name), spec,
               options.routing, leaf.name, data + leaf.offset, threads);
    if (options.specials)
      addSpecials(RandomStream(options.seed, rank, leaf.name), spec,
                  data + leaf.offset);
  }
}

ConstantInputs::ConstantInputs(const std::vector<const Program *> &programs,
                               const InputData &data) {
  // Packed ones first: separate ones then find their place in them.
  std::vector<std::tuple<int64_t, size_t, size_t>> order;
  for (size_t p = 0; p < programs.size(); ++p)
    for (size_t i = 0; i < programs[p]->arguments.size(); ++i)
      if (programs[p]->arguments[i].isConstant())
        order.emplace_back(
            -static_cast<int64_t>(programs[p]->arguments[i].leaves.size()), p,
            i);
  std::sort(order.begin(), order.end());
  for (auto [leafCount, p, i] : order) {
    const Argument &argument = programs[p]->arguments[i];
    char *memory = reuse(argument);
    if (!memory) {
      buffers.emplace_back(argument.bytes, "argument " + argument.name);
      memory = buffers.back().data();
      data.fill(argument, memory);
      for (const Leaf &leaf : argument.leaves)
        leaves.emplace(leaf.name, memory + leaf.offset);
    }
    places[{programs[p], i}] = memory;
  }
}

/// Memory that already holds the leaves of `argument` in its order, if any.
char *ConstantInputs::reuse(const Argument &argument) const {
  char *memory = nullptr;
  bool inOrder = true;
  for (const Leaf &leaf : argument.leaves) {
    auto found = leaves.find(leaf.name);
    if (found == leaves.end()) {
      inOrder = false;
      continue;
    }
    char *start = found->second - leaf.offset;
    if (!memory)
      memory = start;
    inOrder &= memory == start;
  }
  // What te_rt_session_bind asks for.
  constexpr uintptr_t alignment = 64;
  bool aligned = reinterpret_cast<uintptr_t>(memory) % alignment == 0;
  return inOrder && aligned ? memory : nullptr;
}
