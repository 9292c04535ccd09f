//===- CudaRecipeLayerTest.cpp - what MXFP8 and NVFP4 layers run ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Moves, fused casts and products under scales of 8 bits, ref against cuda.
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"
#include "Twin.h"

using namespace te_test;

namespace {
//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

struct Route {
  int64_t tokens, slots, experts, alignment;
  int skew; // 0: even, 1: all to one expert, 2: some experts empty
};
std::vector<Route> routes() {
  std::vector<Route> all = {{1, 1, 1, 128, 0}, {100, 2, 4, 128, 0},
                            {333, 8, 16, 16, 2}, {64, 2, 8, 128, 1}};
  if (!isReduced())
    all.insert(all.end(), {{3000, 8, 32, 128, 2}, {3, 4, 256, 128, 0},
                           {512, 6, 64, 1, 0}});
  return all;
}

struct Routed {
  Tensor rowMap, counts, offsets;
  int64_t capacity;
};
/// The map of random experts, made on ref.
Routed makeRoute(const Route &r, unsigned seed) {
  Tensor indices(TE_RT_I32, {r.tokens, r.slots});
  std::mt19937 random(seed);
  for (int64_t t = 0; t < r.tokens; ++t)
    for (int64_t s = 0; s < r.slots; ++s) {
      auto expert = static_cast<int32_t>(random() % r.experts);
      if (r.skew == 1)
        expert = 0;
      if (r.skew == 2)
        expert = expert / 3 * 3 % static_cast<int32_t>(r.experts);
      if (random() % 11 == 0)
        expert = -1;
      indices.as<int32_t>()[t * r.slots + s] = expert;
    }
  int64_t capacity = r.tokens * r.slots + r.experts * (r.alignment - 1);
  capacity = up(capacity, 128) + 4; // rows that nobody owns
  Routed routed = {Tensor(TE_RT_I32, {r.tokens, r.slots}),
                   Tensor(TE_RT_I32, {r.experts}),
                   Tensor(TE_RT_I32, {r.experts + 1}), capacity};
  Context context = makeContext();
  EXPECT_OK(context, te_rt_routing_map(context.get(), indices, routed.rowMap,
                                       routed.counts, routed.offsets,
                                       r.alignment, capacity));
  return routed;
}

TEST(CudaRecipeLayer, PermuteMovesScales) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const Route &r : routes())
    for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F4E2M1})
      for (int64_t cols : {256, 160, 98})
        for (int layouts = 0; layouts < 4; ++layouts)
          for (bool pads : {false, true}) {
            Routed map = makeRoute(r, ++seed);
            Direction from({r.tokens, cols}, type, layouts % 2, false);
            Direction to({map.capacity, cols}, type, layouts / 2, false);
            Arguments arguments;
            for (Tensor *tensor : {&from.values, &from.scales}) {
              Tensor random = noise(TE_RT_U8, {int64_t(tensor->bytes.size())},
                                    seed);
              tensor->bytes = random.bytes;
              tensor->t.data = tensor->bytes.data();
              arguments.add(*tensor);
            }
            arguments.add(map.rowMap);
            pads ? arguments.add(map.counts) : arguments.none();
            pads ? arguments.add(map.offsets) : arguments.none();
            arguments.add(to.values);
            arguments.add(to.scales);
            SCOPED_TRACE(std::to_string(r.tokens) + " tokens, " +
                         std::to_string(cols) + " columns, layouts " +
                         std::to_string(layouts));
            expectTwins(arguments,
                        [](te_rt_context *context, const Tensors &t) {
                          return te_rt_permute(context, t[0], t[1], nullptr,
                                               t[2], t[3], t[4], t[5], t[6],
                                               nullptr);
                        });
            if (HasFailure())
              return;
          }
}

TEST(CudaRecipeLayer, PadAndUnpadScales) {
  NEEDS_GPU();
  const std::vector<int32_t> tight = {2, 3, 3, 20, 77, 77},
                             wide = {0, 16, 16, 48, 112, 128};
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F4E2M1})
    for (int64_t cols : {98, 256})
      for (bool pad : {true, false}) {
        Direction from({pad ? 80 : 130, cols}, type, false, false);
        Direction to({pad ? 130 : 80, cols}, type, false, false);
        Arguments arguments;
        Tensor scales = from.scales;
        std::mt19937 random(3);
        for (unsigned char &byte : scales.bytes)
          byte = static_cast<unsigned char>(random());
        arguments.add(scales);
        arguments.add(offsetsOf(pad ? tight : wide));
        arguments.add(offsetsOf(pad ? wide : tight));
        arguments.add(to.scales);
        expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
          return (pad ? te_rt_pad : te_rt_unpad)(context, t[0], nullptr, t[1],
                                                 t[2], t[3], nullptr);
        });
      }
}

TEST(CudaRecipeLayer, DispatchScales) {
  NEEDS_GPU();
  constexpr int64_t tokens = 100, slots = 4, cols = 256;
  Arguments map;
  Tensor indices(TE_RT_I32, {tokens, slots});
  std::mt19937 random(1);
  for (int64_t i = 0; i < tokens * slots; ++i)
    indices.as<int32_t>()[i] = static_cast<int32_t>(random() % 16);
  map.add(indices);
  map.add(Tensor(TE_RT_I32, {tokens, 1}));
  map.add(Tensor(TE_RT_I32, {tokens, slots}));
  Call call = [](te_rt_context *context, const Tensors &t) {
    return te_rt_dispatch_map(context, t[0], t[1], t[2], 1, 16);
  };
  Tensor handle = *map.items[1];
  handle.bytes = runOnRef(map, call)[1];
  handle.t.data = handle.bytes.data();
  Direction from({tokens, cols}, TE_RT_F8E4M3, false, false), to = from;
  Arguments moves;
  moves.add(handle);
  moves.add(noise(TE_RT_F8E4M3, {tokens, cols}, 1));
  moves.add(from.scales);
  moves.add(to.values);
  moves.add(to.scales);
  expectTwins(moves, [](te_rt_context *context, const Tensors &t) {
    te_rt_tensor in[] = {*t[1], *t[2]}, out[] = {*t[3], *t[4]};
    return te_rt_dispatch(context, t[0], {in, 2}, {out, 2});
  });
}

//===----------------------------------------------------------------------===//
// Fused casts
//===----------------------------------------------------------------------===//

/// The outputs of a cast of `shape` to MXFP8 in both directions.
void addOutputs(Arguments &arguments, const Shape &shape, bool swizzled,
                bool rows = true, bool columns = true,
                te_rt_dtype type = TE_RT_F8E4M3) {
  for (bool columnwise : {false, true}) {
    if (columnwise ? !columns : !rows) {
      arguments.none();
      arguments.none();
      continue;
    }
    Direction out(shape, type, swizzled, columnwise);
    arguments.add(out.values);
    arguments.add(out.scales);
  }
}

TEST(CudaRecipeLayer, PermuteQuantize) {
  NEEDS_GPU();
  unsigned seed = 100;
  for (const Route &r : routes())
    for (int64_t cols : {256, 200})
      for (int directions = 1; directions < 4; ++directions)
        for (bool swizzled : {false, true}) {
          if (swizzled && r.alignment != 128)
            continue;
          Routed map = makeRoute(r, ++seed);
          Arguments arguments;
          arguments.add(values(seed % 3 ? TE_RT_BF16 : TE_RT_F32,
                               {r.tokens, cols}, seed, seed % 2));
          bool probs = seed % 2, amax = seed % 4 == 1;
          probs ? arguments.add(noise(TE_RT_F32, {r.tokens, r.slots}, seed))
                : arguments.none();
          arguments.add(map.rowMap);
          arguments.add(map.offsets);
          // Without counts, rows that nothing is routed to hold nothing.
          r.alignment > 1 ? arguments.add(map.counts) : arguments.none();
          addOutputs(arguments, {map.capacity, cols, 0, ints(map.offsets)},
                     swizzled, directions & 1, directions & 2,
                     seed % 7 ? TE_RT_F8E4M3 : TE_RT_F8E5M2);
          amax ? arguments.add(Tensor(TE_RT_F32, {r.experts}))
               : arguments.none();
          probs ? arguments.add(Tensor(TE_RT_F32, {map.capacity}))
                : arguments.none();
          SCOPED_TRACE(std::to_string(r.tokens) + " tokens, " +
                       std::to_string(cols) + " columns, directions " +
                       std::to_string(directions) +
                       (swizzled ? " swizzled" : ""));
          expectTwins(arguments, [](te_rt_context *context, const Tensors &t) {
            return te_rt_permute_quantize(context, t[0], t[1], t[2], nullptr,
                                          nullptr, t[3], t[4], t[5], t[6], t[7],
                                          t[8], t[9], t[10], 0, 0);
          });
          if (HasFailure())
            return;
        }
}

/// The activation on cuda, cast on ref, is what the fused function gives.
TEST(CudaRecipeLayer, ActivationsAndTheirCasts) {
  NEEDS_GPU();
  std::vector<Shape> shapes = {{1, 1, 0, {}},
                               {130, 128, 0, {}},
                               {384, 200, 0, {0, 128, 128, 256}},
                               {384, 256, 0, {0, 128, 256, 384}},
                               {67, 160, 0, {0, 20, 20, 60}}};
  if (!isReduced())
    shapes.insert(shapes.end(), {{1024, 1408, 0, {0, 128, 512, 1024}},
                                 {0, 128, 0, {}},
                                 {256, 2880, 0, {0, 0, 256}}});
  unsigned seed = 200;
  for (const Shape &shape : shapes)
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
      for (bool backward : {false, true})
        for (bool swizzled : {false, true}) {
          bool aligned = true;
          for (int32_t offset : shape.offsets)
            aligned &= offset % 128 == 0;
          if (swizzled && !aligned)
            continue;
          ++seed;
          int64_t width = shape.cols, cols = backward ? 2 * width : width;
          Arguments inputs; // input, probs, offsets, grad
          inputs.add(values(type, {shape.rows, 2 * width}, seed, seed % 3 == 0));
          seed % 2 ? inputs.add(values(TE_RT_F32, {shape.rows}, seed + 1))
                   : inputs.none();
          shape.groups() ? inputs.add(offsetsOf(shape.offsets)) : inputs.none();
          inputs.add(values(type, {shape.rows, width}, seed + 2));
          Arguments plain;
          for (auto &item : inputs.items)
            item ? plain.add(*item) : plain.none();
          int out = plain.add(Tensor(type, {shape.rows, cols}));
          std::vector<Bytes> found =
              runOnCuda(plain, [&](te_rt_context *context, const Tensors &t) {
                return backward ? te_rt_swiglu_backward(context, t[3], t[0],
                                                        t[1], t[2], t[4],
                                                        nullptr)
                                : te_rt_swiglu(context, t[0], t[1], t[2], t[4]);
              });
          Tensor rows = *plain.items[out];
          rows.bytes = found[out];
          rows.t.data = rows.bytes.data();

          Arguments fused;
          for (auto &item : inputs.items)
            item ? fused.add(*item) : fused.none();
          addOutputs(fused, {shape.rows, cols, 0, shape.offsets}, swizzled);
          fused.add(Tensor(TE_RT_F32, {shape.rows}));
          std::vector<Bytes> cast =
              runOnCuda(fused, [&](te_rt_context *context, const Tensors &t) {
                return backward
                           ? te_rt_swiglu_backward_quantize(
                                 context, t[3], t[0], t[1], t[2], nullptr,
                                 nullptr, t[4], t[5], t[6], t[7], nullptr,
                                 t[8], 0, 0)
                           : te_rt_swiglu_quantize(context, t[0], t[1], t[2],
                                                   nullptr, nullptr, t[4], t[5],
                                                   t[6], t[7], nullptr, 0, 0);
              });
          std::vector<Bytes> wanted = cast; // of the inputs and sums
          std::vector<Bytes> outputs = quantizeOnRef(rows, fused, 2, 4, false);
          std::copy(outputs.begin(), outputs.end(), wanted.begin() + 4);
          SCOPED_TRACE(std::to_string(shape.rows) + " x " +
                       std::to_string(width) + (backward ? " backward" : "") +
                       (swizzled ? " swizzled" : ""));
          expectSame(fused, wanted, cast);
          if (HasFailure())
            return;
        }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

struct ProductCase {
  te_rt_dtype lhs, rhs, result;
  int64_t m, n, k;
  int64_t ragged = TE_RT_DENSE;
  std::vector<int32_t> offsets = {};
  bool transposeLhs = false, transposeRhs = false; // MXFP8 alone
  bool accumulate = false, bias = false, packed = true;
  bool extremes = false;

  int64_t groups() const {
    return offsets.empty() ? 0 : static_cast<int64_t>(offsets.size()) - 1;
  }
};

/// An operand by ref's quantize: what runs along the reduction.
struct ProductOperand {
  Direction cast;
  ProductOperand(const ProductCase &c, bool isLhs, unsigned seed,
                 int64_t members = 0)
      : cast(shapeOf(c, isLhs, members), isLhs ? c.lhs : c.rhs,
             /*swizzled=*/true, columnwise(c, isLhs)) {
    Tensor input = normal(TE_RT_BF16, cast.shape.dims(), seed);
    for (int64_t i = 0; c.extremes && i < input.size(); ++i)
      if (int64_t row = i / cast.shape.cols; row % 3 == 1)
        input.set(i, input.get(i) * (isLhs ? 0x1p-40f : 0x1p40f));
    Context context = makeContext();
    Tensor offsets = offsetsOf(c.offsets);
    QuantizeCall call;
    call.input = input;
    if (cast.shape.groups())
      call.offsets = offsets;
    cast.addTo(call);
    EXPECT_OK(context, call.run(context));
  }
  static bool columnwise(const ProductCase &c, bool isLhs) {
    bool fp4 = c.lhs == TE_RT_F4E2M1;
    return fp4 ? c.ragged == TE_RT_RAGGED_REDUCTION
               : (isLhs ? c.transposeLhs : c.transposeRhs);
  }
  static Shape shapeOf(const ProductCase &c, bool isLhs, int64_t members) {
    int64_t outer = isLhs ? c.m : c.n;
    Shape shape = columnwise(c, isLhs) ? Shape{c.k, outer, members}
                                       : Shape{outer, c.k, members};
    if (c.ragged == TE_RT_RAGGED_REDUCTION || (isLhs && c.ragged))
      shape.offsets = c.offsets;
    return shape;
  }
};

void checkProduct(const ProductCase &c, unsigned seed, int64_t member) {
  bool grouped = member < 0 && c.groups();
  bool rows = c.ragged == TE_RT_RAGGED_ROWS;
  bool manyRhs = grouped && rows && !c.packed;
  Arguments arguments;
  auto add = [&](const ProductOperand &operand) {
    arguments.add(operand.cast.values);
    arguments.add(operand.cast.scales);
    operand.cast.fp4() ? arguments.add(operand.cast.amax) : arguments.none();
  };
  add(ProductOperand(c, true, seed));
  c.groups() ? arguments.add(offsetsOf(c.offsets)) : arguments.none();
  bool packedResult = grouped && !rows;
  std::vector<int64_t> shape = {c.m, c.n};
  if (packedResult)
    shape.insert(shape.begin(), c.groups());
  int out = arguments.add(values(c.result, shape, seed + 9));
  if (!c.bias)
    arguments.none();
  else
    arguments.add(values(seed % 2 ? TE_RT_F32 : TE_RT_BF16,
                         grouped ? std::vector<int64_t>{c.groups(), c.n}
                                 : std::vector<int64_t>{c.n},
                         seed + 5));
  for (int64_t i = 0; i < (manyRhs ? c.groups() : 1); ++i)
    add(ProductOperand(c, false, seed + 1000 + unsigned(i),
                       grouped && rows && c.packed ? c.groups() : 0));
  Call call = [&](te_rt_context *context, const Tensors &t) {
    std::vector<te_rt_tensor> rhs, scales, amaxes;
    for (size_t i = 6; i < t.size(); i += 3) {
      rhs.push_back(*t[i]);
      scales.push_back(*t[i + 1]);
      if (t[i + 2])
        amaxes.push_back(*t[i + 2]);
    }
    auto list = [](const std::vector<te_rt_tensor> &all) {
      return te_rt_tensor_list{all.data(), int64_t(all.size())};
    };
    if (grouped)
      return te_rt_grouped_gemm(
          context, t[0], t[1], t[2], list(rhs), list(scales), list(amaxes),
          {t[5], t[5] ? 1 : 0}, t[3], {t[4], 1}, c.ragged, c.transposeLhs,
          c.transposeRhs, c.accumulate);
    return te_rt_gemm(context, t[0], t[1], t[2], t[6], t[7], t[8], t[5], t[3],
                      t[4], c.ragged, c.groups() ? member : -1, c.transposeLhs,
                      c.transposeRhs, c.accumulate);
  };
  SCOPED_TRACE(std::to_string(c.m) + " " + std::to_string(c.n) + " " +
               std::to_string(c.k) + " ragged " + std::to_string(c.ragged) +
               " types " + std::to_string(c.lhs) + std::to_string(c.rhs) +
               std::to_string(c.result) + " transposed " +
               std::to_string(c.transposeLhs) + std::to_string(c.transposeRhs) +
               " member " + std::to_string(member));
  // Sums of k products of about one, in F32 in any order.
  float magnitude = (std::sqrt(float(c.k)) * 4 + 4);
  if (c.extremes)
    magnitude *= 0x1p42f;
  expectSame(arguments, runOnRef(arguments, call), runOnCuda(arguments, call),
             {out}, c.result == TE_RT_BF16 ? 0x1p-7f : 0x1p-14f,
             magnitude * (c.result == TE_RT_BF16 ? 0x1p-8f : 0x1p-17f));
}

std::vector<ProductCase> productCases() {
  struct Extents {
    int64_t m, n, k;
  };
  std::vector<ProductCase> all;
  std::vector<Extents> extents = {{2, 8, 32}, {66, 130, 98}, {128, 128, 64}};
  if (!isReduced())
    extents.insert(extents.end(), {{320, 336, 256}, {256, 144, 1056},
                                   {1024, 512, 2880}});
  const std::vector<int32_t> groups = {0, 128, 128, 384, 512};
  bool accumulate = false;
  for (Extents e : extents)
    for (te_rt_dtype result : {TE_RT_BF16, TE_RT_F32}) {
      accumulate = !accumulate;
      for (te_rt_dtype lhs : {TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F4E2M1}) {
        bool fp4 = lhs == TE_RT_F4E2M1;
        te_rt_dtype rhs = fp4 ? lhs : TE_RT_F8E4M3;
        for (int t = 0; t < (fp4 ? 1 : 4); ++t)
          all.push_back({lhs, rhs, result, e.m, e.n, e.k, TE_RT_DENSE, {},
                         bool(t & 1), bool(t & 2), accumulate, t == 0, true,
                         t == 3});
        for (bool packed : {false, true})
          all.push_back({lhs, rhs, result, 640, e.n, e.k, TE_RT_RAGGED_ROWS,
                         groups, false, !fp4 && packed, accumulate, packed,
                         packed});
        all.push_back({lhs, rhs, result, e.m, e.n, 600 - 600 % 4,
                       TE_RT_RAGGED_REDUCTION, groups, !fp4, !fp4, accumulate});
      }
    }
  return all;
}

TEST(CudaRecipeLayer, Products) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const ProductCase &c : productCases()) {
    ++seed;
    if (isReduced() && seed % 3 && !(c.transposeLhs && c.transposeRhs))
      continue;
    checkProduct(c, seed, c.groups() ? 2 : -1);
    if (c.groups()) {
      checkProduct(c, seed, 1); // an empty group
      checkProduct(c, seed, -1);
    }
    const auto *info = testing::UnitTest::GetInstance()->current_test_info();
    if (info->result()->total_part_count() > 20)
      return;
  }
}

/// A product of one group is what the product of all groups has for it.
TEST(CudaRecipeLayer, OneGroupIsAPartOfAll) {
  NEEDS_GPU();
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F4E2M1}) {
    ProductCase c = {type, type, TE_RT_F32, 640, 144, 256, TE_RT_RAGGED_ROWS,
                     {0, 128, 128, 384, 640}};
    ProductOperand lhs(c, true, 1), rhs(c, false, 2, c.groups());
    Arguments arguments;
    for (const Tensor &tensor :
         {lhs.cast.values, lhs.cast.scales, lhs.cast.amax, rhs.cast.values,
          rhs.cast.scales, rhs.cast.amax, offsetsOf(c.offsets)})
      arguments.add(tensor);
    int all = arguments.add(Tensor(TE_RT_F32, {c.m, c.n}));
    int each = arguments.add(Tensor(TE_RT_F32, {c.m, c.n}));
    bool fp4 = type == TE_RT_F4E2M1;
    std::vector<Bytes> found =
        runOnCuda(arguments, [&](te_rt_context *context, const Tensors &t) {
          te_rt_status status = te_rt_grouped_gemm(
              context, t[0], t[1], fp4 ? t[2] : nullptr, {t[3], 1}, {t[4], 1},
              {t[5], fp4}, {}, t[6], {t[7], 1}, c.ragged, 0, 0, 0);
          for (int64_t g = 0; status == TE_RT_OK && g < c.groups(); ++g) {
            auto member = [g](const te_rt_tensor &packed) {
              te_rt_tensor one = packed;
              int64_t elements = 1;
              for (int32_t i = 1; i < packed.rank; ++i)
                elements *= one.shape[i - 1] = packed.shape[i];
              one.rank = packed.rank - 1;
              one.data = static_cast<char *>(packed.data) +
                         g * te_rt::bytesOf(packed.dtype, elements);
              return one;
            };
            te_rt_tensor values = member(*t[3]), scales = member(*t[4]);
            te_rt_tensor amax = member(*t[5]);
            status = te_rt_gemm(context, t[0], t[1], fp4 ? t[2] : nullptr,
                                &values, &scales, fp4 ? &amax : nullptr,
                                nullptr, t[6], t[8], c.ragged, g, 0, 0, 0);
          }
          return status;
        });
    EXPECT_TRUE(found[all] == found[each]);
  }
}
} // namespace
