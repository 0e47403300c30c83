"""Everybody who can do the work: kernalign, and other programs written or called the way their users do.

A contestant is a function of (x, y, k). Its library is imported when it is asked for; ImportError means it is absent.
All peers work in float32, as their users do, unless their name says double; neighbour searches use cosine similarity
and leave the row itself out.
"""

from __future__ import annotations

import warnings
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
    add("cka-rbf-median", lambda ka, x, y, k: float(ka.cka(x, y, kernel=ka.RBF(), threads=threads)))
    add("knn", lambda ka, x, y, k: ka.knn(x, k, threads=threads).indices)
    add("procrustes", lambda ka, x, y, k: float(ka.procrustes(x, y, threads=threads)))
    add("svcca", lambda ka, x, y, k: float(ka.svcca(x, y, threads=threads)))
    add("layers-knn", lambda ka, x, y, k: _all_layers(ka, x, y, "mutual_knn", k, threads))
    add("layers-cka", lambda ka, x, y, k: _all_layers(ka, x, y, "cka", k, threads))
    add("models-cka", lambda ka, x, y, k: _cka_of_models(ka, x, y, threads))
    add("models", lambda ka, x, y, k: _all_models(ka, x, k, threads))
    add("models-seven", lambda ka, x, y, k: _seven_metrics(ka, x, threads))
    add("mutual-knn", lambda ka, x, y, k: float(ka.mutual_knn(x, y, k, threads=threads)))


def _all_layers(ka: Any, x: Array, y: Array, metric: str, k: int, threads: int) -> Array:
    """Scores of all pairs of layers, without p-values, which no peer has."""
    found = ka.compare({"x": x}, {"y": y}, metrics=(metric,), k=k, p_values=False, threads=threads)
    return np.asarray(found.scores[metric]["x", "y"])


def _cka_of_models(ka: Any, x: Array, y: Array, threads: int) -> Array:
    """CKA of all pairs of layers of each pair of models, which have as many layers as y has."""
    each = y.shape[1]
    models = {str(at): [x[:, at + layer] for layer in range(each)] for at in range(0, x.shape[1], each)}
    found = ka.compare(models, metrics=("cka",), p_values=False, threads=threads)
    return np.stack(list(found.scores["cka"].values()))


def _all_models(ka: Any, x: Array, k: int, threads: int) -> float:
    """All pairs of the models under four metrics, with p-values; the mean of all scores."""
    models = {f"model {at}": x[:, at] for at in range(x.shape[1])}
    metrics = ("cka", "mutual_knn", "cknna", "lcs_knn")
    found = ka.compare(models, metrics=metrics, k=k, threads=threads)
    assert np.isfinite([p for metric in metrics[:2] for p in found.p_values[metric].values()]).all()
    return float(np.mean([score for metric in metrics for score in found.scores[metric].values()]))


def narrowed(x: Array) -> list[Array]:
    """Models whose widths are the whole, 5/6, 2/3 and half of it, in turn."""
    models, d = x.shape[1:]
    return [np.ascontiguousarray(x[:, at, : d - (at % 4) * d // 6]) for at in range(models)]


def _seven_metrics(ka: Any, x: Array, threads: int) -> float:
    """All pairs of models of several widths under seven metrics; the mean of NBS."""
    models = {f"model {at}": rows for at, rows in enumerate(narrowed(x))}
    metrics = ("cka", "mutual_knn", "rsa", "nbs", "svcca", "pwcca", "linear_predictivity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ka.compare(models, metrics=metrics, threads=threads)
    return float(np.mean(list(found.scores["nbs"].values())))


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
    return lambda x, y, k: _rbf_blocked(x, y, (rbf_sigma(x), rbf_sigma(x)))


@contestant("numpy-rbf-median")
def numpy_rbf_median() -> Contestant:
    """The same after exact medians of all distances, for which one matrix of them is held at a time."""

    def median(x: Array) -> float:
        norms = np.einsum("ij,ij->i", x, x)
        squared = x @ x.T
        squared *= -2
        squared += norms
        squared += norms[:, None]
        np.fill_diagonal(squared, 0)
        flat = squared.reshape(-1)
        flat.partition((len(flat) - 1) // 2)
        return float(np.sqrt(max(0.0, float(flat[(len(flat) - 1) // 2]))))

    return lambda x, y, k: _rbf_blocked(x, y, (median(x), median(y)))


def _rbf_blocked(x: Array, y: Array, sigmas: tuple[float, float]) -> float:
    n = len(x)
    sides = [(a, np.einsum("ij,ij->i", a, a), 0.5 / sigma**2) for a, sigma in zip((x, y), sigmas, strict=True)]
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


@contestant("platonic-cka-torch")
def platonic_cka_torch() -> Contestant:
    """The same in PyTorch, as platonic-rep runs it."""
    import torch

    def hsic(k: Any, m: Any) -> Any:
        k, m, n = k.clone().fill_diagonal_(0), m.clone().fill_diagonal_(0), len(k)
        outer = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
        return ((k * m.T).sum() + outer) / (n * (n - 3))

    def run(x: Array, y: Array, k: int) -> float:
        a, b = (side @ side.T for side in map(torch.from_numpy, (x, y)))
        return float(hsic(a, b) / (torch.sqrt(hsic(a, a) * hsic(b, b)) + 1e-6))

    return run


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


# Shapes and subspaces -------------------------------------------------------------------------------------------------


def _add_procrustes(name: str, dtype: type) -> None:
    """The nuclear norm of the p x q product, from SciPy's singular values without vectors."""

    def factory() -> Contestant:
        from scipy import linalg

        def run(x: Array, y: Array, k: int) -> float:
            x, y = (np.asarray(a - a.mean(axis=0), dtype=dtype) for a in (x, y))
            nuclear = linalg.svdvals(x.T @ y, check_finite=False).sum(dtype=np.float64)
            norms = (np.einsum("ij,ij->", a, a, dtype=np.float64) for a in (x, y))
            return float(np.sqrt(sum(norms) - 2 * nuclear))

        return run

    FACTORIES[name] = factory


def _kept(s: Array) -> int:
    """How many squared singular values hold 99 % of their sum."""
    return int(np.searchsorted(np.cumsum(s, dtype=np.float64), 0.99 * s.sum(dtype=np.float64))) + 1


@contestant("scipy-svcca-svd")
def scipy_svcca_svd() -> Contestant:
    """SVCCA the way it is defined: an SVD of each side."""
    from scipy import linalg

    def run(x: Array, y: Array, k: int) -> float:
        bases = []
        for a in (x, y):
            u, s, _ = linalg.svd(a - a.mean(axis=0), full_matrices=False, check_finite=False)
            bases.append(u[:, : _kept(s**2)])
        return float(linalg.svdvals(bases[0].T @ bases[1], check_finite=False).mean())

    return run


def _add_svcca(name: str, dtype: type) -> None:
    """SVCCA from eigenvectors of covariances, which squares the condition number: the fastest that SciPy can do."""

    def factory() -> Contestant:
        from scipy import linalg

        def run(x: Array, y: Array, k: int) -> float:
            x, y = (np.asarray(a - a.mean(axis=0), dtype=dtype) for a in (x, y))
            bases = []
            for a in (x, y):
                values, vectors = linalg.eigh(a.T @ a, driver="evd", check_finite=False)
                rank = _kept(values[::-1])
                bases.append(vectors[:, ::-1][:, :rank] / np.sqrt(values[::-1][:rank]))
            return float(linalg.svdvals(bases[0].T @ (x.T @ y) @ bases[1], check_finite=False).mean())

        return run

    FACTORIES[name] = factory


for _suffix, _dtype in (("", np.float32), ("-double", np.float64)):
    _add_procrustes(f"scipy-procrustes{_suffix}", _dtype)
    _add_svcca(f"scipy-svcca-eigh{_suffix}", _dtype)


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


# Layers ---------------------------------------------------------------------------------------------------------------

PAIRS_TIMED = 4  # of layers, by peers that do everything again for each pair
SCALES: dict[str, Callable[[Array, Array], float]] = {}  # by what the time of one who left out work is multiplied


def _pair_loop(name: str, pair: Factory) -> None:
    """A peer that computes every pair from the features: a few pairs are timed, and the time scaled up."""

    def factory() -> Contestant:
        score = pair()

        def run(x: Array, y: Array, k: int) -> Array:
            scores = np.full((x.shape[1], y.shape[1]), np.nan)
            for at in range(PAIRS_TIMED):
                i, j = at % x.shape[1], at % y.shape[1]
                scores[i, j] = score(np.ascontiguousarray(x[:, i]), np.ascontiguousarray(y[:, j]), k)
            return scores

        return run

    FACTORIES[name] = factory
    SCALES[name] = lambda x, y: x.shape[1] * y.shape[1] / PAIRS_TIMED


_pair_loop("platonic-layers", platonic_mutual)
_pair_loop("platonic-layers-torch", platonic_mutual_torch)
_pair_loop("platonic-layers-cka", platonic_cka)
_pair_loop("platonic-layers-cka-torch", platonic_cka_torch)


def _layers_with_lists_cached(keep_masks: bool) -> Contestant:
    def mask(lists: Array) -> Array:
        full = np.zeros((len(lists), len(lists)), dtype=np.float32)
        full[np.arange(len(lists))[:, None], lists] = 1
        return full

    def lists(x: Array, k: int) -> Array:
        gram = _unit(x)
        gram = gram @ gram.T
        np.fill_diagonal(gram, -1e8)
        return np.asarray((-gram).argsort(axis=1)[:, :k])

    def run(x: Array, y: Array, k: int) -> Array:
        a, b = ([lists(side[:, layer], k) for layer in range(side.shape[1])] for side in (x, y))
        if keep_masks:
            a, b = ([mask(one) for one in side] for side in (a, b))
            return np.array([[((one * other).sum(axis=1) / k).mean() for other in b] for one in a])
        return np.array([[((mask(one) * mask(other)).sum(axis=1) / k).mean() for other in b] for one in a])

    return run


@contestant("platonic-layers-cached")
def platonic_layers_cached() -> Contestant:
    """platonic-rep's mutual_knn of all pairs of layers, the neighbours of every layer found once."""
    return _layers_with_lists_cached(keep_masks=False)


@contestant("numpy-layers")
def numpy_layers() -> Contestant:
    """The same with the n x n masks of all layers kept: 4 n^2 bytes for each."""
    return _layers_with_lists_cached(keep_masks=True)
