"""platonic-rep's search for the best pair of layers, each layer's part computed once."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._rows.numeric import AnyArray, to_numpy
from kernalign.compat.platonic import tensors
from kernalign.compat.platonic.features import prepare_features
from kernalign.compat.platonic.graphs import check_topk
from kernalign.compat.platonic.metrics import STAGES, Stages, check_metric

_LEAST_NORM = 1e-12

Best = tuple[Any, tuple[int, int] | None]


def compute_score(
    x_feats: Any, y_feats: Any, metric: str = "mutual_knn", topk: int = 10, normalize: bool = True
) -> Best:
    """The best score over all pairs of layers, and its (layer of x, layer of y).

    Parameters
    ----------
    x_feats, y_feats : (n, layers, p) array or tensor, or a list of (n, p) ones
    metric : one of ``AlignmentMetrics.SUPPORTED_METRICS``
    topk : neighbours, where the metric has any (cknna has); cka and svcca keep their defaults
    normalize : divide every row by its Euclidean length; zero rows stay zero

    Returns
    -------
    (score, (i, j)), the first of equals in row-major order; (0, None) if no score is above 0.

    Each layer is searched, or decomposed, once. For cka and unbiased_cka the Gram matrices of all layers of a side are
    held while they take at most 256 MB; beyond that every pair is computed from the features.

    See Also
    --------
    compute_alignment : of files
    kernalign.compare : with the chance level of the best of so many

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import compute_score
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 3, 8))  # (items, layers, features)
    >>> y = rng.standard_normal((100, 2, 8))
    >>> y[:, 1] += 2 * x[:, 2]
    >>> score, layers = compute_score(x, y, metric="mutual_knn", topk=10)
    >>> layers
    (2, 1)
    """
    check_metric(metric)
    normalize = checks.check_flag(normalize, "normalize")
    stages = STAGES[metric]
    sides = {"x_feats": _split(x_feats, "x_feats"), "y_feats": _split(y_feats, "y_feats")}
    x, y = (_states(layers, stages, topk, normalize, name) for name, layers in sides.items())
    rows = {len(layer) for layers in sides.values() for layer in layers}
    if len(rows) > 1:
        raise ValueError(f"x_feats and y_feats must have the same number of rows, got {sorted(rows)}")
    score, at = _best(x, y, stages)
    if stages.answer_dtype is not None and at is not None:
        score = tensors.number(score, stages.answer_dtype, *sides["x_feats"], *sides["y_feats"])
    return score, at


def compute_alignment(
    x_feat_paths: Sequence[str | os.PathLike[str]],
    y_feat_paths: Sequence[str | os.PathLike[str]],
    metric: str,
    topk: int,
    precise: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best scores of all pairs of feature files: (X, Y) scores and (X, Y, 2) layers.

    As in platonic-rep the two sides are swapped inside: layers are (layer of y, layer of x), and an asymmetric metric
    is that of (y, x). If both lists of paths are equal, only pairs i <= j are computed unless the metric is cycle_knn,
    and [j, i] is [i, j] with its layers reversed. Layers are nan where no score is above 0.

    Parameters
    ----------
    x_feat_paths, y_feat_paths : files of ``torch.save({"feats": ...})``; loaded with ``weights_only=True``
    metric, topk : as for `compute_score`
    precise : whether outliers are clamped at the exact quantile

    See Also
    --------
    compute_score : of arrays
    kernalign.compare : of files too, with the chance level of the best of so many

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> from kernalign.compat.platonic import compute_alignment
    >>> feats = torch.randn(50, 3, 8, generator=torch.Generator().manual_seed(0))  # (items, layers, features)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder) / "one.pt", Path(folder) / "two.pt"]
    ...     torch.save({"feats": feats}, paths[0])
    ...     torch.save({"feats": -feats.flip(1)}, paths[1])
    ...     scores, layers = compute_alignment(paths, paths, "mutual_knn", topk=5)
    >>> scores.round(6).tolist(), layers[0, 1].tolist()
    ([[1.0, 1.0], [1.0, 1.0]], [0.0, 2.0])
    """
    check_metric(metric)
    precise = checks.check_flag(precise, "precise")
    check_topk(topk)
    stages = STAGES[metric]

    @functools.lru_cache(maxsize=2 if stages.heavy else None)
    def states(path: str) -> list[Any]:
        return _states(_split(prepare_features(_load(path), exact=precise), path), stages, topk, True, path)

    xs, ys = _paths(x_feat_paths, "x_feat_paths"), _paths(y_feat_paths, "y_feat_paths")
    mirrored = xs == ys and metric != "cycle_knn"
    scores, layers = np.zeros((len(xs), len(ys))), np.full((len(xs), len(ys), 2), np.nan)
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            if mirrored and j < i:
                scores[i, j], layers[i, j] = scores[j, i], layers[j, i, ::-1]
                continue
            scores[i, j], at = _best(states(y), states(x), stages)
            if at is not None:
                layers[i, j] = at
    return scores, layers


def _paths(given: Any, name: str) -> list[str]:
    return [str(checks.check_path(path, name)) for path in checks.items(given, name, "paths")]


def _best(x: list[Any], y: list[Any], stages: Stages) -> Best:
    best: Any = 0
    at = None
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            score = stages.finish(a, b)
            if score > best:
                best, at = score, (i, j)
    return best, at


def _states(layers: list[Any], stages: Stages, topk: int, normalize: bool, name: str) -> list[Any]:
    states = []
    for given in layers:
        layer = tensors.to_array(given, name)
        if layer.ndim != 2:
            raise ValueError(f"{name} must be layers that are 2-D (items, features), got shape {layer.shape}")
        states.append(stages.state(_unit_rows(layer) if normalize else layer, topk, len(layers)))
    return states


def _split(feats: Any, name: str) -> list[Any]:
    """The layers of a representation."""
    if isinstance(feats, (list, tuple)):
        return list(feats)
    if not hasattr(feats, "ndim"):
        feats = to_numpy(feats, name)[0]
    if feats.ndim != 3:
        raise ValueError(
            f"{name} must be (items, layers, features) or a list of (items, features), got shape {tuple(feats.shape)}"
        )
    return [feats[:, layer] for layer in range(feats.shape[1])]


def _unit_rows(layer: AnyArray) -> AnyArray:
    """Rows divided by their lengths; float32 and float64 keep their type."""
    wide = layer.astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    wide /= np.maximum(length, _LEAST_NORM)[:, None]
    return wide.astype(np.float32) if layer.dtype in (np.float16, np.float32) else wide


def _load(path: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{path} is a PyTorch file: pip install 'kernalign[torch]'") from error
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict) or "feats" not in loaded:
        raise ValueError(f"{path} must hold a dict with the key 'feats', got {type(loaded).__name__}")
    return loaded["feats"]
