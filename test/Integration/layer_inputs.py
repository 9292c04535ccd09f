"""layer_inputs.py: random inputs of an expert layer, as BF16 and F32 can hold them.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import numpy as np

from fake_quantize import bf16
from layer_model import Inputs


def random_inputs(
    seed, microbatches, tokens, hidden, ffn, experts, top_k, empty_expert=None,
    bias=False,
):
    """Experts get tokens in proportion 1 : 1/2 : 1/3 ...; one choice in ten is -1.
    The last expert gets none in micro-batch 0, `empty_expert` none at all."""
    rng = np.random.default_rng(seed)
    indices = np.zeros((microbatches, tokens, top_k), np.int32)
    for batch in range(microbatches):
        weight = 1 / np.arange(1, experts + 1)
        if batch == 0:
            weight[-1] = 0
        if empty_expert is not None:
            weight[empty_expert] = 0
        for token in range(tokens):
            indices[batch, token] = rng.choice(
                experts, top_k, replace=False, p=weight / weight.sum()
            )
    indices[rng.random(indices.shape) < 0.1] = -1
    probs = rng.random(indices.shape) + 0.1
    probs /= probs.sum(axis=2, keepdims=True)

    def normal(shape, deviation):
        return bf16(rng.normal(0, deviation, shape))

    return Inputs(
        tokens=normal((microbatches, tokens, hidden), 1),
        indices=indices,
        probs=probs.astype(np.float32).astype(np.float64),
        grad_out=normal((microbatches, tokens, hidden), 1),
        w1=normal((experts, 2 * ffn, hidden), hidden**-0.5),
        w2=normal((experts, hidden, ffn), ffn**-0.5),
        b1=normal((experts, 2 * ffn), 0.5) if bias else None,
        b2=normal((experts, hidden), 0.5) if bias else None,
    )
