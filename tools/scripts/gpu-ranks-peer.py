#!/usr/bin/env python3
"""all_to_all_single of torch.distributed (NCCL), for the rows of
te_runtime_ranks_bench: a process for each GPU.

  usage: gpu-ranks-peer.py [RANKS]     2 by default

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import os
import statistics
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

CALLS, RUNS = 10, 9


def measure(rank, ranks, width, tokens, to_all):
    """Median us of the slowest rank, and the bytes that leave one."""
    rows = tokens if to_all else tokens // ranks
    sent = torch.ones(max(rows, 1) * ranks, width, dtype=torch.uint8, device=rank)
    received = torch.empty_like(sent)
    begin = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    times = []
    for run in range(RUNS + 2):
        torch.cuda.synchronize()
        dist.barrier()
        begin.record()
        for _ in range(CALLS):
            dist.all_to_all_single(received, sent)
        end.record()
        end.synchronize()
        if run >= 2:
            times.append(begin.elapsed_time(end) * 1e3 / CALLS)
    median = torch.tensor([statistics.median(times)], device=rank)
    dist.all_reduce(median, op=dist.ReduceOp.MAX)
    return float(median), rows * width * (ranks - 1)


def work(rank, ranks):
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29513")
    torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl", rank=rank, world_size=ranks, device_id=torch.device("cuda", rank)
    )
    for tokens in (4, 1024, 16384, 65536):
        for to_all in (False, True):
            if tokens == 4 and to_all:
                continue
            for name, width in (("bf16", 14336), ("fp8 + scales", 7168 + 224)):
                us, size = measure(rank, ranks, width, tokens, to_all)
                if rank == 0:
                    print(
                        f"all_to_all   {name:12} to {'all' if to_all else 'one'} "
                        f"{tokens:6} tokens {us:10.2f} us {size:12} B "
                        f"{size / us / 1e3:6.0f} GB/s",
                        flush=True,
                    )
    dist.destroy_process_group()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    if torch.cuda.device_count() < count:
        sys.exit(
            f"gpu-ranks-peer.py: error: found {torch.cuda.device_count()} GPUs, "
            f"wanted {count}"
        )
    multiprocessing.spawn(work, (count,), count)
