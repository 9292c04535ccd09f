"""te_program.py: small programs of the te dialect, written and executed.

    program = Program()
    x = program.input("x", array)
    values, scales = quantize(program, x, rowwise=(E4M3, Scales(1, 128, "compact")))
    program.outputs(values=values, scales=scales)
    found = program.run(folder)          # {"values": array, "scales": array}

Arrays have the dtypes of ml_dtypes; a result comes back in the dtype and shape of its
type. Files have two FP4 elements in a byte, the first in its low half. One program takes many ops: a process for each would be most of a test's time.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import os
import subprocess
import sys
from dataclasses import dataclass

import ml_dtypes
import numpy as np

E4M3 = ml_dtypes.float8_e4m3fn
E5M2 = ml_dtypes.float8_e5m2
E8M0 = ml_dtypes.float8_e8m0fnu
FP4 = ml_dtypes.float4_e2m1fn
BF16 = ml_dtypes.bfloat16
ELEMENTS = {
    np.dtype(np.float32): "f32",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
    np.dtype(BF16): "bf16",
    np.dtype(E4M3): "f8E4M3FN",
    np.dtype(E5M2): "f8E5M2",
    np.dtype(E8M0): "f8E8M0FNU",
    np.dtype(FP4): "f4E2M1FN",
}


def ceil_div(a, b):
    return -(-a // b)


def round_up(a, b):
    return ceil_div(a, b) * b


@dataclass(frozen=True)
class Scales:
    """A #te.scales encoding. One scale for the whole tensor: Scales(0, 0, "tensor")."""

    rows: int
    cols: int
    layout: str
    groups: int = 0

    def __str__(self):
        block = "" if self.layout == "tensor" else f"{self.rows} x {self.cols}, "
        groups = f", groups = {self.groups}" if self.groups else ""
        return f"#te.scales<{block}{self.layout}{groups}>"

    @property
    def dtype(self):
        """Of the scales; those of 8 bits are padded as tiles of 128 x 4 are."""
        return {32: E8M0, 16: E4M3}.get(max(self.rows, self.cols), np.float32)

    def blocks(self, extent, block):
        """Of ragged data, the blocks along its rows begin anew with each group, which
        for tiles is where one begins anyway."""
        if self.groups and block > 1 and self.layout != "swizzled":
            return extent // block + self.groups
        return ceil_div(extent, block)

    def grid(self, data):
        """How many blocks data of shape `data` has, down and across."""
        *_, m, k = data
        return self.blocks(m, self.rows), self.blocks(k, self.cols)

    def shape(self, data):
        """The shape of the scales of data of shape `data`."""
        *packed, _, _ = data
        if self.layout == "tensor":
            return (*packed, *([self.groups] if self.groups else []))
        m, k = self.grid(data)
        if self.layout == "swizzled":
            outer, inner = (k, m) if self.rows > self.cols else (m, k)
            m, k = round_up(outer, 128), round_up(inner, 4)
        elif self.dtype != np.float32:
            across, along = (4, 128) if self.rows > self.cols else (128, 4)
            m, k = round_up(m, across), round_up(k, along)
        elif self.layout == "gemm_ready":
            m, k = (k, m) if self.rows == 1 else (m, k)
            k = round_up(k, 4)
        return (*packed, m, k)


TENSOR = Scales(0, 0, "tensor")


@dataclass(frozen=True)
class Type:
    shape: tuple
    dtype: type
    encoding: object = None

    def __str__(self):
        shape = "".join(f"{size}x" for size in self.shape)
        encoding = f", {self.encoding}" if self.encoding else ""
        return f"tensor<{shape}{ELEMENTS[np.dtype(self.dtype)]}{encoding}>"


@dataclass(frozen=True)
class Value:
    name: str
    type: Type

    def __str__(self):
        return self.name

    @property
    def typed(self):
        return f"{self.name} : {self.type}"


def to_file(array):
    if array.dtype == FP4:
        codes = array.view(np.uint8)
        return codes[..., 0::2] | codes[..., 1::2] << 4
    plain = {1: np.uint8, 2: np.uint16}.get(array.dtype.itemsize)
    return array.view(plain) if plain else array


def from_file(array, dtype):
    if dtype == FP4:
        pairs = np.stack([array & 15, array >> 4], axis=-1)
        array = pairs.reshape(*array.shape[:-1], -1)
    return array if array.dtype == dtype else array.view(dtype)


class Program:
    def __init__(self):
        self.arrays = {}
        self.arguments = []
        self.lines = []
        self.results = {}

    def input(self, name, array, encoding=None):
        array = np.asarray(array)
        value = Value(
            f"%a{len(self.arguments)}", Type(array.shape, array.dtype.type, encoding)
        )
        self.arrays[name] = array
        self.arguments.append((name, value))
        return value

    def op(self, text, *types):
        """Appends an op with results of `types`. Returns its results."""
        name = f"%v{len(self.lines)}"
        self.lines.append(f"{name}:{len(types)} = {text}")
        return [Value(f"{name}#{i}", type) for i, type in enumerate(types)]

    def empty(self, type):
        return self.op(f"tensor.empty() : {type}", type)[0]

    def outputs(self, **values):
        self.results.update(values)

    def text(self):
        arguments = ", ".join(
            f'{value.name}: {value.type} {{te.name = "{name}"}}'
            for name, value in self.arguments
        )
        types = ", ".join(str(value.type) for value in self.results.values())
        named = ", ".join(
            f'{value.type} {{te.name = "{name}"}}'
            for name, value in self.results.items()
        )
        body = "\n  ".join(self.lines)
        returned = ", ".join(value.name for value in self.results.values())
        return (
            f"func.func @step({arguments}) -> ({named}) {{\n  {body}\n"
            f"  return {returned} : {types}\n}}\n"
        )

    def execute(self, folder, optimize=False):
        """Runs the program. Returns the process's exit status and standard error."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "program.mlir")
        with open(path, "w") as file:
            file.write(self.text())
        command = ["te-run", path, f"--optimize={str(optimize).lower()}"]
        command.append(f"--output-dir={os.path.join(folder, 'out')}")
        for name, array in self.arrays.items():
            array_path = os.path.join(folder, name + ".npy")
            np.save(array_path, to_file(array))
            command.append(f"--input={name}={array_path}")
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    def run(self, folder, optimize=False):
        """Runs the program. Returns its results, as {name: array}."""
        status, errors = self.execute(folder, optimize)
        if status:
            raise SystemExit(
                f"te-run {folder}/program.mlir: exit status {status}: {errors[:2000]}"
            )
        found = {}
        for name, value in self.results.items():
            array = np.load(os.path.join(folder, "out", name + ".npy"))
            array = from_file(array, value.type.dtype)
            assert array.shape == value.type.shape, (name, array.shape, value.type)
            found[name] = array
        return found


def quantize(
    program, x, rowwise=None, columnwise=None, scale=None, amax=None, noop=None,
    offsets=None, member=None, outs=(), pow2=False, epsilon=0.0, rng=None, attributes=(),
):  # fmt: skip
    """Each of `rowwise`, `columnwise`: (dtype, Scales). Returns the results asked for:
    values, scales, columnwise values and scales, amax, and of FP4 the amax of the
    tensor in each direction."""
    text = f"te.quantize {x}"
    for keyword, value in (
        ("scale", scale),
        ("amax", amax),
        ("noop", noop),
        ("groups", offsets),
    ):
        text += f" {keyword}({value.typed})" if value else ""
    text += f" member {member}" if member is not None else ""
    text += f" rng({rng.typed})" if rng else ""
    if outs:
        types = ", ".join(str(value.type) for value in outs)
        text += f" outs({', '.join(map(str, outs))} : {types})"
    attributes = [*attributes, *(["pow2_scales"] if pow2 else [])]
    attributes += [f"epsilon = {epsilon:e} : f32"] if epsilon else []
    text += f" {{{', '.join(attributes)}}}" if attributes else ""
    text += f" : {x.type}"
    results, types = cast_results(x.type.shape, rowwise, columnwise)
    text += results
    if amax:
        types.append(amax.type)
        text += f" amax_out {amax.type}"
    members = x.type.shape[:-2]
    if offsets:
        members = (offsets.type.shape[0] - 1,)
    for keyword, direction in (("", rowwise), ("_t", columnwise)):
        if direction and direction[0] == FP4:
            types.append(Type(members, np.float32))
            text += f" tensor_amax{keyword} {types[-1]}"
    return program.op(text, *types)


def cast_results(shape, rowwise, columnwise):
    """How the assembly of a cast of a tensor of this shape names its results, and their
    types."""
    text, types = "", []
    for keyword, direction in (("->", rowwise), ("columnwise", columnwise)):
        if direction:
            types += result_types(shape, direction, keyword == "columnwise")
            text += f" {keyword} {types[-2]}, {types[-1]}"
    return text, types


def result_types(shape, direction, columnwise):
    """The types of the values and the scales of one direction of a cast."""
    dtype, scales = direction
    if columnwise and scales.cols != 1:
        shape = (*shape[:-2], shape[-1], shape[-2])
    return [Type(shape, dtype), Type(scales.shape(shape), scales.dtype, scales)]


def multi_cast_transpose(
    program,
    inputs,
    rowwise,
    columnwise,
    scale=(),
    amax=(),
    noop=None,
    outs=(),
    pow2=False,
    square=False,
):
    """Returns lists: values, scales, columnwise values, columnwise scales, amaxes (or
    none), of FP4 the amaxes of the tensors in each direction."""

    def names(values):
        return ", ".join(map(str, values))

    def types_of(values):
        return ", ".join(str(value.type) for value in values)

    text = f"te.multi_cast_transpose {names(inputs)}"
    for keyword, values in (("scale", scale), ("amax", amax)):
        text += f" {keyword}({names(values)} : {types_of(values)})" if values else ""
    text += f" noop({noop.typed})" if noop else ""
    text += f" outs({names(outs)} : {types_of(outs)})" if outs else ""
    text += " {pow2_scales}" if pow2 else " {square_blocks}" if square else ""
    text += f" : {types_of(inputs)}"
    lists = []
    for keyword, direction in (("->", rowwise), ("columnwise", columnwise)):
        pairs = [
            result_types(x.type.shape, direction, keyword == "columnwise")
            for x in inputs
        ]
        values, scales = map(list, zip(*pairs))
        text += f" {keyword} {', '.join(map(str, values))}"
        text += f" scales {', '.join(map(str, scales))}"
        lists += [values, scales]
    if amax:
        lists.append([value.type for value in amax])
        text += f" amax_out {types_of(amax)}"
    for keyword, direction in (("", rowwise), ("_t", columnwise)):
        if direction[0] == FP4:
            lists.append([Type(x.type.shape[:-2], np.float32) for x in inputs])
            text += f" tensor_amax{keyword} {', '.join(map(str, lists[-1]))}"
    found = program.op(text, *[type for types in lists for type in types])
    count = len(inputs)
    return [found[i : i + count] for i in range(0, len(found), count)]


def gemm(
    program, lhs, rhs, result, lhs_scales=None, rhs_scales=(), bias=(), offsets=None,
    member=None, over=None, outs=(), attributes=(), lhs_amax=None, rhs_amax=(),
):  # fmt: skip
    """te.gemm, or te.grouped_gemm where there are offsets without a member. `rhs`,
    `rhs_scales`, `rhs_amax`, `bias`, `outs` and `result` (types) are lists. Returns the
    results."""
    operands = [lhs, lhs_scales, lhs_amax, *rhs, *rhs_scales, *rhs_amax, *bias]
    operands += [offsets, *outs]
    grouped = offsets is not None and member is None
    text = f"te.{'grouped_gemm' if grouped else 'gemm'} {lhs}"
    text += f" scales({lhs_scales})" if lhs_scales else ""
    text += f" amax({lhs_amax})" if lhs_amax else ""
    text += ", " + ", ".join(map(str, rhs))
    lists = (("scales", rhs_scales), ("amax", rhs_amax), ("bias", bias))
    for keyword, values in lists:
        text += f" {keyword}({', '.join(map(str, values))})" if values else ""
    text += f" groups({offsets})" if offsets else ""
    text += f" member {member}" if member is not None else ""
    text += f" over {over}" if over else ""
    text += f" outs({', '.join(map(str, outs))})" if outs else ""
    text += f" {{{', '.join(attributes)}}}" if attributes else ""
    return functional(program, text, [value for value in operands if value], *result)


def functional(program, text, operands, *types):
    """An op whose assembly ends in the function type of its operands and results."""
    sources = ", ".join(str(value.type) for value in operands)
    targets = ", ".join(map(str, types))
    return program.op(f"{text} : ({sources}) -> ({targets})", *types)


def run_ranks(folder, text, ranks, dtypes, options, inputs=None):
    """The results of each rank, by name: the program `text` run by te-run with
    `options` and `inputs` (arrays by name). What .npy cannot name is read as the
    type that `dtypes` gives."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "program.mlir")
    with open(path, "w") as file:
        file.write(text)
    command = ["te-run", path, f"--ranks={ranks}", f"--output-dir={folder}/out"]
    command += options
    for name, array in (inputs or {}).items():
        np.save(os.path.join(folder, name + ".npy"), array)
        command.append(f"--input={name}={folder}/{name}.npy")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr[:2000]}")
    found = []
    for rank in range(ranks):
        where = f"{folder}/out/rank{rank}" if ranks > 1 else f"{folder}/out"
        arrays = {}
        for file in os.listdir(where):
            name, array = file[: -len(".npy")], np.load(f"{where}/{file}")
            dtype = dtypes.get(name, array.dtype)
            arrays[name] = array if array.dtype == dtype else array.view(dtype)
        found.append(arrays)
    return found
