"""update_scales.py: the amax history and the next scale of delayed scaling.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import itertools
import sys

import numpy as np

from oracle import F32_MAX, Comparison
from te_program import Program, functional

AMAX = np.float32([0, 1e-45, 1e-38, 1e-30, 0.3, 1, 448, 57344, 3e38, np.inf, np.nan])


def update(amax, history, scale, fp8_max, margin, algorithm):
    """One slot, as the definition counts its steps."""
    if amax == 0:
        return history, scale
    last = np.fmax.reduce(history[1:], initial=amax) if algorithm == "max" else amax
    rolled = np.concatenate([history[1:], [amax]])
    rolled[0] = 0
    with np.errstate(divide="ignore", over="ignore"):
        if np.isfinite(last) and last > 0:
            scale = np.float32(fp8_max * 2.0**-margin) / last
    return rolled, np.float32(min(scale, F32_MAX))


def main(folder):
    rng = np.random.default_rng(5)
    program, compare, wanted = Program(), Comparison(), {}
    count = len(AMAX)
    for length, margin, algorithm, fp8_max in itertools.product(
        (1, 2, 3, 16), (0, 1, -2), ("max", "most_recent"), (448.0, 57344.0)
    ):
        name = f"{length}-{margin}-{algorithm}-{fp8_max:g}"
        # Packed slots, one for each amax; and one slot alone.
        history = np.exp2(rng.uniform(-9, 9, (count, length))).astype(np.float32)
        history[:, rng.integers(0, length)] = 0
        history[1::3, length // 2] = np.nan
        history[2::4, -1] = 1e6
        scale = rng.uniform(1, 9, count).astype(np.float32)
        entries = []
        for part, slots in (("packed", slice(None)), ("one", 5)):
            arrays = AMAX[slots], history[slots], scale[slots]
            keys = [f"{name}.{part}.{key}" for key in ("amax", "history", "scale")]
            entries.append(
                [program.input(key, array) for key, array in zip(keys, arrays)]
            )
        amaxes, histories, scales = zip(*entries)
        text = "te.update_scales"
        for keyword, values in (
            ("amax", amaxes),
            ("history", histories),
            ("scale", scales),
        ):
            text += f" {keyword}({', '.join(map(str, values))})"
        text += f" {{fp8_max = {fp8_max:e} : f32, margin = {margin} : i64"
        text += (
            ", algorithm = #te<amax_algorithm most_recent>}"
            if algorithm == "most_recent"
            else "}"
        )
        operands = [*amaxes, *histories, *scales]
        found = functional(
            program, text, operands, *[value.type for value in (*histories, *scales)]
        )
        results = [
            update(*slot, fp8_max, margin, algorithm)
            for slot in zip(AMAX, history, scale)
        ]
        next_history, next_scale = map(np.stack, zip(*results))
        expected = [next_history, next_history[5], next_scale, next_scale[5]]
        for part, (value, array) in enumerate(zip(found, expected)):
            program.outputs(**{f"{name}.{part}": value})
            wanted[f"{name}.{part}"] = array
    for optimize in (False, True):
        found = program.run(f"{folder}/optimize-{optimize}", optimize)
        for name, array in wanted.items():
            compare.exact(f"{name}, optimize={optimize}", found[name], array)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
