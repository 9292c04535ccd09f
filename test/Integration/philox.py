"""philox.py: stochastic rounding to FP4, from the definition of its random numbers.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import numpy as np

MAGNITUDES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def philox(counter, key):
    """Philox4x32-10: four uint64 arrays of 32 bits each for `counter`, a list of
    four such arrays, and `key`, two numbers of 32 bits."""
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a = c0 * np.uint64(0xD2511F53)
        b = c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (b >> shift) ^ c1 ^ np.uint64(k0),
            b & mask,
            (a >> shift) ^ c3 ^ np.uint64(k1),
            a & mask,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def random_words(state, stream, index, columnwise):
    """32 bits for each element: `state` is {seed, offset}, `index` the place of the
    element in the tensor as it is stored."""
    seed, offset = (int(part) % 2**64 for part in state)
    block = index // 4 + (2**62 if columnwise else 0)
    block = block.astype(np.uint64)
    frame = np.full_like(block, (offset + stream) % 2**64)
    split = [part for x in (block, frame) for part in (x & 0xFFFFFFFF, x >> 32)]
    words = np.stack(philox(split, (seed % 2**32, seed // 2**32)))
    return np.take_along_axis(words, (index % 4)[None], 0)[0]


def round_at_random(x, words):
    """F32 to the FP4 magnitude below or above, above as often as x is near to it."""
    magnitude = np.minimum(np.abs(x), np.float32(6))
    below = np.searchsorted(MAGNITUDES, magnitude, side="right") - 1
    low = MAGNITUDES[below]
    high = MAGNITUDES[np.minimum(below + 1, 7)]
    with np.errstate(invalid="ignore"):
        part = np.where(high > low, (magnitude - low) / (high - low), np.float32(0))
    up = words.astype(np.float64) < part.astype(np.float64) * 2.0**32
    return np.copysign(np.where(up, high, low), x)
