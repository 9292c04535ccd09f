//===- CudaRecipesTest.cpp - MXFP8 and NVFP4, ref against cuda ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A battery: tables of shapes and of recipes, whose other choices take turns.
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"
#include "Twin.h"

using namespace te_test;

namespace {
/// What quantize is asked for.
struct RecipeCase {
  Shape shape;
  te_rt_dtype input = TE_RT_BF16, values = TE_RT_F8E4M3;
  bool rows = true, columns = true, swizzled = false, swizzledColumns = false;
  bool square = false, hadamard = false, stochastic = false;
  bool amax = false, special = false;
  float noop = -1; // below 0: absent
  int64_t member = -1, stream = 0;

  bool fp4() const { return values == TE_RT_F4E2M1; }
  std::string name() const {
    std::string text = std::to_string(shape.rows) + " x " +
                       std::to_string(shape.cols) + ", members " +
                       std::to_string(shape.members) + ", groups " +
                       std::to_string(shape.groups()) + ", type " +
                       std::to_string(values) + " of " + std::to_string(input) +
                       ", member " + std::to_string(member);
    for (auto [flag, what] :
         {std::pair{rows, " rows"}, {columns, " columns"},
          {swizzled, " swizzled"}, {swizzledColumns, " swizzled columns"},
          {square, " square"}, {hadamard, " hadamard"},
          {stochastic, " stochastic"}, {amax, " amax"}})
      text += flag ? what : "";
    return text;
  }
};

// Arguments of a cast.
enum : size_t {
  kInput, kAmax, kNoop, kOffsets, kRng, kValues, kScales, kValuesT, kScalesT,
  kAmaxOut, kTensorAmax, kTensorAmaxT, kCastArguments
};

void addDirection(Arguments &arguments, const RecipeCase &c, bool columnwise) {
  bool present = columnwise ? c.columns : c.rows;
  if (!present) {
    arguments.none();
    arguments.none();
    return;
  }
  Direction out(c.shape, c.values, columnwise ? c.swizzledColumns : c.swizzled,
                columnwise);
  arguments.add(out.values);
  arguments.add(out.scales);
}

Arguments makeCast(const RecipeCase &c, unsigned seed) {
  Arguments arguments;
  arguments.add(c.special ? difficult(c.input, c.shape, seed)
                          : values(c.input, c.shape.dims(), seed));
  std::vector<int64_t> perGroup, all;
  if (c.shape.domains() > 1 || c.shape.members || c.shape.groups())
    all = {c.shape.domains()};
  if (c.member < 0)
    perGroup = all;
  auto maybe = [&](bool there, const Tensor &tensor) {
    there ? arguments.add(tensor) : arguments.none();
  };
  Tensor before(TE_RT_F32, perGroup);
  for (int64_t i = 0; i < before.size(); ++i)
    before.set(i, i % 3 == 0 ? 1000.0f : i % 3 == 1 ? 0.0f : NAN);
  maybe(c.amax, before);
  maybe(c.noop >= 0, floats({}, {c.noop}));
  maybe(c.shape.groups(), offsetsOf(c.shape.offsets));
  Tensor rng(TE_RT_I64, {2});
  rng.as<int64_t>()[0] = 0x123456789abcdef0 + seed;
  rng.as<int64_t>()[1] = seed % 2 ? -1 : 77;
  maybe(c.stochastic, rng);
  addDirection(arguments, c, false);
  addDirection(arguments, c, true);
  maybe(c.amax, Tensor(TE_RT_F32, perGroup));
  maybe(c.fp4() && c.rows, Tensor(TE_RT_F32, all));
  maybe(c.fp4() && c.columns, Tensor(TE_RT_F32, all));
  return arguments;
}

Call quantizeCall(const RecipeCase &c) {
  return [c](te_rt_context *context, const Tensors &t) {
    return te_rt_quantize(context, t[kInput], nullptr, t[kAmax], t[kNoop],
                          t[kOffsets], t[kRng], t[kValues], t[kScales],
                          t[kValuesT], t[kScalesT], t[kAmaxOut],
                          t[kTensorAmax], t[kTensorAmaxT], c.member, 0,
                          c.square, c.hadamard, c.stream, 0);
  };
}

void check(const RecipeCase &c, unsigned seed) {
  SCOPED_TRACE(c.name() + ", seed " + std::to_string(seed));
  expectTwins(makeCast(c, seed), quantizeCall(c));
}

/// The choices that are no shape, by a number; FP4 has even extents.
RecipeCase choose(Shape shape, unsigned seed) {
  RecipeCase c;
  constexpr te_rt_dtype types[] = {TE_RT_F8E4M3, TE_RT_F4E2M1, TE_RT_F4E2M1,
                                   TE_RT_F8E5M2};
  c.values = types[seed % 4];
  c.input = seed % 5 ? TE_RT_BF16 : TE_RT_F32;
  c.rows = seed % 3 != 1;
  c.columns = seed % 3 != 2;
  c.swizzled = seed / 2 % 2;
  c.swizzledColumns = seed / 4 % 2;
  c.special = seed % 4 > 1;
  c.square = seed / 8 % 3 == 1;
  c.amax = seed % 5 == 2;
  c.noop = seed % 9 == 0 ? 0.0f : -1;
  if (c.fp4()) {
    shape.rows += shape.rows % 2;
    shape.cols += shape.cols % 2;
    c.hadamard = c.columns && c.input == TE_RT_BF16 && seed / 8 % 3 == 2;
    c.stochastic = seed % 7 < 3;
    c.stream = seed % 6;
  }
  c.shape = shape;
  return c;
}

std::vector<Shape> shapes() {
  if (isReduced())
    return {{1, 1}, {130, 258}, {256, 128}, {0, 64}, {132, 136, 2}};
  return {{1, 1},      {1, 16},    {1, 768},    {768, 1},   {768, 768},
          {43, 43},    {43, 256},  {256, 43},   {256, 256}, {65, 96},
          {993, 512},  {1024, 1},  {16, 512},   {127, 129}, {131, 257},
          {257, 1031}, {0, 64},    {64, 0},     {3, 7168},  {320, 7168},
          {2880, 720}, {128, 128, 2}, {131, 136, 3}, {7, 11, 5},
          {256, 512, 1}, {0, 32, 4}, {192, 1408, 8}, {32, 32}, {64, 2880}};
}

TEST(CudaRecipes, EveryShape) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const Shape &shape : shapes())
    for (int turn = 0; turn < (isReduced() ? 12 : 24); ++turn) {
      ++seed;
      check(choose(shape, seed), seed);
      if (HasFailure())
        return;
    }
}

TEST(CudaRecipes, LargeShapes) {
  NEEDS_GPU();
  if (isReduced())
    GTEST_SKIP() << "reduced";
  unsigned seed = 1000;
  for (const Shape &shape : {Shape{256, 65536}, Shape{4096, 1632}})
    for (int turn = 0; turn < 4; ++turn) {
      ++seed;
      check(choose(shape, seed), seed);
    }
}

/// Every code of the scales: blocks whose amaxes are all powers of two, those
/// around them, and all of NaN, infinity or zero.
TEST(CudaRecipes, EveryScale) {
  NEEDS_GPU();
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F4E2M1})
    for (te_rt_dtype input : {TE_RT_F32, TE_RT_BF16})
      for (int exponent : {0, 40, 126}) {
        RecipeCase c;
        c.shape = {32 * 279, 32};
        c.values = type;
        c.input = input;
        Arguments arguments = makeCast(c, 5);
        Tensor &x = *arguments.items[kInput];
        for (int64_t row = 0; row < c.shape.rows; ++row)
          for (int64_t col = 0; col < 32; ++col) {
            int64_t block = row / 32, turn = row % 32;
            float power = std::ldexp(1.0f, int(block) - 149);
            float value = power * (1.0f + (turn % 8) * 0x1p-7f);
            if (turn >= 24)
              value = std::nextafter(power, turn % 2 ? INFINITY : 0.0f);
            if (turn == 23)
              value = 0.0f;
            if (turn == 22)
              value = NAN;
            if (block == 278)
              value = turn % 3 == 0 ? NAN : turn % 3 == 1 ? INFINITY : -0.0f;
            // NVFP4: the tensor's amax moves the scales of all blocks.
            if (type == TE_RT_F4E2M1 && block > 149 + exponent)
              value = 0.0f;
            x.set(row * 32 + col, col % 2 ? value : value * 0.25f);
          }
        expectTwins(arguments, quantizeCall(c));
        if (HasFailure())
          return;
      }
}

/// Every value of BF16 under every scale that a block of these can have.
TEST(CudaRecipes, EveryValue) {
  NEEDS_GPU();
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F4E2M1})
    for (bool stochastic : {false, true}) {
      if (stochastic && type != TE_RT_F4E2M1)
        continue;
      RecipeCase c;
      c.shape = {256, 256};
      c.values = type;
      c.stochastic = stochastic;
      Arguments arguments = makeCast(c, 6);
      auto *bits = arguments.items[kInput]->as<uint16_t>();
      for (int64_t i = 0; i < 65536; ++i) // neighbours of the same exponent
        bits[i] = static_cast<uint16_t>(i);
      expectTwins(arguments, quantizeCall(c));
    }
}

/// Groups at multiples of 128, and anywhere.
std::vector<Shape> raggedShapes(bool aligned) {
  if (aligned)
    return {{512, 136, 0, {0, 128, 128, 384}},
            {640, 96, 0, {128, 256, 512}},
            {256, 258, 0, {0, 0, 256}},
            {300, 64, 0, {0, 128, 256}},
            {256, 32, 0, {0, 0, 0}},
            {1024, 2880, 0, {0, 0, 896, 1024, 1024}}};
  std::vector<Shape> all = {{300, 136, 0, {0, 130, 130, 257, 290}},
                            {256, 258, 0, {0, 128, 256}},
                            {64, 96, 0, {0, 0, 0, 64}},
                            {512, 32, 0, {16, 144, 400, 400}},
                            {130, 130, 0, {0, 1, 2, 129}},
                            {100, 64, 0, {0, 0, 0}},
                            {0, 64, 0, {0, 0}}};
  if (!isReduced()) {
    std::vector<int32_t> many = {0}; // more groups than a block has threads
    for (int g = 0; g < 300; ++g)
      many.push_back(many.back() + (g * 7919) % 97 % 40);
    all.push_back({many.back() + many.back() % 2 + 100, 64, 0, many});
    all.push_back({4096, 144, 0, {0, 3968, 3968, 3984, 4096}});
  }
  return all;
}

TEST(CudaRecipes, Ragged) {
  NEEDS_GPU();
  unsigned seed = 2000;
  for (bool aligned : {false, true})
    for (const Shape &shape : raggedShapes(aligned))
      for (int turn = 0; turn < (isReduced() ? 8 : 24); ++turn) {
        RecipeCase c = choose(shape, ++seed);
        c.swizzledColumns = aligned;
        check(c, seed);
        if (HasFailure())
          return;
      }
}

TEST(CudaRecipes, OneMemberAtATime) {
  NEEDS_GPU();
  unsigned seed = 3000;
  std::vector<Shape> all = raggedShapes(false);
  for (const Shape &shape : raggedShapes(true))
    all.push_back(shape);
  all.push_back({131, 136, 3});
  all.push_back({64, 2880, 2});
  for (const Shape &shape : all)
    for (int64_t member = 0; member < std::min<int64_t>(4, shape.domains());
         ++member)
      for (bool host : {false, true}) {
        RecipeCase c = choose(shape, ++seed);
        c.member = member;
        bool aligned = true;
        for (int32_t offset : shape.offsets)
          aligned &= offset % 128 == 0;
        c.swizzledColumns = aligned;
        Arguments arguments = makeCast(c, seed);
        if (shape.groups())
          arguments.items[kOffsets]->t.on_host = host;
        SCOPED_TRACE(c.name() + ", seed " + std::to_string(seed));
        expectTwins(arguments, quantizeCall(c));
        if (HasFailure())
          return;
      }
}

TEST(CudaRecipes, NoopWritesNothing) {
  NEEDS_GPU();
  for (unsigned seed : {1u, 2u, 3u, 5u, 9u}) {
    RecipeCase c = choose({200, 300}, seed);
    c.noop = 1.0f;
    check(c, seed);
  }
}

/// Scales of blocks in one direction and of another recipe in the other.
TEST(CudaRecipes, MixedDirections) {
  NEEDS_GPU();
  for (bool floatRows : {false, true}) {
    RecipeCase c;
    c.shape = {256, 384};
    c.amax = true;
    c.swizzled = c.swizzledColumns = true;
    Arguments arguments = makeCast(c, 3);
    size_t at = floatRows ? kScales : kScalesT;
    *arguments.items[at - 1] =
        Tensor(TE_RT_F8E4M3, floatRows ? std::vector<int64_t>{256, 384}
                                       : std::vector<int64_t>{384, 256});
    *arguments.items[at] =
        Tensor(TE_RT_F32, floatRows ? std::vector<int64_t>{256, 3}
                                    : std::vector<int64_t>{384, 2})
            .scales(TE_RT_COMPACT, 1, 128);
    expectTwins(arguments, quantizeCall(c));
  }
}

TEST(CudaRecipes, MultiCastTransposeMixesShapes) {
  NEEDS_GPU();
  const std::vector<Shape> mix = {{2, 2},     {2, 768},  {768, 2},
                                  {768, 768}, {44, 44},  {44, 256},
                                  {256, 44},  {256, 256}, {0, 16},
                                  {100, 136, 2}, {64, 64, 3}};
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F4E2M1})
    for (size_t count : {size_t(1), size_t(11), size_t(65), size_t(130)})
      for (int variant = 0; variant < 3; ++variant) {
        if (isReduced() && (count > 11 || variant == 1))
          continue;
        Arguments arguments;
        for (size_t i = 0; i < count; ++i) {
          RecipeCase c;
          c.shape = mix[i % mix.size()];
          c.values = type;
          c.input = variant == 2 && i % 3 == 0 ? TE_RT_F32 : TE_RT_BF16;
          c.swizzled = c.swizzledColumns = variant != 1;
          c.amax = variant == 2;
          c.special = i % 2;
          Arguments one = makeCast(c, static_cast<unsigned>(i) + 7);
          for (auto &item : one.items)
            arguments.items.push_back(std::move(item));
        }
        expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
          std::vector<te_rt_tensor> lists[kCastArguments];
          for (size_t i = 0; i < t.size(); ++i)
            if (t[i])
              lists[i % kCastArguments].push_back(*t[i]);
          auto list = [&](size_t k) {
            return te_rt_tensor_list{lists[k].data(),
                                     int64_t(lists[k].size())};
          };
          return te_rt_multi_cast_transpose(
              context, list(kInput), {}, list(kAmax), nullptr, list(kValues),
              list(kScales), list(kValuesT), list(kScalesT), list(kAmaxOut),
              list(kTensorAmax), list(kTensorAmaxT), 0, variant > 0, 0.0);
        });
        if (HasFailure())
          return;
      }
}

//===----------------------------------------------------------------------===//
// Back, and on
//===----------------------------------------------------------------------===//

/// What a cast on ref gives.
Arguments castOnRef(const RecipeCase &c, unsigned seed) {
  Arguments cast = makeCast(c, seed);
  std::vector<Bytes> after = runOnRef(cast, quantizeCall(c));
  for (size_t i = 0; i < after.size(); ++i)
    if (cast.items[i]) {
      cast.items[i]->bytes = after[i];
      cast.items[i]->t.data = cast.items[i]->bytes.data();
    }
  return cast;
}
void move(Arguments &to, Arguments &from, size_t index) {
  to.items.push_back(std::move(from.items[index]));
}

TEST(CudaRecipes, Dequantize) {
  NEEDS_GPU();
  unsigned seed = 4000;
  std::vector<Shape> all = shapes();
  for (bool aligned : {false, true})
    for (const Shape &shape : raggedShapes(aligned))
      all.push_back(shape);
  for (const Shape &shape : all)
    for (int turn = 0; turn < 4; ++turn) {
      RecipeCase c = choose(shape, ++seed);
      c.noop = -1;
      bool aligned = true;
      for (int32_t offset : shape.offsets)
        aligned &= offset % 128 == 0;
      // Columnwise FP4 is transposed: a matrix like any other.
      bool columnwise = turn % 2 && !(c.fp4() && shape.groups());
      c.rows = !columnwise, c.columns = columnwise;
      c.swizzledColumns = aligned && turn > 1;
      c.hadamard = false;
      Arguments cast = castOnRef(c, seed);
      Arguments codes;
      move(codes, cast, columnwise ? kValuesT : kValues);
      move(codes, cast, columnwise ? kScalesT : kScales);
      move(codes, cast, columnwise ? kTensorAmaxT : kTensorAmax);
      move(codes, cast, kOffsets);
      const te_rt_tensor &values = codes.items[0]->t;
      codes.add(Tensor(seed % 2 ? TE_RT_BF16 : TE_RT_F32,
                       std::vector<int64_t>(values.shape,
                                            values.shape + values.rank)));
      SCOPED_TRACE(c.name());
      expectTwins(codes, [](te_rt_context *context, const Tensors &t) {
        return te_rt_dequantize(context, t[0], t[1], t[2], t[3], t[4]);
      });
      if (HasFailure())
        return;
    }
}

TEST(CudaRecipes, Requantize) {
  NEEDS_GPU();
  unsigned seed = 5000;
  for (const Shape &shape : raggedShapes(true))
    for (bool ragged : {false, true})
      for (bool swizzled : {false, true})
        for (bool floats : {false, true}) {
          RecipeCase c;
          c.shape = shape;
          if (!ragged)
            c.shape.offsets.clear();
          c.swizzled = c.swizzledColumns = swizzled;
          c.special = ++seed % 2;
          Arguments cast = castOnRef(c, seed);
          Arguments arguments;
          move(arguments, cast, kValues);
          move(arguments, cast, kScales);
          move(arguments, cast, kOffsets);
          if (floats) { // codes like any others
            arguments.items[1] = std::make_unique<Tensor>(
                normal(TE_RT_F32,
                       {shape.rows, (shape.cols + 127) / 128}, seed)
                    .scales(TE_RT_COMPACT, 1, 128));
          }
          addDirection(arguments, c, false);
          addDirection(arguments, c, true);
          te_rt_dtype via = seed % 3 ? TE_RT_BF16 : TE_RT_F32;
          expectTwins(arguments,
                      [&](te_rt_context *context, const Tensors &t) {
                        return te_rt_requantize(context, t[0], t[1], nullptr,
                                                nullptr, t[2], t[3], t[4], t[5],
                                                t[6], nullptr, via, 0, 0);
                      });
          if (HasFailure())
            return;
        }
}

TEST(CudaRecipes, ConvertScales) {
  NEEDS_GPU();
  unsigned seed = 6000;
  std::vector<Shape> all = shapes();
  all.push_back({130, 3584}); // 28 times 4 blocks of 32
  if (!isReduced())
    for (const Shape &shape :
         {Shape{4096, 7168}, Shape{4100, 4224}, Shape{128, 16384}})
      all.push_back(shape);
  for (const Shape &shape : all)
    for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F4E2M1})
      for (bool columnwise : {false, true})
        for (int from = 0; from < 2; ++from)
          for (int to = 0; to < 2; ++to) {
            Direction one(shape, type, from, columnwise);
            Direction other(shape, type, to, columnwise);
            Arguments arguments;
            Tensor scales = one.scales;
            std::mt19937 random(++seed);
            for (unsigned char &byte : scales.bytes)
              byte = static_cast<unsigned char>(random());
            arguments.add(scales);
            arguments.add(other.scales);
            bool turned = columnwise && type == TE_RT_F4E2M1;
            SCOPED_TRACE(std::to_string(shape.rows) + " x " +
                         std::to_string(shape.cols) + ", type " +
                         std::to_string(type) + (columnwise ? " columnwise" : "") +
                         ", from " + std::to_string(from) + " to " +
                         std::to_string(to));
            expectTwins(arguments,
                        [&](te_rt_context *context, const Tensors &t) {
                          return te_rt_convert_scales(
                              context, t[0], t[1],
                              turned ? shape.cols : shape.rows,
                              turned ? shape.rows : shape.cols);
                        });
            if (HasFailure())
              return;
          }
}
} // namespace
