//===- norm.cpp - rows scaled to one length -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "ref/backend.h"

#include <cmath>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kSums = 32; // the lanes of a warp, on a GPU

template <typename T>
void normRow(const T *input, int64_t cols, float epsilon, T *output) {
  float sums[kSums] = {};
  for (int64_t j = 0; j < cols; ++j) {
    float value = toFloat(input[j]);
    sums[j % kSums] += value * value;
  }
  for (int64_t half = kSums / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l)
      sums[l] += sums[l + half];
  float length = std::sqrt(sums[0] / static_cast<float>(cols) + epsilon);
  for (int64_t j = 0; j < cols; ++j)
    fromFloat(toFloat(input[j]) / length, output[j]);
}
} // namespace

te_rt_status ref::rms_norm(te_rt_context *context, const te_rt_tensor *input,
                           const te_rt_tensor *output, double epsilon) {
  int64_t cols = input->shape[1];
  withFloatType(input->dtype, [&](auto element) {
    using T = decltype(element);
    parallelRanges(
        context, input->shape[0], /*grain=*/8, [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r)
            normRow(data<T>(*input) + r * cols, cols,
                    static_cast<float>(epsilon), data<T>(*output) + r * cols);
        });
  });
  return TE_RT_OK;
}
