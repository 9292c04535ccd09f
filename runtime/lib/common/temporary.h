//===- temporary.h - memory until a function returns ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the functions of the host need beside their arguments lies on a stack
// that is as large as it must be before the first step, so that none allocates.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_TEMPORARY_H
#define TE_RUNTIME_COMMON_TEMPORARY_H

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace te_rt {

/// The memory of one thread.
class TempStack {
public:
  /// From now on at least `bytes`; nothing may lie on it. Throws
  /// std::bad_alloc.
  void reserve(size_t bytes);

  /// Memory aligned for any type; nullptr if there is not as much.
  void *take(size_t bytes);
  /// Whether `memory` is of this stack, which then takes it back.
  bool giveBack(void *memory, size_t bytes);

  /// While it lives, temporaries of the calling thread lie on `stack`; then all
  /// of them are gone.
  class Scope {
  public:
    explicit Scope(TempStack &stack);
    ~Scope();
    Scope(const Scope &) = delete;

  private:
    TempStack &stack, *outer;
    size_t base, live;
  };
  /// That of the calling thread, or nullptr.
  static TempStack *current();

private:
  std::unique_ptr<char[]> memory;
  size_t capacity = 0, top = 0;
  size_t base = 0, live = 0; // of the innermost scope, in use since it began
};

/// On the thread's stack where there is room, else on the heap.
template <typename T> struct TempAllocator {
  using value_type = T;
  TempAllocator() = default;
  template <typename U> TempAllocator(const TempAllocator<U> &) {}

  T *allocate(size_t count) {
    if (count > size_t(-1) / sizeof(T))
      throw std::bad_alloc();
    if (TempStack *stack = TempStack::current())
      if (void *memory = stack->take(count * sizeof(T)))
        return static_cast<T *>(memory);
    return static_cast<T *>(::operator new(count * sizeof(T)));
  }
  void deallocate(T *memory, size_t count) {
    TempStack *stack = TempStack::current();
    if (!stack || !stack->giveBack(memory, count * sizeof(T)))
      ::operator delete(memory);
  }
  template <typename U> bool operator==(const TempAllocator<U> &) const {
    return true;
  }
  template <typename U> bool operator!=(const TempAllocator<U> &) const {
    return false;
  }
};

/// A vector that goes where it was made: on the same thread, before the
/// function of the runtime returns.
template <typename T> using TempVector = std::vector<T, TempAllocator<T>>;

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_TEMPORARY_H
