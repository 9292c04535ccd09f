//===- temporary.cpp - memory until a function returns --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/temporary.h"

#include <functional>

using namespace te_rt;

static thread_local TempStack *currentStack = nullptr;

TempStack *TempStack::current() { return currentStack; }

static size_t rounded(size_t bytes) {
  return (bytes + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) *
         alignof(std::max_align_t);
}

void TempStack::reserve(size_t bytes) {
  if (bytes <= capacity)
    return;
  memory.reset(); // first, so that both never exist at once
  capacity = 0;
  memory.reset(new char[bytes]); // not touched: no pages yet
  capacity = bytes;
}

// On the heap AddressSanitizer watches each temporary by itself.
#if defined(__SANITIZE_ADDRESS__)
static constexpr bool isWatched = true;
#elif defined(__has_feature)
static constexpr bool isWatched = __has_feature(address_sanitizer);
#else
static constexpr bool isWatched = false;
#endif

void *TempStack::take(size_t bytes) {
  size_t size = rounded(bytes);
  if (isWatched || size < bytes || size > capacity - top)
    return nullptr;
  void *taken = memory.get() + top;
  top += size;
  ++live;
  return taken;
}

bool TempStack::giveBack(void *taken, size_t bytes) {
  char *begin = static_cast<char *>(taken);
  if (std::less<>()(begin, memory.get()) ||
      !std::less<>()(begin, memory.get() + capacity))
    return false;
  // What lies below the top stays until all above it, or all of the scope,
  // went.
  if (--live == 0)
    top = base;
  else if (begin + rounded(bytes) == memory.get() + top)
    top = size_t(begin - memory.get());
  return true;
}

TempStack::Scope::Scope(TempStack &stack)
    : stack(stack), outer(currentStack), base(stack.base), live(stack.live) {
  stack.base = stack.top;
  stack.live = 0;
  currentStack = &stack;
}

TempStack::Scope::~Scope() {
  stack.top = stack.base;
  stack.base = base;
  stack.live = live;
  currentStack = outer;
}
