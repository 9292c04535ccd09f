//===- Remarks.cpp - what a pass did, and what it left --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::te;

remark::RemarkOpts Remarks::options(Operation *op) const {
  auto opts = remark::RemarkOpts::name(rewrite).category(pass);
  if (!op->getContext()->getRemarkEngine())
    return opts;
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    function = op->getParentOfType<FunctionOpInterface>();
  return function ? opts.function(function.getName()) : opts;
}
