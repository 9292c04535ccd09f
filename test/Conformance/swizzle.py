"""swizzle.py: conversions of scales, and back.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys
from dataclasses import replace

import numpy as np

from byte_scales import swizzled
from oracle import Comparison
from te_program import Program, Scales

SHAPES = [
    (128, 128),
    (1, 32),
    (256, 1024),
    (200, 352),
    (130, 4096),
    (1000, 64),
    (33, 129),
]


def convert(program, scales, data_shape, type):
    text = f"te.convert_scales {scales} of [{data_shape[0]}, {data_shape[1]}]"
    return program.op(f"{text} : {scales.type} -> {type}", type)[0]


def cases(rng):
    """(name, data shape, encoding of compact scales, other layout, scales, wanted,
    what comes back). Padding of the scales of 8 bits is random, and zero in all that
    is made of it."""
    for shape in SHAPES:
        for packed in ((), (3,)):
            for rows, cols in ((1, 32), (32, 1), (1, 16)):
                encoding = Scales(rows, cols, "compact")
                compact = rng.integers(
                    0, 256, encoding.shape((*packed, *shape))
                ).astype(np.uint8)
                down, across = encoding.grid(shape)
                clean = np.zeros_like(compact)
                clean[..., :down, :across] = compact[..., :down, :across]
                members = clean.reshape(-1, *clean.shape[-2:])
                members = [member[:down, :across] for member in members]
                wanted = np.stack([swizzled(member, rows > cols) for member in members])
                wanted = wanted.reshape(*packed, *wanted.shape[-2:])
                name = f"swizzled-{rows}x{cols}-{packed}{shape}"
                arrays = [each.view(encoding.dtype) for each in (compact, wanted, clean)]
                yield name, shape, encoding, "swizzled", *arrays
            encoding = Scales(1, 128, "compact")
            compact = rng.random(encoding.shape((*packed, *shape))).astype(np.float32)
            wanted = compact.swapaxes(-1, -2)
            name = f"ready-{packed}{shape}"
            yield name, shape, encoding, "gemm_ready", compact, wanted, compact


def main(folder):
    compare, rng = Comparison(), np.random.default_rng(17)
    forth, back, checks = Program(), Program(), []
    for number, (name, shape, encoding, layout, compact, wanted, clean) in enumerate(
        cases(rng)
    ):
        key = f"s{number}"
        source = forth.input(key, compact, encoding)
        other = replace(encoding, layout=layout)
        target = replace(
            source.type,
            shape=other.shape((*compact.shape[:-2], *shape)),
            encoding=other,
        )
        forth.outputs(**{f"{key}.out": convert(forth, source, shape, target)})
        checks.append((key, name, shape, source.type, target, wanted, clean))
    found = forth.run(f"{folder}/forth")
    for key, name, shape, compact_type, target, wanted, _ in checks:
        inside = tuple(slice(0, size) for size in wanted.shape)
        compare.exact(name, found[f"{key}.out"][inside], wanted)
        source = back.input(key, found[f"{key}.out"], target.encoding)
        result = convert(back, source, shape, compact_type)
        back.outputs(**{f"{key}.out": result})
    found = back.run(f"{folder}/back")
    for key, name, _, _, _, _, clean in checks:
        compare.exact(f"{name} and back", found[f"{key}.out"], clean)
    compare.finish()


if __name__ == "__main__":
    main(sys.argv[1])
