"""offsets.py: offsets are computed once for a routing decision, or come with it.

For every recipe, dispatch and direction, with and without cached weights and biases:
what te-cost-report counts before and after te-optimize, for N micro-batches. Exits with
1 and a line for each miss.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import itertools
import json
import subprocess
import sys

MICROBATCHES = 3


def launches(program, *passes):
    """The launches of each class of op."""
    done = subprocess.run(
        ["te-opt", "-", *passes, "--te-cost-report=format=json", "-o", "/dev/null"],
        input=program, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {
        name: cost["launches"]
        for name, cost in json.loads(done.stderr)["classes"].items()
    }


def generate(*options):
    return subprocess.run(
        ["te-gen", "--tokens=20", f"--microbatches={MICROBATCHES}", *options],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def main():
    misses = []

    def expect(options, what, found, wanted):
        if found != wanted:
            misses.append(f"{' '.join(options)}: {found} {what}, wanted {wanted}")

    flags = ("false", "true")
    recipes = ("bf16", "delayed", "current", "block", "mxfp8", "nvfp4")
    count = 0
    for recipe, dispatch, direction, cached, bias in itertools.product(
        recipes, ("none", "bf16", "fp8"), ("forward", "training"), flags, flags
    ):
        options = [
            f"--recipe={recipe}", f"--dispatch={dispatch}", f"--direction={direction}",
            f"--cached-weights={cached}", f"--bias={bias}", "--local-experts=3",
            f"--ep-ranks={1 if dispatch == 'none' else 2}",
        ]  # fmt: skip
        program = generate(*options)
        before = launches(program)
        after = launches(program, "--te-optimize")
        # One for each op that wants to know: two products and the activation.
        if before["offsets"] < 3 * MICROBATCHES:
            misses.append(f"{options}: too few offsets as given: {before['offsets']}")
        expect(options, "offsets", after["offsets"], 0)
        expect(options, "routing maps", after["routing_map"], MICROBATCHES)
        expect(options, "copies", after["copy"], 0)
        count += 1
    # More slots than experts: padding stays, and so do its offsets, computed once.
    for recipe, direction in itertools.product(recipes[1:], ("forward", "training")):
        options = [
            f"--recipe={recipe}", f"--direction={direction}", "--dispatch=bf16",
            "--local-experts=1", "--ep-ranks=4",
        ]  # fmt: skip
        after = launches(generate(*options), "--te-optimize")
        expect(options, "offsets", after["offsets"], MICROBATCHES)
        count += 1
    if misses:
        sys.exit("\n".join(misses))
    print(f"{count} programs")


if __name__ == "__main__":
    main()
