"""routing.py: offsets, the routing map, and the moves of rows.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import Comparison, f32
from te_program import BF16, E4M3, Program, Scales, Type, functional, round_up

I32 = np.int32


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(13)
        self.program, self.wanted = Program(), {}

    def output(self, name, value, wanted, rows=None):
        """`rows`: those of the result that hold something."""
        self.program.outputs(**{name: value})
        self.wanted[name] = wanted, rows

    def offsets(self, count, alignment):
        counts = self.rng.integers(0, 300, count).astype(I32)
        counts[self.rng.random(count) < 0.2] = 0
        name = f"offsets-{count}-{alignment}"
        x = self.program.input(name, counts)
        (result,) = functional_with_types(
            self.program,
            f"te.compute_offsets {x} {{alignment = {alignment} : i64}}",
            x,
            Type((count + 1,), I32),
        )
        self.output(f"{name}.out", result, exclusive_sum(counts, alignment))

    def routing(self, name, indices, experts, alignment, slack=0, dtype=BF16):
        """The whole way of a micro-batch: map, permute, pad, unpad, unpermute."""
        program, (tokens, top_k) = self.program, indices.shape
        row_map, counts, offsets = route(indices, experts, alignment)
        capacity = max(1, int(offsets[-1])) + slack
        ix = program.input(f"{name}.indices", indices)
        attributes = f"alignment = {alignment} : i64, capacity = {capacity} : i64"
        text = f"te.routing_map {ix} {{{attributes}}}"
        types = (
            Type(indices.shape, I32),
            Type((experts,), I32),
            Type((experts + 1,), I32),
        )
        found = program.op(
            f"{text} : {ix.type} -> {', '.join(map(str, types))}", *types
        )
        for key, value, wanted in zip(
            ("map", "counts", "offsets"), found, (row_map, counts, offsets)
        ):
            self.output(f"{name}.{key}", value, wanted)

        x = self.rng.standard_normal((tokens, 130)).astype(dtype)
        scales = self.rng.random((tokens, 2)).astype(np.float32)
        probs = self.rng.random((tokens, top_k)).astype(np.float32)
        compact = Scales(1, 128, "compact")
        arrays = {"x": x, "probs": probs}
        values = {
            key: program.input(f"{name}.{key}", array) for key, array in arrays.items()
        }
        operands = [values["x"], values["probs"], found[0]]
        types = [Type((capacity, 130), dtype), Type((capacity,), np.float32)]
        text = f"te.permute {values['x']}"
        if dtype == E4M3:
            s = program.input(f"{name}.scales", scales, compact)
            text += f" scales({s})"
            operands.insert(1, s)
            types.insert(1, Type((capacity, 2), np.float32, compact))
        text += f" probs({values['probs']}) rows({found[0]})"
        moved = functional(program, text, operands, *types)
        token, slot = np.nonzero(row_map >= 0)
        rows = row_map[token, slot]
        self.output(
            f"{name}.permuted", moved[0], scatter(capacity, rows, x[token]), rows
        )
        self.output(
            f"{name}.probs",
            moved[-1],
            scatter(capacity, rows, probs[token, slot]),
            rows,
        )
        if dtype == E4M3:
            self.output(
                f"{name}.scales", moved[1], scatter(capacity, rows, scales[token]), rows
            )
            return
        self.unpermute(name, moved, found[0], row_map, dtype)

    def unpermute(self, name, moved, map_value, row_map, dtype):
        """Of random rows, so that the order of the sum shows."""
        capacity = moved[0].type.shape[0]
        y = (self.rng.standard_normal((capacity, 24)) * 100).astype(dtype)
        p = self.rng.random(capacity).astype(np.float32)
        yv, pv = self.program.input(f"{name}.y", y), self.program.input(f"{name}.p", p)
        sums = np.zeros((len(row_map), 24), np.float32)
        for t, rows in enumerate(row_map):
            for row in sorted(rows[rows >= 0], reverse=True):
                sums[t] += f32(y[row])
        summed, gathered = functional(
            self.program,
            f"te.unpermute {yv} probs({pv}) rows({map_value})",
            [yv, pv, map_value],
            Type(sums.shape, dtype),
            Type(row_map.shape, np.float32),
        )
        self.output(f"{name}.summed", summed, sums.astype(dtype))
        kept = np.where(row_map >= 0, p[row_map], np.float32(0))
        self.output(f"{name}.gathered", gathered, kept)

    def padding(self, counts, alignment, dtype):
        counts = np.array(counts, I32)
        name = f"padding-{len(counts)}-{alignment}-{np.dtype(dtype)}"
        dense, wide = exclusive_sum(counts, 1), exclusive_sum(counts, alignment)
        rows, capacity = int(dense[-1]), int(wide[-1])
        x = self.rng.standard_normal((rows, 33)).astype(dtype)
        probs = self.rng.random(rows).astype(np.float32)
        at = np.concatenate(
            [wide[g] + np.arange(c) for g, c in enumerate(counts)]
        ).astype(int)
        keys = {"x": x, "probs": probs, "dense": dense, "wide": wide}
        xv, pv, dv, wv = [self.program.input(f"{name}.{k}", a) for k, a in keys.items()]
        padded = functional(
            self.program,
            f"te.pad {xv} probs({pv}) from({dv}) to({wv})",
            [xv, pv, dv, wv],
            Type((capacity, 33), dtype),
            Type((capacity,), np.float32),
        )
        self.output(f"{name}.padded", padded[0], scatter(capacity, at, x))
        self.output(f"{name}.padded_probs", padded[1], scatter(capacity, at, probs))
        y = self.rng.standard_normal((capacity, 33)).astype(dtype)
        yv = self.program.input(f"{name}.y", y)
        (back,) = functional(
            self.program,
            f"te.unpad {yv} from({wv}) to({dv})",
            [yv, wv, dv],
            Type((rows, 33), dtype),
        )
        self.output(f"{name}.unpadded", back, y[at])


def functional_with_types(program, text, operand, type):
    return program.op(f"{text} : {operand.type} -> {type}", type)


def exclusive_sum(counts, alignment):
    sizes = [round_up(int(count), alignment) for count in counts]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(I32)


def route(indices, experts, alignment):
    """The map, counts and offsets, from a stable sort of the flattened indices."""
    flat = indices.reshape(-1)
    counts = np.bincount(flat[flat >= 0], minlength=experts).astype(I32)
    offsets = exclusive_sum(counts, alignment)
    order = np.argsort(flat, kind="stable")
    order = order[flat[order] >= 0]
    row_map = np.full(flat.shape, -1, I32)
    first = np.concatenate([[0], np.cumsum(counts)])
    expert = flat[order]
    row_map[order] = offsets[expert] + np.arange(order.size) - first[expert]
    return row_map.reshape(indices.shape), counts, offsets


def scatter(capacity, rows, values):
    found = np.zeros((capacity, *values.shape[1:]), values.dtype)
    found[rows] = values
    return found


def main(folder):
    test, compare = Test(), Comparison()
    for count in (1, 4, 255, 256, 257, 1024):
        for alignment in (1, 7, 128):
            test.offsets(count, alignment)
    rng = test.rng

    def distinct(tokens, experts, top_k):
        return np.argsort(rng.random((tokens, experts)), axis=1)[:, :top_k].astype(I32)

    holes = distinct(97, 9, 4)
    holes[rng.random(holes.shape) < 0.3] = -1
    holes[5] = -1
    skewed = holes.copy()
    skewed[(skewed == 0) | (skewed == 4) | (skewed == 8)] = -1
    for alignment in (1, 7, 128):
        test.routing(f"random-{alignment}", distinct(64, 16, 8), 16, alignment)
        test.routing(f"holes-{alignment}", holes, 9, alignment, slack=3)
        test.routing(
            f"empty-experts-{alignment}", skewed, 9, alignment, dtype=np.float32
        )
    test.routing("fp8", holes, 9, 16, dtype=E4M3)
    test.routing("one-expert", np.zeros((33, 1), I32), 1, 16)
    test.routing("one-of-many", np.full((33, 1), 6, I32), 8, 16)
    test.routing("repeated", rng.integers(-1, 3, (50, 5)).astype(I32), 3, 4)
    test.routing("none", np.full((4, 2), -1, I32), 3, 16)
    test.routing("many-experts", distinct(20, 300, 6), 300, 8)
    for dtype in (BF16, np.float32, E4M3):
        test.padding([5, 0, 16, 1, 0, 33], 16, dtype)
        test.padding([7], 128, dtype)
        test.padding(rng.integers(0, 9, 130), 16, dtype)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, (wanted, rows) in test.wanted.items():
            at = slice(None) if rows is None else rows
            compare.exact(f"{name}, optimize={optimize}", found[name][at], wanted[at])
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
