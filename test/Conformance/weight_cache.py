"""weight_cache.py: layers of each recipe whose weights are cast once in a step, over four
micro-batches and two steps, against those that cast them in each micro-batch.

Results, gradients and states have equal bits, as given and optimized: weights are cast in
front of the loop, or in it under a flag that skips all but the first micro-batch.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import os
import re
import subprocess
import sys

import numpy as np

from oracle import Comparison

BATCHES = 4
RECIPES = {
    "delayed": [],
    "current": [],
    "block": [],
    "mxfp8": ["--target=sm_100", "--hidden=96", "--ffn=32"],  # no whole tiles
    "nvfp4": ["--target=sm_100", "--hidden=96", "--ffn=32"],
}


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[:2000]}")


def results(program, folder, optimize, *inputs):
    """What a program returns after two steps, members of a group as one array."""
    call(
        "te-run", program, "--steps=2", "--routing=zipf:1.5", *inputs,
        f"--optimize={optimize}", f"--output-dir={folder}",
    )  # fmt: skip
    found, members = {}, {}
    for name in os.listdir(folder):
        array = np.load(os.path.join(folder, name))
        member = re.fullmatch(r"(\w+)\.(\d+)((?:\.\w+)?)\.npy", name)
        if member:  # where the optimizer packs, a file has all
            group = members.setdefault(member[1] + member[3], {})
            group[int(member[2])] = array
        else:
            found[name[: -len(".npy")]] = array
    for name, group in members.items():
        found[name] = np.stack([group[number] for number in sorted(group)])
    return found


def main(folder):
    compare = Comparison()
    os.makedirs(folder, exist_ok=True)
    flags = os.path.join(folder, "skip.npy")
    np.save(flags, np.float32([0] + [1] * (BATCHES - 1)))
    never = os.path.join(folder, "never.npy")
    np.save(never, np.ones(BATCHES, np.float32))
    cached = {
        "hoisted": (["--cached-weights=true"], []),
        "skipped": (
            ["--cached-weights=true", "--weight-update=noop"],
            [f"--input=skip_weight_update={flags}"],
        ),
    }
    for recipe, more in RECIPES.items():
        generate = [
            "te-gen", f"--recipe={recipe}", "--local-experts=2", "--tokens=16",
            f"--microbatches={BATCHES}", "--direction=training", *more,
        ]  # fmt: skip
        base = os.path.join(folder, recipe)
        call(*generate, "-o", f"{base}.mlir")
        wanted = results(f"{base}.mlir", f"{base}.out", "false")
        for way, (options, inputs) in cached.items():
            call(*generate, *options, "-o", f"{base}.{way}.mlir")
            for optimize in ("false", "true"):
                label = f"{recipe}, {way}, optimize={optimize}"
                found = results(
                    f"{base}.{way}.mlir", f"{base}.{way}.{optimize}", optimize, *inputs
                )
                compare.true(f"{label}: {sorted(found)}", found.keys() == wanted.keys())
                for name in wanted.keys() & found.keys():
                    compare.exact(f"{label}, {name}", found[name], wanted[name])
        # Never cast, a workspace holds zeros: what the flag skips is not done.
        empty = [f"--input=skip_weight_update={never}"]
        found = results(f"{base}.skipped.mlir", f"{base}.never", "true", *empty)
        compare.true(
            f"{recipe}: products of zeros", (found["out"] != wanted["out"]).any()
        )
    print(f"{len(RECIPES)} recipes")
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
