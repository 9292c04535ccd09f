"""What functions of the runtime give, held to PyTorch.

A check returns how many values it compared and what is wrong, or "".

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import torch

from .moves import Routes
from .runtime import COMPACT, FP4, TENSOR, Scales
from .tensors import BF16, E4M3, F32, I32, TOP_K, empty, normal, rows_scales, square_scales, up

E5M2, E8M0 = torch.float8_e5m2, torch.float8_e8m0fnu
LARGEST = {E4M3: 448.0, E5M2: 57344.0}
F64 = torch.float64


def same(what, found, wanted):
    """Equal bits; any NaN equals any other."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return 0, f"{what}: {found.shape} {found.dtype}, wanted {wanted.shape} {wanted.dtype}"
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[found.element_size()]
    differ = found.contiguous().view(bits) != wanted.contiguous().view(bits)
    if found.dtype.is_floating_point:
        differ &= ~(found.float().isnan() & wanted.float().isnan())
    count = int(differ.sum())
    if not count:
        return found.numel(), ""
    at = int(differ.flatten().nonzero()[0])
    a, b = (float(t.flatten()[at].float()) for t in (found, wanted))
    return found.numel(), f"{what}: {count} of {found.numel()} differ, the first ({at}): {a}, PyTorch {b}"


def within(what, found, wanted, bound):
    """|found - wanted| <= bound for each, in float64."""
    off = ~((found.double() - wanted).abs() <= bound)
    count = int(off.sum())
    if not count:
        return found.numel(), ""
    at = int(off.flatten().nonzero()[0])
    a, b, c = (float(t.flatten()[at]) for t in (found, wanted, bound))
    return found.numel(), f"{what}: {count} of {found.numel()} are off, the first: {a}, wanted {b} within {c}"


def scalar():
    return torch.empty((), device="cuda", dtype=F32)


def together(*results):
    return sum(count for count, _ in results), "; ".join(wrong for _, wrong in results if wrong)


def cast(x, kind):
    """Saturating, NaN stays NaN."""
    return x.clamp(-LARGEST[kind], LARGEST[kind]).to(kind)


def every_bf16():
    return torch.arange(65536, device="cuda").to(torch.int16).view(BF16).view(256, 256)


def around_boundaries(kind):
    """F32 at all codes of `kind`, halfway between them, and one unit to either side."""
    codes = torch.arange(256, device="cuda").to(torch.uint8).view(kind).float()
    codes = codes[codes.isfinite()].unique()
    points = torch.cat((codes, (codes[1:] + codes[:-1]) / 2, codes * 1.03125, codes * 2))
    bits = points.view(torch.int32)
    every = torch.cat((bits - 1, bits, bits + 1)).view(F32)
    return every[: every.numel() // 8 * 8].view(-1, 8).contiguous()


def tensor_casts(runtime, kind):
    results = []
    for x in (every_bf16(), around_boundaries(kind)):
        for multiplier in (1.0, 0.3, 2.0**-20, 3.7e9):
            s = torch.tensor(multiplier, device="cuda")
            q, scale = empty(*x.shape, dtype=kind), scalar()
            qt, scale_t = empty(*x.shape[::-1], dtype=kind), scalar()
            runtime.call(
                "quantize", x, s, None, None, None, None, q, Scales(scale, TENSOR),
                qt, Scales(scale_t, TENSOR), None, None, None, -1, 0, 0, 0, 0, 0.0,
            )()
            wanted = cast(x.float() * s, kind)
            results += [
                same("values", q, wanted),
                same("columns", qt, wanted.t().contiguous()),
                same("scale", scale, 1 / s),
            ]
    return together(*results)


def dequantized(runtime, kind):
    codes = torch.arange(256, device="cuda").to(torch.uint8).view(kind).view(1, 256)
    scales = torch.tensor([2.0**e * f for e in range(-30, 31, 3) for f in (1.0, 1.37)], device="cuda")
    q = codes.view(torch.uint8).repeat(len(scales), 1).view(kind)
    blocks = scales.unsqueeze(1).repeat(1, 2).contiguous()
    results = []
    for output in (F32, BF16):
        out = empty(*q.shape, dtype=output)
        runtime.call("dequantize", q, Scales(blocks, COMPACT, 1, 128), None, None, out)()
        results.append(same(str(output), out, (q.float() * scales.unsqueeze(1)).to(output)))
    return together(*results)


def samples(rows, cols):
    """Blocks of all magnitudes, of zeros, denormals, infinities and NaN."""
    x = torch.randn(rows, cols, device="cuda") * 2.0 ** torch.randint(-40, 40, (rows, 1), device="cuda")
    x[: rows // 8] *= 2.0**-90
    x[1::16] = 0
    x[3::16, ::5] = 2.0**-133
    x[5::64, 7] = float("inf")
    x[9::64, 11] = float("nan")
    return x.to(BF16)


def quotient(number, tensor):
    """One rounding; PyTorch multiplies a number by the reciprocal."""
    return torch.full_like(tensor, number) / tensor


def multiplier(amax, kind, pow2):
    """That of a block: te-semantics 1.2."""
    plain = (amax > 0) & amax.isfinite()
    s = torch.where(plain, quotient(LARGEST[kind], torch.where(plain, amax, 1.0)), 1.0)
    s = torch.where(s.isinf(), torch.finfo(BF16).max, s)
    return (s.view(torch.int32) & 0x7F800000).view(F32) if pow2 else s


def amax_of(v, *dims):
    return torch.where(v.isnan(), 0.0, v.abs()).amax(dims)


def block_casts(runtime, kind, square, pow2):
    rows, cols = 512, 1024
    x = samples(rows, cols)
    q, qt = empty(rows, cols, dtype=kind), empty(cols, rows, dtype=kind)
    make = square_scales if square else rows_scales
    s, st = make(rows, cols), make(cols, rows)
    runtime.call(
        "quantize", x, None, None, None, None, None, q, s, qt, st, None, None, None,
        -1, int(pow2), 0, 0, 0, 0.0,
    )()
    results = []
    for what, source, values, scales in (("rows", x, q, s), ("columns", x.t(), qt, st)):
        m, k = source.shape
        v = source.float().reshape(m // 128, 128, k // 128, 128)
        if square:
            found = multiplier(amax_of(v, 1, 3), kind, pow2)
            wanted = cast(v * found[:, None, :, None], kind).view(m, k)
            stored = scales.tensor[:, : k // 128]
        else:
            found = multiplier(amax_of(v, 3), kind, pow2)
            wanted = cast(v * found.unsqueeze(3), kind).view(m, k)
            found, stored = found.view(m, -1), scales.tensor[:, :m].t()
        results += [same(what, values, wanted), same(what + " scales", stored, 1 / found)]
    return together(*results)


def mxfp8(runtime, kind):
    rows, cols = 512, 1024
    x = samples(rows, cols)
    x[5::64, 7], x[9::64, 11] = 1.0, 1.0  # torch has no rule for their scales
    q, s = empty(rows, cols, dtype=kind), empty(rows, cols // 32, dtype=E8M0)
    runtime.call(
        "quantize", x, None, None, None, None, None, q, Scales(s, COMPACT, 1, 32), None,
        None, None, None, None, -1, 0, 0, 0, 0, 0.0,
    )()
    v = x.float().view(rows, -1, 32)
    ratio = amax_of(v, 2) * torch.tensor(1 / LARGEST[kind], device="cuda")
    mantissa, exponent = torch.frexp(ratio.double().clamp(min=2.0**-127))
    up_to = torch.ldexp(torch.ones_like(mantissa), exponent - (mantissa == 0.5).to(I32))
    scale = s.float()  # by PyTorch's own decoding
    wanted = cast(v * (1 / scale).unsqueeze(2), kind).view(rows, cols)
    back = empty(rows, cols, dtype=F32)
    runtime.call("dequantize", q, Scales(s, COMPACT, 1, 32), None, None, back)()
    return together(
        same("scales", scale, up_to.float()),
        same("values", q, wanted),
        same("back", back, (q.float().view(rows, -1, 32) * scale.unsqueeze(2)).view(rows, cols)),
    )


def nvfp4_scales(runtime):
    rows, cols = 512, 1024
    x = torch.randn(rows, cols, device="cuda").to(BF16)
    x[1::16] = 0
    q = empty(rows, cols // 2, dtype=torch.uint8)
    s, amax = empty(rows, cols // 16), scalar()
    runtime.call(
        "quantize", x, None, None, None, None, None, FP4(q), Scales(s, COMPACT, 1, 16),
        None, None, None, amax, None, -1, 0, 0, 0, 0, 0.0,
    )()
    whole = x.float().abs().max()
    sixth = torch.tensor(1 / 6, device="cuda")
    blocks = x.float().view(rows, -1, 16).abs().amax(2)
    wanted = cast(blocks * (quotient(2688.0, whole) * sixth), E4M3)
    return together(same("amax", amax, whole), same("scales", s, wanted))


def moves(runtime, kind, alignment):
    routes, cols = Routes(3000, 40, alignment), 1032
    x = normal(routes.tokens, cols).to(kind)
    out = torch.ones(routes.capacity, cols, device="cuda").to(kind)
    counts, offsets = (routes.counts, routes.offsets) if alignment > 1 else (None, None)
    runtime.call("permute", x, None, None, routes.row_map, counts, offsets, out, None, None)()
    tokens = x.view(torch.uint8)
    wanted = torch.cat((tokens, torch.zeros_like(tokens[:1])))[routes.sources]
    results = [same("permute", out.view(torch.uint8), wanted)]
    across = empty(cols, routes.tokens, dtype=kind)
    runtime.call("transpose", x, across)()
    results.append(same("transpose", across, x.t().contiguous()))
    if kind == BF16:
        rows, back = normal(routes.capacity, cols), torch.empty_like(x)
        runtime.call("unpermute", rows, None, routes.row_map, back, None)()
        parts = rows[routes.row_map.long()].double()
        results.append(
            within("unpermute", back, parts.sum(1), parts.abs().sum(1) * TOP_K * 2.0**-24 + parts.sum(1).abs() * 2.0**-8)
        )
    return together(*results)


def routing(runtime, experts, alignment):
    routes = Routes(4097, experts, alignment)
    outs = [torch.full_like(t, -7) for t in (routes.indices, routes.counts, routes.offsets)]
    runtime.call("routing_map", routes.indices, *outs, alignment, routes.capacity)()
    wanted = (routes.row_map, routes.counts, routes.offsets)
    return together(*(same(n, a, b) for n, a, b in zip(("rows", "counts", "offsets"), outs, wanted)))


def swiglu(runtime):
    rows, width = 1000, 1416
    x, g = normal(rows, 2 * width) * 4, normal(rows, width)
    p = torch.rand(rows, device="cuda")
    y, dx, dp = normal(rows, width), torch.empty_like(x), torch.empty_like(p)
    runtime.call("swiglu", x, p, None, y)()
    runtime.call("swiglu_backward", g, x, p, None, dx, dp)()
    exact = x.double().requires_grad_()
    prob = p.double().requires_grad_()
    a, b = exact.chunk(2, dim=1)
    out = torch.nn.functional.silu(a) * b * prob.unsqueeze(1)
    out.backward(g.double())
    half, ulps = 2.0**-8, 2.0**-20  # of the result in BF16, and of its terms in F32
    ga, gb = x.double().chunk(2, dim=1)
    terms = (g.double() * p.double().unsqueeze(1)).abs() * (1 + ga.abs()) * (1 + gb.abs())
    terms = torch.cat((terms, terms), 1)
    return together(
        within("swiglu", y, out.detach(), out.detach().abs() * (half + ulps) + 1e-38),
        within("gradient", dx, exact.grad, exact.grad.abs() * half + terms * ulps + 1e-38),
        within("gradient of probs", dp, prob.grad, terms[:, :width].sum(1) / p.double() * 2.0**-16),
    )


def operand(shape, fp8):
    return (torch.randn(*shape, device="cuda") * 150).clamp(-448, 448).to(E4M3) if fp8 else normal(*shape)


def some_scales(made):
    """Of any value, not powers of two alone."""
    made.tensor.copy_(2.0 ** (torch.rand_like(made.tensor) * 8 - 4))
    return made


def product(runtime, scheme, n, k, offsets, over_reduction):
    fp8, groups = scheme != "bf16", len(offsets) - 1
    capacity = offsets[-1] + 21 & ~15
    turned = over_reduction and not fp8
    left, right = ((n, capacity), (k, capacity)) if over_reduction else ((capacity, k), (groups, n, k))
    if turned:
        left, right = left[::-1], right[::-1]
    lhs, rhs = operand(left, fp8), operand(right, fp8)
    ends = torch.tensor(offsets, dtype=I32, device="cuda")
    shape = (groups, n, k) if over_reduction else (capacity, n)
    result = normal(*shape, dtype=F32 if over_reduction else BF16)
    before = result.clone()
    scales_l = scales_r = None
    if scheme == "tensor":
        scales_l, scales_r = (some_scales(Scales(empty(groups, dtype=F32), TENSOR)) for _ in range(2))
    elif fp8:
        ragged = groups if over_reduction else 0
        scales_l = some_scales(rows_scales(*left, ragged))
        scales_r = some_scales(rows_scales(*right, ragged) if over_reduction else square_scales(n, k, groups))
    runtime.call(
        "grouped_gemm", lhs, scales_l, None, [rhs], [scales_r] if fp8 else [], [], [], ends,
        [result], 2 if over_reduction else 1, int(turned), int(turned), int(over_reduction),
    )()
    relative, rounding = (2.0**-11 if fp8 else max(k, capacity) * 2.0**-23), (2.0**-22 if over_reduction else 2.0**-8)
    results, owned = [], torch.zeros(capacity, dtype=torch.bool, device="cuda")
    for g in range(groups):
        at = slice(offsets[g], offsets[g + 1])
        owned[at] = True
        if over_reduction:
            a, b = (t[at].t() if turned else t[:, at] for t in (lhs, rhs))
        else:
            a, b = lhs[at], rhs[g]
        a, b = a.double(), b.double()
        if scheme == "tensor":
            a, b = a * scales_l.tensor[g], b * scales_r.tensor[g]
        elif fp8:
            first = offsets[g] // 128 + g if over_reduction else 0
            a = a * spread(scales_l.tensor[first:, at.start if not over_reduction else 0 :], a.shape)
            if over_reduction:
                b = b * spread(scales_r.tensor[first:], b.shape)
            else:
                squares = scales_r.tensor[g].repeat_interleave(128, 0).repeat_interleave(128, 1)
                b = b * squares[:n, :k]
        wanted, size = a @ b.t(), a.abs() @ b.abs().t()
        found = result[g] if over_reduction else result[at]
        if over_reduction:
            wanted = wanted + before[g]
            size = size + before[g].abs()
        bound = relative * size * 1.01 + rounding * (wanted.abs() + size * relative)
        results.append(within(f"group {g}", found, wanted, bound))
    if not over_reduction:
        results.append(same("rows of nobody", result[~owned], before[~owned]))
    return together(*results)


def spread(scales, shape):
    """Scales [blocks, rows] for each element of rows x columns."""
    blocks = (shape[1] + 127) // 128
    return scales[:blocks, : shape[0]].t().double().repeat_interleave(128, 1)[:, : shape[1]]


def all_checks(runtime):
    for kind in (E4M3, E5M2):
        name = str(kind).split("_")[-1]
        yield f"cast of all BF16 to {kind}", lambda: tensor_casts(runtime, kind)
        yield f"dequantize all of {kind}", lambda: dequantized(runtime, kind)
        for square in (False, True):
            for pow2 in (False, True):
                blocks = "128 x 128" if square else "1 x 128"
                yield (
                    f"cast of {blocks}{' by powers of two' if pow2 else ''} to {name}",
                    lambda: block_casts(runtime, kind, square, pow2),
                )
        yield f"MXFP8 {name}", lambda: mxfp8(runtime, kind)
    yield "NVFP4 scales", lambda: nvfp4_scales(runtime)
    for kind in (BF16, E4M3):
        for alignment in (1, 16):
            yield f"moves of {kind}, groups at {alignment}", lambda: moves(runtime, kind, alignment)
    for experts in (8, 512):
        yield f"routing map, {experts} experts", lambda: routing(runtime, experts, 128)
    yield "swiglu and its gradients", lambda: swiglu(runtime)
    skewed = [0, 1024, 1024, 1040, 1296, 1312, 1312, 2000]
    for scheme in ("block", "tensor", "bf16"):
        for over_reduction in (False, True):
            for n, k in ((520, 2880), (768, 2048)):
                yield (
                    f"product {scheme} {'over the reduction ' if over_reduction else ''}{n} x {k}",
                    lambda: product(runtime, scheme, n, k, skewed, over_reduction),
                )
