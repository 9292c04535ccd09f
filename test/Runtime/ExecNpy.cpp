//===- ExecNpy.cpp - tests of .npy files ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArrayFile.h"
#include "ExecSupport.h"

#include <cstring>
#include <vector>

using namespace te::exec;

namespace {
class Npy : public TemporaryDirectory {
protected:
  /// A file of `version` with `dictionary` as its header.
  std::string file(const std::string &dictionary, const std::string &data,
                   int version = 1) {
    std::string bytes = "\x93NUMPY";
    bytes += static_cast<char>(version);
    bytes += '\0';
    bytes += static_cast<char>(dictionary.size() & 0xff);
    bytes += static_cast<char>(dictionary.size() >> 8);
    if (version > 1)
      bytes += std::string(2, '\0');
    return write("a.npy", bytes + dictionary + data);
  }
};

TEST_F(Npy, WrittenFilesReadBack) {
  const ArrayType types[] = {
      {TE_RT_F32, {2, 3}},    {TE_RT_BF16, {5}},      {TE_RT_I32, {}},
      {TE_RT_I64, {1, 2, 3}}, {TE_RT_F16, {4}},       {TE_RT_F8E4M3, {0, 7}},
      {TE_RT_F8E5M2, {3}},    {TE_RT_F8E8M0, {2, 2}}, {TE_RT_F4E2M1, {3, 6}}};
  for (const ArrayType &type : types) {
    std::vector<char> data(64);
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = static_cast<char>(i * 37 + 1);
    writeNpy(path("a.npy"), type, data.data());
    ArrayFile array = findNpy(path("a.npy"));
    EXPECT_EQ(array.shape, type.fileShape());
    EXPECT_TRUE(array.canRead(type.dtype)) << type.str();
    EXPECT_EQ(array.bytes, type.bytes());
    EXPECT_EQ(array.offset % 64, 0);
    std::string bytes = read("a.npy");
    EXPECT_EQ(bytes.substr(static_cast<size_t>(array.offset)),
              std::string(data.data(), static_cast<size_t>(type.bytes())));
  }
}

TEST_F(Npy, PairsOfFp4AreBytes) {
  ArrayType type{TE_RT_F4E2M1, {3, 6}};
  EXPECT_EQ(type.bytes(), 9);
  writeNpy(path("a.npy"), type, "abcdefghi");
  ArrayFile array = findNpy(path("a.npy"));
  EXPECT_EQ(array.shape, (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(array.found, "|u1");
  EXPECT_EQ(array.bytes, 9);
}

TEST_F(Npy, HeaderIsNumPys) {
  float value = 1;
  writeNpy(path("a.npy"), {TE_RT_F32, {1}}, &value);
  EXPECT_EQ(read("a.npy").substr(10, 58),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } ");
}

TEST_F(Npy, ReadsWhatMlDtypesSaves) {
  ArrayFile bf16 = findNpy(file(
      "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }\n", "abcd"));
  EXPECT_TRUE(bf16.canRead(TE_RT_BF16));
  EXPECT_FALSE(bf16.canRead(TE_RT_F16));
  ArrayFile fp8 = findNpy(file(
      "{'descr': '|V1', 'fortran_order': False, 'shape': (2, 1), }", "ab"));
  EXPECT_TRUE(fp8.canRead(TE_RT_F8E4M3) && fp8.canRead(TE_RT_F8E5M2));
  ArrayFile f1 = findNpy(
      file("{'descr': '<f1', 'fortran_order': True, 'shape': (2,)}", "ab", 2));
  EXPECT_TRUE(f1.canRead(TE_RT_F8E5M2));
  EXPECT_FALSE(f1.canRead(TE_RT_U8) || f1.canRead(TE_RT_F4E2M1));
}

TEST_F(Npy, RefusesWhatItCannotRead) {
  const char *f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_ERROR(findNpy(file(f4, "1234567")),
               "truncated: found 7 bytes of data, wanted 8 for <f4[2]");
  EXPECT_ERROR(findNpy(file(f4, "123456789")), "too long");
  EXPECT_ERROR(findNpy(file(f4, "12345678", 4)), "found .npy version 4");
  EXPECT_ERROR(findNpy(write("b.npy", "PK\3\4 0123456789")), "not a .npy file");
  EXPECT_ERROR(findNpy(write("c.npy", "\x93")), "found 1 bytes");
  EXPECT_ERROR(findNpy(path("none.npy")), "cannot be opened");
  EXPECT_ERROR(findNpy(directory), "is not a regular file");
  EXPECT_ERROR(findNpy(file("{'descr': '>f4', 'fortran_order': False, "
                            "'shape': (2,), }",
                            "12345678")),
               "found element type '>f4'");
  EXPECT_ERROR(findNpy(file("{'descr': '<f4', 'fortran_order': True, "
                            "'shape': (1, 2), }",
                            "12345678")),
               "Fortran order");
  EXPECT_ERROR(findNpy(file("{'descr': [('x', '<f4')], 'fortran_order': False, "
                            "'shape': (2,), }",
                            "12345678")),
               "structured types");
  EXPECT_ERROR(findNpy(file("{'descr': '<f4', 'fortran_order': False, 'shape': "
                            "(9223372036854775807, 16)}",
                            "")),
               "passes 2^63");
  EXPECT_ERROR(findNpy(file("{'descr': '<f4', 'fortran_order': False, 'shape': "
                            "(99999999999999999999,)}",
                            "")),
               "passes 2^63");
}

/// No prefix and no single changed byte of a good file may do worse than throw.
TEST_F(Npy, SurvivesDamage) {
  float values[2] = {1, 2};
  writeNpy(path("good.npy"), {TE_RT_F32, {2}}, values);
  std::string good = read("good.npy");
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(errorOf([&] { findNpy(write("b.npy", good.substr(0, length))); }),
              "")
        << length;
  for (size_t at = 0; at < 80; ++at)
    for (char flip : {'\x01', '\x10', '\x7f', '\xff'}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      std::string where = write("b.npy", bad);
      errorOf([&] { findNpy(where); });
    }
}
} // namespace
