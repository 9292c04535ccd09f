"""stochastic_rounding.py: NVFP4 values rounded up and down at random.

Each is one of the two FP4 values around what is rounded, on average what is rounded;
the same state gives the same bits, another state, stream or direction others.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import nvfp4, padded
from oracle import Comparison, f32
from te_program import BF16, FP4, Program, Scales, Type, quantize

ENCODING = (FP4, Scales(1, 16, "compact"))
CODES = f32(np.arange(8, dtype=np.uint8).view(FP4))
# (state, stream): the first two are one, and all others differ.
DRAWS = [((7, 0), 0), ((7, 0), 0), ((7, 1), 0), ((7, 0), 2), ((-8, 0), 0), ((7, 2**40), 0)]


def around(scaled):
    """The FP4 values next to each: at or below its magnitude, and above."""
    magnitude = np.minimum(np.abs(scaled), np.float32(6))
    below = np.searchsorted(CODES, magnitude, side="right") - 1
    above = np.where(CODES[below] == magnitude, below, np.minimum(below + 1, 7))
    return np.copysign(CODES[below], scaled), np.copysign(CODES[above], scaled)


class Test:
    def __init__(self, rng):
        self.rng = rng
        self.program, self.checks = Program(), []

    def results(self, name, values):
        self.program.outputs(**{f"{name}.{i}": value for i, value in enumerate(values)})

    def draws(self, name, x, transform=False):
        """All draws of one matrix, both directions, and what is rounded in them."""
        attributes = ["hadamard"] if transform else []
        value = self.program.input(f"{name}.x", x)
        for number, (state, stream) in enumerate(DRAWS):
            rng = self.program.input(f"{name}.rng{number}", np.int64(state))
            stream = [f"rng_stream = {stream} : i64"]
            found = quantize(
                self.program, value, ENCODING, ENCODING, rng=rng,
                attributes=attributes + stream,
            )  # fmt: skip
            self.results(f"{name}.{number}", found)
        return nvfp4(x), nvfp4(x, True, transform=transform)


def check_draws(compare, name, found, casts):
    """Neighbours, repeated and fresh draws; scales and amax as without a state."""
    for direction, cast in enumerate(casts):
        low, high = around(cast.scaled)
        drawn = []
        for number in range(len(DRAWS)):
            key = f"{name}.{number}"
            values = found[f"{key}.{2 * direction}"]
            drawn.append(f32(values))
            near = (drawn[-1] == low) | (drawn[-1] == high)
            compare.true(f"{key}.{direction}: values next to the exact ones", near.all())
            signs = np.signbit(drawn[-1]) == np.signbit(cast.scaled)
            compare.true(f"{key}.{direction}: signs", signs.all())
            wanted = padded(cast.scales, False)
            scales, amax = found[f"{key}.{2 * direction + 1}"], found[f"{key}.{4 + direction}"]
            compare.exact(f"{key}.{direction}.scales", scales, wanted)
            compare.exact(f"{key}.{direction}.amax", amax, cast.amax)
        open_ = low != high
        compare.true(f"{name}: some is to be rounded", open_.mean() > 0.5)
        one = (drawn[0] == drawn[1]).all()
        compare.true(f"{name}.{direction}: one state, one draw", one)
        for i in range(1, len(DRAWS)):
            for j in range(i + 1, len(DRAWS)):
                # Independent draws part in 1/3 of uniform positions.
                apart = (drawn[i] != drawn[j])[open_].mean()
                compare.true(f"{name}.{direction}: draws {i} and {j} part in {apart:.3f}",
                             0.2 < apart < 0.45)  # fmt: skip
    across = f32(found[f"{name}.0.0"]) != f32(found[f"{name}.0.2"]).T
    compare.true(f"{name}: the directions draw apart", across.mean() > 0.1)


def check_mean(compare, name, cast, values):
    """Means of many equal elements are within 5 standard deviations."""
    exact, drawn = cast.scaled.reshape(-1), f32(values).reshape(-1).astype(np.float64)
    low, high = (part.reshape(-1) for part in around(cast.scaled))
    for point in np.unique(exact):
        at = exact == point
        count, gap = at.sum(), abs(float(high[at][0]) - float(low[at][0]))
        part = abs(float(point) - float(low[at][0])) / gap if gap else 0.0
        error = drawn[at].mean() - min(max(float(point), -6), 6)
        deviation = gap * np.sqrt(part * (1 - part) / count)
        compare.true(f"{name}: {count} times {point} are {error:+.5f} off",
                     abs(error) <= 5 * deviation + 1e-9)  # fmt: skip


def main(folder):
    rng = np.random.default_rng(29)
    test, compare = Test(rng), Comparison()
    normal = rng.uniform(-1, 1, (128, 192)).astype(BF16)
    whole = (rng.integers(-255, 256, (128, 192)) / 16).astype(BF16)
    casts = {"normal": test.draws("normal", normal)}
    casts["hadamard"] = test.draws("hadamard", whole, transform=True)

    # 6 leads each block, so that scales are 448 and multipliers 1 at an amax of 2688.
    # Parts of the way between neighbours: 1/8 to 7/8.
    points = np.float32([6, 0.0625, 0.25, 0.4375, -0.125, -0.8125, 1.0625, 1.25, 1.375,
                         2.125, -2.875, 3.5, -3.125, 4.25, 5.5, -5.75])  # fmt: skip
    biased = np.tile((points * 448).astype(BF16), (512, 16))
    state = test.program.input("mean.rng", np.int64([123, 4]))
    found = quantize(test.program, test.program.input("mean.x", biased), ENCODING, rng=state)
    test.results("mean", found)

    # Members, groups, or a group alone: an element has one draw.
    counts = [32, 0, 64, 16]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    rows = starts[-1] + 16
    x = rng.uniform(-1, 1, (rows, 64)).astype(BF16)
    x[starts[-1]:] = np.nan
    ragged = FP4, Scales(1, 16, "compact", len(counts))
    offsets = test.program.input("groups.offsets", starts)
    host = Type(starts.shape, np.int32, "#te.host")
    (on_host,) = test.program.op(f"te.to_host {offsets} : {offsets.type} -> {host}", host)
    value = test.program.input("groups.x", x)
    together = quantize(test.program, value, ENCODING, ragged, offsets=offsets, rng=state)
    test.results("groups", together)
    held = [test.program.empty(result.type) for result in together]
    for member in range(len(counts)):
        held = quantize(
            test.program, value, ENCODING, ragged, offsets=on_host, member=member,
            outs=held, rng=state,
        )  # fmt: skip
    test.results("members", held)

    for optimize in (False, True):
        found = test.program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, pair in casts.items():
            check_draws(compare, name, found, pair)
        check_mean(compare, "mean", nvfp4(biased), found["mean.0"])
        for group, (begin, end) in enumerate(zip(starts, starts[1:])):
            for part, at in ((0, np.s_[begin:end]), (2, np.s_[:, begin:end])):
                one, all_ = (found[f"{way}.{part}"][at] for way in ("members", "groups"))
                compare.exact(f"group {group}, values {part}", one, all_)
                cast = nvfp4(x[begin:end], part == 2)
                if end > begin:
                    low, high = around(cast.scaled)
                    near = (f32(one) == low) | (f32(one) == high)
                    compare.true(f"group {group}, values {part}: neighbours", near.all())
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
