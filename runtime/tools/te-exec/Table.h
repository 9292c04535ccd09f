//===- Table.h - aligned columns of text ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_TABLE_H
#define TE_EXEC_TABLE_H

#include <string>
#include <vector>

namespace te::exec {

/// Rows of cells, each column as wide as its widest cell.
class Table {
public:
  /// One letter of `alignment` for each column: l or r.
  Table(std::vector<std::string> header, std::string alignment)
      : rows{std::move(header)}, alignment(std::move(alignment)) {}
  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  std::string str() const;

private:
  std::vector<std::vector<std::string>> rows;
  std::string alignment;
};

/// printf of one number.
std::string formatNumber(const char *format, double value);
/// As in `1.5 GiB`.
std::string formatBytes(double bytes);
/// As in `12.3 us`, `1.25 s`.
std::string formatSeconds(double seconds);

} // namespace te::exec

#endif // TE_EXEC_TABLE_H
