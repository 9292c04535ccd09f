"""byte_fusions.py: what casts to MXFP8, or NVFP4, of other ops' results, in one op, and
moves of MXFP8 rows: as the cast of the oracle of what the ops apart give.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import LAYOUTS, Cast, mxfp8, nvfp4, padded, real
from oracle import Comparison
from te_program import (
    BF16,
    E4M3,
    E5M2,
    E8M0,
    FP4,
    Program,
    Scales,
    Type,
    cast_results,
    functional,
    multi_cast_transpose,
)


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(47)
        self.program, self.checks = Program(), []

    def output(self, name, value, wanted, at=...):
        """`wanted`: an array, or what makes it of the results."""
        self.program.outputs(**{name: value})
        self.checks.append((name, wanted, at))

    def random(self, shape, dtype):
        x = self.rng.standard_normal(shape) * np.exp2(
            self.rng.integers(-9, 9, (shape[0], 1))
        )
        return x.astype(dtype)

    def mxfp8_results(self, name, found, source, dtype, layout):
        """Both directions of a cast of `source`, the name of a result or an array."""

        def part(number):
            def wanted(results):
                x = results[source] if isinstance(source, str) else source
                cast = mxfp8(x, dtype, columnwise=number >= 2)
                if number % 2 == 0:
                    return cast.values
                return LAYOUTS[layout](cast.scales, number >= 2)

            return wanted

        for number in range(4):
            self.output(f"{name}.{number}", found[number], part(number))

    def directions(self, dtype, layout):
        return (dtype, Scales(1, 32, layout)), (dtype, Scales(32, 1, layout))

    def activation(self, name, rows, width, input, dtype, layout):
        """The fused op casts the rounded result of the other op, bit for bit."""
        program = self.program
        h = program.input(f"{name}.h", self.random((rows, 2 * width), input))
        p = program.input(f"{name}.p", self.rng.random(rows).astype(np.float32))
        g = program.input(f"{name}.g", self.random((rows, width), input))
        (y,) = functional(
            program, f"te.swiglu {h} probs({p})", [h, p], Type((rows, width), input)
        )
        program.outputs(**{f"{name}.y": y})
        text, types = cast_results((rows, width), *self.directions(dtype, layout))
        fused = program.op(
            f"te.swiglu_quantize {h} probs({p.typed}) : {h.type}{text}", *types
        )
        self.mxfp8_results(f"{name}.forward", fused, f"{name}.y", dtype, layout)

        gradients = [Type(h.type.shape, input), Type((rows,), np.float32)]
        dh, dp = functional(
            program, f"te.swiglu_backward {g}, {h} probs({p})", [g, h, p], *gradients
        )
        program.outputs(**{f"{name}.dh": dh, f"{name}.dp": dp})
        text, types = cast_results(h.type.shape, *self.directions(dtype, layout))
        fused = program.op(
            f"te.swiglu_backward_quantize {g}, {h} probs({p.typed}) : {g.type}, {h.type}"
            f"{text} grad_probs {gradients[1]}",
            *types,
            gradients[1],
        )
        self.mxfp8_results(f"{name}.backward", fused, f"{name}.dh", dtype, layout)
        self.output(f"{name}.probs", fused[4], lambda found: found[f"{name}.dp"])

    def requantize(self, name, shape, layout, extreme):
        """Columnwise copies of received rows: dequantized, rounded, cast again. Scales
        of every code if `extreme`."""
        rows, cols = shape
        low, high = (0, 256) if extreme else (110, 140)
        values = self.rng.integers(0, 256, shape).astype(np.uint8).view(E4M3)
        codes = self.rng.integers(low, high, (rows, -(-cols // 32))).astype(np.uint8)
        scales = codes.view(E8M0)
        q = self.program.input(f"{name}.q", values)
        s = self.program.input(
            f"{name}.s", padded(scales, False), Scales(1, 32, "compact")
        )
        text, types = cast_results(shape, *self.directions(E4M3, layout))
        found = self.program.op(
            f"te.requantize {q}, {s} via bf16 : {q.type}, {s.type}{text}", *types
        )
        with np.errstate(over="ignore"):
            middle = real(Cast(values, scales), 32).astype(np.float32).astype(BF16)
        self.mxfp8_results(name, found, middle, E4M3, layout)

    def permute(self, name, tokens, experts, width, alignment):
        """FP8 rows with compact scales, and rows that are cast on their way."""
        indices = self.rng.integers(0, experts, (tokens, 1)).astype(np.int32)
        counts = np.bincount(indices[:, 0], minlength=experts).astype(np.int32)
        sizes = -(-counts // alignment) * alignment
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        capacity = max(int(offsets[-1]), 32)
        order = np.argsort(indices[:, 0], kind="stable")
        expert = indices[order, 0]
        first = np.concatenate([[0], np.cumsum(counts)])
        row_map = np.zeros((tokens, 1), np.int32)
        row_map[order, 0] = offsets[expert] + np.arange(tokens) - first[expert]
        rows = row_map[:, 0]
        x = self.random((tokens, width), BF16)
        cast = mxfp8(x, E4M3)
        encoding = Scales(1, 32, "compact")
        q = self.program.input(f"{name}.q", cast.values)
        s = self.program.input(f"{name}.s", padded(cast.scales, False), encoding)
        m = self.program.input(f"{name}.map", row_map)
        moved, moved_scales = functional(
            self.program,
            f"te.permute {q} scales({s}) rows({m})",
            [q, s, m],
            Type((capacity, width), E4M3),
            Type(encoding.shape((capacity, width)), E8M0, encoding),
        )
        self.output(f"{name}.rows", moved, cast.values, rows)
        blocks = np.s_[: cast.scales.shape[1]]
        self.output(f"{name}.scales", moved_scales, cast.scales, (rows, blocks))

        value = self.program.input(f"{name}.x", x)
        o = self.program.input(f"{name}.offsets", offsets)
        n = self.program.input(f"{name}.counts", counts)
        tall = Scales(32, 1, "compact", experts)
        text, types = cast_results((capacity, width), (E4M3, encoding), (E4M3, tall))
        found = self.program.op(
            f"te.permute_quantize {value} rows({m.typed}) groups({o.typed}) "
            f"counts({n.typed}) : {value.type}{text}",
            *types,
        )
        whole = np.zeros((capacity, width), BF16)
        whole[rows] = x
        for group, (begin, end) in enumerate(zip(offsets, offsets[1:])):
            if begin == end:
                continue
            part = whole[begin:end]
            across, down = mxfp8(part, E4M3), mxfp8(part, E4M3, True)
            block = begin // 32 + group
            places = [
                (across.values, np.s_[begin:end]),
                (across.scales, np.s_[begin:end, blocks]),
                (down.values, np.s_[begin:end]),
                (down.scales, np.s_[block : block + len(down.scales), :width]),
            ]
            for number, (wanted, at) in enumerate(places):
                self.output(f"{name}.cast.{number}", found[number], wanted, at)

    def weights(self, name, shapes, dtype, layout, square):
        """Any number of weights in one launch."""
        arrays = [self.random((1, *shape), BF16)[0] for shape in shapes]
        inputs = [self.program.input(f"{name}.{i}", x) for i, x in enumerate(arrays)]
        fp4 = dtype == FP4
        row, column = self.directions(dtype, layout)
        if fp4:
            row = column = (FP4, Scales(1, 16, layout))
        found = multi_cast_transpose(self.program, inputs, row, column, square=square)
        for i, x in enumerate(arrays):
            members = x.reshape(-1, *x.shape[-2:])
            parts = []
            for way in (False, True):
                casts = [
                    nvfp4(m, way, square) if fp4 else mxfp8(m, dtype, way, square)
                    for m in members
                ]
                parts.append([cast.values for cast in casts])
                parts.append(
                    [LAYOUTS[layout](cast.scales, way and not fp4) for cast in casts]
                )
                if fp4:
                    parts.append([cast.amax for cast in casts])
            if fp4:
                parts = [parts[number] for number in (0, 1, 3, 4, 2, 5)]
            for number, part in enumerate(parts):
                wanted = np.stack(part) if x.ndim == 3 else part[0]
                self.output(f"{name}.{i}.{number}", found[number][i], wanted)


def main(folder):
    test, compare = Test(), Comparison()
    for dtype in (E4M3, E5M2):
        for layout in LAYOUTS:
            for input in (BF16, np.float32):
                for rows, width in ((1, 32), (70, 96), (128, 256)):
                    name = f"{rows}x{width}-{np.dtype(input)}-{np.dtype(dtype)}-{layout}"
                    test.activation(name, rows, width, input, dtype, layout)
    for layout in LAYOUTS:
        for shape in ((32, 32), (70, 96), (256, 256)):
            for extreme in (False, True):
                name = f"requantize-{shape}-{layout}-{extreme}"
                test.requantize(name, shape, layout, extreme)
    for alignment in (1, 32, 128):
        test.permute(f"permute-{alignment}", 150, 9, 96, alignment)
    shapes = [(2, 32), (66, 64), (128, 128), (3, 34, 160), (1, 128, 32)]
    for dtype in (E4M3, FP4):
        for layout in LAYOUTS:
            for square in (False, True):
                name = f"weights-{np.dtype(dtype)}-{layout}-{square}"
                test.weights(name, shapes, dtype, layout, square)
    many = [(2 + 2 * (i % 5), 16 + 2 * (i % 7)) for i in range(130)]
    test.weights("weights-130", many, FP4, "compact", False)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, wanted, at in test.checks:
            wanted = np.asarray(wanted(found) if callable(wanted) else wanted)
            compare.exact(f"{name}, optimize={optimize}", found[name][at], wanted)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
