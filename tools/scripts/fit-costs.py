#!/usr/bin/env python3
"""Fits tables of lib/Dialect/TE/IR/{Prediction,ProductTime}.cpp to profiles, and prints them.

  usage: fit-costs.py LAYER.mlir=PROFILE ...

LAYER.mlir is a lowered program, PROFILE what te-exec --backend=cuda --steps=N --profile
printed for the plan that te-translate made of that very file: a row's location names the
line of its call. Times are non-negative least squares of relative errors.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import math
import re
import sys

import numpy

LAUNCH = 2500.0
BYTES = {"f32": 4, "i32": 4, "i64": 8, "bf16": 2, "f16": 2}
BYTES.update(dict.fromkeys(("f8E4M3FN", "f8E5M2", "f8E8M0FNU", "i8"), 1))
CALL = re.compile(
    r"te_rt\.call @(\w+)\((.*?)\) scalars\((.*?)\) cost\(#te_rt\.cost<(.*?)>\)[^:]*: (.*)$"
)


def tensors(text):
    """(element type, extents, encoding) of each buffer type in `text`."""
    found = []
    for body in re.findall(r"!te_rt\.buffer<((?:[^<>]|<[^<>]*>)*)>", text):
        shape, _, encoding = body.partition(",")
        *extents, element = shape.strip().split("x")
        found.append((element, [int(e) for e in extents], encoding.strip()))
    return found


class Call:
    """A te_rt.call, as far as its time depends on it."""

    def __init__(self, line):
        self.function, slots, scalars, cost, types = CALL.search(line).groups()
        number = lambda name: int((re.search(rf"{name} = (\d+)", cost) or [0, 0])[1])
        self.launches, self.bytes = number("launches"), number("bytes")
        self.flops = number("flops")
        self.scalars = [int(s) for s in scalars.split(",") if s.strip().isdigit()]
        rest = iter(tensors(types))
        self.slots = []
        for direction, names in re.findall(r"(in|out)\(([^()]*)\)", slots + ")"):
            self.slots.append((direction, [next(rest) for _ in names.split("%")[1:]]))

    def memory(self):
        """((function, form), bytes read, bytes written) as in getMemoryTime."""
        fp8, tensor, written = 0, False, 0
        for direction, types in self.slots:
            for i, (element, extents, encoding) in enumerate(types):
                if direction == "in":
                    continue
                written += math.prod(extents) * BYTES[element]
                tensor |= "scales<tensor" in encoding
                fp8 += not i and element in ("f8E4M3FN", "f8E5M2")
        cast = ("both" if fp8 > 1 else "one") + (" tensor" if tensor else " block")
        return (self.function, cast if fp8 else ""), self.bytes - written, written

    def product(self):
        """(form, tiles, blocks) as in getProductTime."""
        lhs, scales = self.slots[0][1][0], self.slots[1][1]
        if self.function == "grouped_gemm_swiglu_quantize":
            m, k = lhs[1]
            n, groups = self.flops / (2 * m * k), self.slots[5][1][0][1][0] - 1
            form = "both" if self.slots[7][1] and self.slots[9][1] else "one"
            tiles = math.ceil(n / 128) * (m / 128 + groups / 2)
            return (f"gated {form}", False, False), tiles, math.ceil(k / 128)
        groups = self.slots[7][1][0][1][0] - 1
        *_, m, n = self.slots[8][1][0][1]
        reduction = self.scalars[0] == 2
        k = self.flops / (2 * n * (m if reduction else lhs[1][0]))
        form = "bf16"
        if scales:
            form = "tensor" if "scales<tensor" in scales[0][2] else "block"
        ragged = lambda rows: rows / 128 + groups / 2
        tiles = math.ceil(n / 128) * (
            groups * math.ceil(m / 128) if reduction else ragged(m)
        )
        blocks = ragged(k) / groups if reduction else math.ceil(k / 128)
        return (form, reduction, bool(self.scalars[3])), tiles, blocks


def read(program, profile):
    """Pairs of a call and its nanoseconds."""
    with open(program) as file:
        lines = file.read().split("\n")
    with open(profile) as file:
        rows = [row.split() for row in file]
    columns = next(r for r in rows if r[:2] == ["function", "class"])
    for row in rows:
        place = re.search(r":(\d+):\d+$", row[-1]) if row else None
        if not place or len(row) < len(columns) - 1:
            continue
        if "variant" in columns and row[columns.index("variant")] == "groups":
            continue  # not our kernel
        times = float(row[columns.index("us")]) * 1e3 / int(row[2])
        yield Call(lines[int(place[1]) - 1]), times


def fit(samples, forms):
    """(x, error) of a.x = t: of least relative errors and not below 0, by the first of
    `forms`, columns of a to use, that no later one betters by 2 %."""
    a = numpy.array([s[0] for s in samples], dtype=float)
    t = numpy.array([s[1] for s in samples], dtype=float)
    best = None
    for form in forms:
        if len(form) > len(t):
            continue
        chosen = numpy.stack([a[:, list(c)].sum(axis=1) for c in form], axis=1)
        x = numpy.linalg.lstsq(chosen / t[:, None], numpy.ones_like(t), rcond=None)[0]
        if (x < 0).any():
            continue
        full = numpy.zeros(a.shape[1])
        for c, value in zip(form, x):
            full[list(c)] = value
        error = numpy.abs(a @ full / t - 1).max()
        if best is None or error < best[1] - 0.02:
            best = (full, error)
    return best


# Of bytes read, bytes written, and neither: all bytes alike, or not, and a fixed part.
MEMORY = [[(0, 1)], [(0, 1), (2,)], [(0,), (1,)], [(1,)], [(1,), (2,)], [(0,), (1,), (2,)]]
# Of blocks and tiles.
PRODUCT = [[(0,)], [(0,), (1,)]]


def main():
    if len(sys.argv) < 2 or any("=" not in pair for pair in sys.argv[1:]):
        sys.exit("fit-costs.py: error: found no LAYER.mlir=PROFILE, wanted some")
    memory, products = {}, {}
    for pair in sys.argv[1:]:
        for call, time in read(*pair.split("=")):
            time -= LAUNCH * call.launches
            # Of one launch: not those that went to the library, group by group.
            if (
                call.flops
                and call.function.startswith("grouped_gemm")
                and call.launches == 1
            ):
                form, tiles, blocks = call.product()
                products.setdefault(form, []).append(([tiles * blocks, tiles], time))
            elif not call.flops and time > 10e3:
                form, reads, writes = call.memory()
                memory.setdefault(form, []).append(([reads, writes, 1], time))
    flag = lambda value: "true" if value else "false"
    for (function, form), samples in sorted(memory.items()):
        (reads, writes, fixed), error = fit(samples, MEMORY)
        print(
            f'    {{"{function}", "{form}", {reads * 1e3:.4g}, {writes * 1e3:.4g}, {fixed / 1e3:.3g}}},'
            f" // {len(samples)} to {error:.0%}"
        )
    for (form, reduction, adds), samples in sorted(products.items()):
        (block, tile), error = fit(samples, PRODUCT)
        print(
            f'    {{"{form}", {flag(reduction)}, {flag(adds)}, {tile:.3g}, {block:.3g}}},'
            f" // {len(samples)} to {error:.0%}"
        )


if __name__ == "__main__":
    main()
