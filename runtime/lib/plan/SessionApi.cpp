//===- SessionApi.cpp - sessions as the C ABI offers them -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Session.h"
#include "plan/Where.h"

#include <new>

using namespace te_rt::interp;

struct te_rt_session : Session {
  using Session::Session;
};

/// Runs `action` as the function `name` of the C ABI.
template <typename Action>
static te_rt_status guarded(te_rt_context *context, const char *name,
                            Action action) {
  context->function = name;
  try {
    return action();
  } catch (const OutOfMemory &error) {
    return context->fail(TE_RT_OUT_OF_MEMORY, error.what());
  } catch (const std::bad_alloc &) {
    return context->fail(TE_RT_OUT_OF_MEMORY,
                         "not enough memory for the session's tables");
  } catch (const std::exception &error) {
    return context->fail(TE_RT_INTERNAL, error.what());
  }
}

te_rt_status te_rt_session_create(te_rt_context *context,
                                  const te_rt_plan *plan, int32_t program,
                                  te_rt_session **session) {
  if (session)
    *session = nullptr;
  if (!context)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(context, "session_create", [&] {
    if (!plan || !session)
      return context->fail(TE_RT_INVALID_ARGUMENT, plan ? "session" : "plan",
                           ": found NULL, wanted a pointer");
    if (program < 0 || size_t(program) >= plan->programs.size())
      return context->fail(TE_RT_INVALID_ARGUMENT, "program: found ", program,
                           ", wanted 0 to ",
                           int64_t(plan->programs.size()) - 1);
    *session = new te_rt_session(context, *plan, plan->programs[program]);
    return TE_RT_OK;
  });
}

void te_rt_session_destroy(te_rt_session *session) { delete session; }

te_rt_status te_rt_session_bind(te_rt_session *session, int32_t argument,
                                void *data, int64_t bytes) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_bind",
                 [&] { return session->bind(argument, data, bytes); });
}

/// Binds a managed tensor, which the session then owns. `wrong` tells what is
/// not right of the tensor as a whole, or is empty.
template <typename Managed>
static te_rt_status bindManaged(te_rt_session *session, int32_t argument,
                                Managed *managed, uint64_t flags,
                                const std::string &wrong) {
  if (!wrong.empty())
    return session->context->fail(TE_RT_INVALID_ARGUMENT, "tensor: found ",
                                  wrong);
  return session->bindShared(argument, managed->tensor, flags, [managed] {
    if (managed->deleter)
      managed->deleter(managed);
  });
}

te_rt_status te_rt_session_bind_dlpack(te_rt_session *session, int32_t argument,
                                       DLManagedTensor *tensor) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_bind_dlpack", [&] {
    return bindManaged(session, argument, tensor, 0,
                       tensor ? "" : "NULL, wanted a DLManagedTensor");
  });
}

te_rt_status
te_rt_session_bind_dlpack_versioned(te_rt_session *session, int32_t argument,
                                    DLManagedTensorVersioned *tensor) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_bind_dlpack_versioned", [&] {
    std::string wrong;
    if (!tensor)
      wrong = "NULL, wanted a DLManagedTensorVersioned";
    else if (tensor->version.major != 1)
      wrong = say("version ", tensor->version.major, ".", tensor->version.minor,
                  " of DLPack, wanted 1");
    return bindManaged(session, argument, tensor,
                       wrong.empty() ? tensor->flags : 0, wrong);
  });
}

te_rt_status te_rt_session_prepare(te_rt_session *session) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_prepare",
                 [&] { return session->prepare(); });
}

te_rt_status te_rt_session_workspace(te_rt_session *session, int32_t workspace,
                                     void **data) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_workspace",
                 [&] { return session->findWorkspace(workspace, data); });
}

void te_rt_session_observe(te_rt_session *session, te_rt_observer observer,
                           void *user) {
  if (!session)
    return;
  session->observer = observer;
  session->observerUser = user;
}

void te_rt_session_poison(te_rt_session *session, int32_t byte) {
  if (session)
    session->poison = byte < 0 ? -1 : (byte & 0xff);
}

te_rt_status te_rt_session_run(te_rt_session *session) {
  if (!session)
    return TE_RT_INVALID_ARGUMENT;
  return guarded(session->context, "session_run",
                 [&] { return session->run(); });
}

void te_rt_session_use_graph(te_rt_session *session, int32_t enable) {
  if (session)
    session->useGraph(enable != 0, enable == 2);
}
