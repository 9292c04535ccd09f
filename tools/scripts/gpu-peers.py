#!/usr/bin/env python3
"""Times functions of the runtime beside what does the same work otherwise: PyTorch,
torch.compile, Triton kernels, cuBLASLt through PyTorch, CUB. One process; all forms of
a step take turns; a copy runs in between.

  usage: gpu-peers.py [--library=libte_runtime.so] [--peers=libte_peers.so]
             [--filter=TEXT] [--short] [--seconds=S] [--json=FILE] [--svg=FILE]

Prints a table: median us, spread, bytes that the step must move, GB/s, share of the
copy's rate, TFLOP/s, ratio. Exit status 1 where two forms do not agree.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import ctypes
import json
import os
import sys

from peers import start


def main():
    parser = start.parser("steps")
    parser.add_argument("--peers", default=start.beside("libte_peers.so"))
    parser.add_argument("--short", action="store_true", help="fewer shapes")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of replays, for each step"
    )
    parser.add_argument("--json", help="writes the rows there too")
    parser.add_argument("--svg", help="draws shares of the limit there")
    options = parser.parse_args()
    runtime = start.runtime(options)
    import torch
    from peers.measure import Bench
    from peers.picture import svg
    from peers.steps import all_steps

    toolkit = ctypes.CDLL(os.path.abspath(options.peers))
    bench = Bench(runtime, seconds=options.seconds)
    failed = []
    for in_short, step in all_steps(runtime, toolkit):
        if options.filter not in step.name or (options.short and not in_short):
            continue
        try:
            bench.run(step)
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:
            failed.append(f"{step.name}: {str(error).splitlines()[0]}")
    print(bench.table())
    for line in bench.wrong + failed:
        print("WRONG", line)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"gpu": torch.cuda.get_device_name(), "rows": bench.rows}, file)
    if options.svg:
        title = f"Share of the limit, {torch.cuda.get_device_name()}"
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(svg(bench.rows, title))
    sys.exit(1 if bench.wrong or failed else 0)


if __name__ == "__main__":
    main()
