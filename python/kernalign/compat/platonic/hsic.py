"""platonic-rep's HSIC and CKA: on dense matrices, and from the engines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.kernels import RBF
from kernalign._engines import gram_sweep, linear
from kernalign._engines.kernel_sums import KernelSums
from kernalign._rows import arrays
from kernalign._rows.blocks import spans
from kernalign._rows.numeric import AnyArray
from kernalign.compat.platonic import tensors
from kernalign.compat.platonic.graphs import check_paired

_BLOCK_ELEMENTS = 1 << 18


def hsic_unbiased(K: Any, L: Any) -> Any:
    """Unbiased HSIC of two n x n matrices (Song et al. 2012), in O(n^2); nan for n < 4.

    The matrices need not be symmetric; the first term is sum_ij K_ij L_ji, as in platonic-rep.

    See Also
    --------
    hsic_biased
    kernalign.hsic : of features, with a p-value

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> from kernalign.compat.platonic import hsic_unbiased
    >>> x, y = np.random.default_rng(0).standard_normal((2, 50, 3))
    >>> round(float(hsic_unbiased(x @ x.T, y @ y.T)) - ka.hsic(x, y), 9) == 0
    True
    """
    k, m = _matrices(K, L)
    n = len(k)
    crossed, k_columns, m_rows = 0.0, np.zeros(n), np.zeros(n)
    for block in _row_blocks(n):
        rows, columns = k[block].astype(np.float64), m.T[block].astype(np.float64)
        for side in (rows, columns):
            side[np.arange(len(side)), np.arange(n)[block]] = 0
        crossed += float(np.vdot(rows, columns))
        k_columns += rows.sum(axis=0)
        m_rows += columns.sum(axis=0)
    value = math.nan
    if n > 3:
        total = float(k_columns.sum() * m_rows.sum())
        inner = crossed + total / ((n - 1) * (n - 2)) - 2 * float(k_columns @ m_rows) / (n - 2)
        value = inner / (n * (n - 3))
    return tensors.number(value, _dtype(K, L), K, L)


def hsic_biased(K: Any, L: Any) -> Any:
    """trace(K H L H) of two n x n matrices, without the factor 1 / (n - 1)^2, in O(n^2).

    See Also
    --------
    hsic_unbiased
    kernalign.hsic : of features, with 1 / n^2 and a p-value

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import hsic_biased
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> round(float(hsic_biased(x @ x.T, x @ x.T)), 6)
    4.0
    """
    k, m = _matrices(K, L)
    n = len(k)
    k_rows, k_columns = (k.mean(axis=axis, dtype=np.float64) for axis in (1, 0))
    m_rows, m_columns = (m.mean(axis=axis, dtype=np.float64) for axis in (1, 0))
    value = 0.0
    for block in _row_blocks(n):
        rows = k[block] - k_rows[block, None] - k_columns + k_rows.mean()
        columns = m.T[block] - m_columns[block, None] - m_rows + m_rows.mean()
        value += float(np.vdot(rows, columns))
    return tensors.number(value, _dtype(K, L), K, L)


def ratio(cross: float, own_a: float, own_b: float, eps: float) -> float:
    """cross / (sqrt(own_a own_b) + eps), without overflow; nan if just one of the two is negative."""
    if own_a * math.copysign(1, own_b) < 0 and own_b != 0:
        return math.nan
    norm = math.sqrt(abs(own_a)) * math.sqrt(abs(own_b)) + eps
    return cross / norm if norm != 0 else math.nan


def linear_cka(a: _core.Rows, b: _core.Rows, unbiased: bool, eps: float) -> float:
    """CKA of linear kernels by the cheaper of the engines; never an n x n array."""
    n = a.shape[0]
    check_paired(n, b.shape[0])
    if n < 4 and unbiased:
        return math.nan
    sums = linear.linear_sums(arrays.Pair(a, b, {}), centred=True, keep=False)
    terms = [_hsic_of(sums, i, j, unbiased) for i, j in ((0, 1), (0, 0), (1, 1))]
    with np.errstate(over="ignore"):
        scaled_eps = float(np.ldexp(eps, -sum(sums.exponents)))
    return ratio(terms[0], max(0.0, terms[1]), max(0.0, terms[2]), scaled_eps)


def rbf_cka(a: _core.Rows, b: _core.Rows, sigma: float, unbiased: bool, eps: float) -> float:
    """CKA of the kernels exp(-d^2 / (2 sigma^2)), from tiles; never an n x n array."""
    n = a.shape[0]
    check_paired(n, b.shape[0])
    if n < 4 and unbiased:
        return math.nan
    sums = gram_sweep.kernel_sums(arrays.Pair(a, b, {}), RBF(float(sigma)), centred=True)
    terms = [_hsic_of(sums, i, j, unbiased) for i, j in ((0, 1), (0, 0), (1, 1))]
    return ratio(terms[0], max(0.0, terms[1]), max(0.0, terms[2]), eps)


def _hsic_of(sums: KernelSums, i: int, j: int, unbiased: bool) -> float:
    if unbiased:
        return sums.u_centred(i, j) / (sums.n * (sums.n - 3))
    return sums.centred(i, j)


def _matrices(K: Any, L: Any) -> tuple[AnyArray, AnyArray]:
    k, m = tensors.to_array(K, "K"), tensors.to_array(L, "L")
    if k.ndim != 2 or k.shape[0] != k.shape[1] or k.size == 0:
        raise ValueError(f"K must be a square matrix, got shape {k.shape}")
    if m.shape != k.shape:
        raise ValueError(f"K and L must have the same shape, got {k.shape} and {m.shape}")
    return k, m


def _row_blocks(n: int) -> list[slice]:
    return [slice(*span) for span in spans(n, n, elements=_BLOCK_ELEMENTS)]


def _dtype(*matrices: Any) -> Any:
    """Type of the answer as NumPy knows it; half precision, in which it would overflow, is answered in float32."""
    found = np.result_type(*(tensors.to_array(m, "matrix").dtype for m in matrices))
    return found if found.kind == "f" else np.float64
