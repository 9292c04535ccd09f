"""Casts as one writes them in Triton, without tricks.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import torch
import triton
import triton.language as tl

E4M3 = torch.float8_e4m3fn


@triton.jit
def _pow2_scale(amax):
    """The multiplier of a block: 448 / amax down to a power of two, 1 for zeros."""
    ratio = 448.0 / tl.where(amax > 0.0, amax, 448.0)
    bits = ratio.to(tl.int32, bitcast=True) & 0x7F800000
    return bits.to(tl.float32, bitcast=True)


# Heights of tiles and warps, of which the fastest is taken for each width.
_TILES = [
    triton.Config({"BM": height}, num_warps=warps)
    for height, warps in ((32, 4), (64, 4), (64, 8), (128, 8))
]


@triton.autotune(_TILES, key=["rows", "cols"])
@triton.jit
def _rows(x, q, s, rows, cols, scale_stride, BM: tl.constexpr):
    r = tl.program_id(1) * BM + tl.arange(0, BM)
    block = tl.program_id(0)
    c = block * 128 + tl.arange(0, 128)
    at = r[:, None].to(tl.int64) * cols + c[None, :]
    mask = r[:, None] < rows
    v = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    scale = _pow2_scale(tl.max(tl.abs(v), axis=1))
    tl.store(q + at, (v * scale[:, None]).to(tl.float8e4nv), mask=mask)
    tl.store(s + block * scale_stride + r, 1.0 / scale, mask=r < rows)


def rows_1x128(x, q, s):
    """x [M, K] to q [M, K] and s [K/128, M]."""
    rows, cols = x.shape
    _rows[lambda meta: (cols // 128, triton.cdiv(rows, meta["BM"]))](
        x, q, s, rows, cols, s.shape[1]
    )


@triton.autotune(
    [triton.Config({}, num_warps=warps) for warps in (4, 8, 16)],
    key=["rows", "cols"],
)
@triton.jit
def _both(x, q, s, qt, st, rows, cols, rows_stride, BM: tl.constexpr):
    i, j = tl.program_id(1), tl.program_id(0)
    r = i * BM + tl.arange(0, BM)
    c = j * 128 + tl.arange(0, 128)
    at = r[:, None].to(tl.int64) * cols + c[None, :]
    v = tl.load(x + at).to(tl.float32)
    scale = _pow2_scale(tl.max(tl.abs(v), axis=1))
    tl.store(q + at, (v * scale[:, None]).to(tl.float8e4nv))
    tl.store(s + j * rows_stride + r, 1.0 / scale)
    scale_t = _pow2_scale(tl.max(tl.abs(v), axis=0))
    codes = tl.trans((v * scale_t[None, :]).to(tl.float8e4nv))
    tl.store(qt + c[:, None].to(tl.int64) * rows + r[None, :], codes)
    tl.store(st + i.to(tl.int64) * cols + c, 1.0 / scale_t)


def rows_and_columns(x, q, s, qt, st):
    """Also columns: qt [K, M], st [M/128, K]. Rows are a multiple of 128."""
    rows, cols = x.shape
    _both[(cols // 128, rows // 128)](
        x, q, s, qt, st, rows, cols, s.shape[1], BM=128
    )


@triton.jit
def _square(x, q, s, qt, st, rows, cols, s_stride, st_stride):
    e = tl.program_id(2).to(tl.int64)
    i, j = tl.program_id(1), tl.program_id(0)
    base = e * rows * cols
    r = i * 128 + tl.arange(0, 128)
    c = j * 128 + tl.arange(0, 128)
    at = base + r[:, None].to(tl.int64) * cols + c[None, :]
    v = tl.load(x + at).to(tl.float32)
    scale = _pow2_scale(tl.max(tl.abs(v)))
    codes = (v * scale).to(tl.float8e4nv)
    tl.store(q + at, codes)
    tl.store(qt + base + c[:, None].to(tl.int64) * rows + r[None, :], tl.trans(codes))
    tl.store(s + (e * (rows // 128) + i) * s_stride + j, 1.0 / scale)
    tl.store(st + (e * (cols // 128) + j) * st_stride + i, 1.0 / scale)


def square_128x128(x, q, s, qt, st):
    """x [E, M, K]: q, qt [E, K, M], s [E, M/128, ..], st [E, K/128, ..]."""
    members, rows, cols = x.shape
    _square[(cols // 128, rows // 128, members)](
        x, q, s, qt, st, rows, cols, s.shape[2], st.shape[2], num_warps=8
    )


@triton.autotune(_TILES, key=["rows", "cols"])
@triton.jit
def _cast_transpose(x, scale, amax, q, qt, rows, cols, BM: tl.constexpr):
    e = tl.program_id(2).to(tl.int64)
    base = e * rows * cols
    r = tl.program_id(1) * BM + tl.arange(0, BM)
    c = tl.program_id(0) * 128 + tl.arange(0, 128)
    at = base + r[:, None].to(tl.int64) * cols + c[None, :]
    v = tl.load(x + at).to(tl.float32)
    tl.atomic_max(amax + e, tl.max(tl.abs(v)))
    codes = (v * tl.load(scale + e)).to(tl.float8e4nv)
    tl.store(q + at, codes)
    tl.store(qt + base + c[:, None].to(tl.int64) * rows + r[None, :], tl.trans(codes))


def cast_transpose(x, scale, amax, q, qt):
    """x [E, M, K] times scale [E]: q, qt [E, K, M]; amax [E] grows."""
    members, rows, cols = x.shape
    _cast_transpose[lambda meta: (cols // 128, rows // meta["BM"], members)](
        x, scale, amax, q, qt, rows, cols
    )


@triton.jit
def _scatter(x, rows, out, cols, K: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    for start in range(0, cols, BLOCK):
        c = start + tl.arange(0, BLOCK)
        v = tl.load(x + token * cols + c, mask=c < cols)
        for slot in tl.static_range(K):
            row = tl.load(rows + token * K + slot).to(tl.int64)
            tl.store(out + row * cols + c, v, mask=c < cols)


def scatter_rows(x, rows, out):
    """out[rows[t, k]] = x[t]; out's other rows stay."""
    tokens, slots = rows.shape
    _scatter[(tokens,)](x, rows, out, x.shape[1], K=slots, BLOCK=2048, num_warps=8)


@triton.jit
def _gather(x, rows, out, cols, K: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for slot in tl.static_range(K):
        row = tl.load(rows + token * K + slot).to(tl.int64)
        total += tl.load(x + row * cols + c, mask=c < cols, other=0.0).to(tl.float32)
    tl.store(out + token * cols + c, total.to(tl.bfloat16), mask=c < cols)


def gather_sums(x, rows, out):
    """out[t] = the sum of x[rows[t, k]]."""
    tokens, slots = rows.shape
    cols = x.shape[1]
    grid = (tokens, triton.cdiv(cols, 1024))
    _gather[grid](x, rows, out, cols, K=slots, BLOCK=1024, num_warps=4)


def plain_rows(x):
    """1 x 128 as a formula, for torch.compile."""
    v = x.float().view(x.shape[0], -1, 128)
    amax = v.abs().amax(-1)
    ratio = 448.0 / torch.where(amax > 0, amax, 448.0)
    scale = (ratio.view(torch.int32) & 0x7F800000).view(torch.float32)
    q = (v * scale.unsqueeze(-1)).to(E4M3).view(x.shape)
    return q, 1.0 / scale


def plain_cast_transpose(x, scale):
    """Cast, transpose and amax as a formula."""
    v = x.float()
    q = (v * scale.view(-1, 1, 1)).to(E4M3)
    return q, q.transpose(1, 2).contiguous(), v.abs().amax((1, 2))


def plain_swiglu(x, p):
    a, b = x.float().chunk(2, dim=1)
    return (torch.nn.functional.silu(a) * b * p.unsqueeze(1)).to(x.dtype)


def plain_swiglu_backward(g, x, p):
    a, b = x.float().chunk(2, dim=1)
    g = g.float()
    s = torch.sigmoid(a)
    gp = g * p.unsqueeze(1)
    da = gp * (s + a * s * (1 - s)) * b
    db = gp * a * s
    return torch.cat((da, db), 1).to(x.dtype), (g * a * s * b).sum(1)


def plain_unpermute(x, rows):
    return x[rows].float().sum(1).to(x.dtype)
