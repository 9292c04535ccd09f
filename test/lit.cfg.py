# lit.cfg.py: the suite of files with RUN lines.
#
# Substitutions  %python      Python with NumPy, and with ml_dtypes where it could be
#                             installed (tools/scripts/requirements.txt)
#                %te_source  the root of the tree
#                %te_plugin  what mlir-opt loads
#                %te_build   the root of the build
#                %cmake, %cc, %cxx  those of the build
# Features       pkg-config  there is one
#                kernels      built with CUDA kernels
#                gpus-N       at least N NVIDIA GPUs, N up to 8
#                ml_dtypes    %python can import it
#                sanitize     built with TE_SANITIZE
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import os
import shutil
import subprocess

import lit.formats


def output_of(command):
    """The standard output of a probe; empty where it fails or is not there."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


config.name = "te"
config.test_format = lit.formats.ShTest(execute_external=False)
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.te_binary_dir, "test")
config.suffixes = [".mlir", ".test"]
# Inputs of tests; and the sources of unit tests, which Unit runs.
config.excludes = ["Inputs", "CMakeLists.txt"]

config.environment["PATH"] = os.pathsep.join(
    [
        os.path.join(config.te_binary_dir, "bin"),
        config.llvm_tools_dir,
        config.environment["PATH"],
    ]
)
if lit_config.maxIndividualTestTimeIsSupported[0]:
    lit_config.maxIndividualTestTime = 600
# Every test runs beside others: one thread for each BLAS is plenty.
config.environment["OPENBLAS_NUM_THREADS"] = "1"
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
# In a sanitized build LLVM's allocators poison what they have not handed out, but
# the packaged libraries, which are not instrumented, hand it out without a word.
config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"

venv_python = os.path.join(config.te_source_dir, "build", "venv", "bin", "python")
python = (
    venv_python if os.access(venv_python, os.X_OK) else config.python_executable
)
config.substitutions.append(("%python", python))
config.substitutions.append(("%te_source", config.te_source_dir))
config.substitutions.append(
    ("%te_plugin", os.path.join(config.te_binary_dir, "lib", "te-plugin.so"))
)
config.substitutions.append(("%te_build", config.te_binary_dir))
config.substitutions.append(("%cmake", config.cmake))
config.substitutions.append(("%cxx", config.cxx_compiler))
config.substitutions.append(("%cc", config.c_compiler))
if shutil.which("pkg-config"):
    config.available_features.add("pkg-config")

if output_of([python, "-c", "import numpy, ml_dtypes; print(ml_dtypes.__version__)"]):
    config.available_features.add("ml_dtypes")
else:
    lit_config.note("no ml_dtypes for Python: tests that need it are unsupported")

gpus = sum(
    line.startswith("GPU ") for line in output_of(["nvidia-smi", "-L"]).splitlines()
)
for count in range(1, min(gpus, 8) + 1):
    config.available_features.add(f"gpus-{count}")

if config.te_kernels and not config.te_kernels.endswith("NOTFOUND"):
    config.available_features.add("kernels")

if config.te_sanitize.upper() in ("ON", "1", "TRUE", "YES"):
    config.available_features.add("sanitize")
