"""dispatch.py: which rows go to which rank, their way there and back.

Each rank has tokens and a routing of its own; the oracle sees all of them.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

import numpy as np

from byte_scales import mxfp8
from oracle import Comparison, f32, quantize_blocks
from te_program import BF16, E4M3, E8M0, round_up, run_ranks

TOKENS, TOP_K, WIDTH, EXPERTS = 70, 3, 160, 4  # experts on each rank


def program(ranks):
    rows, experts = ranks * TOKENS, ranks * EXPERTS
    sent, kept = round_up(TOKENS, 128), round_up(rows, 128)
    compact, bytes_ = "#te.scales<1 x 128, compact>", "#te.scales<1 x 32, compact>"
    i, h, r = f"{TOKENS}x{TOP_K}xi32", f"{TOKENS}x{ranks}xi32", f"{rows}x{TOP_K}xi32"
    types = {
        "indices": i, "x": f"{TOKENS}x{WIDTH}xbf16", "y": f"{rows}x{WIDTH}xbf16",
        "p": f"{rows}x{TOP_K}xf32", "handle": h, "received": r,
        "rows": f"{rows}x{WIDTH}xbf16", "q": f"{rows}x{WIDTH}xf8E4M3FN",
        "s": f"{rows}x2xf32, {compact}", "m": f"{rows}x{WIDTH}xf8E4M3FN",
        "e": f"{kept}x8xf8E8M0FNU, {bytes_}", "combined": f"{TOKENS}x{WIDTH}xbf16",
        "probs": f"{TOKENS}x{TOP_K}xf32",
    }  # fmt: skip
    types = {name: f"tensor<{type}>" for name, type in types.items()}
    q, m = (f"tensor<{TOKENS}x{WIDTH}xf8E4M3FN>" for _ in range(2))
    s = f"tensor<{TOKENS}x2xf32, {compact}>"
    e = f"tensor<{sent}x8xf8E8M0FNU, {bytes_}>"
    names = ("indices", "x", "y", "p")
    init = {"indices": f"#te.init<routing, experts = {experts}>"}
    arguments = ", ".join(
        f'%{name}: {types[name]} {{te.name = "in.{name}", '
        f'te.init = {init.get(name, "#te.init<normal>")}}}'
        for name in names
    )
    results = ", ".join(f'{t} {{te.name = "{n}"}}' for n, t in types.items())
    t = types
    return f"""
func.func @step({arguments}) -> ({results}) attributes {{te.ranks = {ranks} : i64}} {{
  %handle, %received = te.dispatch_map %indices {{ranks = {ranks}, num_experts = {EXPERTS}}} : {t["indices"]} -> {t["handle"]}, {t["received"]}
  %q0, %s0 = te.quantize %x {{pow2_scales}} : {t["x"]} -> {q}, {s}
  %m0, %e0 = te.quantize %x : {t["x"]} -> {m}, {e}
  %rows, %q, %s = te.dispatch %x, %q0, %s0 by %handle : {t["x"]}, {q}, {s} by {t["handle"]} -> {t["rows"]}, {t["q"]}, {t["s"]}
  %m, %e = te.dispatch %m0, %e0 by %handle : {m}, {e} by {t["handle"]} -> {t["m"]}, {t["e"]}
  %combined, %probs = te.combine %y, %p by %handle : {t["y"]}, {t["p"]} by {t["handle"]} -> {t["combined"]}, {t["probs"]}
  return {", ".join("%" + name for name in types)} : {", ".join(types.values())}
}}
"""


DTYPES = {"x": BF16, "y": BF16, "rows": BF16, "q": E4M3, "m": E4M3, "e": E8M0,
          "combined": BF16}  # fmt: skip


def handles(indices, ranks):
    """handle[source][t, r], from who wants what: a rank receives by source, then by
    token, each token once."""
    wants = [
        np.stack([(each // EXPERTS == r).any(axis=1) for r in range(ranks)], axis=1)
        for each in indices
    ]
    stacked = np.concatenate(wants)
    places = np.where(stacked, np.cumsum(stacked, axis=0) - 1, -1).astype(np.int32)
    return np.split(places, ranks)


def check(compare, name, found):
    ranks = len(found)
    indices = [rank["indices"] for rank in found]
    expected = handles(indices, ranks)
    for r, rank in enumerate(found):
        label = f"{name}, rank {r}: "
        compare.exact(label + "handle", rank["handle"], expected[r])
        received = np.full((ranks * TOKENS, TOP_K), -1, np.int32)
        count = 0
        for source, handle in zip(found, expected):
            token = np.nonzero(handle[:, r] >= 0)[0]
            rows = handle[token, r]
            count += len(rows)
            x, local = source["x"][token], source["indices"][token]
            received[rows] = np.where(local // EXPERTS == r, local % EXPERTS, -1)
            values, scales = quantize_blocks(source["x"], 1, 128, E4M3, pow2=True)
            cast = mxfp8(source["x"], E4M3)
            compare.exact(label + "rows", rank["rows"][rows], x)
            compare.exact(label + "q", rank["q"][rows], values[token])
            compare.exact(label + "s", rank["s"][rows], scales[token])
            compare.exact(label + "m", rank["m"][rows], cast.values[token])
            blocks = cast.scales.shape[1]
            compare.exact(label + "e", rank["e"][rows, :blocks], cast.scales[token])
        compare.exact(label + "received", rank["received"], received)
        compare.true(label + "some are received", count > 0)
        for key, result in (("y", "combined"), ("p", "probs")):
            sums = np.zeros(rank[result].shape, np.float32)
            for other in range(ranks):
                at = expected[r][:, other]
                sums += np.where((at >= 0)[:, None], f32(found[other][key])[at], 0)
            wanted = sums.astype(rank[result].dtype)
            compare.exact(label + result, rank[result], wanted)


def main(folder):
    compare = Comparison()
    for ranks in (1, 2, 4):
        for seed in range(2):
            for optimize in (False, True):
                name = f"{ranks}-{seed}-{optimize}"
                options = [
                    f"--seed={seed}", "--routing=zipf:1.2",
                    f"--optimize={str(optimize).lower()}",
                ]  # fmt: skip
                where = f"{folder}/{name}"
                found = run_ranks(where, program(ranks), ranks, DTYPES, options)
                check(compare, name, found)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
