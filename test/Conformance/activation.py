"""activation.py: swiglu and its gradients, against float64.

A result is a chain of F32 operations, rounded once: it may be off by 2e-6 of the terms
that it sums (which cancel near a minimum of silu) and by half a unit in its last place.
So BF16 results are the correctly rounded ones, save within 2e-6 of a tie.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import Comparison
from te_program import BF16, Program, Type, functional

ROWS, WIDTH = 40, 257
OFFSETS = np.int32([0, 0, 7, 7, 32, 35])  # two empty groups, five rows of no group
OWNED = int(OFFSETS[-1])
CHAIN = 2e-6
HALF_UNIT = {np.dtype(np.float32): 2.0**-24, np.dtype(BF16): 2.0**-8}


def reference(grad, h, p):
    """{name: (result, the sum of its terms' magnitudes)}, in float64"""
    a, b = np.split(h, 2, axis=1)
    s = 1 / (1 + np.exp(-a))
    p = p[:, None]
    output, grad_b = a * s * b * p, grad * p * a * s
    outer, left, right = grad * p * b, s, a * s * (1 - s)
    terms = grad * a * s * b
    return {
        "output": (output, np.abs(output)),
        "grad_input": (
            np.concatenate([outer * (left + right), grad_b], axis=1),
            np.concatenate(
                [np.abs(outer) * (left + np.abs(right)), np.abs(grad_b)], axis=1
            ),
        ),
        # Eightfold for the F32 sum of a row.
        "grad_probs": (terms.sum(axis=1), 8 * np.abs(terms).sum(axis=1)),
    }


def add(program, rng, name, dtype, with_probs, wanted):
    h = (
        rng.standard_normal((ROWS, 2 * WIDTH)) * rng.choice([0.1, 1, 20], (ROWS, 1))
    ).astype(dtype)
    h[3, :6] = [0, -0.0, 80, -80, 1e-30, -1e-30]
    grad = rng.standard_normal((ROWS, WIDTH)).astype(dtype)
    p = rng.random(ROWS).astype(np.float32)
    p[5] = 0
    h[OWNED:] = np.nan  # rows of no group: nothing reads them
    operands = [program.input(f"{name}.h", h)]
    extra = program.input(f"{name}.p", p) if with_probs else None
    offsets = program.input(f"{name}.offsets", OFFSETS)
    g = program.input(f"{name}.grad", grad)
    tail = f" probs({extra})" if extra else ""
    tail += f" groups({offsets})"
    rest = [extra, offsets] if extra else [offsets]
    results = functional(
        program,
        f"te.swiglu {operands[0]}{tail}",
        operands + rest,
        Type((ROWS, WIDTH), dtype),
    )
    types = [Type(h.shape, dtype)] + ([Type((ROWS,), np.float32)] if extra else [])
    results += functional(
        program,
        f"te.swiglu_backward {g}, {operands[0]}{tail}",
        [g, *operands, *rest],
        *types,
    )
    expected = reference(*(x[:OWNED].astype(np.float64) for x in (
        grad, h, p if with_probs else np.ones_like(p))))  # fmt: skip
    for key, value in zip(("output", "grad_input", "grad_probs"), results):
        program.outputs(**{f"{name}.{key}": value})
    wanted[name] = expected


def main(folder):
    rng = np.random.default_rng(19)
    program, compare, wanted = Program(), Comparison(), {}
    for dtype in (np.float32, BF16):
        for with_probs in (True, False):
            add(
                program,
                rng,
                f"{np.dtype(dtype)}-{with_probs}",
                dtype,
                with_probs,
                wanted,
            )
    for optimize in (False, True):
        found = program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, expected in wanted.items():
            for key, (values, magnitude) in expected.items():
                if f"{name}.{key}" not in found:
                    continue
                array = found[f"{name}.{key}"][:OWNED]
                # Subnormal results keep fewer digits than their terms.
                tolerance = (
                    CHAIN * magnitude + HALF_UNIT[array.dtype] * np.abs(values) + 1e-37
                )
                compare.close(
                    f"{name}.{key}, optimize={optimize}", array, values, tolerance
                )
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
