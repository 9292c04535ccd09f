"""The steps of docs/Benchmarks.md, each with what does the same work otherwise.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import ctypes

import torch

from . import kernels
from .measure import OURS, Step
from .runtime import COMPACT, GEMM_READY, TENSOR, Scales

E4M3, BF16, F32, I32 = kernels.E4M3, torch.bfloat16, torch.float32, torch.int32
HIDDEN, WIDTH, TOP_K = 7168, 2048, 8

def normal(*shape, dtype=BF16):
    return torch.randn(*shape, device="cuda", dtype=dtype)


def empty(*shape, dtype=E4M3):
    return torch.empty(*shape, device="cuda", dtype=dtype)


def up(value, to):
    return (value + to - 1) // to * to


def rows_scales(rows, cols, groups=0):
    """GEMM_READY scales of rows x cols in blocks of 1 x 128."""
    blocks = cols // 128 + groups if groups else up(cols, 128) // 128
    return Scales(
        empty(blocks, up(rows, 4), dtype=F32), GEMM_READY, 1, 128, groups
    )


def square_scales(rows, cols, *lead):
    return Scales(
        empty(*lead, up(rows, 128) // 128, up(up(cols, 128) // 128, 4), dtype=F32),
        GEMM_READY,
        128,
        128,
    )


def differ(what, a, b):
    """What to say where the bytes of two tensors differ."""
    found = int((a.view(torch.uint8) != b.view(torch.uint8)).sum())
    return f"{what}: {found} of {a.nbytes} bytes differ; " if found else ""


def near(what, a, b, bound):
    error = float((a.float() - b.float()).norm() / b.float().norm())
    return f"{what}: error {error:.2e} of the norm; " if not error < bound else ""


def compiled(function):
    return torch.compile(function, dynamic=False)


#
# Casts
#


def weights(runtime, name, members, shapes, square):
    """All weights of a layer in one launch, both directions."""
    elements = members * sum(m * k for m, k in shapes)
    plain = compiled(kernels.plain_cast_transpose)

    def make():
        xs = [normal(members, m, k) for m, k in shapes]
        q = [empty(*x.shape) for x in xs]
        qt = [empty(members, k, m) for m, k in shapes]
        mine, mine_t = [torch.empty_like(t) for t in q], [
            torch.empty_like(t) for t in qt
        ]
        each = lambda stacks: [t for stack in stacks for t in stack]
        count = members * len(shapes)
        scale = [torch.full((members,), 64.0, device="cuda") for _ in shapes]
        amax = [torch.zeros(members, device="cuda") for _ in shapes]
        if square:
            s = [square_scales(m, k, members) for m, k in shapes]
            st = [square_scales(k, m, members) for m, k in shapes]
            ours_s, ours_st = (
                [
                    Scales(part, GEMM_READY, 128, 128)
                    for stack in stacks
                    for part in torch.empty_like(stack.tensor)
                ]
                for stacks in (s, st)
            )
            arguments = ([], [], None, each(mine), ours_s, each(mine_t), ours_st, [])
        else:
            ours_s, ours_st = (
                [Scales(t, TENSOR) for t in empty(count, dtype=F32)]
                for _ in range(2)
            )
            own = list(torch.zeros(count, device="cuda"))
            arguments = (
                each(scale), own, None, each(mine), ours_s, each(mine_t), ours_st, own
            )
        forms = {
            OURS: runtime.call(
                "multi_cast_transpose", each(xs), *arguments, [], [], 1, 0, 0.0
            )
        }
        if square:
            forms["Triton"] = lambda: [
                kernels.square_128x128(x, a, b.tensor, at, bt.tensor)
                for x, a, b, at, bt in zip(xs, q, s, qt, st)
            ]
        else:
            forms["Triton"] = lambda: [
                kernels.cast_transpose(*stack)
                for stack in zip(xs, scale, amax, q, qt)
            ]
            forms["torch.compile"] = lambda: [
                plain(x, one) for x, one in zip(xs, scale)
            ]
        check = lambda: "".join(
            differ("values", a, b) for a, b in zip(mine + mine_t, q + qt)
        )
        return forms, check

    kind = "128x128" if square else "tensor+amax"
    return Step(f"multi_cast_transpose {kind} {name}", make, 4 * elements)


def quantize(runtime, tokens, columns):
    elements = tokens * HIDDEN
    plain = compiled(kernels.plain_rows)

    def make():
        x = normal(tokens, HIDDEN)
        outs = [
            (
                empty(tokens, HIDDEN),
                rows_scales(tokens, HIDDEN),
                empty(HIDDEN, tokens),
                rows_scales(HIDDEN, tokens),
            )
            for _ in range(2)
        ]
        q, s, qt, st = outs[0]
        o, os, ot, ost = outs[1]
        forms = {
            OURS: runtime.call(
                "quantize", x, None, None, None, None, None, q, s,
                qt if columns else None, st if columns else None,
                None, None, None, -1, 1, 0, 0, 0, 0.0,
            )
        }
        if columns and tokens % 128 == 0:
            forms["Triton"] = lambda: kernels.rows_and_columns(
                x, o, os.tensor, ot, ost.tensor
            )
        elif not columns:
            forms["Triton"] = lambda: kernels.rows_1x128(x, o, os.tensor)
            forms["torch.compile"] = lambda: plain(x)
        check = lambda: differ("values", q, o) + (
            differ("columns", qt, ot) + differ("scales", st.tensor, ost.tensor)
            if columns
            else ""
        )
        return forms, check

    name = f"quantize 1x128 rows{' + columns' if columns else ''} {tokens}"
    move = elements * (4 if columns else 3) + elements // 32 * (2 if columns else 1)
    return Step(name, make, move)


#
# Moves
#


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


#
# Activations
#


def activation(runtime, rows, backward):
    width = WIDTH * (2 if backward else 1)
    plain = compiled(
        kernels.plain_swiglu_backward if backward else kernels.plain_swiglu
    )

    def make():
        x, g = normal(rows, 2 * WIDTH), normal(rows, WIDTH)
        p, dp = torch.rand(rows, device="cuda"), torch.empty(rows, device="cuda")
        outs = [
            (
                empty(rows, width),
                rows_scales(rows, width),
                empty(width, rows),
                rows_scales(width, rows),
            )
            for _ in range(2)
        ]
        mine, theirs = outs

        def composed():
            y = plain(g, x, p)[0] if backward else plain(x, p)
            kernels.rows_and_columns(
                y, theirs[0], theirs[1].tensor, theirs[2], theirs[3].tensor
            )

        if backward:
            ours = runtime.call(
                "swiglu_backward_quantize", g, x, p, None, None, None, *mine, None,
                dp, 1, 0.0,
            )
        else:
            ours = runtime.call(
                "swiglu_quantize", x, p, None, None, None, *mine, None, 1, 0.0
            )
        value = lambda out: out[0].float() * out[1].tensor[
            :, :rows
        ].t().repeat_interleave(128, 1)
        forms = {OURS: ours, "torch.compile + Triton": composed}
        # Rounding of exp differs: the next code here and there.
        return forms, lambda: near("values", value(mine), value(theirs), 2e-3)

    name = f"swiglu{'_backward' if backward else ''}_quantize both {rows}"
    read = rows * WIDTH * (6 if backward else 4) + rows * (8 if backward else 4)
    return Step(name, make, read + rows * width * 2 + rows * width // 16)


#
# Products
#


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
