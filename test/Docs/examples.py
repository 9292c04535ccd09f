"""examples.py: verifies the examples in the descriptions of ops.

Reads what mlir-tblgen writes of a dialect. Each statement of an example becomes a
function; values that it uses and does not define are given the types that it says
they have, which the parser tells.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import re
import subprocess
import sys


def examples(text):
    """(op, globals, statement) for each statement of each example."""
    for section in re.split(r"^### `", text, flags=re.M)[1:]:
        op = section.split("`")[0]
        for block in re.findall(r"^```mlir\n(.*?)^```", section, flags=re.S | re.M):
            module = ""  # what stands around functions
            for statement in re.split(r"^(?=[^\s}])", block, flags=re.M):
                if statement.startswith("ml_program.global"):
                    module += statement
                elif statement.strip() and not statement.startswith("//"):
                    yield op, module, statement


def undefined(statement):
    """The values that it uses and does not define, in order."""
    results, separator, rest = statement.partition(" = ")
    if not separator or not results.startswith("%"):
        results, rest = "", statement
    defined = set(re.findall(r"(%\w+) = ", statement)) | set(
        re.findall(r"%\w+", results)
    )
    return [
        value
        for value in dict.fromkeys(re.findall(r"%\w+", rest))
        if value not in defined
    ]


def program(module, statement, types):
    """A function of it, with what it uses in front."""
    definitions = "".join(
        (
            f"  {value} = arith.constant {value[2:]} : index\n"
            if re.fullmatch(r"%c\d+", value)
            else f'  {value} = "test.value"() : () -> {type_of}\n'
        )
        for value, type_of in types.items()
    )
    return f"{module}func.func @example() {{\n{definitions}{statement}\n  return\n}}\n"


def check(module, statement):
    """What te-opt says of the statement once it knows all types; empty if nothing."""
    types = dict.fromkeys(undefined(statement), "none")
    while True:
        done = subprocess.run(
            ["te-opt", "--allow-unregistered-dialect", "-o", "/dev/null"],
            input=program(module, statement, types),
            capture_output=True,
            text=True,
            check=False,
        )
        told = re.search(
            r"use of value '(%\w+)' expects different type than prior uses: '(.*)' vs 'none'",
            done.stderr,
        )
        if not told:
            return done.stderr if done.returncode else ""
        types[told[1]] = told[2]


def main():
    found = list(examples(sys.stdin.read()))
    errors = [f"error: {op}: {said}" for op, *text in found if (said := check(*text))]
    print("\n".join(errors + [f"{len(found)} statements"]))
    return 1 if errors or not found else 0


if __name__ == "__main__":
    sys.exit(main())
