"""Kernels: small frozen descriptions of the similarity between two rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kernalign._base.checks import integer, number, shown

Bandwidth: TypeAlias = float | Literal["median", "median_offdiag"]


@dataclass(frozen=True)
class Linear:
    """k(a, b) = a . b

    See Also
    --------
    Cosine, Polynomial, RBF, Laplacian, Precomputed
    cka, hsic, mmd : take them as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 50, 3))
    >>> bool(ka.cka(x, y) == ka.cka(x, y, kernel=ka.Linear()))
    True
    """

    def __str__(self) -> str:
        return "linear"


@dataclass(frozen=True)
class Cosine:
    """k(a, b) = a . b / (|a| |b|); a row of zeros is an error, see ``zero_rows``.

    See Also
    --------
    Linear
    cka, hsic : take it as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 50, 3))
    >>> by_kernel, by_rows = ka.cka(x, y, kernel=ka.Cosine()), ka.cka(x, y, normalize="l2")
    >>> round(by_kernel - by_rows, 9) == 0
    True
    """

    def __str__(self) -> str:
        return "cosine"


@dataclass(frozen=True)
class Polynomial:
    """k(a, b) = (a . b + offset)^degree; degree is a positive integer.

    See Also
    --------
    Linear, RBF
    cka, hsic : take it as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 2))
    >>> product = x[:, :1] * x[:, 1:]
    >>> round(ka.cka(x, product), 1), round(ka.cka(x, product, kernel=ka.Polynomial(2)), 1)
    (0.0, 0.4)
    """

    degree: int
    offset: float = 1.0

    def __post_init__(self) -> None:
        integer(self.degree, "degree", 1, 16)
        number(self.offset, "offset", "finite")

    def __str__(self) -> str:
        return "polynomial"


@dataclass(frozen=True)
class RBF:
    """k(a, b) = exp(-|a - b|^2 / (2 sigma^2)).

    ``bandwidth`` is sigma, or a rule, each side its own: "median" takes ``fraction`` times the exact median Euclidean
    distance over all n^2 entries, the zeros of the diagonal included (Kornblith et al. 2019); "median_offdiag" leaves
    the diagonal out. Other codes differ: sigma = 1 (platonic-rep), medians of squared distances, means.

    See Also
    --------
    Laplacian : with a cusp in place of a hill
    cka, hsic, mmd, independence_test : take it as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 2))
    >>> score = ka.cka(x, np.tanh(3 * x), kernel=ka.RBF("median"))
    >>> score.settings["kernel"], [round(sigma, 1) for sigma in score.settings["bandwidth"]]
    ('rbf', [1.6, 1.8])
    """

    bandwidth: Bandwidth = "median"
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_bandwidth(self)

    def __str__(self) -> str:
        return "rbf"


@dataclass(frozen=True)
class Laplacian:
    """k(a, b) = exp(-|a - b| / sigma) of Euclidean distances (scikit-learn's has city-block ones).

    ``bandwidth`` and ``fraction`` as for :class:`RBF`.

    See Also
    --------
    RBF
    cka, hsic, mmd : take it as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 2))
    >>> linear, laplacian = ka.cka(x, np.abs(x)), ka.cka(x, np.abs(x), kernel=ka.Laplacian(0.5))
    >>> abs(linear) < 0.05, round(laplacian, 1)
    (True, 0.5)
    """

    bandwidth: Bandwidth = "median"
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_bandwidth(self)

    def __str__(self) -> str:
        return "laplacian"


@dataclass(frozen=True)
class Precomputed:
    """The arguments are n x n Gram matrices themselves, symmetric, in memory or memory-mapped.

    See Also
    --------
    Linear, RBF : kernels of rows
    cka, hsic, kernel_alignment : take it as ``kernel=``

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 50, 3))
    >>> round(ka.cka(x @ x.T, y @ y.T, kernel=ka.Precomputed()) - ka.cka(x, y), 9) == 0
    True
    """

    def __str__(self) -> str:
        return "precomputed"


@dataclass(frozen=True)
class Delta:
    """k(a, b) = 1 where a = b, else 0: the argument is a 1-D sequence of class labels of any kind, one per row.

    Mostly the second of a pair of kernels. No preprocessing changes labels; floats are refused.

    See Also
    --------
    Linear, RBF
    cka, hsic, kernel_alignment, compare, permutation_test : take it as ``kernel=``
    kernel_target_alignment : the biased one of a linear kernel, of targets that may be numbers

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.choice(["cat", "dog", "owl"], size=100)
    >>> x = rng.standard_normal((100, 5)) + 2 * (labels == "owl")[:, None]
    >>> score = ka.cka(x, labels, kernel=(ka.Linear(), ka.Delta()))
    >>> score > 0.4, score.p_value < 1e-9
    (True, True)
    """

    def __str__(self) -> str:
        return "delta"


@dataclass(frozen=True)
class Distance:
    """|a - b|, or its square: no kernel, but what distance statistics are made of in the same way.

    ``levelled``: the caller wants double- or U-centred sums alone, which do not see the levels of rows.
    """

    squared: bool = False
    levelled: bool = False

    def __str__(self) -> str:
        return "squared Euclidean distance" if self.squared else "Euclidean distance"


Kernel: TypeAlias = Linear | Cosine | Polynomial | RBF | Laplacian | Precomputed
SideKernel: TypeAlias = Kernel | Delta
Kernels: TypeAlias = SideKernel | tuple[SideKernel, SideKernel]

KERNELS = (Linear, Cosine, Polynomial, RBF, Laplacian, Precomputed)


def check_kernel(kernel: Any) -> Kernel:
    """Return ``kernel`` if it is one; raise TypeError otherwise."""
    if isinstance(kernel, KERNELS):
        return kernel
    names = ", ".join(f"{known.__name__}()" for known in KERNELS)
    raise TypeError(f"kernel must be one of {names}, got {shown(kernel)}")


def kernels_of(kernel: Any) -> tuple[SideKernel, SideKernel]:
    """The kernels of x and y, from one for both or a pair; raise TypeError unless these are kernels."""
    if isinstance(kernel, KERNELS):
        return kernel, kernel
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    if len(sides) != 2:
        raise ValueError(f"kernel must be one kernel or a pair (kernel of x, kernel of y), got {len(sides)} of them")
    for one in sides:
        if not isinstance(one, (*KERNELS, Delta)):
            names = ", ".join(f"{known.__name__}()" for known in (*KERNELS, Delta))
            raise TypeError(f"kernel must be one of {names}, or a pair of these, got {shown(one)}")
    return sides[0], sides[1]


def check_given(kernel: SideKernel, others: Sequence[str]) -> None:
    """Raise if what this kernel takes in the place of rows is given to ``others``, metrics that need rows."""
    if others and isinstance(kernel, (Precomputed, Delta)):
        what = "Gram matrices" if isinstance(kernel, Precomputed) else "class labels"
        raise ValueError(f"{others[0]} needs rows, but kernel={type(kernel).__name__}() takes {what}")


def made_of_columns(kernel: SideKernel, columns: int) -> bool:
    """Whether the kernel is the product of rows with so many columns; labels of many classes have one column."""
    return isinstance(kernel, Linear) or (isinstance(kernel, Delta) and columns > 1)


def _check_bandwidth(kernel: RBF | Laplacian) -> None:
    if isinstance(kernel.bandwidth, str):
        if kernel.bandwidth not in ("median", "median_offdiag"):
            raise ValueError(f"bandwidth must be a number, 'median' or 'median_offdiag', got {shown(kernel.bandwidth)}")
    else:
        number(kernel.bandwidth, "bandwidth", "positive and finite")
    number(kernel.fraction, "fraction", "positive and finite")
