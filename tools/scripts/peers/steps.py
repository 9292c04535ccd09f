"""The steps of docs/Benchmarks.md.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import torch

from . import kernels
from .casts import activation, quantize, weights
from .measure import OURS, Step
from .moves import Routes, copy, permute, permute_quantize, routing_map, unpermute
from .tensors import BF16, I32, empty, near, normal, rows_scales, square_scales


def grouped_gemm(runtime, name, members, rows, n, k):
    """FP8 rows in blocks of 1 x 128 times weights in blocks of 128 x 128."""
    m = rows * members

    def make():
        x, w = normal(m, k), normal(members, n, k)
        xq, xs = empty(m, k), rows_scales(m, k)
        wq, ws = empty(members, n, k), square_scales(n, k, members)
        wqt, wst = empty(members, k, n), square_scales(k, n, members)
        kernels.rows_1x128(x, xq, xs.tensor)
        kernels.square_128x128(w, wq, ws.tensor, wqt, wst.tensor)
        offsets = torch.arange(0, m + 1, rows, device="cuda", dtype=I32)
        mine = torch.empty(m, n, device="cuda", dtype=BF16)
        row_s = torch.ones(m, device="cuda")
        col_s = torch.ones(members, n, device="cuda")
        ends = offsets[1:].contiguous()
        turned = wq.transpose(1, 2)
        weights_t = w.transpose(1, 2)

        def each():
            for e in range(members):
                at = slice(e * rows, (e + 1) * rows)
                torch._scaled_mm(
                    xq[at], wq[e].t(), scale_a=xs_of[e], scale_b=ws_of[e],
                    out_dtype=BF16,
                )

        xs_of = [
            xs.tensor[:, e * rows : (e + 1) * rows].contiguous().t()
            for e in range(members)
        ]
        ws_of = [ws.tensor[e][:, : k // 128].t() for e in range(members)]
        forms = {
            OURS: runtime.call(
                "grouped_gemm", xq, xs, None, [wq], [ws], [], [], offsets, [mine],
                1, 0, 0, 0,
            ),
            "cuBLASLt loop": each,
            "_scaled_grouped_mm rowwise": lambda: torch._scaled_grouped_mm(
                xq, turned, row_s, col_s, offs=ends, out_dtype=BF16,
                use_fast_accum=True,
            ),
            "_grouped_mm bf16": lambda: torch._grouped_mm(x, weights_t, offs=ends),
        }

        def check():
            wanted = torch._grouped_mm(x, weights_t, offs=ends)
            return near("products", mine, wanted, 6e-2)

        return forms, check

    return Step(
        f"grouped_gemm {name} m={rows}",
        make,
        m * k + members * n * k + m * n * 2,
        2 * m * n * k,
    )


def all_steps(runtime, peers):
    """(is a short run's too, step) for each line of the table, made when asked for."""
    # Larger ones are slower as nodes of a graph, whose they are here.
    yield True, copy(runtime, 512 << 20)
    layers = (
        ("DeepSeek-V3 E=8", 8, ((4096, 7168), (7168, 2048))),
        ("Qwen3-30B E=128", 128, ((1536, 2048), (2048, 768))),
    )
    for layer in layers:
        for square in (False, True):
            yield True, weights(runtime, *layer, square)
    for tokens in (512, 16384, 32768):
        for columns in (False, True):
            yield tokens == 16384, quantize(runtime, tokens, columns)
    for experts in (32, 256):
        yield True, routing_map(runtime, peers, Routes(16384, experts, 128))
    tight, padded = Routes(16384, 32, 1), Routes(16384, 32, 128)
    for fp8 in (False, True):
        yield fp8, permute(runtime, tight, fp8)
        yield True, permute(runtime, padded, fp8)
    yield True, unpermute(runtime, padded)
    for columns in (False, True):
        yield True, permute_quantize(runtime, padded, columns)
    for backward in (False, True):
        yield True, activation(runtime, 131072, backward)
    yield True, grouped_gemm(runtime, "DeepSeek-V3 fc1 E=8", 8, 4096, 4096, 7168)
    yield False, grouped_gemm(runtime, "DeepSeek-V3 fc2 E=8", 8, 4096, 7168, 2048)
    yield False, grouped_gemm(runtime, "Qwen3-30B fc1 E=128", 128, 512, 1536, 2048)
