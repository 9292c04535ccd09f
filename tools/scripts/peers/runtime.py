"""The C functions of libte_runtime.so on tensors of PyTorch.

SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""

import ctypes

import torch

TENSOR, COMPACT, GEMM_READY, SWIZZLED = 1, 2, 3, 4

_DTYPES = {
    torch.float32: 0,
    torch.bfloat16: 1,
    torch.float16: 2,
    torch.float8_e4m3fn: 3,
    torch.float8_e5m2: 4,
    torch.float8_e8m0fnu: 5,
    torch.int32: 6,
    torch.int64: 7,
    torch.uint8: 8,
}
_FP4 = 9  # for which there is no type with conversions


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 4),
        ("layout", ctypes.c_int32),
        ("block_rows", ctypes.c_int32),
        ("block_cols", ctypes.c_int32),
        ("groups", ctypes.c_int32),
        ("on_host", ctypes.c_int32),
    ]


class _List(ctypes.Structure):
    _fields_ = [("items", ctypes.POINTER(_Tensor)), ("count", ctypes.c_int64)]


class Scales:
    """A tensor with the layout and the blocks of scales."""

    def __init__(self, tensor, layout, rows=0, cols=0, groups=0):
        self.tensor = tensor
        self.fields = (layout, rows, cols, groups)


class FP4:
    """Bytes of two FP4 each."""

    def __init__(self, tensor):
        self.tensor = tensor


def _describe(argument):
    fields = (0, 0, 0, 0)
    if isinstance(argument, FP4):
        shape = (ctypes.c_int64 * 4)(*argument.tensor.shape)
        shape[argument.tensor.dim() - 1] *= 2
        return _Tensor(
            argument.tensor.data_ptr(), _FP4, argument.tensor.dim(), shape, *fields, 0
        )
    if isinstance(argument, Scales):
        argument, fields = argument.tensor, argument.fields
    if not argument.is_contiguous():
        raise ValueError("found a tensor with strides, wanted a dense one")
    shape = (ctypes.c_int64 * 4)(*argument.shape)
    return _Tensor(
        argument.data_ptr(), _DTYPES[argument.dtype], argument.dim(), shape, *fields, 0
    )


class Runtime:
    """A cuda context. `stream` is its stream, as PyTorch's."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.te_rt_last_error.restype = ctypes.c_char_p
        self.library.te_rt_last_error.argtypes = [ctypes.c_void_p]
        self.library.te_rt_stream.restype = ctypes.c_void_p
        self.library.te_rt_stream.argtypes = [ctypes.c_void_p]
        self.context = ctypes.c_void_p()
        message = ctypes.create_string_buffer(1024)
        if self.library.te_rt_context_create(
            1,
            0,
            None,
            0,
            ctypes.byref(self.context),
            message,
            ctypes.c_int64(len(message)),
        ):
            raise RuntimeError(message.value.decode())
        self.stream = torch.cuda.ExternalStream(
            self.library.te_rt_stream(self.context)
        )

    def call(self, name, *arguments):
        """te_rt_<name> made ready: a function that enqueues it.

        Arguments are None, tensors or Scales, lists of them, ints and floats.
        """
        function = getattr(self.library, "te_rt_" + name)
        ready, kept = [self.context], [arguments]
        for argument in arguments:
            if isinstance(argument, bool) or isinstance(argument, int):
                ready.append(ctypes.c_int64(argument))
            elif isinstance(argument, float):
                ready.append(ctypes.c_double(argument))
            elif isinstance(argument, (list, tuple)):
                items = (_Tensor * len(argument))(*map(_describe, argument))
                kept.append(items)
                ready.append(_List(items, len(argument)))
            elif argument is None:
                ready.append(None)
            else:
                described = _describe(argument)
                kept.append(described)
                ready.append(ctypes.byref(described))

        def run():
            if function(*ready):
                raise RuntimeError(
                    self.library.te_rt_last_error(self.context).decode()
                )

        run.kept = kept
        return run
