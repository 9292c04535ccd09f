# lit.cfg.py: the suite of unit tests. Every executable that the build puts under
# test or runtime/test is a GoogleTest one; each of its cases counts as a test.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import os

import lit.formats


def folders_with_executables(root):
    """Folders under `root` that hold executables, relative to the build, and
    the names of these."""
    found = {}
    for folder, subfolders, files in os.walk(root):
        # What RUN lines leave behind, and what CMake does.
        subfolders[:] = [
            name
            for name in subfolders
            if name not in ("CMakeFiles", "Output") and not name.endswith(".tmp")
        ]
        executables = [
            name
            for name in files
            if "." not in name and os.access(os.path.join(folder, name), os.X_OK)
        ]
        if executables:
            found[os.path.relpath(folder, config.te_binary_dir)] = executables
    return found


found = {}
for tree in ("test", os.path.join("runtime", "test")):
    found.update(folders_with_executables(os.path.join(config.te_binary_dir, tree)))

config.name = "te-unit"
config.suffixes = []
config.test_source_root = config.te_binary_dir
config.test_exec_root = config.te_binary_dir
# The format looks into the folders it is given; lit need not walk the build.
config.excludes = os.listdir(config.te_binary_dir)
config.test_format = lit.formats.GoogleTest(";".join(sorted(found)), "")
config.test_format.test_suffixes = {
    name for executables in found.values() for name in executables
}
config.environment["OPENBLAS_NUM_THREADS"] = "1"
config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"  # as in test/lit.cfg.py
