#!/usr/bin/env python3
"""Says what products of experts use of a GPU: one launch of each under Nsight Compute
(ncu), with clocks as they are. Prints rows of Markdown.

  usage: gpu-limits.py [--bench=te_runtime_bench] [--ncu=ncu] [PRODUCT...]

A PRODUCT is a name of te_runtime_bench, as "rows 1x128 E=8 fc1 4096x7168 m~4096".

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys

PIPE = "sm__pipe_tensor_type_hmma_hgmma_qgmma_imma_igmma_bmma_bgmma_cycles_active"
METRICS = {
    "us": "gpu__time_duration.sum",
    "pipe": PIPE + ".avg.pct_of_peak_sustained_elapsed",
    "clock": "sm__cycles_elapsed.avg.per_second",
    "read": "dram__bytes_read.sum",
    "written": "dram__bytes_write.sum",
    "dram": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "l2": "lts__t_sectors_srcunit_tex.sum",
    "halves": "lts__t_sectors_srcunit_ltcfabric.sum",
}
SECTOR = 32  # bytes
PRODUCTS = [
    "rows 1x128 E=8 fc1 4096x7168 m~128",
    "rows 1x128 E=8 fc1 4096x7168 m~4096",
    "rows 1x128 E=8 fc2 7168x2048 m~4096",
    "rows 1x128 E=128 fc1 1536x2048 m~512",
    "rows 1x128 E=128 fc2 2048x768 m~1024",
    "rows tensor E=8 fc1 4096x7168 m~4096",
    "rows bf16 E=8 fc1 4096x7168 m~4096",
    "wgrad 1x128 E=8 fc1 4096x7168 m~512 +=",
    "wgrad 1x128 E=8 fc1 4096x7168 m~4096 +=",
    "wgrad 128x128 E=8 fc1 4096x7168 m~4096 +=",
    "wgrad bf16 E=8 fc1 4096x7168 m~4096 +=",
]


def fail(message):
    sys.exit(f"gpu-limits.py: error: {message}")


def measure(options, product):
    """Values by the names above, in us, percent, Hz, bytes and sectors."""
    command = [options.ncu, "--csv", "--print-units=base", "--clock-control=none"]
    command += ["--cache-control=none", "--kill=yes", "--launch-count=1"]
    command += ["--kernel-name=regex:grouped", "--metrics=" + ",".join(METRICS.values())]
    command += [options.bench, "product " + product]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line for line in run.stdout.splitlines() if line.startswith('"')]
    found = {row["Metric Name"]: row for row in csv.DictReader(lines)}
    missing = [name for name in METRICS.values() if name not in found]
    if missing:
        said = (run.stderr + run.stdout).strip().splitlines() or ["nothing"]
        fail(f"{product}: found no {missing[0]}; ncu says: {said[-1]}")
    number = lambda name: float(found[name]["Metric Value"].replace(",", ""))
    values = {key: number(name) for key, name in METRICS.items()}
    values["us"] /= 1e3  # of ns
    return values


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", default=os.path.join(here, "te_runtime_bench"))
    parser.add_argument("--ncu", default=shutil.which("ncu") or "/usr/local/cuda/bin/ncu")
    parser.add_argument("products", nargs="*", default=PRODUCTS)
    options = parser.parse_args()
    for what in (options.bench, options.ncu):
        if not os.path.exists(what):
            fail(f"found no {what}, wanted the program")
    print("| product | us | tensor cores | GHz | read GB | written GB | of DRAM | L2 to SMs GB | between its halves GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for product in options.products:
        v = measure(options, product)
        print(
            f"| {product} | {v['us']:.0f} | {v['pipe']:.0f} % | {v['clock'] / 1e9:.2f} | "
            f"{v['read'] / 1e9:.2f} | {v['written'] / 1e9:.2f} | {v['dram']:.0f} % | "
            f"{v['l2'] * SECTOR / 1e9:.1f} | {v['halves'] * SECTOR / 1e9:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
