"""Peers of the guarded cases, and the limits that the machine sets: the flops at the rate of NumPy's own products.

A limit counts multiplications only, once for what is symmetric; "limit / ours" is the share of that rate which is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.peers import SCALES, Array, Contestant, contestant, narrowed


def limit(name: str, scale: Callable[[Array, Array], float], product: Callable[[Array, Array], Any]) -> None:
    """Register a product that is timed, and by how much the work has more flops."""

    def factory() -> Contestant:
        return lambda x, y, k: product(x, y)

    contestant(name)(factory)
    SCALES[name] = scale


def _in_features(x: Array, y: Array) -> bool:
    return len(x) > x.shape[1] + y.shape[1]


limit(  # two triangles and, of features, a rectangle
    "limit-cka",
    lambda x, y: 2.0 if _in_features(x, y) else 1.0,
    lambda x, y: x.T @ y if _in_features(x, y) else x @ y.T,
)
limit(  # a triangle for each layer, and half of the product of all triangles
    "limit-models-cka",
    lambda x, y: x.shape[1] / 2 + x.shape[1] ** 2 / (4 * x.shape[2]),
    lambda x, y: x[:, 0] @ x[:, 1].T,
)


@contestant("limit-models-seven")
def limit_models_seven() -> Contestant:
    """What LAPACK and the BLAS take of four of seven metrics, the left directions of every model given: one product
    and three decompositions of a pair, no more of which are made where a correlation is 1 by count."""

    def run(x: Array, y: Array, k: int) -> float:
        sides, total, pairs = [], 0.0, 0
        for rows in narrowed(x):
            rows = rows.astype(np.float64)
            rows -= rows.mean(axis=0)
            rank = min(len(rows) - 1, rows.shape[1])
            squares, left = np.linalg.eigh(rows @ rows.T)
            squares, left = squares[: -rank - 1 : -1], left[:, : -rank - 1 : -1]
            kept = 1 + int((np.cumsum(squares) < 0.99 * squares.sum()).sum())
            sides.append((np.ascontiguousarray(left), np.sqrt(squares), kept))
        for at, (v, t, few) in enumerate(sides):
            for u, s, kept in sides[:at]:
                overlap = u.T @ v
                shared = s[:, None] * overlap * t
                total += float(_roots(np.linalg.eigvalsh(_smaller(shared))).sum()) / float(_norms(s, t))
                _roots(np.linalg.eigvalsh(_smaller(overlap[:kept, :few])))
                if max(overlap.shape) < len(u) - 1:
                    np.linalg.eigh(_smaller(overlap))
                pairs += 1
        return total / pairs

    return run


def _smaller(matrix: Array) -> Array:
    """The smaller of both Gram matrices."""
    return matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix


def _roots(values: Array) -> Array:
    return np.sqrt(np.maximum(values, 0))


def _norms(s: Array, t: Array) -> float:
    return float(np.linalg.norm(s) * np.linalg.norm(t))


@contestant("numpy-stacked")
def numpy_stacked() -> Contestant:
    """Unbiased CKA of all layers: U-centred Gram matrices of norm 1 are the rows of one matrix, times itself."""

    def run(x: Array, y: Array, k: int) -> Array:
        n, count, _ = x.shape
        stack = np.empty((count, n * n), np.float32)
        for row, layer in zip(stack, np.moveaxis(x, 1, 0), strict=True):
            layer = layer - layer.mean(axis=0)
            gram = row.reshape(n, n)
            np.matmul(layer, layer.T, out=gram)
            np.fill_diagonal(gram, 0)
            sums = gram.sum(axis=1)
            gram -= (sums / (n - 2))[:, None]
            gram -= sums / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
            np.fill_diagonal(gram, 0)
            row /= np.linalg.norm(row)
        models = count // y.shape[1]
        scores = (stack @ stack.T).reshape(models, y.shape[1], models, y.shape[1])
        return np.stack([scores[a, :, b] for a in range(models) for b in range(a + 1, models)])

    return run


def _map(rows: Array) -> Array:
    """A symmetric matrix of model pairs, from a square array."""
    made = rows + rows.T
    np.fill_diagonal(made, 0)
    return made.astype(np.float64)


def _add_mantel(correlation: str) -> None:
    @contestant(f"mantel-{correlation}")
    def ours() -> Contestant:
        import kernalign as ka

        return lambda x, y, k: ka.mantel_test(_map(x), _map(y), correlation=correlation, permutations=999).value

    @contestant(f"scikit-bio-{correlation}")
    def theirs() -> Contestant:
        from skbio import DistanceMatrix
        from skbio.stats.distance import mantel

        def run(x: Array, y: Array, k: int) -> float:
            return float(mantel(DistanceMatrix(_map(x)), DistanceMatrix(_map(y)), method=correlation)[0])

        return run


for _correlation in ("pearson", "spearman"):
    _add_mantel(_correlation)


@contestant("rsa-kendall")
def rsa_kendall() -> Contestant:
    import kernalign as ka

    return lambda x, y, k: float(ka.rsa(x, y, comparison="kendall", threads=1))


@contestant("rsatoolbox-tau-a")
def rsatoolbox_tau_a() -> Contestant:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    def run(x: Array, y: Array, k: int) -> float:
        sides = (calc_rdm(Dataset(rows), method="correlation") for rows in (x, y))
        return float(compare(*sides, method="tau-a")[0, 0])

    return run


@contestant("soft-matching")
def soft_matching() -> Contestant:
    """With k columns of y."""
    import kernalign as ka

    return lambda x, y, k: float(ka.soft_matching(x, y[:, :k], threads=1))


@contestant("pot-emd2")
def pot_emd2() -> Contestant:
    """The cost matrix in NumPy, then POT."""
    import ot

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), (y := y[:, :k]) - y.mean(axis=0)
        cost = (x**2).sum(axis=0)[:, None] + (y**2).sum(axis=0) - 2 * x.T @ y
        weights = [np.full(side.shape[1], 1 / side.shape[1]) for side in (x, y)]
        return float(np.sqrt(ot.emd2(*weights, np.maximum(cost, 0), numItermax=10**8)))

    return run


@contestant("resi-procrustes")
def resi_procrustes() -> Contestant:
    """As ReSi does: the rotation is found too, in the rows' own precision."""
    from scipy import linalg

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        nuclear = linalg.orthogonal_procrustes(x, y)[1]
        return float(np.sqrt(np.linalg.norm(x) ** 2 + np.linalg.norm(y) ** 2 - 2 * nuclear))

    return run


@contestant("one-to-one")
def one_to_one() -> Contestant:
    import kernalign as ka

    return lambda x, y, k: float(ka.one_to_one(x, y, threads=1))


@contestant("resi-one-to-one")
def resi_one_to_one() -> Contestant:
    """As ReSi does: cosine distances of centred columns by scikit-learn, in the rows' own precision."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import pairwise_distances

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        correlation = 1 - pairwise_distances(x.T, y.T, metric="cosine")
        return float(correlation[linear_sum_assignment(correlation, maximize=True)].mean())

    return run


@contestant("cca-wide")
def cca_wide() -> Contestant:
    import kernalign as ka

    return lambda x, y, k: float(ka.svcca(x, y, rank=k, threads=1))


@contestant("numpy-gram-svcca")
def numpy_gram_svcca() -> Contestant:
    """Gram matrices of float64 copies and their eigenvectors."""

    def leading(rows: Array, k: int) -> Array:
        rows = rows.astype(np.float64)
        rows -= rows.mean(axis=0)
        return np.linalg.eigh(rows @ rows.T)[1][:, -k:]

    return lambda x, y, k: float(np.linalg.svd(leading(x, k).T @ leading(y, k), compute_uv=False).mean())
