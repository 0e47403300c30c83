"""Everybody who can do the work: kernalign, and other programs written or called the way their users do.

A contestant is a function of (x, y, k). Its library is imported when it is asked for; ImportError means it is absent.
All peers work in float32, as their users do; neighbour searches use cosine similarity and leave the row itself out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Contestant: TypeAlias = Callable[[Array, Array, int], Any]
Factory: TypeAlias = Callable[[], Contestant]

FACTORIES: dict[str, Factory] = {}


def contestant(name: str) -> Callable[[Factory], Factory]:
    """Register a factory under a name."""

    def register(factory: Factory) -> Factory:
        FACTORIES[name] = factory
        return factory

    return register


# kernalign ------------------------------------------------------------------------------------------------------------


def _ours(threads: int) -> None:
    def add(name: str, call: Callable[[Any, Array, Array, int], Any]) -> None:
        def factory() -> Contestant:
            import kernalign

            return lambda x, y, k: call(kernalign, x, y, k)

        FACTORIES[name if threads == 1 else f"{name}-{threads}-threads"] = factory

    add("cka", lambda ka, x, y, k: float(ka.cka(x, y, threads=threads)))
    add("cka-rbf", lambda ka, x, y, k: float(ka.cka(x, y, kernel=ka.RBF(rbf_sigma(x)), threads=threads)))
    add("knn", lambda ka, x, y, k: ka.knn(x, k, threads=threads).indices)
    add("mutual-knn", lambda ka, x, y, k: float(ka.mutual_knn(x, y, k, threads=threads)))


_ours(1)
_ours(2)


def rbf_sigma(x: Array) -> float:
    """One bandwidth for every contestant, for no clock should count a median."""
    return float(np.sqrt(x.shape[1]))


# Linear CKA -----------------------------------------------------------------------------------------------------------


def _unbiased(full: float, dx: Array, dy: Array, rx: Array, ry: Array) -> float:
    """n(n-3) times unbiased HSIC, from <K, L>, the diagonals and the row sums without the diagonal."""
    n = len(dx)
    off = full - float(dx @ dy)
    return off + float(rx.sum()) * float(ry.sum()) / ((n - 1) * (n - 2)) - 2 * float(rx @ ry) / (n - 2)


@contestant("numpy-feature-unbiased")
def numpy_feature_unbiased() -> Contestant:
    """Unbiased linear CKA from p x q products of centred columns: the best that a few lines of NumPy can do."""

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        dx, dy = (np.einsum("ij,ij->i", a, a, dtype=np.float64) for a in (x, y))
        rx, ry = -dx, -dy  # the columns sum to zero
        products = [(x.T @ y, dx, dy, rx, ry), (x.T @ x, dx, dx, rx, rx), (y.T @ y, dy, dy, ry, ry)]
        xy, xx, yy = (_unbiased(float(np.vdot(m, m)), *rest) for m, *rest in products)
        return float(xy / np.sqrt(xx * yy))

    return run


@contestant("numpy-feature-identity")
def numpy_feature_identity() -> Contestant:
    """Unbiased linear CKA by the feature-space identity as it is written in papers, without centring first."""

    def hsic(x: Array, y: Array) -> float:
        dx, dy = (x * x).sum(axis=1), (y * y).sum(axis=1)
        rx, ry = x @ x.sum(axis=0) - dx, y @ y.sum(axis=0) - dy
        return _unbiased(float(((x.T @ y) ** 2).sum()), dx, dy, rx, ry)

    return lambda x, y, k: float(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)))


@contestant("numpy-feature-biased")
def numpy_feature_biased() -> Contestant:
    """Biased linear CKA from p x q products."""

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        xy, xx, yy = (float(np.vdot(m, m)) for m in (x.T @ y, x.T @ x, y.T @ y))
        return float(xy / np.sqrt(xx * yy))

    return run


def _unbiased_cka_of_grams(grams: tuple[Array, Array]) -> float:
    diagonals = [gram.diagonal().astype(np.float64) for gram in grams]
    sums = [gram.sum(axis=1, dtype=np.float64) - d for gram, d in zip(grams, diagonals, strict=True)]

    def hsic(a: int, b: int) -> float:
        full = float(np.vdot(grams[a], grams[b]))
        return _unbiased(full, diagonals[a], diagonals[b], sums[a], sums[b])

    return float(hsic(0, 1) / np.sqrt(hsic(0, 0) * hsic(1, 1)))


@contestant("numpy-gram")
def numpy_gram() -> Contestant:
    """Unbiased linear CKA from two n x n Gram matrices."""

    def run(x: Array, y: Array, k: int) -> float:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        return _unbiased_cka_of_grams((x @ x.T, y @ y.T))

    return run


@contestant("numpy-rbf-blocked")
def numpy_rbf_blocked() -> Contestant:
    """Unbiased CKA with Gaussian kernels, in blocks of rows, nothing of size n x n kept."""

    def run(x: Array, y: Array, k: int) -> float:
        n = len(x)
        sides = [(a, np.einsum("ij,ij->i", a, a), 0.5 / rbf_sigma(x) ** 2) for a in (x, y)]
        full = {(0, 1): 0.0, (0, 0): 0.0, (1, 1): 0.0}
        sums = np.zeros((2, n))
        for begin in range(0, n, 1024):
            rows = slice(begin, min(n, begin + 1024))
            tiles = []
            for a, norms, gamma in sides:
                tile = a[rows] @ a.T
                tile *= 2
                tile -= norms
                tile -= norms[rows, None]
                tile *= gamma
                np.exp(tile, out=tile)
                tile[np.arange(rows.stop - begin), np.arange(begin, rows.stop)] = 0
                tiles.append(tile)
            for (a, b), so_far in full.items():
                full[a, b] = so_far + float(np.vdot(tiles[a], tiles[b]))
            for side in (0, 1):
                sums[side, rows] = tiles[side].sum(axis=1, dtype=np.float64)
        zero = np.zeros(n)
        xy, xx, yy = (_unbiased(value, zero, zero, sums[a], sums[b]) for (a, b), value in full.items())
        return float(xy / np.sqrt(xx * yy))

    return run


def _platonic_hsic(a: Array, b: Array) -> float:
    """Unbiased HSIC the way platonic-rep computes it: the whole product of the two Gram matrices."""
    m = len(a)
    a, b = a.copy(), b.copy()
    np.fill_diagonal(a, 0)
    np.fill_diagonal(b, 0)
    value = (a * b.T).sum() + a.sum() * b.sum() / ((m - 1) * (m - 2)) - 2 * (a @ b).sum() / (m - 2)
    return float(value / (m * (m - 3)))


def _platonic_cka(a: Array, b: Array) -> float:
    return _platonic_hsic(a, b) / (np.sqrt(_platonic_hsic(a, a) * _platonic_hsic(b, b)) + 1e-6)


@contestant("platonic-cka")
def platonic_cka() -> Contestant:
    """platonic-rep's algorithm for unbiased linear CKA: cubic in n."""
    return lambda x, y, k: float(_platonic_cka(x @ x.T, y @ y.T))


@contestant("platonic-rbf")
def platonic_rbf() -> Contestant:
    """platonic-rep's algorithm for unbiased CKA with Gaussian kernels: full distance matrices, cubic in n."""

    def run(x: Array, y: Array, k: int) -> float:
        grams = []
        for a in (x, y):
            norms = np.einsum("ij,ij->i", a, a)
            squared = np.maximum(norms[:, None] + norms - 2 * (a @ a.T), 0)
            grams.append(np.exp(-(np.sqrt(squared) ** 2) / (2 * rbf_sigma(x) ** 2)))
        return float(_platonic_cka(*grams))

    return run


# Ridge ----------------------------------------------------------------------------------------------------------------

RIDGE_TARGETS = 20  # columns of y that are predicted
RIDGE_ALPHAS = np.logspace(-2, 5, 50)  # penalties of a path; its answer is the error of each that it was chosen by


@contestant("ridge")
def ridge() -> Contestant:
    """Our ridge for one penalty: float64 products, guarded by a certified condition number."""
    from kernalign.stitching import RidgeStitcher

    return lambda x, y, k: RidgeStitcher(10.0).fit(x, y[:, :RIDGE_TARGETS]).coef_


@contestant("sklearn-ridge-float64")
def sklearn_ridge_double() -> Contestant:
    """The same precision; the conversion is on the clock for both."""
    from sklearn.linear_model import Ridge

    return lambda x, y, k: Ridge(10.0).fit(x.astype(np.float64), y[:, :RIDGE_TARGETS].astype(np.float64)).coef_


@contestant("sklearn-ridge")
def sklearn_ridge() -> Contestant:
    """As users call it: float32 throughout."""
    from sklearn.linear_model import Ridge

    return lambda x, y, k: Ridge(10.0).fit(x, y[:, :RIDGE_TARGETS]).coef_


@contestant("ridge-path")
def ridge_path_gcv() -> Contestant:
    """Our path: generalised cross-validation for every penalty and output."""
    from kernalign.stitching import ridge_path

    return lambda x, y, k: ridge_path(x, y[:, :RIDGE_TARGETS], RIDGE_ALPHAS).gcv.mean(axis=1)


@contestant("ridge-path-loo")
def ridge_path_loo() -> Contestant:
    """Our path with exact leave-one-out errors, which is what scikit-learn's computes."""
    from kernalign.stitching import ridge_path

    def run(x: Array, y: Array, k: int) -> Array:
        loo = ridge_path(x, y[:, :RIDGE_TARGETS], RIDGE_ALPHAS, leave_one_out=True).loo
        assert loo is not None
        return np.asarray(loo.mean(axis=1))

    return run


@contestant("sklearn-ridge-cv")
def sklearn_ridge_cv() -> Contestant:
    """RidgeCV with its efficient leave-one-out scheme."""
    from sklearn.linear_model import RidgeCV

    def run(x: Array, y: Array, k: int) -> Array:
        fitted = RidgeCV(RIDGE_ALPHAS, store_cv_results=True).fit(x, y[:, :RIDGE_TARGETS])
        return np.asarray(fitted.cv_results_.mean(axis=(0, 1)))

    return run


# Neighbours -----------------------------------------------------------------------------------------------------------


def _unit(x: Array) -> Array:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def _without_self(indices: Array, k: int) -> Array:
    """The first k of k + 1 neighbours that are not the row itself."""
    other = indices != np.arange(len(indices))[:, None]
    other[other.all(axis=1), -1] = False
    return np.asarray(indices[other].reshape(len(indices), k))


def _overlap(a: Array, b: Array) -> float:
    """Mean share of common neighbours."""
    n, k = a.shape
    member = np.zeros((n, n), dtype=bool)
    np.put_along_axis(member, a, True, axis=1)
    return float(np.take_along_axis(member, b, axis=1).sum() / (n * k))


Search: TypeAlias = Callable[[Array, int], Array]


def _faiss_search() -> Search:
    import faiss

    def search(x: Array, k: int) -> Array:
        unit = _unit(x)
        index = faiss.IndexFlatIP(x.shape[1])
        index.add(unit)
        return _without_self(index.search(unit, k + 1)[1], k)

    return search


def _torch_search() -> Search:
    import torch

    def search(x: Array, k: int) -> Array:
        unit = torch.nn.functional.normalize(torch.from_numpy(x), dim=1)
        found = []
        for begin in range(0, len(x), 2048):
            tile = unit[begin : begin + 2048] @ unit.T
            tile.diagonal(begin).fill_(-2)
            found.append(tile.topk(k, dim=1).indices)
        return torch.cat(found).numpy()

    return search


def _numpy_search() -> Search:
    def search(x: Array, k: int) -> Array:
        unit = _unit(x)
        found = []
        for begin in range(0, len(x), 1024):
            tile = unit[begin : begin + 1024] @ unit.T
            tile[np.arange(len(tile)), np.arange(begin, begin + len(tile))] = -2
            best = np.argpartition(tile, -k, axis=1)[:, -k:]
            order = np.argsort(-np.take_along_axis(tile, best, axis=1), axis=1)
            found.append(np.take_along_axis(best, order, axis=1))
        return np.concatenate(found)

    return search


def _sklearn_search() -> Search:
    from sklearn.neighbors import NearestNeighbors

    def search(x: Array, k: int) -> Array:
        return np.asarray(NearestNeighbors(n_neighbors=k, metric="cosine").fit(x).kneighbors(return_distance=False))

    return search


def _add_search(name: str, mutual: str, factory: Callable[[], Search]) -> None:
    def single() -> Contestant:
        search = factory()
        return lambda x, y, k: search(x, k)

    def pair() -> Contestant:
        search = factory()
        return lambda x, y, k: _overlap(search(x, k), search(y, k))

    FACTORIES[name], FACTORIES[mutual] = single, pair


_add_search("faiss-flat", "faiss-flat-mutual", _faiss_search)
_add_search("torch-topk", "torch-topk-mutual", _torch_search)
_add_search("numpy-argpartition", "numpy-mutual", _numpy_search)
_add_search("sklearn", "sklearn-mutual", _sklearn_search)


@contestant("platonic-mutual")
def platonic_mutual() -> Contestant:
    """platonic-rep's mutual_knn in NumPy: full Gram matrix, full sort, two n x n masks."""

    def nearest(x: Array, k: int) -> Array:
        gram = _unit(x)
        gram = gram @ gram.T
        np.fill_diagonal(gram, -1e8)
        return np.asarray((-gram).argsort(axis=1)[:, :k])

    def run(x: Array, y: Array, k: int) -> float:
        masks = []
        for side in (x, y):
            mask = np.zeros((len(side), len(side)), dtype=np.float32)
            mask[np.arange(len(side))[:, None], nearest(side, k)] = 1
            masks.append(mask)
        return float(((masks[0] * masks[1]).sum(axis=1) / k).mean())

    return run


@contestant("platonic-mutual-torch")
def platonic_mutual_torch() -> Contestant:
    """The same in PyTorch, as platonic-rep runs it."""
    import torch

    def run(x: Array, y: Array, k: int) -> float:
        masks = []
        for side in (x, y):
            unit = torch.nn.functional.normalize(torch.from_numpy(side), dim=1)
            gram = (unit @ unit.T).fill_diagonal_(-1e8)
            nearest = gram.argsort(dim=1, descending=True)[:, :k]
            mask = torch.zeros(len(side), len(side))
            mask[torch.arange(len(side)).unsqueeze(1), nearest] = 1.0
            masks.append(mask)
        return float(((masks[0] * masks[1]).sum(dim=1) / k).mean())

    return run
