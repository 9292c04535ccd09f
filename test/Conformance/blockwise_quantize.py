"""blockwise_quantize.py: te.quantize with blocks, and with one scale of its own amax.

Each case is quantized in every layout and both directions; padding of scales is not
compared, since nothing may read it.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys
from dataclasses import dataclass

import numpy as np

from oracle import F32_MAX, Comparison, largest, quantize_blocks, quantize_tensor
from te_program import BF16, E4M3, E5M2, TENSOR, Program, Scales, quantize

VECTOR, COLUMN, SQUARE = (1, 128), (128, 1), (128, 128)


@dataclass(frozen=True)
class Case:
    shape: tuple
    kind: str
    dtype: type
    fp8: type
    epsilon: float = 0.0
    pow2: bool = True

    def __str__(self):
        height, width = self.shape
        return (
            f"{height}x{width}-{self.kind}-{np.dtype(self.dtype)}-{np.dtype(self.fp8)}"
            f"-{self.epsilon:g}-{'pow2' if self.pow2 else 'f32'}"
        )

    def array(self, rng):
        x = rng.standard_normal(self.shape).astype(np.float32)
        flat = x.reshape(-1)
        if self.kind == "spread":  # magnitudes that change from row to row
            x *= np.exp2(rng.integers(-30, 30, (self.shape[0], 1))).astype(np.float32)
        elif self.kind == "zeros":
            flat[:] = np.where(flat < 0, np.float32(-0.0), np.float32(0.0))
        elif self.kind == "max":
            flat[:] = np.copysign(np.float32(largest(self.dtype)), flat)
        elif self.kind == "tiny":  # subnormals; scales overflow
            flat[:] = np.float32(2**-133) * rng.integers(-9, 9, flat.size)
        elif self.kind == "mixed":  # one oddity in places
            odd = np.float32(
                [np.inf, -np.inf, np.nan, 0, -0.0, 1e-40, largest(self.dtype)]
            )
            at = rng.integers(0, flat.size, max(3, flat.size // 500))
            flat[at] = rng.choice(odd, at.size)
        return x.astype(self.dtype)


def cases():
    f32, both = np.float32, (np.float32, BF16)
    sizes = [
        (1, 16),
        (65, 96),
        (256, 256),
        (993, 512),
        (512, 1632),
        (1024, 1),
        (16, 512),
    ]
    for number, shape in enumerate(sizes):
        yield Case(shape, "spread", both[number % 2], (E4M3, E5M2)[number % 3 == 2])
    for dtype in both:
        for fp8 in (E4M3, E5M2):
            for epsilon in (0.0, 1e-4, 1.0):
                for pow2 in (True, False):
                    yield Case((65, 144), "mixed", dtype, fp8, epsilon, pow2)
                    yield Case((130, 130), "spread", dtype, fp8, epsilon, pow2)
        for kind in ("zeros", "max", "tiny"):
            for pow2 in (True, False):
                yield Case((130, 260), kind, dtype, E4M3, 0.0, pow2)
                yield Case((7, 131), kind, dtype, E5M2, 0.0, pow2)
    yield Case((3, 128), "tiny", f32, E4M3, 2**-133, True)
    yield Case((3, 128), "max", f32, E4M3, F32_MAX, True)


def layouts(case, x):
    """(name, rowwise and columnwise scales, wanted values and scales of both)"""

    def wanted(rows, cols):
        return quantize_blocks(x, rows, cols, case.fp8, case.epsilon, case.pow2)

    values, scales = wanted(*VECTOR)
    values_t, scales_t = wanted(*COLUMN)
    compact = values, scales, values_t, scales_t
    yield "compact", Scales(*VECTOR, "compact"), Scales(*COLUMN, "compact"), compact
    ready = Scales(*VECTOR, "gemm_ready")
    yield "gemm_ready", ready, ready, (values, scales.T, values_t.T, scales_t)
    values, scales = wanted(*SQUARE)
    square = values, scales, values.T, scales.T
    for layout in ("compact", "gemm_ready"):
        encoding = Scales(*SQUARE, layout)
        yield f"square_{layout}", encoding, encoding, square
    values, scale = quantize_tensor(x, case.fp8, case.epsilon, case.pow2)
    yield "tensor", TENSOR, TENSOR, (values, scale, values.T, scale)


def add(program, case, rng, wanted):
    array = case.array(rng)
    x = program.input(str(case), array)
    for name, rowwise, columnwise, expected in layouts(case, array):
        options = {"pow2": case.pow2, "epsilon": case.epsilon}
        rowwise, columnwise = (case.fp8, rowwise), (case.fp8, columnwise)
        both = quantize(program, x, rowwise, columnwise, **options)
        if name == "gemm_ready":  # each direction alone is the same
            both += quantize(program, x, rowwise, **options)
            both += quantize(program, x, columnwise=columnwise, **options)
            expected = expected * 2
        for part, (value, array_of_it) in enumerate(zip(both, expected)):
            key = f"{case}.{name}.{part}"
            program.outputs(**{key: value})
            wanted[key] = array_of_it


def add_packed(program, rng, wanted):
    """A packed tensor: each member has its own blocks, and padding of its own."""
    array = rng.standard_normal((3, 65, 130)).astype(BF16)
    x = program.input("packed", array)
    encodings = {
        "compact": (Scales(*VECTOR, "compact"), Scales(*COLUMN, "compact")),
        "gemm_ready": (Scales(*VECTOR, "gemm_ready"), Scales(*VECTOR, "gemm_ready")),
    }
    rows = [quantize_blocks(member, *VECTOR, E4M3) for member in array]
    columns = [quantize_blocks(member, *COLUMN, E4M3) for member in array]
    parts = [np.stack(part) for part in (*zip(*rows), *zip(*columns))]
    for layout, (rowwise, columnwise) in encodings.items():
        found = quantize(program, x, (E4M3, rowwise), (E4M3, columnwise))
        turned = (1, 2) if layout == "gemm_ready" else ()
        for part, value in enumerate(found):
            array = parts[part]
            wanted[f"packed.{layout}.{part}"] = (
                array.swapaxes(1, 2) if part in turned else array
            )
            program.outputs(**{f"packed.{layout}.{part}": value})


def main(folder):
    rng = np.random.default_rng(7)
    program, compare, wanted = Program(), Comparison(), {}
    for case in cases():
        add(program, case, rng, wanted)
    add_packed(program, rng, wanted)
    for optimize in (False, True):
        found = program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in wanted.items():
            inside = tuple(slice(0, size) for size in np.shape(array))
            compare.exact(f"{name}, optimize={optimize}", found[name][inside], array)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
