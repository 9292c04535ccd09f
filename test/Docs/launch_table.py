"""The table of "Launches of a step" in docs/Benchmarks.md, against te-cost-report.

usage: launch_table.py BENCHMARKS.md

The columns are launches of the naive and of the optimized program, for each value of
--dispatch that the head of the table names. te-gen and te-opt are found on PATH.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import json
import os
import re
import subprocess
import sys
import tempfile


def fail(message):
    sys.exit(f"launch_table.py: error: {message}")


def report(program, passes):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "cost.json")
        option = f"--te-cost-report=format=json file={file}"
        command = ["te-opt", *passes, option, "-o", os.devnull]
        subprocess.run(command, input=program, text=True, check=True)
        with open(file, encoding="utf-8") as stream:
            cost = json.load(stream)
    found = {name: each["launches"] for name, each in cost["classes"].items()}
    found["total"] = cost["total"]["launches"]
    found["host syncs"] = cost["total"]["host_syncs"]
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        section = re.search(r"## Launches of a step\n(.*?)\n## ", stream.read(), re.S)
    if not section:
        fail(f"{sys.argv[1]}: found no section 'Launches of a step'")
    options = re.search(r"`(--model=[^`]*)--dispatch=D`", section[1])
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section[1].splitlines()
        if line.startswith("|") and not line.startswith("| --")
    ]
    if not options or len(rows) < 3:
        fail("found no command, or no table, in 'Launches of a step'")
    wrong = 0
    for column in range(1, len(rows[0]), 2):
        dispatch = rows[0][column].removeprefix("D=")
        command = ["te-gen", *options[1].split(), "--dispatch=" + dispatch]
        program = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for passes, at in (([], column), (["--te-optimize"], column + 1)):
            found = report(program, passes)
            told = {row[0]: int(row[at]) for row in rows[1:]}
            # A class without launches may be left out on either side.
            for name in sorted(found.keys() | told.keys()):
                if found.get(name, 0) != told.get(name, 0):
                    wrong += 1
                    print(f"{dispatch} {' '.join(passes)} {name}: {found.get(name, 0)}, in the table {told.get(name, 0)}")
    print(f"{len(rows) - 1} rows, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
