//===- context.h - contexts and the tables of backends ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_CONTEXT_H
#define TE_RUNTIME_COMMON_CONTEXT_H

#include "common/device.h"
#include "common/thread_pool.h"
#include "product_ways.h"
#include "te_runtime/activation.h"
#include "te_runtime/gemm.h"
#include "te_runtime/layout.h"
#include "te_runtime/quantize.h"
#include "te_runtime/routing.h"

#include <memory>
#include <sstream>
#include <string>

namespace te_rt {

/// One backend: a function for each line of functions.def, called with
/// arguments that have passed check.h.
struct BackendTable {
#define TE_RT_FUNCTION(name) decltype(&te_rt_##name) name;
#include "common/functions.def"
  /// Opens what calls will need of the machine; nullptr where that is nothing.
  void (*prepare)(te_rt_context *context) = nullptr;
};

/// Memory that grows and is kept from call to call, 64-byte aligned and not
/// initialized.
class Scratch {
public:
  /// At least `bytes`, valid until the next call. Throws std::bad_alloc.
  void *get(size_t bytes);

private:
  struct Free {
    void operator()(void *memory) const;
  };
  std::unique_ptr<void, Free> memory;
  size_t capacity = 0;
};

/// Names for the scratches of a context: one function uses each at most once at
/// a time.
enum ScratchUse {
  kScratchLhs,
  kScratchRhs,
  kScratchTiles,
  kScratchRows,
  kScratchTransform,
  kScratchProduct,
  kNumScratches
};

/// The most elements that a function of the host computes at a time.
inline constexpr int64_t kLargestTile = 1 << 17;

} // namespace te_rt

struct te_rt_context {
  explicit te_rt_context(int32_t threads) : pool(threads) {}

  template <typename T> T *scratch(te_rt::ScratchUse use, size_t count) {
    return static_cast<T *>(scratches[use].get(count * sizeof(T)));
  }
  /// Allocates what calls on these will need: the largest matrix has `elements`,
  /// the extents of all tensors of a call sum to at most `extents`, of `tensors`.
  /// Throws std::bad_alloc.
  void reserve(int64_t elements, int64_t extents, int64_t tensors);

  /// Records the message and returns `status`.
  template <typename... Parts>
  te_rt_status fail(te_rt_status status, const Parts &...parts) {
    std::ostringstream text;
    text << function << ": ";
    (text << ... << parts);
    message = text.str();
    return status;
  }

  /// Records what a device said, and returns its status.
  te_rt_status finish(const te_rt::Outcome &outcome) {
    return outcome.status == TE_RT_OK ? TE_RT_OK
                                      : fail(outcome.status, outcome.message);
  }

  /// What a function does with its arguments: check them and run, check them
  /// alone, or run on those that have been checked.
  enum class Checks { AndRun, Alone, Done };

  Checks checks = Checks::AndRun;
  const te_rt::BackendTable *backend = nullptr;
  std::unique_ptr<te_rt::Device> device;
  te_rt::ThreadPool pool;
  te_rt_communicator *communicator = nullptr;
  int32_t rank = 0;
  const char *function = ""; // the one that runs now, without the te_rt_
  std::string message;
  bool overflow = false;
  /// How products go: as the caller wants it, else as it was chosen for the call.
  te_rt_products products = TE_RT_PRODUCTS_PLANNED;
  int32_t libraryStreams = 0;
  te::products::Way planned = te::products::Way::Unset;
  /// How the last call went, of a function that has several ways: way:detail.
  std::string variant;
  te::products::Way went = te::products::Way::Unset;
  /// Whether that is how it was chosen for it, which is what was predicted.
  bool wentAsPlanned = true;
  te_rt::Scratch scratches[te_rt::kNumScratches];
};

#endif // TE_RUNTIME_COMMON_CONTEXT_H
