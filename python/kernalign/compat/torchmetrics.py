"""Similarity: a torchmetrics metric of two representations, finished from the second moments of all batches."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torchmetrics import Metric

from kernalign._base.checks import check_choice, check_positive, shown
from kernalign._base.score import UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign.compat.platonic.tensors import readable
from kernalign.metrics.moments import Moments
from kernalign.metrics.packed_moments import packed, packed_length, unpacked
from kernalign.metrics.registry import METRICS, as_named

_OF_MOMENTS = tuple(name for name in METRICS if hasattr(Moments, name))
_FEW = 4  # items, below which some estimators do not exist


class Similarity(Metric):  # type: ignore[misc]
    """How alike two representations of the same items are, over all batches and all processes of a training run.

    Everything that :class:`kernalign.Moments` finishes can be measured. Batches go into a stream of it where they are,
    on a CUDA device too. When it is read, the state is one float64 vector, which torchmetrics moves, clones, gathers
    and merges: the result does not depend on how items were divided among batches and processes, up to the rounding of
    float64 (of float32 batches, of their products: about 1e-7). It stays float64 under ``half()``, and on the CPU where
    a device has no float64 (MPS).

    Parameters
    ----------
    num_features : int or (int, int)
        Columns of x and of y; one number if they are the same. Processes that saw no batch need it.
    metric : str, default "cka"
        "cka", "hsic", "kernel_alignment", "cca", "nbs", "angular_distance", "procrustes" or "linear_predictivity".
    **keywords
        Options of that method of :class:`kernalign.Moments` (``estimator="biased"``); all others are torchmetrics'
        (``dist_sync_on_step``, ``process_group``, ...).

    Raises
    ------
    ValueError
        There is no such metric, or ``num_features`` is below 1.

    See Also
    --------
    kernalign.Moments : the same without torch.
    kernalign.compat.hooks.FeatureTap : takes representations out of a model.
    kernalign.compat.lightning.SimilarityCallback : logs this in PyTorch Lightning.

    Notes
    -----
    ``update`` takes x (n, p) and y (n, q), tensors of any real dtype on any device; O(n (p + q)^2) on the CUDA device
    that holds both, else on the CPU, and 8 (p^2 + p q + q^2) bytes of state, of which it makes a few copies when it is
    read. ``compute`` returns a 0-d float64 tensor: nan
    (UndefinedScoreWarning) where there are too few items, so that a short last batch ends no training. Nothing here is
    differentiable: gradients stop at ``update``; :func:`kernalign.compat.losses.cka_loss` is a loss.

    Examples
    --------
    >>> import torch
    >>> from kernalign.compat.torchmetrics import Similarity
    >>> metric = Similarity(16)
    >>> for _ in range(3):
    ...     x = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
    ...     metric.update(x, x.flip(1))
    >>> round(metric.compute().item(), 6)
    1.0
    """

    full_state_update = False
    is_differentiable = False
    _packed: torch.Tensor
    _stream: Moments | None = None  # what has gone on from _packed
    _read = True  # whether _packed has all of it

    def __init__(self, num_features: int | Sequence[int], metric: str = "cka", **keywords: Any) -> None:
        metric = as_named(metric)
        check_choice(metric, "metric", _OF_MOMENTS)
        known = set(inspect.signature(getattr(Moments, metric)).parameters) - {"self"}
        super().__init__(**{name: value for name, value in keywords.items() if name not in known})
        self.metric, self.options = metric, {name: value for name, value in keywords.items() if name in known}
        both = [num_features] * 2 if isinstance(num_features, int) else list(num_features)
        if len(both) != 2:
            raise ValueError(f"num_features must be one number, or one for x and one for y, got {shown(num_features)}")
        p, q = (check_positive(count, "num_features") for count in both)
        self.num_features = p, q
        start = torch.zeros(packed_length(p, q), dtype=torch.float64)
        self.add_state("packed", start, dist_reduce_fx=partial(_merged, columns=(p, q)))

    def extra_repr(self) -> str:
        """What torch writes between the brackets."""
        own = {"num_features": self.num_features, "metric": self.metric, **self.options}
        return ", ".join(f"{name}={value!r}" for name, value in own.items())

    @property
    def higher_is_better(self) -> bool:
        """Whether larger scores are of representations that are more alike."""
        return METRICS[self.metric].larger_is_closer

    @property
    def plot_lower_bound(self) -> float | None:
        """The smallest score there can be; None if there is none."""
        return _finite(METRICS[self.metric].range[0])

    @property
    def plot_upper_bound(self) -> float | None:
        """The largest score there can be; None if there is none."""
        return _finite(METRICS[self.metric].range[1])

    @property
    def packed(self) -> torch.Tensor:
        """The state, made when it is read."""
        if not self._read:
            assert self._stream is not None
            self._packed = torch.from_numpy(packed(self._stream, *self.num_features)).to(self._packed.device)
            self._read = True
        return self._packed

    @packed.setter
    def packed(self, state: torch.Tensor) -> None:
        self._packed, self._stream, self._read = state, None, True

    @property
    def moments(self) -> Moments:
        """A :class:`kernalign.Moments` of what was seen: every metric of it, with its chance level and p-value."""
        return unpacked(self.packed.cpu().numpy(), *self.num_features)

    def update(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add paired rows: x (n, p), y (n, q).

        Raises
        ------
        TypeError, ValueError
            For rows that are not numeric, finite and 2-D, or that differ in number or from ``num_features``.
        """
        for name, rows, columns in zip("xy", (x, y), self.num_features, strict=True):
            if rows.ndim == 2 and rows.shape[1] != columns:
                raise ValueError(f"{name} must have the {columns} columns of num_features, got {rows.shape[1]}")
        if self._stream is None:
            self._stream = self.moments
        before = self._stream.n
        try:
            self._stream.update(*readable(x, y))
        finally:
            self._read = self._read and self._stream.n == before

    def compute(self) -> torch.Tensor:
        """The score of all items so far."""
        moments = self.moments
        try:
            value = float(getattr(moments, self.metric)(**self.options))
        except ValueError as error:
            if moments.n >= _FEW:
                raise
            warn(f"{self.metric} is undefined: {error}", UndefinedScoreWarning)
            value = math.nan
        double = self.packed.device == self.device
        return torch.tensor(value, dtype=torch.float64 if double else torch.float32, device=self.device)

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw values, those of ``compute`` if none are given, on matplotlib axes; returns figure and axes."""
        return self._plot(val, ax)

    def _apply(self, fn: Any, exclude_state: Sequence[str] = ()) -> Any:
        try:
            fn(self.packed[:0])
        except TypeError:  # a device without float64
            exclude_state = (*exclude_state, "packed")
        return super()._apply(fn, exclude_state)


def _merged(states: torch.Tensor, columns: tuple[int, int]) -> torch.Tensor:
    """One state of several, (states, length), in order; of float32 products if some of them are."""
    vectors = states.cpu().numpy().copy()
    if len(seen := vectors[vectors[:, 0] > 0]):
        vectors[:, 1] = seen[:, 1].min()
    total = Moments()
    for state in vectors:
        total.merge(unpacked(state, *columns))
    return torch.from_numpy(packed(total, *columns)).to(states.device)


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None
