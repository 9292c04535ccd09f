//===- Load.cpp - from bytes to a verified plan ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Verify.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

using namespace te_rt::interp;

/// Text for a message from bytes of the file, unprintable ones as '?'.
static std::string printable(const uint8_t *bytes, size_t size) {
  std::string text(reinterpret_cast<const char *>(bytes), size);
  for (char &c : text)
    if (c < 0x20 || c > 0x7e)
      c = '?';
  return text;
}

static const plan::Plan &verifyStructure(const uint8_t *bytes, size_t size) {
  if (size < 2 * sizeof(flatbuffers::uoffset_t) ||
      size >= FLATBUFFERS_MAX_BUFFER_SIZE)
    throw InvalidPlan(say("plan: has ", size, " bytes, wanted 8 to ",
                          FLATBUFFERS_MAX_BUFFER_SIZE - 1));
  const uint8_t *identifier = bytes + sizeof(flatbuffers::uoffset_t);
  size_t length = std::strlen(plan::PlanIdentifier());
  if (std::memcmp(identifier, plan::PlanIdentifier(), length))
    throw InvalidPlan(say("plan: file identifier is '",
                          printable(identifier, length), "', wanted '",
                          plan::PlanIdentifier(), "'"));
  flatbuffers::Verifier::Options options;
  options.max_depth = 64; // limits::depth loops need 2 each, and 8 more
  options.max_tables = 1 << 22;
  flatbuffers::Verifier verifier(bytes, size, options);
  if (!plan::VerifyPlanBuffer(verifier))
    throw InvalidPlan(say("plan: ", size,
                          " bytes are not a well-formed "
                          "FlatBuffer of a plan; truncated or damaged"));
  return *plan::GetPlan(bytes);
}

static std::unique_ptr<te_rt_plan> load(const void *bytes, uint64_t size) {
  auto result = std::make_unique<te_rt_plan>();
  result->bytes = allocateMemory(size);
  if (!result->bytes)
    throw std::bad_alloc();
  if (size)
    std::memcpy(result->bytes.get(), bytes, size);
  const plan::Plan &root = verifyStructure(result->bytes.get(), size);
  if (root.version() < 1 || root.version() > TE_RT_PLAN_VERSION)
    throw InvalidPlan(say("plan: version is ", root.version(),
                          ", wanted 1 to ", int(TE_RT_PLAN_VERSION),
                          root.version() > TE_RT_PLAN_VERSION
                              ? "; a newer compiler wrote it"
                              : ""));
  result->version = int32_t(root.version());
  Verification verification{root, *result, {}, {}};
  verifyPlan(verification);
  return result;
}

/// A file that cannot be read; what() is the whole message.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Makes *plan of what `action` returns, or gives the reason why not.
template <typename Action>
static te_rt_status guarded(const char *name, te_rt_plan **plan, char *message,
                            int64_t capacity, Action action) {
  auto fail = [&](te_rt_status status, const std::string &text) {
    if (message && capacity > 0)
      std::snprintf(message, size_t(capacity), "%s", text.c_str());
    return status;
  };
  if (!plan)
    return fail(TE_RT_INVALID_ARGUMENT,
                say(name, ": plan: found NULL, wanted where to put the plan"));
  *plan = nullptr;
  try {
    *plan = action().release();
    return TE_RT_OK;
  } catch (const InvalidPlan &error) {
    return fail(TE_RT_INVALID_PLAN, error.what());
  } catch (const FileError &error) {
    return fail(TE_RT_IO_ERROR, say(name, ": ", error.what()));
  } catch (const std::invalid_argument &error) {
    return fail(TE_RT_INVALID_ARGUMENT, say(name, ": ", error.what()));
  } catch (const std::bad_alloc &) {
    return fail(TE_RT_OUT_OF_MEMORY,
                say(name, ": not enough memory to load the plan"));
  } catch (const std::exception &error) {
    return fail(TE_RT_INTERNAL, error.what());
  }
}

te_rt_status te_rt_plan_load(const void *bytes, int64_t size, te_rt_plan **plan,
                             char *message, int64_t capacity) {
  return guarded("plan_load", plan, message, capacity, [&] {
    if (size < 0 || (!bytes && size > 0))
      throw std::invalid_argument(
          say("bytes: found ", bytes ? "" : "NULL and ", "size ", size,
              ", wanted readable memory of size 0 or more"));
    return load(bytes, uint64_t(size));
  });
}

static std::string readFile(const char *path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path, "rb"),
                                                        std::fclose);
  auto fail = [&] { throw FileError(say(path, ": ", std::strerror(errno))); };
  if (!file)
    fail();
  std::string bytes;
  char buffer[1 << 16];
  while (size_t count = std::fread(buffer, 1, sizeof buffer, file.get()))
    bytes.append(buffer, count);
  if (std::ferror(file.get()))
    fail();
  return bytes;
}

te_rt_status te_rt_plan_load_file(const char *path, te_rt_plan **plan,
                                  char *message, int64_t capacity) {
  return guarded("plan_load_file", plan, message, capacity, [&] {
    if (!path)
      throw std::invalid_argument(
          "path: found NULL, wanted the name of a file");
    std::string bytes = readFile(path);
    return load(bytes.data(), bytes.size());
  });
}

void te_rt_plan_destroy(te_rt_plan *plan) { delete plan; }

int32_t te_rt_plan_version(const te_rt_plan *plan) {
  return plan ? plan->version : 0;
}

const char *te_rt_plan_target(const te_rt_plan *plan) {
  return plan ? plan->target : "";
}

int32_t te_rt_plan_num_programs(const te_rt_plan *plan) {
  return plan ? int32_t(plan->programs.size()) : 0;
}

/// The program of that index, or nullptr.
static const Program *programAt(const te_rt_plan *plan, int32_t program) {
  if (!plan || program < 0 || size_t(program) >= plan->programs.size())
    return nullptr;
  return &plan->programs[program];
}

te_rt_status te_rt_plan_program(const te_rt_plan *plan, int32_t program,
                                te_rt_program_info *info) {
  const Program *found = programAt(plan, program);
  if (!found || !info)
    return TE_RT_INVALID_ARGUMENT;
  *info = {};
  info->name = found->name;
  info->num_arguments = int32_t(found->arguments.size());
  info->ranks = int32_t(found->ranks);
  info->arena_bytes = int64_t(found->arenaBytes);
  for (const Workspace &workspace : plan->workspaces)
    info->workspace_bytes += int64_t(workspace.bytes);
  for (const Constant &constant : plan->constants)
    info->constant_bytes += int64_t(constant.bytes);
  info->num_steps = int64_t(found->numSteps);
  for (const Tensor &tensor : found->tensors)
    info->dtypes |= 1u << tensor.descriptor.dtype;
  return TE_RT_OK;
}

int32_t te_rt_plan_num_workspaces(const te_rt_plan *plan) {
  return plan ? int32_t(plan->workspaces.size()) : 0;
}

te_rt_status te_rt_plan_workspace(const te_rt_plan *plan, int32_t workspace,
                                  te_rt_workspace_info *info) {
  if (!info || workspace < 0 || workspace >= te_rt_plan_num_workspaces(plan))
    return TE_RT_INVALID_ARGUMENT;
  const Workspace &found = plan->workspaces[workspace];
  *info = {found.name, int64_t(found.bytes), int32_t(found.members.size()),
           found.members.data()};
  return TE_RT_OK;
}

te_rt_status te_rt_plan_argument(const te_rt_plan *plan, int32_t program,
                                 int32_t argument, te_rt_argument_info *info) {
  const Program *found = programAt(plan, program);
  if (!found || !info || argument < 0 ||
      size_t(argument) >= found->arguments.size())
    return TE_RT_INVALID_ARGUMENT;
  *info = found->arguments[argument].info;
  return TE_RT_OK;
}

int32_t te_rt_plan_find_argument(const te_rt_plan *plan, int32_t program,
                                 const char *name, te_rt_direction direction) {
  const Program *found = programAt(plan, program);
  if (!found || !name)
    return -1;
  for (size_t i = 0; i < found->arguments.size(); ++i) {
    const te_rt_argument_info &info = found->arguments[i].info;
    if (!std::strcmp(info.name, name) &&
        (info.direction == direction || info.direction == TE_RT_INOUT ||
         direction == TE_RT_INOUT))
      return int32_t(i);
  }
  return -1;
}
