"""products.py: operands whose products are exact in F32, and what becomes of them.

Small integers with power-of-two scales: every partial sum, in whatever order, is an F32
value, so that results compare bit for bit.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import numpy as np

from oracle import f32, spread
from te_program import TENSOR, Scales

VECTOR, SQUARE = Scales(1, 128, "gemm_ready"), Scales(128, 128, "gemm_ready")


def integers(rng, shape, dtype):
    return rng.integers(-3, 4, shape).astype(np.float32).astype(dtype)


def powers(rng, shape):
    return np.exp2(rng.integers(-2, 3, shape)).astype(np.float32)


class Operand:
    """A matrix [M, K] of integers and, for FP8, its scales.

    starts: where groups begin (and end) along the dimension `ragged`, of whose size
    the last may be less. Along K, scales' blocks begin anew there."""

    def __init__(
        self, rng, shape, dtype, encoding=None, starts=None, ragged=0, magnitude=1.0
    ):  # fmt: skip
        self.values = integers(rng, shape, dtype)
        self.encoding, self.scales = encoding, None
        factors = np.ones(shape, np.float32)
        if encoding == TENSOR:
            self.scales = powers(rng, ()) * np.float32(magnitude)
            factors = factors * self.scales
        elif encoding and encoding.layout == "tensor":
            self.scales = powers(rng, encoding.groups)
            for group, (begin, end) in enumerate(zip(starts, starts[1:])):
                factors[(slice(None),) * ragged + (slice(begin, end),)] = self.scales[
                    group
                ]
        elif encoding:
            self.scales = powers(rng, encoding.shape(shape)) * np.float32(magnitude)
            factors = self.spread_blocks(shape, starts)
        self.real = f32(self.values) * factors

    def spread_blocks(self, shape, starts):
        natural = self.scales.T if self.encoding.rows == 1 else self.scales
        if not self.encoding.groups:
            return spread(natural, self.encoding.rows, self.encoding.cols, shape)
        factors = np.ones(shape, np.float32)
        for group, (begin, end) in enumerate(zip(starts, starts[1:])):
            first = begin // 128 + group
            block = first + np.arange(end - begin) // 128
            factors[:, begin:end] = natural[: shape[0], block]
        return factors

    def inputs(self, program, name):
        """The program's values: data, and scales or None."""
        data = program.input(name, self.values)
        if self.scales is None:
            return data, None
        return data, program.input(f"{name}.scales", self.scales, self.encoding)


def finished(product, dtype, bias=None, held=None):
    """Exact sums -> the result: bias in F32, one rounding; then what was held is added
    to that, and rounded again."""
    result = f32(product) if bias is None else f32(product) + f32(bias)
    result = result.astype(dtype)
    return result if held is None else (f32(held) + f32(result)).astype(dtype)
