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

/// What ranks tell each other to make links.
struct Introduction : Post {
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

/// This GPU may read the memory of that rank's from now on.
Outcome enablePeer(CudaDevice &device, const Events &peer) {
  if (peer.gpu == device.gpuHandle())
    return {};
  device.enter();
  Result result = device.cuda().enablePeer(peer.context, 0);
  return device.outcomeOf("cuCtxEnablePeerAccess",
                          result == kResultPeerEnabled ? 0 : result);
}

/// TE_RT_LINK=nccl takes NCCL for all work.
Outcome readChoice(bool &onlyNccl) {
  const char *value = std::getenv("TE_RT_LINK");
  std::string text = value ? value : "";
  if (!text.empty() && text != "direct" && text != "nccl")
    return {TE_RT_INVALID_ARGUMENT,
            "TE_RT_LINK: found '" + text + "', wanted direct or nccl"};
  onlyNccl = text == "nccl";
  return {};
}

/// A meeting to make links, in which body(posts) is called.
template <typename Body>
Outcome introduce(te_rt_communicator &world, int32_t rank, Introduction &mine,
                  Body body) {
  const Outcome others = {TE_RT_INTERNAL,
                          "communicator: found a failure of another rank, "
                          "wanted all ranks"};
  if (!world.open(rank, static_cast<Post *>(&mine)))
    return others;
  std::vector<const Introduction *> posts;
  Outcome outcome = mine.outcome;
  for (int32_t r = 0; r < world.ranks(); ++r) {
    auto *post = static_cast<const Post *>(world.post(r));
    if (std::strcmp(post->meeting.function, mine.meeting.function))
      outcome = {TE_RT_INVALID_ARGUMENT,
                 "rank " + std::to_string(r) + ": found " +
                     post->meeting.function + ", wanted " +
                     mine.meeting.function + " as on rank " +
                     std::to_string(rank)};
    else
      posts.push_back(static_cast<const Introduction *>(post));
  }
  if (outcome.status == TE_RT_OK)
    outcome = body(posts);
  bool all = world.close(outcome.status == TE_RT_OK);
  return outcome.status == TE_RT_OK && !all ? others : outcome;
}
} // namespace

/// What the first meeting tells.
struct cuda::Neighbours {
  std::vector<std::shared_ptr<Events>> events; // of all ranks
  bool seeEachOther = true;                    // all GPUs
  bool apart = true;                           // a GPU for each rank
  bool onlyNccl = false;
};

Links::Links(te_rt_communicator &world, int32_t rank, CudaDevice &device)
    : world(world), rank(rank), device(device) {}
Links::~Links() = default;

Outcome Links::meetNeighbours() {
  auto made = std::make_unique<Neighbours>();
  Introduction mine = {};
  mine.meeting.function = "the making of a link";
  mine.outcome = readChoice(made->onlyNccl);
  if (mine.outcome.status == TE_RT_OK)
    mine.outcome = makeEvents(device, mine.events);
  TE_RT_TRY(introduce(world, rank, mine, [&](const auto &posts) -> Outcome {
    for (const Introduction *post : posts)
      made->events.push_back(post->events);
    // Of all pairs, so that all ranks find the same.
    for (const auto &one : made->events)
      for (const auto &other : made->events) {
        if (one == other)
          continue;
        made->apart &= one->gpu != other->gpu;
        int can = 1;
        if (one->gpu != other->gpu)
          TE_RT_TRY(device.outcomeOf(
              "cuDeviceCanAccessPeer",
              device.cuda().canAccessPeer(&can, one->gpu, other->gpu)));
        made->seeEachOther &= can != 0;
      }
    for (const auto &peer : made->events)
      if (made->seeEachOther)
        TE_RT_TRY(enablePeer(device, *peer));
    return {};
  }));
  neighbours = std::move(made);
  return {};
}

Outcome Links::joinNccl() {
  Introduction mine = {};
  mine.meeting.function = "the making of a link of NCCL";
  if (rank == 0)
    mine.outcome = Nccl::makeId(mine.id);
  auto made = std::make_unique<NcclLink>(world, device, world.ranks(), rank);
  Outcome outcome =
      introduce(world, rank, mine, [&](const auto &posts) -> Outcome {
        // Said by rank 0 alone, whose reason is everybody's.
        TE_RT_TRY(posts[0]->outcome);
        device.enter();
        return made->join(posts[0]->id);
      });
  if (outcome.status == TE_RT_OK)
    nccl = std::move(made);
  else
    made->giveUp();
  return outcome;
}

Outcome Links::get(bool forGraph, Link **link) {
  if (!neighbours)
    TE_RT_TRY(meetNeighbours());
  const Neighbours &all = *neighbours;
  bool alone = world.ranks() == 1;
  bool wantsNccl =
      !alone && (forGraph || all.onlyNccl || !all.seeEachOther) && all.apart;
  if (!wantsNccl && !all.seeEachOther)
    return {TE_RT_UNSUPPORTED,
            "ranks: found GPUs that several ranks share and that cannot read "
            "each other's memory, wanted a GPU for each rank (NCCL)"};
  if (!wantsNccl && forGraph && !alone)
    return {TE_RT_UNSUPPORTED,
            "graph: found ranks that share a GPU, wanted a GPU for each rank "
            "(NCCL)"};
  if (wantsNccl && !nccl)
    TE_RT_TRY(joinNccl());
  if (!wantsNccl && !direct)
    direct =
        std::make_unique<DirectLink>(device, world.ranks(), rank, all.events);
  *link = wantsNccl ? nccl.get() : direct.get();
  return {};
}

Outcome Links::check() { return nccl ? nccl->check() : Outcome(); }
