"""run_layer.py: a generated layer, executed, against the float64 model.

Generates a layer with te-gen, runs it with te-run on random inputs, as given and
optimized, and compares the forward result and every gradient with the model's. Exits
with 1 and one line for each miss.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import dataclasses
import os
import subprocess
import sys

import ml_dtypes
import numpy as np

from fake_quantize import (
    FP4, GRADIENTS, HYBRID, MXFP8, NVFP4, NVFP4_DEFAULTS, POWERS_OF_TWO, Bf16, Block,
    Current, Delayed, Options,
)
from layer_inputs import random_inputs
from layer_model import finite_differences, relative_error, run_layer

# Relative Frobenius errors allowed against the model that quantizes as the recipe
# says. What is left is the order of F32 sums, and the values that it moves over a
# rounding boundary of BF16 or FP8.
TOLERANCE = {
    "bf16": 1e-2, "block": 1.5e-2, "current": 1.5e-2, "delayed": 1.5e-2,
    "mxfp8": 1.5e-2, "nvfp4": 1.5e-2,
}  # fmt: skip
# And against the definition without any quantization, (forward, gradients). The
# model itself is at 0.07 for E4M3 operands, 0.095 where gradients are E5M2.
DISTANCE = {ml_dtypes.float8_e4m3fn: 8e-2, ml_dtypes.float8_e5m2: 1.2e-1, FP4: 3e-1}
DEFAULTS = {"block": POWERS_OF_TWO, "mxfp8": Options(), "nvfp4": NVFP4_DEFAULTS}
FORMATS = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
FORWARD_SLOTS = ("x", "w1", "act", "w2")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", choices=TOLERANCE, required=True)
    parser.add_argument("--direction", choices=("forward", "training"), required=True)
    parser.add_argument("--dispatch", choices=("none", "bf16", "fp8"), default="none")
    parser.add_argument("--work-dir", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=203)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--ffn", type=int, default=384)
    parser.add_argument("--experts", type=int, default=5)
    parser.add_argument("--top-k", type=int, default=2)
    parser.add_argument("--microbatches", type=int, default=2)
    parser.add_argument("--empty-expert", type=int)
    parser.add_argument("--bias", action="store_true")
    # Of the recipe; what te-gen takes when it is not given is the recipe's own.
    parser.add_argument("--forward-format", choices=FORMATS)
    parser.add_argument("--backward-format", choices=FORMATS)
    parser.add_argument("--pow2-scales", choices=("false", "true"))
    parser.add_argument("--amax-epsilon", type=float)
    parser.add_argument("--amax-margin", type=int)
    parser.add_argument("--square-weight-blocks", choices=("false", "true"))
    parser.add_argument("--hadamard", choices=("false", "true"))
    parser.add_argument("--stochastic-rounding", choices=("false", "true"))
    return parser.parse_args()


def recipe_options(args):
    """The same for te-gen, and for the model."""
    given = {}
    command = []

    def flag(value):
        return value and value == "true"

    for field, name, value in (
        ("forward", "forward-format", FORMATS.get(args.forward_format)),
        ("backward", "backward-format", FORMATS.get(args.backward_format)),
        ("power_of_two", "pow2-scales", flag(args.pow2_scales)),
        ("square_weight_blocks", "square-weight-blocks", flag(args.square_weight_blocks)),
        ("hadamard", "hadamard", flag(args.hadamard)),
        ("epsilon", "amax-epsilon", args.amax_epsilon),
        ("margin", "amax-margin", args.amax_margin),
    ):
        if value is not None:
            given[field] = value
            command.append(f"--{name}={getattr(args, name.replace('-', '_'))}")
    if args.stochastic_rounding:
        command.append(f"--stochastic-rounding={args.stochastic_rounding}")
    defaults = DEFAULTS.get(args.recipe, HYBRID)
    return command, dataclasses.replace(defaults, **given)


def run_tool(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit status {done.returncode}: {done.stderr}")


def generate(args, options, path):
    run_tool(
        [
            "te-gen", "--model=tiny", f"--recipe={args.recipe}",
            f"--direction={args.direction}", f"--dispatch={args.dispatch}",
            f"--tokens={args.tokens}", f"--hidden={args.hidden}", f"--ffn={args.ffn}",
            f"--local-experts={args.experts}", f"--top-k={args.top_k}",
            f"--microbatches={args.microbatches}", "--cached-weights=false",
            f"--bias={str(args.bias).lower()}", "-o", path, *options,
        ]
    )  # fmt: skip


def as_bf16_bits(x):
    return x.astype(np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)


def write_inputs(args, inputs, scales, rng, folder):
    """One file for each argument of the program. Returns te-run's options."""
    arrays = {
        "tokens": as_bf16_bits(inputs.tokens),
        "indices": inputs.indices.astype(np.int32),
        "probs": inputs.probs.astype(np.float32),
    }
    if args.direction == "training":
        arrays["grad_out"] = as_bf16_bits(inputs.grad_out)
    for name in inputs.parameters:
        for expert in range(args.experts):
            arrays[f"{name}.{expert}"] = as_bf16_bits(getattr(inputs, name)[expert])
    for (slot, expert), scale in scales.items():
        arrays[f"{slot}.{expert}.scale"] = np.array(scale, np.float32)
    if rng is not None:
        arrays["rng"] = rng
    os.makedirs(folder, exist_ok=True)
    options = []
    for name, array in arrays.items():
        path = os.path.join(folder, name + ".npy")
        np.save(path, array)
        options.append(f"--input={name}={path}")
    return options


class Outputs:
    """The files that te-run wrote into a folder."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name + ".npy")

    def load(self, name):
        array = np.load(self.path(name))
        if array.dtype in (np.uint16, np.dtype("V2")):
            array = array.view(ml_dtypes.bfloat16)
        return array.astype(np.float64)

    def members(self, prefix, experts, suffix=""):
        """[E, ...] from one packed file, or from one file for each expert."""
        if os.path.exists(self.path(prefix + suffix)):
            return self.load(prefix + suffix)
        names = [f"{prefix}.{expert}{suffix}" for expert in range(experts)]
        return np.stack([self.load(name) for name in names])

    def results(self, args):
        found = {"out": self.load("out")}
        if args.direction == "training":
            found["grad_tokens"] = self.load("grad_tokens")
            found["grad_probs"] = self.load("grad_probs")
            for name in ("grad_w1", "grad_w2"):
                found[name] = self.members(name, args.experts)
            for name in ("grad_b1", "grad_b2") if args.bias else ():
                found[name] = self.members(name, args.experts).squeeze(1)
        return found


def compare(found, wanted, tolerances, against):
    """One line for each result that is further away than its tolerance. Weights'
    gradients are compared expert by expert."""
    misses = []
    for name, values in wanted.items():
        if found[name].shape != values.shape:
            misses.append(f"{name}: shape {found[name].shape}, wanted {values.shape}")
            continue
        parts = [(name, found[name], values)]
        if name in ("grad_w1", "grad_w2", "grad_b1", "grad_b2"):
            parts = [
                (f"{name}.{expert}", *pair)
                for expert, pair in enumerate(zip(found[name], values))
            ]
        tolerance = tolerances[name != "out"]
        for part, left, right in parts:
            error = relative_error(left, right)
            print(f"  {part}: {error:.2e} from {against}, tolerance {tolerance:g}")
            if not error <= tolerance:  # NaN misses too
                misses.append(f"{part}: {error:.3e} from {against}, over {tolerance:g}")
    return misses


def check_experts(found, inputs):
    """A gradient is zero for an expert without tokens, and only then; no two
    experts have the same one."""
    misses = []
    for name in ["grad_" + parameter for parameter in inputs.parameters]:
        busy = [bool(np.any(inputs.indices == e)) for e in range(inputs.experts)]
        for expert, gradient in enumerate(found[name]):
            if np.any(gradient) != busy[expert]:
                state = "is zero" if busy[expert] else "is not zero without tokens"
                misses.append(f"{name}.{expert} {state}")
            for other in range(expert):
                if busy[expert] and np.array_equal(gradient, found[name][other]):
                    misses.append(f"{name}.{expert} equals {name}.{other}")
    return misses


def check_finite_differences(found, inputs, tolerance):
    """The program's gradients along random directions, against the definition's
    central differences."""
    rng = np.random.default_rng(11)
    misses = []
    for name in ("tokens", "probs", *inputs.parameters):
        directions = rng.normal(size=(12, *getattr(inputs, name).shape))
        wanted = finite_differences(inputs, name, directions)
        along = [(found["grad_" + name] * direction).sum() for direction in directions]
        error = relative_error(along, wanted)
        print(f"  grad_{name}: {error:.2e} from finite differences")
        if not error <= tolerance:
            misses.append(f"grad_{name}: {error:.3e} from finite differences")
    return misses


def check_next_scales(args, outputs, policy, scales):
    misses = []
    for slot in sorted({slot for slot, _ in scales}):
        found = outputs.members(slot, args.experts, ".scale")
        wanted = [policy.next_scale(slot, e) for e in range(args.experts)]
        # An amax is one BF16 value, whose last bit sums in another order may move.
        if not np.allclose(found, wanted, rtol=2**-6, atol=0):
            misses.append(f"next scales of {slot}: {found}, wanted {wanted}")
    return misses


def main():
    args = parse_arguments()
    training = args.direction == "training"
    inputs = random_inputs(
        args.seed, args.microbatches, args.tokens, args.hidden, args.ffn,
        args.experts, args.top_k, args.empty_expert, args.bias,
    )  # fmt: skip
    scales = {}
    if args.recipe == "delayed":
        rng = np.random.default_rng(args.seed)
        scales = {
            (slot, expert): float(np.float32(rng.uniform(4, 40)))
            for slot in FORWARD_SLOTS + (GRADIENTS if training else ())
            for expert in range(args.experts)
        }
    program = os.path.join(args.work_dir, "layer.mlir")
    os.makedirs(args.work_dir, exist_ok=True)
    command, recipe = recipe_options(args)
    generate(args, command, program)
    rng = None
    if args.recipe == "nvfp4" and training and args.stochastic_rounding != "false":
        rng = np.random.default_rng(args.seed + 1).integers(
            2**62, size=(args.microbatches, 2)
        )
    folder = os.path.join(args.work_dir, "in")
    options = write_inputs(args, inputs, scales, rng, folder)

    policy = {
        "bf16": Bf16,
        "block": lambda: Block(recipe),
        "current": lambda: Current(recipe),
        "delayed": lambda: Delayed(scales, recipe),
        "mxfp8": lambda: MXFP8(recipe),
        "nvfp4": lambda: NVFP4(recipe, rng),
    }[args.recipe]()  # fmt: skip
    model = run_layer(inputs, policy, training, args.dispatch == "fp8")
    definition = run_layer(inputs, training=training)

    misses = []
    for optimize in ("false", "true"):
        print(f"--optimize={optimize}")
        folder = os.path.join(args.work_dir, f"out-optimize-{optimize}")
        run_tool(
            ["te-run", program, f"--optimize={optimize}", f"--output-dir={folder}"]
            + options
        )
        outputs = Outputs(folder)
        found = outputs.results(args)
        tolerance = TOLERANCE[args.recipe]
        missed = compare(found, model, (tolerance, tolerance), "the model")
        distances = (1e-2, 1e-2)
        if args.recipe != "bf16":
            # Tokens that travel in FP8 may be rounded a second time.
            twice = 1e-2 if args.dispatch == "fp8" else 0
            forward = DISTANCE[recipe.forward] + twice
            distances = (forward, max(forward, DISTANCE[recipe.backward]))
        missed += compare(found, definition, distances, "the definition")
        if training:
            missed += check_experts(found, inputs)
        if training and args.recipe == "bf16":
            missed += check_finite_differences(found, inputs, 2e-2)
        if rng is not None:
            advanced = np.load(outputs.path("rng"))
            if not np.array_equal(advanced, rng + [0, len(NVFP4.STREAMS)]):
                missed.append(f"rng: {advanced}, of {rng}")
        if scales:
            missed += check_next_scales(args, outputs, policy, scales)
        misses += [f"--optimize={optimize}: {miss}" for miss in missed]
    if misses:
        sys.exit("\n".join(misses))


if __name__ == "__main__":
    main()
