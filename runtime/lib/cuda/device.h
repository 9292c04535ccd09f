//===- device.h - one GPU, one stream ----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_DEVICE_H
#define TE_RUNTIME_CUDA_DEVICE_H

#include "common/device.h"
#include "cuda/driver.h"

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

/// Returns from the function what `call`, an Outcome, tells of a failure.
#define TE_RT_TRY(call)                                                        \
  if (::te_rt::Outcome outcome = (call); outcome.status != TE_RT_OK)           \
  return outcome

namespace te_rt {
namespace cuda {

/// Scratch memory on the device, by use. Each grows when it must, never while a
/// graph is captured, and is kept.
enum class Use {
  Multipliers, // [groups] F32: scales chosen by a first pass
  Rows,        // I32: which token a row holds
  Partials,    // F32: sums of parts of rows
  Offsets,     // I32: offsets that came from the host
  MoreOffsets, // of a function that takes two
  Product,     // a product that is activated and cast
  Operands,    // operands of a product in a type that it takes
  Workspace,   // of cuBLASLt
  Groups,      // pointers and extents that its grouped matmul reads
  DecodedRows, // rows of a cast whose source no tile can make
  Gathered,    // what other ranks have sent
  Packed,      // rows to be sent back
  Returned,    // rows that came back
  Amaxes,      // F32: of all tensors of a reduction
  Count
};

/// Threads and blocks of a launch.
struct Grid {
  int64_t blocks;
  int threads;
  int shared = 0; // bytes of dynamic shared memory
  bool cooperative = false;
  /// The kernel may begin before the launch before has ended, and waits for that
  /// by itself (waitForLaunches).
  bool overlaps = false;
};

class Blas;
class Link;

class CudaDevice final : public Device {
public:
  static Outcome open(int32_t rank, std::unique_ptr<Device> &device);
  ~CudaDevice() override;

  bool isHost() const override { return false; }
  void *allocate(size_t bytes) override;
  void release(void *memory) override;
  int64_t peakBytes() const override { return peak; }
  Outcome copy(void *to, const void *from, size_t bytes) override;
  Outcome fill(void *memory, int byte, size_t bytes) override;
  Outcome synchronize() override;
  void *stream() override { return work; }
  Outcome useStream(void *stream) override;
  int32_t ordinal() const override { return number; }
  bool takeOverflow() override;
  void beginPreparing() override { preparing = true; }
  Outcome endPreparing() override;
  Outcome beginCapture() override;
  Outcome endCapture(void **graph) override;
  Outcome beginBranch(const std::vector<size_t> &after) override;
  Outcome endBranch() override;
  uint64_t takeShared() override { return std::exchange(shared, 0); }
  Outcome launchGraph(void *graph) override;
  void destroyGraph(void *graph) override;
  Outcome mark(size_t index) override;
  double nanosecondsBetween(size_t first, size_t second) override;
  Outcome measureLimits(te_rt_limits &limits) override;

  //===--------------------------------------------------------------------===//
  // What functions use
  //===--------------------------------------------------------------------===//

  /// Enqueues the kernel `name` with one argument, a struct of params.h.
  template <typename Params>
  Outcome launch(const char *name, const Grid &grid, const Params &params) {
    return launchRaw(name, grid, &params);
  }
  /// At least `bytes` of device memory. The same use of a later call may get the
  /// same memory: work is in order.
  Outcome scratch(Use use, size_t bytes, void **memory);
  /// A copy of `bytes` at `host` in device memory, for the kernels that are launched next;
  /// the same bytes have the same copy, so that a call that is repeated uploads
  /// nothing. Copies that a graph may read are kept for the life of the device, others
  /// until there are more than kMostTableBytes of them.
  Outcome table(const void *host, size_t bytes, const void **memory);
  /// Copies without waiting: `from` is device memory, or host memory that is
  /// read before the call returns.
  Outcome copyAsync(void *to, const void *from, size_t bytes);
  Outcome fillAsync(void *memory, int byte, size_t bytes);

  /// Until join(), work goes to the lane that enterLane names, of `count`: 0 is the
  /// stream, the others are streams beside it that begin behind what it holds.
  Outcome fork(int count);
  void enterLane(int lane) { work = lane ? lanes[lane - 1].stream : forked; }
  /// What follows on the stream waits for all lanes.
  Outcome join();

  bool isPreparing() const { return preparing; }
  bool isCapturing() const;
  int numSms() const { return smCount; }
  /// Of the compute capability: 9 on Hopper.
  int major() const { return majorVersion; }

  /// Words that every kernel leaves at zero: amaxes of groups, and counters of
  /// blocks that have finished.
  uint32_t *accumulators() { return tickets() + kTickets; }
  uint32_t *tickets() {
    shared |= uint64_t(1) << static_cast<int>(Use::Count);
    return counters;
  }
  int32_t *overflowFlag() const { return overflow; }
  static constexpr int64_t kTickets = 1 << 19, kAccumulators = 1 << 18;
  /// From here on tickets are for parts of the rows of a matrix.
  static constexpr int64_t kRowTickets = 16;
  /// The one that blocks draw tiles from.
  static constexpr int64_t kTileCounter = 3;
  /// Callers that come with other memory in each step make other tables.
  static constexpr size_t kMostTableBytes = size_t(64) << 20;

  Outcome outcomeOf(const char *what, Result result) const;
  /// Makes the GPU's context the calling thread's.
  void enter() const;
  /// Opened at the first product.
  Outcome blas(Blas **library);
  /// Made at the first call of all ranks, by all of them.
  Outcome link(te_rt_communicator &world, int32_t rank, Link **made);

  /// A kernel of this library; `isWanted`: by a call that prepared it.
  struct Kernel {
    std::string name;
    bool isWanted, isLaunched;
  };
  std::vector<Kernel> kernels() const;

  const Driver &cuda() const { return cu; }
  int gpuHandle() const { return gpu; }

private:
  explicit CudaDevice(int number);
  Outcome start();
  Outcome index(Handle module);
  Outcome launchRaw(const char *name, const Grid &grid, const void *params);
  Outcome dropTables();

  const Driver &cu = driver();
  const int number; // of the GPU, in CUDA's order
  int gpu = 0;      // its CUdevice
  int smCount = 0, majorVersion = 0;
  std::string gpuName;
  Handle context = nullptr;
  Handle own = nullptr, work = nullptr; // work: own, or the caller's stream
  struct Lane {
    Handle stream = nullptr, done = nullptr; // done: an event
  };
  std::vector<Lane> lanes;
  Handle forked = nullptr, forkEvent = nullptr; // forked: the stream that is lane 0
  size_t inUse = 0;                             // lanes of the fork that is open
  Handle replays = nullptr; // of a capture: the stream that is to replay it
  std::vector<Handle> modules; // one for each file of kernels
  uint32_t *counters = nullptr;
  int32_t *overflow = nullptr;
  bool preparing = false;
  struct Block {
    void *memory = nullptr;
    size_t bytes = 0;
  };
  Block scratches[static_cast<size_t>(Use::Count)];
  struct Table {
    void *memory = nullptr;
    uint64_t launch = 0; // the number of the one that it was last asked for
    bool inGraph = false;
  };
  std::unordered_map<std::string, Table> tables;
  size_t tableBytes = 0; // of those in no graph
  uint64_t launches = 0;
  struct Function {
    Handle module = nullptr, handle = nullptr; // handle: once it is wanted
    int shared = 0;
    bool isLaunched = false;
  };
  std::unordered_map<std::string, Function> functions;
  std::vector<Handle> events;
  std::unordered_map<void *, size_t> allocated; // bytes of each allocation
  int64_t held = 0, peak = 0;                   // bytes of all of them
  uint64_t shared = 0;                    // a bit for each Use, one for the counters
  std::vector<std::vector<Handle>> ends; // of each captured call: its last nodes
  std::unique_ptr<Blas> blasLibrary;
  std::unique_ptr<Link> linkToOthers;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_DEVICE_H
