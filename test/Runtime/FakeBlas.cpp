//===- FakeBlas.cpp - a cuBLASLt that notes what it is asked --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cuBLASLt's functions as far as the runtime calls them. Each product becomes a
// line: what the library is told of it, with addresses as they are. fakeBlasLog
// gives the lines since it was last called.
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cstring>
#include <map>
#include <sstream>
#include <string>

namespace {
struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t ld;
};
using Desc = std::map<int, int64_t>; // attributes by number
std::ostringstream lines;
std::string taken;

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

int cublasLtCreate(void **handle) { return *handle = &lines, 0; }
int cublasLtDestroy(void *) { return 0; }
int cublasLtMatmulDescCreate(void **desc, int, int) {
  return *desc = new Desc, 0;
}
int cublasLtMatmulDescDestroy(void *desc) {
  return delete static_cast<Desc *>(desc), 0;
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
int cublasLtMatrixLayoutDestroy(void *layout) {
  return delete static_cast<Layout *>(layout), 0;
}
int cublasLtMatmulPreferenceCreate(void **preference) {
  return *preference = &lines, 0;
}
int cublasLtMatmulPreferenceDestroy(void *) { return 0; }
int cublasLtMatmulPreferenceSetAttribute(void *, int, const void *, size_t) {
  return 0;
}
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *,
                                   void *, void *, int, Heuristic *result,
                                   int *count) {
  lines << "heuristic\n";
  return *result = {}, *count = 1, 0;
}
int cublasLtMatmul(void *, void *desc, const void *alpha, const void *a,
                   void *aLayout, const void *b, void *bLayout,
                   const void *beta, const void *, void *, void *d,
                   void *dLayout, const void *, void *workspace, size_t,
                   void *stream) {
  Desc &asked = *static_cast<Desc *>(desc);
  auto layout = [](void *which) {
    auto *l = static_cast<Layout *>(which);
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
  lines << " workspace " << workspace << " stream " << stream << '\n';
  return 0;
}
}
