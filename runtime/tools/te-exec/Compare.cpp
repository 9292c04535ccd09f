//===- Compare.cpp - results of two programs, side by side ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Compare.h"
#include "Table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace te::exec;

double te::exec::relativeBound(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_F32:
    return 0x1p-12;
  case TE_RT_F16:
    return 0x1p-10;
  case TE_RT_BF16:
    return 0x1p-7;
  case TE_RT_F8E4M3:
    return 0x1p-3;
  case TE_RT_F8E5M2:
    return 0x1p-2;
  case TE_RT_F4E2M1:
    return 0x1p-1;
  case TE_RT_F8E8M0:
  case TE_RT_I32:
  case TE_RT_I64:
  case TE_RT_U8:
    return 0;
  }
  return 0;
}

Tolerance Tolerance::through(uint32_t dtypes) {
  Tolerance tolerance = {false, 0};
  for (int dtype = 0; dtypes >> dtype; ++dtype)
    if (dtypes >> dtype & 1)
      tolerance.coarsest = std::max(
          tolerance.coarsest, relativeBound(static_cast<te_rt_dtype>(dtype)));
  return tolerance;
}

double Difference::share() const {
  return std::max(bound > 0 ? error / bound : error, norm / normBound);
}

static bool sameElement(te_rt_dtype dtype, const void *a, const void *b,
                        int64_t i) {
  const char *left = static_cast<const char *>(a);
  const char *right = static_cast<const char *>(b);
  if (dtype == TE_RT_F4E2M1)
    return ((left[i / 2] ^ right[i / 2]) >> i % 2 * 4 & 0xf) == 0;
  int64_t width = dtypeBytes(dtype);
  return std::memcmp(left + i * width, right + i * width,
                     static_cast<size_t>(width)) == 0;
}

Difference te::exec::compareArrays(const ArrayType &type, const void *wanted,
                                   const void *found, Tolerance tolerance) {
  Difference difference;
  double largest = 0, squares = 0, errorSquares = 0;
  int64_t elements = type.elements();
  double own = tolerance.exact ? 0 : relativeBound(type.dtype);
  // Integers and codes of scales stay exact.
  double relative = own > 0 ? std::max(own, tolerance.coarsest) : 0;
  bool sameBits =
      elements == 0 ||
      std::memcmp(wanted, found, static_cast<size_t>(type.bytes())) == 0;
  if (sameBits && relative == 0)
    return difference;
  for (int64_t i = 0; i < elements; ++i) {
    double a = decodeElement(type.dtype, wanted, i);
    if (std::isfinite(a)) {
      largest = std::max(largest, std::fabs(a));
      squares += a * a;
    }
    if (sameBits || sameElement(type.dtype, wanted, found, i))
      continue;
    double b = decodeElement(type.dtype, found, i);
    if (std::isnan(a) && std::isnan(b))
      continue;
    double error = std::fabs(a - b);
    // One is NaN, or both are infinite (and differ in sign).
    if (std::isnan(error))
      error = std::numeric_limits<double>::infinity();
    errorSquares += error * error;
    if (difference.exact || error > difference.error) {
      difference.position = i;
      difference.error = error;
    }
    difference.exact = false;
  }
  difference.bound = relative * largest;
  if (errorSquares > 0)
    difference.norm = std::sqrt(errorSquares / squares);
  if (relative > own)
    difference.normBound = relative / 4;
  return difference;
}

/// Where `name` ends in digits behind a dot, what stands before.
static std::string prefixOf(const std::string &name) {
  size_t dot = name.find_last_not_of("0123456789");
  if (dot == std::string::npos || dot == 0 || dot + 1 == name.size() ||
      name[dot] != '.')
    return name;
  return name.substr(0, dot);
}

bool CheckReport::isWorse(const Difference &a, const Difference &b) {
  if (a.isMiss() != b.isMiss())
    return a.isMiss();
  if (a.exact != b.exact)
    return !a.exact;
  // Against their own bounds, which differ between members.
  return a.share() > b.share();
}

void CheckReport::note(Row &row, const Difference &difference,
                       const std::string &where) {
  row.exact &= difference.exact;
  if (row.where.empty() || isWorse(difference, row.worst)) {
    row.worst = difference;
    row.where = where;
  }
}

void CheckReport::add(const Results &wanted, const Results &found,
                      Tolerance tolerance, const std::string &where) {
  auto rowOf = [&](const std::string &name, const Result &result) -> Row & {
    // A packed result on either side makes the group.
    auto other = wanted.find(name);
    std::string group = result.group;
    if (group == name && other != wanted.end())
      group = other->second.group;
    Row &row = rows[group == name ? prefixOf(name) : group];
    row.members.emplace(name, result.type);
    return row;
  };
  // The first of many is enough to go on.
  auto missing = [](Row &row, const std::string &what) {
    if (row.missing.empty())
      row.missing = what;
  };
  for (auto &[name, result] : found) {
    Row &row = rowOf(name, result);
    auto other = wanted.find(name);
    if (other == wanted.end()) {
      missing(row, name + " is missing in the naive program");
    } else if (other->second.type != result.type) {
      missing(row, name + " is " + result.type.str() + ", naive " +
                       other->second.type.str());
    } else {
      Difference difference = compareArrays(result.type, other->second.data,
                                            result.data, tolerance);
      note(row, difference,
           name + positionString(difference.position, result.type.shape) +
               where);
    }
  }
  for (auto &[name, result] : wanted)
    if (!found.count(name))
      missing(rowOf(name, result), name + " is missing in the program");
}

void CheckReport::merge(const CheckReport &other) {
  for (auto &[name, row] : other.rows) {
    Row &mine = rows[name];
    mine.members.insert(row.members.begin(), row.members.end());
    if (mine.missing.empty())
      mine.missing = row.missing;
    if (!row.where.empty())
      note(mine, row.worst, row.where);
    mine.exact &= row.exact;
  }
}

bool CheckReport::passed() const {
  for (auto &[name, row] : rows)
    if (!row.missing.empty() || row.worst.isMiss())
      return false;
  return true;
}

std::string CheckReport::str() const {
  Table table({"result", "type", "error", "bound", "norm", "bound", "where"},
              "llrrrrl");
  int64_t misses = 0;
  for (auto &[name, row] : rows) {
    std::string type = row.members.begin()->second.str();
    if (row.members.size() > 1)
      type = std::to_string(row.members.size()) + " x " + type;
    if (!row.missing.empty()) {
      table.add({name, type, "-", "-", "-", "-", "MISS: " + row.missing});
      ++misses;
      continue;
    }
    const Difference &worst = row.worst;
    bool miss = worst.isMiss();
    misses += miss;
    std::string bound =
        worst.bound > 0 ? formatNumber("%.3g", worst.bound) : "0";
    bool hasNorm = std::isfinite(worst.normBound);
    std::string normBound =
        hasNorm ? formatNumber("%.3g", worst.normBound) : "-";
    if (row.exact)
      table.add({name, type, "exact", bound, "-", normBound, ""});
    else
      table.add(
          {name, type,
           worst.error == 0 ? "sign of 0" : formatNumber("%.3g", worst.error),
           bound, hasNorm ? formatNumber("%.3g", worst.norm) : "-", normBound,
           (miss ? "MISS: " : "") + row.where});
  }
  std::string summary = "check: " + std::to_string(rows.size()) + " results, " +
                        (misses ? std::to_string(misses) + " missed"
                                : std::string("all within bounds"));
  return table.str() + summary + "\n";
}
