"""byte_grouped.py: ragged casts to MXFP8 and NVFP4: all groups at once, group by group,
and each group as a tensor of its own; then back, and under a noop flag.

Groups may be empty, and rows beyond the last hold infinity, which nothing may read.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import mxfp8, nvfp4, real, swizzled
from oracle import Comparison
from te_program import (
    BF16,
    E4M3,
    E5M2,
    FP4,
    Program,
    Scales,
    Type,
    functional,
    quantize,
)

ALIGNED = {
    "aligned": [128, 0, 256, 128],
    "first-empty": [0, 0, 384, 0],
    "many": [128] * 9,
    "all-empty": [0, 0],
}
RAGGED = {  # of FP4 too an even number of rows
    "ragged": [32, 0, 160, 64, 0, 96],
    "short": [6, 0, 46, 2, 0, 130],
    "one": [200],
}
SPARE = 128


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(41)
        self.program, self.checks = Program(), []

    def output(self, name, value, wanted, at):
        """Several parts of one result may be looked at."""
        self.program.outputs(**{name: value})
        self.checks.append((name, np.asarray(wanted), at))

    def cast(self, name, counts, dtype, layout, transform=False):
        """The layouts of each direction, and of members their places in these."""
        program, groups = self.program, len(counts)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        capacity, width = int(starts[-1]) + SPARE, 160
        x = self.rng.integers(-255, 256, (capacity, width)).astype(np.float32)
        x = (x * np.exp2(self.rng.integers(-9, 9, (1, width)))).astype(BF16)
        x[starts[-1] :] = np.inf
        fp4 = dtype == FP4
        length = 16 if fp4 else 32
        row = dtype, Scales(1, length, layout)
        # In either layout grids begin anew with the groups that they are cut along.
        tall = Scales(*((1, 16) if fp4 else (32, 1)), layout, groups)
        attributes = ["hadamard"] if transform else []

        key = f"{name}-{np.dtype(dtype)}-{layout}" + "-hadamard" * transform
        value = program.input(f"{key}.x", x)
        offsets = program.input(f"{key}.offsets", starts)
        host = Type(starts.shape, np.int32, "#te.host")
        (on_host,) = program.op(
            f"te.to_host {offsets} : {offsets.type} -> {host}", host
        )
        options = {"attributes": attributes}
        together = quantize(
            program, value, row, (dtype, tall), offsets=offsets, **options
        )
        held = [program.empty(result.type) for result in together]
        for member in range(groups):
            held = quantize(
                program, value, row, (dtype, tall), offsets=on_host, member=member,
                outs=held, **options,
            )  # fmt: skip
        noise = self.held(key, together)
        outs = [value for value, _ in noise]
        # Only a flag, here of 0, makes what is in the destinations count.
        flag = program.input(f"{key}.go", np.float32(0))
        in_place = quantize(
            program, value, row, (dtype, tall), offsets=offsets, outs=outs, noop=flag,
            **options,
        )  # fmt: skip
        tail = np.s_[starts[-1] :]
        self.output(f"{key}.in-place.tail", in_place[0], noise[0][1][tail], tail)
        for way, found in (
            ("grouped", together),
            ("one-by-one", held),
            ("in-place", in_place),
        ):
            for group, (begin, end) in enumerate(zip(starts, starts[1:])):
                if begin < end:
                    self.group(f"{key}.{way}", found, x[begin:end], dtype, layout,
                               transform, group, begin, tall)  # fmt: skip
        self.back(key, together, dtype, x, starts, offsets)
        self.skip(key, value, row, (dtype, tall), together, offsets, attributes)

    def group(self, key, found, part, dtype, layout, transform, group, begin, tall):
        """The group as a tensor of its own, and where that lies in the results."""
        end, width, fp4 = begin + len(part), part.shape[1], dtype == FP4
        if fp4:
            casts = nvfp4(part), nvfp4(part, True, transform=transform)
        else:
            casts = mxfp8(part, dtype), mxfp8(part, dtype, True)
        rows = np.s_[begin:end]
        across = np.s_[:, begin:end] if fp4 else rows
        self.output(f"{key}.values", found[0], casts[0].values, rows)
        self.output(f"{key}.values_t", found[2], casts[1].values, across)
        for direction, amax in enumerate(found[4:]):
            self.output(f"{key}.amax{direction}", amax, casts[direction].amax, group)
        scales, scales_t = (cast.scales for cast in casts)
        length = 16 if fp4 else 32
        if layout == "compact":
            at = np.s_[begin:end, : scales.shape[1]]
            first = begin // length + group
            count = -(-len(part) // length)
            at_t = np.s_[first : first + count, :width]
            at_t = (at_t[1], at_t[0]) if fp4 else at_t
            wanted, wanted_t = scales, scales_t
        else:  # tiles, padding and all, as bytes one behind another
            wanted = swizzled(scales, False).reshape(-1)
            wanted_t = swizzled(scales_t, not fp4).reshape(-1)
            at = self.bytes_of(found[1], begin * found[1].type.shape[1], wanted)
            outer = found[3].type.shape[0]
            at_t = self.bytes_of(found[3], outer * (begin // length), wanted_t)
        self.output(f"{key}.scales", found[1], wanted, at)
        self.output(f"{key}.scales_t", found[3], wanted_t, at_t)

    @staticmethod
    def bytes_of(scales, first, wanted):
        return ("flat", slice(first, first + wanted.size))

    def back(self, key, found, dtype, x, starts, offsets):
        operands = [found[0], found[1]]
        text = f"te.dequantize {found[0]}, {found[1]}"
        if dtype == FP4:
            operands.append(found[4])
            text += f" amax({found[4]})"
        operands.append(offsets)
        result = Type(x.shape, np.float32)
        (value,) = functional(
            self.program, f"{text} groups({offsets})", operands, result
        )
        for begin, end in zip(starts, starts[1:]):
            if begin < end:
                part = x[begin:end]
                cast = nvfp4(part) if dtype == FP4 else mxfp8(part, dtype)
                wanted = real(cast, 16 if dtype == FP4 else 32)
                self.output(f"{key}.back", value, wanted, np.s_[begin:end])

    def held(self, key, like):
        """Destinations like these results, of random content: (value, array) each."""
        pairs = []
        for part, result in enumerate(like):
            noise = self.rng.integers(0, 16, result.type.shape)
            noise = noise.astype(result.type.dtype)
            name = f"{key}.held{part}"
            pairs.append(
                (self.program.input(name, noise, result.type.encoding), noise)
            )
        return pairs

    def skip(self, key, value, row, tall, like, offsets, attributes):
        """A flag of 1: what the destinations held, every byte of it."""
        noop = self.program.input(f"{key}.noop", np.float32(1))
        held, arrays = zip(*self.held(f"{key}.skipped", like))
        found = quantize(
            self.program, value, row, tall, offsets=offsets, noop=noop, outs=held,
            attributes=attributes,
        )  # fmt: skip
        for part, array in enumerate(arrays):
            self.output(f"{key}.skipped.{part}", found[part], array, ...)


def main(folder):
    test, compare = Test(), Comparison()
    for dtype in (E4M3, E5M2, FP4):
        for name, counts in {**ALIGNED, **RAGGED}.items():
            layouts = ("compact", "swizzled") if name in ALIGNED else ("compact",)
            for layout in layouts:
                test.cast(name, counts, dtype, layout)
                if dtype == FP4 and name in ALIGNED:
                    test.cast(name, counts, dtype, layout, transform=True)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, wanted, at in test.checks:
            array = found[name]
            if isinstance(at, tuple) and at[0] == "flat":
                array, at = array.reshape(-1), at[1]
            label = f"{name}, optimize={optimize}"
            if ".back" in name:  # a product of three, each rounded
                compare.close(label, array[at], wanted, 3e-7 * np.abs(wanted))
            else:
                compare.exact(label, array[at], wanted)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
