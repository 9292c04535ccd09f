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
PREFER = (0, -1, 1, 0, 0, 0, 0, 0.0)


def normal(*shape, dtype=BF16):
    return torch.randn(*shape, device="cuda", dtype=F32).to(dtype) if (
        len(shape) and shape[0] < 1 << 16
    ) else torch.randn(*shape, device="cuda", dtype=dtype)


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


def weights(runtime, name, members, shapes):
    """All weights of a layer by one multiplier each, with amax, both directions."""
    elements = members * sum(m * k for m, k in shapes)
    compile_plain = compiled(kernels.plain_cast_transpose)

    def make(_):
        ours = {"in": [], "q": [], "qt": []}
        stacks = []
        for m, k in shapes:
            x = normal(members, m, k)
            scale = torch.full((members,), 64.0, device="cuda")
            stack = (x, scale, torch.zeros_like(scale), empty(members, m, k),
                     empty(members, k, m))
            stacks.append(stack)
            ours["in"] += list(x)
            ours["q"] += [empty(m, k) for _ in range(members)]
            ours["qt"] += [empty(k, m) for _ in range(members)]
        count = len(ours["in"])
        one = lambda value: [
            torch.full((), value, device="cuda") for _ in range(count)
        ]
        scale, amax = one(64.0), one(0.0)
        inverse = [Scales(s, TENSOR) for s in one(0.0)]
        inverse_t = [Scales(s, TENSOR) for s in one(0.0)]
        make.last = make.__dict__.setdefault("first", (ours, stacks))
        return {
            OURS: runtime.call(
                "multi_cast_transpose", ours["in"], scale, amax, None, ours["q"],
                inverse, ours["qt"], inverse_t, amax, [], [], 1, 0, 0.0,
            ),
            "Triton": lambda: [kernels.cast_transpose(*stack) for stack in stacks],
            "torch.compile": lambda: [
                compile_plain(x, scale) for x, scale, *_ in stacks
            ],
        }

    def check(_):
        ours, stacks = make.first
        theirs = [q for stack in stacks for q in stack[3]]
        theirs_t = [q for stack in stacks for q in stack[4]]
        return "".join(
            differ("values", a, b)
            for a, b in zip(ours["q"] + ours["qt"], theirs + theirs_t)
        )

    return Step(f"multi_cast_transpose tensor+amax {name}", make, 4 * elements,
                check=check)
