//===- LibraryProductsTest.cpp - what cuBLASLt is asked for ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Needs no GPU: a driver and a library that note what they are asked stand in,
// so that calls for GPUs which nobody here has are seen too.
//
//===----------------------------------------------------------------------===//

#include "common/context.h"
#include "cuda/backend.h"
#include "cuda/blas.h"
#include "cuda/product.h"

#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sstream>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// The words of a line behind its names.
struct Asked {
  uint64_t a, b, d, scaleA = 0, scaleB = 0, workspace, stream;
  std::string line, layoutA, layoutB, layoutD, modes, trans;

  explicit Asked(const std::string &text) : line(text) {
    std::istringstream words(text);
    auto address = [&] {
      std::string word;
      words >> word;
      return std::strtoull(word.c_str(), nullptr, 16);
    };
    for (std::string word; words >> word;) {
      if (word == "a")
        a = address(), words >> layoutA;
      else if (word == "b")
        b = address(), words >> layoutB;
      else if (word == "d")
        d = address(), words >> layoutD;
      else if (word == "modes")
        words >> modes >> word, modes += " " + word;
      else if (word == "scales")
        scaleA = address(), scaleB = address();
      else if (word == "trans")
        words >> trans;
      else if (word == "workspace")
        workspace = address();
      else if (word == "stream")
        stream = address();
    }
  }
};

class LibraryProducts : public testing::Test {
protected:
  void open(const char *major) {
    setenv("TE_RT_CUDA_DRIVER", TE_FAKE_DRIVER, 1);
    setenv("TE_RT_CUBLASLT", TE_FAKE_BLAS, 1);
    setenv("FAKE_MAJOR", major, 1);
    Outcome outcome = CudaDevice::open(0, context.device);
    ASSERT_EQ(outcome.status, TE_RT_OK) << outcome.message;
    context.function = "product";
    log(); // of the test before
  }
  CudaDevice &device() { return deviceOf(&context); }

  te_rt_tensor make(te_rt_dtype dtype, std::vector<int64_t> shape) {
    te_rt_tensor tensor = {};
    tensor.dtype = dtype;
    int64_t elements = 1;
    for (int64_t extent : shape)
      elements *= tensor.shape[tensor.rank++] = extent;
    tensor.data =
        context.device->allocate(static_cast<size_t>(bytesOf(dtype, elements)));
    return tensor;
  }
  te_rt_tensor scales(te_rt_dtype dtype, std::vector<int64_t> shape,
                      te_rt_scale_layout layout, int32_t rows, int32_t cols,
                      int32_t groups = 0) {
    te_rt_tensor tensor = make(dtype, std::move(shape));
    tensor.layout = layout;
    tensor.block_rows = rows;
    tensor.block_cols = cols;
    tensor.groups = groups;
    return tensor;
  }
  te_rt_tensor hostOffsets() {
    te_rt_tensor tensor = {};
    tensor.data = offsets.data();
    tensor.dtype = TE_RT_I32;
    tensor.rank = 1;
    tensor.shape[0] = static_cast<int64_t>(offsets.size());
    tensor.on_host = 1;
    return tensor;
  }
  static te_rt_tensor_list list(const te_rt_tensor &tensor) {
    return {&tensor, 1};
  }

  /// Rows of groups by the weights of each.
  te_rt_status multiply(const te_rt_tensor &lhs, const te_rt_tensor &lhsScales,
                        const te_rt_tensor &rhs, const te_rt_tensor &rhsScales,
                        const te_rt_tensor &groups,
                        const te_rt_tensor &result) {
    return cuda::grouped_gemm(&context, &lhs, &lhsScales, nullptr, list(rhs),
                              list(rhsScales), {}, {}, &groups, list(result),
                              TE_RT_RAGGED_ROWS, 0, 0, 0);
  }

  /// A function of the fake library itself.
  template <typename Function> static Function *fake(const char *name) {
    return reinterpret_cast<Function *>(
        dlsym(dlopen(TE_FAKE_BLAS, RTLD_NOW), name));
  }
  std::vector<std::string> log() {
    std::vector<std::string> lines;
    std::istringstream text(fake<const char *()>("fakeBlasLog")());
    for (std::string line; std::getline(text, line);)
      lines.push_back(line);
    return lines;
  }
  /// The products among these.
  std::vector<Asked> asked() {
    std::vector<Asked> products;
    for (const std::string &line : log())
      if (line.rfind("matmul", 0) == 0)
        products.emplace_back(line);
    return products;
  }
  static uint64_t at(const te_rt_tensor &tensor, int64_t byte) {
    return reinterpret_cast<uint64_t>(tensor.data) +
           static_cast<uint64_t>(byte);
  }

  te_rt_context context{1};
  std::vector<int32_t> offsets = {0, 128, 128, 384, 640, 768};
};

/// 128 of K and weights of 256 x 128: scales lie as the library wants them.
TEST_F(LibraryProducts, GroupsTakeTurnsOnStreams) {
  open("9");
  te_rt_tensor lhs = make(TE_RT_F8E4M3, {768, 128});
  te_rt_tensor rhs = make(TE_RT_F8E4M3, {5, 256, 128});
  te_rt_tensor lhsScales =
      scales(TE_RT_F32, {1, 768}, TE_RT_GEMM_READY, 1, 128);
  te_rt_tensor rhsScales =
      scales(TE_RT_F32, {5, 2, 4}, TE_RT_GEMM_READY, 128, 128);
  te_rt_tensor result = make(TE_RT_BF16, {768, 256}), groups = hostOffsets();
  context.products = TE_RT_PRODUCTS_LIBRARY;
  context.libraryStreams = 2;
  auto run = [&] {
    return multiply(lhs, lhsScales, rhs, rhsScales, groups, result);
  };
  ASSERT_EQ(run(), TE_RT_OK) << context.message;
  EXPECT_EQ(context.variant, "library:5,streams:2");
  std::vector<std::string> lines = log();
  // Two counts of rows; the empty group is never asked for.
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "heuristic"), 2);
  std::vector<Asked> products;
  for (const std::string &line : lines)
    if (line != "heuristic")
      products.emplace_back(line);
  ASSERT_EQ(products.size(), 4u);
  const int group[] = {0, 2, 3, 4};
  for (int i = 0; i < 4; ++i) {
    int g = group[i], begin = offsets[g], rows = offsets[g + 1] - begin;
    const Asked &p = products[i];
    SCOPED_TRACE(p.line);
    EXPECT_EQ(p.a, at(rhs, g * 256 * 128));
    EXPECT_EQ(p.b, at(lhs, begin * 128));
    EXPECT_EQ(p.d, at(result, begin * 256 * 2));
    EXPECT_EQ(p.layoutB, "28:128x" + std::to_string(rows) + "/128");
    EXPECT_EQ(p.modes, "5 4");
    EXPECT_EQ(p.scaleA, at(rhsScales, g * 2 * 4 * 4));
    EXPECT_EQ(p.scaleB, at(lhsScales, begin * 4));
    EXPECT_EQ(p.trans, "10");
    EXPECT_EQ(p.stream == products[0].stream, g % 2 == 0);
    EXPECT_EQ(p.workspace,
              products[0].workspace + (g % 2) * (uint64_t(32) << 20));
  }
  // Algorithms are kept.
  ASSERT_EQ(run(), TE_RT_OK);
  EXPECT_EQ(log().size(), 4u);
}

/// Rows of five groups in BF16, whose offsets lie on the device.
class LibraryRows : public LibraryProducts {
protected:
  void SetUp() override {
    open("9");
    lhs = make(TE_RT_BF16, {768, 128}), rhs = make(TE_RT_BF16, {5, 256, 128});
    result = make(TE_RT_BF16, {768, 256}), groups = make(TE_RT_I32, {6});
    context.products = TE_RT_PRODUCTS_LIBRARY;
  }
  te_rt_status run() {
    return cuda::grouped_gemm(&context, &lhs, nullptr, nullptr, list(rhs), {},
                              {}, {}, &groups, list(result), TE_RT_RAGGED_ROWS,
                              0, 0, 0);
  }
  te_rt_tensor lhs, rhs, result, groups;
};

/// What a caller asks for may be what was chosen for the call, or not: a prediction
/// is of that.
TEST_F(LibraryRows, GoAsPlannedOrNot) {
  ASSERT_EQ(device().copy(groups.data, offsets.data(), 6 * sizeof(int32_t)).status,
            TE_RT_OK);
  for (te::products::Way planned :
       {te::products::Way::Own, te::products::Way::Library,
        te::products::Way::Unset}) {
    context.planned = planned;
    ASSERT_EQ(run(), TE_RT_OK) << context.message;
    EXPECT_EQ(context.variant.rfind("library:", 0), 0u) << context.variant;
    EXPECT_EQ(context.wentAsPlanned, planned == te::products::Way::Library);
  }
}

TEST_F(LibraryProducts, Mxfp8OnBlackwell) {
  open("10");
  te_rt_tensor lhs = make(TE_RT_F8E4M3, {768, 256});
  te_rt_tensor rhs = make(TE_RT_F8E4M3, {5, 256, 256});
  te_rt_tensor lhsScales =
      scales(TE_RT_F8E8M0, {768, 8}, TE_RT_SWIZZLED, 1, 32);
  te_rt_tensor rhsScales =
      scales(TE_RT_F8E8M0, {5, 256, 8}, TE_RT_SWIZZLED, 1, 32);
  te_rt_tensor result = make(TE_RT_BF16, {768, 256}), groups = hostOffsets();
  // Native is the first choice where the host has the counts.
  ASSERT_EQ(multiply(lhs, lhsScales, rhs, rhsScales, groups, result), TE_RT_OK)
      << context.message;
  EXPECT_EQ(context.variant, "library:5,streams:4");
  std::vector<Asked> products = asked();
  ASSERT_EQ(products.size(), 4u);
  for (size_t i = 0; i < products.size(); ++i) {
    int64_t g = i ? int64_t(i) + 1 : 0, begin = offsets[g];
    SCOPED_TRACE(products[i].line);
    EXPECT_EQ(products[i].modes, "2 2");
    EXPECT_EQ(products[i].trans, "10");
    EXPECT_EQ(products[i].scaleA, at(rhsScales, g * 256 * 8));
    // Two tiles of 512 bytes for 128 rows.
    EXPECT_EQ(products[i].scaleB, at(lhsScales, begin / 128 * 2 * 512));
  }
  // A group that does not begin at a tile of scales.
  offsets[1] = 64;
  EXPECT_EQ(multiply(lhs, lhsScales, rhs, rhsScales, groups, result),
            TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(context.message,
            "product: offsets[1]: found 64, wanted a multiple of 128 "
            "for SWIZZLED scales");
}

/// Operands as the forward pass stored them, with scales along the tokens.
TEST_F(LibraryProducts, Mxfp8GradientsOfWeightsOnBlackwell) {
  open("10");
  te_rt_tensor lhs = make(TE_RT_F8E5M2, {768, 256});
  te_rt_tensor rhs = make(TE_RT_F8E4M3, {768, 128});
  te_rt_tensor lhsScales =
      scales(TE_RT_F8E8M0, {256, 24}, TE_RT_SWIZZLED, 32, 1, 5);
  te_rt_tensor rhsScales =
      scales(TE_RT_F8E8M0, {128, 24}, TE_RT_SWIZZLED, 32, 1, 5);
  te_rt_tensor result = make(TE_RT_F32, {5, 256, 128}), groups = hostOffsets();
  std::fill_n(static_cast<float *>(result.data), 5 * 256 * 128, 1.0f);
  ASSERT_EQ(cuda::grouped_gemm(&context, &lhs, &lhsScales, nullptr, list(rhs),
                               list(rhsScales), {}, {}, &groups, list(result),
                               TE_RT_RAGGED_REDUCTION, 1, 1, 0),
            TE_RT_OK)
      << context.message;
  std::vector<Asked> products = asked();
  ASSERT_EQ(products.size(), 4u);
  for (size_t i = 0; i < products.size(); ++i) {
    int64_t g = i ? int64_t(i) + 1 : 0, begin = offsets[g];
    SCOPED_TRACE(products[i].line);
    EXPECT_EQ(products[i].trans, "01");
    EXPECT_EQ(products[i].a, at(rhs, begin * 128));
    EXPECT_EQ(products[i].b, at(lhs, begin * 256));
    EXPECT_EQ(products[i].scaleA, at(rhsScales, 128 * begin / 32));
    EXPECT_EQ(products[i].scaleB, at(lhsScales, 256 * begin / 32));
    EXPECT_EQ(products[i].d, at(result, g * 256 * 128 * 4));
  }
  // The empty group's result is zeros.
  const auto *values = static_cast<const float *>(result.data);
  EXPECT_EQ(values[256 * 128], 0.0f);
  EXPECT_EQ(values[2 * 256 * 128], 1.0f);
}

/// Factors lie on the device: amaxes never come to the host.
TEST_F(LibraryProducts, Nvfp4OnBlackwell) {
  open("10");
  BlasProduct p = {};
  p.m = p.n = p.k = 128;
  te_rt_tensor values = make(TE_RT_F4E2M1, {128, 128});
  te_rt_tensor blocks = make(TE_RT_F8E4M3, {128, 8});
  te_rt_tensor result = make(TE_RT_BF16, {128, 128}),
               factors = make(TE_RT_F32, {2});
  p.lhs =
      p.rhs = {values.data, blocks.data, 128, TE_RT_F4E2M1, kModeNvfp4, false};
  p.result = result.data;
  p.resultType = p.biasType = TE_RT_BF16;
  p.factors = static_cast<const float *>(factors.data);
  ASSERT_EQ(p.whyNot(10), "");
  Blas blas;
  bool ran = false;
  ASSERT_EQ(blas.open().status, TE_RT_OK);
  ASSERT_EQ(blas.multiply(p, nullptr, 0, nullptr, ran).status, TE_RT_OK);
  std::vector<Asked> products = asked();
  ASSERT_EQ(products.size(), 1u);
  EXPECT_EQ(products[0].modes, "1 1");
  EXPECT_EQ(products[0].layoutA, "33:128x128/128");
  std::ostringstream wanted;
  wanted << " factors " << factors.data << ' '
         << static_cast<void *>(static_cast<float *>(factors.data) + 1);
  EXPECT_NE(products[0].line.find(wanted.str()), std::string::npos)
      << products[0].line;
}

/// Gradients of BF16 weights, which the library makes by groups where it can: the host
/// reads nothing, and what it is told lies in arrays of the device.
class LibraryGroups : public LibraryProducts {
protected:
  void SetUp() override {
    setenv("FAKE_BLAS_VERSION", "131000", 1);
    open("9");
    groups = make(TE_RT_I32, {6});
    context.planned = Way::Groups;
  }
  void TearDown() override { unsetenv("FAKE_BLAS_VERSION"); }
  te_rt_status run(int64_t accumulate = 1) {
    return cuda::grouped_gemm(&context, &lhs, nullptr, nullptr, list(rhs), {},
                              {}, {}, &groups, list(result),
                              TE_RT_RAGGED_REDUCTION, 1, 1, accumulate);
  }
  te_rt_tensor groups;
  te_rt_tensor lhs, rhs, result;
};

TEST_F(LibraryGroups, AreOneCallWithArraysOfTheDevice) {
  te_rt_tensor pointers = make(TE_RT_I64, {15}), numbers = make(TE_RT_I32, {15}),
               scales = make(TE_RT_F32, {2});
  auto *addresses = static_cast<void **>(pointers.data);
  auto *extents = static_cast<int32_t *>(numbers.data);
  BlasGroups p = {};
  p.groups = 5, p.m = 256, p.n = 128, p.meanReduction = 150;
  p.arrays = {const_cast<const void **>(addresses),
              const_cast<const void **>(addresses + 5),
              addresses + 10,
              extents,
              extents + 5,
              extents + 10};
  p.scales = static_cast<const float *>(scales.data);
  Blas blas;
  ASSERT_EQ(blas.open().status, TE_RT_OK);
  EXPECT_EQ(blas.groupsVersion(), 131000);
  bool ran = false;
  // Algorithms are kept.
  for (int time = 0; time < 2; ++time) {
    ASSERT_EQ(blas.multiply(p, nullptr, 0, nullptr, ran).status, TE_RT_OK);
    ASSERT_TRUE(ran);
  }
  std::vector<std::string> lines = log();
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "mean 13 150");
  EXPECT_EQ(lines[1], "mean 14 128");
  EXPECT_EQ(lines[2], "mean 15 256");
  EXPECT_EQ(lines[3], "heuristic");
  Asked asked(lines[4]);
  // n x k of rhs and m x k of lhs make n x m.
  auto layout = [](int type, const int32_t *rows, const int32_t *cols) {
    std::ostringstream text;
    text << type << ":5," << static_cast<const void *>(rows) << ','
         << static_cast<const void *>(cols) << ','
         << static_cast<const void *>(rows);
    return text.str();
  };
  EXPECT_EQ(asked.a, at(pointers, 5 * 8));
  EXPECT_EQ(asked.layoutA, layout(14, p.arrays.n, p.arrays.k));
  EXPECT_EQ(asked.b, at(pointers, 0));
  EXPECT_EQ(asked.layoutB, layout(14, p.arrays.m, p.arrays.k));
  EXPECT_EQ(asked.d, at(pointers, 10 * 8));
  EXPECT_EQ(asked.layoutD, layout(0, p.arrays.n, p.arrays.m));
  EXPECT_EQ(asked.trans, "01");
  EXPECT_NE(asked.line.find(" factors "), std::string::npos) << asked.line;
  EXPECT_NE(asked.line.find(" algorithm 1 "), std::string::npos) << asked.line;
  // Other arrays are another question, and there may be no way.
  fake<void(const char *, int)>("fakeBlasFail")("heuristic", 15);
  p.arrays.k = extents;
  EXPECT_EQ(blas.multiply(p, nullptr, 0, nullptr, ran).status, TE_RT_OK);
  EXPECT_FALSE(ran);
  fake<void(const char *, int)>("fakeBlasFail")("", 0);
}

TEST_F(LibraryGroups, GoAnotherWayWhereTheyCannotBe) {
  lhs = make(TE_RT_BF16, {768, 256}), rhs = make(TE_RT_BF16, {768, 128});
  auto expectNone = [&](te_rt_dtype dtype) {
    result = make(dtype, {5, 256, 128});
    run(/*accumulate=*/0); // our kernel, which the fake driver lacks
    EXPECT_EQ(context.went, Way::Own);
    EXPECT_NE(context.variant.find(",no-groups"), std::string::npos)
        << context.variant;
    for (const std::string &line : log())
      EXPECT_EQ(line.find("matmul"), std::string::npos) << line;
  };
  expectNone(TE_RT_BF16);
  setenv("FAKE_BLAS_VERSION", "130100", 1);
  expectNone(TE_RT_F32);
}

/// m x 128 by 128 x 128 in BF16, of memory that nothing reads.
BlasProduct plain(int64_t m) {
  alignas(256) static char memory[256];
  BlasProduct p = {};
  p.m = m, p.n = p.k = 128;
  p.lhs = p.rhs = {memory, nullptr, 128, TE_RT_BF16, kModeNone, false};
  p.result = memory;
  p.resultType = TE_RT_BF16;
  return p;
}

/// Counts differ from step to step: what is kept of them has an end.
TEST_F(LibraryProducts, AlgorithmsAreKeptUpToABound) {
  open("9");
  auto *alive = fake<int64_t()>("fakeBlasPlans");
  int64_t before = alive();
  {
    Blas blas;
    ASSERT_EQ(blas.open().status, TE_RT_OK);
    bool ran = false;
    for (int64_t m = 1; m <= 10000; ++m) {
      ASSERT_EQ(blas.multiply(plain(m), nullptr, 0, nullptr, ran).status,
                TE_RT_OK);
      ASSERT_TRUE(ran);
      ASSERT_LE(alive() - before, 4096);
    }
  }
  EXPECT_EQ(alive(), before);
}

TEST_F(LibraryProducts, ErrorsHaveNames) {
  open("9");
  auto *fail = fake<void(const char *, int)>("fakeBlasFail");
  struct Failure {
    const char *function;
    int status;
    const char *message;
  };
  const Failure failures[] = {
      {"matmul", 14,
       "cublasLtMatmul: cuBLASLt: CUBLAS_STATUS_INTERNAL_ERROR: an internal "
       "operation failed"},
      {"heuristic", 14,
       "cublasLtMatmulAlgoGetHeuristic: cuBLASLt: CUBLAS_STATUS_INTERNAL_ERROR: "
       "an internal operation failed"},
      {"preference", 14,
       "cublasLtMatmulPreferenceSetAttribute: cuBLASLt: "
       "CUBLAS_STATUS_INTERNAL_ERROR: an internal operation failed"},
      {"matmul", 3, "cublasLtMatmul: cuBLASLt: status 3"}, // has no name there
  };
  for (const Failure &failure : failures) {
    Blas blas;
    ASSERT_EQ(blas.open().status, TE_RT_OK);
    fail(failure.function, failure.status);
    bool ran = false;
    Outcome outcome = blas.multiply(plain(64), nullptr, 0, nullptr, ran);
    EXPECT_EQ(outcome.status, TE_RT_DEVICE_ERROR);
    EXPECT_EQ(outcome.message, failure.message);
  }
  // These say that there is no way, which is no error.
  for (const char *function : {"heuristic", "matmul"}) {
    Blas blas;
    ASSERT_EQ(blas.open().status, TE_RT_OK);
    fail(function, 15);
    bool ran = true;
    Outcome outcome = blas.multiply(plain(64), nullptr, 0, nullptr, ran);
    EXPECT_EQ(outcome.status, TE_RT_OK) << outcome.message;
    EXPECT_FALSE(ran) << function;
  }
  fail("", 0);
}

TEST_F(LibraryRows, GraphsRefuseWhatTheyCannotHold) {
  ASSERT_EQ(device().beginCapture().status, TE_RT_OK);
  // The host would have to wait for the counts.
  EXPECT_EQ(run(), TE_RT_UNSUPPORTED);
  EXPECT_EQ(
      context.message,
      "product: offsets: found on the device while a graph is captured, wanted "
      "on the host: the library has extents from there, and a graph reads "
      "nothing back");
  // Rows of 258 bytes go to the plain kernel alone.
  lhs.shape[1] = rhs.shape[2] = 129;
  EXPECT_EQ(run(), TE_RT_UNSUPPORTED);
  EXPECT_NE(context.message.find("offsets: found on the device"),
            std::string::npos);
  context.products = TE_RT_PRODUCTS_PLANNED;
  EXPECT_EQ(run(), TE_RT_UNSUPPORTED);
  EXPECT_EQ(
      context.message,
      "product: graph: found a product for the plain kernel alone (lhs: found "
      "rows of 258 bytes, wanted a multiple of 16), wanted one for the kernel "
      "of "
      "all groups");
  void *graph = nullptr;
  EXPECT_EQ(device().endCapture(&graph).status, TE_RT_OK);
}
} // namespace
