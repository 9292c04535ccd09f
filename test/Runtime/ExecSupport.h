//===- ExecSupport.h - what tests of the driver share -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_TEST_EXECSUPPORT_H
#define TE_TEST_EXECSUPPORT_H

#include "Error.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>

/// A directory of its own for each test, removed behind it.
class TemporaryDirectory : public testing::Test {
protected:
  TemporaryDirectory() {
    std::string pattern = testing::TempDir() + "te-exec-XXXXXX";
    directory = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() override { std::filesystem::remove_all(directory); }

  std::string path(const std::string &name) const {
    return directory + "/" + name;
  }
  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string read(const std::string &name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string directory;
};

/// The message of the Error that `action` throws; "" if it throws none.
template <typename Action> std::string errorOf(Action action) {
  try {
    action();
  } catch (const te::exec::Error &error) {
    return error.what();
  }
  return "";
}

/// Expects that `action` throws an Error whose message has `part` in it.
#define EXPECT_ERROR(action, part)                                             \
  EXPECT_PRED_FORMAT2(testing::IsSubstring, part, errorOf([&] { action; }))

#endif // TE_TEST_EXECSUPPORT_H
