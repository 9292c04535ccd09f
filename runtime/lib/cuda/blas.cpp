//===- blas.cpp - cuBLASLt, opened at run time ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library counts columns first: what is [m, n] here is n x m there, and its
// first operand is the rhs.
//
//===----------------------------------------------------------------------===//

#include "cuda/blas.h"
#include "common/numeric.h"
#include "cuda/device.h"
#include "cuda/library.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

#define TE_RT_BLAS_FUNCTIONS(X)                                                \
  X(create, cublasLtCreate, (void **))                                         \
  X(destroy, cublasLtDestroy, (void *))                                        \
  X(descCreate, cublasLtMatmulDescCreate, (void **, int, int))                 \
  X(descDestroy, cublasLtMatmulDescDestroy, (void *))                          \
  X(descSet, cublasLtMatmulDescSetAttribute,                                   \
    (void *, int, const void *, size_t))                                       \
  X(layoutCreate, cublasLtMatrixLayoutCreate,                                  \
    (void **, int, uint64_t, uint64_t, int64_t))                               \
  X(layoutDestroy, cublasLtMatrixLayoutDestroy, (void *))                      \
  X(preferenceCreate, cublasLtMatmulPreferenceCreate, (void **))               \
  X(preferenceDestroy, cublasLtMatmulPreferenceDestroy, (void *))              \
  X(preferenceGet, cublasLtMatmulPreferenceGetAttribute,                       \
    (void *, int, void *, size_t, size_t *))                                   \
  X(preferenceSet, cublasLtMatmulPreferenceSetAttribute,                       \
    (void *, int, const void *, size_t))                                       \
  X(heuristic, cublasLtMatmulAlgoGetHeuristic,                                 \
    (void *, void *, void *, void *, void *, void *, void *, int, Heuristic *, \
     int *))                                                                   \
  X(matmul, cublasLtMatmul,                                                    \
    (void *, void *, const void *, const void *, void *, const void *, void *, \
     const void *, const void *, void *, void *, void *, const Algorithm *,    \
     void *, size_t, void *))

struct Library {
#define TE_RT_MEMBER(name, symbol, parameters) int(*name) parameters;
  TE_RT_BLAS_FUNCTIONS(TE_RT_MEMBER)
#undef TE_RT_MEMBER
  size_t (*version)();
  int (*groupedLayoutCreate)(void **, int, int, const void *, const void *,
                             const void *); // null before 13.1
  const char *(*statusName)(int);
  const char *(*statusString)(int);
  std::string why;
};

Library openBlas() {
  Library library = {};
  void *opened = openLibrary(
      "cuBLASLt", "TE_RT_CUBLASLT",
      {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"},
      library.why);
  if (!opened)
    return library;
#define TE_RT_LOAD(name, symbol, parameters)                                   \
  library.name = reinterpret_cast<int(*) parameters>(dlsym(opened, #symbol));  \
  if (!library.name)                                                           \
    library.why = "cuBLASLt: found a library without " #symbol;
  TE_RT_BLAS_FUNCTIONS(TE_RT_LOAD)
#undef TE_RT_LOAD
  // Without the first two there is no grouped matmul, without the others a
  // message says less.
  auto load = [&](auto &function, const char *symbol) {
    using Pointer = std::remove_reference_t<decltype(function)>;
    function = reinterpret_cast<Pointer>(dlsym(opened, symbol));
  };
  load(library.version, "cublasLtGetVersion");
  load(library.groupedLayoutCreate, "cublasLtGroupedMatrixLayoutCreate");
  load(library.statusName, "cublasLtGetStatusName");
  load(library.statusString, "cublasLtGetStatusString");
  return library;
}

const Library &lt() {
  static const Library library = openBlas();
  return library;
}

// Numbers of the library's interface.
enum : int {
  kCompute32F = 68,
  kOpN = 0,
  kOpT = 1,
  kPointerMode = 2,
  kPointersOfDevice = 1,
  kTransA = 3,
  kTransB = 4,
  kEpilogue = 7,
  kBiasPointer = 8,
  kScaleA = 17,
  kScaleB = 18,
  kFastAccumulation = 25,
  kBiasType = 26,
  kModeA = 31,
  kModeB = 32,
  kEpilogueBias = 4,
  kWorkspaceBytes = 1,
  kAlignmentA = 5,     // then B, C, D
  kMeanReduction = 13, // of groups; then rows of D, and columns
  kInvalidValue = 7,
  kNotSupported = 15,
};

/// Algorithms that are looked at for a product of groups: it offers six.
constexpr int kMostOffered = 8;

/// What is kept of earlier products, at most: counts that the host has differ from step
/// to step.
constexpr size_t kMostPlans = 4096;

int typeOf(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_BF16:
    return 14;
  case TE_RT_F8E4M3:
    return 28;
  case TE_RT_F8E5M2:
    return 29;
  case TE_RT_F4E2M1:
    return 33;
  default:
    return 0; // F32
  }
}

Outcome check(const char *what, int status) {
  if (status == 0)
    return {};
  std::string text = std::string(what) + ": cuBLASLt: ";
  const char *name = lt().statusName ? lt().statusName(status) : nullptr;
  text += name ? name : "status " + std::to_string(status);
  const char *more = lt().statusString ? lt().statusString(status) : nullptr;
  if (more && *more)
    text += std::string(": ") + more;
  return {TE_RT_DEVICE_ERROR, text};
}

products::Side sideOf(const BlasOperand &operand, int64_t outer, int64_t k) {
  products::Side side = {};
  side.element = elementOf(operand.dtype);
  side.scaling = operand.mode == kModeTensor   ? products::Scaling::Tensor
                 : operand.mode == kModeNvfp4  ? products::Scaling::NVFP4
                 : operand.mode == kModeMxfp8  ? products::Scaling::MXFP8
                 : operand.mode == kModeRows   ? products::Scaling::Rows
                 : operand.mode == kModeSquare ? products::Scaling::Squares
                                               : products::Scaling::None;
  side.transposed = operand.transposed;
  side.rows = operand.transposed ? k : outer;
  side.cols = operand.ld; // groups are parts of it
  side.alignment = alignmentOf(operand.data);
  side.scaleAlignment = operand.mode == kModeNone ? 16 : alignmentOf(operand.scales);
  return side;
}
} // namespace

products::Element cuda::elementOf(te_rt_dtype dtype) {
  return static_cast<products::Element>(dtype);
}

int64_t cuda::alignmentOf(const void *pointer) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  return address ? static_cast<int64_t>(std::min<uintptr_t>(address & -address, 256))
                 : 256;
}

std::string BlasProduct::whyNot(int major) const {
  products::Form form = {};
  form.major = major;
  form.m = m, form.n = n, form.k = k;
  form.lhs = sideOf(lhs, m, k);
  form.rhs = sideOf(rhs, n, k);
  form.bias = bias ? elementOf(biasType) : products::Element::None;
  form.result = elementOf(resultType);
  form.biasAlignment = alignmentOf(bias);
  form.resultAlignment = alignmentOf(result);
  form.hostKnows = true;
  return products::whyNot(products::Way::Library, form);
}

struct Blas::Plan {
  void *desc = nullptr, *a = nullptr, *b = nullptr, *d = nullptr;
  Algorithm algorithm;
  bool found = false;

  ~Plan() {
    if (desc)
      lt().descDestroy(desc);
    for (void *layout : {a, b, d})
      if (layout)
        lt().layoutDestroy(layout);
  }
};

Outcome Blas::open() {
  if (!lt().why.empty())
    return {TE_RT_UNAVAILABLE, lt().why};
  return check("cublasLtCreate", lt().create(&handle));
}

Blas::Blas() = default;

Blas::~Blas() {
  plans.clear();
  if (handle)
    lt().destroy(handle);
}

static Outcome setPointers(void *desc, const BlasProduct &p) {
  auto set = [&](int attribute, const void *pointer) {
    return check("cublasLtMatmulDescSetAttribute",
                 lt().descSet(desc, attribute, &pointer, sizeof pointer));
  };
  if (p.lhs.mode != kModeNone) {
    TE_RT_TRY(set(kScaleA, p.rhs.scales));
    TE_RT_TRY(set(kScaleB, p.lhs.scales));
  }
  return p.bias ? set(kBiasPointer, p.bias) : Outcome();
}

Outcome Blas::makePlan(const BlasProduct &p, size_t workspace, Plan &plan) {
  auto layout = [](void **made, te_rt_dtype dtype, int64_t rows, int64_t cols,
                   int64_t ld) {
    return check("cublasLtMatrixLayoutCreate",
                 lt().layoutCreate(made, typeOf(dtype),
                                   static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(cols), ld));
  };
  auto set = [&](int attribute, int32_t value) {
    return check("cublasLtMatmulDescSetAttribute",
                 lt().descSet(plan.desc, attribute, &value, sizeof value));
  };
  TE_RT_TRY(check("cublasLtMatmulDescCreate",
                  lt().descCreate(&plan.desc, kCompute32F, typeOf(TE_RT_F32))));
  TE_RT_TRY(set(kTransA, p.rhs.transposed ? kOpN : kOpT));
  TE_RT_TRY(set(kTransB, p.lhs.transposed ? kOpT : kOpN));
  if (p.lhs.mode != kModeNone) {
    TE_RT_TRY(set(kModeA, p.rhs.mode));
    TE_RT_TRY(set(kModeB, p.lhs.mode));
    int8_t fast = 0; // the contract sums in F32
    TE_RT_TRY(check("cublasLtMatmulDescSetAttribute",
                    lt().descSet(plan.desc, kFastAccumulation, &fast, 1)));
  }
  if (p.factors)
    TE_RT_TRY(set(kPointerMode, kPointersOfDevice));
  if (p.bias) {
    TE_RT_TRY(set(kEpilogue, kEpilogueBias));
    TE_RT_TRY(set(kBiasType, typeOf(p.biasType)));
  }
  TE_RT_TRY(setPointers(plan.desc, p));
  TE_RT_TRY(layout(&plan.a, p.rhs.dtype, p.rhs.transposed ? p.n : p.k,
                   p.rhs.transposed ? p.k : p.n, p.rhs.ld));
  TE_RT_TRY(layout(&plan.b, p.lhs.dtype, p.lhs.transposed ? p.m : p.k,
                   p.lhs.transposed ? p.k : p.m, p.lhs.ld));
  TE_RT_TRY(layout(&plan.d, p.resultType, p.n, p.m, p.n));

  const void *pointers[] = {p.rhs.data, p.lhs.data, p.result, p.result};
  std::vector<Preference> wanted;
  for (int i = 0; i < 4; ++i)
    wanted.push_back({kAlignmentA + i, alignmentOf(pointers[i])});
  return findAlgorithm(wanted, 1, workspace, plan);
}

Outcome Blas::makePlan(const BlasGroups &p, size_t workspace, Plan &plan) {
  auto layout = [&](void **made, te_rt_dtype dtype, const int32_t *rows,
                    const int32_t *cols) {
    return check("cublasLtGroupedMatrixLayoutCreate",
                 lt().groupedLayoutCreate(made, typeOf(dtype),
                                          static_cast<int>(p.groups), rows,
                                          cols, rows));
  };
  auto set = [&](int attribute, int32_t value) {
    return check("cublasLtMatmulDescSetAttribute",
                 lt().descSet(plan.desc, attribute, &value, sizeof value));
  };
  TE_RT_TRY(check("cublasLtMatmulDescCreate",
                  lt().descCreate(&plan.desc, kCompute32F, typeOf(TE_RT_F32))));
  TE_RT_TRY(set(kTransA, kOpN));
  TE_RT_TRY(set(kTransB, kOpT));
  TE_RT_TRY(set(kPointerMode, kPointersOfDevice));
  TE_RT_TRY(layout(&plan.a, TE_RT_BF16, p.arrays.n, p.arrays.k));
  TE_RT_TRY(layout(&plan.b, TE_RT_BF16, p.arrays.m, p.arrays.k));
  TE_RT_TRY(layout(&plan.d, TE_RT_F32, p.arrays.n, p.arrays.m));
  return findAlgorithm({{kMeanReduction, p.meanReduction},
                        {kMeanReduction + 1, p.n},
                        {kMeanReduction + 2, p.m}},
                       kMostOffered, workspace, plan);
}

Outcome Blas::findAlgorithm(const std::vector<Preference> &wanted, int most,
                            size_t workspace, Plan &plan) {
  void *preference = nullptr;
  TE_RT_TRY(check("cublasLtMatmulPreferenceCreate",
                  lt().preferenceCreate(&preference)));
  // Of the means, 13.10 takes 8 bytes where its header says 4.
  auto set = [&](int attribute, int64_t value) -> Outcome {
    size_t bytes = 0;
    TE_RT_TRY(
        check("cublasLtMatmulPreferenceGetAttribute",
              lt().preferenceGet(preference, attribute, nullptr, 0, &bytes)));
    return check("cublasLtMatmulPreferenceSetAttribute",
                 lt().preferenceSet(preference, attribute, &value,
                                    std::min(bytes, sizeof value)));
  };
  Heuristic offered[kMostOffered] = {};
  int count = 0, status = 0;
  auto ask = [&]() -> Outcome {
    TE_RT_TRY(set(kWorkspaceBytes, static_cast<int64_t>(workspace)));
    for (const Preference &each : wanted)
      TE_RT_TRY(set(each.attribute, each.value));
    status = lt().heuristic(handle, plan.desc, plan.a, plan.b, plan.d, plan.d,
                            preference, most, offered, &count);
    // It has no way to do it, or takes none of its arguments.
    return status == kNotSupported || status == kInvalidValue
               ? Outcome()
               : check("cublasLtMatmulAlgoGetHeuristic", status);
  };
  Outcome outcome = ask();
  lt().preferenceDestroy(preference);
  float waves = -1;
  for (int i = 0; status == 0 && i < count; ++i)
    if (offered[i].state == 0 && offered[i].waves > waves) {
      plan.found = true;
      plan.algorithm = offered[i].algorithm;
      waves = offered[i].waves;
    }
  return outcome;
}

template <typename Product>
Outcome Blas::planOf(const Product &product, const std::string &key,
                     size_t workspace, Plan **plan) {
  // What was enqueued needs no plan any more.
  if (plans.size() >= kMostPlans && !plans.count(key))
    plans.clear();
  std::unique_ptr<Plan> &kept = plans[key];
  if (!kept) {
    auto fresh = std::make_unique<Plan>();
    TE_RT_TRY(makePlan(product, workspace, *fresh));
    kept = std::move(fresh);
  }
  *plan = kept.get();
  return {};
}

int64_t Blas::groupsVersion() const {
  return lt().version && lt().groupedLayoutCreate
             ? static_cast<int64_t>(lt().version())
             : 0;
}

Outcome Blas::planOf(const BlasGroups &p, size_t workspace, Plan **plan) {
  const void *addresses[] = {p.arrays.m, p.arrays.n, p.arrays.k};
  const int64_t words[] = {p.groups, p.m, p.n, p.meanReduction};
  std::string key(reinterpret_cast<const char *>(words), sizeof words);
  key.append(reinterpret_cast<const char *>(addresses), sizeof addresses);
  return planOf(p, key, workspace, plan);
}

Outcome Blas::takes(const BlasGroups &p, size_t workspace, bool &does) {
  Plan *plan = nullptr;
  TE_RT_TRY(planOf(p, workspace, &plan));
  does = plan->found;
  return {};
}

Outcome Blas::multiply(const BlasGroups &p, void *workspace, size_t bytes,
                       void *stream, bool &ran) {
  Plan *plan = nullptr;
  TE_RT_TRY(planOf(p, bytes, &plan));
  ran = plan->found;
  if (!ran)
    return {};
  int status = lt().matmul(handle, plan->desc, p.scales, p.arrays.rhs, plan->a,
                           p.arrays.lhs, plan->b, p.scales + 1,
                           p.arrays.results, plan->d, p.arrays.results, plan->d,
                           &plan->algorithm, workspace, bytes, stream);
  ran = status != kNotSupported;
  return ran ? check("cublasLtMatmul", status) : Outcome();
}

Outcome Blas::multiply(const BlasProduct &p, void *workspace, size_t bytes,
                       void *stream, bool &ran) {
  // All that chooses the algorithm; addresses only by their alignment.
  const int64_t words[] = {p.m,
                           p.n,
                           p.k,
                           p.lhs.ld,
                           p.rhs.ld,
                           p.lhs.dtype | p.rhs.dtype << 8 | p.resultType << 16 |
                               p.biasType << 24,
                           p.lhs.mode,
                           p.rhs.mode,
                           p.lhs.transposed | p.rhs.transposed << 1 |
                               (p.bias != nullptr) << 2 | p.accumulate << 3 |
                               (p.factors != nullptr) << 4,
                           alignmentOf(p.lhs.data),
                           alignmentOf(p.rhs.data),
                           alignmentOf(p.result)};
  std::string key(reinterpret_cast<const char *>(words), sizeof words);
  Plan *plan = nullptr;
  TE_RT_TRY(planOf(p, key, bytes, &plan));
  ran = plan->found;
  if (!ran)
    return {};
  TE_RT_TRY(setPointers(plan->desc, p));
  const float host[] = {1.0f, p.accumulate ? 1.0f : 0.0f};
  const float *factors = p.factors ? p.factors : host;
  int status =
      lt().matmul(handle, plan->desc, factors, p.rhs.data, plan->a, p.lhs.data,
                  plan->b, factors + 1, p.result, plan->d, p.result, plan->d,
                  &plan->algorithm, workspace, bytes, stream);
  // An algorithm that the library offers and then refuses: nothing was
  // enqueued.
  ran = status != kNotSupported;
  return ran ? check("cublasLtMatmul", status) : Outcome();
}
