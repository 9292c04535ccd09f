//===- ExecSafetensors.cpp - tests of .safetensors files ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArrayFile.h"
#include "ExecSupport.h"

using namespace te::exec;

namespace {
class Safetensors : public TemporaryDirectory {
protected:
  std::string file(const std::string &header, const std::string &data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i)
      bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
    return write("a.safetensors", bytes + header + data);
  }
  std::string tensor(const std::string &dtype, const std::string &shape,
                     const std::string &offsets, const std::string &data) {
    return file("{\"w\": {\"dtype\": \"" + dtype + "\", \"shape\": " + shape +
                    ", \"data_offsets\": " + offsets + "}}",
                data);
  }
};

TEST_F(Safetensors, FindsTensors) {
  std::string name = file("{\"__metadata__\": {\"format\": \"pt\"},"
                          "\"a\": {\"dtype\": \"BF16\", \"shape\": [2, 1], "
                          "\"data_offsets\": [0, 4]},"
                          "\"b\": {\"dtype\": \"F8_E4M3\", \"shape\": [], "
                          "\"data_offsets\": [4, 5]}}",
                          "abcde");
  ArrayFile a = findArray(name + "#a"), b = findArray(name + "#b");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_TRUE(a.canRead(TE_RT_BF16));
  EXPECT_EQ(a.bytes, 4);
  EXPECT_TRUE(b.canRead(TE_RT_F8E4M3));
  EXPECT_FALSE(b.canRead(TE_RT_F8E5M2));
  EXPECT_TRUE(b.shape.empty());
  EXPECT_EQ(read("a.safetensors").substr(static_cast<size_t>(b.offset)), "e");
}

TEST_F(Safetensors, BytesMayBePairsOfFp4) {
  ArrayFile w = findArray(tensor("U8", "[2, 3]", "[0, 6]", "abcdef") + "#w");
  EXPECT_TRUE(w.canRead(TE_RT_F4E2M1) && w.canRead(TE_RT_U8));
  EXPECT_EQ(w.shape, (ArrayType{TE_RT_F4E2M1, {2, 6}}).fileShape());
  EXPECT_EQ(w.bytes, 6);
}

TEST_F(Safetensors, RefusesWhatItCannotRead) {
  std::string good = tensor("F32", "[2]", "[0, 8]", "12345678");
  EXPECT_ERROR(findArray(good + "#v"), "found no key 'v'; its keys: w");
  EXPECT_ERROR(findArray(good), "found no key, wanted");
  EXPECT_ERROR(findArray(path("x.bin")), "neither a .npy nor");
  EXPECT_ERROR(findArray(tensor("F32", "[2]", "[0, 8]", "1234567") + "#w"),
               "truncated: found 7 bytes of data, wanted 8");
  EXPECT_ERROR(findArray(tensor("F64", "[1]", "[0, 8]", "12345678") + "#w"),
               "found element type F64");
  EXPECT_ERROR(findArray(tensor("F32", "[3]", "[0, 8]", "12345678") + "#w"),
               "wanted 12 bytes");
  EXPECT_ERROR(findArray(tensor("F32", "[2]", "[8, 0]", "12345678") + "#w"),
               "data_offsets");
  EXPECT_ERROR(findArray(tensor("F32", "[-2]", "[0, 8]", "12345678") + "#w"),
               "wanted a dtype, a shape");
  EXPECT_ERROR(findArray(tensor("F32", "[4294967296, 4294967296]", "[0, 8]",
                                "12345678") +
                         "#w"),
               "passes 2^63");
  EXPECT_ERROR(findArray(file("[1, 2]", "") + "#w"), "not a JSON object");
  EXPECT_ERROR(findArray(file("{\"w\": 3}", "") + "#w"), "wanted a dtype");
  EXPECT_ERROR(findArray(file("{\"w\":", "") + "#w"), "not a JSON object");
  EXPECT_ERROR(
      findArray(write("b.safetensors", std::string(8, '\xff') + "{}") + "#w"),
      "found a length of 18446744073709551615");
  EXPECT_ERROR(findArray(write("c.safetensors", "1234") + "#w"),
               "wanted at least 8");
}

TEST_F(Safetensors, SurvivesDeepNesting) {
  EXPECT_ERROR(findArray(file(std::string(1000000, '['), "") + "#w"),
               "not a JSON object");
}
} // namespace
