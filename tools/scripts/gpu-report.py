#!/usr/bin/env python3
"""Writes what run.sh of a bundle has left in a folder as Markdown, on standard output.

  usage: gpu-report.py FOLDER

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import json
import os
import sys

from peers.picture import OURS


def peers_table(rows):
    lines = [
        "| step | form | us | spread | bytes | GB/s | of a copy | TFLOP/s | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ours = row["form"] == OURS
        tflops = f"{row['tflops']:.0f}" if row["tflops"] else ""
        lines.append(
            f"| {row['step'] if ours else ''} | {row['form']} | {row['us']:.2f} | "
            f"{100 * row['spread']:.1f}% | {row['bytes']} | {row['gbs']:.0f} | "
            f"{row['share']:.3f} | {tflops} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines)


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit("gpu-report.py: error: found no folder, wanted that of run.sh's logs")
    folder = sys.argv[1]

    def read(name):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()

    def section(title, text, note=""):
        if text:
            print(f"\n## {title}\n")
            if note:
                print(note + "\n")
            print(f"```\n{text}\n```")

    print("# Report of a GPU run")
    section("Outcome", read("summary.txt"))
    peers = read("peers.json")
    if peers:
        print("\n## Beside its peers\n")
        print(
            "Median of replays in turns. The ratio of a peer is its time by ours, "
            "our ratio the best peer's time by ours.\n"
        )
        if os.path.exists(os.path.join(folder, "share.svg")):
            print("![share of the limit](share.svg)\n")
        print(peers_table(json.loads(peers)["rows"]))
        wrong = [l for l in read("peers.log").splitlines() if l.startswith("WRONG")]
        section("Forms that do not agree", "\n".join(wrong))
    section("Held to PyTorch", read("torch.log"))
    section("Functions", read("bench.log"))
    section(
        "Products",
        read("products.log"),
        "Beside cuBLASLt in turns; skewed rows beside as many that are shared out evenly.",
    )
    limits = read("limits.log")
    if limits:
        print("\n## What products use\n\nOne launch of each, by Nsight Compute.\n\n" + limits)
    section(
        "Optimized against naive",
        read("against.log"),
        "Launches and time of one step, by class of calls.",
    )
    if os.path.exists(os.path.join(folder, "roofline.svg")):
        print("\n![calls of whole layers under the roofline](roofline.svg)")
    section(
        "Whole layers",
        read("layers.log"),
        "Times of all calls in seven steps; predicted is what the compiler expected.",
    )
    section("Between GPUs", read("ranks.log"))
    section("Profiles", read("profile.log"))


if __name__ == "__main__":
    main()
