//===- encode.cpp - one number as an element of any type ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/encode.h"
#include "common/numeric.h"

#include <cmath>

using namespace te_rt;

uint64_t te_rt::encodeElementBits(te_rt_dtype dtype, double value) {
  float single = static_cast<float>(value);
  switch (dtype) {
  case TE_RT_F32:
    return static_cast<uint32_t>(floatBits(single));
  case TE_RT_BF16: {
    // Through F32, rounded to odd first so that nothing is rounded twice.
    int32_t bits = floatBits(single);
    if (std::isfinite(single) && static_cast<double>(single) != value) {
      if (std::fabs(static_cast<double>(single)) > std::fabs(value))
        --bits;
      bits |= 1;
    }
    BFloat16 half;
    fromFloat(bitsFloat(bits), half);
    return half.bits;
  }
  case TE_RT_F16:
    return floatToHalf(single);
  case TE_RT_F8E4M3:
    return encode<E4M3>(single);
  case TE_RT_F8E5M2:
    return encode<E5M2>(single);
  case TE_RT_F4E2M1:
    return encode<E2M1>(single) * 0x11; // a byte of two
  case TE_RT_F8E8M0:
    return std::isnan(value) ? 255 : std::ilogb(value) + 127;
  case TE_RT_I32:
  case TE_RT_I64:
  case TE_RT_U8:
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
  return 0;
}
