"""compare_reuse.py FILE FOLDER [ARGUMENT...]: runs each function of FILE with and
without shared buffers, and expects the same bits.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import re
import subprocess
import sys

LOWER = (
    "builtin.module(te-convert-to-runtime{{reuse-buffers={}}},"
    "func.func(te-plan-memory,te-verify-memory-plan))"
)


def plan(source, folder, reuse):
    path = folder / f"{source.stem}.{reuse}.plan"
    lowered = subprocess.run(
        ["te-opt", source, f"--pass-pipeline={LOWER.format(reuse)}"],
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(
        ["te-translate", "--te-to-plan", "-o", path], input=lowered.stdout, check=True
    )
    return path


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    shared, apart = plan(source, folder, "true"), plan(source, folder, "false")
    entries = re.findall(r"func\.func @(\w+)", source.read_text())
    assert entries, f"{source} has no function"
    for entry in entries:
        # Two steps: what a workspace holds counts too.
        command = ["te-exec", shared, f"--check={apart}", f"--entry={entry}"]
        print(entry, flush=True)
        subprocess.run(command + ["--steps=2"] + sys.argv[3:], check=True)


main()
