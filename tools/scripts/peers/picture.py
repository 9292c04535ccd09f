"""A picture of peers.json: how near each form of a step comes to the limit.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

from xml.sax.saxutils import escape

FP8_TFLOPS = 1585  # of an H200, as docs/Benchmarks.md says
OURS = "te-opt"  # as measure.py, which needs torch
COLOURS = ("#1b6ca8", "#e08e45", "#8f9aa3", "#b7c0c7")
LEFT, WIDTH, BAR, GAP = 360, 520, 11, 9


def share_of_limit(row):
    """Of the copy's rate, or of the FP8 rate of tensor cores."""
    return row["tflops"] / FP8_TFLOPS if row["tflops"] else row["share"]


def svg(rows, title):
    steps = {}
    for row in rows:
        steps.setdefault(row["step"], []).append(row)
    # What takes a few us is bound by its launch and has no share to show.
    steps = {
        name: forms
        for name, forms in steps.items()
        if max(share_of_limit(row) for row in forms) >= 0.1
    }
    lines, y = [], 58
    for name, forms in steps.items():
        forms = sorted(forms, key=lambda row: row["form"] != OURS)
        middle = y + BAR * len(forms) / 2 + 4
        lines.append(
            f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
        for index, row in enumerate(forms):
            share = share_of_limit(row)
            colour = COLOURS[min(index, len(COLOURS) - 1)]
            lines.append(
                f'<rect x="{LEFT}" y="{y}" width="{share * WIDTH:.1f}" '
                f'height="{BAR - 1}" fill="{colour}"/>'
                f'<text x="{LEFT + share * WIDTH + 4:.1f}" y="{y + BAR - 2}" '
                f'class="s">{share:.2f} {escape(row["form"])}</text>'
            )
            y += BAR
        y += GAP
    axis = []
    for tenth in range(0, 11, 2):
        x = LEFT + WIDTH * tenth / 10
        axis.append(
            f'<line x1="{x}" y1="48" x2="{x}" y2="{y}" stroke="#d8dde1"/>'
            f'<text x="{x}" y="42" text-anchor="middle" class="s">{tenth / 10}</text>'
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" '
            f'height="{y + 12}" font-family="sans-serif" font-size="12">',
            "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->",
            "<style>.s{font-size:9px;fill:#444}</style>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="12" y="20" font-size="14">{escape(title)}</text>',
            *axis,
            *lines,
            "</svg>\n",
        ]
    )
