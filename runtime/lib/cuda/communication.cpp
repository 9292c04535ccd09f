//===- communication.cpp - moves of rows between ranks --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing depends on how many rows go where, which only the devices know: a
// link tells each rank where the memory of the others is, or brings what it may
// have to read of it, and kernels pick the rows out of that. What travels as
// messages is therefore all tokens for each rank; ranks that read each other's
// memory move no more than the rows that are routed.
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/cast.h"
#include "cuda/link.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
using Pieces = std::vector<std::vector<const void *>>;

int32_t numRanks(const te_rt_context *context) {
  return context->communicator ? context->communicator->ranks() : 1;
}

Parcel parcelOf(const te_rt_tensor &tensor) {
  return {tensor.data,
          static_cast<size_t>(bytesOf(tensor.dtype, numElements(tensor)))};
}

/// A rank that is alone has no link.
struct World {
  Link *link = nullptr;
  int32_t ranks = 1, rank = 0;

  bool isDirect() const { return !link || link->isDirect(); }
};

Outcome enter(te_rt_context *context, World &world) {
  world.ranks = numRanks(context);
  world.rank = context->rank;
  if (world.ranks > kMaxRanks)
    return {TE_RT_UNSUPPORTED, "communicator: found " +
                                   std::to_string(world.ranks) +
                                   " ranks, wanted at most " +
                                   std::to_string(kMaxRanks) + " on cuda"};
  if (!context->communicator)
    return {};
  return deviceOf(context).link(*context->communicator, context->rank,
                                &world.link);
}

/// A call of all ranks, `mine` being what this one brings; run(pieces) enqueues
/// what comes of it, pieces[p][r] being the p-th parcel of rank r.
template <typename Run>
te_rt_status together(te_rt_context *context, const World &world,
                      const Post &mine, Run run) {
  Link *link = world.link;
  bool enqueues = false;
  auto runAll = [&](const Posts &posts) -> Outcome {
    enqueues = true;
    Pieces pieces;
    if (!link) {
      for (const Parcel &parcel : mine.parcels)
        pieces.push_back({parcel.data});
      return run(pieces);
    }
    TE_RT_TRY(link->gather(posts, pieces));
    TE_RT_TRY(run(pieces));
    return link->depart();
  };
  // What is prepared needs the others' shapes, which are this rank's own.
  if (!link || deviceOf(context).isPreparing())
    return context->finish(
        runAll(Posts(static_cast<size_t>(world.ranks), &mine)));
  if (te_rt_status status = context->finish(link->arrive()))
    return status;
  te_rt_status status = meet(context, mine, [&](const Posts &posts) {
    TempVector<const Meeting *> meetings;
    for (const Post *post : posts)
      meetings.push_back(&post->meeting);
    if (te_rt_status status = checkAlike(context, mine.meeting, meetings))
      return status;
    return context->finish(runAll(posts));
  });
  if (status == TE_RT_OK)
    return context->finish(link->leave());
  if (enqueues)
    link->giveUp();
  return status;
}

/// Arguments for rows of `width` elements from handles of all ranks.
ExchangeArgs exchangeArgs(const World &world, const te_rt_tensor &handle) {
  ExchangeArgs args = {};
  args.tokens = handle.shape[0];
  args.ranks = world.ranks;
  args.rank = world.rank;
  args.capacity = args.tokens * args.ranks;
  return args;
}

RowItem rowItem(const te_rt_tensor &rows, const std::vector<const void *> &from,
                void *to) {
  RowItem item = {};
  std::copy(from.begin(), from.end(), item.from);
  item.to = to;
  item.cols = rows.shape[0] ? numElements(rows) / rows.shape[0] : 0;
  item.rowBytes = bytesOf(rows.dtype, item.cols);
  return item;
}

/// Of `count` items, those of each launch.
template <typename Launch>
Outcome inParts(int64_t count, ExchangeArgs &args, Launch launch) {
  for (int64_t begin = 0; begin < count; begin += kMaxItems) {
    args.numItems =
        static_cast<int32_t>(std::min<int64_t>(kMaxItems, count - begin));
    TE_RT_TRY(launch(begin));
  }
  return {};
}

template <size_t N>
void setHandles(const std::vector<const void *> &from,
                const int32_t *(&to)[N]) {
  for (size_t r = 0; r < from.size(); ++r)
    to[r] = static_cast<const int32_t *>(from[r]);
}
} // namespace

te_rt_status cuda::dispatch_map(te_rt_context *context,
                                const te_rt_tensor *indices,
                                const te_rt_tensor *handle,
                                const te_rt_tensor *recv_indices, int64_t,
                                int64_t num_experts) {
  World world;
  if (te_rt_status status = context->finish(enter(context, world)))
    return status;
  CudaDevice &device = deviceOf(context);
  Post mine = {{"dispatch_map", indices, {nullptr, 0}}, {parcelOf(*indices)}};
  return together(context, world, mine, [&](const Pieces &pieces) -> Outcome {
    DispatchMapArgs args = {};
    setHandles(pieces[0], args.indices);
    args.handle = data<int32_t>(handle);
    args.received = data<int32_t>(recv_indices);
    args.tokens = indices->shape[0];
    args.slots = indices->shape[1];
    args.experts = num_experts;
    args.ranks = world.ranks;
    args.rank = world.rank;
    int64_t blocks = world.ranks * ceilDiv(args.tokens, kMapTokens);
    void *counts = nullptr;
    TE_RT_TRY(device.scratch(
        Use::Rows, static_cast<size_t>(blocks * world.ranks) * sizeof(int32_t),
        &counts));
    args.counts = static_cast<int32_t *>(counts);
    TE_RT_TRY(device.fillAsync(recv_indices->data, 0xff,
                               parcelOf(*recv_indices).bytes));
    TE_RT_TRY(device.launch("dispatch_count", {blocks, kMapTokens}, args));
    return device.launch("dispatch_place", {blocks, kMapTokens}, args);
  });
}

te_rt_status cuda::dispatch(te_rt_context *context, const te_rt_tensor *handle,
                            te_rt_tensor_list inputs,
                            te_rt_tensor_list outputs) {
  World world;
  if (te_rt_status status = context->finish(enter(context, world)))
    return status;
  CudaDevice &device = deviceOf(context);
  Post mine = {{"dispatch", handle, inputs}, {parcelOf(*handle)}};
  for (int64_t i = 0; i < inputs.count; ++i)
    mine.parcels.push_back(parcelOf(inputs.items[i]));
  return together(context, world, mine, [&](const Pieces &pieces) -> Outcome {
    ExchangeArgs args = exchangeArgs(world, *handle);
    setHandles(pieces[0], args.handles);
    return inParts(inputs.count, args, [&](int64_t begin) -> Outcome {
      for (int32_t i = 0; i < args.numItems; ++i) {
        const te_rt_tensor &to = outputs.items[begin + i];
        args.items[i] = rowItem(to, pieces[1 + begin + i], to.data);
        // Of scales alone.
        int64_t rows = args.capacity, padding = to.shape[0] - rows;
        if (padding > 0)
          TE_RT_TRY(device.fillAsync(
              static_cast<char *>(to.data) + rows * args.items[i].rowBytes, 0,
              static_cast<size_t>(padding * args.items[i].rowBytes)));
      }
      return device.launch("dispatch_rows", {args.capacity, kThreads}, args);
    });
  });
}

namespace {
/// Over messages: from[r][t] is what rank r has for token t, of this rank where
/// it lies. `handles` are those of all ranks.
Outcome bringBack(CudaDevice &device, const World &world, ExchangeArgs args,
                  const std::vector<const void *> &handles,
                  const te_rt_tensor &rows, std::vector<const void *> &from) {
  void *packed = nullptr, *returned = nullptr;
  RowItem &item = args.items[0];
  item = rowItem(rows, from, nullptr);
  auto bytes = static_cast<size_t>(args.tokens * item.rowBytes);
  TE_RT_TRY(device.scratch(Use::Packed, bytes * world.ranks, &packed));
  TE_RT_TRY(device.scratch(Use::Returned, bytes * world.ranks, &returned));
  item.from[world.rank] = rows.data;
  item.to = packed;
  setHandles(handles, args.handles);
  TE_RT_TRY(device.launch("return_rows", {args.capacity, kThreads}, args));
  TE_RT_TRY(world.link->exchange(packed, returned, bytes));
  for (int32_t r = 0; r < world.ranks; ++r)
    from[r] = r == world.rank ? rows.data
                              : static_cast<char *>(returned) +
                                    bytes * static_cast<size_t>(r);
  return {};
}
} // namespace

te_rt_status cuda::combine(te_rt_context *context, const te_rt_tensor *handle,
                           te_rt_tensor_list inputs,
                           te_rt_tensor_list outputs) {
  World world;
  if (te_rt_status status = context->finish(enter(context, world)))
    return status;
  CudaDevice &device = deviceOf(context);
  Post mine = {{"combine", handle, inputs}, {}};
  if (!world.isDirect())
    mine.parcels.push_back(parcelOf(*handle));
  for (int64_t i = 0; world.isDirect() && i < inputs.count; ++i)
    mine.parcels.push_back(parcelOf(inputs.items[i]));
  return together(context, world, mine, [&](const Pieces &pieces) -> Outcome {
    ExchangeArgs args = exchangeArgs(world, *handle);
    args.numItems = 1;
    args.staged = !world.isDirect();
    for (int64_t i = 0; i < inputs.count; ++i) {
      const te_rt_tensor &to = outputs.items[i];
      std::vector<const void *> from(static_cast<size_t>(world.ranks));
      if (world.isDirect())
        from = pieces[i];
      else
        TE_RT_TRY(
            bringBack(device, world, args, pieces[0], inputs.items[i], from));
      args.handles[world.rank] = data<int32_t>(handle);
      args.items[0] = rowItem(to, from, to.data);
      TE_RT_TRY(device.launch(byType(to.dtype, "combine_bf16", "combine_f32"),
                              {args.tokens, kThreads}, args));
    }
    return {};
  });
}

te_rt_status cuda::all_reduce(te_rt_context *context, te_rt_tensor_list inputs,
                              te_rt_tensor_list outputs) {
  World world;
  if (te_rt_status status = context->finish(enter(context, world)))
    return status;
  CudaDevice &device = deviceOf(context);
  int64_t elements = 0;
  std::vector<CopyItem> in, out;
  for (int64_t i = 0; i < inputs.count; ++i) {
    Parcel parcel = parcelOf(inputs.items[i]);
    auto bytes = static_cast<int64_t>(parcel.bytes);
    if (parcel.data != outputs.items[i].data || world.link)
      out.push_back({parcel.data, outputs.items[i].data, bytes, 0});
    elements += numElements(inputs.items[i]);
  }
  if (!world.link)
    return context->finish(out.empty() ? Outcome() : copyAll(device, out));
  // One tensor in scratch for all of them, and its maximum beside it.
  void *memory = nullptr;
  auto bytes = static_cast<size_t>(elements) * sizeof(float);
  if (te_rt_status status =
          context->finish(device.scratch(Use::Amaxes, 2 * bytes, &memory)))
    return status;
  auto *mineOfAll = static_cast<float *>(memory);
  float *largest = mineOfAll + elements;
  in = out;
  int64_t at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    in[i].to = mineOfAll + at;
    out[i].from = largest + at;
    at += in[i].bytes / static_cast<int64_t>(sizeof(float));
  }
  if (elements)
    if (te_rt_status status = context->finish(copyAll(device, in)))
      return status;
  Post mine = {{"all_reduce", nullptr, inputs}, {{mineOfAll, bytes}}};
  te_rt_status status =
      together(context, world, mine, [&](const Pieces &pieces) -> Outcome {
        ReduceArgs args = {};
        for (int32_t r = 0; r < world.ranks; ++r)
          args.inputs[r] = static_cast<const float *>(pieces[0][r]);
        args.output = largest;
        args.elements = elements;
        args.ranks = world.ranks;
        args.rank = world.rank;
        return device.launch("reduce_amax",
                             {ceilDiv(elements, int64_t(kThreads)), kThreads},
                             args);
      });
  if (status != TE_RT_OK || elements == 0)
    return status;
  return context->finish(copyAll(device, out));
}
