#!/usr/bin/python3
"""count_tests.py: prints `N passed, N failed, N skipped` for a run of lit.

Reads the JSON file that `lit --output` writes. Each GoogleTest case is a test of
its own in it. Exits with 1 when a test failed, and when none ran at all.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import collections
import json
import sys

PASSED = {"PASS", "XFAIL", "FLAKYPASS"}
SKIPPED = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}


def count(codes):
    """Returns (passed, failed, skipped); a code that is unknown here failed."""
    counts = collections.Counter(
        "passed" if code in PASSED else "skipped" if code in SKIPPED else "failed"
        for code in codes
    )
    return counts["passed"], counts["failed"], counts["skipped"]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: count_tests.py RESULTS.json")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            codes = [test["code"] for test in json.load(file)["tests"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: no results of lit in {sys.argv[1]}: {error}", file=sys.stderr)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    passed, failed, skipped = count(codes)
    if passed + failed == 0:
        print("error: no test ran", file=sys.stderr)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
