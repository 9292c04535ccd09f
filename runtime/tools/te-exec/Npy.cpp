//===- Npy.cpp - NumPy's file format --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArrayFile.h"
#include "Error.h"
#include "Files.h"

#include <algorithm>
#include <cctype>
#include <cstring>

using namespace te::exec;

namespace {
constexpr char magic[] = "\x93NUMPY";
constexpr int64_t magicBytes = 6;
/// Longer headers than this are not of plain arrays.
constexpr int64_t maxHeaderBytes = 1 << 16;

struct Header {
  std::string descr;
  bool fortranOrder = false;
  std::vector<int64_t> shape;
};

/// Parses the Python dictionary of a header.
class HeaderParser {
public:
  HeaderParser(const std::string &path, const std::string &text)
      : path(path), text(text) {}

  Header parse() {
    bool hasDescr = false, hasOrder = false, hasShape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr") {
        header.descr = string();
        hasDescr = true;
      } else if (key == "fortran_order") {
        header.fortranOrder = boolean();
        hasOrder = true;
      } else if (key == "shape") {
        header.shape = tuple();
        hasShape = true;
      } else {
        refuse("found key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!hasDescr || !hasOrder || !hasShape)
      refuse("wanted descr, fortran_order and shape");
    return header;
  }

private:
  [[noreturn]] void refuse(const std::string &why) {
    fail(path, ": malformed .npy header: ", why);
  }
  void skipBlanks() {
    while (at < text.size() &&
           std::isspace(static_cast<unsigned char>(text[at])))
      ++at;
  }
  bool accept(char c) {
    skipBlanks();
    if (at >= text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  void expect(char c) {
    if (accept(c))
      return;
    refuse(std::string("found ") +
           (at < text.size() ? "'" + std::string(1, text[at]) + "'"
                             : std::string("its end")) +
           " at byte " + std::to_string(at) + ", wanted '" + c + "'");
  }
  std::string string() {
    skipBlanks();
    char quote = at < text.size() ? text[at] : '\0';
    if (quote != '\'' && quote != '"')
      refuse("found no quoted string at byte " + std::to_string(at) +
             " (structured types are not read)");
    size_t end = text.find(quote, ++at);
    if (end == std::string::npos)
      refuse("a string does not end");
    std::string value = text.substr(at, end - at);
    at = end + 1;
    return value;
  }
  bool boolean() {
    skipBlanks();
    for (const char *word : {"True", "False"})
      if (text.compare(at, std::strlen(word), word) == 0) {
        at += std::strlen(word);
        return word[0] == 'T';
      }
    refuse("fortran_order is neither True nor False");
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> extents;
    expect('(');
    while (!accept(')')) {
      skipBlanks();
      int64_t extent = 0;
      size_t begin = at;
      for (; at < text.size() &&
             std::isdigit(static_cast<unsigned char>(text[at]));
           ++at)
        if (__builtin_mul_overflow(extent, 10, &extent) ||
            __builtin_add_overflow(extent, text[at] - '0', &extent))
          refuse("an extent passes 2^63");
      if (at == begin)
        refuse("shape holds something other than extents");
      extents.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return extents;
  }

  const std::string &path, &text;
  size_t at = 0;
  Header header;
};

/// The types that data of NumPy type `descr` can stand for.
std::vector<te_rt_dtype> typesOf(const std::string &descr) {
  if (descr.size() != 3 || (descr[0] != '<' && descr[0] != '|'))
    return {};
  std::string kind = descr.substr(1);
  if (kind == "f4" && descr[0] == '<')
    return {TE_RT_F32};
  if (kind == "i4" && descr[0] == '<')
    return {TE_RT_I32};
  if (kind == "i8" && descr[0] == '<')
    return {TE_RT_I64};
  if (kind == "f2" && descr[0] == '<')
    return {TE_RT_F16};
  if ((kind == "u2" && descr[0] == '<') || kind == "V2")
    return {TE_RT_BF16};
  if (kind == "f1")
    return {TE_RT_F8E4M3, TE_RT_F8E5M2};
  if (kind == "u1" || kind == "V1")
    return {TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F8E8M0, TE_RT_U8, TE_RT_F4E2M1};
  return {};
}

const char *descrOf(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_F32:
    return "<f4";
  case TE_RT_BF16:
    return "<u2";
  case TE_RT_F16:
    return "<f2";
  case TE_RT_I32:
    return "<i4";
  case TE_RT_I64:
    return "<i8";
  case TE_RT_F8E4M3:
  case TE_RT_F8E5M2:
  case TE_RT_F8E8M0:
  case TE_RT_U8:
  case TE_RT_F4E2M1:
    return "|u1";
  }
  return "|u1";
}
} // namespace

bool ArrayFile::canRead(te_rt_dtype dtype) const {
  return std::find(readsAs.begin(), readsAs.end(), dtype) != readsAs.end();
}

ArrayFile te::exec::findNpy(const std::string &path) {
  InputFile file(path);
  unsigned char start[12] = {};
  if (file.size() < 10)
    fail(path, ": not a .npy file: found ", file.size(),
         " bytes, wanted at least 10");
  file.read(0, start, 10);
  if (std::memcmp(start, magic, magicBytes) != 0)
    fail(path, ": not a .npy file: it does not begin with \\x93NUMPY");
  int version = start[6];
  if (version < 1 || version > 3)
    fail(path, ": found .npy version ", version, ", wanted 1, 2 or 3");
  int64_t headerBytes = start[8] | start[9] << 8, headerAt = 10;
  if (version > 1) {
    file.read(8, start + 8, 4);
    headerBytes = static_cast<int64_t>(start[8]) | start[9] << 8 |
                  start[10] << 16 | static_cast<int64_t>(start[11]) << 24;
    headerAt = 12;
  }
  if (headerBytes > maxHeaderBytes)
    fail(path, ": malformed .npy header: found ", headerBytes,
         " bytes, wanted at most ", maxHeaderBytes);
  std::string text(static_cast<size_t>(headerBytes), '\0');
  file.read(headerAt, text.data(), headerBytes);
  Header header = HeaderParser(path, text).parse();

  ArrayFile array;
  array.path = array.place = path;
  array.found = header.descr;
  array.readsAs = typesOf(header.descr);
  array.shape = header.shape;
  array.offset = headerAt + headerBytes;
  if (array.readsAs.empty())
    fail(path, ": found element type '", header.descr,
         "', wanted <f4, <i4, <i8, <f2, <u2 or V2 (BF16), u1 or V1 (FP8)");
  // Fortran order of fewer than two dimensions is C order.
  if (header.fortranOrder && header.shape.size() > 1)
    fail(path,
         ": found Fortran order, wanted C order (numpy.ascontiguousarray)");
  int64_t elements = countElements(header.shape);
  if (elements < 0 ||
      __builtin_mul_overflow(elements, dtypeBytes(array.readsAs.front()),
                             &array.bytes))
    fail(path, ": shape ", shapeString(header.shape), " passes 2^63 bytes");
  if (file.size() - array.offset != array.bytes)
    fail(path, ": ",
         file.size() - array.offset < array.bytes ? "truncated" : "too long",
         ": found ", file.size() - array.offset, " bytes of data, wanted ",
         array.bytes, " for ", header.descr, shapeString(header.shape));
  return array;
}

void te::exec::writeNpy(const std::string &path, const ArrayType &type,
                        const void *data) {
  std::string shape;
  for (int64_t extent : type.fileShape())
    shape += std::to_string(extent) + ", ";
  if (type.shape.size() > 1)
    shape.resize(shape.size() - 2);
  else if (!shape.empty())
    shape.pop_back();
  std::string text = std::string("{'descr': '") + descrOf(type.dtype) +
                     "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data begins at a multiple of 64 bytes, as NumPy has it.
  while ((magicBytes + 4 + text.size() + 1) % 64 != 0)
    text += ' ';
  text += '\n';
  unsigned char start[10];
  std::memcpy(start, magic, magicBytes);
  start[6] = 1;
  start[7] = 0;
  start[8] = static_cast<unsigned char>(text.size() & 0xff);
  start[9] = static_cast<unsigned char>(text.size() >> 8);
  OutputFile file(path);
  file.write(start, sizeof start);
  file.write(text.data(), static_cast<int64_t>(text.size()));
  file.write(data, type.bytes());
  file.commit();
}
