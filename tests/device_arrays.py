"""Arrays that claim to be in the memory of a CUDA device, for the simulated one, which is the CPU's."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np
import pytest

_BFLOAT = 4
_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def simulated() -> Any:
    """The simulated device's extension; a test without it is skipped."""
    try:
        return importlib.import_module("kernalign._cudasim")
    except ModuleNotFoundError:
        pytest.skip("kernalign._cudasim was not built: configure with -DKERNALIGN_CUDASIM=ON")


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    )  # fmt: skip


_GIVEN: dict[int, tuple[DeviceArray, Any]] = {}  # by address; as long as somebody has them


@_Deleter
def _give_back(at: int) -> None:
    array, deleter = _GIVEN.pop(at)
    array.given_back += 1
    deleter(at)


class DeviceArray:
    """A NumPy array that says through DLPack that it is on a device.

    ``versioned`` ones know of DLPack's versions; ``change`` is called with the tensor before it is given. How many were
    given, and were given back, is counted.
    """

    def __init__(self, values: np.ndarray, device: int = 0, *, versioned: bool = False, change: Any = None) -> None:
        self.values, self.device, self.versioned, self.change = values, device, versioned, change
        self.streams: list[int | None] = []
        self.given_back = 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device

    def __dlpack__(self, *, stream: int | None = None, **version: Any) -> Any:
        if version and not self.versioned:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        self.streams.append(stream)
        bfloat16 = self.values.dtype.type.__name__ == "bfloat16"
        capsule = (self.values.view(np.int16) if bfloat16 else self.values).__dlpack__(**version)
        managed = self._managed(capsule)
        tensor = managed.tensor
        tensor.device_type, tensor.device_id = 2, self.device
        if bfloat16:
            tensor.code = _BFLOAT
        if self.change is not None:
            self.change(managed)
        _GIVEN[ctypes.addressof(managed)] = self, _Deleter(managed.deleter)
        managed.deleter = ctypes.cast(_give_back, ctypes.c_void_p).value
        return capsule

    def _managed(self, capsule: Any) -> Any:
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        if self.versioned:
            return _Versioned.from_address(pointer(capsule, b"dltensor_versioned"))
        return _Managed.from_address(pointer(capsule, b"dltensor"))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.values[key], self.device, versioned=self.versioned)

    def get(self) -> np.ndarray:
        return self.values.copy()
