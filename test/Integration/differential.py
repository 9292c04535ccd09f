#!/usr/bin/env python3
# differential.py: programs of random structure, as given against rewritten.
#
# For each seed, te-gen --random makes a program, and te-run --check compares it, as
# given, with what becomes of it by each pass alone, by passes in random orders, and
# by te-optimize: bit for bit. Every second seed has special values in its data.
# A failure prints the seed, a command that shows it again, and one that reduces it.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import argparse
import concurrent.futures
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

MODULE_PASSES = ["te-pack-parameters", "te-hoist-swizzles"]
# All others, with upstream's that the pipeline uses.
FUNCTION_PASSES = [
    "te-group-gemms",
    "te-remove-scale-transposes",
    "te-share-offsets",
    "te-hoist-weight-quantize",
    "te-fuse-multi-cast-transpose",
    "te-fuse-permute-pad",
    "te-trim-usages",
    "te-quantize-before-move",
    "te-fuse-activation-quantize",
    "te-fuse-requantize",
    "te-fuse-permute-quantize",
    "te-fuse-product-activation",
    "te-overwrite-zeros",
    "canonicalize",
    "cse",
]
ROUTINGS = ["uniform", "zipf:1.5", "one-expert", "empty-experts"]


def pipeline(name):
    return name if name in MODULE_PASSES + ["te-optimize"] else f"func.func({name})"


def pipelines(seed, orders):
    """The pipelines that a seed is run through: texts of te-run --passes."""
    draw = random.Random(seed)
    names = MODULE_PASSES + FUNCTION_PASSES
    result = [pipeline(name) for name in names]
    for _ in range(orders):
        order = draw.sample(names, draw.randint(2, len(names)))
        result.append(",".join(pipeline(name) for name in order))
    # A budget that some programs keep anyway, some can be made to keep, some not. It
    # lowers a program for each op that it thinks of, so only some seeds have one.
    if seed % 16 == 0:
        budget = draw.choice([8, 32, 128]) * 1024
        result.append(f"te-optimize,te-recompute{{memory-budget={budget}}}")
    # Twice: what it leaves has to be as good a program as any.
    return result + ["te-optimize", "te-optimize,te-optimize"]


def options_of(seed):
    """Options of te-run, but for the passes."""
    return [
        "--check",
        f"--seed={seed}",
        "--data=special" if seed % 2 else "--data=normal",
        f"--routing={ROUTINGS[seed // 2 % len(ROUTINGS)]}",
        # States and workspaces of one step are read by the next.
        f"--steps={1 + seed // 8 % 2}",
        "--threads=1",
    ]


def shell(seed, passes):
    run = ["te-run", "-", *options_of(seed), *(f"--passes={p}" for p in passes)]
    return f"te-gen --random --seed={seed} | {shlex.join(run)}"


def reduction(seed, passes, status):
    """The command that makes the program of a failure small."""
    run = shlex.join(["te-run", "-", *options_of(seed), f"--passes={passes}"])
    hold = shlex.join(["te-run", "-", *options_of(seed), "--optimize=false"])
    expect = "" if status == 1 else "TE_EXPECT=crash "
    return (
        f"te-gen --random --seed={seed} | {expect}TE_FAILS={shlex.quote(run)} "
        f"TE_HOLDS={shlex.quote(hold)} te-reduce - "
        "--reduction-tree=test=tools/scripts/interesting"
    )


def call(command, timeout):
    """Exit status and output; a status below 0 is a signal, or no end in time."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
        )
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return -999, f"no end after {timeout} s"


def check(seed, orders, timeout):
    """The failures of a seed, as texts, and the number of comparisons."""
    handle, name = tempfile.mkstemp(suffix=".mlir")
    os.close(handle)
    try:
        status, output = call(
            ["te-gen", "--random", f"--seed={seed}", "-o", name], timeout
        )
        if status:
            return [f"seed {seed}: te-gen --random --seed={seed}\n{output}"], 0
        every = pipelines(seed, orders)

        def run(passes):
            texts = [f"--passes={each}" for each in passes]
            return call(["te-run", name, *options_of(seed), *texts], timeout)

        status, _ = run(every)
        if status == 0:
            return [], len(every)
        failures = []
        # One by one, since a crash ends the rest.
        for passes in every:
            status, output = run([passes])
            if status:
                tail = "\n".join(
                    line
                    for line in output.splitlines()
                    if " exact " not in line and line.strip()
                )
                failures.append(
                    f"seed {seed}: status {status}: {shell(seed, [passes])}\n"
                    f"reduce: {reduction(seed, passes, status)}\n"
                    f"{tail[:1500]}"
                )
        # Alone, each of them passes: what fails is all of them in one process.
        return failures or [f"seed {seed}: {shell(seed, every)}"], len(every)
    finally:
        pathlib.Path(name).unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=300, help="number of seeds")
    parser.add_argument("--orders", type=int, default=2, help="random orders a seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=int, default=120, help="seconds a command")
    parser.add_argument("--progress", action="store_true")
    arguments = parser.parse_args()

    seeds = range(arguments.first, arguments.first + arguments.count)
    comparisons = failed = done = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for failures, compared in pool.map(
            lambda seed: check(seed, arguments.orders, arguments.timeout), seeds
        ):
            done += 1
            comparisons += compared
            failed += bool(failures)
            for failure in failures:
                print(failure, flush=True)
            if arguments.progress and (done % 100 == 0 or done == len(seeds)):
                print(f"{done} of {len(seeds)} seeds, {failed} failed", flush=True)
    print(
        f"{done} programs from seed {arguments.first}, {comparisons} comparisons, "
        f"{failed} programs failed"
    )
    return 1 if failed or done != arguments.count or comparisons == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
