//===- Safetensors.cpp - the safetensors file format ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Eight bytes of length, a JSON object {key: {dtype, shape, data_offsets}},
// then the data, to which the offsets are relative.
//
//===----------------------------------------------------------------------===//
#include "ArrayFile.h"
#include "Error.h"
#include "Files.h"

#include <nlohmann/json.hpp>

using namespace te::exec;
using nlohmann::json;

namespace {
/// The format's own limit.
constexpr int64_t maxHeaderBytes = 100'000'000;

struct NamedType {
  const char *name;
  te_rt_dtype dtype;
};
constexpr NamedType namedTypes[] = {
    {"F32", TE_RT_F32},        {"BF16", TE_RT_BF16},
    {"F16", TE_RT_F16},        {"F8_E4M3", TE_RT_F8E4M3},
    {"F8_E5M2", TE_RT_F8E5M2}, {"F8_E8M0", TE_RT_F8E8M0},
    {"I32", TE_RT_I32},        {"I64", TE_RT_I64},
    {"U8", TE_RT_U8}};

json readHeader(const InputFile &file, const std::string &path,
                int64_t &dataOffset) {
  unsigned char length[8];
  if (file.size() < 8)
    fail(path, ": not a .safetensors file: found ", file.size(),
         " bytes, wanted at least 8");
  file.read(0, length, 8);
  uint64_t bytes = 0;
  for (int i = 7; i >= 0; --i)
    bytes = bytes << 8 | length[i];
  if (bytes > static_cast<uint64_t>(maxHeaderBytes))
    fail(path, ": malformed .safetensors header: found a length of ", bytes,
         " bytes, wanted at most ", maxHeaderBytes);
  std::string text(bytes, '\0');
  file.read(8, text.data(), static_cast<int64_t>(bytes));
  dataOffset = 8 + static_cast<int64_t>(bytes);
  json header = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object())
    fail(path, ": malformed .safetensors header: not a JSON object");
  return header;
}

/// A list of non-negative integers, or nothing.
bool readIntegers(const json &tensor, const char *field,
                  std::vector<int64_t> &values) {
  auto found = tensor.find(field);
  if (found == tensor.end() || !found->is_array())
    return false;
  for (const json &value : *found) {
    if (!value.is_number_unsigned() ||
        value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      return false;
    values.push_back(static_cast<int64_t>(value.get<uint64_t>()));
  }
  return true;
}

/// Some of the keys there are, so that a misspelt one is seen at once.
std::string someKeys(const json &header) {
  std::string text;
  int shown = 0, more = 0;
  for (auto &entry : header.items()) {
    if (entry.key() == "__metadata__")
      continue;
    if (shown == 4) {
      ++more;
      continue;
    }
    text += (shown++ ? ", " : "") + entry.key();
  }
  if (more)
    text += " and " + std::to_string(more) + " more";
  return shown ? text : "none";
}
} // namespace

ArrayFile te::exec::findSafetensors(const std::string &path,
                                    const std::string &key) {
  InputFile file(path);
  int64_t dataOffset = 0;
  json header = readHeader(file, path, dataOffset);
  auto entry = header.find(key);
  if (entry == header.end() || key == "__metadata__")
    fail(path, ": found no key '", key, "'; its keys: ", someKeys(header));

  ArrayFile array;
  array.path = path;
  array.place = path + "#" + key;
  std::vector<int64_t> offsets;
  if (!entry->is_object() || !entry->contains("dtype") ||
      !(*entry)["dtype"].is_string() ||
      !readIntegers(*entry, "shape", array.shape) ||
      !readIntegers(*entry, "data_offsets", offsets) || offsets.size() != 2)
    fail(array.place,
         ": malformed .safetensors header: wanted a dtype, a shape "
         "and two data_offsets");
  array.found = (*entry)["dtype"].get<std::string>();
  for (const NamedType &type : namedTypes)
    if (array.found == type.name)
      array.readsAs = {type.dtype};
  if (array.readsAs.empty())
    fail(array.place, ": found element type ", array.found,
         ", wanted BF16, F32, F16, F8_E4M3, F8_E5M2, F8_E8M0, I32, I64 or U8");
  if (array.readsAs.front() == TE_RT_U8)
    array.readsAs.push_back(TE_RT_F4E2M1);
  int64_t elements = countElements(array.shape);
  if (elements < 0 ||
      __builtin_mul_overflow(elements, dtypeBytes(array.readsAs.front()),
                             &array.bytes))
    fail(array.place, ": shape ", shapeString(array.shape),
         " passes 2^63 bytes");
  if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != array.bytes)
    fail(array.place, ": malformed .safetensors header: found data_offsets ",
         shapeString(offsets), ", wanted ", array.bytes, " bytes for ",
         array.found, shapeString(array.shape));
  if (offsets[1] > file.size() - dataOffset)
    fail(array.place, ": truncated: found ", file.size() - dataOffset,
         " bytes of data, wanted ", offsets[1]);
  array.offset = dataOffset + offsets[0];
  return array;
}

ArrayFile te::exec::findArray(const std::string &spec) {
  auto endsWith = [](const std::string &text, const std::string &end) {
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  const std::string extension = ".safetensors";
  size_t hash = spec.find(extension + "#");
  if (hash != std::string::npos) {
    hash += extension.size();
    return findSafetensors(spec.substr(0, hash), spec.substr(hash + 1));
  }
  if (endsWith(spec, extension))
    fail(spec, ": found no key, wanted ", spec, "#KEY");
  if (endsWith(spec, ".npy"))
    return findNpy(spec);
  fail(spec, ": found neither a .npy nor a .safetensors#KEY");
}
