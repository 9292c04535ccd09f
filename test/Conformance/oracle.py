"""oracle.py: what the ops compute, in NumPy and the conversions of ml_dtypes.

Written from the definitions; shares nothing with the compiler or the runtime. All
arithmetic is in F32 with the roundings that the definitions name.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import ml_dtypes
import numpy as np

from te_program import BF16

F32_MAX = np.finfo(np.float32).max
BF16_MAX = np.float32(ml_dtypes.finfo(BF16).max)


def f32(x):
    return np.asarray(x).astype(np.float32)


def fp8_max(dtype):
    return np.float32(ml_dtypes.finfo(dtype).max)


def largest(dtype):
    """The largest finite value of an input type."""
    return BF16_MAX if dtype == BF16 else F32_MAX


def cast(x, scale, dtype):
    """x * scale in F32, then nearest even and saturating; NaN stays NaN. The casts of
    ml_dtypes do not saturate, hence the clamp."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = f32(x) * f32(scale)
        return np.clip(scaled, -fp8_max(dtype), fp8_max(dtype)).astype(dtype)


def amax_of(x, axis=None):
    """max|x|, NaN left out; 0 for nothing."""
    return np.fmax.reduce(np.abs(f32(x)), axis=axis, initial=np.float32(0))


def scale_from_amax(amax, dtype, epsilon=0.0, pow2=False, when_infinite=F32_MAX):
    amax = f32(amax)
    amax = np.where(amax < np.float32(epsilon), np.float32(epsilon), amax)
    with np.errstate(divide="ignore", over="ignore"):
        scale = f32(fp8_max(dtype) / amax)
    scale = np.where(np.isinf(scale), np.float32(when_infinite), scale)
    if pow2:
        scale = (scale.view(np.uint32) & np.uint32(0xFF800000)).view(np.float32)
    return np.where(~np.isfinite(amax) | (amax == 0), np.float32(1), scale)


def blocks(x, rows, cols):
    """[M, K] -> [M/rows, rows, K/cols, cols], rounded up; zeros beyond the edges."""
    height, width = -(-x.shape[0] // rows), -(-x.shape[1] // cols)
    padded = np.zeros((height * rows, width * cols), np.float32)
    padded[: x.shape[0], : x.shape[1]] = f32(x)
    return padded.reshape(height, rows, width, cols)


def spread(scales, rows, cols, shape):
    """One scale a block -> one scale an element of `shape`."""
    return scales.repeat(rows, axis=0).repeat(cols, axis=1)[: shape[0], : shape[1]]


def quantize_blocks(x, rows, cols, dtype, epsilon=0.0, pow2=False):
    """Returns the values [M, K] and the scales [M/rows, K/cols] to dequantize with."""
    amax = amax_of(blocks(x, rows, cols), axis=(1, 3))
    scale = scale_from_amax(amax, dtype, epsilon, pow2, largest(x.dtype))
    values = cast(x, spread(scale, rows, cols, x.shape), dtype)
    return values, np.float32(1) / scale


def quantize_tensor(x, dtype, epsilon=0.0, pow2=False):
    """Returns the values and the scale to dequantize with."""
    scale = scale_from_amax(amax_of(x), dtype, epsilon, pow2)
    return cast(x, scale, dtype), np.float32(1) / scale


class Comparison:
    """Collects what differs; bits are compared, but any NaN equals any other."""

    def __init__(self):
        self.compared = 0
        self.misses = []

    def exact(self, name, found, wanted):
        found, wanted = np.asarray(found), np.asarray(wanted)
        self.compared += 1
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            self.misses.append(
                f"{name}: {found.shape} {found.dtype}, "
                f"wanted {wanted.shape} {wanted.dtype}"
            )
            return
        bits = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
        bits = bits[found.dtype.itemsize]
        left = np.ascontiguousarray(found).view(bits)
        right = np.ascontiguousarray(wanted).view(bits)
        differ = (left != right).reshape(found.shape)
        if found.dtype not in (np.int32, np.int64):
            differ = differ & ~(np.isnan(f32(found)) & np.isnan(f32(wanted)))
        self.report(name, differ, found, wanted)

    def close(self, name, found, wanted, tolerance):
        """`tolerance` is absolute: one, or one for each value."""
        found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
        self.compared += 1
        if found.shape != wanted.shape:
            self.misses.append(f"{name}: {found.shape}, wanted {wanted.shape}")
            return
        near = np.abs(found - wanted) <= tolerance
        self.report(name, ~near, found, wanted)

    def report(self, name, differ, found, wanted):
        if not differ.any():
            return
        at = tuple(np.argwhere(differ)[0])
        self.misses.append(
            f"{name}: {differ.sum()} of {differ.size} differ, first at "
            f"{tuple(map(int, at))}: {found[at]}, wanted {wanted[at]}"
        )

    def true(self, name, condition):
        self.compared += 1
        if not condition:
            self.misses.append(name)

    def finish(self):
        print(f"{self.compared} compared, {len(self.misses)} differ")
        if self.misses or not self.compared:
            sys.exit("\n".join(self.misses[:20]) or "nothing was compared")
