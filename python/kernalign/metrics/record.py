"""The record of a metric: what it is, how it is called, and the states that it is finished from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kernalign._base.cached import cached_property
from kernalign._base.kernels import Cosine, Distance
from kernalign._base.score import Score
from kernalign._rows.items import Undirected


@dataclass(frozen=True)
class OfGrams:
    """Finished from the sums over both Gram matrices.

    Attributes
    ----------
    finish : (KernelSums, estimator) -> Score
    check : (estimator, n): raises unless the estimator exists for n items
    centred : whether the Gram matrices are centred
    estimator : the default
    distance : what stands in place of the kernel, where the metric leaves no choice
    cosine : whether the product of the Gram matrices is divided by their norms
    search_null : whether the null of the best of many layers is known (of the unbiased estimator)
    """

    finish: Callable[[Any, Any], Score]
    check: Callable[[Any, int], None]
    centred: bool = True
    estimator: str = "unbiased"
    distance: Distance | None = None
    cosine: bool = True
    search_null: bool = False


@dataclass(frozen=True)
class OfLists:
    """Finished from the neighbour lists of both sides.

    Attributes
    ----------
    finish : Search -> Score
    of_shared : (shared weight of every item, k) -> value of every item, for metrics that see nothing else
    of_lists : (indices of x, indices of y, threads) -> value of every item, for the others
    ordered : whether the order of a list matters
    search_null : whether the null of the best of many layers is known
    """

    finish: Callable[[Any], Score]
    of_shared: Callable[[Any, int], Any] | None = None
    of_lists: Callable[[Any, Any, int], Any] | None = None
    ordered: bool = False
    search_null: bool = False

    @property
    def of_items(self) -> bool:
        """Whether it sees the lists alone; else also the rows that they were found in."""
        return self.of_shared is not None or self.of_lists is not None


@dataclass(frozen=True)
class OfEdges:
    """Finished from two neighbour graphs with the kernel along their edges.

    Attributes
    ----------
    finish : (Edges, Edges, variant, settings, threads) -> Score
    check : (n, k, variant) -> k; raises unless the variant exists for k neighbours of n items
    graph : (rows, k, threads, labels of groups or None) -> sparse matrix of norm 1, and the share of rows that tie; the
        score of the default variant is the product of two matrices
    """

    finish: Callable[..., Score]
    check: Callable[[int, Any, Any], int]
    graph: Callable[..., Any]


@dataclass(frozen=True)
class OfDissimilarities:
    """Finished from the dissimilarities of both sides, or their ranks.

    Attributes
    ----------
    check : (n, distance, comparison) -> both; raises unless they exist for n items
    read_as : (distance) -> how rows are prepared
    of_pair : (pair, distance, comparison, report, uncertain=True) -> Score and the influence of every item, or None
    jackknifed : (keyword arguments) -> whether the influence of items is known
    triangles : (rows of every layer, distance, comparison, threads) -> (layers, pairs) whose products are scores; None
        where these are no products
    """

    check: Callable[..., tuple[Any, Any]]
    read_as: Callable[[Any], Any]
    of_pair: Callable[..., tuple[Score, Any]]
    jackknifed: Callable[[Mapping[str, Any]], bool]
    triangles: Callable[..., Any]


@dataclass(frozen=True)
class OfSpans:
    """Finished from the principal directions of both sides.

    Attributes
    ----------
    finish : (Spans, own keyword arguments) -> Score
    options : names of these arguments
    """

    finish: Callable[..., Score]
    options: tuple[str, ...] = ()


_UNDIRECTED: dict[Any, Undirected] = {"cosine": "zero", "correlation": "constant"}

States: TypeAlias = OfGrams | OfLists | OfEdges | OfDissimilarities | OfSpans


@dataclass(frozen=True)
class MetricInfo:
    """What a program must know of a metric to choose it, call it and read its score.

    Attributes
    ----------
    description : one line
    range : smallest and largest value; infinite where there is no bound
    function : what `kernalign` offers under the metric's name
    symmetric : whether the score of (x, y) is that of (y, x)
    larger_is_closer : False for distances, where 0 is identity
    needs : keyword arguments without a default, which every call must give
    paired : whether rows of x and y are of the same items
    turns : whether columns of either side may be rotated (of both alike where rows are not paired) and the score stays
    scales : whether either side may be multiplied by a positive number of its own; else both by the same one
    units : the power of that number by which the score grows, where both are multiplied by the same one
    chance : in words, the mean under random pairing of the items
    cost : in words, the work and the memory beside x and y, for n items, p and q features, k neighbours, r = min(p, q)
    states : what both sides are turned into, once each, before a pair is finished; None: called pair by pair
    version : raised by hand when a release changes its values, so that stored scores are made anew

    See Also
    --------
    METRICS : one of them for every metric
    measure : calls a metric by its name

    Examples
    --------
    >>> import kernalign as ka
    >>> info = ka.METRICS["mutual_knn"]
    >>> info.range, info.symmetric, info.larger_is_closer, info.chance
    ((0.0, 1.0), True, True, 'k / (n − 1)')
    >>> [name for name, info in ka.METRICS.items() if not info.symmetric]
    ['cycle_knn', 'pwcca', 'linear_predictivity', 'predictivity']
    """

    description: str
    range: tuple[float, float]
    function: Callable[..., Any] = field(repr=False)
    symmetric: bool = True
    larger_is_closer: bool = True
    needs: tuple[str, ...] = ()
    paired: bool = True
    turns: bool = True
    scales: bool = True
    units: int = 0
    chance: str = "not known"
    cost: str = field(default="", repr=False)
    states: States | None = field(default=None, repr=False)
    version: int = field(default=1, repr=False)

    @property
    def best(self) -> float | None:
        """The score of equal representations; None where it depends on the data."""
        most = self.range[1] if self.larger_is_closer else self.range[0]
        return most if math.isfinite(most) else None

    def undirected(self, given: Mapping[str, Any]) -> tuple[Undirected, Undirected]:
        """Which rows of x and y have no direction where the metric, with these keyword arguments, needs one."""
        found: Undirected
        if isinstance(self.states, OfLists):
            found = "zero" if given.get("metric", "cosine") == "cosine" else ""
        elif isinstance(self.states, OfDissimilarities):
            found = _UNDIRECTED.get(given.get("distance", "correlation"), "")
        else:
            kernel = given.get("kernel")
            x, y = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            return "zero" if isinstance(x, Cosine) else "", "zero" if isinstance(y, Cosine) else ""
        return found, found

    def takes_dissimilarities(self, given: Mapping[str, Any]) -> bool:
        """Whether x and y, with these keyword arguments, are dissimilarities themselves."""
        return isinstance(self.states, OfDissimilarities) and given.get("distance") == "precomputed"

    def uncertainty(self, given: Mapping[str, Any]) -> str | None:
        """How the function estimates its sampling error, if it does with these keyword arguments."""
        if not self.takes("uncertainty"):
            return None
        if isinstance(self.states, OfDissimilarities) and not self.states.jackknifed(given):
            return None
        return "half-sampling" if isinstance(self.states, OfLists) else "jackknife"

    def takes(self, keyword: str) -> bool:
        """Whether the function has a keyword argument of its own (one that not all metrics share) of this name."""
        return keyword in self._parameters

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.function).parameters)
