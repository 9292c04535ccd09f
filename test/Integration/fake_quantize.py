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

from philox import random_words, round_at_random

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

    def begin_batch(self, batch, indices, experts):
        """The operands from here on are of this micro-batch, whose tokens are routed
        by `indices`."""

    def operand(self, slot, expert, x, axis):
        return x


class Bf16(Exact):
    """No quantization; what a program keeps in BF16 between steps is rounded."""

    rounded = staticmethod(bf16)


@dataclass(frozen=True)
class Options:
    """Of a recipe: the formats of activations and gradients (weights are E4M3),
    whether scales are powers of two, the least amax, and the powers of two that
    delayed scaling leaves above it; of MXFP8 and NVFP4, whether blocks of weights
    are squares, and of NVFP4 whether other columnwise copies are transformed."""

    forward: type = ml_dtypes.float8_e4m3fn
    backward: type = ml_dtypes.float8_e4m3fn
    power_of_two: bool = False
    epsilon: float = 0.0
    margin: int = 0
    square_weight_blocks: bool = False
    hadamard: bool = False

    def dtype(self, slot):
        if slot in WEIGHTS:
            return ml_dtypes.float8_e4m3fn
        return self.backward if slot in GRADIENTS else self.forward


HYBRID = Options(backward=ml_dtypes.float8_e5m2)
POWERS_OF_TWO = Options(power_of_two=True)
FP4 = ml_dtypes.float4_e2m1fn
NVFP4_DEFAULTS = Options(FP4, FP4, square_weight_blocks=True, hadamard=True)


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


class MXFP8(Bf16):
    """Blocks of 32 along the reduction, each with a power of two that is at least
    amax / fp8_max."""

    def __init__(self, options=Options()):
        self.options = options

    def block_shape(self, slot, size, axis):
        if slot in WEIGHTS and self.options.square_weight_blocks:
            return size, size
        return ((size, 1), (1, size))[axis]

    def operand(self, slot, expert, x, axis):
        dtype = self.options.dtype(slot)
        amax = block_amax(x, *self.block_shape(slot, 32, axis)).astype(np.float32)
        mantissa, exponent = np.frexp(amax * (np.float32(1) / fp8_max(dtype)))
        factor = np.ldexp(1.0, np.where(mantissa > 0.5, exponent, exponent - 1))
        factor = np.where(amax == 0, 1.0, np.maximum(factor, 2.0**-127))
        limit = float(fp8_max(dtype))
        q = np.clip(x / factor, -limit, limit).astype(np.float32).astype(dtype)
        return q.astype(np.float64) * factor


SIGNS = np.array([1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1.0])


def sylvester(size):
    """The Hadamard matrix of this size, a power of two."""
    if size == 1:
        return np.ones((1, 1))
    half = sylvester(size // 2)
    return np.block([[half, half], [half, -half]])


def hadamard_rows(x):
    """Each 16 rows times diag(SIGNS) H / 4, which is orthonormal; rows that are
    missing in the last block are zero."""
    rows = -(-x.shape[0] // 16) * 16
    padded = np.zeros((rows, x.shape[1]))
    padded[: x.shape[0]] = x
    blocks = padded.reshape(-1, 16, x.shape[1])
    transform = SIGNS[:, None] * sylvester(16) / 4
    return bf16(np.einsum("bjc,jk->bkc", blocks, transform).reshape(padded.shape))


class NVFP4(MXFP8):
    """Blocks of 16 along the reduction with E4M3 scales, under one F32 amax of each
    expert's matrix. Two operands that are transformed along the reduction have the
    product of those that are not. With `rng`, {seed, offset} of each micro-batch,
    gradients are rounded at random."""

    ALIGNMENT = 128  # of the rows of an expert
    STREAMS = {"dy": 0, "dh": 1}

    def __init__(self, options=NVFP4_DEFAULTS, rng=None):
        super().__init__(options)
        self.rng = rng

    def begin_batch(self, batch, indices, experts):
        self.batch = batch

        def aligned(rows):
            return -(-rows // self.ALIGNMENT) * self.ALIGNMENT

        counts = [aligned(int((indices == e).sum())) for e in range(experts)]
        self.offsets = np.cumsum([0] + counts)
        rows = indices.shape[0] * min(indices.shape[1], experts)
        self.capacity = aligned(rows + experts * (self.ALIGNMENT - 1))

    def round_gradient(self, slot, expert, x, axis):
        rows = self.offsets[expert] + np.arange(x.shape[0])[:, None]
        cols = np.arange(x.shape[1])[None, :]
        columnwise = axis == 0
        index = cols * self.capacity + rows if columnwise else rows * x.shape[1] + cols
        words = random_words(
            self.rng[self.batch], self.STREAMS[slot], index, columnwise
        )
        return round_at_random(x, words)

    def operand(self, slot, expert, x, axis):
        if self.options.hadamard and axis == 0 and slot not in WEIGHTS:
            x = hadamard_rows(x)
        f32 = np.float32
        x = x.astype(f32)
        tensor_amax = f32(np.abs(x).max(initial=0))
        if tensor_amax == 0:
            return x.astype(np.float64)
        encode = f32(448 * 6) / tensor_amax
        amax = block_amax(x, *self.block_shape(slot, 16, axis)).astype(f32)
        e4m3 = ml_dtypes.float8_e4m3fn
        scale = np.minimum(amax * (encode * f32(1 / 6)), f32(448)).astype(e4m3)
        scale = scale.astype(f32)
        with np.errstate(divide="ignore"):
            inverse = np.minimum(f32(1) / (scale * (f32(1) / encode)), F32_MAX)
        with np.errstate(over="ignore"):
            scaled = x * inverse
        if self.rng is not None and slot in GRADIENTS:
            q = self.round_gradient(slot, expert, scaled, axis)
        else:
            q = np.clip(scaled, f32(-6), f32(6)).astype(FP4).astype(f32)
        return (q * scale).astype(np.float64) * float(tensor_amax) / 2688
