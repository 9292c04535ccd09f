"""forms.py: a checkpoint in either form, packed or one tensor for each expert.

A training step with biases and delayed scaling is run as given, where each expert has
its own parameters and states, and optimized, where a group is one tensor. Either takes
and gives both forms, from .npy and from .safetensors, and all of that has the same
bits. Exits with 1 and a line for the first difference.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import json
import os
import subprocess
import sys

import numpy as np

EXPERTS = 3
SAFETENSORS_TYPES = {"uint16": "BF16", "float32": "F32"}


def run_tool(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit status {done.returncode}: {done.stderr}")


def load(folder):
    return {
        name[: -len(".npy")]: np.load(os.path.join(folder, name))
        for name in sorted(os.listdir(folder))
    }


def write_npy(folder, arrays):
    """Returns te-run's options."""
    os.makedirs(folder, exist_ok=True)
    options = []
    for name, array in arrays.items():
        path = os.path.join(folder, name + ".npy")
        np.save(path, array)
        options.append(f"--input={name}={path}")
    return options


def write_safetensors(folder, arrays):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "checkpoint.safetensors")
    header, data = {}, b""
    for name, array in arrays.items():
        header["key." + name] = {
            "dtype": SAFETENSORS_TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)
    return [f"--input={name}={path}#key.{name}" for name in arrays]


def expect_equal(found, wanted, what):
    if sorted(found) != sorted(wanted):
        sys.exit(f"{what}: {sorted(found)}, wanted {sorted(wanted)}")
    for name, array in wanted.items():
        same = found[name].shape == array.shape
        if not same or found[name].tobytes() != array.tobytes():
            sys.exit(f"{what}: {name} differs")


def member_names(group):
    """Of w1: w1.0, ...; of w1.scale: w1.0.scale, ..."""
    base, dot, part = group.partition(".")
    return [f"{base}.{expert}{dot}{part}" for expert in range(EXPERTS)]


def unpacked(arrays, manifest, kind):
    """By the manifest: each member's bytes, at its offset."""
    result = dict(arrays)
    for entry in manifest["packed"]:
        if entry["kind"] != kind:
            continue
        packed = result.pop(entry["name"])
        assert list(packed.shape) == entry["shape"]
        assert packed.nbytes == entry["bytes"]
        bits = packed.tobytes()
        size = entry["bytes"] // len(entry["members"])
        for member in entry["members"]:
            at = member["byte_offset"]
            assert member["element_offset"] * packed.itemsize == at
            result[member["name"]] = np.frombuffer(
                bits[at : at + size], packed.dtype
            ).reshape(packed.shape[1:])
    return result


def main():
    work = sys.argv[1]
    os.makedirs(work, exist_ok=True)
    program = os.path.join(work, "step.mlir")
    manifest_path = os.path.join(work, "manifest.json")
    run_tool(
        "te-gen", "--recipe=delayed", "--direction=training", "--bias=true",
        f"--local-experts={EXPERTS}", "--tokens=20", "--hidden=48", "--ffn=32",
        "--amax-history=4", "--microbatches=2", "-o", program,
    )  # fmt: skip
    run_tool(
        "te-opt", program, f"-te-pack-parameters=manifest={manifest_path} strict",
        "-o", os.path.join(work, "packed.mlir"),
    )  # fmt: skip
    with open(manifest_path) as file:
        manifest = json.load(file)
    count = 0

    def run(options, optimize, form, *more):
        nonlocal count
        count += 1
        folder = os.path.join(work, f"out{count}")
        run_tool(
            "te-run", program, f"--optimize={optimize}", f"--output-dir={folder}",
            f"--output-form={form}", *more, *options,
        )  # fmt: skip
        return load(folder)

    # What one step leaves is a checkpoint.
    members = run([], "false", "members")
    packed = run([], "true", "packed")
    expect_equal(unpacked(packed, manifest, "result"), members, "manifest of results")
    expect_equal(run([], "false", "packed"), packed, "packed results as given")
    expect_equal(run([], "true", "members"), members, "members when optimized")

    # Parameters, and the states that the step has left, go in again.
    rng = np.random.default_rng(1)
    groups = {}
    for entry in manifest["packed"]:
        if entry["kind"] != "argument":
            continue
        name, shape = entry["name"], entry["shape"]
        if name in packed:
            groups[name] = packed[name]
        else:
            value = rng.normal(0, 0.1, shape).astype(np.float32)
            groups[name] = (value.view(np.uint32) >> 16).astype(np.uint16)
    for name in ("w1", "w2", "b1", "b2", "x.scale", "dy.history"):
        assert name in groups, name
    single = {
        member: array[expert]
        for group, array in groups.items()
        for expert, member in enumerate(member_names(group))
    }
    expect_equal(unpacked(groups, manifest, "argument"), single, "manifest")
    wanted = run(write_npy(os.path.join(work, "single"), single), "false", "members")
    if wanted["out"].tobytes() == members["out"].tobytes():
        sys.exit("the inputs have no effect")
    for form, arrays in (("packed", groups), ("single", single)):
        for write in (write_npy, write_safetensors):
            options = write(os.path.join(work, form), arrays)
            for optimize in ("false", "true"):
                what = f"{form}, {write.__name__}, --optimize={optimize}"
                found = run(options, optimize, "members", "--check")
                expect_equal(found, wanted, what)

    # And te-exec has of the plan what it needs.
    lowered, plan = os.path.join(work, "lowered.mlir"), os.path.join(work, "step.plan")
    run_tool("te-opt", program, "-te-compile", "-o", lowered)
    run_tool("te-translate", "--te-to-plan", lowered, "-o", plan)
    folder = os.path.join(work, "exec")
    options = write_npy(os.path.join(work, "single"), single)
    run_tool(
        "te-exec", plan, f"--output-dir={folder}", "--output-form=members", *options
    )
    expect_equal(load(folder), wanted, "te-exec")


if __name__ == "__main__":
    main()
