//===- ArgumentsTest.cpp - arguments from anywhere ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls each function with arguments that fit, of which a few are then changed
// at random; descriptors go on telling the truth about their memory. Each call
// succeeds or says why not, and leaves the memory around its tensors alone.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cstring>
#include <deque>
#include <type_traits>

using namespace te_test;

namespace {
/// Copies arguments, changing some.
class Mutator {
public:
  explicit Mutator(unsigned seed) : random(seed), rate(2 + seed % 30) {}

  void change(const te_rt_tensor *&tensor) {
    if (tensor && rarely())
      tensor = nullptr;
    else if (tensor)
      tensor = &copy(*tensor);
  }
  void change(te_rt_tensor_list &list) {
    lists.emplace_back();
    for (int64_t i = 0; i < list.count; ++i)
      if (!rarely())
        lists.back().push_back(copy(list.items[i]));
    list = {lists.back().data(), static_cast<int64_t>(lists.back().size())};
  }
  void change(int64_t &value) {
    if (rarely())
      value += static_cast<int64_t>(random() % 5) - 2;
  }
  void change(double &value) {
    if (rarely())
      value = -value;
  }

  /// Nothing was written around a tensor.
  bool intact() const {
    for (const Memory &memory : memories)
      for (size_t i = 0; i < kGuard; ++i)
        if (memory[i] != 0xA5 || memory[memory.size() - 1 - i] != 0xA5)
          return false;
    return true;
  }

private:
  using Memory = std::vector<unsigned char>;
  static constexpr size_t kGuard = 64;

  static size_t sizeOf(const te_rt_tensor &t) {
    int64_t elements = 1;
    for (int32_t i = 0; i < t.rank; ++i)
      elements *= t.shape[i];
    return static_cast<size_t>(te_rt::bytesOf(t.dtype, elements));
  }
  bool rarely() { return random() % (rate * 4) == 0; }
  void nudge(int32_t &value) {
    if (rarely())
      value += static_cast<int32_t>(random() % 3) - 1;
  }

  te_rt_tensor &copy(const te_rt_tensor &from) {
    tensors.push_back(from);
    te_rt_tensor &t = tensors.back();
    if (rarely())
      t.dtype = static_cast<te_rt_dtype>(random() % 10);
    if (rarely())
      t.layout = static_cast<te_rt_scale_layout>(random() % 5);
    if (rarely() && t.rank > 0)
      t.rank -= 1;
    nudge(t.block_rows);
    nudge(t.block_cols);
    nudge(t.groups);
    for (int32_t i = 0; i < t.rank; ++i)
      if (rarely())
        t.shape[i] = static_cast<int64_t>(random() % 200);
    size_t bytes = sizeOf(t);
    memories.emplace_back(bytes + 2 * kGuard, 0xA5);
    t.data = memories.back().data() + kGuard;
    std::memcpy(t.data, from.data, std::min(bytes, sizeOf(from)));
    for (size_t i = 0; t.dtype == TE_RT_I32 && i < bytes / 4; ++i)
      if (rarely())
        static_cast<int32_t *>(t.data)[i] =
            static_cast<int32_t>(random()) >> (random() % 32);
    return t;
  }

  std::mt19937 random;
  unsigned rate;
  std::deque<te_rt_tensor> tensors;
  std::deque<Memory> memories;
  std::deque<std::vector<te_rt_tensor>> lists;
};

/// Calls `function` with the arguments as they are, then changed in many ways.
template <typename... Args>
void probe(const char *name, te_rt_status (*function)(te_rt_context *, Args...),
           std::common_type_t<Args>... given) {
  Context context = makeContext(2);
  EXPECT_OK(context, function(context.get(), given...));
  constexpr unsigned tries = 400;
  unsigned refused = 0;
  for (unsigned seed = 0; seed < tries; ++seed) {
    Mutator mutator(seed);
    std::tuple<Args...> arguments(given...);
    std::apply([&](auto &...each) { (mutator.change(each), ...); }, arguments);
    te_rt_status status = std::apply(
        [&](auto... each) { return function(context.get(), each...); },
        arguments);
    std::string message = te_rt_last_error(context.get());
    EXPECT_EQ(status == TE_RT_OK, message.empty()) << message;
    EXPECT_NE(status, TE_RT_INTERNAL) << message;
    if (status != TE_RT_OK) {
      ++refused;
      EXPECT_EQ(message.find(std::string(name) + ": "), 0u) << message;
      EXPECT_NE(message.find(": found "), std::string::npos) << message;
      EXPECT_NE(message.find(", wanted "), std::string::npos) << message;
    }
    EXPECT_TRUE(mutator.intact()) << name << ", seed " << seed;
  }
  EXPECT_GT(refused, 0u);
}
#define PROBE(name, ...) probe(#name, te_rt_##name, __VA_ARGS__)

const te_rt_tensor *const kNone = nullptr;

TEST(Arguments, Casts) {
  Tensor x = normal(TE_RT_BF16, {150, 70}, 1),
         offsets = offsetsOf({0, 40, 150});
  Tensor q = normal(TE_RT_F8E4M3, {150, 70}, 2), qt(TE_RT_F8E4M3, {70, 150});
  Tensor s = normal(TE_RT_F32, {150, 1}, 3), st(TE_RT_F32, {3, 72});
  s.scales(TE_RT_COMPACT, 1, 128);
  st.scales(TE_RT_GEMM_READY, 1, 128, 2);
  Tensor amax = floats({2}, {0, 0}), noop = floats({}, {0});
  PROBE(quantize, x, kNone, amax, noop, offsets, kNone, q, s, qt, st, amax,
        kNone, kNone, -1, 1, 0, 0, 0, 0);
  PROBE(dequantize, q, s, kNone, offsets, x);
  Tensor from = q, fromScales = s;
  PROBE(requantize, from, fromScales, kNone, amax, offsets, q, s, qt, st, amax,
        TE_RT_BF16, 1, 0);
  Tensor w = normal(TE_RT_F32, {2, 130, 20}, 1), wq(TE_RT_F8E5M2, {2, 130, 20});
  Tensor ws(TE_RT_F32, {2, 2, 4}), scale = floats({2}, {1, 2});
  ws.scales(TE_RT_GEMM_READY, 128, 128);
  PROBE(multi_cast_transpose, List{w, w}, List{}, List{}, noop, List{wq, wq},
        List{ws, ws}, List{}, List{}, List{scale, scale}, List{}, List{}, 0, 0,
        0);
  Tensor history = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  PROBE(update_scales, List{amax}, List{history}, List{scale}, List{history},
        List{scale}, 448, 0, 0);
  PROBE(amax, x, offsets, amax, -1);
  PROBE(scale_from_amax, List{amax, noop}, List{scale, noop}, 448, 1, 0);
}

TEST(Arguments, Mxfp8) {
  Tensor x = normal(TE_RT_BF16, {384, 70}, 1);
  Tensor offsets = offsetsOf({0, 128, 384});
  Tensor q = normal(TE_RT_F8E4M3, {384, 70}, 2), qt(TE_RT_F8E4M3, {384, 70});
  Tensor s(TE_RT_F8E8M0, {384, 4}), st(TE_RT_F8E8M0, {128, 12});
  s.scales(TE_RT_SWIZZLED, 1, 32);
  st.scales(TE_RT_SWIZZLED, 32, 1, 2);
  PROBE(quantize, x, kNone, kNone, kNone, offsets, kNone, q, s, qt, st, kNone,
        kNone, kNone, -1, 0, 1, 0, 0, 0);
  Tensor packed(TE_RT_BF16, {2, 70, 70});
  Tensor w = normal(TE_RT_F8E4M3, {2, 6, 70}, 3), y(TE_RT_BF16, {384, 6});
  Tensor ws(TE_RT_F8E8M0, {2, 128, 4});
  ws.scales(TE_RT_SWIZZLED, 1, 32);
  PROBE(grouped_gemm, q, s, kNone, List{w}, List{ws}, List{}, List{}, offsets,
        List{y}, TE_RT_RAGGED_ROWS, 0, 0, 0);
  PROBE(grouped_gemm, qt, st, kNone, List{qt}, List{st}, List{}, List{},
        offsets, List{packed}, TE_RT_RAGGED_REDUCTION, 1, 1, 0);
  PROBE(dequantize, qt, st, kNone, offsets, x);
  Tensor back(TE_RT_F8E8M0, {384, 4});
  back.scales(TE_RT_COMPACT, 1, 32);
  PROBE(convert_scales, s, back, 384, 70);
  PROBE(pad, back, kNone, offsets, offsets, s, kNone);
}

TEST(Arguments, Nvfp4) {
  Tensor x = normal(TE_RT_BF16, {384, 70}, 1);
  Tensor offsets = offsetsOf({0, 128, 384});
  Tensor q(TE_RT_F4E2M1, {384, 70}), qt(TE_RT_F4E2M1, {70, 384});
  Tensor s(TE_RT_F8E4M3, {384, 8}), st(TE_RT_F8E4M3, {128, 24});
  s.scales(TE_RT_SWIZZLED, 1, 16);
  st.scales(TE_RT_SWIZZLED, 1, 16, 2);
  Tensor amax(TE_RT_F32, {2}), amaxT(TE_RT_F32, {2}), rng(TE_RT_I64, {2});
  PROBE(quantize, x, kNone, kNone, kNone, offsets, rng, q, s, qt, st, kNone,
        amax, amaxT, -1, 0, 0, 1, 3, 0);
  PROBE(advance_rng, rng, rng, 7);
  Tensor packed(TE_RT_F32, {2, 70, 70});
  PROBE(grouped_gemm, qt, st, amax, List{qt}, List{st}, List{amaxT}, List{},
        offsets, List{packed}, TE_RT_RAGGED_REDUCTION, 0, 0, 1);
  PROBE(gemm, qt, st, amax, qt, st, amaxT, kNone, offsets,
        Tensor(TE_RT_F32, {70, 70}), TE_RT_RAGGED_REDUCTION, 1, 0, 0, 0);
  PROBE(dequantize, q, s, amax, offsets, x);
}

TEST(Arguments, Layouts) {
  Tensor compact = normal(TE_RT_F8E4M3, {2, 128, 4}, 1);
  Tensor swizzled(TE_RT_F8E4M3, {2, 128, 4});
  compact.scales(TE_RT_COMPACT, 1, 16);
  swizzled.scales(TE_RT_SWIZZLED, 1, 16);
  PROBE(convert_scales, compact, swizzled, 9, 48);
  Tensor x = normal(TE_RT_BF16, {2, 9, 5}, 1), turned(TE_RT_BF16, {2, 5, 9});
  Tensor packed(TE_RT_BF16, {2, 2, 9, 5});
  PROBE(transpose, x, turned);
  PROBE(pack, List{x, x}, packed);
  PROBE(copy, x, x);
  PROBE(fill, x, 1.0);
}

TEST(Arguments, Routing) {
  Tensor indices = integers({4, 2}, {0, 1, 2, -1, 1, 0, 2, 2});
  Tensor map = integers({4, 2}, {0, 2, 5, -1, 3, 1, 6, 7});
  Tensor counts = integers({3}, {2, 2, 3}), offsets = offsetsOf({0, 2, 4, 8});
  Tensor padded = offsetsOf({0, 4, 8, 16});
  PROBE(routing_map, indices, map, counts, offsets, 1, 8);
  PROBE(compute_offsets, counts, offsets, 2);
  offsets.t.on_host = 1;
  PROBE(to_host, offsets, offsets);
  map = integers({4, 2}, {0, 2, 5, -1, 3, 1, 6, 7});
  offsets = offsetsOf({0, 2, 4, 8});
  Tensor x = normal(TE_RT_F32, {4, 200}, 1),
         rows = normal(TE_RT_F32, {8, 200}, 2);
  Tensor wide(TE_RT_F32, {16, 200}), probs = normal(TE_RT_F32, {4, 2}, 3);
  Tensor moved = normal(TE_RT_F32, {8}, 4), wideProbs(TE_RT_F32, {16});
  Tensor s = normal(TE_RT_F32, {4, 2}, 5), ready(TE_RT_F32, {2, 8});
  s.scales(TE_RT_COMPACT, 1, 128);
  ready.scales(TE_RT_GEMM_READY, 1, 128);
  PROBE(permute, x, s, probs, map, kNone, kNone, rows, ready, moved);
  PROBE(permute, x, s, probs, map, counts, offsets, rows, ready, moved);
  Tensor q(TE_RT_F8E4M3, {8, 200}), qt(TE_RT_F8E4M3, {200, 8});
  Tensor qs(TE_RT_F32, {2, 8}), qts(TE_RT_F32, {3, 200});
  qs.scales(TE_RT_GEMM_READY, 1, 128);
  qts.scales(TE_RT_GEMM_READY, 1, 128, 3);
  PROBE(permute_quantize, x, probs, map, kNone, kNone, offsets, counts, q, qs,
        qt, qts, kNone, moved, 0, 0);
  PROBE(unpermute, rows, moved, map, x, probs);
  PROBE(pad, rows, moved, offsets, padded, wide, wideProbs);
  PROBE(unpad, wide, wideProbs, padded, offsets, rows, moved);
  Tensor handle = integers({4, 1}, {0, 1, 2, 3}), received(TE_RT_I32, {4, 2});
  Tensor there(TE_RT_F32, {4, 200});
  PROBE(dispatch_map, indices, handle, received, 1, 3);
  handle = integers({4, 1}, {0, 1, 2, 3});
  PROBE(dispatch, handle, List{x, s}, List{there, s});
  PROBE(combine, handle, List{there}, List{x});
  PROBE(all_reduce, List{moved, probs}, List{moved, probs});
}

TEST(Arguments, ProductsAndActivations) {
  Tensor offsets = offsetsOf({0, 40, 150});
  Tensor a = normal(TE_RT_F8E4M3, {9, 150}, 1),
         as = normal(TE_RT_F32, {3, 12}, 2);
  as.scales(TE_RT_GEMM_READY, 1, 128, 2);
  Tensor packed = normal(TE_RT_F32, {2, 9, 9}, 3), one(TE_RT_BF16, {9, 9});
  PROBE(grouped_gemm, a, as, kNone, List{a}, List{as}, List{}, List{}, offsets,
        List{packed}, TE_RT_RAGGED_REDUCTION, 0, 0, 1);
  PROBE(gemm, a, as, kNone, a, as, kNone, kNone, offsets, one,
        TE_RT_RAGGED_REDUCTION, 1, 0, 0, 0);
  Tensor x = normal(TE_RT_BF16, {150, 12}, 4),
         w = normal(TE_RT_F8E4M3, {2, 6, 12}, 5);
  Tensor ws = floats({2}, {1, 2}), y = normal(TE_RT_BF16, {150, 6}, 6);
  ws.scales(TE_RT_TENSOR);
  PROBE(grouped_gemm, x, kNone, kNone, List{w}, List{ws}, List{}, List{},
        offsets, List{y}, TE_RT_RAGGED_ROWS, 0, 0, 0);
  Tensor probs = normal(TE_RT_F32, {150}, 7), dx = x, dp = probs;
  PROBE(swiglu, x, probs, offsets, y);
  PROBE(swiglu_backward, y, x, probs, offsets, dx, dp);
  Tensor q = normal(TE_RT_F8E4M3, {150, 6}, 8), qt(TE_RT_F8E4M3, {6, 150});
  Tensor s = normal(TE_RT_F32, {150, 1}, 9), st(TE_RT_F32, {3, 8});
  s.scales(TE_RT_COMPACT, 1, 128);
  st.scales(TE_RT_GEMM_READY, 1, 128, 2);
  Tensor amax = floats({2}, {0, 0});
  PROBE(swiglu_quantize, x, probs, offsets, kNone, amax, q, s, qt, st, amax, 1,
        0);
  Tensor dq = normal(TE_RT_F8E5M2, {150, 12}, 8), ds = floats({2}, {1, 2});
  ds.scales(TE_RT_TENSOR);
  PROBE(swiglu_backward_quantize, y, x, probs, offsets, amax, amax, dq, ds,
        kNone, kNone, amax, dp, 1, 0);
  Tensor lhs = normal(TE_RT_F8E4M3, {150, 128}, 1),
         rhs = normal(TE_RT_F8E4M3, {2, 256, 128}, 2);
  Tensor ls = normal(TE_RT_F32, {1, 152}, 3),
         rs = normal(TE_RT_F32, {2, 2, 4}, 4);
  ls.scales(TE_RT_GEMM_READY, 1, 128);
  rs.scales(TE_RT_GEMM_READY, 128, 128);
  Tensor h(TE_RT_BF16, {150, 256}), v(TE_RT_F8E4M3, {150, 128}),
      vs(TE_RT_F32, {1, 152}), vt(TE_RT_F8E4M3, {128, 150}),
      vts(TE_RT_F32, {3, 128});
  vs.scales(TE_RT_GEMM_READY, 1, 128);
  vts.scales(TE_RT_GEMM_READY, 1, 128, 2);
  PROBE(grouped_gemm_swiglu_quantize, lhs, ls, List{rhs}, List{rs}, probs,
        offsets, h, v, vs, vt, vts, 1, 0);
}
} // namespace
