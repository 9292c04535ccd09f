"""grouped.py: ragged casts and products, all groups at once and one by one.

Groups may be empty, and rows beyond the last hold infinity, which nothing may read.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import Comparison, quantize_blocks, quantize_tensor
from products import SQUARE, VECTOR, Operand, finished
from te_program import (
    BF16,
    E4M3,
    E5M2,
    TENSOR,
    Program,
    Scales,
    Type,
    functional,
    gemm,
    quantize,
)

COUNTS = {
    "aligned": [128, 0, 256, 128],
    "ragged": [16, 0, 144, 48, 0, 33],
    "first-empty": [0, 0, 7, 1],
    "all-empty": [0, 0],
    "one": [200],
    "many": [3] * 70,
}
SPARE = 21


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(31)
        self.program, self.wanted = Program(), {}

    def output(self, name, value, wanted, at=slice(None)):
        self.program.outputs(**{name: value})
        self.wanted[name] = np.asarray(wanted), at

    def begin(self, name, counts):
        """Returns where groups begin, and offsets on the device and on the host."""
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        offsets = self.program.input(f"{name}.offsets", starts)
        host = Type(starts.shape, np.int32, "#te.host")
        (on_host,) = self.program.op(
            f"te.to_host {offsets} : {offsets.type} -> {host}", host
        )
        return starts, offsets, on_host

    def cast(self, name, counts, dtype, fp8):
        starts, offsets, on_host = self.begin(name, counts)
        groups, capacity, width = len(counts), int(starts[-1]) + SPARE, 160
        x = self.rng.standard_normal((capacity, width))
        x *= np.exp2(self.rng.integers(-9, 9, (capacity, 1)))
        x = x.astype(dtype)
        x[starts[-1] :] = np.inf  # which an amax would show, unlike NaN
        value = self.program.input(f"{name}.x", x)
        ranges = list(zip(starts, starts[1:]))

        columnwise = Scales(1, 128, "gemm_ready", groups)
        rowwise, spread_out = (fp8, VECTOR), (fp8, columnwise)
        found = {
            "grouped": quantize(
                self.program, value, rowwise, spread_out, offsets=offsets, pow2=True
            )
        }
        outs = [self.program.empty(result.type) for result in found["grouped"]]
        for member in range(groups):
            outs = quantize(
                self.program,
                value,
                rowwise,
                spread_out,
                offsets=on_host,
                member=member,
                outs=outs,
                pow2=True,
            )
        found["one-by-one"] = outs
        for way, (values, scales, values_t, scales_t) in found.items():
            for group, (begin, end) in enumerate(ranges):
                if begin == end:
                    continue
                part, key = x[begin:end], f"{name}.{way}.{group}"
                self.output_of(
                    key,
                    "values",
                    values,
                    quantize_blocks(part, 1, 128, fp8, pow2=True)[0],
                    np.s_[begin:end],
                )
                self.output_of(
                    key,
                    "scales",
                    scales,
                    quantize_blocks(part, 1, 128, fp8, pow2=True)[1].T,
                    np.s_[:, begin:end],
                )
                cells, factors = quantize_blocks(part, 128, 1, fp8, pow2=True)
                first = begin // 128 + group
                self.output_of(key, "values_t", values_t, cells.T, np.s_[:, begin:end])
                self.output_of(
                    key,
                    "scales_t",
                    scales_t,
                    factors,
                    np.s_[first : first + len(factors), :width],
                )

        tensor = Scales(0, 0, "tensor", groups)
        values, scales = quantize(self.program, value, (fp8, tensor), offsets=offsets)
        parts = [quantize_tensor(x[begin:end], fp8) for begin, end in ranges]
        cells = np.concatenate([part for part, _ in parts])
        self.output(f"{name}.tensor.values", values, cells, np.s_[: starts[-1]])
        self.output(
            f"{name}.tensor.scales", scales, np.stack([scale for _, scale in parts])
        )
        (back,) = functional(
            self.program,
            f"te.dequantize {values}, {scales} groups({offsets})",
            [values, scales, offsets],
            Type(x.shape, dtype),
        )
        reals = [np.float32(q.astype(np.float32) * s) for q, s in parts]
        self.output(
            f"{name}.back",
            back,
            np.concatenate(reals).astype(dtype),
            np.s_[: starts[-1]],
        )

    def output_of(self, key, name, value, wanted, at):
        """Several parts of one result may be looked at."""
        whole = f"{key.rsplit('.', 1)[0]}.{name}"
        self.program.outputs(**{whole: value})
        self.wanted[f"{key}.{name}", whole] = np.asarray(wanted), at

    def over_rows(self, name, counts, encodings, packed, result, with_bias):
        starts, offsets, on_host = self.begin(name, counts)
        groups, capacity = len(counts), int(starts[-1]) + SPARE
        left, right = encodings
        lhs = Operand(self.rng, (capacity, 144), E4M3 if left else BF16, left, starts)
        weights = [
            Operand(self.rng, (40, 144), E4M3 if right else BF16, right) for _ in counts
        ]
        biases = self.rng.integers(-9, 9, (groups, 40)).astype(result)
        lhs_value, lhs_scales = lhs.inputs(self.program, f"{name}.lhs")
        pairs = [
            w.inputs(self.program, f"{name}.rhs{e}") for e, w in enumerate(weights)
        ]
        bias_values = [
            self.program.input(f"{name}.bias{e}", b) for e, b in enumerate(biases)
        ]
        type = Type((capacity, 40), result)

        one = self.program.empty(type)
        for member, (rhs, rhs_scales) in enumerate(pairs):
            (one,) = gemm(
                self.program,
                lhs_value,
                [rhs],
                [type],
                lhs_scales,
                [rhs_scales] if right else [],
                bias_values[member : member + 1] if with_bias else [],
                on_host,
                member,
                "rows",
                [one],
            )
        lists = [
            [rhs for rhs, _ in pairs],
            [s for _, s in pairs] if right else [],
            bias_values if with_bias else [],
        ]
        if packed:
            lists = [self.pack(values) for values in lists]
        rhs, rhs_scales, bias = lists
        (all_at_once,) = gemm(
            self.program,
            lhs_value,
            rhs,
            [type],
            lhs_scales,
            rhs_scales,
            bias,
            offsets,
            over="rows",
        )
        rows = [
            finished(
                lhs.real[begin:end].astype(np.float64) @ w.real.T,
                result,
                biases[e] if with_bias else None,
            )
            for e, (begin, end, w) in enumerate(zip(starts, starts[1:], weights))
        ]
        for way, value in (("one-by-one", one), ("grouped", all_at_once)):
            self.output(
                f"{name}.{way}", value, np.concatenate(rows), np.s_[: starts[-1]]
            )

    def pack(self, values):
        if not values:
            return []
        member = values[0].type
        type = Type((len(values), *member.shape), member.dtype, member.encoding)
        names = ", ".join(map(str, values))
        return self.program.op(f"te.pack {names} : {member} -> {type}", type)

    def over_reduction(self, name, counts, encoding, packed, result, accumulate):
        starts, offsets, on_host = self.begin(name, counts)
        groups, capacity = len(counts), int(starts[-1]) + SPARE
        operands = [
            Operand(
                self.rng,
                (rows, capacity),
                dtype if encoding else BF16,
                encoding,
                starts,
                1,
            )
            for rows, dtype in ((24, E5M2), (40, E4M3))
        ]
        (lhs, lhs_scales), (rhs, rhs_scales) = [
            operand.inputs(self.program, f"{name}.{side}")
            for side, operand in zip("lr", operands)
        ]
        shape = (groups, 24, 40)
        held = (
            (self.rng.standard_normal(shape) * 30).astype(result)
            if accumulate
            else None
        )
        member_type, type = Type(shape[1:], result), Type(shape, result)
        if accumulate:
            held_values = [
                self.program.input(f"{name}.held{e}", x) for e, x in enumerate(held)
            ]
        else:
            held_values = [self.program.empty(member_type) for _ in counts]
        scales = [rhs_scales] if encoding else []
        attributes = ["accumulate"] if accumulate else []
        singles = [
            gemm(
                self.program,
                lhs,
                [rhs],
                [member_type],
                lhs_scales,
                scales,
                (),
                on_host,
                member,
                "reduction",
                held_values[member : member + 1],
                attributes,
            )[0]
            for member in range(groups)
        ]
        types = [type] if packed else [member_type] * groups
        outs = held_values if accumulate else []
        outs = self.pack(outs) if packed else outs
        grouped = gemm(
            self.program,
            lhs,
            [rhs],
            types,
            lhs_scales,
            scales,
            (),
            offsets,
            None,
            "reduction",
            outs,
            attributes,
        )
        wanted = []
        for e, (begin, end) in enumerate(zip(starts, starts[1:])):
            left, right = (
                operand.real[:, begin:end].astype(np.float64) for operand in operands
            )
            if accumulate and begin == end:
                wanted.append(held[e])
            else:
                wanted.append(
                    finished(
                        left @ right.T, result, None, held[e] if accumulate else None
                    )
                )
        for e, value in enumerate(singles):
            self.output(f"{name}.single{e}", value, wanted[e])
        if packed:
            self.output(f"{name}.packed", grouped[0], np.stack(wanted))
        else:
            for e, value in enumerate(grouped):
                self.output(f"{name}.listed{e}", value, wanted[e])

    def products(self, name, counts):
        groups = len(counts)
        per_group = Scales(0, 0, "tensor", groups)
        rows = {
            "block": (VECTOR, SQUARE),
            "1Dx1D": (VECTOR, VECTOR),
            "bf16": (None, None),
            "tensor": (per_group, TENSOR),
        }
        along = {
            "block": Scales(1, 128, "gemm_ready", groups),
            "bf16": None,
            "tensor": per_group,
        }
        for number, (kind, encodings) in enumerate(rows.items()):
            self.over_rows(
                f"{name}-rows-{kind}",
                counts,
                encodings,
                number % 2 == 0,
                (BF16, np.float32)[number // 2],
                number % 2 == 1,
            )
        for number, (kind, encoding) in enumerate(along.items()):
            for accumulate in (False, True):
                packed = (number + accumulate) % 2 == 0
                self.over_reduction(
                    f"{name}-reduction-{kind}-{accumulate}",
                    counts,
                    encoding,
                    packed,
                    (np.float32, BF16)[number % 2],
                    accumulate,
                )


def main(folder):
    test, compare = Test(), Comparison()
    for number, (name, counts) in enumerate(COUNTS.items()):
        test.cast(
            name, counts, (BF16, np.float32)[number % 2], (E4M3, E5M2)[number % 3 == 2]
        )
        test.products(name, counts)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, (wanted, at) in test.wanted.items():
            whole = name[-1] if isinstance(name, tuple) else name
            compare.exact(f"{name}, optimize={optimize}", found[whole][at], wanted)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
