//===- Functions.cpp - one adaptor for all functions of functions.def -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Functions.h"

#include "te_runtime/activation.h"
#include "te_runtime/gemm.h"
#include "te_runtime/layout.h"
#include "te_runtime/plan.h"
#include "te_runtime/quantize.h"
#include "te_runtime/routing.h"

#include <cstddef>
#include <iterator>
#include <utility>

using namespace te_rt::interp;

namespace {

/// How a parameter of type T reads its operand, and which kind that is.
template <typename T> struct Fetch;
template <> struct Fetch<const te_rt_tensor *> {
  static constexpr ParameterKind kind = ParameterKind::Tensor;
  static const te_rt_tensor *get(const Operand &operand) {
    return operand.tensors.count ? operand.tensors.items : nullptr;
  }
};
template <> struct Fetch<te_rt_tensor_list> {
  static constexpr ParameterKind kind = ParameterKind::List;
  static te_rt_tensor_list get(const Operand &operand) {
    return operand.tensors;
  }
};
template <> struct Fetch<int64_t> {
  static constexpr ParameterKind kind = ParameterKind::Int;
  static int64_t get(const Operand &operand) { return operand.integer; }
};
template <> struct Fetch<double> {
  static constexpr ParameterKind kind = ParameterKind::Float;
  static double get(const Operand &operand) { return operand.real; }
};

template <auto function> struct Adaptor;
template <typename... Parameters,
          te_rt_status (*function)(te_rt_context *, Parameters...)>
struct Adaptor<function> {
  static te_rt_status invoke(te_rt_context *context, const Operand *operands) {
    return invoke(context, operands, std::index_sequence_for<Parameters...>());
  }

  /// Whether `contract` lists the parameters of the C function, kind by kind.
  static constexpr bool matches(const Parameter *contract, size_t size) {
    constexpr ParameterKind kinds[] = {Fetch<Parameters>::kind...};
    if (size != sizeof...(Parameters))
      return false;
    for (size_t i = 0; i < size; ++i)
      if (contract[i].kind != kinds[i])
        return false;
    return true;
  }

private:
  template <size_t... i>
  static te_rt_status invoke(te_rt_context *context, const Operand *operands,
                             std::index_sequence<i...>) {
    return function(context, Fetch<Parameters>::get(operands[i])...);
  }
};

constexpr uint32_t countSlots(const Parameter *contract, size_t size) {
  uint32_t count = 0;
  for (size_t i = 0; i < size; ++i)
    count += contract[i].isSlot();
  return count;
}

constexpr bool slotsComeFirst(const Parameter *contract, size_t size) {
  for (size_t i = 1; i < size; ++i)
    if (contract[i].isSlot() && !contract[i - 1].isSlot())
      return false;
  return true;
}

/// Whether each inPlaceOf names a slot of the same kind that is read only.
constexpr bool inPlaceSlotsExist(const Parameter *contract, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (!contract[i].inPlaceOf)
      continue;
    bool found = false;
    for (size_t j = 0; j < size; ++j)
      found |= contract[j].kind == contract[i].kind &&
               contract[j].access == Access::Read &&
               std::string_view(contract[j].name) == contract[i].inPlaceOf;
    if (!found)
      return false;
  }
  return true;
}

#define TE_RT_FUNCTION(name)                                                   \
  static_assert(Adaptor<&te_rt_##name>::matches(contracts::name,               \
                                                std::size(contracts::name)),   \
                "contract of " #name " differs from its declaration");         \
  static_assert(                                                               \
      slotsComeFirst(contracts::name, std::size(contracts::name)) &&           \
          inPlaceSlotsExist(contracts::name, std::size(contracts::name)),      \
      "contract of " #name " is malformed");
#include "common/functions.def"

constexpr Function functions[] = {
#define TE_RT_FUNCTION(name)                                                   \
  {#name, contracts::name,                                                     \
   countSlots(contracts::name, std::size(contracts::name)),                    \
   uint32_t(std::size(contracts::name)) -                                      \
       countSlots(contracts::name, std::size(contracts::name)),                \
   &Adaptor<&te_rt_##name>::invoke},
#include "common/functions.def"
};

} // namespace

const Function *te_rt::interp::findFunction(std::string_view name) {
  for (const Function &function : functions)
    if (name == function.name)
      return &function;
  return nullptr;
}

const char *te_rt_function_name(int32_t index) {
  if (index < 0 || size_t(index) >= std::size(functions))
    return nullptr;
  return functions[index].name;
}
