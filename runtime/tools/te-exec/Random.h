//===- Random.h - seeded data for arguments ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_RANDOM_H
#define TE_EXEC_RANDOM_H

#include "ArrayType.h"
#include "te_runtime/plan.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace te::exec {

/// A counter-based generator: value i is a function of the key and i, so that
/// threads may fill any part in any order and every machine sees the same bits.
class RandomStream {
public:
  /// The stream of argument (or member) `name` on `rank`.
  RandomStream(uint64_t seed, int rank, const std::string &name);

  uint64_t bits(uint64_t i) const;
  /// In (0, 1), 53 bits of it.
  double uniform(uint64_t i) const;
  /// The sum of eight 16-bit uniforms, centred, of deviation 1: normal but for
  /// an excess kurtosis of -0.15 and nothing beyond 4.9. Integers and one
  /// product, so no libm has a say in its bits. Draws bits(2i) and bits(2i+1).
  float normal(uint64_t i) const;

private:
  uint64_t key;
};

/// Which experts random routing prefers.
struct Routing {
  enum Kind { Uniform, Zipf, OneExpert, EmptyExperts } kind = Uniform;
  double exponent = 0; ///< Zipf: popularity of expert i is 1/(i+1)^exponent

  /// `uniform`, `zipf:S`, `one-expert` or `empty-experts`. Throws Error.
  static Routing parse(const std::string &text);
};

/// What to fill an argument (or member) with.
struct RandomSpec {
  ArrayType type;
  te_rt_init init = TE_RT_INIT_NORMAL;
  float deviation = 1;
  int64_t numExperts = 0;
};

/// Fills `data` as `spec` says, with `threads` threads. Routing: each row along
/// the last dimension holds distinct experts in random order, then -1 where the
/// skew leaves none: one-expert fills the first slot with expert 0;
/// empty-experts chooses no odd one. Throws Error where the type does not fit
/// the kind of data; `name` is for that message.
void fillRandom(const RandomStream &stream, const RandomSpec &spec,
                const Routing &routing, const std::string &name, void *data,
                int threads);

/// Replaces some of normal data of type F32 or BF16, and leaves other data as
/// it is: blocks of 128 by zeros, elements by denormals, -0 and extreme
/// magnitudes, and in a third of all tensors by NaN and infinities, which in
/// every tensor would soon be all there is.
void addSpecials(const RandomStream &stream, const RandomSpec &spec,
                 void *data);

/// Calls `body(begin, end)` on parts of [0, count) in `threads` threads.
template <typename Body>
void parallelFor(int64_t count, int threads, Body body) {
  // Below this a thread costs more than it saves.
  constexpr int64_t grain = 1 << 16;
  int64_t parts = std::min<int64_t>(threads, count / grain);
  if (parts <= 1)
    return body(int64_t{0}, count);
  std::vector<std::thread> workers;
  // An even number, so that no two threads write to one byte of FP4.
  int64_t part = count / parts / 2 * 2;
  for (int64_t p = 1; p < parts; ++p)
    workers.emplace_back(body, part * p,
                         p + 1 == parts ? count : part * (p + 1));
  body(int64_t{0}, part);
  for (std::thread &worker : workers)
    worker.join();
}

} // namespace te::exec

#endif // TE_EXEC_RANDOM_H
