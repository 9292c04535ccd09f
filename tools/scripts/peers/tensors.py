"""Random tensors and scales of steps, and comparisons.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import torch

from . import kernels
from .runtime import GEMM_READY, Scales

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
