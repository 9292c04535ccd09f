//===- Contracts.h - functions and their parameters -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For each function, its parameters after the context: slots, then attributes,
// under the names of the headers. Functions.cpp holds every line against the
// type of the C function at compile time; which slots are written is said here
// and nowhere else.
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_CONTRACTS_H
#define TE_RT_PLAN_CONTRACTS_H

#include <cstdint>

namespace te_rt::interp {

enum class ParameterKind : uint8_t { Tensor, List, Int, Float };
enum class Access : uint8_t { Read, Write, ReadWrite };

struct Parameter {
  const char *name;
  ParameterKind kind;
  Access access = Access::Read;
  bool optional = false;           // a Tensor that may be absent
  const char *inPlaceOf = nullptr; // the slot whose tensor this one may be

  constexpr bool isSlot() const {
    return kind == ParameterKind::Tensor || kind == ParameterKind::List;
  }
  constexpr bool isWritten() const { return access != Access::Read; }
  constexpr Parameter orInPlaceOf(const char *slot) const {
    Parameter result = *this;
    result.inPlaceOf = slot;
    return result;
  }
};

namespace contracts {

constexpr Parameter in(const char *name) {
  return {name, ParameterKind::Tensor};
}
constexpr Parameter optIn(const char *name) {
  return {name, ParameterKind::Tensor, Access::Read, true};
}
constexpr Parameter out(const char *name) {
  return {name, ParameterKind::Tensor, Access::Write};
}
constexpr Parameter optOut(const char *name) {
  return {name, ParameterKind::Tensor, Access::Write, true};
}
constexpr Parameter inOut(const char *name) {
  return {name, ParameterKind::Tensor, Access::ReadWrite};
}
constexpr Parameter ins(const char *name) {
  return {name, ParameterKind::List};
}
constexpr Parameter outs(const char *name) {
  return {name, ParameterKind::List, Access::Write};
}
constexpr Parameter inOuts(const char *name) {
  return {name, ParameterKind::List, Access::ReadWrite};
}
constexpr Parameter integer(const char *name) {
  return {name, ParameterKind::Int};
}
constexpr Parameter real(const char *name) {
  return {name, ParameterKind::Float};
}

inline constexpr Parameter quantize[] = {in("input"),
                                         optIn("scale"),
                                         optIn("amax"),
                                         optIn("noop"),
                                         optIn("offsets"),
                                         optIn("rng"),
                                         optOut("values"),
                                         optOut("scales"),
                                         optOut("values_t"),
                                         optOut("scales_t"),
                                         optOut("amax_out").orInPlaceOf("amax"),
                                         optOut("tensor_amax"),
                                         optOut("tensor_amax_t"),
                                         integer("member"),
                                         integer("pow2_scales"),
                                         integer("square_blocks"),
                                         integer("hadamard"),
                                         integer("rng_stream"),
                                         real("epsilon")};
inline constexpr Parameter multi_cast_transpose[] = {
    ins("inputs"),
    ins("scale"),
    ins("amax"),
    optIn("noop"),
    outs("values"),
    outs("scales"),
    outs("values_t"),
    outs("scales_t"),
    outs("amax_out").orInPlaceOf("amax"),
    outs("tensor_amax"),
    outs("tensor_amax_t"),
    integer("pow2_scales"),
    integer("square_blocks"),
    real("epsilon")};
inline constexpr Parameter dequantize[] = {in("values"), in("scales"),
                                           optIn("tensor_amax"),
                                           optIn("offsets"), out("output")};
inline constexpr Parameter requantize[] = {
    in("input"),        in("input_scales"),
    optIn("scale"),     optIn("amax"),
    optIn("offsets"),   optOut("values"),
    optOut("scales"),   optOut("values_t"),
    optOut("scales_t"), optOut("amax_out").orInPlaceOf("amax"),
    integer("via"),     integer("pow2_scales"),
    real("epsilon")};
inline constexpr Parameter update_scales[] = {
    ins("amax"),
    ins("history"),
    ins("scale"),
    outs("history_out").orInPlaceOf("history"),
    outs("scale_out").orInPlaceOf("scale"),
    real("fp8_max"),
    integer("margin"),
    integer("most_recent")};
inline constexpr Parameter advance_rng[] = {
    in("rng"), out("output").orInPlaceOf("rng"), integer("by")};

inline constexpr Parameter amax[] = {in("input"), optIn("offsets"), out("amax"),
                                     integer("member")};
inline constexpr Parameter scale_from_amax[] = {
    ins("amax"), outs("scale").orInPlaceOf("amax"), real("fp8_max"),
    integer("pow2_scales"), real("epsilon")};

inline constexpr Parameter convert_scales[] = {
    in("scales"), out("output"), integer("rows"), integer("cols")};
inline constexpr Parameter transpose[] = {in("input"), out("output")};
inline constexpr Parameter pack[] = {ins("inputs"), out("output")};
inline constexpr Parameter copy[] = {in("input"), out("output")};
inline constexpr Parameter fill[] = {out("output"), real("value")};

inline constexpr Parameter routing_map[] = {
    in("indices"),     out("row_map"),       out("counts"),
    optOut("offsets"), integer("alignment"), integer("capacity")};
inline constexpr Parameter compute_offsets[] = {in("counts"), out("offsets"),
                                                integer("alignment")};
inline constexpr Parameter to_host[] = {in("offsets"), out("output")};
inline constexpr Parameter permute[] = {
    in("input"),   optIn("scales"),      optIn("probs"),
    in("row_map"), optIn("counts"),      optIn("offsets"),
    out("output"), optOut("out_scales"), optOut("out_probs")};
inline constexpr Parameter permute_quantize[] = {
    in("input"),         optIn("probs"),
    in("row_map"),       optIn("scale"),
    optIn("amax"),       in("offsets"),
    optIn("counts"),     optOut("values"),
    optOut("scales"),    optOut("values_t"),
    optOut("scales_t"),  optOut("amax_out").orInPlaceOf("amax"),
    optOut("out_probs"), integer("pow2_scales"),
    real("epsilon")};
inline constexpr Parameter unpermute[] = {in("input"), optIn("probs"),
                                          in("row_map"), out("output"),
                                          optOut("out_probs")};
inline constexpr Parameter pad[] = {in("input"),   optIn("probs"),
                                    in("from"),    in("to"),
                                    out("output"), optOut("out_probs")};
inline constexpr Parameter unpad[] = {in("input"),   optIn("probs"),
                                      in("from"),    in("to"),
                                      out("output"), optOut("out_probs")};
inline constexpr Parameter dispatch_map[] = {
    in("indices"), out("handle"), out("recv_indices"), integer("ranks"),
    integer("num_experts")};
inline constexpr Parameter dispatch[] = {in("handle"), ins("inputs"),
                                         outs("outputs")};
inline constexpr Parameter combine[] = {in("handle"), ins("inputs"),
                                        outs("outputs")};
inline constexpr Parameter all_reduce[] = {
    ins("inputs"), outs("outputs").orInPlaceOf("inputs")};

inline constexpr Parameter gemm[] = {in("lhs"),
                                     optIn("lhs_scales"),
                                     optIn("lhs_amax"),
                                     in("rhs"),
                                     optIn("rhs_scales"),
                                     optIn("rhs_amax"),
                                     optIn("bias"),
                                     optIn("offsets"),
                                     inOut("result"),
                                     integer("ragged"),
                                     integer("member"),
                                     integer("transpose_lhs"),
                                     integer("transpose_rhs"),
                                     integer("accumulate")};
inline constexpr Parameter grouped_gemm[] = {in("lhs"),
                                             optIn("lhs_scales"),
                                             optIn("lhs_amax"),
                                             ins("rhs"),
                                             ins("rhs_scales"),
                                             ins("rhs_amax"),
                                             ins("bias"),
                                             optIn("offsets"),
                                             inOuts("results"),
                                             integer("ragged"),
                                             integer("transpose_lhs"),
                                             integer("transpose_rhs"),
                                             integer("accumulate")};

inline constexpr Parameter grouped_gemm_swiglu_quantize[] = {
    in("lhs"),
    in("lhs_scales"),
    ins("rhs"),
    ins("rhs_scales"),
    optIn("probs"),
    in("offsets"),
    optOut("result"),
    optOut("values"),
    optOut("scales"),
    optOut("values_t"),
    optOut("scales_t"),
    integer("pow2_scales"),
    real("epsilon")};

inline constexpr Parameter swiglu[] = {in("input"), optIn("probs"),
                                       optIn("offsets"), out("output")};
inline constexpr Parameter swiglu_backward[] = {
    in("grad"),       in("input"),       optIn("probs"),
    optIn("offsets"), out("grad_input"), optOut("grad_probs")};
inline constexpr Parameter swiglu_quantize[] = {
    in("input"),
    optIn("probs"),
    optIn("offsets"),
    optIn("scale"),
    optIn("amax"),
    optOut("values"),
    optOut("scales"),
    optOut("values_t"),
    optOut("scales_t"),
    optOut("amax_out").orInPlaceOf("amax"),
    integer("pow2_scales"),
    real("epsilon")};
inline constexpr Parameter swiglu_backward_quantize[] = {
    in("grad"),
    in("input"),
    optIn("probs"),
    optIn("offsets"),
    optIn("scale"),
    optIn("amax"),
    optOut("values"),
    optOut("scales"),
    optOut("values_t"),
    optOut("scales_t"),
    optOut("amax_out").orInPlaceOf("amax"),
    optOut("grad_probs"),
    integer("pow2_scales"),
    real("epsilon")};

} // namespace contracts
} // namespace te_rt::interp

#endif // TE_RT_PLAN_CONTRACTS_H
