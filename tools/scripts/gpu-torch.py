#!/usr/bin/env python3
"""Holds functions of the runtime on a GPU to PyTorch: casts and dequantized values to
its FP8 and E8M0 types, bit for bit; moves to its indexing; activations and products to
float64, within bounds.

  usage: gpu-torch.py [--library=libte_runtime.so] [--filter=TEXT]

Prints a line for each check and how many values agree; exit status 1 where some do not.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import sys

from peers import start


def main():
    options = start.parser("checks").parse_args()
    runtime = start.runtime(options)
    import torch
    from peers.against import all_checks

    passed = failed = values = 0
    with torch.cuda.stream(runtime.stream):
        for name, check in all_checks(runtime):
            if options.filter not in name:
                continue
            try:
                compared, wrong = check()
            except RuntimeError as error:
                compared, wrong = 0, str(error).splitlines()[0]
            values += compared
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'WRONG' if wrong else 'agrees'} {name}: {wrong or compared}", flush=True)
    print(
        f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}: {passed} checks of "
        f"{values} values agree, {failed} do not"
    )
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
