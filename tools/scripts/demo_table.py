#!/usr/bin/python3
"""demo_table.py: the table that the demo ends with.

Reads, in the folder it is given, the cost reports of the naive and the optimized
program (`naive.json`, `optimized.json`), those of the two lowered programs, which
alone know the peak memory (`*-lowered.json`), and what `te-run --check` printed
(`check.txt`, and `check-cuda.txt` where there was a GPU).

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import json
import os
import sys


def load(folder, name):
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"error: no cost report in {path}: {error}")


def bytes_text(count):
    """1234567 as '1.2 MB'; '-' for None."""
    if count is None:
        return "-"
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def ratio(before, after):
    """How many times smaller, as '32x'; empty where that says nothing."""
    if before is None or after is None or before == after:
        return ""
    if after == 0:
        return "gone"
    if before == 0:
        return "new"
    times = before / after
    return f"{times:.0f}x" if times >= 10 else f"{times:.2g}x"


def class_rows(before, after):
    """One row for each op class that either program has, the dearest first."""
    none = {"launches": 0, "bytes": 0, "host_syncs": 0}
    pairs = {
        name: (before["classes"].get(name, none), after["classes"].get(name, none))
        for name in {**before["classes"], **after["classes"]}
    }
    pairs = {
        name: pair
        for name, pair in pairs.items()
        if any(cost["launches"] or cost["bytes"] for cost in pair)
    }
    order = sorted(pairs, key=lambda name: (-pairs[name][0]["launches"], name))
    return [cost_row(name, *pairs[name]) for name in order]


def cost_row(name, before, after):
    return [
        name,
        str(before["launches"]),
        str(after["launches"]),
        ratio(before["launches"], after["launches"]),
        bytes_text(before["bytes"]),
        bytes_text(after["bytes"]),
        ratio(before["bytes"], after["bytes"]),
    ]


def table(before, after, peak_before, peak_after):
    """The lines of the table."""
    head = ["op class", "launches", "after", "", "bytes moved", "after", ""]
    syncs = [cost["total"].get("host_syncs", 0) for cost in (before, after)]
    total = cost_row("total", before["total"], after["total"])
    rest = [
        ["host synchronizations", str(syncs[0]), str(syncs[1]), ratio(*syncs), "", "", ""],
        [
            "peak memory", "", "", "",
            bytes_text(peak_before), bytes_text(peak_after),
            ratio(peak_before, peak_after),
        ],
    ]
    blocks = [[head], class_rows(before, after), [total], rest]
    widths = [
        max(len(row[column]) for block in blocks for row in block)
        for column in range(len(head))
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = []
    for block in blocks:
        lines += [rule] if lines else []
        lines += [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in block
        ]
    return lines


def exactness(folder, name, where):
    """What te-run --check found: which results are equal bit for bit, and its own
    line for each that is not."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    # A table under a heading, ended by the line of its verdict.
    if not lines or "error" not in lines[0]:
        sys.exit(f"error: no table of results in {os.path.join(folder, name)}")
    column = lines[0].index("error")
    rows = lines[1 : next(i for i, line in enumerate(lines) if line.startswith("check:"))]
    exact = [row.split()[0] for row in rows if row[column:].startswith("exact")]
    inexact = [row.rstrip() for row in rows if not row[column:].startswith("exact")]
    text = (
        f"{where}, {len(exact)} of {len(rows)} results equal the naive program's bit "
        f"for bit: {', '.join(exact) or 'none'}"
    )
    if not inexact:
        return [text + "."]
    return [text + ";", "within their bounds:"] + ["  " + row for row in inexact]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: demo_table.py FOLDER")
    folder = sys.argv[1]
    before, after = load(folder, "naive.json"), load(folder, "optimized.json")
    peaks = [
        load(folder, name)["peak_bytes"]
        for name in ("naive-lowered.json", "optimized-lowered.json")
    ]
    print("\n".join(table(before, after, *peaks)))
    if peaks[1] > peaks[0]:
        print(
            "\nThe optimized program keeps the quantized weights for the whole step; the"
            "\nnaive one makes them again in each micro-batch, and needs room for less."
        )
    print()
    lines = exactness(folder, "check.txt", "On ref")
    lines += exactness(folder, "check-cuda.txt", "On the GPU")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
