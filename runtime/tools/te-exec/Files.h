//===- Files.h - reading whole files, writing them atomically ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_FILES_H
#define TE_EXEC_FILES_H

#include <cstdint>
#include <cstdio>
#include <string>

namespace te::exec {

/// The bytes of `path`, or of standard input for "-". Throws Error.
std::string readWholeFile(const std::string &path);

/// A file open for reading at any place. Errors name the file.
class InputFile {
public:
  explicit InputFile(const std::string &path);
  ~InputFile();
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;

  int64_t size() const { return length; }
  /// Reads `bytes` at `offset`; throws Error where the file ends before.
  void read(int64_t offset, void *data, int64_t bytes) const;

private:
  std::string path;
  int descriptor = -1;
  int64_t length = 0;
};

/// A file that appears under its name only when commit() has written all of
/// it; without commit() nothing is left. Errors name the file.
class OutputFile {
public:
  explicit OutputFile(const std::string &path);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  void write(const void *data, int64_t bytes);
  void commit();

private:
  [[noreturn]] void refuse();
  std::string path, temporary;
  std::FILE *file = nullptr;
};

/// Makes `directory` with its parents where missing, and checks that files can
/// be made in it. Throws Error.
void prepareDirectory(const std::string &directory);

} // namespace te::exec

#endif // TE_EXEC_FILES_H
