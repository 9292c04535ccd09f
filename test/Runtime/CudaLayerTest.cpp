//===- CudaLayerTest.cpp - activations, ref against cuda ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An activation may differ by the last bits of its exponential function; that it
// is cast as by quantize is exact.
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/check.h"
#include "common/scales.h"

using namespace te_test;
using namespace te_rt;

namespace {
struct Rows {
  int64_t rows, width;
  std::vector<int32_t> offsets;
  /// More tiles than blocks fit: in BF16 other kernels, one of which casts blocks.
  bool isLarge() const { return rows * width > 1 << 21; }
};
std::vector<Rows> cases() {
  std::vector<Rows> all = {{1, 1, {}},
                           {130, 128, {}},
                           {67, 200, {0, 20, 20, 60}},
                           {300, 256, {0, 144, 288, 288}},
                           {2250, 2048, {}},
                           {1700, 1416, {0, 700, 700, 1650}},
                           {1700, 1424, {0, 700, 700, 1650}}};
  if (!isReduced())
    all.insert(all.end(), {{513, 1408, {0, 16, 400, 500}},
                           {1000, 384, {}},
                           {0, 128, {}},
                           {256, 2880, {0, 0, 256}},
                           // more tiles than SMs
                           {1100, 2048, {}},
                           {2304, 2048, {0, 700, 700, 2304}},
                           {2250, 1360, {}}});
  return all;
}
/// Of those that `reduced` has, too: of large ones casts of BF16 by blocks, and by
/// tensors where tiles are whole, which are other kernels.
bool isTaken(const Rows &c, te_rt_dtype type, bool blocks) {
  return !isReduced() || !c.isLarge() ||
         (type == TE_RT_BF16 && (blocks || c.width % 128 == 0));
}

float tolerance(te_rt_dtype type) {
  return type == TE_RT_BF16 ? 0x1p-7f : 0x1p-18f;
}

/// input, probs, offsets, grad.
Arguments activationInputs(const Rows &c, te_rt_dtype type, unsigned seed) {
  Arguments arguments;
  arguments.add(values(type, {c.rows, 2 * c.width}, seed, seed % 3 == 0));
  seed % 2 ? arguments.add(values(TE_RT_F32, {c.rows}, seed + 1))
           : arguments.none();
  c.offsets.empty() ? arguments.none() : arguments.add(offsetsOf(c.offsets));
  arguments.add(values(type, {c.rows, c.width}, seed + 2));
  return arguments;
}

/// How a case is cast. Each form of blocks meets each kind of scale.
struct Form {
  te_rt_dtype codes[2] = {TE_RT_F8E4M3, TE_RT_F8E4M3}; // of rows, of columns
  bool blocks, pow2;

  /// Of a case's four seeds.
  Form(bool blocks, unsigned seed) : blocks(blocks) {
    unsigned form = seed / 4 % 4;
    pow2 = form % 2 == 0;
    if (blocks && (form == 1 || form == 2))
      codes[0] = TE_RT_F8E5M2;
    if (blocks && form > 1)
      codes[1] = TE_RT_F8E5M2;
  }
};

/// Outputs of a cast by rows and transposed columns: 1 x 128, or of groups.
void addOutputs(Arguments &arguments, const Rows &c, int64_t cols,
                const Form &form) {
  int32_t groups =
      c.offsets.empty() ? 0 : static_cast<int32_t>(c.offsets.size()) - 1;
  for (bool columnwise : {false, true}) {
    std::vector<int64_t> shape = {c.rows, cols};
    if (columnwise)
      std::swap(shape[0], shape[1]);
    arguments.add(Tensor(form.codes[columnwise], shape));
    if (!form.blocks) {
      std::vector<int64_t> each;
      if (groups)
        each = {groups};
      arguments.add(Tensor(TE_RT_F32, each).scales(TE_RT_TENSOR));
      continue;
    }
    te_rt_tensor like = {};
    like.layout = TE_RT_GEMM_READY, like.block_rows = 1, like.block_cols = 128;
    like.groups = columnwise ? groups : 0;
    arguments.add(
        Tensor(TE_RT_F32,
               ScaleGrid(like, shape[0], shape[1], raggedOf(like)).shape)
            .scales(TE_RT_GEMM_READY, 1, 128, like.groups));
  }
}

TEST(CudaActivation, SwigluAndItsCast) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const Rows &c : cases())
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
      for (bool blocks : {true, false}) {
        ++seed;
        if (!isTaken(c, type, blocks))
          continue;
        Arguments plain = activationInputs(c, type, seed);
        int out = plain.add(Tensor(type, {c.rows, c.width}));
        Call call = [](te_rt_context *context, const Tensors &t) {
          return te_rt_swiglu(context, t[0], t[1], t[2], t[4]);
        };
        std::vector<Bytes> found = runOnCuda(plain, call);
        expectSame(plain, runOnRef(plain, call), found, {out}, tolerance(type),
                   1e-37f);
        Tensor rows = *plain.items[out];
        rows.bytes = found[out];
        rows.t.data = rows.bytes.data();

        Arguments fused = activationInputs(c, type, seed);
        Form form(blocks, seed);
        addOutputs(fused, c, c.width, form);
        std::vector<Bytes> cast =
            runOnCuda(fused, [&](te_rt_context *context, const Tensors &t) {
              return te_rt_swiglu_quantize(context, t[0], t[1], t[2], nullptr,
                                           nullptr, t[4], t[5], t[6], t[7],
                                           nullptr, form.pow2, 0);
            });
        std::vector<Bytes> wanted = cast;
        std::vector<Bytes> outputs = quantizeOnRef(rows, fused, 2, 4, form.pow2);
        std::copy(outputs.begin(), outputs.end(), wanted.begin() + 4);
        expectSame(fused, wanted, cast);
        if (HasFailure())
          return;
      }
}

/// The derivative of silu is a difference near a = -1.28, where its relative
/// error has no bound: there `found` is held to the magnitude of the terms, and
/// taken over into `wanted`.
void takeCancelled(const Arguments &arguments, const Rows &c, int out,
                   Bytes &wanted, const Bytes &found, float relative) {
  const Tensor &input = *arguments.items[0], &grad = *arguments.items[3];
  Tensor x = *arguments.items[out], y = x;
  x.bytes = wanted, y.bytes = found;
  x.t.data = x.bytes.data(), y.t.data = y.bytes.data();
  for (int64_t row = 0; row < c.rows; ++row)
    for (int64_t j = 0; j < c.width; ++j) {
      int64_t at = row * 2 * c.width + j;
      double a = input.get(at), b = input.get(at + c.width);
      double p = arguments.items[1] ? arguments.items[1]->get(row) : 1;
      double s = 1 / (1 + std::exp(-a));
      double terms = std::fabs(grad.get(row * c.width + j) * p * b) *
                     (s + std::fabs(a) * s * (1 - s));
      if (std::fabs(double(x.get(at)) - y.get(at)) <= relative * terms)
        x.set(at, y.get(at));
    }
  wanted = x.bytes;
}

TEST(CudaActivation, SwigluBackwardAndItsCast) {
  NEEDS_GPU();
  unsigned seed = 20;
  for (const Rows &c : cases())
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
      for (bool blocks : {true, false}) {
        ++seed;
        if (!isTaken(c, type, blocks))
          continue;
        Arguments plain = activationInputs(c, type, seed);
        int out = plain.add(Tensor(type, {c.rows, 2 * c.width}));
        int probs = plain.add(Tensor(TE_RT_F32, {c.rows}));
        Call call = [](te_rt_context *context, const Tensors &t) {
          return te_rt_swiglu_backward(context, t[3], t[0], t[1], t[2], t[4],
                                       t[5]);
        };
        std::vector<Bytes> found = runOnCuda(plain, call, /*times=*/2);
        std::vector<Bytes> reference = runOnRef(plain, call);
        // Special values make differences of infinities of the sums: there only
        // the gradients are held to ref.
        if (seed % 3 == 0)
          reference[probs] = found[probs];
        takeCancelled(plain, c, out, reference[out], found[out],
                      tolerance(type));
        expectSame(plain, reference, found, {out, probs}, tolerance(type),
                   seed % 3 == 0 ? 1e-6f : 1e-4f);
        Tensor rows = *plain.items[out];
        rows.bytes = found[out];
        rows.t.data = rows.bytes.data();

        Arguments fused = activationInputs(c, type, seed);
        Form form(blocks, seed);
        addOutputs(fused, c, 2 * c.width, form);
        fused.add(Tensor(TE_RT_F32, {c.rows}));
        std::vector<Bytes> cast =
            runOnCuda(fused, [&](te_rt_context *context, const Tensors &t) {
              return te_rt_swiglu_backward_quantize(
                  context, t[3], t[0], t[1], t[2], nullptr, nullptr, t[4], t[5],
                  t[6], t[7], nullptr, t[8], form.pow2, 0);
            });
        std::vector<Bytes> wanted = cast;
        std::vector<Bytes> outputs = quantizeOnRef(rows, fused, 2, 4, form.pow2);
        std::copy(outputs.begin(), outputs.end(), wanted.begin() + 4);
        wanted[8] = found[probs]; // the same sums, in the same order
        expectSame(fused, wanted, cast);
        if (HasFailure())
          return;
      }
}
} // namespace
