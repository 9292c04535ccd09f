//===- philox.h - the numbers of stochastic rounding ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_PHILOX_H
#define TE_RUNTIME_REF_PHILOX_H

#include "common/numeric.h"

#include <cmath>

namespace te_rt {
namespace ref {

/// Philox4x32-10: a counter in, four random words out.
class Philox {
public:
  /// Draws with `seed` as key and `high` as the upper half of the counter.
  Philox(uint64_t seed, uint64_t high) : seed(seed), high(high) {}

  /// Word i % 4 of the counter whose lower half is first + i / 4.
  uint32_t word(uint64_t first, uint64_t i) {
    uint64_t block = first + i / 4;
    if (!drawn || block != low) {
      low = block;
      drawn = true;
      draw();
    }
    return words[i % 4];
  }

private:
  void draw() {
    uint32_t key[2] = {static_cast<uint32_t>(seed),
                       static_cast<uint32_t>(seed >> 32)};
    uint32_t c[4] = {
        static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32),
        static_cast<uint32_t>(high), static_cast<uint32_t>(high >> 32)};
    for (int round = 0; round < 10; ++round) {
      uint64_t a = uint64_t(0xD2511F53) * c[0];
      uint64_t b = uint64_t(0xCD9E8D57) * c[2];
      uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0],
                          static_cast<uint32_t>(b),
                          static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1],
                          static_cast<uint32_t>(a)};
      for (int i = 0; i < 4; ++i)
        c[i] = next[i];
      key[0] += 0x9E3779B9;
      key[1] += 0xBB67AE85;
    }
    for (int i = 0; i < 4; ++i)
      words[i] = c[i];
  }

  uint64_t seed, high, low = 0;
  bool drawn = false; // `words` are those of `low`
  uint32_t words[4] = {};
};

/// The code of one of the two FP4 values around `value`, the farther from zero
/// with the probability that `word` < 2^32 times the part of the way to it.
inline uint8_t roundStochastically(float value, uint32_t word) {
  static const float magnitudes[] = {0.0f, 0.5f, 1.0f, 1.5f,
                                     2.0f, 3.0f, 4.0f, 6.0f};
  float magnitude = std::fabs(value);
  if (!(magnitude < 6.0f)) // NaN too
    return encode<E2M1>(value);
  int32_t code = 0;
  while (magnitude >= magnitudes[code + 1])
    ++code;
  // All of it is exact: neighbours are a power of two apart.
  float lower = magnitudes[code];
  float part = (magnitude - lower) / (magnitudes[code + 1] - lower);
  code += static_cast<double>(word) < static_cast<double>(part) * 0x1p32;
  return static_cast<uint8_t>(code | (floatBits(value) < 0 ? E2M1::sign : 0));
}

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_PHILOX_H
