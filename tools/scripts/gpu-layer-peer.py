#!/usr/bin/env python3
"""Times the BF16 products of an expert layer by torch._grouped_mm, one after another as a
training step has them, so that the card is as warm as in a step.

  usage: gpu-layer-peer.py EXPERTS HIDDEN FFN TOKENS TOP_K [SECONDS]

A row for each product (fc1 N is 2 x FFN): the median us of its launches over SECONDS (1)
of steps, the first third left out; gradients of weights are BF16, where a step of ours
writes F32. Compared first with a product of one expert in F32. Routing is uniform.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys
import time


def main():
    if len(sys.argv) not in (6, 7):
        sys.exit(__doc__.split("\n\n")[1].strip())
    experts, hidden, ffn, tokens, top_k = map(int, sys.argv[1:6])
    seconds = float(sys.argv[6]) if len(sys.argv) == 7 else 1.0
    try:
        import torch
    except ImportError:
        sys.exit("gpu-layer-peer.py: error: found no PyTorch, wanted one with CUDA")
    torch.manual_seed(0)
    rows = tokens * top_k
    gpu = {"device": "cuda", "dtype": torch.bfloat16}
    picks = torch.rand(tokens, experts, device="cuda").topk(top_k, dim=1).indices
    counts = torch.bincount(picks.flatten(), minlength=experts)
    ends = counts.cumsum(0).to(torch.int32)

    def weights(n, k):
        return torch.randn(experts, n, k, **gpu) * k**-0.5

    x, e2 = torch.randn(rows, hidden, **gpu), torch.randn(rows, hidden, **gpu)
    act, e1 = torch.randn(rows, ffn, **gpu), torch.randn(rows, 2 * ffn, **gpu)
    w1, w2 = weights(2 * ffn, hidden), weights(hidden, ffn)
    mm = torch._grouped_mm
    products = {
        "fc1": lambda: mm(x, w1.transpose(1, 2), ends),
        "fc2": lambda: mm(act, w2.transpose(1, 2), ends),
        "fc2 dgrad": lambda: mm(e2, w2, ends),
        "fc2 wgrad": lambda: mm(e2.t(), act, ends),
        "fc1 dgrad": lambda: mm(e1, w1, ends),
        "fc1 wgrad": lambda: mm(e1.t(), x, ends),
    }
    n = int(ends[0])
    for name, wanted in (
        ("fc1", x[:n].float() @ w1[0].float().t()),
        ("fc1 wgrad", e1[:n].float().t() @ x[:n].float()),
    ):
        found = products[name]()
        found = (found[:n] if name == "fc1" else found[0]).float()
        error = ((found - wanted).norm() / wanted.norm()).item()
        if not error < 5e-3:
            sys.exit(f"gpu-layer-peer.py: error: {name}: found an error of {error:.1e}, wanted 5e-3")

    times = {name: [] for name in products}
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(len(products) + 1)]
        marks[0].record()
        for product, mark in zip(products.values(), marks[1:]):
            product()
            mark.record()
        torch.cuda.synchronize()
        for name, a, b in zip(products, marks, marks[1:]):
            times[name].append(a.elapsed_time(b) * 1e3)
    total = 0
    for name, samples in times.items():
        samples = sorted(samples[len(samples) // 3 :])
        median = samples[len(samples) // 2]
        total += median
        flops = 2 * rows * hidden * ffn * (1 if name.startswith("fc2") else 2)
        print(f"{name:10} {median:9.1f} us {flops / median / 1e6:7.1f} TFLOP/s")
    print(f"{'all':10} {total:9.1f} us")


if __name__ == "__main__":
    main()
