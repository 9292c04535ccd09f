//===- Session.h - a program made ready to run ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All that does not change from run to run is resolved when the session is
// made: each use of a tensor has a descriptor of its own, which a call reads in
// place. A run writes only the addresses that move with a loop's counter.
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_SESSION_H
#define TE_RT_PLAN_SESSION_H

#include "common/context.h"
#include "plan/Branches.h"
#include "plan/Dlpack.h"
#include "plan/Plan.h"

#include <chrono>
#include <functional>

namespace te_rt::interp {

/// A call whose operands stand in Session's arrays.
struct ReadyCall {
  const Call *call;
  uint32_t operands;               // the first of the function's parameters
  uint32_t movingBegin, movingEnd; // uses whose address a loop moves
};

struct ReadyStep {
  bool isLoop;
  ReadyCall call;
  uint64_t tripCount;
  std::vector<ReadyStep> body;
};

class Session {
public:
  /// Allocates all memory. Throws std::bad_alloc, or OutOfMemory with the
  /// number of bytes.
  Session(te_rt_context *context, const te_rt_plan &plan,
          const Program &program);

  te_rt_status bind(int32_t argument, void *data, int64_t bytes);
  /// Binds a tensor of DLPack, and calls `release` once it is not used any more.
  /// The caller keeps it where this fails.
  te_rt_status bindShared(int32_t argument, const dl::Tensor &tensor,
                          uint64_t flags, std::function<void()> release);
  /// Allocates what runs on the present bindings need.
  te_rt_status prepare();
  te_rt_status findWorkspace(int32_t workspace, void **data) const;
  te_rt_status run();
  /// From the next run on, a run is one launch of a graph, in which calls follow those
  /// alone that they must, or with `inOrder` the one before.
  void useGraph(bool enable, bool inOrder);
  ~Session();

  te_rt_context *const context;
  te_rt_observer observer = nullptr;
  void *observerUser = nullptr;
  int32_t poison = -1;

private:
  struct ReadyUse {
    uint32_t descriptor;
    const Tensor *tensor;
  };
  struct Binding {
    uint8_t *data = nullptr;
    bool bound = false;
    std::vector<ReadyUse> uses;    // those that no loop moves
    std::function<void()> release; // of shared memory
  };

  /// Memory of the context's device.
  struct Release {
    Device *device;
    void operator()(uint8_t *memory) const { device->release(memory); }
  };
  using DeviceMemory = std::unique_ptr<uint8_t[], Release>;

  void allocate();
  DeviceMemory take(const char *kind, const char *name, uint64_t bytes) const;
  void countUses(const std::vector<Step> &steps, size_t &uses,
                 size_t &operands) const;
  void prepare(const std::vector<Step> &source, std::vector<ReadyStep> &target);
  ReadyCall prepareCall(const Call &call);
  /// Where a tensor lies at the loops' first iteration; nullptr while its
  /// argument is not bound.
  uint8_t *address(const Tensor &tensor) const;
  te_rt_status verifyArgument(int32_t argument) const;
  te_rt_status verifyBindings();
  /// Gives shared memory back, once no work uses it.
  void release(Binding &binding);
  /// Checks the arguments of each call, once and for all runs.
  te_rt_status checkCalls();
  te_rt_status checkSteps(const std::vector<ReadyStep> &steps, size_t depth);
  /// Makes what the calls will need, on the host or by the device.
  void prepareHost();
  te_rt_status prepareDevice();
  te_rt_status runAll();
  te_rt_status capture();
  void dropGraph();
  /// Tells the observer of calls whose times a device has taken.
  void tellTimes();
  /// A call of this run, and how it went.
  struct ToldCall {
    const Call *call;
    std::string variant;
    double predictedNs;
  };
  void tell(const ToldCall &told, int64_t begin, int64_t end);
  te_rt_dtype dtypeOf(const Call &call) const;
  /// What was predicted of the call that has run, the way that it went; 0 is
  /// unknown.
  double predictedOf(const Call &call) const;
  te_rt_status runSteps(const std::vector<ReadyStep> &steps, size_t depth);
  te_rt_status runCall(const ReadyCall &ready);
  te_rt_status invoke(const ReadyCall &ready);
  void moveDescriptors(const ReadyCall &ready);
  te_rt_status describeFailure(const Call &call, te_rt_status status);
  te_rt_status captureCall(const ReadyCall &ready);

  const te_rt_plan &plan;
  const Program &program;
  DeviceMemory arena;
  std::vector<DeviceMemory> workspaces, constants; // constants: of a device
  Memory hostArena; // for what lies on the host, where the arena does not
  bool graphWanted = false;
  void *graph = nullptr;
  bool inOrder = false; // calls of the graph one after the other
  Branches branches;    // of a capture, unless inOrder
  bool isBranching = false;
  size_t numCaptured = 0; // calls so far
  std::vector<uint64_t> shared; // of each call of a run: Device::takeShared
  std::vector<ToldCall> timed; // calls of this run, with a mark on each side
  std::vector<Binding> bindings;
  bool bindingsVerified = false;
  std::vector<te_rt_tensor> descriptors;
  std::vector<Operand> operands;
  std::vector<ReadyUse> moving; // by loops, in order of the calls
  std::vector<ReadyStep> steps;
  bool isPreparing = false;
  std::vector<uint64_t> counters; // of the loops around, outermost first
  std::chrono::steady_clock::time_point runBegan;
};

/// An allocation that failed; what() tells its name and size.
struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace te_rt::interp

#endif // TE_RT_PLAN_SESSION_H
