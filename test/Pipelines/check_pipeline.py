"""Holds te-optimize to what its order promises, on layers and random programs.

usage: check_pipeline.py [--seeds=N]

* Twice is once: optimizing an optimized program changes no character.
* The order of functions in a module is of no consequence for any of them.
* The order of a function's arguments is of no consequence for its ops.

te-gen and te-opt are found on PATH.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import itertools
import re
import subprocess
import sys


def run(command, text=""):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def optimize(text):
    return run(["te-opt", "--te-optimize"], text)


def programs(seeds):
    """(the command that makes it, its text) of each program."""
    recipes = re.search(
        r"one of ([^,]+(?:, [^,]+)*), but",
        subprocess.run(
            ["te-gen", "--recipe=?"], capture_output=True, text=True
        ).stderr,
    )[1].split(", ")
    for recipe, direction, dispatch, cached in itertools.product(
        recipes, ("forward", "training"), ("none", "fp8"), ("false", "true")
    ):
        command = ["te-gen", f"--recipe={recipe}", f"--direction={direction}"]
        command += [f"--dispatch={dispatch}", f"--cached-weights={cached}"]
        command += ["--microbatches=2", "--local-experts=3", "--tokens=40"]
        yield command, run(command)
    for seed in range(1, seeds + 1):
        command = ["te-gen", "--random", f"--seed={seed}"]
        yield command, run(command)


def functions(text):
    """The text of each function, by name."""
    found = re.findall(r"^  func\.func @(\w+)(.*?)^  }$", text, re.M | re.S)
    return dict(found)


def rename(text, suffix):
    """The program with other symbols, without the module around it."""
    text = re.sub(r"@([\w.$-]+)", rf"@\1{suffix}", text)
    lines = text.strip().split("\n")
    aliases = [line for line in lines if line.startswith("#")]
    body = [line for line in lines if not line.startswith("#")]
    return aliases, body[0], body[1:-1]


def join(programs):
    aliases, bodies = [], []
    for alias, head, body in programs:
        aliases += [line for line in alias if line not in aliases]
        bodies += body
    return "\n".join(aliases + [head] + bodies + ["}"])


def reverse_arguments(text):
    """Each function with its arguments from last to first."""

    def reverse(match):
        arguments = re.split(r", (?=%arg\d+: )", match[2])
        return match[1] + ", ".join(reversed(arguments)) + match[3]

    return re.sub(
        r"^(  func\.func [^(]*\()(%arg0: .*?)(\) (?:->|attributes|\{).*)$",
        reverse,
        text,
        flags=re.M,
    )


def shape_of(text):
    """The ops without the names of values, in any order."""
    body = re.sub(r"^  func\.func .*$", "", text, flags=re.M)
    return sorted(re.sub(r"%[\w#:]+", "%", body).split("\n"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=24)
    options = parser.parse_args()
    wrong = []
    before = None
    count = pairs = 0
    for command, text in programs(options.seeds):
        count += 1
        name = " ".join(command)
        once = optimize(text)
        if optimize(once) != once:
            wrong.append(f"{name}: optimizing twice is not once")
        turned = reverse_arguments(text)
        if turned == text and "%arg1" in text:
            sys.exit(f"{name}: its arguments were not found")
        if shape_of(optimize(turned)) != shape_of(once):
            wrong.append(f"{name}: the order of its arguments matters")
        here = rename(text, "_b")
        if before and before[1] == here[1]:
            first = functions(optimize(join([before, here])))
            second = functions(optimize(join([here, before])))
            pairs += 1
            if first != second or len(first) < 2:
                wrong.append(f"{name}: the order of functions matters")
        before = rename(text, "_a")
    for line in wrong:
        print(line)
    print(f"{count} programs, {pairs} pairs, {len(wrong)} findings")
    sys.exit(bool(wrong) or pairs == 0)


if __name__ == "__main__":
    main()
