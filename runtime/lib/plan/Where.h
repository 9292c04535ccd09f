//===- Where.h - the place in a plan that an error speaks of ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_WHERE_H
#define TE_RT_PLAN_WHERE_H

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace te_rt::interp {

/// The concatenation of `parts`, as << prints them.
template <typename... Parts> std::string say(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// A plan that does not verify; what() is the whole message.
struct InvalidPlan : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The path to what is being verified: program, call, slot and so on.
class Where {
public:
  /// Names a part of what encloses it until the end of the C++ scope.
  class Scope {
  public:
    Scope(Where &where, const char *kind, int64_t index,
          const char *name = nullptr, const char *location = nullptr)
        : where(where) {
      where.parts.push_back({kind, index, name, location});
    }
    ~Scope() { where.parts.pop_back(); }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    Where &where;
  };

  /// Throws InvalidPlan: the path, then `problem`.
  template <typename... Problem>
  [[noreturn]] void refuse(const Problem &...problem) const {
    std::ostringstream stream;
    stream << "plan";
    const char *separator = ": ";
    for (const Part &part : parts) {
      stream << separator << part.kind << " " << part.index;
      if (part.name)
        stream << " '" << part.name << "'";
      if (part.location)
        stream << " at " << part.location;
      separator = ", ";
    }
    stream << ": ";
    (stream << ... << problem);
    throw InvalidPlan(stream.str());
  }

private:
  struct Part {
    const char *kind;
    int64_t index;
    const char *name;
    const char *location;
  };
  std::vector<Part> parts;
};

} // namespace te_rt::interp

#endif // TE_RT_PLAN_WHERE_H
