"""reduce_amax.py: te.amax, te.all_reduce and te.scale_from_amax over ranks.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from oracle import Comparison, amax_of, cast, f32, fp8_max, scale_from_amax
from te_program import BF16, E4M3, E5M2, run_ranks
from update_scales import update

GROUPS, ROWS, COLS, SLOTS = 4, 37, 48, 400
OFFSETS = np.int32([0, 9, 9, 20, 33])
EPSILON, POW2 = 0.5, True
RESULTS = {
    "x": BF16,
    "v": np.float32,
    "amax": np.float32,
    "member": np.float32,
    "packed": np.float32,
    "reduced": np.float32,
    "largest": np.float32,
    "scale": np.float32,
    "plain": np.float32,
    "values": E4M3,
    "own": np.float32,
    "history": np.float32,
    "next": np.float32,
}


def program(ranks):
    vector = f"tensor<{GROUPS}xf32>"
    x = f"tensor<{ROWS}x{COLS}xbf16>"
    slots = f"tensor<{SLOTS}xf32>"
    history = f"tensor<{GROUPS}x3xf32>"
    tensor = f"tensor<{GROUPS}xf32, #te.scales<tensor, groups = {GROUPS}>>"
    types = {
        "x": x, "v": slots, "amax": vector, "member": "tensor<f32>",
        "packed": "tensor<2xf32>", "reduced": vector, "largest": slots,
        "scale": vector, "plain": slots, "values": f"tensor<{ROWS}x{COLS}xf8E4M3FN>",
        "own": tensor, "history": history, "next": vector,
    }  # fmt: skip
    named = ", ".join(
        f'{type} {{te.name = "{name}"}}' for name, type in types.items()
    )
    normal = "te.init = #te.init<normal>"
    return f"""
func.func @step(%x: {x} {{te.name = "in.x", {normal}}},
    %w: tensor<2x{ROWS}x{COLS}xbf16> {{te.name = "in.w"}},
    %v: {slots} {{te.name = "in.v", {normal}}},
    %o: tensor<{GROUPS + 1}xi32> {{te.name = "offsets"}},
    %h: {history} {{te.name = "in.history"}}, %s: {vector} {{te.name = "in.scale"}})
    -> ({named}) attributes {{te.ranks = {ranks} : i64}} {{
  %host = te.to_host %o : tensor<{GROUPS + 1}xi32> -> tensor<{GROUPS + 1}xi32, #te.host>
  %a = te.amax %x groups(%o : tensor<{GROUPS + 1}xi32>) : {x} -> {vector}
  %m = te.amax %x groups(%host : tensor<{GROUPS + 1}xi32, #te.host>) member 2 : {x} -> tensor<f32>
  %p = te.amax %w : tensor<2x{ROWS}x{COLS}xbf16> -> tensor<2xf32>
  %r:2 = te.all_reduce max %a, %v : ({vector}, {slots}) -> ({vector}, {slots})
  %scale = te.scale_from_amax %r#0 {{fp8_max = 448.0 : f32, pow2_scales, epsilon = {EPSILON} : f32}} : ({vector}) -> {vector}
  %plain = te.scale_from_amax %r#1 {{fp8_max = 57344.0 : f32}} : ({slots}) -> {slots}
  %q, %i = te.quantize %x scale(%scale : {vector}) groups(%o : tensor<{GROUPS + 1}xi32>) : {x} -> tensor<{ROWS}x{COLS}xf8E4M3FN>, {tensor}
  %q1, %own = te.quantize %x groups(%o : tensor<{GROUPS + 1}xi32>) {{pow2_scales, epsilon = {EPSILON} : f32}} : {x} -> tensor<{ROWS}x{COLS}xf8E4M3FN>, {tensor}
  %b = te.amax %x groups(%o : tensor<{GROUPS + 1}xi32>) : {x} -> {vector}
  %next_a = te.all_reduce max %b : ({vector}) -> {vector}
  %hn, %sn = te.update_scales amax(%next_a) history(%h) scale(%s) {{fp8_max = 448.0 : f32}} : ({vector}, {history}, {vector}) -> ({history}, {vector})
  return %x, %v, %a, %m, %p, %r#0, %r#1, %scale, %plain, %q, %own, %hn, %sn : {", ".join(types.values())}
}}
"""


def reduce(values):
    """The maximum over the ranks, and what each rank keeps of its own."""
    largest = np.fmax.reduce(values)
    return [np.where((largest == 0) | np.isnan(largest), own, largest) for own in values]


def group_amaxes(x):
    return np.float32([amax_of(x[a:b]) for a, b in zip(OFFSETS, OFFSETS[1:])])


def check(compare, name, found, inputs):
    amaxes = [group_amaxes(rank["x"]) for rank in found]
    reduced, largest = reduce(amaxes), reduce([rank["v"] for rank in found])
    for number, rank in enumerate(found):
        scale = scale_from_amax(reduced[number], E4M3, EPSILON, POW2)
        own = scale_from_amax(amaxes[number], E4M3, EPSILON, POW2)
        slots = zip(reduced[number], inputs["in.history"], inputs["in.scale"])
        updates = [update(*slot, fp8_max(E4M3), 0, "max") for slot in slots]
        wanted = {
            "amax": amaxes[number],
            "member": amaxes[number][2],
            "packed": np.float32([amax_of(f32(w)) for w in inputs["w"]]),
            "reduced": reduced[number],
            "largest": largest[number],
            "scale": scale,
            "plain": scale_from_amax(largest[number], E5M2),
            "own": np.float32(1) / own,
            "history": np.stack([pair[0] for pair in updates]),
            "next": np.stack([pair[1] for pair in updates]),
        }
        for part, array in wanted.items():
            compare.exact(f"{name}, rank {number}: {part}", rank[part], array)
        for group, (a, b) in enumerate(zip(OFFSETS, OFFSETS[1:])):
            values = cast(rank["x"][a:b], scale[group], E4M3)
            compare.exact(
                f"{name}, rank {number}: values {group}", rank["values"][a:b], values
            )
        for part in ("scale", "next"):
            compare.exact(f"{name}, rank {number}: {part}", rank[part], found[0][part])


def main(folder):
    rng = np.random.default_rng(3)
    w = rng.standard_normal((2, ROWS, COLS)).astype(BF16)
    w[1, 3] = np.nan
    inputs = {
        "w": w,
        "in.history": np.exp2(rng.uniform(-3, 3, (GROUPS, 3))).astype(np.float32),
        "in.scale": rng.uniform(1, 9, GROUPS).astype(np.float32),
    }
    given = {**inputs, "in.w": w.view(np.uint16), "offsets": OFFSETS}
    del given["w"]
    compare = Comparison()
    differ = 0
    for ranks in (1, 2, 3, 4):
        for seed in range(3):
            for optimize in (False, True):
                name = f"{ranks}-{seed}-{optimize}"
                options = [
                    f"--seed={seed}", "--data=special",
                    f"--optimize={str(optimize).lower()}",
                ]  # fmt: skip
                where = f"{folder}/{name}"
                found = run_ranks(where, program(ranks), ranks, RESULTS, options, given)
                check(compare, name, found, inputs)
                differ += ranks > 1 and any(
                    not np.array_equal(rank["amax"], found[0]["amax"])
                    for rank in found
                )
    compare.true("ranks have different amaxes", differ > 0)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
