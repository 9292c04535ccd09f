"""Casts, alone and behind activations, each with what does the same work otherwise.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import torch

from . import kernels
from .measure import OURS, Step
from .runtime import GEMM_READY, TENSOR, Scales
from .tensors import (
    F32,
    HIDDEN,
    WIDTH,
    compiled,
    differ,
    empty,
    near,
    normal,
    rows_scales,
    square_scales,
)


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
