"""The one place that validates user arrays and says how their rows are read, without copying them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.checks import check_choice, check_options, check_same_rows, check_threads
from kernalign._base.progress import ProgressArgument
from kernalign._rows.blocks import blocks
from kernalign._rows.preprocessing import clip_threshold, rounding_of, standard_scale

Normalize: TypeAlias = Literal["l2", "standardize"] | None
ZeroRows: TypeAlias = Literal["error", "drop_pair"]
AnyArray: TypeAlias = NDArray[Any]

_NORMALIZE = (None, "l2", "standardize")
_NUMBERS = "efdbBhHiIlLqQ?"  # dtypes that engines read as they are, if in native order
FEW_COLUMNS = 16  # with fewer, the rounding of single float32 products does not average out


class Options(TypedDict, total=False):
    """Keyword arguments that every metric takes; they mean what they mean everywhere."""

    normalize: Normalize
    clip_quantile: float | None
    zero_rows: ZeroRows
    threads: int | None
    device: str | None
    progress: ProgressArgument


@dataclass(eq=False)
class Pair:
    """Two paired representations, ready for an engine, and how the caller wants it to work.

    ``settings`` say how the rows were preprocessed; ``dropped`` items had a zero row on either side.
    """

    x: _core.Rows
    y: _core.Rows
    settings: dict[str, Any]
    threads: int = 0
    progress: ProgressArgument = False

    @property
    def n(self) -> int:
        return self.x.shape[0]

    def check(self, threads: int) -> None:
        """Read all rows once, so that a bad one is found before anything else has been done."""
        for rows in (self.x, self.y):
            _core.check_rows(rows, threads)


def pair(
    x: Any,
    y: Any,
    *,
    unit_rows: bool = False,
    divided: bool = False,
    zero_mean: bool = False,
    **options: Unpack[Options],
) -> Pair:
    """Validate two paired representations and attach their preprocessing.

    ``unit_rows`` says that the metric itself divides by row norms (cosine), so that zero rows matter; ``divided``, that
    the rows shall be read divided already, and ``zero_mean`` that their means be subtracted before.
    """
    how = _asked(options) if options else _PLAIN
    (a, a_bf16), (b, b_bf16) = as_matrix(x, "x"), as_matrix(y, "y")
    check_same_rows(a.shape[0], b.shape[0])
    settings: dict[str, Any] = {"normalize": how.normalize, "clip_quantile": how.clip_quantile}
    if how.zero_rows == "drop_pair" and (unit_rows or divided or how.normalize == "l2"):
        keep = ~(_zero_rows(a, "x", a_bf16, zero_mean) | _zero_rows(b, "y", b_bf16, zero_mean))
        settings["dropped"] = int(len(keep) - keep.sum())
        if settings["dropped"] == len(keep):
            what = "constant" if zero_mean else "zero"
            raise ValueError(f"zero_rows='drop_pair' must leave an item, but every item has a {what} row on one side")
        if settings["dropped"]:
            a, b = a[keep], b[keep]
    kwargs: dict[str, Any] = {"zero_mean": zero_mean, "paired": _MAY_DROP.get()}
    if how.normalize is None and how.clip_quantile is None:
        left = _core.Rows(a, "x", bfloat16=a_bf16, unit_norm=divided, **kwargs)
        right = _core.Rows(b, "y", bfloat16=b_bf16, unit_norm=divided, **kwargs)
    else:
        kwargs |= {"normalize": how.normalize, "clip_quantile": how.clip_quantile, "divided": divided}
        left, right = _rows(a, "x", a_bf16, **kwargs), _rows(b, "y", b_bf16, **kwargs)
    return Pair(left, right, settings, how.threads, how.progress)


class _Asked(NamedTuple):
    """What the options ask for, checked; the threads as an engine takes them."""

    threads: int = 0
    normalize: Normalize = None
    clip_quantile: float | None = None
    zero_rows: ZeroRows = "error"
    progress: ProgressArgument = False


_PLAIN = _Asked()


def _asked(options: Options) -> _Asked:
    check_options(options, Options)
    get: Any = options.get
    found = _Asked(
        check_threads(get("threads")),
        get("normalize"),
        get("clip_quantile"),
        get("zero_rows", "error"),
        get("progress", False),
    )
    if "device" in options:
        check_device(options["device"])
    if found.normalize is not None:
        check_choice(found.normalize, "normalize", _NORMALIZE)
    if found.zero_rows != "error":
        check_choice(found.zero_rows, "zero_rows", ("error", "drop_pair"))
    return found


_MAY_DROP = ContextVar("may_drop", default=True)  # whether zero_rows is the caller's to choose


@contextmanager
def dropping_refused() -> Iterator[None]:
    """Within, no error advises ``zero_rows="drop_pair"``: the caller of many metrics has no such choice to offer."""
    token = _MAY_DROP.set(False)
    try:
        yield
    finally:
        _MAY_DROP.reset(token)


def rows(
    x: Any,
    name: str = "x",
    *,
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    divided: bool = False,
) -> _core.Rows:
    """Validate one representation and attach its preprocessing; ``divided`` as for `pair`."""
    matrix, bf16 = as_matrix(x, name)
    return _rows(matrix, name, bf16, normalize=normalize, clip_quantile=clip_quantile, divided=divided)


def as_matrix(x: Any, name: str) -> tuple[AnyArray, bool]:
    """Return a 2-D NumPy view of ``x`` (bfloat16 as its 16-bit patterns) and whether it is bfloat16."""
    if type(x) is np.ndarray and x.ndim == 2 and x.dtype.char in _NUMBERS and x.dtype.isnative and 0 not in x.shape:
        return x, False
    if x is None or isinstance(x, (str, bytes, dict)):
        raise TypeError(f"{name} must be a 2-D numeric array, got {type(x).__name__}")
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array (the mask would be ignored); fill it first")
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name} must be dense, got {type(x).__name__}; use .toarray()")
    array, bf16 = to_numpy(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be 2-D (items, features), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if bf16:
        return array, True
    kind = array.dtype.kind
    if kind == "c":
        raise TypeError(f"{name} must be real, got dtype {array.dtype}")
    if kind not in "fiub":
        raise TypeError(f"{name} must have a float or integer dtype, got {array.dtype}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array, False


def check_device(device: str | None) -> None:
    """Raise unless this build has the device."""
    check_choice(device, "device", (None, "cpu"))  # the only one of this build


def to_numpy(x: Any, name: str) -> tuple[AnyArray, bool]:
    """A NumPy view of ``x`` of any shape (bfloat16 as its 16-bit patterns) and whether it is bfloat16."""
    if isinstance(x, np.ndarray):
        array = np.asarray(x)
        return (array.view(np.uint16), True) if array.dtype.type.__name__ == "bfloat16" else (array, False)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        x = x.detach()
        if x.device.type != "cpu":
            raise ValueError(f"{name} must be on the CPU in this build, got device {x.device}; use .cpu()")
        if x.dtype == torch.bfloat16:
            return x.view(torch.int16).numpy().view(np.uint16), True
    elif hasattr(x, "__cuda_array_interface__"):
        raise ValueError(f"{name} must be on the CPU in this build, got a CUDA array")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(f"{name} must convert to a NumPy array: {error}") from error
    return (array.view(np.uint16), True) if array.dtype.type.__name__ == "bfloat16" else (array, False)


def _rows(
    matrix: AnyArray, name: str, bf16: bool, *, normalize: Normalize, clip_quantile: float | None, **how: bool
) -> _core.Rows:
    clip = None if clip_quantile is None else clip_threshold([_core.Rows(matrix, name, bfloat16=bf16)], clip_quantile)
    return prepared(matrix, name, bf16, normalize=normalize, clip=clip, **how)


def prepared(
    matrix: AnyArray,
    name: str,
    bf16: bool,
    *,
    normalize: Normalize,
    clip: float | None,
    divided: bool = False,
    zero_mean: bool = False,
    paired: bool = False,
) -> _core.Rows:
    """Attach preprocessing whose clipping threshold is known to what `as_matrix` returned; see `pair`."""
    if normalize is not None:
        check_choice(normalize, "normalize", _NORMALIZE)
    options: dict[str, Any] = {"bfloat16": bf16, "unit_norm": divided or normalize == "l2", "zero_mean": zero_mean}
    options["paired"] = paired
    if clip is not None:
        options["clip"] = clip
    if normalize == "standardize":
        plain = _core.Rows(matrix, name, bfloat16=bf16, clip=clip)
        mean, scale = standard_scale(plain, rounding=rounding_of(matrix, bf16))
        options |= {"shift": list(mean), "scale": list(scale)}
    return _core.Rows(matrix, name, **options)


def samples(x: Any, y: Any, *, divided: bool = False, **options: Unpack[Options]) -> Pair:
    """Validate two samples of the same features, rows not paired; "standardize" takes moments of both together."""
    how = _asked(options)
    normalize, quantile = how.normalize, how.clip_quantile
    if how.zero_rows != "error":
        raise ValueError(f"zero_rows must be 'error' where rows are not paired, got {how.zero_rows!r}")
    (a, a_bf16), (b, b_bf16) = as_matrix(x, "x"), as_matrix(y, "y")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"x and y must have the same number of columns, got {a.shape[1]} and {b.shape[1]}")
    common: dict[str, Any] = {"normalize": None if normalize == "standardize" else normalize, "clip_quantile": quantile}
    common["divided"] = divided and normalize != "standardize"
    sides = [_rows(matrix, name, bf16, **common) for matrix, name, bf16 in ((a, "x", a_bf16), (b, "y", b_bf16))]
    if normalize == "standardize":
        mean, scale = standard_scale(*sides, rounding=max(rounding_of(a, a_bf16), rounding_of(b, b_bf16)))
        clips = [None if quantile is None else clip_threshold([side], quantile) for side in sides]
        sides = [
            _core.Rows(matrix, name, bfloat16=bf16, clip=clip, shift=list(mean), scale=list(scale), unit_norm=divided)
            for matrix, name, bf16, clip in ((a, "x", a_bf16, clips[0]), (b, "y", b_bf16, clips[1]))
        ]
    settings: dict[str, Any] = {"normalize": normalize, "clip_quantile": quantile}
    return Pair(sides[0], sides[1], settings, how.threads, how.progress)


def _zero_rows(matrix: AnyArray, name: str, bf16: bool, zero_mean: bool) -> NDArray[np.bool_]:
    """Which rows are zero, or constant if their means will be subtracted."""
    source = _core.Rows(matrix, name, bfloat16=bf16, zero_mean=zero_mean)
    return np.concatenate([~block.any(axis=1) for block in blocks(source)])
