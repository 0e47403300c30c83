"""Heads: what reads a representation out, with the Lipschitz constant that a certificate needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np

from kernalign._base import checks
from kernalign._rows import arrays, vectors
from kernalign._rows.decompositions import singular_values
from kernalign.stitching.problem import Matrix


def _relu(z: Matrix) -> Matrix:
    return np.maximum(z, 0)


def _tanh(z: Matrix) -> Matrix:
    return np.tanh(z)


_ACTIVATIONS: dict[str, Callable[[Matrix], Matrix]] = {"relu": _relu, "tanh": _tanh}  # 1-Lipschitz, all of them


class Head(Protocol):
    """Maps rows (m, d2) to outputs (m, d); ``lipschitz`` bounds |h(a) - h(b)| / |a - b|, as ``lipschitz_kind`` says."""

    @property
    def lipschitz(self) -> float: ...
    @property
    def lipschitz_kind(self) -> str: ...
    def __call__(self, rows: Matrix) -> Matrix: ...


class LinearHead:
    """rows -> rows @ weight.T + bias; its Lipschitz constant, the spectral norm of weight, is exact.

    Parameters
    ----------
    weight : (d, d2), one row per output, as in PyTorch and scikit-learn.
    bias : (d,) or None.

    See Also
    --------
    MLPHead, stitching_certificate

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> head = stitching.LinearHead([[3.0, 0.0], [0.0, 4.0]], bias=[1.0, 0.0])
    >>> head(np.ones((1, 2))).tolist(), round(head.lipschitz, 6)
    ([[4.0, 4.0]], 4.0)
    """

    lipschitz_kind = "exact"

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self._take(weight, bias, "weight", "bias")

    def _take(self, weight: Any, bias: Any, *names: str) -> Self:
        rows = arrays.rows(weight, names[0])
        self.weight = rows.dense(0, rows.shape[0])
        self.bias = np.zeros(len(self.weight)) if bias is None else vectors.numeric(bias, names[1])
        if self.bias.shape != self.weight.shape[:1] or not np.isfinite(self.bias).all():
            raise ValueError(
                f"{names[1]} must be a finite number for each of {len(self.weight)} outputs, got {checks.shown(bias)}"
            )
        return self

    def __repr__(self) -> str:
        outputs, inputs = self.weight.shape
        return f"LinearHead({inputs} -> {outputs})"

    @property
    def lipschitz(self) -> float:
        return float(singular_values(self.weight)[0])

    def __call__(self, rows: Matrix) -> Matrix:
        return np.asarray(rows @ self.weight.T + self.bias)


class MLPHead:
    """A multilayer perceptron; the product of its layers' spectral norms is an upper bound of its Lipschitz constant.

    Parameters
    ----------
    weights : one (outputs, inputs) matrix per layer, as in PyTorch. biases : one vector or None per layer, or None.
    activation : "relu" or "tanh", after every layer but the last; both are 1-Lipschitz.

    See Also
    --------
    LinearHead, stitching_certificate

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> head = stitching.MLPHead([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0]]], activation="relu")
    >>> head(np.array([[1.0, -5.0]])).tolist(), round(head.lipschitz, 6), head.lipschitz_kind
    ([[3.0]], 6.0, 'upper bound')
    """

    lipschitz_kind = "upper bound"

    def __init__(
        self,
        weights: Sequence[Any],
        biases: Sequence[Any] | None = None,
        *,
        activation: Literal["relu", "tanh"] = "relu",
    ) -> None:
        checks.check_choice(activation, "activation", tuple(_ACTIVATIONS))
        layers = checks.items(weights, "weights", "matrices")
        given = [None] * len(layers) if biases is None else checks.items(biases, "biases", "vectors")
        if not layers or len(given) != len(layers):
            raise ValueError(f"weights must hold a layer and biases as many, got {len(layers)} and {len(given)}")
        names = [(f"weights[{at}]", f"biases[{at}]") for at in range(len(layers))]
        made = zip(layers, given, names, strict=True)
        self.layers = [LinearHead.__new__(LinearHead)._take(*pair, *name) for *pair, name in made]
        for first, second in zip(self.layers, self.layers[1:], strict=False):
            if second.weight.shape[1] != len(first.weight):
                raise ValueError(
                    f"weights must take what the layer before gives, got {len(first.weight)} outputs and "
                    f"{second.weight.shape[1]} inputs"
                )
        self.activation = activation

    def __repr__(self) -> str:
        sizes = [self.layers[0].weight.shape[1], *(len(layer.weight) for layer in self.layers)]
        return f"MLPHead({' -> '.join(map(str, sizes))}, {self.activation})"

    @property
    def lipschitz(self) -> float:
        return float(np.prod([layer.lipschitz for layer in self.layers]))

    def __call__(self, rows: Matrix) -> Matrix:
        activate = _ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            rows = activate(layer(rows))
        return self.layers[-1](rows)


@dataclass(frozen=True)
class GivenHead:
    """Any function of rows, with the Lipschitz constant that the user vouches for."""

    function: Callable[[Matrix], Any]
    lipschitz: float
    lipschitz_kind = "given"

    def __call__(self, rows: Matrix) -> Matrix:
        found = arrays.rows(self.function(rows), "head(f2)")
        if found.shape[0] != len(rows):
            raise ValueError(f"head must return one row per row, got {found.shape[0]} for {len(rows)}")
        return found.dense(0, found.shape[0])


def as_head(head: Any, lipschitz: Any, columns: int, outputs: int) -> Head:
    """A head, its sizes checked, from a matrix, a LinearHead, an MLPHead, or a callable with ``lipschitz``."""
    known = isinstance(head, (LinearHead, MLPHead))
    if not known and not callable(head):
        head, known = LinearHead.__new__(LinearHead)._take(head, None, "head", "bias"), True
    if known:
        if lipschitz is not None:
            raise ValueError("lipschitz must be None for a matrix, a LinearHead or an MLPHead: it is computed")
        chosen: LinearHead | MLPHead = head
        layers = chosen.layers if isinstance(chosen, MLPHead) else [chosen]
        sizes = layers[0].weight.shape[1], len(layers[-1].weight)
        if sizes != (columns, outputs):
            raise ValueError(
                f"head must map the representation's {columns} columns to {outputs} targets, got a map of "
                f"{sizes[0]} to {sizes[1]}"
            )
        return chosen
    if lipschitz is None:
        raise ValueError("a callable head needs lipschitz=, a bound of |head(a) - head(b)| / |a - b|")
    return GivenHead(head, checks.check_nonnegative(lipschitz, "lipschitz"))
