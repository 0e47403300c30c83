"""What a permutation test is given, as the engines that score its pairings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.kernels import Cosine, Linear, Precomputed, check_kernel
from kernalign._engines.gram_source import make_side
from kernalign._engines.neighbors import Metric, Neighbors, find
from kernalign._rows import arrays
from kernalign.inference.permuted_kernels import PermutedKernels
from kernalign.inference.permuted_scores import (
    GRAM_METRICS,
    LIST_METRICS,
    Permuted,
    PermutedCalls,
    PermutedGrams,
    PermutedGraphs,
    PermutedLists,
    tie_weights,
)
from kernalign.metrics import registry
from kernalign.metrics.kernel.cka import check_estimator
from kernalign.metrics.neighbors import cknna
from kernalign.metrics.neighbors import groups as group_overlap
from kernalign.metrics.neighbors.search import Ties
from kernalign.metrics.registry import METRICS


def metric_names(metric: Any) -> dict[str, Callable[[Any, Any], Any] | None]:
    """Every metric's name, and what to call if no faster way is known; a function of kernalign is as its name."""
    import kernalign

    given = list(metric) if not isinstance(metric, str) and isinstance(metric, Sequence) else [metric]
    names: dict[str, Callable[[Any, Any], Any] | None] = {}
    for one in given:
        name: str
        if callable(one):
            name = getattr(getattr(one, "func", one), "__name__", type(one).__name__)  # of a partial, its function's
        elif isinstance(one, str):
            name = one
        else:
            raise TypeError(f"metric must be a name, a function of (x, y) or a list of these, got {one!r}")
        if name in names:
            raise ValueError(f"metrics must have different names, got {name!r} twice")
        names[name] = one if callable(one) and getattr(kernalign, name, None) is not one else _function(name)
    if not names:
        raise ValueError("metric must name at least one metric, got an empty list")
    return names


def _function(name: str) -> Callable[[Any, Any], Any] | None:
    if name in GRAM_METRICS or name in LIST_METRICS or name == "cknna":
        return None
    if name == "mmd":
        raise ValueError("mmd does not pair rows, so no pairing of them changes it; its score has a null of its own")
    if name in METRICS and not METRICS[name].needs:
        return registry.function(name)
    raise ValueError(f"metric must be a function of kernalign that takes x and y alone, got {name!r}")


def layers_of(x: Any, name: str) -> tuple[list[Any], bool]:
    if isinstance(x, Neighbors):
        return [x], False
    if isinstance(x, (list, tuple)) and any(isinstance(v, Neighbors) or getattr(v, "ndim", 0) == 2 for v in x):
        for at, layer in enumerate(x):
            if not isinstance(layer, Neighbors):
                arrays.as_matrix(layer, f"{name}[{at}]")
        return list(x), True
    if getattr(x, "ndim", 0) == 3:
        return [x[:, layer] for layer in range(np.shape(x)[1])], True
    arrays.as_matrix(x, name)
    return [np.asarray(x) if isinstance(x, (list, tuple)) else x], False


def count_items(xs: list[Any], ys: list[Any]) -> int:
    counts = {v.n if isinstance(v, Neighbors) else len(v) for v in (*xs, *ys)}
    if len(counts) > 1:
        raise ValueError(f"x and y must have the same number of rows in every layer, got {sorted(counts)}")
    (n,) = counts
    checks.check_count(n, 2, "a permutation test")
    return int(n)


def integer(value: Any, name: str, least: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def blocks_of(groups: Any, n: int) -> NDArray[np.intp]:
    blocks = group_overlap.labels_of(groups, n)
    if np.bincount(blocks).max() == 1:
        raise ValueError("groups must hold a block of at least two items: items change places only inside their block")
    return blocks


def shuffled_within(blocks: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A random order that keeps every item in its block."""
    order = np.empty(len(blocks), dtype=np.intp)
    order[np.argsort(blocks, kind="stable")] = np.lexsort((rng.random(len(blocks)), blocks))
    return order


def engines_for(
    names: dict[str, Callable[[Any, Any], Any] | None], xs: list[Any], ys: list[Any], n: int, given: Any, options: Any
) -> list[Permuted]:
    k, estimator, kernel, similarity, ties = given
    if isinstance(check_kernel(kernel), Precomputed):
        other = [name for name in names if name not in GRAM_METRICS]
        if other or any(options.get(name) is not None for name in ("normalize", "clip_quantile")):
            what = f"{other[0]} needs" if other else "normalize and clip_quantile need"
            raise ValueError(f"{what} rows, but kernel=Precomputed() takes Gram matrices")
    engines: list[Permuted] = []
    prepared = {name: options[name] for name in ("normalize", "clip_quantile") if name in options}
    lists = [name for name in names if name in LIST_METRICS and names[name] is None]
    if len(lists) < len(names) and any(isinstance(v, Neighbors) for v in (*xs, *ys)):
        raise TypeError("Neighbors are for metrics of neighbour lists; other metrics need arrays")
    for group in (("cka", "hsic"), ("kernel_alignment",)):
        wanted = [name for name in names if name in group and names[name] is None]
        for name in wanted:
            check_estimator(estimator, n, name)
        if wanted:
            divided = isinstance(kernel, Cosine)
            x, y = (
                [arrays.rows(v, s, divided=divided, **prepared) for v in side] for side, s in ((xs, "x"), (ys, "y"))
            )
            if isinstance(kernel, (Linear, Cosine)):
                engines.append(PermutedGrams(wanted, x, y, estimator))
            else:
                threads = checks.check_threads(options.get("threads"))
                a, b = ([make_side([rows], kernel, threads) for rows in side] for side in (x, y))
                engines.append(PermutedKernels(wanted, a, b, estimator))
    if lists:
        engines.append(_lists(lists, xs, ys, n, k, similarity, ties, prepared, options))
    if "cknna" in names and names["cknna"] is None:
        size, threads = checks.check_k(k, n), checks.check_threads(options.get("threads"))
        graphs = [
            [cknna.u_centred_graph(arrays.rows(v, s, **prepared), size, threads) for v in side]
            for side, s in ((xs, "x"), (ys, "y"))
        ]
        engines.append(PermutedGraphs("cknna", *graphs))
    for name, function in names.items():
        if function is not None:
            engines.append(PermutedCalls(name, _called(function, name, k, options), xs, ys))
    return engines


def _called(function: Callable[[Any, Any], Any], name: str, k: int, options: Any) -> Callable[[Any, Any], Any]:
    import kernalign

    if getattr(kernalign, name, None) is not function:
        return function
    keywords = {**options, **({"k": k} if "k" in inspect.signature(function).parameters else {})}
    return lambda x, y: function(x, y, **keywords)


def _lists(
    metrics: list[str],
    xs: list[Any],
    ys: list[Any],
    n: int,
    k: int,
    similarity: Metric,
    ties: Ties,
    prepared: Any,
    options: Any,
) -> PermutedLists:
    checks.check_choice(ties, "ties", ("fractional", "index"))
    checks.check_choice(similarity, "similarity", ("cosine", "dot", "euclidean"))
    k, threads = checks.check_k(k, n), checks.check_threads(options.get("threads"))
    found: list[list[Neighbors]] = [[], []]
    sources: list[list[Any]] = [[], []]
    for side, name, layers in ((0, "x", xs), (1, "y", ys)):
        for layer in layers:
            rows = None if isinstance(layer, Neighbors) else arrays.rows(layer, name, **prepared)
            if rows is None and layer.rows is not None:
                raise ValueError(f"{name} must hold the neighbours of every row, got those of a sample")
            lists = (
                layer.first(k) if rows is None else find(rows, k, similarity, "native", threads, None, sets=False).lists
            )
            found[side].append(lists)
            sources[side].append(rows)
    x, y = ([lists.indices for lists in side] for side in found)
    shareable = all(rows is not None for side in sources for rows in side)
    weights = None
    if ties == "fractional" and shareable and any(lists.tie_rows.any() for side in found for lists in side):
        weights = tuple(
            [tie_weights(rows, lists, threads) for rows, lists in zip(*pair, strict=True)]
            for pair in zip(sources, found, strict=True)
        )
    return PermutedLists(metrics, x, y, weights)  # type: ignore[arg-type]
