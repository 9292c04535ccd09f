"""Holds the includes of the tree to its layers: dependencies point one way.

usage: check_includes.py ROOT

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import re
import sys

# A folder, and what nothing in it may include. The first match counts.
RULES = [
    # The runtime knows no compiler.
    ("runtime", r"(mlir|llvm|llvm-c|mlir-c|te)/"),
    # The only edge between the halves: the schema of plans.
    ("lib/Target/Plan", r"te_runtime/|cuda|cublas|nccl|te/(Pipelines|Builders)/"),
    ("include/te/Target", r"te_runtime/|plan_generated|te/(Pipelines|Builders)/"),
    # The C API is C, beside MLIR's.
    ("include/te-c", r"(mlir|llvm|te)/"),
    # Dialects know nothing of what is made of them.
    ("include/te/Dialect/TE/", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines|Builders)/"),
    ("lib/Dialect/TE/", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines|Builders)/"),
    ("include/te/Dialect", r"te/(Conversion|Target|Pipelines|Builders)/"),
    ("lib/Dialect", r"te/(Conversion|Target|Pipelines|Builders)/"),
    ("include/te/Conversion", r"te/(Target|Pipelines|Builders)/"),
    ("lib/Conversion", r"te/(Target|Pipelines|Builders)/"),
    ("include/te/Builders", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines)/"),
    ("lib/Builders", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines)/"),
    ("include/te/Reducer", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines|Builders)/"),
    ("lib/Reducer", r"te/(Dialect/TERuntime|Conversion|Target|Pipelines|Builders)/"),
    ("lib/Pipelines", r"te/(Target|Builders)/"),
]
# The compiler knows neither the runtime nor CUDA.
COMPILER = r"te_runtime/|plan_generated|cuda|cublas|nccl"

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
SOURCES = {".c", ".cpp", ".cu", ".cuh", ".h"}


def forbidden(path):
    for folder, pattern in RULES:
        if path.startswith(folder):
            if path.startswith("runtime") or path.startswith("lib/Target/Plan"):
                return pattern
            return pattern + "|" + COMPILER
    return COMPILER if path.startswith(("include/te", "lib")) else None


def main():
    root = pathlib.Path(sys.argv[1])
    seen = broken = 0
    for folder in ("include", "lib", "runtime"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            path = file.relative_to(root).as_posix()
            pattern = forbidden(path)
            if not pattern:
                continue
            seen += 1
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if match and re.match(pattern, match[1]):
                    print(f"{path}:{number}: must not include {match[1]}")
                    broken += 1
    if seen < 50:
        print(f"only {seen} files found below {root}: is it the project's root?")
        return 1
    print(f"{seen} files, {broken} includes against the layers")
    return 1 if broken else 0


sys.exit(main())
