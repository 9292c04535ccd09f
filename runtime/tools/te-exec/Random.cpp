//===- Random.cpp - seeded data for arguments -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Random.h"
#include "Error.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <numeric>

using namespace te::exec;

/// The finalizer of SplitMix64: a bijection that mixes every bit into all.
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
static constexpr uint64_t golden = 0x9e3779b97f4a7c15ull;

RandomStream::RandomStream(uint64_t seed, int rank, const std::string &name) {
  uint64_t hash = 0xcbf29ce484222325ull; // FNV-1a
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x100000001b3ull;
  key = mix(mix(mix(seed + golden) + static_cast<uint64_t>(rank) + golden) ^
            hash);
}

uint64_t RandomStream::bits(uint64_t i) const {
  return mix(key + (i + 1) * golden);
}

double RandomStream::uniform(uint64_t i) const {
  return (static_cast<double>(bits(i) >> 11) + 0.5) * 0x1p-53;
}

float RandomStream::normal(uint64_t i) const {
  // 1 / deviation of the sum: 8 uniforms on [0, 65535] have variance
  // 8 * (65536^2 - 1) / 12.
  constexpr double scale = 1.8688123650118534e-05;
  constexpr uint64_t even = 0x0000ffff0000ffffull;
  uint64_t a = bits(2 * i), b = bits(2 * i + 1);
  // Two sums of four in the halves of one word: neither passes 32 bits.
  uint64_t sums = (a & even) + (a >> 16 & even) + (b & even) + (b >> 16 & even);
  int32_t sum = static_cast<int32_t>(sums & 0xffffffff) +
                static_cast<int32_t>(sums >> 32) - 4 * 65535;
  return static_cast<float>(sum * scale);
}

Routing Routing::parse(const std::string &text) {
  if (text == "uniform")
    return {Uniform, 0};
  if (text == "one-expert")
    return {OneExpert, 0};
  if (text == "empty-experts")
    return {EmptyExperts, 0};
  if (text.compare(0, 5, "zipf:") == 0) {
    char *end = nullptr;
    double exponent = std::strtod(text.c_str() + 5, &end);
    if (end != text.c_str() + 5 && *end == '\0' && exponent >= 0 &&
        exponent <= 16)
      return {Zipf, exponent};
    fail("--routing: found '", text, "', wanted zipf:S with S from 0 to 16");
  }
  fail("--routing: found '", text,
       "', wanted uniform, zipf:S, one-expert or empty-experts");
}

namespace {
/// Draws distinct experts by popularity.
class RouteSampler {
public:
  RouteSampler(const Routing &routing, int64_t numExperts)
      : popularity(static_cast<size_t>(numExperts), 1) {
    for (int64_t e = 0; e < numExperts; ++e) {
      if (routing.kind == Routing::OneExpert)
        popularity[e] = e == 0;
      else if (routing.kind == Routing::EmptyExperts)
        popularity[e] = e % 2 == 0;
      else if (routing.kind == Routing::Zipf)
        // As an integer: the last bits of pow differ between machines.
        popularity[e] = std::max<int64_t>(
            1, std::llround(0x1p31 * std::pow(e + 1.0, -routing.exponent)));
    }
    total = std::accumulate(popularity.begin(), popularity.end(), int64_t{0});
  }

  /// Fills `slots` entries through `set(slot, expert)`; value `at`, `at` + 1,
  /// .. of the stream are its own.
  template <typename Set>
  void draw(const RandomStream &stream, uint64_t at, int64_t slots, Set set) {
    int64_t left = total, slot = 0;
    for (; slot < slots && left > 0; ++slot) {
      // Popularities are below 2^31 each, so the bias of % is below 2^-24.
      int64_t ticket = static_cast<int64_t>((stream.bits(at + slot) >> 1) %
                                            static_cast<uint64_t>(left));
      int64_t expert = 0;
      while (ticket >= popularity[expert])
        ticket -= popularity[expert++];
      set(slot, expert);
      taken.emplace_back(expert, popularity[expert]);
      left -= popularity[expert];
      popularity[expert] = 0;
    }
    for (; slot < slots; ++slot)
      set(slot, int64_t{-1});
    for (auto [expert, weight] : taken)
      popularity[expert] = weight;
    taken.clear();
  }

private:
  std::vector<int64_t> popularity;
  std::vector<std::pair<int64_t, int64_t>> taken;
  int64_t total = 0;
};

/// Rows along the last dimension.
void rowsOf(const ArrayType &type, int64_t &rows, int64_t &cols) {
  cols = type.shape.empty() ? 1 : type.shape.back();
  rows = cols == 0 ? 0 : type.elements() / cols;
}

bool isFloat(te_rt_dtype dtype) {
  return dtype == TE_RT_F32 || dtype == TE_RT_BF16 || dtype == TE_RT_F16 ||
         dtype == TE_RT_F8E4M3 || dtype == TE_RT_F8E5M2 ||
         dtype == TE_RT_F4E2M1;
}

void fillRouting(const RandomStream &stream, const RandomSpec &spec,
                 const Routing &routing, const std::string &name, void *data,
                 int threads) {
  if (spec.type.dtype != TE_RT_I32)
    fail("argument ", name, ": found ", spec.type.str(),
         " for random routing, wanted i32");
  // The bound keeps the sampler's table, and its sum, within reason.
  if (spec.numExperts < 1 || spec.numExperts > 1 << 20)
    fail("argument ", name, ": found ", spec.numExperts,
         " experts for random routing, wanted 1 to ", 1 << 20);
  int64_t rows, cols;
  rowsOf(spec.type, rows, cols);
  int32_t *out = static_cast<int32_t *>(data);
  parallelFor(rows, threads, [&, out](int64_t begin, int64_t end) {
    RouteSampler sampler(routing, spec.numExperts);
    for (int64_t row = begin; row < end; ++row)
      sampler.draw(stream, static_cast<uint64_t>(row * cols), cols,
                   [&](int64_t slot, int64_t expert) {
                     out[row * cols + slot] = static_cast<int32_t>(expert);
                   });
  });
}

void fillProbs(const RandomStream &stream, const RandomSpec &spec, void *data,
               int threads) {
  int64_t rows, cols;
  rowsOf(spec.type, rows, cols);
  parallelFor(rows, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      // From 1/8 up: none rounds to zero, whatever the type.
      auto share = [&](int64_t i) {
        return 0.125 + stream.uniform(static_cast<uint64_t>(row * cols + i));
      };
      double sum = 0;
      for (int64_t i = 0; i < cols; ++i)
        sum += share(i);
      for (int64_t i = 0; i < cols; ++i)
        encodeElement(spec.type.dtype, data, row * cols + i,
                      static_cast<float>(share(i) / sum));
    }
  });
}

void fillNormal(const RandomStream &stream, const RandomSpec &spec, void *data,
                int threads) {
  float deviation = spec.deviation;
  te_rt_dtype dtype = spec.type.dtype;
  // Two types are large in practice; they skip the switch for each element.
  parallelFor(spec.type.elements(), threads, [=](int64_t begin, int64_t end) {
    if (dtype == TE_RT_BF16)
      for (int64_t i = begin; i < end; ++i)
        static_cast<uint16_t *>(data)[i] =
            encodeBF16(stream.normal(static_cast<uint64_t>(i)) * deviation);
    else if (dtype == TE_RT_F32)
      for (int64_t i = begin; i < end; ++i)
        static_cast<float *>(data)[i] =
            stream.normal(static_cast<uint64_t>(i)) * deviation;
    else
      for (int64_t i = begin; i < end; ++i)
        encodeElement(dtype, data, i,
                      stream.normal(static_cast<uint64_t>(i)) * deviation);
  });
}
} // namespace

void te::exec::fillRandom(const RandomStream &stream, const RandomSpec &spec,
                          const Routing &routing, const std::string &name,
                          void *data, int threads) {
  int64_t elements = spec.type.elements();
  switch (spec.init) {
  case TE_RT_INIT_ROUTING:
    return fillRouting(stream, spec, routing, name, data, threads);
  case TE_RT_INIT_ZERO:
    if (elements > 0)
      std::memset(data, 0, static_cast<size_t>(spec.type.bytes()));
    return;
  case TE_RT_INIT_ONE:
    return parallelFor(elements, threads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        encodeElement(spec.type.dtype, data, i, 1.0f);
    });
  case TE_RT_INIT_RNG:
    // A plan that asks for it has pairs of I64.
    for (int64_t i = 0; i < elements; ++i)
      static_cast<int64_t *>(data)[i] =
          i % 2 == 0 ? static_cast<int64_t>(
                           stream.bits(static_cast<uint64_t>(i)))
                     : 0;
    return;
  case TE_RT_INIT_NORMAL:
  case TE_RT_INIT_PROBS:
    if (!isFloat(spec.type.dtype))
      fail("argument ", name, ": found ", spec.type.str(), " for random ",
           spec.init == TE_RT_INIT_NORMAL ? "normal data" : "probabilities",
           ", wanted f32, bf16, f16, f8 or f4; give it with --input=", name,
           "=FILE");
    if (spec.init == TE_RT_INIT_NORMAL)
      return fillNormal(stream, spec, data, threads);
    return fillProbs(stream, spec, data, threads);
  }
  fail("argument ", name, ": found initialization ",
       static_cast<int>(spec.init), ", wanted 0 to 5");
}

void te::exec::addSpecials(const RandomStream &stream, const RandomSpec &spec,
                           void *data) {
  te_rt_dtype dtype = spec.type.dtype;
  if (spec.init != TE_RT_INIT_NORMAL ||
      (dtype != TE_RT_F32 && dtype != TE_RT_BF16))
    return;
  // In this order: the last four are for some tensors only. 0x1p-133 is the
  // least denormal of BF16.
  static constexpr float values[] = {-0.0f,
                                     0x1p-133f,
                                     -0x1p-127f,
                                     0x1p-126f,
                                     0x1p-60f,
                                     0x1.fep127f,
                                     -0x1.fep127f,
                                     0x1p60f,
                                     448.0f,
                                     -57344.0f,
                                     std::numeric_limits<float>::quiet_NaN(),
                                     -std::numeric_limits<float>::quiet_NaN(),
                                     std::numeric_limits<float>::infinity(),
                                     -std::numeric_limits<float>::infinity()};
  // Draws of normal data begin at 0; these lie beyond all of them.
  constexpr uint64_t far = uint64_t{1} << 62;
  uint64_t kinds = std::size(values) - (stream.bits(far) % 3 == 0 ? 0 : 4);
  int64_t rows, cols;
  rowsOf(spec.type, rows, cols);
  for (int64_t i = 0; i < rows * cols; ++i) {
    uint64_t block = static_cast<uint64_t>(i / cols * cols + i % cols / 128);
    if (stream.bits(2 * far + block) % 16 == 0)
      encodeElement(dtype, data, i, 0.0f);
    uint64_t draw = stream.bits(far + 1 + static_cast<uint64_t>(i));
    if (draw % 256 == 0)
      encodeElement(dtype, data, i, values[(draw >> 32) % kinds]);
  }
}
