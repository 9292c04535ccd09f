"""What scripts that run the runtime beside PyTorch begin with.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import argparse
import os
import sys

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def beside(name):
    """The path of a file that a bundle has beside the scripts."""
    return os.path.join(_FOLDER, name)


def parser(what):
    """The options that all have; `what` is it that --filter chooses."""
    made = argparse.ArgumentParser()
    made.add_argument("--library", default=beside("libte_runtime.so"))
    made.add_argument("--filter", default="", help=f"{what} whose name has this")
    return made


def runtime(options):
    """A Runtime on the GPU that PyTorch has; leaves with a message without one."""
    name = os.path.basename(sys.argv[0])
    try:
        import torch
    except ImportError:
        sys.exit(f"{name}: error: found no PyTorch, wanted one with CUDA")
    if not torch.cuda.is_available():
        sys.exit(f"{name}: error: found no GPU that PyTorch can use")
    from peers.runtime import Runtime

    torch.cuda.init()
    return Runtime(os.path.abspath(options.library))
