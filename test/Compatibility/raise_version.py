"""Raises the version that a file says it has: what a newer program will have written.

    raise_version.py plan FROM TO            the version field of a plan
    raise_version.py bytecode:VERSION FROM TO
                     the version of the one dialect of the file that has VERSION

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import pathlib
import struct
import sys

NEW = 99


def raise_plan(data):
    """The first field of the root table, where its vtable says."""
    (root,) = struct.unpack_from("<I", data, 0)
    (to_vtable,) = struct.unpack_from("<i", data, root)
    (field,) = struct.unpack_from("<H", data, root - to_vtable + 4)
    assert field, "the plan has no version"
    struct.pack_into("<I", data, root + field, NEW)
    return data


def raise_bytecode(data, version):
    """The first section (7) of one byte: the number, and a mark of its length. Dialects
    and their versions stand at the head of a file."""

    def section(number):
        return bytes([7, 1 << 1 | 1, number << 1 | 1])

    assert section(version) in data[:100], "no section of such a version"
    return data.replace(section(version), section(NEW), 1)


what, source, target = sys.argv[1:]
content = bytearray(pathlib.Path(source).read_bytes())
kind, _, number = what.partition(":")
changed = raise_plan(content) if kind == "plan" else raise_bytecode(content, int(number))
pathlib.Path(target).write_bytes(changed)
