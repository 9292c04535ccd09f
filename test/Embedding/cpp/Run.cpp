//===- Run.cpp - a plan from memory, executed -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "te_runtime/plan.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {
struct Free {
  void operator()(void *data) const { std::free(data); }
};
using Memory = std::unique_ptr<void, Free>;
using Plan = std::unique_ptr<te_rt_plan, decltype(&te_rt_plan_destroy)>;
using Context =
    std::unique_ptr<te_rt_context, decltype(&te_rt_context_destroy)>;
using Session =
    std::unique_ptr<te_rt_session, decltype(&te_rt_session_destroy)>;

/// Experts that differ for each token, and small numbers.
void fill(const te_rt_argument_info &info, void *data) {
  int64_t size = 1;
  for (int32_t i = 0; i < info.tensor.rank; ++i)
    size *= info.tensor.shape[i];
  // Weights are packed in one plan and not in the other: the same in each.
  int64_t member = info.num_members ? size / info.num_members : size;
  for (int64_t i = 0; i < size; ++i) {
    float value = float((i % member * 37 + info.name[0]) % 101) / 64 - 0.75f;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (info.tensor.dtype == TE_RT_I32)
      static_cast<int32_t *>(data)[i] = int32_t((i / 2 + i % 2) % 4);
    else if (info.tensor.dtype == TE_RT_F32)
      static_cast<float *>(data)[i] = 0.5f;
    else
      static_cast<uint16_t *>(data)[i] = uint16_t(bits >> 16);
  }
}

std::vector<char> fail(const char *message) {
  std::fprintf(stderr, "%s\n", message);
  return {};
}
} // namespace

std::vector<char> run(const std::string &bytes, const char *name) {
  char message[1024] = "";
  te_rt_plan *loaded = nullptr;
  te_rt_context *made = nullptr;
  te_rt_session *opened = nullptr;
  if (te_rt_plan_load(bytes.data(), int64_t(bytes.size()), &loaded, message,
                      sizeof message))
    return fail(message);
  Plan plan(loaded, te_rt_plan_destroy);
  if (te_rt_context_create(TE_RT_REF, 1, nullptr, 0, &made, message,
                           sizeof message))
    return fail(message);
  Context context(made, te_rt_context_destroy);
  if (te_rt_session_create(context.get(), plan.get(), 0, &opened))
    return fail(te_rt_last_error(context.get()));
  Session session(opened, te_rt_session_destroy);

  te_rt_program_info program;
  te_rt_plan_program(plan.get(), 0, &program);
  std::vector<Memory> memory;
  for (int32_t i = 0; i < program.num_arguments; ++i) {
    te_rt_argument_info info;
    te_rt_plan_argument(plan.get(), 0, i, &info);
    size_t size = (size_t(info.bytes) + 63) / 64 * 64;
    memory.emplace_back(std::aligned_alloc(64, size));
    std::memset(memory.back().get(), 0, size);
    if (info.direction == TE_RT_IN)
      fill(info, memory.back().get());
    if (te_rt_session_bind(session.get(), i, memory.back().get(), info.bytes))
      return fail(te_rt_last_error(context.get()));
  }
  if (te_rt_session_run(session.get()))
    return fail(te_rt_last_error(context.get()));
  int32_t result = te_rt_plan_find_argument(plan.get(), 0, name, TE_RT_OUT);
  if (result < 0)
    return fail("the plan has no such result");
  te_rt_argument_info info;
  te_rt_plan_argument(plan.get(), 0, result, &info);
  const char *data = static_cast<const char *>(memory[result].get());
  return std::vector<char>(data, data + info.bytes);
}
