"""Tensors in, tensors out: PyTorch is looked up, never imported."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from kernalign._rows import on_device
from kernalign._rows.numeric import AnyArray, to_numpy


def is_tensor(x: Any) -> bool:
    """Whether x is a PyTorch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def readable(x: Any, y: Any) -> tuple[Any, Any]:
    """Both tensors without their gradients, as `kernalign.Moments` reads them: where they are, if one CUDA device that
    can be used holds both, else on the CPU."""
    x, y = x.detach(), y.detach()
    if x.device != y.device or x.device.type != "cuda" or on_device.why_not():
        return x.cpu(), y.cpu()
    x, y = (rows if rows.is_floating_point() else rows.double() for rows in (x, y))
    return x.contiguous(), y.contiguous()


def to_array(x: Any, name: str) -> AnyArray:
    """A NumPy array of any number of dimensions, of real numbers; a view where the type allows. bfloat16 is widened."""
    array, bf16 = to_numpy(x, name)
    if bf16:
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif is_tensor(x) and array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must have a float or integer dtype, got {array.dtype}")
    return array


def as_given(array: AnyArray, *inputs: Any) -> Any:
    """The array as a tensor if any of the inputs was one, else as it is."""
    if any(is_tensor(x) for x in inputs):
        return sys.modules["torch"].from_numpy(np.ascontiguousarray(array))
    return array


def number(value: float, dtype: Any, *inputs: Any) -> Any:
    """The value as a 0-d tensor if any of the inputs was a tensor, else as a float."""
    if any(is_tensor(x) for x in inputs):
        return sys.modules["torch"].from_numpy(np.full((1,), value, dtype)).reshape(())
    return float(value)
