//===- Table.cpp - aligned columns of text --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Table.h"

#include <algorithm>
#include <cstdio>

using namespace te::exec;

std::string Table::str() const {
  std::vector<size_t> widths(rows.front().size());
  for (auto &row : rows)
    for (size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], row[c].size());
  std::string text;
  for (auto &row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      std::string blanks(widths[c] - row[c].size(), ' ');
      line += c ? "  " : "";
      line += alignment[c] == 'r' ? blanks + row[c] : row[c] + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string te::exec::formatNumber(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string te::exec::formatBytes(double bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit < 6; ++unit)
    bytes /= 1024;
  return formatNumber(unit == 0 ? "%.0f " : "%.1f ", bytes) + units[unit];
}

std::string te::exec::formatSeconds(double seconds) {
  if (seconds < 1e-3)
    return formatNumber("%.1f us", seconds * 1e6);
  if (seconds < 1)
    return formatNumber("%.1f ms", seconds * 1e3);
  return formatNumber("%.2f s", seconds);
}
