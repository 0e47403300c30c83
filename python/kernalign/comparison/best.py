"""The best pair of layers of two representations, and what the best would be by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._engines.neighbors import Neighbors
from kernalign._statistics import best_of_layers, kernel_null, overlap_covariance
from kernalign._statistics.pairings import Pairings
from kernalign.metrics.record import MetricInfo

Array: TypeAlias = NDArray[Any]
# side ("x" or "y") -> name of the representation -> what the covariance of its layers is made of
Nulls: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Array]]]

_COVARIANCE = ("degrees", "symmetric", "antisymmetric")
_PATTERNS = ("patterns of 1 edge", "patterns of 2 edges", "patterns of 3 edges")
_LAYERS = -1  # in a shape: as many as there are layers
_SHAPES: dict[str, tuple[int, ...]] = {
    "self": (_LAYERS, _LAYERS),
    "concentration": (_LAYERS,),
    "ratio": (_LAYERS,),
    "cubes": (_LAYERS, 3),
    "by index": (),
    "k": (),
    "whole": (),
    **dict.fromkeys(_COVARIANCE, (_LAYERS, _LAYERS)),
    **{name: (_LAYERS, kinds) for name, kinds in zip(_PATTERNS, (1, 7, 87), strict=True)},
}
_NEEDED = ({"self"}, {"by index", "k", "whole", *_COVARIANCE})


class Cells(NamedTuple):
    """(L_x, L_y) arrays of one pair of representations."""

    score: Array
    chance: Array
    chance_sd: Array
    p_value: Array


class Maximum(NamedTuple):
    """The best of all pairs of layers; layers are (-1, -1) where every score is undefined."""

    score: float
    layers: tuple[int, int]
    chance: float
    chance_sd: float
    p_value: float


def best_of(record: MetricInfo, cells: Cells) -> Maximum:
    """The best score, the smallest (layer of x, layer of y) of equals; its chance level only if it is the only pair."""
    score = cells.score if record.larger_is_closer else -cells.score
    if np.isnan(score).all():
        return Maximum(math.nan, (-1, -1), math.nan, math.nan, math.nan)
    i, j = (int(at) for at in np.unravel_index(int(np.nanargmax(score)), score.shape))
    null = (float(part[i, j]) if score.size == 1 else math.nan for part in cells[1:])
    return Maximum(float(cells.score[i, j]), (i, j), *null)


def maximum(record: MetricInfo, cells: Cells, nulls: Nulls | None, pair: tuple[str, str], n: int) -> Maximum:
    """The best score with the null distribution of the best (`layer_maximum`), where that is known."""
    best = best_of(record, cells)
    if cells.score.size == 1 or best.layers[0] < 0 or nulls is None:
        return best
    x, y = nulls["x"][pair[0]], nulls["y"][pair[1]]
    if any(place not in own["layers"] for place, own in zip(best.layers, (x, y), strict=True)):
        return best
    cells = Cells(*(part[np.ix_(*(own["layers"].astype(int) for own in (x, y)))] for part in cells))
    if "self" in x:
        skew = _skews(x, y, n)
        trusted = np.zeros(cells.score.shape, dtype=bool)
        if skew is not None:
            trusted = kernel_null.pearson3_holds(n, skew, np.outer(x["concentration"], y["concentration"]))
        found = best_of_layers.cka_maximum(cells.score, x["self"], y["self"], n, skew=skew, trusted=trusted)
        found = replace(found, p_value=max(found.p_value, Pairings.of_items(n).least))
    elif (cells.chance_sd == 0).all():
        return best._replace(chance=best.score, chance_sd=0.0, p_value=1.0)
    else:
        found = _knn_maximum(cells, graphs(x, n), graphs(y, n))
        if x["by index"] or y["by index"]:  # shared order of tied rows is agreement
            found = replace(found, p_value=math.nan)
    return best._replace(chance=found.mean, chance_sd=found.sd, p_value=found.p_value)


class Searched:
    """The best of all pairs of layers of two representations, whose null is found when it is first read."""

    def __init__(
        self,
        record: MetricInfo,
        metric: str,
        cells: Cells,
        tail: Callable[[], Any],
        nulls: Mapping[str, Nulls],
        pair: Any,
        n: int,
    ) -> None:
        found = best_of(record, cells)
        self.score, self.layers = found.score, found.layers
        self._null: Callable[[], Maximum] | None = lambda: maximum(
            record,
            cells._replace(p_value=tail().p_value) if cells.score.size == 1 else cells,
            nulls.get(metric),
            pair,
            n,
        )

    @cached_property
    def calibrated(self) -> Maximum:
        """The same with its chance level."""
        assert self._null is not None
        found, self._null = self._null(), None
        return found

    @property
    def chance(self) -> float:
        return self.calibrated.chance


def _knn_maximum(
    cells: Cells, x: best_of_layers.GraphCovariance, y: best_of_layers.GraphCovariance
) -> best_of_layers.LayerMaximum:
    """Pairs whose score no pairing changes, as all rows of a layer tie, are a floor: by index order they would vary."""
    fixed = cells.chance_sd == 0
    if not fixed.any():
        return best_of_layers.knn_maximum(cells.score, x, y)
    found = best_of_layers.knn_maximum(np.where(fixed, np.nan, cells.score), x, y)
    floor = float(cells.score[fixed].max())
    p_value = found.p_value if found.value > floor else 1.0
    return replace(found, null=np.maximum(found.null, floor), p_value=p_value)


def check_nulls(nulls: Any, metrics: Sequence[str], sides: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Raise ValueError unless every metric has the parts that `maximum` reads, of CKA or of graphs."""
    if not isinstance(nulls, dict) or not set(nulls) <= set(metrics):
        raise ValueError("nulls must be of the metrics")
    for metric, null in nulls.items():
        kinds = set()
        if not isinstance(null, dict) or set(null) != set(sides):
            raise ValueError(f"the null of {metric} must have both sides")
        for side, layers in sides.items():
            if not isinstance(null[side], dict) or set(null[side]) != set(layers):
                raise ValueError(f"the null of {metric} must hold every representation")
            kinds |= {_kind_of(null[side][name], len(own)) for name, own in layers.items()}
        if len(kinds - {frozenset()}) > 1:
            raise ValueError(f"the null of {metric} must be of one kind")


def _kind_of(parts: Any, count: int) -> frozenset[str]:
    """The names of the parts of one representation, whose shapes are checked."""
    if not isinstance(parts, dict) or not all(isinstance(part, np.ndarray) for part in parts.values()):
        raise ValueError("a null must be made of named arrays")
    places = parts["layers"]
    if places.ndim != 1 or not np.isin(places, np.arange(count)).all() or (np.diff(places) <= 0).any():
        raise ValueError("places of layers must be increasing")
    kind = frozenset(parts) - {"layers"}
    for name in kind:
        shape = tuple(len(places) if extent == _LAYERS else extent for extent in _SHAPES[name])
        if parts[name].shape != shape or parts[name].dtype.kind != "f":
            raise ValueError(f"{name} must be numbers of shape {shape}, got {parts[name].shape}")
    if kind and not any(needed <= kind for needed in _NEEDED):
        raise ValueError(f"parts of a null must be those of CKA or of graphs, got {', '.join(sorted(kind))}")
    return kind


def graphs(parts: Mapping[str, Array], n: int) -> best_of_layers.GraphCovariance:
    """The covariance of neighbour graphs from its parts."""
    patterns = [parts[key] for key in _PATTERNS if key in parts]
    degrees, symmetric, antisymmetric = (parts[key] for key in _COVARIANCE)
    k, whole = float(parts["k"]), bool(parts["whole"])
    return best_of_layers.GraphCovariance(n, k, degrees, symmetric, antisymmetric, patterns, whole)


def graph_parts(lists: Sequence[Neighbors], n: int, threads: int) -> dict[str, Array]:
    """What the covariance of mutual_knn over layers with these neighbour lists is made of."""
    edge_sums = [one.edge_sums for one in lists] if n >= overlap_covariance.THIRD_MOMENT else []
    made = best_of_layers.graph_covariance([one.indices for one in lists], n, edge_sums=edge_sums, threads=threads)
    return {
        "k": np.array(made.k),
        "whole": np.array(float(made.whole)),
        **{key: getattr(made, key) for key in _COVARIANCE},
        **dict(zip(_PATTERNS, made.patterns, strict=False)),  # none of fewer than 6 items
    }


def method(nulls: Mapping[str, Nulls], metric: str) -> str:
    """How the chance level of the best score was found."""
    if metric in nulls:
        return "simulated from the exact covariance of layers; of single layers as for their score"
    return "that of single layers only; of a search over layers not known for this metric"


def _skews(x: Mapping[str, Array], y: Mapping[str, Array], n: int) -> Array | None:
    """(L_x, L_y) skewness of unbiased CKA: exact from cubes, else the leading term from ratios (inference)."""
    if "cubes" in x:
        return best_of_layers.cka_skews(n, x["cubes"], y["cubes"])
    if "ratio" in x:
        return np.asarray(math.sqrt(8) * np.outer(x["ratio"], y["ratio"]))
    return None
