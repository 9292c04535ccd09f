"""Binds arrays that NumPy hands over as DLPack, and runs: who made the structs is not us.

    dlpack_numpy.py LIBRARY PLAN

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import ctypes
import sys

import numpy as np

IN, OUT = 0, 1
USED = {True: b"used_dltensor_versioned", False: b"used_dltensor"}
api = ctypes.pythonapi
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]

library, path = sys.argv[1:]
rt = ctypes.CDLL(library)
rt.te_rt_last_error.restype = ctypes.c_char_p


def check(status, context=None):
    if status:
        sys.exit(f"status {status}: {rt.te_rt_last_error(context).decode() if context else ''}")


def aligned(shape, dtype):
    """Zeros at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + size].view(dtype).reshape(shape)


def bind(session, argument, array, versioned):
    """What the status is; the tensor is the session's if it is 0."""
    if versioned:
        capsule, name = array.__dlpack__(max_version=(1, 0)), b"dltensor_versioned"
        function = rt.te_rt_session_bind_dlpack_versioned
    else:
        capsule, name = array.__dlpack__(), b"dltensor"
        function = rt.te_rt_session_bind_dlpack
    tensor = ctypes.c_void_p(api.PyCapsule_GetPointer(capsule, name))
    status = function(session, argument, tensor)
    if status == 0:
        # What says that it has gone; a capsule keeps the pointer to its name.
        api.PyCapsule_SetName(capsule, USED[versioned])
    return status


plan, context, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
message = ctypes.create_string_buffer(1024)
if rt.te_rt_plan_load_file(path.encode(), ctypes.byref(plan), message, 1024):
    sys.exit(message.value.decode())
check(rt.te_rt_context_create(0, 1, None, 0, ctypes.byref(context), message, 1024))


def run(versioned):
    """The result, from arrays that are bound as pointers (None) or as DLPack."""
    check(rt.te_rt_session_create(context, plan, 0, ctypes.byref(session)), context)

    def argument(name, direction=IN):
        return rt.te_rt_plan_find_argument(plan, 0, name.encode(), direction)

    random = np.random.default_rng(0)
    arrays = {
        "indices": aligned((1, 16, 2), np.int32),
        "probs": aligned((1, 16, 2), np.float32),
        "tokens": aligned((1, 16, 128), np.uint16),
        "w1": aligned((2, 256, 128), np.uint16),
        "w2": aligned((2, 128, 128), np.uint16),
    }
    arrays["indices"][:] = [0, 1]
    arrays["probs"][:] = random.random(arrays["probs"].shape, np.float32)
    for name in ("tokens", "w1", "w2"):
        bits = random.standard_normal(arrays[name].shape, np.float32).view(np.uint32)
        arrays[name][:] = bits >> 16
    out = aligned((1, 16, 128), np.uint16)
    for name, array in [*arrays.items(), ("out", out)]:
        number = argument(name, OUT if array is out else IN)
        if versioned is None or name not in ("indices", "probs"):  # NumPy has no BF16
            data = ctypes.c_void_p(array.ctypes.data)
            check(rt.te_rt_session_bind(session, number, data, ctypes.c_int64(array.nbytes)), context)
            continue
        before = sys.getrefcount(array)
        check(bind(session, number, array, versioned), context)
        assert sys.getrefcount(array) > before, "the session keeps no reference"
    # Of another type, or with other strides: refused, and still the caller's.
    assert bind(session, argument("probs"), arrays["indices"], bool(versioned)) == 1
    assert bind(session, argument("probs"), arrays["probs"][:, ::-1], bool(versioned)) == 1
    check(rt.te_rt_session_run(session), context)
    held = sys.getrefcount(arrays["probs"])
    rt.te_rt_session_destroy(session)
    if versioned is not None:
        assert sys.getrefcount(arrays["probs"]) == held - 1, "the deleter was not called"
    return out.copy()


wanted = run(None)
assert wanted.any()
forms = [False, True] if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else [False]
for form in forms:
    assert np.array_equal(run(form), wanted)
print(f"numpy: {len(forms)} forms, equal")
