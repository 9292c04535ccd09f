"""layer_model.py: an expert layer in float64, from its mathematical definition.

For token t of micro-batch n, choice j with expert e = indices[n, t, j] and routing
probability p = probs[n, t, j]:

    h   = W1_e x + b1_e           W1_e [2F, H]: the gate's F rows, then the other F
    act = silu(h[:F]) * h[F:] * p
    out = sum over j of W2_e act + b2_e   W2_e [H, F]

A choice of -1 contributes nothing. The backward direction is the gradient of
sum(grad_out * out), weights' gradients summed over micro-batches. A policy of
fake_quantize.py stands between the definition and what a recipe computes.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

from dataclasses import dataclass

import numpy as np

from fake_quantize import Block, Exact


@dataclass
class Inputs:
    tokens: np.ndarray  # [N, T, H]
    indices: np.ndarray  # [N, T, k] integers in [-1, E)
    probs: np.ndarray  # [N, T, k]
    grad_out: np.ndarray  # [N, T, H]
    w1: np.ndarray  # [E, 2F, H]
    w2: np.ndarray  # [E, H, F]
    b1: np.ndarray = None  # [E, 2F]; without biases None
    b2: np.ndarray = None  # [E, H]

    @property
    def experts(self):
        return self.w1.shape[0]

    @property
    def parameters(self):
        return ("w1", "w2") if self.b1 is None else ("w1", "w2", "b1", "b2")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def swiglu(h, p):
    """[M, 2F], [M] -> [M, F]"""
    gate, up = np.split(h, 2, axis=1)
    return gate * sigmoid(gate) * up * p[:, None]


def swiglu_backward(grad, h, p):
    """The gradients of h [M, 2F] and p [M] for that of swiglu's result [M, F]."""
    gate, up = np.split(h, 2, axis=1)
    s = sigmoid(gate)
    grad_gate = grad * p[:, None] * up * (s + gate * s * (1 - s))
    grad_up = grad * p[:, None] * gate * s
    grad_p = (grad * gate * s * up).sum(axis=1)
    return np.concatenate([grad_gate, grad_up], axis=1), grad_p


def run_layer(inputs, policy=None, training=True, quantize_dispatch=False):
    """Returns {"out"}, and in training {"grad_tokens", "grad_probs", "grad_w1",
    "grad_w2"} too (and "grad_b1", "grad_b2"), in the shapes of the inputs.

    quantize_dispatch: tokens travel to their experts in blocks of E4M3, whatever the
    policy, and are rounded back before anything reads them."""
    policy = policy or Exact()
    results = {"out": np.zeros_like(inputs.tokens)}
    if training:
        for name in ("tokens", "probs", *inputs.parameters):
            results["grad_" + name] = np.zeros_like(getattr(inputs, name))
    for batch in range(inputs.tokens.shape[0]):
        tokens = inputs.tokens[batch]
        if quantize_dispatch:
            tokens = policy.rounded(Block().operand("x", None, tokens, 1))
        policy.begin_batch(batch, inputs.indices[batch], inputs.experts)
        for expert in range(inputs.experts):
            run_expert(inputs, policy, training, batch, expert, tokens, results)
    for name in ("out", "grad_tokens"):
        if name in results:
            results[name] = policy.rounded(results[name])
    return results


def run_expert(inputs, policy, training, batch, expert, tokens, results):
    """Adds the part of one expert in one micro-batch to the results."""

    def q(slot, x, axis):
        return policy.operand(slot, expert, x, axis)

    rounded = policy.rounded
    w1, w2 = inputs.w1[expert], inputs.w2[expert]
    biased = inputs.b1 is not None
    b1, b2 = (inputs.b1[expert], inputs.b2[expert]) if biased else (0, 0)
    token, choice = np.nonzero(inputs.indices[batch] == expert)
    x, p = tokens[token], inputs.probs[batch, token, choice]

    h = rounded(q("x", x, 1) @ q("w1", w1, 1).T + b1)
    act = rounded(swiglu(h, p))
    y = rounded(q("act", act, 1) @ q("w2", w2, 1).T + b2)
    np.add.at(results["out"][batch], token, y)
    if not training:
        return

    dy = inputs.grad_out[batch, token]
    dact = rounded(q("dy", dy, 1) @ q("w2", w2, 0))
    dh, dp = swiglu_backward(dact, h, p)
    dh = rounded(dh)
    dx = rounded(q("dh", dh, 1) @ q("w1", w1, 0))
    results["grad_w2"][expert] += q("dy", dy, 0).T @ q("act", act, 0)
    results["grad_w1"][expert] += q("dh", dh, 0).T @ q("x", x, 0)
    if biased:
        results["grad_b2"][expert] += dy.sum(axis=0)
        results["grad_b1"][expert] += dh.sum(axis=0)
    np.add.at(results["grad_tokens"][batch], token, dx)
    results["grad_probs"][batch, token, choice] = dp


def finite_differences(inputs, name, directions, step=1e-4):
    """The derivatives of sum(grad_out * out) along each of `directions`, arrays in
    the shape of the input `name`: central differences of the definition."""

    def loss(value):
        moved = Inputs(**{**inputs.__dict__, name: value})
        return (inputs.grad_out * run_layer(moved, training=False)["out"]).sum()

    value = getattr(inputs, name)
    return np.array(
        [
            (loss(value + step * d) - loss(value - step * d)) / (2 * step)
            for d in directions
        ]
    )


def relative_error(found, wanted):
    """||found - wanted|| / ||wanted||, Frobenius; 0 where both are zero."""
    difference = np.linalg.norm(np.asarray(found) - np.asarray(wanted))
    return difference / np.linalg.norm(wanted) if difference else 0.0
