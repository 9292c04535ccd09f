//===- progress.h - how far a long call has come ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_PROGRESS_H
#define TE_RUNTIME_REF_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <unistd.h>

namespace te_rt {
namespace ref {

/// A line on stderr, rewritten at each step once the call has taken two
/// seconds; nothing where stderr is not a terminal.
class Progress {
public:
  Progress(const char *what, int64_t total)
      : what(what), total(total), shown(isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (printed)
      std::fprintf(stderr, "\r\033[K");
  }
  void step() {
    ++done;
    if (!shown ||
        std::chrono::steady_clock::now() - begin < std::chrono::seconds(2))
      return;
    printed = true;
    std::fprintf(stderr, "\r%s: %lld of %lld groups\033[K", what,
                 static_cast<long long>(done), static_cast<long long>(total));
  }

private:
  const char *what;
  int64_t total, done = 0;
  bool shown, printed = false;
  std::chrono::steady_clock::time_point begin =
      std::chrono::steady_clock::now();
};

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_PROGRESS_H
