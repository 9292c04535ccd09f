"""dense_gemm.py: te.gemm of each legal pair of operands; refusals of the others.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import Comparison
from products import SQUARE, VECTOR, Operand, finished, integers
from te_program import BF16, E4M3, E5M2, TENSOR, Program, Type, gemm

SHAPES = [
    (128, 128, 128), (256, 128, 256), (320, 128, 336), (320, 64, 336), (320, 256, 336),
    (16, 128, 128), (5, 300, 7), (1, 16, 1), (130, 1000, 33),
]  # fmt: skip
PAIRS = {
    "1Dx2D": (VECTOR, SQUARE), "1Dx1D": (VECTOR, VECTOR), "2Dx1D": (SQUARE, VECTOR),
    "tensor": (TENSOR, TENSOR),
}  # fmt: skip
# Of 1Dx2D's three magnitudes the extreme ones are as far as F32 sums stay exact.
MAGNITUDES = (2.0**-93, 1.0, 2.0**10)


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(23)
        self.program, self.wanted = Program(), {}

    def add(
        self, name, lhs, rhs, result, with_bias=False, accumulate=False, attributes=()
    ):
        """`lhs` and `rhs` as Operands of M x K and N x K."""
        program, rng = self.program, self.rng
        lhs_value, lhs_scales = lhs.inputs(program, f"{name}.lhs")
        rhs_value, rhs_scales = rhs.inputs(program, f"{name}.rhs")
        left = lhs.real.T if "transpose_lhs" in attributes else lhs.real
        right = rhs.real if "transpose_rhs" in attributes else rhs.real.T
        product = left.astype(np.float64) @ right
        type = Type(product.shape, result)
        bias = held = None
        extra = {"bias": [], "outs": []}
        if with_bias:
            bias = integers(rng, product.shape[1], result)
            extra["bias"].append(program.input(f"{name}.bias", bias))
        if accumulate:  # values that do not round to even with the product's bits
            held = (rng.standard_normal(product.shape) * 30).astype(result)
            extra["outs"].append(program.input(f"{name}.held", held))
            attributes = (*attributes, "accumulate")
        (value,) = gemm(
            program, lhs_value, [rhs_value], [type], lhs_scales,
            [rhs_scales] if rhs_scales else [], attributes=attributes, **extra,
        )  # fmt: skip
        program.outputs(**{name: value})
        self.wanted[name] = finished(product, result, bias, held)

    def pairs(self):
        rng = self.rng
        number = 0
        for pair, (left, right) in PAIRS.items():
            for m, k, n in SHAPES:
                for magnitude in MAGNITUDES:
                    number += 1
                    types = ((E4M3, E4M3), (E4M3, E5M2), (E5M2, E4M3))[number % 3]
                    lhs = Operand(rng, (m, k), types[0], left, magnitude=magnitude)
                    rhs = Operand(rng, (n, k), types[1], right)
                    self.add(
                        f"{pair}-{m}x{k}x{n}-{magnitude:g}", lhs, rhs,
                        (np.float32, BF16)[number % 2], number % 4 < 2, number % 8 < 4,
                    )  # fmt: skip

    def high_precision(self):
        for dtype in (BF16, np.float32):
            for result in (BF16, np.float32):
                for transposed in ((), ("transpose_lhs",), ("transpose_rhs",),
                                   ("transpose_lhs", "transpose_rhs")):  # fmt: skip
                    lhs = (70, 33) if "transpose_lhs" in transposed else (33, 70)
                    rhs = (70, 41) if "transpose_rhs" in transposed else (41, 70)
                    self.add(
                        f"{np.dtype(dtype)}-{np.dtype(result)}-{'-'.join(transposed)}",
                        Operand(self.rng, lhs, dtype), Operand(self.rng, rhs, dtype),
                        result, bool(transposed), not transposed, transposed,
                    )  # fmt: skip


def refusals(folder, compare):
    rng = np.random.default_rng(29)
    illegal = {
        "2Dx2D": (E4M3, SQUARE, E4M3, SQUARE, (), "(G6)"),
        "tensor-1D": (E4M3, TENSOR, E4M3, VECTOR, (), "(G6)"),
        "E5M2xE5M2": (E5M2, VECTOR, E5M2, SQUARE, (), "(G5)"),
        "transposed": (E4M3, VECTOR, E4M3, SQUARE, ("transpose_rhs",), "(G4)"),
    }
    for name, (
        left_type,
        left,
        right_type,
        right,
        attributes,
        label,
    ) in illegal.items():
        program = Program()
        lhs, lhs_scales = Operand(rng, (128, 128), left_type, left).inputs(
            program, "lhs"
        )
        rhs, rhs_scales = Operand(rng, (128, 128), right_type, right).inputs(
            program, "rhs"
        )
        (value,) = gemm(
            program, lhs, [rhs], [Type((128, 128), BF16)], lhs_scales, [rhs_scales],
            attributes=attributes,
        )  # fmt: skip
        program.outputs(value=value)
        status, errors = program.execute(f"{folder}/refused-{name}")
        compare.true(f"{name}: {status} {errors}", status == 1 and label in errors)


def main(folder):
    test, compare = Test(), Comparison()
    test.pairs()
    test.high_precision()
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in test.wanted.items():
            compare.exact(f"{name}, optimize={optimize}", found[name], array)
    refusals(folder, compare)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
