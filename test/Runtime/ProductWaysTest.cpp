//===- ProductWaysTest.cpp - which way takes which product ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "product_ways.h"

#include <gtest/gtest.h>

using namespace te::products;

namespace {
Form makeForm(Element element, Scaling lhs, Scaling rhs) {
  Form form = {};
  form.major = 9;
  form.m = kUnknown, form.n = 512, form.k = 256;
  form.lhs = {element, lhs, false, 1024, 256, 256, 256};
  form.rhs = {element, rhs, false, 512, 256, 256, 256};
  form.bias = Element::None;
  form.result = Element::BF16;
  form.biasAlignment = form.resultAlignment = 256;
  return form;
}
Form blocks() {
  return makeForm(Element::E4M3, Scaling::Rows, Scaling::Squares);
}
Form bf16() { return makeForm(Element::BF16, Scaling::None, Scaling::None); }

TEST(ProductWays, PairsOfScales) {
  const Scaling all[] = {Scaling::None,    Scaling::Tensor, Scaling::Rows,
                         Scaling::Squares, Scaling::MXFP8,  Scaling::NVFP4,
                         Scaling::Other};
  auto takes = [](Way way, Scaling l, Scaling r, int major) {
    Form form = makeForm(l == Scaling::None    ? Element::BF16
                         : l == Scaling::NVFP4 ? Element::FP4
                                               : Element::E4M3,
                         l, r);
    form.major = major;
    if (r == Scaling::NVFP4)
      form.rhs.element = Element::FP4;
    return whyNot(way, form).empty();
  };
  for (Scaling l : all)
    for (Scaling r : all) {
      if ((l == Scaling::None) != (r == Scaling::None))
        continue; // both are quantized or neither
      bool same = l == r;
      bool rows = l == Scaling::Rows, squares = l == Scaling::Squares;
      bool plain = same && (l == Scaling::None || l == Scaling::Tensor);
      bool byRows = rows && (r == Scaling::Rows || r == Scaling::Squares);
      bool bytes = same && (l == Scaling::MXFP8 || l == Scaling::NVFP4);
      SCOPED_TRACE(std::to_string(int(l)) + " " + std::to_string(int(r)));
      EXPECT_EQ(takes(Way::Own, l, r, 9), plain || byRows);
      EXPECT_FALSE(takes(Way::Own, l, r, 10));
      EXPECT_EQ(takes(Way::Library, l, r, 9),
                plain || byRows || (squares && r == Scaling::Rows));
      EXPECT_EQ(takes(Way::Library, l, r, 10), plain || bytes);
      bool lhsBytes = l == Scaling::MXFP8 || l == Scaling::NVFP4;
      EXPECT_EQ(takes(Way::Emulated, l, r, 9), lhsBytes);
      EXPECT_EQ(takes(Way::Plain, l, r, 9), !lhsBytes);
    }
}

TEST(ProductWays, OwnSaysWhatItWants) {
  Form form = blocks();
  EXPECT_EQ(whyNot(Way::Own, form), "");
  form.major = 10;
  EXPECT_EQ(whyNot(Way::Own, form), "target: found sm_10x, wanted sm_90");
  form = bf16();
  form.rhs.element = Element::F32;
  EXPECT_EQ(whyNot(Way::Own, form),
            "rhs: found F32, wanted BF16 or FP8 on both sides");
  form = bf16();
  form.rhs.cols = 252;
  EXPECT_EQ(whyNot(Way::Own, form),
            "rhs: found rows of 504 bytes, wanted a multiple of 16");
  form = bf16();
  form.lhs.alignment = 8;
  EXPECT_EQ(whyNot(Way::Own, form),
            "lhs: found memory that begins at no multiple of "
            "16 bytes, wanted it to");
  form = bf16();
  form.lhs.rows = 0;
  EXPECT_EQ(whyNot(Way::Own, form),
            "lhs: found 0 x 256, wanted extents from 1 to 2^31 - 2");
  form = blocks();
  form.lhs.scaling = Scaling::Squares;
  EXPECT_EQ(
      whyNot(Way::Own, form),
      "lhs_scales: found scales of 128 x 128 by scales of 128 x 128, wanted "
      "scales of tensors, or of 1 x 128 by 1 x 128 or 128 x 128");
}

TEST(ProductWays, LibraryTakesExtentsOnceTheyAreKnown) {
  Form form = blocks();
  EXPECT_EQ(whyNot(Way::Library, form), "");
  form.m = 66;
  EXPECT_EQ(whyNot(Way::Library, form), "m: found 66, wanted a multiple of 4");
  form.m = 0;
  EXPECT_EQ(whyNot(Way::Library, form), "m: found 0, wanted at least 1");
  form = blocks();
  form.bias = Element::F32;
  EXPECT_EQ(whyNot(Way::Library, form),
            "bias: found F32, wanted BF16 at a multiple of 16 bytes");
}

TEST(ProductWays, GroupsSayWhatTheyWant) {
  Form good = bf16();
  for (Side *side : {&good.lhs, &good.rhs})
    side->transposed = true;
  good.m = good.lhs.cols, good.n = good.rhs.cols, good.k = kUnknown;
  good.result = Element::F32;
  good.hostKnows = false;
  good.groups = 8;
  good.libraryVersion = kGroupsVersion;
  EXPECT_EQ(whyNot(Way::Groups, good), "");
  EXPECT_EQ(chooseWay(good, Way::Groups), Way::Groups);
  EXPECT_EQ(chooseWay(good, Way::Unset), Way::Own);
  Form form = good;
  form.libraryVersion = 130100;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "cuBLASLt: found version 130100, wanted 130400 or later");
  EXPECT_EQ(chooseWay(form, Way::Groups), Way::Own);
  form.libraryVersion = 0;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "cuBLASLt: found none, wanted 130400 or later");
  form = good;
  form.major = 10;
  EXPECT_EQ(whyNot(Way::Groups, form), "target: found sm_10x, wanted sm_90");
  form = good;
  form.lhs.element = Element::E4M3;
  EXPECT_EQ(whyNot(Way::Groups, form), "lhs: found F8E4M3, wanted BF16");
  form = good;
  form.rhs.transposed = false;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "rhs: found rows along the reduction, wanted a transposed operand");
  form = good;
  form.k = 256;
  EXPECT_EQ(whyNot(Way::Groups, form), "offsets: found no ragged reduction, "
                                       "wanted several groups of the reduction");
  form = good;
  form.groups = 1;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "offsets: found one group, wanted several groups of the reduction");
  form = good;
  form.hostKnows = true;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "offsets: found them on the host, wanted them on the device");
  form = good;
  form.bias = Element::F32;
  EXPECT_EQ(whyNot(Way::Groups, form), "bias: found F32, wanted none");
  form = good;
  form.result = Element::BF16;
  EXPECT_EQ(whyNot(Way::Groups, form), "result: found BF16, wanted F32");
  form = good;
  form.resultAlignment = 8;
  EXPECT_EQ(whyNot(Way::Groups, form),
            "result: found memory that begins at no multiple of 16 bytes, "
            "wanted it to");
  form = good;
  form.n = 0;
  EXPECT_EQ(whyNot(Way::Groups, form), "n: found 0, wanted at least 1");
}

TEST(ProductWays, OnlyOwnActivates) {
  Form form = blocks();
  form.activated = form.hostKnows = true;
  EXPECT_EQ(whyNot(Way::Own, form), "");
  EXPECT_EQ(whyNot(Way::Library, form),
            "result: found a product that is activated where it is made, "
            "wanted one that "
            "is stored");
  EXPECT_EQ(chooseWay(form, Way::Library), Way::Own);
}

TEST(ProductWays, Choice) {
  // Nothing was asked for: no wait of the host.
  EXPECT_EQ(chooseWay(blocks(), Way::Unset), Way::Own);
  EXPECT_EQ(chooseWay(blocks(), Way::Library), Way::Library);
  Form form = blocks();
  form.major = 10;
  EXPECT_EQ(chooseWay(form, Way::Own), Way::Plain);
  form.hostKnows = true;
  EXPECT_EQ(chooseWay(form, Way::Unset), Way::Plain); // not in F32 scales
  form = bf16();
  form.major = 10;
  EXPECT_EQ(chooseWay(form, Way::Own), Way::Plain);
  EXPECT_EQ(chooseWay(form, Way::Library), Way::Library);
  form.hostKnows = true;
  EXPECT_EQ(chooseWay(form, Way::Own), Way::Library);
  // Scales of 8 bits: native where that is possible, else decoded.
  form = makeForm(Element::E4M3, Scaling::MXFP8, Scaling::MXFP8);
  EXPECT_EQ(chooseWay(form, Way::Library), Way::Emulated);
  form.major = 10;
  EXPECT_EQ(chooseWay(form, Way::Unset), Way::Emulated);
  EXPECT_EQ(chooseWay(form, Way::Library), Way::Library);
  form.hostKnows = true;
  EXPECT_EQ(chooseWay(form, Way::Unset), Way::Library);
  // What nothing else takes.
  form = bf16();
  form.rhs.element = Element::F32;
  for (Way way : kWays)
    EXPECT_EQ(chooseWay(form, way), Way::Plain);
}
} // namespace
