#!/usr/bin/env python3
"""Draws what te-exec --profile printed as a roofline: each product by its flops for a
byte and its rate, under what the memory and the tensor cores of an H200 allow; beside
it the calls that only move, by their share of the rate of a copy.

  usage: gpu-roofline.py LOG [SECTION...] >roofline.svg

LOG is layers.log or profile.log of a bundle's run.sh: a line "== NAME" in front of each
profile. Without sections all of them are drawn.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import math
import re
import sys
from xml.sax.saxutils import escape

# TB/s and TFLOP/s of an H200, as docs/Benchmarks.md says.
COPY = 4.28
ROOFS = (
    (1585, "FP8, scales of 128 x 128 on one side"),
    (1230, "FP8, 1 x 128 on both sides"),
    (690, "BF16"),
)
COLOURS = ("#1b6ca8", "#e08e45", "#4f9d69", "#8e5aa8", "#c0504d", "#7a7a7a")
LEFT, TOP, WIDTH, HEIGHT = 60, 50, 560, 400
X, Y = (30.0, 8000.0), (60.0, 2200.0)  # flops for a byte, TFLOP/s
BARS = LEFT + WIDTH + 340
ROW = 15


def fail(message):
    sys.exit(f"gpu-roofline.py: error: {message}")


def read(path, wanted):
    """{section: [{function, variant, intensity, tflops, share, us}]}"""
    sections, name, columns = {}, None, None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("== "):
                name, columns = line[3:].strip(), None
                continue
            cells = re.split(r"\s{2,}", line.strip())
            if cells[0] == "function":
                columns = cells
                # A plan that ran more than once has its first profile drawn.
                name = None if name in sections else name
                if name is not None and (not wanted or name in wanted):
                    sections[name] = []
                continue
            if not columns or cells[0] == "total" or name not in sections:
                columns = None if cells[0] in ("total", "") else columns
                continue
            row = dict(zip(columns, cells))
            us, moved = float(row["us"]), float(row["bytes"])
            tflops, calls = float(row["TFLOP/s"]), int(row["calls"])
            if us / calls < 20 or not moved:  # bound by its launch
                continue
            sections[name].append(
                {
                    "function": row["function"],
                    "variant": row["variant"],
                    "intensity": tflops * us * 1e6 / moved,
                    "tflops": tflops,
                    "share": moved / us / 1e6 / COPY,
                    "us": us / calls,
                }
            )
    missing = [name for name in wanted if not sections.get(name)]
    if missing or not any(sections.values()):
        fail(f"{path}: found no profile of {missing[0] if missing else 'calls'}, wanted one")
    return sections


def across(intensity):
    return LEFT + WIDTH * math.log(intensity / X[0]) / math.log(X[1] / X[0])


def up(tflops):
    return TOP + HEIGHT - HEIGHT * math.log(tflops / Y[0]) / math.log(Y[1] / Y[0])


def text(x, y, what, rest=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {rest}>{escape(what)}</text>'


def line(x1, y1, x2, y2, colour="#d8dde1", width=1):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def axes():
    parts = []
    for x in (50, 100, 200, 500, 1000, 2000, 5000):
        parts.append(line(across(x), TOP, across(x), TOP + HEIGHT))
        parts.append(text(across(x), TOP + HEIGHT + 14, str(x), 'text-anchor="middle" class="s"'))
    for y in (100, 200, 500, 1000, 2000):
        parts.append(line(LEFT, up(y), LEFT + WIDTH, up(y)))
        parts.append(text(LEFT - 6, up(y) + 3, str(y), 'text-anchor="end" class="s"'))
    parts.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 30, "flops for a byte", 'text-anchor="middle"'))
    parts.append(text(LEFT - 40, TOP - 12, "TFLOP/s"))
    for roof, name in ROOFS:
        parts.append(line(across(roof / COPY), up(roof), LEFT + WIDTH, up(roof), "#444", 1.5))
        parts.append(text(LEFT + WIDTH + 4, up(roof) + 3, f"{roof}, {name}", 'class="s"'))
    low, high = X[0], ROOFS[0][0] / COPY
    low = max(low, Y[0] / COPY)
    parts.append(line(across(low), up(low * COPY), across(high), up(high * COPY), "#444", 1.5))
    parts.append(text(across(90), up(90 * COPY) - 8, f"{COPY} TB/s, a copy", 'text-anchor="end" class="s"'))
    return parts


def svg(sections, title):
    parts, y = axes(), TOP
    parts.append(text(BARS, TOP - 12, "moves: share of a copy's rate"))
    for index, (name, rows) in enumerate(sections.items()):
        colour = COLOURS[index % len(COLOURS)]
        key = TOP + HEIGHT + 52 + 16 * index
        parts.append(f'<circle cx="{LEFT + 4}" cy="{key - 4}" r="4" fill="{colour}"/>')
        parts.append(text(LEFT + 14, key, name))
        for row in rows:
            about = f"{row['function']} {row['variant']}: {row['us']:.0f} us"
            if row["tflops"]:
                x = min(max(row["intensity"], X[0]), X[1])
                parts.append(
                    f'<circle cx="{across(x):.1f}" cy="{up(max(row["tflops"], Y[0])):.1f}" r="4" '
                    f'fill="{colour}" fill-opacity="0.8"><title>{escape(about)}</title></circle>'
                )
                continue
            share = row["share"]
            parts.append(text(BARS - 6, y + 9, row["function"], 'text-anchor="end" class="s"'))
            parts.append(
                f'<rect x="{BARS}" y="{y}" width="{200 * share:.1f}" height="{ROW - 4}" '
                f'fill="{colour}"><title>{escape(about)}</title></rect>'
            )
            parts.append(text(BARS + 200 * share + 4, y + 9, f"{share:.2f}, {row['us']:.0f} us", 'class="s"'))
            y += ROW
        y += ROW / 2
    height = max(TOP + HEIGHT + 52 + 16 * len(sections), y + 10)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{BARS + 300}" height="{height:.0f}" '
            'font-family="sans-serif" font-size="12">',
            "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->",
            "<style>.s{font-size:9px;fill:#444}</style>",
            '<rect width="100%" height="100%" fill="white"/>',
            text(12, 20, title, 'font-size="14"'),
            *parts,
            "</svg>",
        ]
    )


def main():
    if len(sys.argv) < 2:
        fail("found no file, wanted usage: gpu-roofline.py LOG [SECTION...]")
    try:
        sections = read(sys.argv[1], sys.argv[2:])
    except OSError as error:
        fail(str(error))
    print(svg(sections, "Calls of whole layers on an H200"))


if __name__ == "__main__":
    main()
