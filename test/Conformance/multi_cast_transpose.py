"""multi_cast_transpose.py: any number of weights in one launch, against one by one.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import F32_MAX, Comparison, amax_of, cast, quantize_blocks, quantize_tensor
from te_program import (
    BF16,
    E4M3,
    E5M2,
    TENSOR,
    Program,
    Scales,
    multi_cast_transpose,
)

SHAPES = [
    (1, 1),
    (1, 768),
    (768, 1),
    (768, 768),
    (43, 43),
    (43, 256),
    (256, 43),
    (256, 256),
]
SQUARE = Scales(128, 128, "gemm_ready")


def delayed(x, scale, amax, dtype):
    """What one input, or member of a packed one, becomes with a scale of before."""
    values = cast(x, scale, dtype)
    return (
        values,
        np.float32(1) / scale,
        values.T,
        np.float32(1) / scale,
        np.fmax(amax, amax_of(x)),
    )


def current(x, dtype):
    values, scale = quantize_tensor(x, dtype)
    return values, scale, values.T, scale


def square(x, dtype):
    values, scales = quantize_blocks(x, 128, 128, dtype, pow2=True)
    return values, scales, values.T, scales.T


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(3)
        self.program, self.wanted = Program(), {}

    def weights(self, shapes, dtype):
        arrays = []
        for shape in shapes:
            deviation = np.exp2(self.rng.uniform(-8, 8))
            arrays.append((self.rng.standard_normal(shape) * deviation).astype(dtype))
        return arrays

    def add(self, name, arrays, dtype, encoding, rule, state=False, pow2=False):
        """One call for all `arrays`, and what `rule` says of each (member)."""
        program = self.program
        inputs = [program.input(f"{name}.x{i}", x) for i, x in enumerate(arrays)]
        scales, amaxes = [], []
        states = []
        for i, x in enumerate(arrays if state else []):
            count = x.shape[:-2]
            scale = self.rng.uniform(0.1, 40, count).astype(np.float32)
            # An amax of before may be above that of the input, or below.
            amax = self.rng.choice(np.float32([0, 1e6]), count)
            states.append((scale, amax))
            scales.append(program.input(f"{name}.scale{i}", scale))
            amaxes.append(program.input(f"{name}.amax{i}", amax))
        found = multi_cast_transpose(
            program,
            inputs,
            (dtype, encoding),
            (dtype, encoding),
            scales,
            amaxes,
            pow2=pow2,
        )
        for i, x in enumerate(arrays):
            members = x if x.ndim == 3 else x[None]
            rules = []
            for member, part in enumerate(members):
                extra = (
                    [np.reshape(value, -1)[member] for value in states[i]]
                    if state
                    else []
                )
                rules.append(rule(part, *extra, dtype))
            for part, values in enumerate(zip(*rules)):
                stacked = np.stack([np.asarray(value) for value in values])
                key = f"{name}.{i}.{part}"
                program.outputs(**{key: found[part][i]})
                self.wanted[key] = stacked if x.ndim == 3 else stacked[0]

    def add_noop(self, flag):
        """A flag of 1.0 leaves what the destinations held; any other value does not."""
        program, name = self.program, f"noop{flag:g}"
        weights = self.weights([(40, 24), (3, 200)], BF16)
        inputs = [program.input(f"{name}.x{i}", x) for i, x in enumerate(weights)]
        written = list(zip(*(current(x, E4M3) for x in weights)))
        outs, wanted = [], []
        for part, arrays in enumerate(written):
            for i, array in enumerate(arrays):
                held = self.rng.integers(0, 100, array.shape)
                held = np.asarray(held, np.float32).astype(array.dtype)
                encoding = TENSOR if part % 2 else None
                outs.append(program.input(f"{name}.held{part}.{i}", held, encoding))
                wanted.append(held if flag == 1 else array)
        found = multi_cast_transpose(
            program,
            inputs,
            (E4M3, TENSOR),
            (E4M3, TENSOR),
            noop=program.input(f"{name}.flag", np.float32(flag)),
            outs=outs,
        )
        for number, value in enumerate(value for part in found for value in part):
            program.outputs(**{f"{name}.{number}": value})
            self.wanted[f"{name}.{number}"] = np.asarray(wanted[number])


def main(folder):
    test, compare = Test(), Comparison()
    for source in (np.float32, BF16):
        for target in (E4M3, E5M2):
            name = f"{np.dtype(source)}-{np.dtype(target)}"
            test.add(
                f"delayed-{name}",
                test.weights(SHAPES, source),
                target,
                TENSOR,
                delayed,
                True,
            )
            test.add(
                f"current-{name}", test.weights(SHAPES, source), target, TENSOR, current
            )
            test.add(
                f"square-{name}",
                test.weights(SHAPES, source),
                target,
                SQUARE,
                square,
                pow2=True,
            )
    for count in (65, 130):
        shapes = [(1 + i % 5, 3 + i % 7) for i in range(count)]
        test.add(
            f"{count}-delayed", test.weights(shapes, BF16), E4M3, TENSOR, delayed, True
        )
        test.add(f"{count}-current", test.weights(shapes, BF16), E4M3, TENSOR, current)
    packed = [(5, 33, 130), (1, 7, 9), (3, 128, 256)]
    test.add("packed-delayed", test.weights(packed, BF16), E4M3, TENSOR, delayed, True)
    test.add("packed-current", test.weights(packed, BF16), E5M2, TENSOR, current)
    test.add(
        "packed-square", test.weights(packed, BF16), E4M3, SQUARE, square, pow2=True
    )
    odd = np.float32([[np.nan, 1, -3], [0, -0.0, 2]])
    infinite = np.float32([[np.inf, F32_MAX, 1e-45]])
    test.add("odd-delayed", [odd, infinite], E4M3, TENSOR, delayed, True)
    test.add("odd-current", [odd, infinite], E5M2, TENSOR, current)
    for flag in (0.0, 0.5, 1.0):
        test.add_noop(flag)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in test.wanted.items():
            inside = tuple(slice(0, size) for size in array.shape)
            compare.exact(f"{name}, optimize={optimize}", found[name][inside], array)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
