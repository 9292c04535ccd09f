//===- product_ways.h - the ways that a product can go ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What each way takes, told by types, scales, extents and alignment alone. As
// the schema of plans, this is one text for both halves: the compiler chooses
// by it (te-choose-products), and the runtime holds each call to it.
//
//===----------------------------------------------------------------------===//

#ifndef TE_PLAN_PRODUCT_WAYS_H
#define TE_PLAN_PRODUCT_WAYS_H

#include <algorithm>
#include <cstdint>
#include <string>

namespace te::products {

/// How the GPU makes a product. The numbers are those of the plan's schema.
enum class Way : uint8_t {
  Unset,    ///< nobody has chosen
  Own,      ///< our kernel for all groups, which reads offsets on the device
  Library,  ///< cuBLASLt, a call for each group, with extents that the host
            ///< knows
  Emulated, ///< our kernel that decodes MXFP8 and NVFP4; offsets on the device
  Plain,    ///< FP32 arithmetic, for what is small or rare
  Groups    ///< cuBLASLt's grouped matmul, which reads offsets on the device
};
/// The order in which they are tried where nothing tells which is faster.
constexpr Way kWays[] = {Way::Own, Way::Groups, Way::Library, Way::Emulated,
                         Way::Plain};
/// The first cuBLASLt with layouts of groups for sm_90, as cublasLtGetVersion
/// tells.
constexpr int64_t kGroupsVersion = 130400;

inline const char *nameOf(Way way) {
  static constexpr const char *names[] = {"unset",    "own",   "library",
                                          "emulated", "plain", "groups"};
  return names[static_cast<int>(way)];
}

/// The numbers of te_rt_dtype.
enum class Element : int {
  F32 = 0,
  BF16 = 1,
  E4M3 = 3,
  E5M2 = 4,
  FP4 = 9,
  None = -1
};

/// The blocks that share a scale; the first three are in F32.
enum class Scaling { None, Tensor, Rows, Squares, MXFP8, NVFP4, Other };

/// A ragged extent of a group, which is known when the product runs.
constexpr int64_t kUnknown = -1;

/// An operand as it is stored: rows x cols, of one member.
struct Side {
  Element element;
  Scaling scaling;
  bool transposed;
  int64_t rows, cols;
  int64_t alignment;      ///< bytes, of each member
  int64_t scaleAlignment; ///< likewise; multiples of 16 are alike
};

struct Form {
  int major;       ///< of the GPU: 9 is sm_90, 10 sm_100
  int64_t m, n, k; ///< of one group
  Side lhs, rhs;
  Element bias, result;
  int64_t biasAlignment, resultAlignment;
  bool hostKnows; ///< dense, or with offsets on the host
  bool activated; ///< the product is gated and cast where it is made
  int64_t groups; ///< that the call makes; 1 where nothing is ragged
  int64_t libraryVersion; ///< of the cuBLASLt that is loaded, 0 where none is;
                          ///< the compiler's is one that has all
};

namespace detail {
inline bool isFP8(Element e) {
  return e == Element::E4M3 || e == Element::E5M2;
}
inline bool hasByteScales(const Side &side) {
  return side.scaling == Scaling::MXFP8 || side.scaling == Scaling::NVFP4;
}
inline const char *nameOf(Element e) {
  return e == Element::F32    ? "F32"
         : e == Element::BF16 ? "BF16"
         : e == Element::E4M3 ? "F8E4M3"
         : e == Element::E5M2 ? "F8E5M2"
         : e == Element::FP4  ? "F4E2M1"
                              : "none";
}
inline const char *nameOf(Scaling s) {
  static constexpr const char *names[] = {"no scales",
                                          "scales of tensors",
                                          "scales of 1 x 128",
                                          "scales of 128 x 128",
                                          "scales of MXFP8",
                                          "scales of NVFP4",
                                          "scales of other blocks"};
  return names[static_cast<int>(s)];
}
inline int64_t rowBytes(const Side &side) {
  return side.element == Element::FP4    ? side.cols / 2
         : side.element == Element::F32  ? side.cols * 4
         : side.element == Element::BF16 ? side.cols * 2
                                         : side.cols;
}

/// "argument: found X, wanted Y".
inline std::string finding(const char *argument, const std::string &found,
                           const std::string &wanted) {
  return std::string(argument) + ": found " + found + ", wanted " + wanted;
}
inline std::string extent(const char *what, int64_t found, int64_t multiple) {
  return finding(what, std::to_string(found),
                 "a multiple of " + std::to_string(multiple));
}
inline bool breaks(int64_t found, int64_t multiple) {
  return found != kUnknown && found % multiple != 0;
}

/// What both operands of a matrix instruction are held to: memory that moves in
/// units of 16 bytes.
inline std::string whyNotAligned(const char *name, const Side &side) {
  if (side.alignment % 16)
    return finding(name, "memory that begins at no multiple of 16 bytes",
                   "it to");
  if (rowBytes(side) % 16)
    return finding(name, "rows of " + std::to_string(rowBytes(side)) + " bytes",
                   "a multiple of 16");
  return "";
}

inline std::string whyNotOwn(const Form &p) {
  if (p.major != 9)
    return finding("target", "sm_" + std::to_string(p.major) + "x", "sm_90");
  bool bf16 = p.lhs.element == Element::BF16 && p.rhs.element == Element::BF16;
  if (!bf16 && (!isFP8(p.lhs.element) || !isFP8(p.rhs.element))) {
    bool isLhs = p.lhs.element != Element::BF16 && !isFP8(p.lhs.element);
    return finding(isLhs ? "lhs" : "rhs",
                   nameOf(isLhs ? p.lhs.element : p.rhs.element),
                   "BF16 or FP8 on both sides");
  }
  Scaling l = p.lhs.scaling, r = p.rhs.scaling;
  bool tensors = l == Scaling::Tensor && r == Scaling::Tensor;
  bool blocks =
      l == Scaling::Rows && (r == Scaling::Rows || r == Scaling::Squares);
  if (!bf16 && !tensors && !blocks)
    return finding("lhs_scales", std::string(nameOf(l)) + " by " + nameOf(r),
                   "scales of tensors, or of 1 x 128 by 1 x 128 or 128 x 128");
  for (const Side *side : {&p.lhs, &p.rhs}) {
    const char *name = side == &p.lhs ? "lhs" : "rhs";
    if (std::min(side->rows, side->cols) < 1 ||
        std::max(side->rows, side->cols) >= INT32_MAX)
      return finding(
          name, std::to_string(side->rows) + " x " + std::to_string(side->cols),
          "extents from 1 to 2^31 - 2");
    if (std::string why = whyNotAligned(name, *side); !why.empty())
      return why;
  }
  return "";
}

/// What cuBLASLt takes. On Hopper as it was found by asking (some questions end
/// the process, so this comes first); on sm_100 as it is documented, from
/// version 12.8 on, and stricter where the two differ.
inline std::string whyNotLibrary(const Form &p) {
  for (auto [name, value] :
       {std::pair<const char *, int64_t>{"m", p.m}, {"n", p.n}, {"k", p.k}})
    if (value == 0)
      return finding(name, "0", "at least 1");
  if (p.activated)
    return finding("result", "a product that is activated where it is made",
                   "one that is stored");
  Scaling l = p.lhs.scaling, r = p.rhs.scaling;
  bool hasBias = p.bias != Element::None;
  if (hasBias && (p.bias != p.result || p.biasAlignment % 16))
    return finding("bias",
                   p.bias != p.result ? nameOf(p.bias)
                                      : "memory at no multiple of 16 bytes",
                   std::string(nameOf(p.result)) +
                       " at a multiple of 16 bytes");
  if (l == Scaling::None && r == Scaling::None)
    return p.lhs.element == p.rhs.element
               ? ""
               : finding("rhs", nameOf(p.rhs.element),
                         std::string(nameOf(p.lhs.element)) + ", as lhs");
  auto scales = [&](const char *wanted) {
    return finding("lhs_scales", std::string(nameOf(l)) + " by " + nameOf(r),
                   wanted);
  };
  bool tensors = l == Scaling::Tensor && r == Scaling::Tensor;
  bool bytes = hasByteScales(p.lhs) && l == r;
  if (p.major == 9) {
    auto isBlock = [](Scaling s) {
      return s == Scaling::Rows || s == Scaling::Squares;
    };
    if (!tensors && !(isBlock(l) && isBlock(r) &&
                      !(l == Scaling::Squares && r == Scaling::Squares)))
      return scales("scales of tensors, or of 1 x 128 by 1 x 128 or 128 x 128");
  } else if (p.major != 10 || (!tensors && !bytes)) {
    return scales("on sm_90 F32 scales, on sm_100 scales of tensors, MXFP8 or "
                  "NVFP4");
  }
  bool fp4 = l == Scaling::NVFP4;
  for (const Side *side : {&p.lhs, &p.rhs}) {
    const char *name = side == &p.lhs ? "lhs" : "rhs";
    if (fp4 ? side->element != Element::FP4 : !isFP8(side->element))
      return finding(name, nameOf(side->element), fp4 ? "F4E2M1" : "FP8");
    if (side->transposed && l != Scaling::MXFP8)
      return finding(name, "a transposed operand", "rows along the reduction");
    if (std::string why = whyNotAligned(name, *side); !why.empty())
      return why;
    if (side->scaleAlignment % 16)
      return finding(side == &p.lhs ? "lhs_scales" : "rhs_scales",
                     "memory at no multiple of 16 bytes", "it to");
  }
  if (p.lhs.element == Element::E5M2 && p.rhs.element == Element::E5M2)
    return finding("rhs", "F8E5M2 by F8E5M2", "at most one F8E5M2");
  if (hasBias && p.bias != Element::BF16)
    return finding("bias", nameOf(p.bias), "BF16");
  if (p.resultAlignment % 16)
    return finding("result", "memory that begins at no multiple of 16 bytes",
                   "it to");
  int64_t ofK = bytes ? 32 : 16;
  if (breaks(p.k, ofK))
    return extent("k", p.k, ofK);
  int64_t ofN = bytes ? 16 : 8;
  if (breaks(p.n, ofN))
    return extent("n", p.n, ofN);
  int64_t ofM = bytes ? 16 : l == Scaling::Rows ? 4 : 2;
  if (breaks(p.m, ofM) && (p.m != 1 || ofM != 2))
    return extent("m", p.m, ofM);
  return "";
}

/// Gradients of BF16 weights, as it was measured to win there alone. Our kernel
/// takes all of them: a machine may have a library without it.
inline std::string whyNotGroups(const Form &p) {
  for (const Side *side : {&p.lhs, &p.rhs}) {
    const char *name = side == &p.lhs ? "lhs" : "rhs";
    if (side->element != Element::BF16)
      return finding(name, nameOf(side->element), "BF16");
    if (!side->transposed)
      return finding(name, "rows along the reduction", "a transposed operand");
  }
  if (std::string why = whyNotOwn(p); !why.empty())
    return why;
  if (p.bias != Element::None)
    return finding("bias", nameOf(p.bias), "none");
  if (p.k != kUnknown || p.groups < 2)
    return finding("offsets",
                   p.k == kUnknown ? "one group" : "no ragged reduction",
                   "several groups of the reduction");
  if (p.hostKnows)
    return finding("offsets", "them on the host", "them on the device");
  if (p.m == 0 || p.n == 0)
    return finding(p.m ? "n" : "m", "0", "at least 1");
  if (p.result != Element::F32)
    return finding("result", nameOf(p.result), "F32");
  if (p.resultAlignment % 16)
    return finding("result", "memory that begins at no multiple of 16 bytes",
                   "it to");
  if (p.libraryVersion < kGroupsVersion)
    return finding("cuBLASLt",
                   p.libraryVersion
                       ? "version " + std::to_string(p.libraryVersion)
                       : std::string("none"),
                   std::to_string(kGroupsVersion) + " or later");
  return "";
}
} // namespace detail

/// Empty if `way` takes the product, else the argument, what was found and what
/// is wanted.
inline std::string whyNot(Way way, const Form &form) {
  using namespace detail;
  bool bytes = hasByteScales(form.lhs);
  switch (way) {
  case Way::Own:
    return whyNotOwn(form);
  case Way::Library:
    return whyNotLibrary(form);
  case Way::Emulated:
    return bytes ? ""
                 : finding("lhs_scales", nameOf(form.lhs.scaling),
                           "scales of MXFP8 or NVFP4");
  case Way::Plain:
    return bytes ? finding("lhs_scales", nameOf(form.lhs.scaling), "F32 scales")
                 : "";
  case Way::Groups:
    return whyNotGroups(form);
  default:
    return finding("way", "none", "own, groups, library, emulated or plain");
  }
}

/// The way of a product that rather goes `preferred`: that one if it takes it,
/// else the first that does and does not want the host to wait for the device.
inline Way chooseWay(const Form &form, Way preferred) {
  if (preferred != Way::Unset && whyNot(preferred, form).empty())
    return preferred;
  for (Way way : kWays)
    if ((way != Way::Library || form.hostKnows) && whyNot(way, form).empty())
      return way;
  return Way::Plain;
}

} // namespace te::products

#endif // TE_PLAN_PRODUCT_WAYS_H
