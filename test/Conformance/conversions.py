"""conversions.py: every BF16 value to FP8, and every FP8 code back, at many scales.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import F32_MAX, Comparison, cast, f32
from te_program import BF16, E4M3, E5M2, TENSOR, Program, Type, functional, quantize

# One, powers of two, none, the least and the largest.
MULTIPLIERS = np.float32(
    [1, 2, 0.25, 2**-20, 2.0**30, 3, 1.1, 448 / 3, 1e-3, 1e-38, F32_MAX]
)
# Beyond those: subnormal, zero, not finite.
FACTORS = np.float32([*MULTIPLIERS, 2.0**-127, 1e-45, 2.0**127, 0, np.inf, np.nan])


def float32_boundaries(dtype):
    """Around each code's value and each midpoint of two: the F32 values there and
    their neighbours, of both signs, and the ends of F32. Padded to 64 columns."""
    codes = f32(np.arange(256, dtype=np.uint8).view(dtype))
    values = np.unique(codes[np.isfinite(codes) & (codes >= 0)])
    midpoints = (values[1:] + values[:-1]) / 2
    last = 2 * values[-1] - midpoints[-1]  # where a wider format would round up
    at = np.concatenate([values, midpoints, np.float32([last])])
    at = np.concatenate([at, np.nextafter(at, np.inf, dtype=np.float32),
                         np.nextafter(at, -np.inf, dtype=np.float32)])  # fmt: skip
    at = np.concatenate([at, np.float32([F32_MAX, np.inf, np.nan, 1e-45, 1e-38])])
    at = np.concatenate([at, -at])
    at = np.pad(at, (0, -at.size % 64))
    return at.reshape(-1, 64)


def main(folder):
    program, compare, wanted = Program(), Comparison(), {}

    every = np.arange(65536, dtype=np.uint16).view(BF16).reshape(1, 256, 256)
    count = len(MULTIPLIERS)
    stacked = np.repeat(every, count, axis=0)
    x = program.input("x", stacked)
    scale = program.input("scale", MULTIPLIERS)
    for name, dtype in (("e4m3", E4M3), ("e5m2", E5M2)):
        values, scales, transposed, _ = quantize(
            program, x, (dtype, TENSOR), (dtype, TENSOR), scale=scale
        )
        outputs = {"values": values, "scales": scales, "transposed": transposed}
        program.outputs(**{f"{name}.{key}": value for key, value in outputs.items()})
        cells = cast(stacked, MULTIPLIERS[:, None, None], dtype)
        wanted[f"{name}.values"] = cells
        wanted[f"{name}.transposed"] = cells.swapaxes(1, 2)
        wanted[f"{name}.scales"] = np.float32(1) / MULTIPLIERS

        edges = float32_boundaries(dtype)
        edge_input = program.input(f"{name}.edges", edges)
        one = program.input(f"{name}.one", np.float32(1))
        values, _ = quantize(program, edge_input, (dtype, TENSOR), scale=one)
        program.outputs(**{f"{name}.at_edges": values})
        wanted[f"{name}.at_edges"] = cast(edges, 1, dtype)

        codes = np.arange(256, dtype=np.uint8).reshape(1, 1, 256).view(dtype)
        codes = np.repeat(codes, len(FACTORS), axis=0)
        q = program.input(f"{name}.codes", codes)
        factors = program.input(f"{name}.factors", FACTORS, TENSOR)
        with np.errstate(over="ignore", invalid="ignore"):
            products = f32(codes) * FACTORS[:, None, None]
        for target, result in (("f32", np.float32), ("bf16", BF16)):
            (back,) = functional(
                program,
                f"te.dequantize {q}, {factors}",
                [q, factors],
                Type(codes.shape, result),
            )
            program.outputs(**{f"{name}.to_{target}": back})
            wanted[f"{name}.to_{target}"] = products.astype(result)

    for optimize in (False, True):
        found = program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in wanted.items():
            compare.exact(f"{name}, optimize={optimize}", found[name], array)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
