//===- Files.cpp - reading whole files, writing them atomically -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Files.h"
#include "Error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace te::exec;

std::string te::exec::readWholeFile(const std::string &path) {
  bool standardInput = path == "-";
  int descriptor =
      standardInput ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    fail(path, ": cannot be opened: ", std::strerror(errno));
  std::string bytes;
  std::vector<char> chunk(1 << 20);
  ssize_t got;
  do {
    got = read(descriptor, chunk.data(), chunk.size());
    if (got > 0)
      bytes.append(chunk.data(), static_cast<size_t>(got));
  } while (got > 0 || (got < 0 && errno == EINTR));
  int error = errno;
  if (!standardInput)
    close(descriptor);
  if (got < 0)
    fail(path, ": cannot be read: ", std::strerror(error));
  return bytes;
}

InputFile::InputFile(const std::string &path) : path(path) {
  descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    fail(path, ": cannot be opened: ", std::strerror(errno));
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    fail(path, ": is not a regular file");
  }
  length = status.st_size;
}

InputFile::~InputFile() { close(descriptor); }

void InputFile::read(int64_t offset, void *data, int64_t bytes) const {
  char *to = static_cast<char *>(data);
  for (int64_t done = 0; done < bytes;) {
    ssize_t got = pread(descriptor, to + done,
                        static_cast<size_t>(bytes - done), offset + done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      fail(path, ": cannot be read: ", std::strerror(errno));
    if (got == 0)
      fail(path, ": truncated: found ", offset + done, " bytes, wanted ",
           offset + bytes);
    done += got;
  }
}

/// A device or a pipe is written to, never replaced.
static bool isReplaceable(const std::string &path) {
  struct stat status;
  return stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
}

OutputFile::OutputFile(const std::string &path) : path(path) {
  if (isReplaceable(path))
    temporary = path + ".tmp" + std::to_string(getpid());
  file = std::fopen((temporary.empty() ? path : temporary).c_str(), "wb");
  if (!file)
    fail(path, ": cannot be written: ", std::strerror(errno));
}

OutputFile::~OutputFile() {
  if (!file)
    return;
  std::fclose(file);
  if (!temporary.empty())
    std::remove(temporary.c_str());
}

void OutputFile::refuse() {
  fail(path, ": cannot be written: ", std::strerror(errno));
}

void OutputFile::write(const void *data, int64_t bytes) {
  if (bytes > 0 && std::fwrite(data, 1, static_cast<size_t>(bytes), file) !=
                       static_cast<size_t>(bytes))
    refuse();
}

void OutputFile::commit() {
  if (std::fflush(file) != 0)
    refuse();
  int closed = std::fclose(file);
  file = nullptr;
  if (temporary.empty()) {
    if (closed != 0)
      refuse();
    return;
  }
  if (closed != 0 || std::rename(temporary.c_str(), path.c_str()) != 0) {
    int error = errno;
    std::remove(temporary.c_str());
    errno = error;
    refuse();
  }
}

void te::exec::prepareDirectory(const std::string &directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    fail(directory, ": directory cannot be made: ", error.message());
  if (!std::filesystem::is_directory(directory, error))
    fail(directory, ": is not a directory");
  // Permission bits do not tell (root, read-only mounts): try it.
  std::string probe = directory + "/.te-exec-probe" + std::to_string(getpid());
  std::FILE *file = std::fopen(probe.c_str(), "wb");
  if (!file)
    fail(directory, ": directory cannot be written: ", std::strerror(errno));
  std::fclose(file);
  std::remove(probe.c_str());
}
