"""byte_conversions.py: every BF16 value into MXFP8 and NVFP4, as an element and as the
amax of a block; every code of the values at every code of the scales back.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import LAYOUTS, RANGE, Cast, mxfp8, nvfp4, padded, real
from oracle import F32_MAX, Comparison, f32, fp8_max
from te_program import (
    BF16,
    E4M3,
    E5M2,
    E8M0,
    FP4,
    Program,
    Scales,
    Type,
    functional,
    quantize,
)

AMAXES = np.float32([RANGE, 1, 0.3, 1e-38, 1e-45, F32_MAX, 0, np.inf, np.nan])


def every_bf16():
    return np.arange(65536, dtype=np.uint16).view(BF16)


def as_amaxes(length):
    """Each BF16 value leads a block of its own, the rest of which is zero of both
    signs: [., 1024]. NaN then is an element of a block of zeros."""
    x = np.zeros((65536, length), BF16)
    x[:, 1::2] = -0.0
    x[:, 0] = every_bf16()
    return x.reshape(-1, 1024)


def as_elements(length, shifts):
    """Each finite BF16 value in a block whose amax is at least it by a factor from 1
    to 2, and that times each power of two: [., length]. The values of a block are
    neighbours, so that all are near the boundaries of one binade of the format."""
    count = {32: 15, 16: 6}[length]
    values = every_bf16()[:0x7F80].reshape(-1, count)
    parts = []
    for shift in range(shifts):
        x = np.zeros((len(values), length), BF16)
        x[:, :count], x[:, count : 2 * count] = values, -values
        with np.errstate(over="ignore"):  # infinity is one more amax
            x[:, -1] = (f32(values[:, -1]) * 2.0**shift).astype(BF16)
        parts.append(x)
    return np.concatenate(parts)


def neighbours(at, steps=2):
    """The F32 values from `steps` below to `steps` above each."""
    bits = np.float32(at).view(np.int32)[:, None] + np.arange(-steps, steps + 1)
    return np.maximum(bits, 0).astype(np.int32).view(np.float32).reshape(-1)


def value_boundaries(dtype, length):
    """About each value of the format and each midpoint of two, of both signs, in blocks
    of one amax, the format's largest value (of FP4 under a tensor's of 6 * 448, in the
    first block): multipliers are powers of two."""
    codes = np.arange(16 if dtype == FP4 else 256, dtype=np.uint8).view(dtype)
    codes = f32(codes).astype(np.float64)
    codes = np.unique(np.abs(codes[np.isfinite(codes)]))
    at = np.concatenate([codes, (codes[1:] + codes[:-1]) / 2])
    near = np.minimum(neighbours(at.astype(np.float32)), codes[-1])
    near = np.concatenate([near, -near])
    near = np.pad(near, (0, -near.size % (length - 1))).reshape(-1, length - 1)
    blocks = np.pad(near, ((0, 0), (0, 1)), constant_values=codes[-1])
    first = np.zeros((int(dtype == FP4), length), np.float32)
    first[:, 0] = RANGE
    return np.concatenate([first, blocks]).astype(np.float32)


def with_amaxes(amaxes, length):
    """Blocks of these amaxes, [., length], with the amax at the end."""
    x = np.zeros((amaxes.size, length), np.float32)
    x[:, -1], x[:, 0] = -amaxes, amaxes / 3
    return x


def e8m0_boundaries(dtype):
    """Where amax / fp8_max is about each power of two, and half of the least."""
    powers = np.ldexp(1.0, np.arange(-149, 129))
    with np.errstate(over="ignore"):
        amaxes = f32(powers * float(fp8_max(dtype)))
    finite = amaxes[np.isfinite(amaxes)]
    ends = np.float32([0, np.inf, np.nan, F32_MAX, 1e-45])
    return with_amaxes(np.concatenate([neighbours(finite), ends]), 32)


def e4m3_boundaries():
    """Where amax / 6 is about each value of E4M3, and each midpoint of two. The tensor's
    amax is that of its first block, 6 * 448: multipliers of 1."""
    codes = f32(np.arange(127, dtype=np.uint8).view(E4M3)).astype(np.float64)
    at = np.concatenate([codes, (codes[1:] + codes[:-1]) / 2]) * 6
    amaxes = neighbours(at[at < RANGE].astype(np.float32))
    return with_amaxes(np.concatenate([[RANGE], np.minimum(amaxes, RANGE)]), 16)


class Test:
    def __init__(self):
        self.program, self.wanted, self.seen = Program(), {}, {}

    def output(self, name, value, wanted):
        self.program.outputs(**{name: value})
        self.wanted[name] = np.asarray(wanted)

    def cast(self, name, x, dtype):
        """Along rows: blocks of what the columnwise cast sees are the same, transposed."""
        length = 16 if dtype == FP4 else 32
        turned = np.ascontiguousarray(x.T)
        for columnwise, array in ((False, x), (True, turned)):
            encoding = Scales(1, length, "compact")
            if columnwise and dtype != FP4:
                encoding = Scales(length, 1, "compact")
            expected = (
                nvfp4(array, columnwise)
                if dtype == FP4
                else mxfp8(array, dtype, columnwise)
            )
            key = f"{name}-{np.dtype(dtype)}-{'columnwise' if columnwise else 'rowwise'}"
            direction = {"columnwise" if columnwise else "rowwise": (dtype, encoding)}
            found = quantize(self.program, self.program.input(key, array), **direction)
            arrays = [expected.values, padded(expected.scales, encoding.cols == 1)]
            arrays += [expected.amax] if dtype == FP4 else []
            for part, (value, wanted) in enumerate(zip(found, arrays)):
                self.output(f"{key}.{part}", value, wanted)
            seen = self.seen.setdefault(expected.scales.dtype, set())
            seen.update(np.unique(expected.scales.view(np.uint8)).tolist())

    def back(self, dtype):
        """Row r has scale code r, and of each value code a column."""
        length, count = (16, 16) if dtype == FP4 else (32, 256)
        codes = np.arange(count, dtype=np.uint8).view(dtype)
        values = np.tile(codes, (256, 1))
        scale_type = E4M3 if dtype == FP4 else E8M0
        scales = np.arange(256, dtype=np.uint8).view(scale_type)[:, None]
        scales = np.repeat(scales, count // length, axis=1)
        for layout in LAYOUTS:
            for number, amax in enumerate(AMAXES if dtype == FP4 else [None]):
                key = f"back-{np.dtype(dtype)}-{layout}-{number}"
                encoding = Scales(1, length, layout)
                self.dequantize(f"{key}-rowwise", values, scales, encoding, amax)
            if dtype != FP4:
                turned = (np.ascontiguousarray(x.T) for x in (values, scales))
                encoding = Scales(length, 1, layout)
                self.dequantize(f"{key}-columnwise", *turned, encoding, None)

    def dequantize(self, name, values, scales, encoding, amax):
        """`scales`: one for each block, without padding."""
        tall = encoding.cols == 1
        stored = LAYOUTS[encoding.layout](scales, tall)
        operands = [
            self.program.input(f"{name}.values", values),
            self.program.input(f"{name}.scales", stored, encoding),
        ]
        text = f"te.dequantize {operands[0]}, {operands[1]}"
        length = max(encoding.rows, encoding.cols)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # Of value and scale, an exact product rounded once; the amax comes after.
            exact = real(Cast(values, scales), length, tall).astype(np.float32)
            if amax is not None:
                operands.append(self.program.input(f"{name}.amax", amax))
                text += f" amax({operands[2]})"
                exact = exact * f32(amax / RANGE)
            for target in (np.float32, BF16):
                result = Type(values.shape, target)
                (back,) = functional(self.program, text, operands, result)
                self.output(f"{name}.{np.dtype(target)}", back, exact.astype(target))


def main(folder):
    test, compare = Test(), Comparison()
    for dtype in (E4M3, E5M2):
        test.cast("amaxes", as_amaxes(32), dtype)
        test.cast("boundaries", e8m0_boundaries(dtype), dtype)
        test.cast("values", value_boundaries(dtype, 32), dtype)
    test.cast("elements", as_elements(32, 18), E4M3)
    test.cast("elements", as_elements(32, 33), E5M2)
    test.cast("amaxes", as_amaxes(16), FP4)
    test.cast("boundaries", e4m3_boundaries(), FP4)
    test.cast("values", value_boundaries(FP4, 16), FP4)
    # The amax of one tensor leaves scales for some binades of its elements alone.
    elements = as_elements(16, 4)
    amax, largest = f32(elements[:, -1]), f32(elements[:, 5])
    test.cast("elements", elements[(amax < 8) & (largest > 2.0**-8)], FP4)
    for dtype in (E4M3, E5M2, FP4):
        test.back(dtype)
    # The largest F32 over 448 is below 2^120; 254 is for infinity.
    compare.true("E8M0", test.seen[np.dtype(E8M0)] == {*range(248), 254})
    compare.true("E4M3", test.seen[np.dtype(E4M3)] == {*range(127)})
    elements = 0
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in test.wanted.items():
            compare.exact(f"{name}, optimize={optimize}", found[name], array)
            elements += array.size
    print(f"{elements} values and scales")
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
