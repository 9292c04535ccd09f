//===- hadamard.cpp - the random Hadamard transform -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/hadamard.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kBlock = 16;

/// Element (j, k) of diag(sign) times the Sylvester matrix.
float factor(int64_t j, int64_t k) {
  static const float signs[kBlock] = {1,  1,  1,  -1, 1,  -1, -1, -1,
                                      -1, -1, -1, 1,  -1, 1,  -1, -1};
  return __builtin_parityll(static_cast<uint64_t>(j & k)) ? -signs[j]
                                                          : signs[j];
}

void transformBlock(const BFloat16 *input, int64_t rows, int64_t cols,
                    float *sums, BFloat16 *output) {
  for (int64_t k = 0; k < rows; ++k) {
    std::fill(sums, sums + cols, 0.0f);
    for (int64_t j = 0; j < rows; ++j) {
      float sign = factor(j, k);
      const BFloat16 *row = input + j * cols;
      for (int64_t col = 0; col < cols; ++col)
        sums[col] += sign * toFloat(row[col]);
    }
    for (int64_t col = 0; col < cols; ++col)
      fromFloat(sums[col] * 0.25f, output[k * cols + col]);
  }
}
} // namespace

void ref::transformRows(te_rt_context *context,
                        const TempVector<Group> &groups, int64_t cols,
                        const BFloat16 *input, BFloat16 *output) {
  for (const Group &group : groups)
    parallelRanges(context, ceilDiv(group.size(), kBlock), /*grain=*/4,
                   [&](int64_t begin, int64_t end) {
                     TempVector<float> sums(static_cast<size_t>(cols));
                     for (int64_t block = begin; block < end; ++block) {
                       int64_t row = group.begin + block * kBlock;
                       transformBlock(input + row * cols,
                                      std::min(kBlock, group.end - row), cols,
                                      sums.data(), output + row * cols);
                     }
                   });
}
