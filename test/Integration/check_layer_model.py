"""check_layer_model.py: the oracle's own tests.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import unittest

import ml_dtypes
import numpy as np

from fake_quantize import Bf16, Block, Current, Delayed, block_amax, scale_from_amax
from layer_inputs import random_inputs
from layer_model import finite_differences, relative_error, run_layer


class FakeQuantize(unittest.TestCase):
    def test_scales(self):
        def scale(amax, power_of_two):
            dtype = ml_dtypes.float8_e4m3fn
            return float(scale_from_amax(np.array(amax), dtype, power_of_two, 3e38))

        self.assertEqual(scale(448, True), 1)
        self.assertEqual(scale(449, True), 0.5)
        self.assertEqual(scale(1.0, True), 256)
        self.assertEqual(scale(1.0, False), 448)
        self.assertEqual(scale(0, True), 1)
        self.assertEqual(scale(1e-40, False), np.float32(3e38))

    def test_block_amax_has_partial_edges(self):
        x = np.arange(12.0).reshape(3, 4)
        wanted = [[6, 6, 6, 7], [6, 6, 6, 7], [10, 10, 10, 11]]
        np.testing.assert_array_equal(block_amax(x, 2, 3), wanted)
        self.assertEqual(block_amax(np.zeros((0, 4)), 128, 1).shape, (0, 4))

    def test_block_is_idempotent_and_close(self):
        x = Bf16.rounded(np.random.default_rng(0).normal(size=(200, 300)))
        for slot, axis in (("x", 0), ("x", 1), ("w1", 1)):
            once = Block().operand(slot, 0, x, axis)
            np.testing.assert_array_equal(Block().operand(slot, 0, once, axis), once)
            large = np.abs(x) > 0.1
            self.assertLessEqual((np.abs(once - x) / np.abs(x))[large].max(), 2**-4)

    def test_directions_differ_for_activations_only(self):
        x = Bf16.rounded(np.random.default_rng(1).normal(size=(256, 256)))
        x[3] *= 2**14
        rows, cols = (Block().operand("x", 0, x, axis) for axis in (1, 0))
        self.assertFalse(np.array_equal(rows, cols))
        rows, cols = (Block().operand("w1", 0, x, axis) for axis in (1, 0))
        np.testing.assert_array_equal(rows, cols)

    def test_casts_saturate(self):
        x = np.array([[1e6, -1e6]])
        for slot, limit in (("x", 448), ("dy", 57344)):
            found = Delayed({(slot, 0): 1.0}).operand(slot, 0, x, 1)
            np.testing.assert_array_equal(found, [[limit, -limit]])

    def test_delayed_keeps_the_scale_of_an_idle_slot(self):
        policy = Delayed({("x", 0): 3.0, ("x", 1): 3.0})
        policy.operand("x", 0, np.array([[-7.0, 2.0]]), 1)
        policy.operand("x", 1, np.zeros((0, 2)), 1)
        self.assertEqual(policy.next_scale("x", 0), 64)
        self.assertEqual(policy.next_scale("x", 1), 3)


class Layer(unittest.TestCase):
    def setUp(self):
        self.inputs = random_inputs(5, 2, 29, 48, 32, 4, 2, empty_expert=2)
        self.exact = run_layer(self.inputs)

    def test_gradients_are_derivatives(self):
        rng = np.random.default_rng(6)
        for name in ("tokens", "probs", "w1", "w2"):
            shape = getattr(self.inputs, name).shape
            directions = rng.normal(size=(6, *shape))
            wanted = finite_differences(self.inputs, name, directions)
            found = [(self.exact["grad_" + name] * d).sum() for d in directions]
            self.assertLess(relative_error(found, wanted), 1e-6, name)

    def test_single_token_by_hand(self):
        inputs = random_inputs(7, 1, 1, 8, 4, 3, 1)
        inputs.indices[:] = 1
        gate, up = np.split(inputs.w1[1] @ inputs.tokens[0, 0], 2)
        act = gate / (1 + np.exp(-gate)) * up * inputs.probs[0, 0, 0]
        out = run_layer(inputs, training=False)["out"][0, 0]
        np.testing.assert_allclose(out, inputs.w2[1] @ act, rtol=1e-12)

    def test_only_the_empty_expert_has_zero_gradients(self):
        for name in ("grad_w1", "grad_w2"):
            zero = [not np.any(grad) for grad in self.exact[name]]
            self.assertEqual(zero, [False, False, True, False])

    def test_recipes_stay_near_the_definition(self):
        scales = {
            (slot, expert): 16.0
            for slot in ("x", "w1", "act", "w2", "dy", "dh")
            for expert in range(4)
        }
        for policy, bound in (
            (Bf16(), 1e-2), (Block(), 1e-1), (Current(), 1.5e-1), (Delayed(scales), 1.5e-1),
        ):
            results = run_layer(self.inputs, policy)
            for name, wanted in self.exact.items():
                error = relative_error(results[name], wanted)
                self.assertTrue(0 < error < bound, f"{policy} {name}: {error}")

    def test_quantizing_before_dispatch_is_the_same_for_block(self):
        before = run_layer(self.inputs, Block(), quantize_dispatch=True)
        np.testing.assert_array_equal(
            before["out"], run_layer(self.inputs, Block())["out"]
        )


if __name__ == "__main__":
    unittest.main()
