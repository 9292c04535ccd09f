"""Launches of a step before and after te-optimize: the tables of the design's
reference, row by row, read from te-cost-report.

usage: check_counts.py [--filter=REGEX]

E experts, N micro-batches, one layer (fc1 and fc2: rows of one grouped linear layer
count twice). `after` is what a row promises at most.

te-gen and te-opt are found on PATH.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

SMALL = ["--model=tiny", "--tokens=64", "--top-k=2"]


def run(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


class Program:
    def __init__(self, *options, experts, microbatches, passes=("--te-optimize",)):
        options = [f"--local-experts={experts}", f"--microbatches={microbatches}", *options]
        self.text = run(["te-gen", *SMALL, "--direction=training", *options])
        self.before = self.report([])
        self.after = self.report(list(passes))
        self.optimized = run(["te-opt", *passes], self.text)

    def report(self, passes):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "cost.json")
            report = f"--te-cost-report=format=json file={file}"
            run(["te-opt", *passes, report, "-o", os.devnull], self.text)
            with open(file) as stream:
                return json.load(stream)

    def launches(self, *classes):
        """(before, after), summed over the classes."""
        return tuple(
            sum(cost["classes"][each]["launches"] for each in classes)
            for cost in (self.before, self.after)
        )

    def count(self, regex):
        """How often the text matches, before and after."""
        return tuple(len(re.findall(regex, t)) for t in (self.text, self.optimized))


ROWS = []


def row(name):
    return lambda function: ROWS.append((name, function))


# Each function gives (what is counted, found before and after, wanted before, wanted
# at most after).


@row("9.1 weight casts, delayed scaling")
def weight_casts():
    for experts, batches in ((8, 8), (64, 16), (256, 16)):
        size = dict(experts=experts, microbatches=batches)
        each = Program("--recipe=delayed", "--cached-weights=false", **size)
        yield f"E={experts} N={batches} uncached", each.launches("weight_quantize"), 2 * batches * experts, 1
        each = Program("--recipe=delayed", "--cached-weights=true", **size)
        yield f"E={experts} N={batches} cached", each.launches("weight_quantize"), 2 * experts, 1
    each = Program(
        "--recipe=delayed", "--cached-weights=true", "--weight-update=noop",
        experts=64, microbatches=16,
    )
    # A captured graph launches it in each micro-batch, and the flag decides.
    yield "E=64 N=16 under a flag", each.launches("weight_quantize"), 2 * 16 * 64, 16


@row("9.2 scale transposes, FP8 dispatch")
def scale_transposes():
    for batches in (1, 8):
        size = dict(experts=4, microbatches=batches)
        each = Program("--recipe=block", "--dispatch=fp8", "--ep-ranks=2", **size)
        yield f"N={batches} transposes", each.launches("scale_conversion"), 5 * batches, 0
        yield f"N={batches} dequantize of x", each.launches("dequantize"), batches, 0
        # Of 4 E casts of members and one before dispatch: one each.
        both = Program(
            "--recipe=block", "--dispatch=fp8", "--gradient-dispatch=fp8", "--ep-ranks=2",
            **size,
        )
        yield f"N={batches} transposes, both ways", both.launches("scale_conversion"), 10 * batches, 0
        yield f"N={batches} casts of rows", each.launches("activation_quantize"), (4 * 4 + 1) * batches, 5 * batches


@row("9.3 one grouped parameter")
def grouped_parameter():
    each = Program("--recipe=block", experts=8, microbatches=2)
    yield "parameters", each.count(r"te\.parameter"), 16, 2
    yield "weight casts", each.launches("weight_quantize"), 32, 1
    yield "offsets", each.launches("offsets"), 12 * 2, 0
    names = r'te\.name = "grad_w\d(?:\.\d)?"'
    yield "gradients of weights", each.count(names), 16, 2


@row("9.4 swizzles of weights")
def swizzles():
    for recipe in ("mxfp8", "nvfp4"):
        for experts, batches in ((8, 8), (64, 16)):
            for cached in ("true", "false"):
                each = Program(
                    f"--recipe={recipe}", "--target=sm_100", f"--cached-weights={cached}",
                    experts=experts, microbatches=batches,
                )
                yield f"{recipe} E={experts} N={batches} cached={cached}", each.launches("swizzle"), 4 * batches * experts, 0
        each = Program(f"--recipe={recipe}", "--target=sm_100", "--primary-weights=true", experts=8, microbatches=8)
        # Once for each direction of each matrix, after the optimizer.
        yield f"{recipe} primary weights", each.launches("swizzle"), 4 * 8 * 8, 4


@row("9.5 all of them on one layer")
def whole_layer():
    experts, batches = 32, 8
    each = Program(
        "--recipe=block", "--cached-weights=true", "--dispatch=fp8",
        experts=experts, microbatches=batches,
    )
    yield "weight casts", each.launches("weight_quantize"), 2 * experts, 2
    yield "casts of rows", each.launches("activation_quantize"), 4 * experts * batches + batches, 5 * batches
    yield "scale transposes", each.launches("scale_conversion"), 5 * batches, 0
    yield "products", each.launches("gemm"), 6 * experts * batches, 6 * batches
    yield "casts, transposes, products", each.launches(
        "weight_quantize", "activation_quantize", "scale_conversion", "gemm"
    ), 2664 + batches, 82 + batches
    yield "offsets", each.launches("offsets"), 13 * batches, batches
    yield "host syncs", (each.before["total"]["host_syncs"], each.after["total"]["host_syncs"]), 2 * batches, 0
    total = each.before["total"]["launches"], each.after["total"]["launches"]
    yield "all launches", total, 2912, 20 * batches + 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    wrong = count = 0
    for name, rows in ROWS:
        if not re.search(options.filter, name):
            continue
        print(name)
        for what, (before, after), wanted, most in rows():
            count += 1
            good = before == wanted and after <= most
            wrong += not good
            print(f"  {what:<40} {before:>6} -> {after:>4}   {'' if good else f'WRONG: wanted {wanted} -> at most {most}'}".rstrip())
    print(f"{count} rows, {wrong} wrong")
    sys.exit(bool(wrong) or count == 0)


if __name__ == "__main__":
    main()
