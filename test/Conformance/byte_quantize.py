"""byte_quantize.py: te.quantize to MXFP8 and NVFP4: shapes, kinds of data, squares,
the Hadamard transform, packed tensors, both layouts; the fused swizzle and noop flags.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys
from dataclasses import dataclass, replace

import numpy as np

from byte_scales import LAYOUTS, mxfp8, nvfp4
from oracle import Comparison, largest
from te_program import (
    BF16,
    E4M3,
    E5M2,
    FP4,
    Program,
    Scales,
    Type,
    quantize,
    result_types,
)

SHAPES = [(1, 32), (32, 32), (65, 96), (256, 256), (993, 512), (130, 260), (16, 1632)]


@dataclass(frozen=True)
class Case:
    shape: tuple
    kind: str
    input: type
    dtype: type
    square: bool = False
    transform: bool = False

    def __str__(self):
        options = "-square" * self.square + "-hadamard" * self.transform
        dtypes = f"{np.dtype(self.input)}-{np.dtype(self.dtype)}"
        return f"{'x'.join(map(str, self.shape))}-{self.kind}-{dtypes}{options}"

    @property
    def attributes(self):
        flags = {"square_blocks": self.square, "hadamard": self.transform}
        return [name for name, asked in flags.items() if asked]

    def directions(self, layout):
        """Rowwise, columnwise: (dtype, Scales)."""
        if self.dtype == FP4:
            scales = Scales(1, 16, layout)
            return (FP4, scales), (FP4, scales)
        return (self.dtype, Scales(1, 32, layout)), (self.dtype, Scales(32, 1, layout))

    def array(self, rng):
        if self.kind == "integers":  # whose transform is exact, at many magnitudes
            x = rng.integers(-255, 256, self.shape) * np.exp2(
                rng.integers(-20, 20, (*self.shape[:-2], 1, self.shape[-1]))
            )
            return x.astype(self.input)
        x = rng.standard_normal(self.shape).astype(np.float32)
        flat = x.reshape(-1)
        if self.kind == "spread":
            x *= np.exp2(rng.integers(-30, 30, (*self.shape[:-1], 1)))
        elif self.kind == "zeros":
            flat[:] = np.copysign(np.float32(0), flat)
        elif self.kind == "max":
            flat[:] = np.copysign(np.float32(largest(self.input)), flat)
        elif self.kind == "tiny":  # subnormals
            flat[:] = np.float32(2**-133) * rng.integers(-9, 9, flat.size)
        elif self.kind == "mixed":
            odd = [np.nan, 0, -0.0, 1e-40, largest(self.input) / 2]
            at = rng.integers(0, flat.size, max(3, flat.size // 100))
            flat[at] = rng.choice(np.float32(odd), at.size)
        elif self.kind == "infinite":
            flat[:: max(1, flat.size // 5)] = np.inf
            flat[1 :: max(2, flat.size // 3)] = -np.inf
        elif self.kind == "nan":
            flat[:] = np.nan
        return x.astype(self.input)

    def casts(self, x):
        """What both directions make of a matrix."""
        if self.dtype == FP4:
            return nvfp4(x, square=self.square), nvfp4(
                x, True, self.square, self.transform
            )
        return (
            mxfp8(x, self.dtype, square=self.square),
            mxfp8(x, self.dtype, True, self.square),
        )

    def wanted(self, x, layout):
        """The results in their order: of both directions, of all members."""
        members = x.reshape(-1, *x.shape[-2:])
        casts = list(zip(*(self.casts(member) for member in members)))
        parts = []
        for columnwise, found in enumerate(casts):
            tall = bool(columnwise) and self.dtype != FP4
            parts.append([cast.values for cast in found])
            parts.append([LAYOUTS[layout](cast.scales, tall) for cast in found])
        if self.dtype == FP4:
            parts += [[cast.amax for cast in found] for found in casts]
        parts = [np.stack(part) for part in parts]
        return [part if x.ndim == 3 else part[0] for part in parts]


def cases():
    dtypes = (E4M3, E5M2, FP4)
    for number, shape in enumerate(SHAPES):
        for dtype in dtypes:
            if dtype == FP4 and shape[0] % 2:
                shape = (shape[0] + 1, shape[1])
            case = Case(shape, "spread", (BF16, np.float32)[number % 2], dtype)
            yield case
            yield replace(case, square=True, kind="mixed")
    for kind in ("zeros", "max", "tiny", "mixed", "infinite", "nan"):
        for dtype in dtypes:
            for square in (False, True):
                for input in (BF16, np.float32):
                    yield Case((70, 96), kind, input, dtype, square)
    for shape in ((16, 16), (64, 128), (144, 260), (3, 128, 64)):
        yield Case(shape, "integers", BF16, FP4, transform=True)
    yield Case((64, 64), "zeros", BF16, FP4, transform=True)
    for dtype in dtypes:
        for square in (False, True):
            yield Case((3, 66, 160), "spread", BF16, dtype, square)


def convert(program, scales, data_shape, target):
    """te.convert_scales of the scales of data of this shape, or of members of it."""
    text = f"te.convert_scales {scales} of [{data_shape[-2]}, {data_shape[-1]}]"
    return program.op(f"{text} : {scales.type} -> {target}", target)[0]


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(23)
        self.program, self.wanted = Program(), {}

    def output(self, name, value, wanted):
        self.program.outputs(**{name: value})
        self.wanted[name] = wanted

    def cast(self, case):
        """Both directions at once and alone; scales swizzled by the cast, and after
        it."""
        array = case.array(self.rng)
        x = self.program.input(str(case), array)
        options = {"attributes": case.attributes}
        results = {}
        for layout in LAYOUTS:
            both = case.directions(layout)
            found = results[layout] = quantize(self.program, x, *both, **options)
            for part, wanted in enumerate(case.wanted(array, layout)):
                self.output(f"{case}.{layout}.{part}", found[part], wanted)
        row, column = case.directions("compact")
        for part, value in zip((0, 1), quantize(self.program, x, row, attributes=[
                name for name in case.attributes if name != "hadamard"])):  # fmt: skip
            self.output(
                f"{case}.rows.{part}", value, self.wanted[f"{case}.compact.{part}"]
            )
        alone = quantize(self.program, x, columnwise=column, **options)
        for part, value in zip((2, 3), alone):
            self.output(
                f"{case}.columns.{part}", value, self.wanted[f"{case}.compact.{part}"]
            )
        for values, scales in ((0, 1), (2, 3)):
            compact, fused = (results[layout] for layout in ("compact", "swizzled"))
            after = convert(
                self.program,
                compact[scales],
                compact[values].type.shape,
                fused[scales].type,
            )
            self.output(
                f"{case}.after.{scales}",
                after,
                self.wanted[f"{case}.swizzled.{scales}"],
            )

    def workspaces(self, case, batches=4):
        """A weight cached over micro-batches: cast in the first, a flag of 1 in the
        others, where the weight has changed. All bytes stay, padding of scales too.
        Then a flag of 0 again: a step with another weight."""
        key = f"cached-{case}"
        first = case.array(self.rng)
        flags = [0.0] + [1.0] * (batches - 1) + [0.0]
        for layout in LAYOUTS:
            held = None
            for batch, flag in enumerate(flags):
                array = first if batch == 0 else case.array(self.rng)
                name = f"{key}.{layout}.{batch}"
                w = self.program.input(f"{name}.w", array)
                noop = self.program.input(f"{name}.noop", np.float32(flag))
                if held is None:
                    junk = case.wanted(case.array(self.rng), layout)
                    held = [self.junk(f"{name}.junk.{part}", *pair) for part, pair in
                            enumerate(zip(junk, self.types(case, layout)))]  # fmt: skip
                held = quantize(
                    self.program, w, *case.directions(layout), noop=noop, outs=held,
                    attributes=case.attributes,
                )  # fmt: skip
                current = array if flag == 0 else first
                for part, wanted in enumerate(case.wanted(current, layout)):
                    self.output(f"{name}.{part}", held[part], wanted)

    def types(self, case, layout):
        row, column = case.directions(layout)
        found = result_types(case.shape, row, False)
        found += result_types(case.shape, column, True)
        members = Type(case.shape[:-2], np.float32)
        return found + [members] * (2 if case.dtype == FP4 else 0)

    def junk(self, name, like, type):
        """What a workspace holds before its first cast: random bytes."""
        noise = self.rng.integers(0, 16, like.shape).astype(like.dtype)
        return self.program.input(name, noise, type.encoding)

    def skipped(self, case):
        """A flag of 1 from the start: random bytes, padding too, stay as they are."""
        array = case.array(self.rng)
        w = self.program.input(f"skipped-{case}.w", array)
        noop = self.program.input(f"skipped-{case}.noop", np.float32(1))
        for layout in LAYOUTS:
            name = f"skipped-{case}.{layout}"
            held = [self.junk(f"{name}.{part}", *pair) for part, pair in
                    enumerate(zip(case.wanted(array, layout),
                                  self.types(case, layout)))]  # fmt: skip
            found = quantize(
                self.program, w, *case.directions(layout), noop=noop, outs=held,
                attributes=case.attributes,
            )  # fmt: skip
            for part, value in enumerate(found):
                kept = self.program.arrays[f"{name}.{part}"]
                self.output(f"{name}.{part}.out", value, kept)


def main(folder):
    test, compare = Test(), Comparison()
    all_cases = list(dict.fromkeys(cases()))
    for case in all_cases:
        test.cast(case)
    for dtype in (E4M3, FP4):
        for shape in ((96, 160), (256, 128)):
            for square in (False, True):
                case = Case(shape, "spread", BF16, dtype, square)
                test.workspaces(case)
                test.skipped(case)
    print(f"{len(all_cases)} cases")
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in test.wanted.items():
            compare.exact(f"{name}, optimize={optimize}", found[name], array)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
