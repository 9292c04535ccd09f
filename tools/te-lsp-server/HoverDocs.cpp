//===- HoverDocs.cpp - documentation of ops under the cursor --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream's server shows an op's name and generic form and has no hook for
// more; its replies pass through here on their way to the client.
//
//===----------------------------------------------------------------------===//

#include "HoverDocs.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using llvm::StringRef;

/// What mlir-tblgen writes of all ops: a heading "### `te.op` (class)" for each.
static const StringRef documentation =
#include "OpDocs.inc"
    ;

/// The documentation of the op `name`; empty where it is none of ours.
static StringRef getDocumentation(StringRef name) {
  size_t heading = documentation.find(("\n### `" + name + "` ").str());
  if (heading == StringRef::npos)
    return {};
  StringRef section = documentation.drop_front(heading + 1);
  return section.take_front(section.find("\n### `")).split('\n').second.trim();
}

/// Adds documentation to `message` if it answers a hover over an op of ours.
static void addDocumentation(std::string &message) {
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(message);
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return;
  }
  llvm::json::Object *object = parsed->getAsObject();
  object = object ? object->getObject("result") : nullptr;
  object = object ? object->getObject("contents") : nullptr;
  std::optional<StringRef> shown =
      object ? object->getString("value") : std::nullopt;
  // The name of the op comes first, quoted.
  if (!shown || !shown->starts_with("\""))
    return;
  StringRef text = getDocumentation(shown->drop_front().split('"').first);
  if (text.empty())
    return;
  (*object)["value"] = (shown->rtrim() + "\n\n" + text + "\n").str();
  message = llvm::formatv("{0}", *parsed).str();
}

/// Copies `from` to standard output, with documentation; what is no message,
/// such as the help, as it is.
static void forward(std::FILE *from) {
  char *line = nullptr;
  size_t capacity = 0;
  for (ssize_t size; (size = getline(&line, &capacity, from)) > 0;
       llvm::outs().flush()) {
    StringRef header(line, size);
    size_t length;
    if (!header.consume_front("Content-Length: ") ||
        header.rtrim().getAsInteger(10, length)) {
      llvm::outs() << StringRef(line, size);
      continue;
    }
    // An empty line ends the header.
    std::string message(length, '\0');
    if (getline(&line, &capacity, from) < 0 ||
        std::fread(message.data(), 1, length, from) != length)
      break;
    addDocumentation(message);
    llvm::outs() << "Content-Length: " << message.size() << "\r\n\r\n"
                 << message;
  }
  std::free(line);
}

int te::runWithHoverDocs(llvm::function_ref<int()> server) {
  int ends[2];
  if (pipe(ends) != 0) {
    std::perror("te-lsp-server: no pipe to the server");
    return 1;
  }
  pid_t child = fork();
  if (child < 0) {
    std::perror("te-lsp-server: no process for the server");
    return 1;
  }
  if (child == 0) {
    close(ends[0]);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    std::exit(server());
  }
  close(ends[1]);
  std::FILE *output = fdopen(ends[0], "r");
  forward(output);
  std::fclose(output);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
