#!/usr/bin/python3
"""count_tests.py: prints `N passed, N failed, N skipped` for a run of lit.

Reads the file that `lit --xunit-xml-output` writes: each GoogleTest case is a test
of its own in it, and skipped ones are there (lit's JSON leaves them out). Exits
with 1 when a test failed, and when none ran at all.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    """Returns (passed, failed, skipped) over all suites of the file."""
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    totals = [
        [int(suite.attrib[key]) for key in ("tests", "failures", "skipped")]
        for suite in suites
    ]
    tests, failed, skipped = (sum(column) for column in zip(*totals or [(0, 0, 0)]))
    return tests - failed - skipped, failed, skipped


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: count_tests.py RESULTS.xml")
    try:
        passed, failed, skipped = count(sys.argv[1])
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        print(f"error: no results of lit in {sys.argv[1]}: {error}", file=sys.stderr)
        passed, failed, skipped = 0, 1, 0
    if passed + failed == 0:
        print("error: no test ran", file=sys.stderr)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
