//===- Recipes.h - MXFP8 and NVFP4 from their definition --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sections 1.4, 1.5 and 2.1 of te-semantics once more, by other means than the
// runtime's: codes are found by searching their values, places one by one.
//
//===----------------------------------------------------------------------===//

#ifndef TE_TEST_RUNTIME_RECIPES_H
#define TE_TEST_RUNTIME_RECIPES_H

#include "Support.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace te_test {

inline int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

inline std::vector<double> magnitudes(int mantissa, int bias, int codes) {
  std::vector<double> values;
  for (int code = 0; code < codes; ++code) {
    int exponent = code >> mantissa;
    double fraction = std::ldexp(code & ((1 << mantissa) - 1), -mantissa);
    values.push_back(exponent ? std::ldexp(1 + fraction, exponent - bias)
                              : std::ldexp(fraction, 1 - bias));
  }
  return values;
}
/// The values of the finite codes without sign.
inline const std::vector<double> &magnitudesOf(te_rt_dtype type) {
  static const std::vector<double> fp4 = {0, 0.5, 1, 1.5, 2, 3, 4, 6},
                                   e4m3 = magnitudes(3, 7, 0x7f),
                                   e5m2 = magnitudes(2, 15, 0x7c);
  return type == TE_RT_F4E2M1 ? fp4 : type == TE_RT_F8E4M3 ? e4m3 : e5m2;
}

/// The nearest code, of two the even one; the largest beyond.
inline uint8_t nearest(te_rt_dtype type, float value) {
  const std::vector<double> &table = magnitudesOf(type);
  bool fp4 = type == TE_RT_F4E2M1;
  if (std::isnan(value))
    return fp4 ? 7 : 0x7f;
  double magnitude = std::fabs(static_cast<double>(value));
  size_t code = static_cast<size_t>(
      std::upper_bound(table.begin(), table.end(), magnitude) - table.begin() -
      1);
  if (code + 1 < table.size()) {
    double middle = (table[code] + table[code + 1]) / 2;
    code += magnitude > middle || (magnitude == middle && code % 2 == 1);
  }
  return static_cast<uint8_t>(code |
                              (std::signbit(value) ? (fp4 ? 8 : 0x80) : 0));
}

inline double decoded(te_rt_dtype type, uint8_t code) {
  uint8_t sign = type == TE_RT_F4E2M1 ? 8 : 0x80;
  const std::vector<double> &table = magnitudesOf(type);
  size_t magnitude = code & (sign - 1);
  if (magnitude >= table.size())
    return magnitude == table.size() && type == TE_RT_F8E5M2
               ? (code & sign ? -INFINITY : INFINITY)
               : std::nan("");
  return code & sign ? -table[magnitude] : table[magnitude];
}

/// The code of the least power of two from 2^-127 to 2^127 that is at least
/// `value`; the largest if there is none, and the least for 0.
inline uint8_t e8m0(float value) {
  if (std::isnan(value))
    return 255;
  for (int e = 0; e < 254; ++e)
    if (std::ldexp(1.0, e - 127) >= value)
      return static_cast<uint8_t>(e);
  return 254;
}
inline float e8m0Value(uint8_t code) {
  return code == 255 ? std::nanf("")
                     : static_cast<float>(std::ldexp(1.0, code - 127));
}

/// What a block of this amax is stored as, and multiplied by.
struct Scale {
  uint8_t code;
  float multiplier;
};
inline Scale mxfp8(float amax, te_rt_dtype values) {
  float inverse = 1.0f / (values == TE_RT_F8E4M3 ? 448.0f : 57344.0f);
  uint8_t code = e8m0(amax * inverse);
  return {code, static_cast<float>(std::ldexp(1.0, 127 - code))};
}
inline Scale nvfp4(float amax, float tensorAmax) {
  float encode = 1;
  if (tensorAmax != 0) {
    encode = 2688.0f / tensorAmax;
    if (encode > FLT_MAX)
      encode = FLT_MAX;
    if (encode == 0)
      encode = 1;
  }
  float sixth = 1.0f / 6.0f;
  float factor = encode * sixth;
  float wanted = amax * factor;
  if (wanted > FLT_MAX)
    wanted = FLT_MAX;
  uint8_t code = nearest(TE_RT_F8E4M3, wanted);
  float inverse = 1.0f / encode;
  float step = static_cast<float>(decoded(TE_RT_F8E4M3, code)) * inverse;
  float multiplier = 1.0f / step;
  return {code, multiplier > FLT_MAX ? FLT_MAX : multiplier};
}

/// Code `i` of values; of FP4 a nibble.
inline uint8_t codeAt(const Tensor &values, int64_t i) {
  return values.t.dtype == TE_RT_F4E2M1
             ? values.bytes[i / 2] >> (i % 2 ? 4 : 0) & 0xf
             : values.bytes[i];
}

/// Which scale element (i, j) of the *input* has, in a direction of a recipe:
/// blocks of `size` along the rows (`columnwise` along the columns).
struct ScalePlace {
  int64_t rows, cols; // of one member
  int64_t size;
  bool columnwise, swizzled, untransposed;
  std::vector<int32_t> offsets; // of ragged rows; empty if there are none

  bool restarts() const { return columnwise && !offsets.empty(); }
  /// As a matrix of one member.
  std::vector<int64_t> shape() const {
    int64_t outer = columnwise ? cols : rows, along = columnwise ? rows : cols;
    int64_t groups = static_cast<int64_t>(offsets.size()) - 1;
    int64_t blocks = restarts() && !swizzled ? along / size + groups
                                             : (along + size - 1) / size;
    if (untransposed && !swizzled)
      return {up(blocks, 4), up(outer, 128)};
    return {up(outer, 128), up(blocks, 4)};
  }
  /// Where the scale of row i of group g, column j lies; -1: nowhere.
  int64_t of(int64_t i, int64_t j, int64_t g) const {
    int64_t outer = columnwise ? j : i, along = columnwise ? i : j;
    int64_t begin = restarts() ? offsets[g] : 0;
    int64_t block = (along - begin) / size;
    if (!swizzled) {
      if (restarts())
        block += begin / size + g;
      return untransposed ? block * up(cols, 128) + outer
                          : outer * shape()[1] + block;
    }
    int64_t blocks =
        restarts() ? (offsets[g + 1] - begin + size - 1) / size : shape()[1];
    int64_t base = restarts() ? up(cols, 128) * (begin / size) : 0;
    int64_t tiles = (blocks + 3) / 4;
    return base + (outer / 128 * tiles + block / 4) * 512 + outer % 32 * 16 +
           outer % 128 / 32 * 4 + block % 4;
  }
};

/// The arguments of quantize, absent but for those that are set.
struct QuantizeCall {
  const te_rt_tensor *input = nullptr, *scale = nullptr, *amax = nullptr,
                     *noop = nullptr, *offsets = nullptr, *rng = nullptr,
                     *values = nullptr, *scales = nullptr, *valuesT = nullptr,
                     *scalesT = nullptr, *amaxOut = nullptr,
                     *tensorAmax = nullptr, *tensorAmaxT = nullptr;
  int64_t member = -1, pow2 = 0, square = 0, hadamard = 0, stream = 0;
  double epsilon = 0;

  te_rt_status run(const Context &context) const {
    return te_rt_quantize(context.get(), input, scale, amax, noop, offsets, rng,
                          values, scales, valuesT, scalesT, amaxOut, tensorAmax,
                          tensorAmaxT, member, pow2, square, hadamard, stream,
                          epsilon);
  }
};

/// The shape of an input: rows x cols, of `members` if that is not 0, or with
/// ragged rows.
struct Shape {
  int64_t rows, cols, members = 0;
  std::vector<int32_t> offsets = {};

  std::vector<int64_t> dims() const {
    return members ? std::vector<int64_t>{members, rows, cols}
                   : std::vector<int64_t>{rows, cols};
  }
  int32_t groups() const {
    return static_cast<int32_t>(offsets.empty() ? 0 : offsets.size() - 1);
  }
  /// Members, groups, or 1.
  int64_t domains() const {
    return members ? members : groups() ? groups() : 1;
  }
  int64_t member(int64_t domain) const { return members ? domain : 0; }
  int64_t begin(int64_t domain) const { return groups() ? offsets[domain] : 0; }
  int64_t end(int64_t domain) const {
    return groups() ? offsets[domain + 1] : rows;
  }
};

/// What quantize writes in one direction, all of it 0xCD at first.
struct Direction {
  Shape shape;
  bool columnwise;
  ScalePlace place;
  Tensor values, scales, amax;

  Direction(const Shape &shape, te_rt_dtype type, bool swizzled,
            bool columnwise)
      : shape(shape),
        columnwise(columnwise), place{shape.rows,
                                      shape.cols,
                                      type == TE_RT_F4E2M1 ? 16 : 32,
                                      columnwise,
                                      swizzled,
                                      columnwise && type != TE_RT_F4E2M1,
                                      shape.offsets},
        values(type, valuesDims()),
        scales(type == TE_RT_F4E2M1 ? TE_RT_F8E4M3 : TE_RT_F8E8M0,
               scalesDims()),
        amax(TE_RT_F32, shape.members || shape.groups()
                            ? std::vector<int64_t>{shape.domains()}
                            : std::vector<int64_t>{}) {
    scales.scales(swizzled ? TE_RT_SWIZZLED : TE_RT_COMPACT,
                  place.untransposed ? 32 : 1,
                  place.untransposed ? 1 : static_cast<int32_t>(place.size),
                  columnwise ? shape.groups() : 0);
  }

  bool fp4() const { return values.t.dtype == TE_RT_F4E2M1; }
  void addTo(QuantizeCall &call) const {
    (columnwise ? call.valuesT : call.values) = values;
    (columnwise ? call.scalesT : call.scales) = scales;
    if (fp4())
      (columnwise ? call.tensorAmaxT : call.tensorAmax) = amax;
  }
  /// Of element (i, j) of a member of the input.
  int64_t valueAt(int64_t member, int64_t i, int64_t j) const {
    return member * shape.rows * shape.cols + (columnwise && !place.untransposed
                                                   ? j * shape.rows + i
                                                   : i * shape.cols + j);
  }
  int64_t scaleAt(int64_t member, int64_t i, int64_t j, int64_t group) const {
    std::vector<int64_t> dims = place.shape();
    return member * dims[0] * dims[1] + place.of(i, j, group);
  }
  /// The value that they stand for, without the amax of the tensor.
  double value(int64_t domain, int64_t i, int64_t j) const {
    int64_t member = shape.member(domain);
    uint8_t scale = scales.bytes[scaleAt(member, i, j, domain)];
    return decoded(values.t.dtype, codeAt(values, valueAt(member, i, j))) *
           (fp4() ? decoded(TE_RT_F8E4M3, scale) : double(e8m0Value(scale)));
  }

private:
  std::vector<int64_t> valuesDims() const {
    std::vector<int64_t> dims = shape.dims();
    if (columnwise && !place.untransposed)
      std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    return dims;
  }
  std::vector<int64_t> scalesDims() const {
    std::vector<int64_t> dims = place.shape();
    if (shape.members)
      dims.insert(dims.begin(), shape.members);
    return dims;
  }
};

/// How an element becomes a code; the index is that of the stored element.
using Rounding = uint8_t (*)(te_rt_dtype type, float scaled, int64_t index);
inline uint8_t toNearest(te_rt_dtype type, float scaled, int64_t) {
  return nearest(type, scaled);
}

inline void putCode(std::vector<unsigned char> &bytes, bool fp4, int64_t i,
                    uint8_t code) {
  if (!fp4)
    bytes[i] = code;
  else if (i % 2)
    bytes[i / 2] = static_cast<unsigned char>((bytes[i / 2] & 15) | code << 4);
  else
    bytes[i / 2] = static_cast<unsigned char>((bytes[i / 2] & 0xf0) | code);
}

/// The bytes of scales that no block writes: zero for padding, else 0xCD.
inline std::vector<unsigned char> untouchedScales(const Direction &out) {
  const Shape &shape = out.shape;
  std::vector<unsigned char> bytes(out.scales.bytes.size(), 0xCD);
  std::vector<int64_t> dims = out.place.shape();
  if (out.place.restarts() && out.place.swizzled) {
    // Each group has tiles of its own; those behind the last are nobody's.
    for (int64_t g = 0; g < shape.groups(); ++g) {
      int64_t begin = shape.begin(g), end = shape.end(g), size = out.place.size;
      std::fill_n(bytes.begin() + dims[0] * (begin / size),
                  dims[0] * up((end - begin) / size, 4), 0);
    }
    return bytes;
  }
  if (out.place.restarts()) {
    int64_t blocks = shape.rows / out.place.size + shape.groups();
    for (int64_t i = 0; i < dims[0]; ++i)
      for (int64_t j = 0; j < dims[1]; ++j) {
        int64_t block = out.place.untransposed ? i : j;
        int64_t outer = out.place.untransposed ? j : i;
        if (block >= blocks || outer >= shape.cols)
          bytes[i * dims[1] + j] = 0;
      }
    return bytes;
  }
  std::fill(bytes.begin(), bytes.end(), 0);
  for (int64_t e = 0; e < std::max<int64_t>(shape.members, 1); ++e)
    for (int64_t i = 0; i < shape.rows; ++i)
      for (int64_t j = 0; j < shape.cols; ++j)
        bytes[out.scaleAt(e, i, j, 0)] = 0xCD;
  return bytes;
}

/// Checks every byte that quantize has written or left for `source`, the input
/// or what has been made of it.
inline void checkCast(const Direction &out, const Tensor &source,
                      bool square = false, Rounding round = toNearest) {
  const Shape &shape = out.shape;
  const int64_t size = out.place.size;
  te_rt_dtype type = out.values.t.dtype;
  std::vector<unsigned char> values(out.values.bytes.size(), 0xCD);
  std::vector<unsigned char> scales = untouchedScales(out);
  for (int64_t d = 0; d < shape.domains(); ++d) {
    int64_t member = shape.member(d), begin = shape.begin(d);
    auto at = [&](int64_t i, int64_t j) {
      return source.get((member * shape.rows + i) * shape.cols + j);
    };
    auto blockOf = [&](int64_t i, int64_t j) {
      int64_t down = (i - begin) / size, right = j / size;
      return square           ? down * shape.cols + right
             : out.columnwise ? down * shape.cols + j
                              : (i - begin) * shape.cols + right;
    };
    float largest = 0;
    std::vector<float> amax(
        static_cast<size_t>((shape.end(d) - begin) * shape.cols));
    for (int64_t i = begin; i < shape.end(d); ++i)
      for (int64_t j = 0; j < shape.cols; ++j)
        if (float magnitude = std::fabs(at(i, j)); !std::isnan(magnitude)) {
          amax[blockOf(i, j)] = std::max(amax[blockOf(i, j)], magnitude);
          largest = std::max(largest, magnitude);
        }
    if (out.fp4()) {
      EXPECT_EQ(out.amax.get(out.amax.t.rank ? d : 0), largest);
    }
    for (int64_t i = begin; i < shape.end(d); ++i)
      for (int64_t j = 0; j < shape.cols; ++j) {
        Scale scale = out.fp4() ? nvfp4(amax[blockOf(i, j)], largest)
                                : mxfp8(amax[blockOf(i, j)], type);
        int64_t index = out.valueAt(member, i, j);
        scales[out.scaleAt(member, i, j, d)] = scale.code;
        putCode(values, out.fp4(), index,
                round(type, at(i, j) * scale.multiplier, index));
      }
  }
  EXPECT_TRUE(out.scales.bytes == scales) << "scales differ";
  EXPECT_TRUE(out.values.bytes == values) << "values differ";
}

/// Normal data with blocks of zeros, and rows of extremes; with `specials` NaN
/// and infinities too.
inline Tensor difficult(te_rt_dtype dtype, const Shape &shape, unsigned seed,
                        bool specials = true) {
  Tensor x = normal(dtype, shape.dims(), seed);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t row = i / shape.cols;
    if (row % 7 == 3 && i % 5)
      x.set(i, 0.0f);
    if (row % 64 < 32 && i % shape.cols / 32 % 3 == 1)
      x.set(i, i % 2 ? -0.0f : 0.0f);
    if (row % 11 == 5)
      x.set(i, x.get(i) * 0x1p-126f);
    if (row % 13 == 6)
      x.set(i, x.get(i) * 0x1p40f);
    if (specials && i % 997 == 5)
      x.set(i, NAN);
    if (specials && i % 3001 == 7)
      x.set(i, i % 2 ? INFINITY : -INFINITY);
  }
  return x;
}

} // namespace te_test

#endif // TE_TEST_RUNTIME_RECIPES_H
