"""Kernels: small frozen descriptions of the similarity between two rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kernalign._base.checks import integer, number, shown

Bandwidth: TypeAlias = float | Literal["median", "median_offdiag"]


@dataclass(frozen=True)
class Linear:
    """k(a, b) = a . b"""

    def __str__(self) -> str:
        return "linear"


@dataclass(frozen=True)
class Cosine:
    """k(a, b) = a . b / (|a| |b|); a row of zeros is an error, see ``zero_rows``."""

    def __str__(self) -> str:
        return "cosine"


@dataclass(frozen=True)
class Polynomial:
    """k(a, b) = (a . b + offset)^degree; degree is a positive integer."""

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
    """

    bandwidth: Bandwidth = "median"
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_bandwidth(self)

    def __str__(self) -> str:
        return "laplacian"


@dataclass(frozen=True)
class Precomputed:
    """The arguments are n x n Gram matrices themselves, symmetric, in memory or memory-mapped."""

    def __str__(self) -> str:
        return "precomputed"


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

KERNELS = (Linear, Cosine, Polynomial, RBF, Laplacian, Precomputed)


def check_kernel(kernel: Any) -> Kernel:
    """Return ``kernel`` if it is one; raise TypeError otherwise."""
    if isinstance(kernel, KERNELS):
        return kernel
    names = ", ".join(f"{known.__name__}()" for known in KERNELS)
    raise TypeError(f"kernel must be one of {names}, got {shown(kernel)}")


def _check_bandwidth(kernel: RBF | Laplacian) -> None:
    if isinstance(kernel.bandwidth, str):
        if kernel.bandwidth not in ("median", "median_offdiag"):
            raise ValueError(f"bandwidth must be a number, 'median' or 'median_offdiag', got {shown(kernel.bandwidth)}")
    else:
        number(kernel.bandwidth, "bandwidth", "positive and finite")
    number(kernel.fraction, "fraction", "positive and finite")
