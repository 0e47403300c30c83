"""RelativeRepresentation: items described by their similarity to anchors, so that no map has to be fitted."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from kernalign._base import checks
from kernalign._rows import arrays
from kernalign._rows.blocks import row_blocks
from kernalign.stitching.estimator import Estimator, NotFittedError
from kernalign.stitching.problem import Matrix


class RelativeRepresentation(Estimator):
    """x -> cosines of x with k anchors (Moschella et al. 2023).

    Two models embed the same k items as anchors; a head trained on one model's relative representation then works on
    the other's, with no map between them (zero-shot stitching). Unchanged by orthogonal maps and by scale; by
    translation only with ``centred``. Leave the anchors' items out of every evaluation.

    Parameters
    ----------
    anchors : (k, p) embeddings of the anchor items by the model whose rows will be transformed.
    centred : measure angles around the mean of the anchors rather than around the origin.

    See Also
    --------
    AffineStitcher : a map that is fitted

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 8))
    >>> turned = 3 * x @ np.linalg.qr(rng.standard_normal((8, 8)))[0]
    >>> first = stitching.RelativeRepresentation(x[:20]).fit(x).transform(x[20:])
    >>> second = stitching.RelativeRepresentation(turned[:20]).fit(turned).transform(turned[20:])
    >>> first.shape, np.allclose(first, second)
    ((80, 20), True)
    """

    _anchors: Matrix | None = None
    _mean: Matrix | None = None

    def __init__(self, anchors: Any, *, centred: bool = False) -> None:
        self.anchors = anchors
        self.centred = centred

    def fit(self, x: Any = None, y: Any = None) -> Self:
        """Check the anchors; ``x`` (its columns are checked if given) and ``y`` are not used.

        Raises
        ------
        ValueError
            An anchor is a zero vector (after centring): it has no direction.
        """
        checks.check_flag(self.centred, "centred")
        rows = arrays.rows(self.anchors, "anchors")
        if x is not None and (columns := arrays.rows(x).shape[1]) != rows.shape[1]:
            raise ValueError(f"x must have the {rows.shape[1]} columns of the anchors, got {columns}")
        anchors = rows.dense(0, rows.shape[0])
        self._mean = anchors[0] + (anchors - anchors[0]).mean(axis=0) if self.centred else np.zeros(rows.shape[1])
        self._anchors = _unit(anchors - self._mean, "anchors", 0)
        return self

    def transform(self, x: Any) -> Matrix:
        """Cosines (m, k), in [-1, 1], of rows x (m, p) with every anchor.

        Raises
        ------
        ValueError
            A row is zero (after centring).
        """
        anchors, mean = self._fitted
        rows = arrays.rows(x)
        if rows.shape[1] != anchors.shape[1]:
            raise ValueError(f"x must have the {anchors.shape[1]} columns of the anchors, got {rows.shape[1]}")
        out = np.empty((rows.shape[0], len(anchors)))
        for begin, end in row_blocks(rows):
            unit = _unit(rows.dense(begin, end) - mean, "x", begin)
            np.matmul(unit, anchors.T, out=out[begin:end])
        return out.clip(-1, 1, out=out)

    @property
    def _fitted(self) -> tuple[Matrix, Matrix]:
        if self._anchors is None or self._mean is None:
            raise NotFittedError("this RelativeRepresentation is not fitted yet; call fit first")
        return self._anchors, self._mean

    @property
    def n_features_in_(self) -> int:
        return int(self._fitted[0].shape[1])

    @property
    def _n_features_out(self) -> int:  # what scikit-learn names columns by
        return len(self._fitted[0])

    def __sklearn_is_fitted__(self) -> bool:
        return self._anchors is not None


def _unit(rows: Matrix, name: str, begin: int) -> Matrix:
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        row = begin + int(np.argmin(largest))
        raise ValueError(f"{name} must have no zero row (after centring, if asked for), got one at row {row}")
    scaled = rows / largest  # squares of any scale stay in range
    unit: Matrix = scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    return unit
