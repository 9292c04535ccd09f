//===- CudaMovesTest.cpp - layouts and moves, ref against cuda ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/check.h"
#include "common/scales.h"

#include <algorithm>
#include <numeric>

using namespace te_test;
using namespace te_rt;

namespace {
const te_rt_dtype everyType[] = {TE_RT_F32,    TE_RT_BF16,   TE_RT_F16,
                                 TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F8E8M0,
                                 TE_RT_I32,    TE_RT_I64,    TE_RT_U8};

std::vector<std::vector<int64_t>> shapes() {
  if (isReduced())
    return {{1, 1}, {130, 67}, {3, 33, 40}};
  return {{1, 1},   {1, 513},  {513, 1},      {64, 64},     {128, 128},
          {130, 67}, {127, 255}, {1000, 1024}, {0, 5},       {7168, 320},
          {3, 33, 40}, {4, 128, 256}, {2, 129, 131}};
}

TEST(CudaLayout, CopyFillTranspose) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const auto &shape : shapes())
    for (te_rt_dtype type : everyType) {
      Arguments copy;
      copy.add(noise(type, shape, ++seed));
      copy.add(Tensor(type, shape));
      expectTwins(copy, [](te_rt_context *context, const Tensors &t) {
        return te_rt_copy(context, t[0], t[1]);
      });
      Arguments fill;
      fill.add(Tensor(type, shape));
      expectTwins(fill, [&](te_rt_context *context, const Tensors &t) {
        return te_rt_fill(context, t[0], type == TE_RT_U8 ? 0 : 2);
      });
      Arguments transposed;
      transposed.add(noise(type, shape, seed));
      std::vector<int64_t> turned = shape;
      std::swap(turned[turned.size() - 1], turned[turned.size() - 2]);
      transposed.add(Tensor(type, turned));
      expectTwins(transposed, [](te_rt_context *context, const Tensors &t) {
        return te_rt_transpose(context, t[0], t[1]);
      });
      if (HasFailure())
        return;
    }
}

TEST(CudaLayout, Pack) {
  NEEDS_GPU();
  for (int64_t count : {1, 2, 7, 100})
    for (const auto &shape : {std::vector<int64_t>{64, 64}, {3, 5}, {}}) {
      Arguments arguments;
      for (int64_t i = 0; i < count; ++i)
        arguments.add(noise(TE_RT_BF16, shape, static_cast<unsigned>(i)));
      std::vector<int64_t> packed = shape;
      packed.insert(packed.begin(), count);
      arguments.add(Tensor(TE_RT_BF16, packed));
      expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
        std::vector<te_rt_tensor> inputs;
        for (size_t i = 0; i + 1 < t.size(); ++i)
          inputs.push_back(*t[i]);
        return te_rt_pack(context, {inputs.data(), int64_t(inputs.size())},
                          t.back());
      });
    }
}

TEST(CudaLayout, ConvertScales) {
  NEEDS_GPU();
  struct Block {
    int32_t rows, cols;
  };
  unsigned seed = 0;
  for (te_rt_dtype type : {TE_RT_F32})
    for (Block block : {Block{1, 128}, {128, 1}, {128, 128}})
      for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1, 128},
                                {130, 300},
                                {256, 512},
                                {1000, 7168}})
        for (int64_t members : {0, 3})
          for (int32_t groups : {0, 4})
            for (te_rt_scale_layout from :
                 {TE_RT_COMPACT, TE_RT_GEMM_READY, TE_RT_SWIZZLED})
              for (te_rt_scale_layout to :
                   {TE_RT_COMPACT, TE_RT_GEMM_READY, TE_RT_SWIZZLED}) {
                bool swizzled = from == TE_RT_SWIZZLED || to == TE_RT_SWIZZLED;
                if ((swizzled && (type == TE_RT_F32 || groups)) ||
                    (groups && (members || block.rows == block.cols)) ||
                    (isReduced() && (members || rows > 300)))
                  continue;
                if (groups && (block.rows != 1 ? block.rows : block.cols) == 1)
                  continue;
                Arguments arguments;
                for (te_rt_scale_layout layout : {from, to}) {
                  te_rt_tensor like = {};
                  like.layout = layout;
                  like.block_rows = block.rows;
                  like.block_cols = block.cols;
                  like.groups = groups;
                  ScaleGrid grid(like, rows, cols, raggedOf(like));
                  std::vector<int64_t> shape = grid.shape;
                  if (members)
                    shape.insert(shape.begin(), members);
                  arguments.add(noise(type, shape, ++seed)
                                    .scales(layout, block.rows, block.cols,
                                            groups));
                }
                expectTwins(arguments,
                            [&, rows = rows, cols = cols](
                                te_rt_context *context, const Tensors &t) {
                              return te_rt_convert_scales(context, t[0], t[1],
                                                          rows, cols);
                            });
                if (HasFailure())
                  return;
              }
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// Experts for each token: skew 0 is even, 1 Zipf, 2 all to one, 3 only the even
/// experts, and distinct; 4 the same one in two slots, or in all. Some slots are empty.
Tensor route(int64_t tokens, int64_t slots, int64_t experts, int skew,
             unsigned seed) {
  Tensor indices(TE_RT_I32, {tokens, slots});
  std::mt19937 random(seed);
  std::vector<int32_t> order(experts);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<std::pair<double, int32_t>> keys;
    for (int32_t e : order) {
      double weight = skew == 1   ? 1.0 / (e + 1)
                      : skew == 2 ? (e == 0 ? 1 : 1e-9)
                      : skew == 3 ? (e % 2 ? 0 : 1)
                                  : 1.0;
      double u = (random() + 1.0) / 4294967297.0;
      keys.push_back({weight > 0 ? -std::log(u) / weight : 1e300, e});
    }
    std::sort(keys.begin(), keys.end());
    for (int64_t s = 0; s < slots; ++s) {
      bool empty = s >= experts || keys[s].first >= 1e300 ||
                   (skew == 2 && s > 0) || random() % 17 == 0;
      size_t from = skew != 4 ? s : t % 2 ? 0 : s / 2;
      indices.as<int32_t>()[t * slots + s] = empty ? -1 : keys[from].second;
    }
  }
  return indices;
}

struct RouteCase {
  int64_t tokens, slots, experts;
  int skew;
};
std::vector<RouteCase> routeCases() {
  std::vector<RouteCase> cases = {{1, 1, 1, 0},   {3, 2, 4, 0},
                                  {100, 8, 32, 1}, {130, 2, 5, 2},
                                  {64, 4, 8, 3},   {90, 6, 9, 4},
                                  {2048, 2, 8, 0}}; // scales by themselves
  if (!isReduced())
    cases.insert(cases.end(), {{0, 2, 4, 0},
                               {2048, 8, 256, 0},
                               {3000, 8, 384, 1},
                               {700, 8, 512, 1},
                               {2000, 8, 64, 4},
                               {16384, 8, 32, 0},
                               {1000, 40, 64, 0},
                               {999, 6, 64, 1}});
  return cases;
}

Arguments mapArguments(const RouteCase &c, unsigned seed) {
  Arguments arguments;
  arguments.add(route(c.tokens, c.slots, c.experts, c.skew, seed));
  arguments.add(Tensor(TE_RT_I32, {c.tokens, c.slots}));
  arguments.add(Tensor(TE_RT_I32, {c.experts}));
  arguments.add(Tensor(TE_RT_I32, {c.experts + 1}));
  return arguments;
}

TEST(CudaRouting, RoutingMap) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const RouteCase &c : routeCases())
    for (int64_t alignment : {1, 16, 128})
      for (bool tight : {false, true}) {
        int64_t capacity = tight ? c.tokens * c.slots / 2
                                 : c.tokens * c.slots + c.experts * alignment;
        Arguments arguments = mapArguments(c, ++seed);
        if (seed % 4 == 0)
          arguments.items[3] = nullptr;
        expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
          return te_rt_routing_map(context, t[0], t[1], t[2], t[3], alignment,
                                   capacity);
        });
        int32_t overflowed = te_rt_take_overflow(Gpu::get().context);
        if (!tight) {
          EXPECT_EQ(overflowed, 0);
        }
        EXPECT_EQ(te_rt_take_overflow(Gpu::get().context), 0);
        if (HasFailure())
          return;
      }
}

TEST(CudaRouting, OverflowIsTold) {
  NEEDS_GPU();
  Arguments arguments = mapArguments({64, 2, 4, 0}, 1);
  runOnCuda(arguments, [](te_rt_context *context, const Tensors &t) {
    return te_rt_routing_map(context, t[0], t[1], t[2], t[3], 1, 8);
  });
  EXPECT_EQ(te_rt_take_overflow(Gpu::get().context), 1);
  EXPECT_EQ(te_rt_take_overflow(Gpu::get().context), 0);
}

TEST(CudaRouting, ComputeOffsets) {
  NEEDS_GPU();
  for (int64_t experts : {1, 4, 31, 32, 33, 255, 256, 257, 1024})
    for (int64_t alignment : {1, 7, 128}) {
      Tensor counts(TE_RT_I32, {experts});
      for (int64_t e = 0; e < experts; ++e)
        counts.as<int32_t>()[e] = static_cast<int32_t>(e * 7919 % 300);
      Arguments arguments;
      arguments.add(counts);
      arguments.add(Tensor(TE_RT_I32, {experts + 1}));
      expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
        return te_rt_compute_offsets(context, t[0], t[1], alignment);
      });
    }
}

TEST(CudaRouting, ToHost) {
  NEEDS_GPU();
  Arguments arguments;
  arguments.add(offsetsOf({0, 3, 17, 17}));
  Tensor output(TE_RT_I32, {4});
  output.t.on_host = 1;
  arguments.add(output);
  expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
    return te_rt_to_host(context, t[0], t[1]);
  });
}

/// A routing map as ref makes it: row_map, counts, offsets.
struct Routed {
  Tensor rowMap, counts, offsets;
  int64_t capacity;
};
Routed routed(const RouteCase &c, int64_t alignment, unsigned seed) {
  int64_t capacity = c.tokens * c.slots + c.experts * alignment + 3;
  Arguments arguments = mapArguments(c, seed);
  std::vector<Bytes> after =
      runOnRef(arguments, [&](te_rt_context *context, const Tensors &t) {
        return te_rt_routing_map(context, t[0], t[1], t[2], t[3], alignment,
                                 capacity);
      });
  auto take = [&](int i) {
    Tensor tensor = *arguments.items[i];
    tensor.bytes = after[i];
    tensor.t.data = tensor.bytes.data();
    return tensor;
  };
  return {take(1), take(2), take(3), capacity};
}

TEST(CudaRouting, Permute) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const RouteCase &c : routeCases())
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F8E4M3, TE_RT_F32})
      for (bool pads : {false, true})
        for (int variant = 0; variant < 3; ++variant) {
          int64_t cols = variant == 0 ? 256 : variant == 1 ? 33 : 1000;
          if (c.tokens > 5000 && variant)
            continue;
          Routed map = routed(c, pads ? 16 : 1, ++seed);
          Arguments arguments;
          arguments.add(noise(type, {c.tokens, cols}, seed));
          bool scaled = type == TE_RT_F8E4M3;
          auto addScales = [&](te_rt_scale_layout layout, int64_t rows) {
            te_rt_tensor like = {};
            like.layout = layout, like.block_rows = 1, like.block_cols = 128;
            arguments.add(
                noise(TE_RT_F32, ScaleGrid(like, rows, cols, Ragged::No).shape,
                      seed)
                    .scales(layout, 1, 128));
          };
          scaled ? addScales(variant ? TE_RT_GEMM_READY : TE_RT_COMPACT, c.tokens)
                 : void(arguments.none());
          bool probs = variant != 1;
          probs ? arguments.add(noise(TE_RT_F32, {c.tokens, c.slots}, seed + 1))
                : arguments.none();
          arguments.add(map.rowMap);
          pads ? arguments.add(map.counts) : arguments.none();
          pads ? arguments.add(map.offsets) : arguments.none();
          arguments.add(Tensor(type, {map.capacity, cols}));
          scaled ? addScales(variant == 2 ? TE_RT_COMPACT : TE_RT_GEMM_READY,
                             map.capacity)
                 : void(arguments.none());
          probs ? arguments.add(Tensor(TE_RT_F32, {map.capacity}))
                : arguments.none();
          expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
            return te_rt_permute(context, t[0], t[1], t[2], t[3], t[4], t[5],
                                 t[6], t[7], t[8]);
          });
          if (HasFailure())
            return;
        }
}

TEST(CudaRouting, Unpermute) {
  NEEDS_GPU();
  unsigned seed = 50;
  for (const RouteCase &c : routeCases())
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
      for (int64_t cols : {256, 33, 1000}) {
        if (c.tokens > 5000 && cols != 256)
          continue;
        Routed map = routed(c, 16, ++seed);
        Arguments arguments;
        arguments.add(values(type, {map.capacity, cols}, seed, seed % 3 == 0));
        bool probs = seed % 2;
        probs ? arguments.add(noise(TE_RT_F32, {map.capacity}, seed))
              : arguments.none();
        arguments.add(map.rowMap);
        arguments.add(Tensor(type, {c.tokens, cols}));
        probs ? arguments.add(Tensor(TE_RT_F32, {c.tokens, c.slots}))
              : arguments.none();
        expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
          return te_rt_unpermute(context, t[0], t[1], t[2], t[3], t[4]);
        });
        if (HasFailure())
          return;
      }
}

TEST(CudaRouting, PermuteQuantize) {
  NEEDS_GPU();
  unsigned seed = 80;
  for (const RouteCase &c : routeCases())
    // Tensors; blocks in both layouts; rows alone in both layouts.
    for (int scheme = 0; scheme < 5; ++scheme)
      for (int64_t cols : {256, 200}) {
        if ((c.tokens > 2500 || isReduced()) && cols != 256)
          continue;
        Routed map = routed(c, 16, ++seed);
        auto groups = static_cast<int32_t>(c.experts);
        Arguments arguments;
        arguments.add(values(seed % 3 ? TE_RT_BF16 : TE_RT_F32,
                             {c.tokens, cols}, seed, seed % 2));
        bool probs = seed % 2;
        probs ? arguments.add(noise(TE_RT_F32, {c.tokens, c.slots}, seed))
              : arguments.none();
        arguments.add(map.rowMap);
        arguments.add(map.offsets);
        arguments.add(map.counts);
        auto add = [&](bool columnwise) {
          std::vector<int64_t> shape = {map.capacity, cols};
          te_rt_tensor like = {};
          like.layout = scheme == 0       ? TE_RT_TENSOR
                        : scheme % 3 == 1 ? TE_RT_GEMM_READY
                                          : TE_RT_COMPACT;
          bool turned = columnwise && scheme != 2;
          if (turned)
            std::swap(shape[0], shape[1]);
          bool tall = columnwise && scheme == 2;
          like.block_rows = scheme == 0 ? 0 : tall ? 128 : 1;
          like.block_cols = scheme == 0 ? 0 : tall ? 1 : 128;
          like.groups = scheme && columnwise ? groups : 0;
          arguments.add(Tensor(TE_RT_F8E4M3, shape));
          std::vector<int64_t> scaleShape = {groups};
          if (scheme)
            scaleShape = ScaleGrid(like, shape[0], shape[1], raggedOf(like)).shape;
          arguments.add(Tensor(TE_RT_F32, scaleShape)
                            .scales(like.layout, like.block_rows,
                                    like.block_cols, like.groups));
        };
        add(false);
        if (scheme >= 3) {
          arguments.none();
          arguments.none();
        } else {
          add(true);
        }
        probs ? arguments.add(Tensor(TE_RT_F32, {map.capacity}))
              : arguments.none();
        expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
          return te_rt_permute_quantize(context, t[0], t[1], t[2], nullptr,
                                        nullptr, t[3], t[4], t[5], t[6], t[7],
                                        t[8], nullptr, t[9], 1, 0);
        });
        if (HasFailure())
          return;
      }
}

TEST(CudaRouting, PadAndUnpad) {
  NEEDS_GPU();
  const std::vector<int32_t> tight = {0, 3, 3, 20, 77, 77},
                             wide = {0, 16, 16, 48, 112, 128};
  for (te_rt_dtype type : everyType)
    for (int64_t cols : {1, 33, 256})
      for (bool probs : {false, true}) {
        for (bool pad : {true, false}) {
          int64_t from = pad ? 80 : 130, to = pad ? 130 : 80;
          Arguments arguments;
          arguments.add(noise(type, {from, cols}, 3));
          probs ? arguments.add(noise(TE_RT_F32, {from}, 4)) : arguments.none();
          arguments.add(offsetsOf(pad ? tight : wide));
          arguments.add(offsetsOf(pad ? wide : tight));
          arguments.add(Tensor(type, {to, cols}));
          probs ? arguments.add(Tensor(TE_RT_F32, {to})) : arguments.none();
          expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
            return (pad ? te_rt_pad : te_rt_unpad)(context, t[0], t[1], t[2],
                                                   t[3], t[4], t[5]);
          });
        }
        if (HasFailure())
          return;
      }
}

TEST(CudaCommunication, OneRank) {
  NEEDS_GPU();
  for (auto [tokens, slots] : {std::pair<int64_t, int64_t>{1, 1},
                               {100, 4},
                               {3000, 8}}) {
    Arguments map;
    map.add(route(tokens, slots, 16, 0, 5));
    for (int64_t s = 0; s < slots; ++s) // a token that goes nowhere
      map.items[0]->as<int32_t>()[tokens / 2 * slots + s] = -1;
    map.add(Tensor(TE_RT_I32, {tokens, 1}));
    map.add(Tensor(TE_RT_I32, {tokens, slots}));
    Call call = [](te_rt_context *context, const Tensors &t) {
      return te_rt_dispatch_map(context, t[0], t[1], t[2], 1, 16);
    };
    expectTwins(map, call);
    Tensor handle = *map.items[1];
    handle.bytes = runOnRef(map, call)[1];
    handle.t.data = handle.bytes.data();

    Arguments moves;
    moves.add(handle);
    moves.add(noise(TE_RT_BF16, {tokens, 136}, 1));
    moves.add(noise(TE_RT_F32, {tokens, 3}, 2));
    moves.add(Tensor(TE_RT_BF16, {tokens, 136}));
    moves.add(Tensor(TE_RT_F32, {tokens, 3}));
    expectTwins(moves, [](te_rt_context *context, const Tensors &t) {
      te_rt_tensor in[] = {*t[1], *t[2]}, out[] = {*t[3], *t[4]};
      return te_rt_dispatch(context, t[0], {in, 2}, {out, 2});
    });
    Arguments back;
    back.add(handle);
    back.add(values(TE_RT_BF16, {tokens, 136}, 1, true));
    back.add(values(TE_RT_F32, {tokens, 3}, 2, true));
    back.add(Tensor(TE_RT_BF16, {tokens, 136}));
    back.add(Tensor(TE_RT_F32, {tokens, 3}));
    expectTwins(back, [](te_rt_context *context, const Tensors &t) {
      te_rt_tensor in[] = {*t[1], *t[2]}, out[] = {*t[3], *t[4]};
      return te_rt_combine(context, t[0], {in, 2}, {out, 2});
    });
  }
}
} // namespace
