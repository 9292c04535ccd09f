"""Inputs of test/Embedding/deploy, and its results against those of te-run.

    deploy.py inputs DIR           DIR/NAME.npy for te-run, and DIR/NAME: bare elements
    deploy.py compare FOUND WANTED FOUND/NAME against each WANTED/NAME.npy

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import sys

import numpy as np

TOKENS, HIDDEN, FFN, EXPERTS = 16, 256, 128, 2


def write_inputs(directory):
    random = np.random.default_rng(0)

    def bf16(*shape):
        bits = random.standard_normal(shape, dtype=np.float32).view(np.uint32)
        return (bits >> 16).astype(np.uint16)

    for name, array in {
        "tokens": bf16(1, TOKENS, HIDDEN),
        "indices": random.permuted(
            np.tile(np.arange(EXPERTS, dtype=np.int32), (1, TOKENS, 1)), axis=-1
        ),
        "probs": random.random((1, TOKENS, EXPERTS), dtype=np.float32),
        "w1": bf16(EXPERTS, 2 * FFN, HIDDEN),
        "w2": bf16(EXPERTS, HIDDEN, FFN),
        "skip_weight_update": np.zeros(1, np.float32),
    }.items():
        np.save(directory / f"{name}.npy", array)
        array.tofile(directory / name)


def compare(found, wanted):
    files = sorted(wanted.glob("*.npy"))
    assert files, f"{wanted}: found no results"
    for file in files:
        array = np.load(file)
        assert array.any(), f"{file}: all zero"
        data = (found / file.stem).read_bytes()
        assert data == array.tobytes(), f"{file.stem}: bits differ"
        print(f"{file.stem}: {len(data)} bytes, equal")


if __name__ == "__main__":
    what, *directories = sys.argv[1:]
    {"inputs": write_inputs, "compare": compare}[what](*map(pathlib.Path, directories))
