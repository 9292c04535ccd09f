"""Holds every rewrite to the exactness class that its description declares.

usage: check_exactness.py ROOT

* Each pass of the te dialect's rewrites declares one class: exact, reassociates,
  equal values, or changes values.
* An exact pass is in the lists of test/Integration/differential.py, which compares it
  alone and in random orders with the program as given, bit for bit.
* Another one is no part of te-optimize, and has a test of its own under
  test/Integration that names it.

te-opt is found on PATH.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import re
import subprocess
import sys

CLASSES = ("exact", "reassociates", "equal values", "changes values")
# Passes that rewrite nothing.
REPORTS = ("te-cost-report", "te-explain")


def main():
    root = pathlib.Path(sys.argv[1])
    passes = "".join(
        path.read_text()
        for folder in ("Dialect/TE/Transforms", "Pipelines")
        for path in sorted((root / "include/te" / folder).glob("*Passes.td"))
    )
    differential = (root / "test/Integration/differential.py").read_text()
    tests = [
        path.read_text()
        for path in (root / "test/Integration").rglob("*")
        if path.suffix in (".test", ".py", ".mlir") and path.stem != "differential"
    ]
    pipeline = subprocess.run(
        ["te-opt", "--te-optimize", "--dump-pass-pipeline", "-", "-o", "-"],
        input="module {}",
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    wrong, count = [], 0
    for body in re.split(r"^def ", passes, flags=re.M)[1:]:
        name = re.search(r'Pass<"([\w-]+)"', body)[1]
        if name in REPORTS:
            continue
        count += 1
        found = re.findall(r"Exactness:\s+\*\*([a-z ]+)\*\*", body)
        if len(found) != 1 or found[0] not in CLASSES:
            wrong.append(f"{name}: declares {found}, wanted one of {CLASSES}")
        elif found[0] == "exact":
            if not re.search(rf'[",]{name}["{{]', differential):
                wrong.append(f"{name}: is exact, but not in differential.py")
        else:
            if re.search(rf"\b{name}\b(?!-)", pipeline):
                wrong.append(f"{name}: {found[0]}, but te-optimize runs it")
            if not any(name in test for test in tests):
                wrong.append(f"{name}: {found[0]}, but test/Integration has no test")
    for line in wrong:
        print(line)
    print(f"{count} passes, {len(wrong)} findings")
    sys.exit(bool(wrong) or count == 0)


if __name__ == "__main__":
    main()
