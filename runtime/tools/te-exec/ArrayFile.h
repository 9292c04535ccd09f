//===- ArrayFile.h - arrays in .npy and .safetensors files ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_ARRAYFILE_H
#define TE_EXEC_ARRAYFILE_H

#include "ArrayType.h"

namespace te::exec {

/// An array found in a file, whose header has been read and whose data is known
/// to be there.
struct ArrayFile {
  std::string path;
  std::string place;                ///< path, or path#key: for messages
  std::string found;                ///< element type in the file's own words
  std::vector<te_rt_dtype> readsAs; ///< element types that it may stand for
  std::vector<int64_t> shape;       ///< an ArrayType's fileShape
  int64_t offset = 0;               ///< of the data in the file
  int64_t bytes = 0;

  bool canRead(te_rt_dtype dtype) const;
};

/// Finds the array of a .npy file: versions 1 to 3, little-endian, C order.
/// NumPy has no BF16 and FP8, so 16-bit patterns (`<u2`, `V2` as ml_dtypes
/// writes it) stand for BF16, 8-bit ones (`u1`, `V1`, `f1`) for FP8, E8M0, U8
/// and pairs of FP4. Throws Error: not a .npy, unknown type, truncated.
ArrayFile findNpy(const std::string &path);

/// Finds tensor `key` of a .safetensors file. Throws Error: malformed header,
/// key missing, unknown type, offsets outside of the file or not fitting.
ArrayFile findSafetensors(const std::string &path, const std::string &key);

/// `FILE.npy` or `FILE.safetensors#KEY`. Throws Error.
ArrayFile findArray(const std::string &spec);

/// Writes `data` of `type` to `path` as .npy version 1, under a temporary name
/// first: BF16 as `<u2`, FP8, E8M0, U8 and pairs of FP4 as `|u1` bit patterns.
void writeNpy(const std::string &path, const ArrayType &type, const void *data);

} // namespace te::exec

#endif // TE_EXEC_ARRAYFILE_H
