"""Arrays that claim to be in the memory of a CUDA device, for the simulated one, which is the CPU's."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np
import pytest

_INT16, _BFLOAT = 0, 4


def simulated() -> Any:
    """The simulated device's extension; a test without it is skipped."""
    try:
        return importlib.import_module("kernalign._cudasim")
    except ModuleNotFoundError:
        pytest.skip("kernalign._cudasim was not built: configure with -DKERNALIGN_CUDASIM=ON")


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
    )  # fmt: skip


class DeviceArray:
    """A NumPy array that says through DLPack that it is on a device; 16-bit integers say that they are bfloat16."""

    def __init__(self, values: np.ndarray, device: int = 0) -> None:
        self.values, self.device, self.streams = values, device, []  # type: ignore[var-annotated]

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        self.streams.append(stream)
        bfloat16 = self.values.dtype.type.__name__ == "bfloat16"
        capsule = (self.values.view(np.int16) if bfloat16 else self.values).__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
        tensor.device_type, tensor.device_id = 2, self.device
        if bfloat16:
            tensor.code = _BFLOAT
        return capsule

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.values[key], self.device)

    def get(self) -> np.ndarray:
        return self.values.copy()
