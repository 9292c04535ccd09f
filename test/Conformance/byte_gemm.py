"""byte_gemm.py: products of MXFP8 and of NVFP4 operands, dense and of groups.

Made operands are small integers with power-of-two scales, so that every sum is exact in
F32 and results compare bit for bit. Operands that are cast from random data are compared
with the float64 product of what they stand for.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import RANGE, mxfp8, nvfp4, real, swizzled
from oracle import Comparison, f32, spread
from products import finished
from te_program import BF16, E4M3, E5M2, FP4, Program, Scales, Type, gemm, quantize

COUNTS = {
    "aligned": [128, 0, 256, 128],
    "first-empty": [0, 0, 128],
    "all-empty": [0, 0],
    "many": [128] * 5,
}
SPARE = 128
SHAPES = [(128, 128, 128), (320, 144, 352), (16, 128, 64), (1, 1, 32), (130, 40, 512)]
# Which operands are stored K first: MXFP8 ones only. y = x W^T; dx = dy W; dW = dy^T x.
FORMS = {"TN": (False, False), "NN": (False, True), "NT": (True, True)}


class Operand:
    """outer x reduction. `starts`: where groups begin and end along `ragged`, "outer"
    or "reduction"; each has tiles and an amax of its own."""

    def __init__(self, rng, outer, reduction, dtype, turned, starts=None, ragged=None):
        fp4 = dtype == FP4
        self.turned, self.starts, self.ragged = turned, starts, ragged
        length = 16 if fp4 else 32
        shape = outer, reduction
        self.values = rng.integers(-3, 4, shape).astype(np.float32).astype(dtype)
        blocks = -(-reduction // length)
        groups = len(starts) - 1 if ragged == "reduction" else 0
        self.encoding = Scales(*((32, 1) if turned else (1, length)), "swizzled", groups)
        self.grid = np.exp2(rng.integers(-2, 3, (outer, blocks))).astype(
            self.encoding.dtype
        )
        factors = spread(f32(self.grid), 1, length, shape)
        self.amax = None
        if fp4:
            members = () if starts is None else (len(starts) - 1,)
            self.amax = f32(RANGE * np.exp2(rng.integers(-2, 3, members)))
            factors = factors * self.amax_of_elements(shape) / RANGE
        self.real = f32(self.values) * factors
        if starts is not None:  # nothing reads what belongs to no group
            tail = self.real.T if ragged == "reduction" else self.real
            tail[starts[-1] :] = np.nan

    def amax_of_elements(self, shape):
        if self.starts is None:
            return self.amax
        counts = np.diff(self.starts)
        each = np.repeat(self.amax, counts)
        size = shape[1] if self.ragged == "reduction" else shape[0]
        each = np.pad(each, (0, size - each.size))
        return each[None, :] if self.ragged == "reduction" else each[:, None]

    def scales(self):
        if self.ragged != "reduction":
            return swizzled(self.grid, False)
        # The tiles of a group behind those of the one before.
        length = max(self.encoding.rows, self.encoding.cols)
        cuts = [start // length for start in self.starts]
        parts = [
            swizzled(np.ascontiguousarray(self.grid[:, begin:end]), False).reshape(-1)
            for begin, end in zip(cuts, cuts[1:])
            if begin < end
        ]
        stored = self.values.shape[::-1] if self.turned else self.values.shape
        whole = np.full(self.encoding.shape(stored), 0x7F, np.uint8)
        flat = np.concatenate([part.view(np.uint8) for part in parts] or [whole[:0, 0]])
        whole.reshape(-1)[: flat.size] = flat
        return whole.view(self.encoding.dtype)

    def stored(self):
        return np.ascontiguousarray(self.values.T if self.turned else self.values)

    def inputs(self, program, name):
        """Data, scales, and amax or None."""
        amax = None
        if self.amax is not None:
            amax = program.input(f"{name}.amax", self.amax)
        return (
            program.input(name, self.stored()),
            program.input(f"{name}.scales", self.scales(), self.encoding),
            amax,
        )


def flags(form, *more):
    names = ("transpose_lhs", "transpose_rhs")
    return [name for name, turned in zip(names, FORMS[form]) if turned] + [*more]


class Test:
    def __init__(self):
        self.rng = np.random.default_rng(43)
        self.program, self.checks = Program(), []

    def output(self, name, value, wanted, at=..., tolerance=None):
        self.program.outputs(**{name: value})
        self.checks.append((name, np.asarray(wanted), at, tolerance))

    def dense(self, name, shape, form, dtypes, result, with_bias, accumulate):
        m, n, k = shape
        sides = [
            Operand(self.rng, outer, k, dtype, turned)
            for outer, dtype, turned in zip((m, n), dtypes, FORMS[form])
        ]
        (lhs, ls, la), (rhs, rs, ra) = (
            side.inputs(self.program, f"{name}.{tag}") for side, tag in zip(sides, "lr")
        )
        bias = self.rng.integers(-9, 9, n).astype(result) if with_bias else None
        held = self.rng.integers(-99, 99, (m, n)).astype(result) if accumulate else None
        biases = [self.program.input(f"{name}.bias", bias)] if with_bias else []
        outs = [self.program.input(f"{name}.held", held)] if accumulate else []
        (value,) = gemm(
            self.program, lhs, [rhs], [Type((m, n), result)], ls, [rs], biases,
            outs=outs, attributes=flags(form, *["accumulate"] * accumulate),
            lhs_amax=la, rhs_amax=[ra] if ra else [],
        )  # fmt: skip
        product = sides[0].real.astype(np.float64) @ sides[1].real.T
        self.output(name, value, finished(product, result, bias, held))

    def offsets(self, name, counts):
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        offsets = self.program.input(f"{name}.offsets", starts)
        host = Type(starts.shape, np.int32, "#te.host")
        (on_host,) = self.program.op(
            f"te.to_host {offsets} : {offsets.type} -> {host}", host
        )
        return starts, offsets, on_host

    def pack(self, values):
        member = values[0].type
        type = Type((len(values), *member.shape), member.dtype, member.encoding)
        names = ", ".join(map(str, values))
        return self.program.op(f"te.pack {names} : {member} -> {type}", type)

    def over_rows(self, name, counts, form, dtypes, packed, result, with_bias):
        starts, offsets, on_host = self.offsets(name, counts)
        capacity, n, k = int(starts[-1]) + SPARE, 48, 160
        lhs = Operand(self.rng, capacity, k, dtypes[0], FORMS[form][0], starts, "outer")
        weights = [Operand(self.rng, n, k, dtypes[1], FORMS[form][1]) for _ in counts]
        x, xs, xa = lhs.inputs(self.program, f"{name}.x")
        inputs = [w.inputs(self.program, f"{name}.w{e}") for e, w in enumerate(weights)]
        biases = self.rng.integers(-9, 9, (len(counts), n)).astype(result)
        bias_values = [
            self.program.input(f"{name}.bias{e}", bias) for e, bias in enumerate(biases)
        ]
        lists = [[part for part in parts if part] for parts in zip(*inputs)]
        lists.append(bias_values if with_bias else [])
        type = Type((capacity, n), result)
        options = {"over": "rows", "lhs_amax": xa, "attributes": flags(form)}
        one = self.program.empty(type)
        for member in range(len(counts)):
            rhs, rs, ra, bias = (part[member : member + 1] for part in lists)
            # The amax of a ragged operand: all of it, also for a member.
            (one,) = gemm(
                self.program, x, rhs, [type], xs, rs, bias, on_host, member,
                rhs_amax=ra, outs=[one], **options,
            )  # fmt: skip
        if packed:
            lists = [self.pack(part) if part else [] for part in lists]
        rhs, rs, ra, bias = lists
        (whole,) = gemm(
            self.program, x, rhs, [type], xs, rs, bias, offsets, rhs_amax=ra, **options
        )
        for way, value in (("one-by-one", one), ("grouped", whole)):
            for e, (begin, end) in enumerate(zip(starts, starts[1:])):
                product = lhs.real[begin:end].astype(np.float64) @ weights[e].real.T
                wanted = finished(product, result, biases[e] if with_bias else None)
                self.output(f"{name}.{way}", value, wanted, np.s_[begin:end])

    def over_reduction(self, name, counts, form, dtypes, packed, result, accumulate):
        starts, offsets, on_host = self.offsets(name, counts)
        capacity, m, n = int(starts[-1]) + SPARE, 24, 136
        sides = [
            Operand(self.rng, outer, capacity, dtype, turned, starts, "reduction")
            for outer, dtype, turned in zip((m, n), dtypes, FORMS[form])
        ]
        (lhs, ls, la), (rhs, rs, ra) = (
            side.inputs(self.program, f"{name}.{tag}") for side, tag in zip(sides, "lr")
        )
        shape = len(counts), m, n
        held = self.rng.integers(-99, 99, shape).astype(result)
        holders = [
            self.program.input(f"{name}.held{e}", each) for e, each in enumerate(held)
        ]
        member_type = Type((m, n), result)
        options = {
            "over": "reduction", "lhs_amax": la, "rhs_amax": [ra] if ra else [],
            "attributes": flags(form, *["accumulate"] * accumulate),
        }  # fmt: skip
        singles = [
            gemm(self.program, lhs, [rhs], [member_type], ls, [rs], (), on_host, e,
                 outs=holders[e : e + 1], **options)[0]
            for e in range(len(counts))
        ]  # fmt: skip
        types = [Type(shape, result)] if packed else [member_type] * len(counts)
        outs = (self.pack(holders) if packed else holders) if accumulate else []
        grouped = gemm(
            self.program, lhs, [rhs], types, ls, [rs], (), offsets, outs=outs, **options
        )
        for e, (begin, end) in enumerate(zip(starts, starts[1:])):
            left, right = (s.real[:, begin:end].astype(np.float64) for s in sides)
            wanted = finished(left @ right.T, result, None, held[e] if accumulate else None)
            if accumulate and begin == end:
                wanted = held[e]
            self.output(f"{name}.single{e}", singles[e], wanted)
            value, at = (grouped[0], e) if packed else (grouped[e], ...)
            self.output(f"{name}.{'packed' if packed else e}", value, wanted, at)

    def from_random(self, name, dtype, shape):
        """Forward and both gradients of a layer of random data: cast, then multiplied."""
        m, n, k = shape
        fp4 = dtype == FP4
        length = 16 if fp4 else 32
        row = dtype, Scales(1, length, "swizzled")
        column = dtype, Scales(*((1, 16) if fp4 else (32, 1)), "swizzled")
        parts, exact = {}, {}
        for tag, size in (("x", (m, k)), ("w", (n, k)), ("dy", (m, n))):
            array = self.rng.standard_normal(size)
            array = (array * np.exp2(self.rng.integers(-4, 4, (size[0], 1)))).astype(BF16)
            value = self.program.input(f"{name}.{tag}", array)
            square = tag == "w"
            parts[tag] = quantize(
                self.program, value, row, column,
                attributes=["square_blocks"] if square else [],
            )  # fmt: skip
            casts = [
                nvfp4(array, way, square) if fp4 else mxfp8(array, dtype, way, square)
                for way in (False, True)
            ]
            exact[tag] = (
                real(casts[0], length),
                real(casts[1], length).T if fp4 else real(casts[1], length, True),
            )
        products = {"y": ("x", 0, "w", 0, "TN"), "dx": ("dy", 0, "w", 1, "NN"),
                    "dw": ("dy", 1, "x", 1, "NT")}  # fmt: skip
        for key, (left, i, right, j, form) in products.items():
            a, b = parts[left], parts[right]
            lhs = exact[left][i].T if i else exact[left][i]
            rhs = exact[right][j] if j else exact[right][j].T
            type = Type((lhs.shape[0], rhs.shape[1]), np.float32)
            (value,) = gemm(
                self.program, a[2 * i], [b[2 * j]], [type], a[2 * i + 1], [b[2 * j + 1]],
                attributes=[] if fp4 else flags(form),
                lhs_amax=a[4 + i] if fp4 else None, rhs_amax=[b[4 + j]] if fp4 else [],
            )  # fmt: skip
            terms = np.abs(lhs) @ np.abs(rhs)
            tolerance = (lhs.shape[1] + 4) * 2.0**-24 * terms
            self.output(f"{name}.{key}", value, lhs @ rhs, ..., tolerance)


def main(folder):
    test, compare = Test(), Comparison()
    recipes = [(form, pair) for form in FORMS for pair in ((E4M3, E4M3), (E5M2, E4M3))]
    recipes.append(("TN", (FP4, FP4)))
    number = 0
    for form, dtypes in recipes:
        names = "-".join(str(np.dtype(dtype)) for dtype in dtypes)
        for shape in SHAPES:
            for accumulate in (False, True):
                number += 1
                result = (BF16, np.float32)[number % 2]
                test.dense(f"dense-{form}-{names}-{shape}-{accumulate}", shape, form,
                           dtypes, result, number % 3 == 0, accumulate)  # fmt: skip
        for name, counts in COUNTS.items():
            for flag in (False, True):
                number += 1
                result = (BF16, np.float32)[number % 2]
                key = f"{name}-{form}-{names}-{flag}"
                if form != "NT":
                    test.over_rows(f"rows-{key}", counts, form, dtypes, flag, result,
                                   number % 3 == 0)  # fmt: skip
                if form == "NT" or dtypes[0] == FP4:
                    test.over_reduction(f"reduction-{key}", counts, form, dtypes,
                                        number % 3 == 0, result, flag)  # fmt: skip
    for dtype in (E4M3, FP4):
        for shape in ((128, 128, 128), (160, 96, 288)):
            test.from_random(f"random-{np.dtype(dtype)}-{shape}", dtype, shape)
    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, wanted, at, tolerance in test.checks:
            label = f"{name}, optimize={optimize}"
            if tolerance is None:
                compare.exact(label, found[name][at], wanted)
            else:
                compare.close(label, found[name][at], wanted, tolerance)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
