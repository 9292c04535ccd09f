"""Routing and moves of tokens, each with what does the same work otherwise.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import ctypes

import torch

from . import kernels
from .measure import OURS, Step
from .runtime import COMPACT, Scales
from .tensors import (
    BF16,
    E4M3,
    F32,
    HIDDEN,
    I32,
    TOP_K,
    compiled,
    differ,
    empty,
    near,
    normal,
    rows_scales,
)


def copy(runtime, size):
    """What every share of the limit is held against, beside the driver's own."""

    def make():
        source = torch.randint(0, 255, (size,), dtype=torch.uint8, device="cuda")
        mine, theirs = torch.empty_like(source), torch.empty_like(source)
        forms = {
            OURS: runtime.call("copy", source, mine),
            "cudaMemcpy": lambda: theirs.copy_(source),
        }
        return forms, lambda: differ("bytes", mine, theirs)

    return Step(f"copy {size >> 20} MiB", make, 2 * size)


class Routes:
    """Tokens to distinct experts, evenly; rows of experts padded to `alignment`."""

    def __init__(self, tokens, experts, alignment):
        generator = torch.Generator(device="cuda").manual_seed(7)
        scores = torch.rand(tokens, experts, device="cuda", generator=generator)
        self.tokens, self.experts, self.alignment = tokens, experts, alignment
        self.indices = scores.topk(TOP_K, dim=1).indices.to(I32).contiguous()
        flat = self.indices.flatten().long()
        self.counts = torch.bincount(flat, minlength=experts).to(I32)
        sizes = (self.counts.long() + alignment - 1) // alignment * alignment
        ends = sizes.cumsum(0)
        self.offsets = torch.cat((ends.new_zeros(1), ends)).to(I32)
        self.capacity = int(ends[-1])
        order = flat.sort(stable=True).indices
        first = self.counts.long().cumsum(0) - self.counts
        within = torch.arange(flat.numel(), device="cuda") - first[flat[order]]
        rows = torch.empty_like(flat)
        rows[order] = self.offsets.long()[flat[order]] + within
        self.row_map = rows.to(I32).view(tokens, TOP_K)
        # The token of each row; padding takes one behind the last.
        self.sources = torch.full((self.capacity,), tokens, device="cuda")
        self.sources[rows] = torch.arange(flat.numel(), device="cuda") // TOP_K


def routing_map(runtime, peers, routes):
    pairs = routes.tokens * TOP_K

    def make():
        ids = routes.indices.clone()
        outs = [
            (
                torch.empty_like(ids),
                torch.empty_like(routes.counts),
                torch.empty_like(routes.offsets),
            )
            for _ in range(2)
        ]
        order = torch.arange(pairs, device="cuda", dtype=I32)
        sorted_ids, sorted_order = torch.empty_like(order), torch.empty_like(order)
        size = ctypes.c_size_t()
        experts = torch.arange(routes.experts + 1, device="cuda", dtype=I32)
        every = torch.arange(pairs, device="cuda")

        def cub(scratch):
            error = peers.te_peer_routing_map(
                *(
                    ctypes.c_void_p(t.data_ptr())
                    for t in (ids, order, sorted_ids, sorted_order, *outs[1])
                ),
                ctypes.c_int64(pairs),
                routes.experts,
                routes.alignment,
                ctypes.c_void_p(scratch),
                ctypes.byref(size),
                ctypes.c_void_p(runtime.stream.cuda_stream),
            )
            if error:
                raise RuntimeError(f"te_peer_routing_map: CUDA error {error}")

        cub(None)
        scratch = empty(size.value, dtype=torch.uint8)

        def by_sort():
            """Counts by searchsorted: bincount waits for the host."""
            flat = ids.flatten()
            values, places = flat.sort(stable=True)
            bounds = torch.searchsorted(values, experts)
            counts = bounds[1:] - bounds[:-1]
            padded = (counts + routes.alignment - 1) // routes.alignment
            ends = (padded * routes.alignment).cumsum(0)
            shift = ends - padded * routes.alignment - bounds[:-1]
            at = every + shift[values]
            rows = torch.empty_like(flat)
            rows[places] = at.to(I32)
            return rows

        forms = {
            OURS: runtime.call(
                "routing_map", ids, *outs[0], routes.alignment, routes.capacity
            ),
            "CUB": lambda: cub(scratch.data_ptr()),
            "torch.sort": by_sort,
        }
        check = lambda: "".join(
            differ(what, a, b)
            for what, a, b in zip(("rows", "counts", "offsets"), *outs)
        )
        return forms, check

    return Step(
        f"routing_map {pairs} ids, {routes.experts} experts", make, pairs * 8
    )


def permute(runtime, routes, fp8):
    pads = routes.alignment > 1
    rows = routes.tokens + (routes.capacity if pads else routes.tokens * TOP_K)
    size = 1 + 4 / 128 if fp8 else 2

    def make():
        # One row more: a composed form gathers padding from there.
        x = normal(routes.tokens + 1, HIDDEN)
        x[-1] = 0
        x = x.to(E4M3) if fp8 else x
        tokens = x[:-1]
        s = normal(routes.tokens + 1, HIDDEN // 128, dtype=F32)
        mine = torch.empty(routes.capacity, HIDDEN, device="cuda", dtype=x.dtype)
        mine_s = rows_scales(routes.capacity, HIDDEN)
        theirs = torch.empty_like(mine)
        theirs_s = empty(routes.capacity, HIDDEN // 128, dtype=F32)
        pad = (routes.counts, routes.offsets) if pads else (None, None)
        scales = (Scales(s[:-1], COMPACT, 1, 128), mine_s) if fp8 else (None, None)
        wide = lambda t: t.view(torch.int32) if fp8 else t

        def by_index():
            torch.index_select(wide(x), 0, routes.sources, out=wide(theirs))
            if fp8:
                torch.index_select(s, 0, routes.sources, out=theirs_s)

        forms = {
            OURS: runtime.call(
                "permute", tokens, scales[0], None, routes.row_map, *pad, mine,
                scales[1], None,
            ),
            "index_select": by_index,
        }
        if not pads and not fp8:
            forms["Triton"] = lambda: kernels.scatter_rows(
                x, routes.row_map, theirs
            )
        return forms, lambda: differ("rows", mine, theirs)

    name = f"permute{' + pad 128' if pads else ''} {'fp8 + scales' if fp8 else 'bf16'}"
    return Step(f"{name} {routes.tokens}", make, int(rows * HIDDEN * size))


def unpermute(runtime, routes):
    plain = compiled(kernels.plain_unpermute)
    places = routes.row_map.long()

    def make():
        x = normal(routes.capacity, HIDDEN)
        mine = torch.empty(routes.tokens, HIDDEN, device="cuda", dtype=BF16)
        theirs = torch.empty_like(mine)
        forms = {
            OURS: runtime.call("unpermute", x, None, routes.row_map, mine, None),
            "Triton": lambda: kernels.gather_sums(x, routes.row_map, theirs),
            "torch.compile": lambda: plain(x, places),
        }
        return forms, lambda: near("rows", mine, theirs, 2e-3)

    return Step(
        f"unpermute bf16 {routes.tokens}",
        make,
        routes.tokens * (TOP_K + 1) * HIDDEN * 2,
    )


def permute_quantize(runtime, routes, columns):
    rows = routes.capacity

    def make():
        x = normal(routes.tokens + 1, HIDDEN)
        x[-1] = 0
        q, s = empty(rows, HIDDEN), rows_scales(rows, HIDDEN)
        qt = empty(HIDDEN, rows)
        st = rows_scales(HIDDEN, rows, routes.experts)
        tokens_q = empty(routes.tokens + 1, HIDDEN)
        tokens_s = rows_scales(routes.tokens + 1, HIDDEN)
        theirs = [empty(rows, HIDDEN), rows_scales(rows, HIDDEN).tensor]
        moved = torch.empty(rows, HIDDEN, device="cuda", dtype=BF16)
        theirs_t = [empty(HIDDEN, rows), rows_scales(HIDDEN, rows).tensor]

        def composed():
            """Cast once, then move; with columns, move and cast."""
            if columns:
                torch.index_select(x, 0, routes.sources, out=moved)
                kernels.rows_and_columns(moved, *theirs, *theirs_t)
                return
            kernels.rows_1x128(x, tokens_q, tokens_s.tensor)
            torch.index_select(
                tokens_q.view(I32), 0, routes.sources, out=theirs[0].view(I32)
            )
            torch.index_select(
                tokens_s.tensor, 1, routes.sources, out=theirs[1]
            )

        forms = {
            OURS: runtime.call(
                "permute_quantize", x[:-1], None, routes.row_map, None, None,
                routes.offsets, routes.counts, q, s, qt if columns else None,
                st if columns else None, None, None, 1, 0.0,
            ),
            "Triton + index_select": composed,
        }
        check = lambda: differ("values", q, theirs[0]) + (
            differ("columns", qt, theirs_t[0]) if columns else ""
        )
        return forms, check

    name = f"permute_quantize rows{' + columns' if columns else ''} {routes.tokens}"
    sides = 2 if columns else 1
    move = routes.tokens * HIDDEN * 2 + rows * HIDDEN * sides + rows * HIDDEN // 32 * sides
    return Step(name, make, move)
