"""fake_quantize.py: what a matrix becomes when it is quantized and dequantized.

Written from the definitions of the recipes, with the conversions of ml_dtypes; it
shares nothing with the compiler or the runtime. A policy answers one question: what
one operand of one of the six matrix products of the layer looks like to the product.

Slots name the tensors that are quantized: `x`, `w1`, `act`, `w2` in the forward
direction, `dy`, `dh` in the backward one. An operand is a matrix of one expert, and
`axis` is the dimension which its product reduces: 1 for the rowwise quantization, 0
for the columnwise one.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np

WEIGHTS = ("w1", "w2")
GRADIENTS = ("dy", "dh")
BF16_MAX = np.float32(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
F32_MAX = np.finfo(np.float32).max


def bf16(x):
    """The nearest BF16 values, as float64."""
    return x.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)


def fp8_max(dtype):
    return np.float32(ml_dtypes.finfo(dtype).max)


def scale_from_amax(amax, dtype, power_of_two, when_infinite, epsilon=0.0):
    """The multiplier of each block, F32: fp8_max / amax, where amax is at least
    epsilon, and 1 where it is 0."""
    amax = np.maximum(amax.astype(np.float32), np.float32(epsilon))
    with np.errstate(divide="ignore", over="ignore"):
        scale = fp8_max(dtype) / amax
    scale = np.where(np.isinf(scale), np.float32(when_infinite), scale)
    if power_of_two:
        mantissa, exponent = np.frexp(scale)
        scale = np.ldexp(np.float32(0.5), exponent)
        assert np.all(mantissa >= 0.5)
    return np.where(amax == 0, np.float32(1), scale)


def cast_and_back(x, scale, dtype):
    """x * scale to FP8, nearest even and saturating, then times 1 / scale; all
    steps in F32, as hardware does them. Returns float64."""
    limit = fp8_max(dtype)
    scaled = np.clip(x.astype(np.float32) * scale, -limit, limit)
    inverse = np.float32(1) / scale
    return (scaled.astype(dtype).astype(np.float32) * inverse).astype(np.float64)


def block_amax(x, rows, cols):
    """max|x| over blocks of rows x cols, each spread over its block again. Blocks
    at the edges may be partial."""
    height, width = x.shape
    padded = np.zeros((-(-height // rows) * rows, -(-width // cols) * cols))
    padded[:height, :width] = np.abs(x)
    blocks = padded.reshape(
        padded.shape[0] // rows, rows, padded.shape[1] // cols, cols
    )
    amax = blocks.max(axis=(1, 3), keepdims=True)
    return np.broadcast_to(amax, blocks.shape).reshape(padded.shape)[:height, :width]


class Exact:
    """No quantization, and no rounding between the steps: the layer's definition."""

    @staticmethod
    def rounded(x):
        return x

    def operand(self, slot, expert, x, axis):
        return x


class Bf16(Exact):
    """No quantization; what a program keeps in BF16 between steps is rounded."""

    rounded = staticmethod(bf16)


@dataclass(frozen=True)
class Options:
    """Of a recipe: the formats of activations and gradients (weights are E4M3),
    whether scales are powers of two, the least amax, and the powers of two that
    delayed scaling leaves above it."""

    forward: type = ml_dtypes.float8_e4m3fn
    backward: type = ml_dtypes.float8_e4m3fn
    power_of_two: bool = False
    epsilon: float = 0.0
    margin: int = 0

    def dtype(self, slot):
        if slot in WEIGHTS:
            return ml_dtypes.float8_e4m3fn
        return self.backward if slot in GRADIENTS else self.forward


HYBRID = Options(backward=ml_dtypes.float8_e5m2)
POWERS_OF_TWO = Options(power_of_two=True)


class Block(Bf16):
    """Blocks of 128 x 128 for weights, else of 128 along the reduction. Blocks along
    rows begin anew with each expert."""

    def __init__(self, options=POWERS_OF_TWO):
        self.options = options

    def operand(self, slot, expert, x, axis):
        rows, cols = (128, 128) if slot in WEIGHTS else ((128, 1), (1, 128))[axis]
        dtype, options = self.options.dtype(slot), self.options
        amax = block_amax(x, rows, cols)
        scale = scale_from_amax(
            amax, dtype, options.power_of_two, BF16_MAX, options.epsilon
        )
        return cast_and_back(x, scale, dtype)


class Current(Bf16):
    """One scale for each expert's matrix, from its own amax."""

    def __init__(self, options=HYBRID):
        self.options = options

    def operand(self, slot, expert, x, axis):
        dtype, options = self.options.dtype(slot), self.options
        amax = np.abs(x).max(initial=0)
        scale = scale_from_amax(
            amax, dtype, options.power_of_two, F32_MAX, options.epsilon
        )
        return cast_and_back(x, scale, dtype)


class Delayed(Bf16):
    """One given scale for each expert's matrix, {(slot, expert): scale}. Keeps the
    amax of each, from which the next step's scale comes."""

    def __init__(self, scales, options=HYBRID):
        self.scales = scales
        self.options = options
        self.amax = {}

    def operand(self, slot, expert, x, axis):
        key = slot, expert
        self.amax[key] = max(self.amax.get(key, 0.0), np.abs(x).max(initial=0))
        return cast_and_back(x, np.float32(self.scales[key]), self.options.dtype(slot))

    def next_scale(self, slot, expert):
        """After a step with an empty history: an amax of 0 leaves the scale."""
        key = slot, expert
        amax = np.float32(self.amax.get(key, 0))
        limit = fp8_max(self.options.dtype(slot)) * 2.0**-self.options.margin
        return self.scales[key] if amax == 0 else limit / amax
