//===- link.cpp - how a rank reaches the others ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/link.h"
#include "common/numeric.h"
#include "cuda/nccl.h"

#include <cstdlib>
#include <cstring>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// Two events of a rank. Other ranks hold them too, and with them the GPU's
/// context: a rank that is done may go before the others have waited.
struct Events {
  const Driver &cu = driver();
  int gpu;
  Handle context = nullptr, ready = nullptr, done = nullptr;

  explicit Events(int gpu) : gpu(gpu) {}
  Events(const Events &) = delete;
  ~Events() {
    if (!context)
      return;
    cu.setContext(context);
    for (Handle event : {ready, done})
      if (event)
        cu.eventDestroy(event);
    cu.releaseContext(gpu);
  }
};

//===----------------------------------------------------------------------===//
// Ranks that read each other's memory
//===----------------------------------------------------------------------===//

class DirectLink final : public Link {
public:
  DirectLink(CudaDevice &device, int32_t ranks, int32_t rank,
             std::vector<std::shared_ptr<Events>> events)
      : Link(device, ranks, rank), events(std::move(events)) {}

  bool isDirect() const override { return true; }
  Outcome arrive() override { return record(events[rank]->ready); }
  Outcome gather(const Posts &posts,
                 std::vector<std::vector<const void *>> &pieces) override {
    for (const auto &theirs : events)
      TE_RT_TRY(wait(theirs->ready));
    pieces.assign(posts[rank]->parcels.size(), {});
    for (size_t p = 0; p < pieces.size(); ++p)
      for (const Post *post : posts)
        pieces[p].push_back(post->parcels[p].data);
    return {};
  }
  Outcome exchange(const void *, void *, size_t) override {
    return {TE_RT_INTERNAL, "exchange: found a direct link"};
  }
  Outcome depart() override { return record(events[rank]->done); }
  Outcome leave() override {
    for (const auto &theirs : events)
      TE_RT_TRY(wait(theirs->done));
    return {};
  }

private:
  Outcome record(Handle event) {
    if (device.isPreparing())
      return {};
    if (device.isCapturing())
      return {TE_RT_UNSUPPORTED,
              "graph: found ranks that read each other's memory, wanted a GPU "
              "for each rank (NCCL)"};
    return device.outcomeOf("cuEventRecord",
                            device.cuda().eventRecord(event, device.stream()));
  }
  Outcome wait(Handle event) {
    if (device.isPreparing())
      return {};
    return device.outcomeOf(
        "cuStreamWaitEvent",
        device.cuda().streamWait(device.stream(), event, 0));
  }

  std::vector<std::shared_ptr<Events>> events; // of all ranks
};

//===----------------------------------------------------------------------===//
// Ranks that send each other messages
//===----------------------------------------------------------------------===//

class NcclLink final : public Link {
public:
  NcclLink(te_rt_communicator &world, CudaDevice &device, int32_t ranks,
           int32_t rank)
      : Link(device, ranks, rank), world(world) {
    world.atAbort(rank, [this] { nccl.abort(); });
  }
  /// NCCL's own end waits for all ranks, so they meet here; one that comes to
  /// another call instead finds out, and so do the others.
  ~NcclLink() override {
    Post mine = {{"the end of a context", nullptr, {nullptr, 0}}, {}};
    bool together = world.open(rank, &mine);
    if (together) {
      for (int32_t r = 0; r < ranks; ++r)
        together &= !std::strcmp(
            static_cast<const Post *>(world.post(r))->meeting.function,
            mine.meeting.function);
      together = world.close(together);
    }
    world.atAbort(rank, nullptr);
    if (!together)
      nccl.abort();
  }

  Outcome join(const NcclId &id) { return nccl.join(id, ranks, rank); }

  bool isDirect() const override { return false; }
  Outcome gather(const Posts &posts,
                 std::vector<std::vector<const void *>> &pieces) override {
    const std::vector<Parcel> &mine = posts[rank]->parcels;
    auto rounded = [](size_t bytes) { return (bytes + 255) / 256 * 256; };
    size_t total = 0;
    for (const Parcel &parcel : mine)
      total += rounded(parcel.bytes);
    void *memory = nullptr;
    TE_RT_TRY(device.scratch(Use::Gathered, total * ranks, &memory));
    auto *next = static_cast<char *>(memory);
    std::vector<Message> messages;
    pieces.assign(mine.size(), std::vector<const void *>(ranks));
    for (size_t p = 0; p < mine.size(); ++p)
      for (int32_t r = 0; r < ranks; ++r) {
        pieces[p][r] = r == rank ? mine[p].data : next;
        if (r == rank)
          continue;
        messages.push_back({const_cast<void *>(mine[p].data), mine[p].bytes, r,
                            /*isSent=*/true});
        messages.push_back({next, mine[p].bytes, r, /*isSent=*/false});
        next += rounded(mine[p].bytes);
      }
    return enqueue(messages);
  }
  Outcome exchange(const void *from, void *to, size_t bytes) override {
    std::vector<Message> messages;
    for (int32_t r = 0; r < ranks; ++r) {
      if (r == rank)
        continue;
      size_t at = bytes * static_cast<size_t>(r);
      messages.push_back({static_cast<char *>(const_cast<void *>(from)) + at,
                          bytes, r, /*isSent=*/true});
      messages.push_back(
          {static_cast<char *>(to) + at, bytes, r, /*isSent=*/false});
    }
    return enqueue(messages);
  }
  void giveUp() override { nccl.abort(); }
  Outcome check() override {
    if (nccl.isAborted())
      return {TE_RT_INTERNAL, "communicator: found an abort by another rank, "
                              "wanted all ranks"};
    return {};
  }

private:
  Outcome enqueue(const std::vector<Message> &messages) {
    if (device.isPreparing())
      return {};
    device.enter();
    return nccl.enqueue(messages, device.stream());
  }

  te_rt_communicator &world;
  Nccl nccl;
};

/// What ranks tell each other when they first meet.
struct Introduction {
  std::shared_ptr<Events> events;
  NcclId id;
  Outcome outcome;
};

Outcome makeEvents(CudaDevice &device, std::shared_ptr<Events> &events) {
  const Driver &cu = device.cuda();
  events = std::make_shared<Events>(device.gpuHandle());
  TE_RT_TRY(device.outcomeOf("cuDevicePrimaryCtxRetain",
                             cu.retainContext(&events->context, events->gpu)));
  device.enter();
  for (Handle *event : {&events->ready, &events->done})
    TE_RT_TRY(device.outcomeOf("cuEventCreate",
                               cu.eventCreate(event, kEventWithoutTime)));
  return {};
}

Outcome seePeer(CudaDevice &device, const Events &peer) {
  if (peer.gpu == device.gpuHandle())
    return {};
  const Driver &cu = device.cuda();
  int can = 0;
  TE_RT_TRY(
      device.outcomeOf("cuDeviceCanAccessPeer",
                       cu.canAccessPeer(&can, device.gpuHandle(), peer.gpu)));
  if (!can)
    return {TE_RT_UNSUPPORTED, "ranks: found GPU " +
                                   std::to_string(device.gpuHandle()) +
                                   ", which cannot read the memory of GPU " +
                                   std::to_string(peer.gpu) +
                                   ", wanted a GPU for each rank (NCCL)"};
  device.enter();
  Result result = cu.enablePeer(peer.context, 0);
  return device.outcomeOf("cuCtxEnablePeerAccess",
                          result == kResultPeerEnabled ? 0 : result);
}

/// TE_RT_LINK=direct lets ranks of several GPUs read each other's memory too.
Outcome wantsDirect(bool &direct) {
  const char *value = std::getenv("TE_RT_LINK");
  std::string text = value ? value : "";
  if (!text.empty() && text != "direct" && text != "nccl")
    return {TE_RT_INVALID_ARGUMENT,
            "TE_RT_LINK: found '" + text + "', wanted direct or nccl"};
  direct = text == "direct";
  return {};
}

Outcome failed(const std::string &why) { return {TE_RT_INTERNAL, why}; }
} // namespace

Outcome Link::make(te_rt_communicator &world, int32_t rank, CudaDevice &device,
                   std::unique_ptr<Link> &link) {
  const char *aborted = "communicator: found a failure of another rank, wanted "
                        "all ranks";
  int32_t ranks = world.ranks();
  Introduction mine = {};
  mine.outcome = makeEvents(device, mine.events);
  if (!world.open(rank, &mine))
    return failed(aborted);
  std::vector<std::shared_ptr<Events>> events;
  Outcome outcome = mine.outcome;
  for (int32_t r = 0; r < ranks; ++r) {
    auto *theirs = static_cast<const Introduction *>(world.post(r));
    events.push_back(theirs->events);
  }
  bool direct = false;
  if (outcome.status == TE_RT_OK)
    outcome = wantsDirect(direct);
  direct |= ranks == 1;
  for (int32_t r = 0; r < ranks; ++r)
    for (int32_t s = 0; s < r; ++s)
      direct |= events[r]->gpu == events[s]->gpu;
  for (int32_t r = 0; direct && r < ranks && outcome.status == TE_RT_OK; ++r)
    outcome = seePeer(device, *events[r]);
  if (!world.close(outcome.status == TE_RT_OK))
    return outcome.status == TE_RT_OK ? failed(aborted) : outcome;
  if (direct) {
    link = std::make_unique<DirectLink>(device, ranks, rank, std::move(events));
    return {};
  }

  if (rank == 0)
    mine.outcome = Nccl::makeId(mine.id);
  if (!world.open(rank, &mine))
    return failed(aborted);
  Introduction first = *static_cast<const Introduction *>(world.post(0));
  auto made = std::make_unique<NcclLink>(world, device, ranks, rank);
  outcome = first.outcome;
  device.enter();
  if (outcome.status == TE_RT_OK)
    outcome = made->join(first.id);
  bool all = world.close(outcome.status == TE_RT_OK);
  if (!all && outcome.status == TE_RT_OK)
    outcome = failed(aborted);
  if (outcome.status == TE_RT_OK)
    link = std::move(made);
  else
    made->giveUp();
  return outcome;
}
