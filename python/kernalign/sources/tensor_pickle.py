"""Understands the part of pickle that describes tensors in plain containers; nothing that it names is ever called."""

from __future__ import annotations

import pickletools
from typing import Any, NamedTuple

_DTYPES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "BFloat16": "bfloat16",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "<i1",
    "Byte": "<u1",
    "Bool": "?",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e5m2": "float8_e5m2",
}
_EMPTY: dict[str, Any] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": list, "EMPTY_SET": list}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_VALUES |= {"BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"}
# How many values an instruction takes; 0: all since the last mark. BUILD takes attributes, of which tensors need none.
_TAKEN = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2, "STACK_GLOBAL": 2, "REDUCE": 2, "NEWOBJ": 2}
_TAKEN |= {"BUILD": 1, "TUPLE": 0, "LIST": 0, "APPENDS": 0, "SETITEMS": 0, "ADDITEMS": 0}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = ("PROTO", "FRAME", "STOP")


class Tensor(NamedTuple):
    """Where a tensor lies: elements of a storage by its name, counted in elements of ``dtype`` ("" if unknown)."""

    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(str):
    """What a pickle would import."""


def parse(raw: bytes) -> Any:
    """The content as dicts, lists (tuples too), strings, numbers and tensors; what else it builds is None.

    Raises
    ------
    ValueError
        It is not such a pickle.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(raw):
        name, given = opcode.name, argument if isinstance(argument, (int, float, str, bytes)) else None
        if name in _VALUES:
            stack.append(given)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            marks.append(len(stack))
        elif name in _TAKEN:
            at = len(stack) - _TAKEN[name] if _TAKEN[name] else marks.pop()
            items = stack[at:]
            del stack[at:]
            _take(name, stack, items)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else int(given or 0)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[int(given or 0)])
        elif name == "GLOBAL":
            stack.append(_Name(given))
        elif name == "BINPERSID":
            stack[-1] = tuple(stack[-1])  # ("storage", type, name, device, elements)
        elif name not in _IGNORED:
            raise ValueError(f"it must hold tensors in plain containers, got the pickle instruction {name}")
    [content] = stack
    return content


def _take(name: str, stack: list[Any], items: list[Any]) -> None:
    """What an instruction does with the last values: makes one of them, or gives them to what stands before."""
    if name.startswith(("TUPLE", "LIST")):
        stack.append(items)
    elif name == "STACK_GLOBAL":
        stack.append(_Name(" ".join(map(str, items))))
    elif name in ("REDUCE", "NEWOBJ"):
        stack.append(_built(*items))
    elif name.startswith("SETITEM") and isinstance(stack[-1], dict):
        keys = [key if isinstance(key, (str, int, float, bool)) else str(key) for key in items[::2]]
        stack[-1].update(zip(keys, items[1::2], strict=True))
    elif name.startswith(("APPEND", "ADDITEMS")) and isinstance(stack[-1], list):
        stack[-1].extend(items)


def _built(name: Any, arguments: Any) -> Any:
    match (name, arguments):
        case "collections OrderedDict", _:
            return {}
        case "torch._utils _rebuild_tensor_v2", [tuple(storage), int(offset), list(shape), list(strides), *_]:
            return _tensor(storage, offset, shape, strides)
        case "torch._utils _rebuild_tensor_v3", [
            tuple(storage),
            int(offset),
            list(shape),
            list(strides),
            _,
            _,
            kind,
            *_,
        ]:
            return _tensor((*storage[:1], kind, *storage[2:]), offset, shape, strides)
        case "torch._utils _rebuild_parameter" | "torch._utils _rebuild_parameter_with_state", [Tensor() as tensor, *_]:
            return tensor
        case "torch._tensor _rebuild_from_type_v2", [_, _, list(inner), *_]:
            return _built("torch._utils _rebuild_tensor_v2", inner)
        case "torch Size", [list(extents)]:
            return extents
        case _:
            return None


def _tensor(storage: tuple[Any, ...], offset: int, shape: list[Any], strides: list[Any]) -> Tensor | None:
    match storage:
        case ("storage", str(kind), str(name), *_) if all(type(one) is int for one in (*shape, *strides)):
            dtype = _DTYPES.get(kind.split()[-1].removesuffix("Storage"), "")
            return Tensor(name, dtype, offset, tuple(shape), tuple(strides))
    return None
