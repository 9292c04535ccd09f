//===- TEOps.td - all ops of the te dialect ----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_TEOPS
#define TE_DIALECT_TE_IR_TEOPS

include "te/Dialect/TE/IR/QuantizeOps.td"
include "te/Dialect/TE/IR/ScalingOps.td"
include "te/Dialect/TE/IR/LayoutOps.td"
include "te/Dialect/TE/IR/RoutingOps.td"
include "te/Dialect/TE/IR/GemmOps.td"
include "te/Dialect/TE/IR/ActivationOps.td"

#endif // TE_DIALECT_TE_IR_TEOPS
