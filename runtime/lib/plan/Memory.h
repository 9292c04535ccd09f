//===- Memory.h - aligned memory of the host --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_MEMORY_H
#define TE_RT_PLAN_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace te_rt::interp {

/// What arenas, workspaces and bound arguments are aligned to.
inline constexpr uint64_t memoryAlignment = 64;
/// What the data of constants is aligned to, as the schema says.
inline constexpr uint64_t constantAlignment = 32;

struct FreeMemory {
  void operator()(uint8_t *data) const { std::free(data); }
};
using Memory = std::unique_ptr<uint8_t[], FreeMemory>;

/// `bytes` of uninitialized memory, aligned; nullptr if there is not as much.
inline Memory allocateMemory(uint64_t bytes) {
  void *data = nullptr;
  if (posix_memalign(&data, memoryAlignment, bytes ? bytes : 1))
    return nullptr;
  return Memory(static_cast<uint8_t *>(data));
}

} // namespace te_rt::interp

#endif // TE_RT_PLAN_MEMORY_H
