# Optimizes the program on standard input, plants a bug, and compares the two.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/naive.mlir"
te-opt --te-optimize "$work/naive.mlir" -o "$work/optimized.mlir"
sed '/te.swiglu_quantize/s/pow2_scales//' "$work/optimized.mlir" >"$work/planted.mlir"
if cmp -s "$work/optimized.mlir" "$work/planted.mlir"; then
  exit 0
fi
for name in naive planted; do
  te-opt --te-lower "$work/$name.mlir" | te-translate --te-to-plan - -o "$work/$name.plan"
done
te-exec "$work/planted.plan" --check="$work/naive.plan" --threads=1
