//===- FakeBlas.cpp - a cuBLASLt that notes what it is asked --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cuBLASLt's functions as far as the runtime calls them. Each product becomes a
// line: what the library is told of it, with addresses as they are. fakeBlasLog
// gives the lines since it was last called, fakeBlasPlans how many descriptions of
// products are alive; fakeBlasFail lets a function return a status from then on.
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>

namespace {
struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t ld;
  // Of groups: how many, and arrays of the device.
  int groups = 0;
  const void *arrays[3] = {};
};
using Desc = std::map<int, int64_t>; // attributes by number
std::ostringstream lines;
std::string taken;
int64_t plans = 0;
std::map<std::string, int> failures;

int statusOf(const std::string &function) {
  auto found = failures.find(function);
  return found == failures.end() ? 0 : found->second;
}

struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
} // namespace

extern "C" {
const char *fakeBlasLog() {
  taken = lines.str();
  lines.str("");
  return taken.c_str();
}

int64_t fakeBlasPlans() { return plans; }
void fakeBlasFail(const char *function, int status) {
  failures.clear();
  if (status)
    failures[function] = status;
}

const char *cublasLtGetStatusName(int status) {
  return status == 14 ? "CUBLAS_STATUS_INTERNAL_ERROR" : nullptr;
}
const char *cublasLtGetStatusString(int status) {
  return status == 14 ? "an internal operation failed" : nullptr;
}
int cublasLtCreate(void **handle) {
  return *handle = &lines, statusOf("create");
}
int cublasLtDestroy(void *) { return 0; }
int cublasLtMatmulDescCreate(void **desc, int, int) {
  return ++plans, *desc = new Desc, 0;
}
int cublasLtMatmulDescDestroy(void *desc) {
  return --plans, delete static_cast<Desc *>(desc), 0;
}
int cublasLtMatmulDescSetAttribute(void *desc, int attribute, const void *value,
                                   size_t bytes) {
  int64_t number = 0;
  std::memcpy(&number, value, bytes);
  return (*static_cast<Desc *>(desc))[attribute] = number, 0;
}
int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows,
                               uint64_t cols, int64_t ld) {
  return *layout = new Layout{type, rows, cols, ld}, 0;
}
/// FAKE_BLAS_VERSION: the library's, 130100 by default.
size_t cublasLtGetVersion() {
  const char *version = std::getenv("FAKE_BLAS_VERSION");
  return version ? std::strtoull(version, nullptr, 10) : 130100;
}
int cublasLtGroupedMatrixLayoutCreate(void **layout, int type, int groups,
                                      const void *rows, const void *cols,
                                      const void *ld) {
  return *layout = new Layout{type, 0, 0, 0, groups, {rows, cols, ld}}, 0;
}
int cublasLtMatrixLayoutDestroy(void *layout) {
  return delete static_cast<Layout *>(layout), 0;
}
int cublasLtMatmulPreferenceCreate(void **preference) {
  return *preference = &lines, 0;
}
int cublasLtMatmulPreferenceDestroy(void *) { return 0; }
/// As large as 13.10 takes them: the workspace and means of groups 8 bytes, alignments 4.
int cublasLtMatmulPreferenceGetAttribute(void *, int attribute, void *, size_t,
                                         size_t *bytes) {
  return *bytes = attribute == 1 || attribute >= 13 ? 8 : 4, 0;
}
int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute,
                                         const void *value, size_t bytes) {
  size_t wanted = 0;
  cublasLtMatmulPreferenceGetAttribute(preference, attribute, nullptr, 0,
                                       &wanted);
  if (bytes != wanted)
    return 7; // CUBLAS_STATUS_INVALID_VALUE
  if (attribute >= 13) {
    int64_t mean = 0;
    std::memcpy(&mean, value, bytes);
    lines << "mean " << attribute << ' ' << mean << '\n';
  }
  return statusOf("preference");
}
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *,
                                   void *, void *, int most,
                                   Heuristic *results, int *count) {
  // Where several are asked for, the second of three makes most waves.
  lines << "heuristic\n";
  *count = most < 3 ? most : 3;
  for (int i = 0; i < *count; ++i)
    results[i] = {}, results[i].algorithm[0] = i, results[i].waves = i == 1;
  return statusOf("heuristic");
}
int cublasLtMatmul(void *, void *desc, const void *alpha, const void *a,
                   void *aLayout, const void *b, void *bLayout,
                   const void *beta, const void *, void *, void *d,
                   void *dLayout, const void *algorithm, void *workspace,
                   size_t, void *stream) {
  Desc &asked = *static_cast<Desc *>(desc);
  auto layout = [](void *which) {
    auto *l = static_cast<Layout *>(which);
    if (l->groups) {
      std::ostringstream text;
      text << l->type << ':' << l->groups;
      for (const void *array : l->arrays)
        text << ',' << array;
      return text.str();
    }
    return std::to_string(l->type) + ":" + std::to_string(l->rows) + "x" +
           std::to_string(l->cols) + "/" + std::to_string(l->ld);
  };
  lines << "matmul a " << a << ' ' << layout(aLayout) << " b " << b << ' '
        << layout(bLayout) << " d " << d << ' ' << layout(dLayout);
  if (asked.count(31)) // modes of scales, and where these lie
    lines << " modes " << asked[31] << ' ' << asked[32] << " scales "
          << reinterpret_cast<void *>(asked[17]) << ' '
          << reinterpret_cast<void *>(asked[18]);
  lines << " trans " << asked[3] << asked[4];
  if (asked[2] == 1) // pointers of the device
    lines << " factors " << alpha << ' ' << beta;
  else
    lines << " alpha " << *static_cast<const float *>(alpha) << " beta "
          << *static_cast<const float *>(beta);
  if (uint64_t number = *static_cast<const uint64_t *>(algorithm))
    lines << " algorithm " << number;
  lines << " workspace " << workspace << " stream " << stream << '\n';
  return statusOf("matmul");
}
}
