"""byte_scales.py: what MXFP8 and NVFP4 make of a matrix, in NumPy and ml_dtypes.

Written from the definitions; shares nothing with the compiler or the runtime. A scale
is found among all values that ml_dtypes knows of its type, never by its bits.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

from dataclasses import dataclass

import numpy as np

from oracle import F32_MAX, amax_of, blocks, cast, f32, fp8_max, spread
from te_program import BF16, E4M3, E8M0, FP4, round_up

POWERS = np.arange(255, dtype=np.uint8).view(E8M0).astype(np.float64)
SIGNS = np.array([1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1.0])
RANGE = np.float32(6 * 448)


def e8m0_scales(amax, dtype):
    """Of blocks of these amaxes: the least E8M0 value that is at least amax / fp8_max,
    that quotient being an F32; the largest where there is none."""
    least = f32(amax) * (np.float32(1) / fp8_max(dtype))
    return POWERS[np.minimum(np.searchsorted(POWERS, least), 254)].astype(E8M0)


def tensor_multiplier(amax):
    with np.errstate(divide="ignore", over="ignore"):
        multiplier = np.minimum(RANGE / f32(amax), F32_MAX)
    return np.where((amax == 0) | (multiplier == 0), np.float32(1), multiplier)


def e4m3_scales(amax, tensor_amax):
    """Returns the scales and what elements are multiplied by."""
    multiplier = tensor_multiplier(tensor_amax)
    with np.errstate(divide="ignore", over="ignore"):
        wanted = f32(amax) * f32(multiplier * np.float32(1 / 6))
        scales = np.minimum(wanted, fp8_max(E4M3)).astype(E4M3)
        decode = f32(f32(scales) * f32(np.float32(1) / multiplier))
        return scales, np.minimum(np.float32(1) / decode, F32_MAX)


def to_fp4(scaled):
    """Nearest even and saturating. There is no NaN in FP4: 6 stands for it."""
    scaled = np.where(np.isnan(scaled), np.float32(6), scaled)
    return np.clip(scaled, np.float32(-6), np.float32(6)).astype(FP4)


def sylvester(size):
    """The Hadamard matrix of this size, a power of two."""
    if size == 1:
        return np.ones((1, 1))
    half = sylvester(size // 2)
    return np.block([[half, half], [half, -half]])


def hadamard(x):
    """Each 16 rows of BF16 times diag(SIGNS) H / 4, rounded to BF16."""
    transform = SIGNS[:, None] * sylvester(16) / 4
    split = f32(x).astype(np.float64).reshape(-1, 16, x.shape[1])
    turned = np.einsum("bjc,jk->bkc", split, transform).reshape(x.shape)
    assert (f32(turned) == turned).all(), "the sums of a test are exact in F32"
    return turned.astype(np.float32).astype(BF16)


@dataclass
class Cast:
    """One direction of a cast: values as they are stored, the scale of each block (of
    the stored grid, no padding), of NVFP4 the amax of the tensor, and what the values
    are before rounding."""

    values: np.ndarray
    scales: np.ndarray
    amax: np.float32 = None
    scaled: np.ndarray = None


def blocks_of(x, length, columnwise, square):
    """The amax of each block of the cast, and the block's shape. Those of a square
    share the amax of all of it."""
    rows, cols = (length, 1) if columnwise else (1, length)
    if not square:
        return amax_of(blocks(x, rows, cols), axis=(1, 3)), (rows, cols)
    shared = amax_of(blocks(x, length, length), axis=(1, 3))
    return spread(shared, length // rows, length // cols, (
        -(-x.shape[0] // rows), -(-x.shape[1] // cols))), (rows, cols)  # fmt: skip


def mxfp8(x, dtype, columnwise=False, square=False):
    amax, block = blocks_of(x, 32, columnwise, square)
    scales = e8m0_scales(amax, dtype)
    # The reciprocal of a power of two: exact, if subnormal for the largest.
    multiplier = f32(1 / scales.astype(np.float64))
    return Cast(cast(x, spread(multiplier, *block, x.shape), dtype), scales)


def nvfp4(x, columnwise=False, square=False, transform=False):
    x = hadamard(x) if transform else x
    tensor_amax = amax_of(x)
    amax, block = blocks_of(x, 16, columnwise, square)
    scales, multiplier = e4m3_scales(amax, tensor_amax)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = f32(x) * spread(multiplier, *block, x.shape)
    values = to_fp4(scaled)
    if columnwise:
        values, scales, scaled = values.T, scales.T, scaled.T
    return Cast(values, scales, tensor_amax, scaled)


def padded(scales, columnwise_blocks):
    """As the compact layout has them: zeros up to whole tiles."""
    down, across = (4, 128) if columnwise_blocks else (128, 4)
    shape = round_up(scales.shape[0], down), round_up(scales.shape[1], across)
    whole = np.zeros(shape, np.uint8)
    whole[: scales.shape[0], : scales.shape[1]] = scales.view(np.uint8)
    return whole.view(scales.dtype)


def swizzled(scales, columnwise_blocks):
    """The tiles of 128 x 4 of one matrix, as a permutation of axes; zeros between."""
    outer = scales.T if columnwise_blocks else scales
    whole = padded(np.ascontiguousarray(outer), False).view(np.uint8)
    rows, cols = whole.shape
    tiles = whole.reshape(rows // 128, 4, 32, cols // 4, 4)
    tiles = tiles.transpose(0, 3, 2, 1, 4).reshape(rows, cols)
    return tiles.view(scales.dtype)


LAYOUTS = {"compact": padded, "swizzled": swizzled}


def real(cast, length, columnwise_blocks=False):
    """What the stored values stand for, float64."""
    block = (length, 1) if columnwise_blocks else (1, length)
    scales = spread(cast.scales.astype(np.float64), *block, cast.values.shape)
    factor = 1 if cast.amax is None else float(cast.amax) / float(RANGE)
    return cast.values.astype(np.float64) * scales * factor
