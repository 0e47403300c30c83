"""Cases of digits.py, first part: the data, every metric with every option, neighbour searches, streams and spectra."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import kernalign as ka
import numpy as np
from kernalign import demo

Case = tuple[str, Callable[[], Any]]
Sides = tuple[Any, Any]

CLIPART = "clipart_small.npz"  # digits.py copies it to the folder it works in
KERNELS = (
    *(ka.Linear(), ka.Cosine(), ka.RBF(), ka.RBF(2.5), ka.RBF("median_offdiag", 0.5), ka.Laplacian()),
    *(ka.Laplacian(3.0), ka.Polynomial(2), ka.Polynomial(3, 0.5)),
)
ESTIMATORS, SIMILARITIES = ("unbiased", "biased"), ("cosine", "dot", "euclidean")
SHARED: list[dict[str, Any]] = [
    *({"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}, {"zero_rows": "drop_pair"}),
    *({"clip_quantile": 0.8, "normalize": "l2"}, {"threads": 2}, {"normalize": "l2", "zero_rows": "drop_pair"}),
]


def related(n: int, p: int, q: int, seed: int, dtype: Any = np.float64, shift: float = 0.0) -> Sides:
    """Two noisy linear images of the same few numbers."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, max(2, min(p, q) // 2)))
    sides = (common @ rng.standard_normal((common.shape[1], m)) + rng.standard_normal((n, m)) + shift for m in (p, q))
    x, y = (side.astype(dtype) for side in sides)
    return x, y


def clipart(*names: str) -> list[Any]:
    with np.load(CLIPART) as found:
        return [found[name] for name in names]


def pairs() -> dict[str, Sides]:
    """Names and both sides, from several routes' worth of shapes, types and layouts."""
    rng = np.random.default_rng(99)
    shipped = demo.representations()
    x, y = related(40, 60, 50, 1)
    tall = related(200, 12, 9, 2, np.float32)
    zeros = related(50, 6, 5, 3)
    zeros[0][[4, 17]], zeros[1][30] = 0, 0
    constant = np.full((30, 4), 1.5), rng.standard_normal((30, 3))
    repeats = tuple(side[np.arange(60) % 41] for side in related(60, 10, 14, 4, np.float32))
    return {
        "wide": (x, y),
        "tall float32": tall,
        "tall": related(150, 7, 5, 5),
        "wide float16": related(48, 80, 30, 6, np.float16),
        "middle float32": related(300, 96, 64, 7, np.float32),
        "integers": (rng.integers(1, 4, (80, 5)).astype(np.int32), rng.integers(-3, 5, (80, 4)).astype(np.int8)),
        "fortran": (np.asfortranarray(x.astype(np.float32)), np.asfortranarray(y)),
        "strided": (np.repeat(x, 2, axis=0)[::2, ::-1], np.repeat(y, 2, axis=1)[:, ::2]),
        "repeats": (repeats[0], repeats[1]),
        "zero rows": zeros,
        "tiny": related(6, 3, 2, 8),
        "four": related(4, 2, 3, 9),
        "offset": related(90, 20, 16, 10, np.float32, shift=1000.0),
        "huge": tuple(side * 1e150 for side in related(35, 5, 6, 11)),
        "constant": constant,
        "one column": (x[:, :1], y[:, :1]),
        "clipart": tuple(clipart("dinov2s_block12_cls", "mpnet_l06")),
        "demo": (shipped["vision"], shipped["use_en"]),
    }


def attempt(call: Callable[..., Any], *given: Any, **keywords: Any) -> Any:
    """What a call returns, or its error."""
    try:
        return call(*given, **keywords)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def each(**lists: Any) -> list[dict[str, Any]]:
    """All combinations of keyword arguments."""
    return [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]


def variants(name: str, n: int) -> list[dict[str, Any]]:
    """Keyword arguments of a metric, the shared ones apart."""
    few = sorted({1, min(4, n - 1), min(10, n - 1)})
    if name in ("cka", "hsic", "kernel_alignment"):
        some = (ka.Linear(), ka.RBF(), ka.Polynomial(2))
        jackknife = each(estimator=ESTIMATORS, kernel=some, uncertainty=("jackknife",))
        return each(estimator=ESTIMATORS, kernel=KERNELS) + jackknife
    lists: dict[str, Any] = {
        "distance_alignment": each(estimator=ESTIMATORS),
        "distance_correlation": each(estimator=ESTIMATORS, uncertainty=(None, "jackknife")),
        "mmd": each(estimator=("unbiased", "biased", "linear-time", "block"), kernel=KERNELS),
        "rsa": each(
            distance=("correlation", "cosine", "euclidean", "sqeuclidean"),
            comparison=("spearman", "pearson", "cosine", "kendall"),
        ),
        "cknna": each(k=few, variant=("ucentred", "paper", "platonic")),
        "cca": each(statistic=("rho", "r2"), centred=(True, False)),
        "svcca": [{}, {"rank": 2}, {"variance": 0.9}, {"variance": 0.5}],
        "subspace_overlap": each(rank=(1, 2, 3)),
        "linear_predictivity": each(cv=(None, 2, 5)),
    }
    if name in ("mutual_knn", "jaccard_knn"):
        return [*each(k=few, metric=SIMILARITIES, ties=("fractional", "index")), {"k": few[-1], "per_item": True}]
    if name in ("cycle_knn", "lcs_knn", "edit_knn"):
        return [*each(k=few, metric=SIMILARITIES), {"k": few[-1], "per_item": True}]
    return lists.get(name, [{}])


def words(keywords: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


def same_columns(x: Any, y: Any) -> Sides:
    count = min(x.shape[1], y.shape[1])
    return x[:, :count], y[:, -count:]


def metrics(where: str, x: Any, y: Any) -> Iterator[Case]:
    """Every metric with every option on one pair."""
    for name in ka.METRICS:
        needed = {"rank": 2} if name == "subspace_overlap" else {}
        needed |= {"k": 3} if name.endswith("knn") or name == "cknna" else {}
        a, b = same_columns(x, y) if name == "mmd" else (x, y)
        keywords = [{}, *variants(name, len(x)), *(needed | shared for shared in SHARED)]
        if where == "demo":  # larger: what is slow once is enough
            keywords = [{}, needed, *keywords[1::7]]
        for given in {words(one): one for one in keywords}.values():
            yield f"{name}({words(given)}) {where}", partial(getattr(ka, name), a, b, **given)
        yield f"measure({name}) {where}", partial(ka.measure, name, a, b, **needed)
    k, labels = min(5, len(x) - 1), np.arange(len(x)) // 2
    for given in each(
        uncertainty=("half-sampling", "jackknife", None), metric=SIMILARITIES, ties=("fractional", "index")
    ):
        yield f"mutual_knn(k={k}, {words(given)}) {where}", partial(ka.mutual_knn, x, y, k, **given)
    for given in each(metric=SIMILARITIES, uncertainty=(None, "half-sampling")):
        yield f"mutual_knn(groups, {words(given)}) {where}", partial(ka.mutual_knn, x, y, 2, groups=labels, **given)
    for name in ("cka", "hsic", "kernel_alignment"):
        grams = [np.asarray(side, dtype=np.float64) @ np.asarray(side, dtype=np.float64).T for side in (x, y)]
        for given in each(estimator=ESTIMATORS, uncertainty=(None, "jackknife")):
            call = partial(getattr(ka, name), *grams, kernel=ka.Precomputed(), **given)
            yield f"{name}(precomputed, {words(given)}) {where}", call
    yield f"principal_angles {where}", partial(ka.principal_angles, x, y, 2)
    yield f"principal_angles l2 {where}", partial(ka.principal_angles, x, y, 1, normalize="l2")
    yield f"ridge_cca {where}", partial(ka.ridge_cca, x, y, [0, 0.01, 1, 100.0])
    yield f"Score pickled {where}", lambda: pickle.loads(pickle.dumps(ka.cka(x, y)))
    for name, given in (("cka", {}), ("mutual_knn", {"k": k}), ("rsa", {}), ("procrustes", {}), ("mmd", {})):
        yield f"calibrated_score({name}) {where}", lambda n=name, g=given: ka.calibrated_score(ka.measure(n, x, y, **g))


def neighbours(where: str, x: Any, y: Any) -> Iterator[Case]:
    """Searches with every backend, metrics of given lists, curves."""
    n = len(x)
    for backend, metric, k in itertools.product(
        ("auto", "native", "sample", "faiss"), SIMILARITIES, (1, min(7, n - 1))
    ):
        given = {"metric": metric, "backend": backend}
        yield f"knn({k}, {words(given)}) {where}", partial(ka.knn, x, k, **given)
    for given in SHARED:
        yield f"knn(3, {words(given)}) {where}", partial(ka.knn, x, 3, **given)
    for metric in SIMILARITIES:
        ks = [1, 2, 3, min(9, n - 2), n - 1]
        yield f"rnx_curve({metric}) {where}", partial(ka.rnx_curve, x, y, ks, metric=metric)
    for name in ("mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"):

        def of_lists(name: str = name) -> Any:
            lists = [ka.knn(side, 3) for side in (x, y)]
            return [getattr(ka, name)(*lists, k) for k in (2, 3)]

        yield f"{name}(Neighbors) {where}", of_lists
    yield f"Neighbors.first {where}", lambda: ka.knn(x, 3).first(2)


def streams(where: str, x: Any, y: Any) -> Iterator[Case]:
    """Moments: every method, in batches, merged, saved and loaded."""
    methods: list[tuple[str, dict[str, Any]]] = [
        *((name, {"estimator": e}) for name in ("cka", "hsic", "kernel_alignment") for e in ESTIMATORS),
        *((name, {}) for name in ("procrustes", "nbs", "angular_distance", "linear_predictivity")),
        *(("cca", given) for given in each(statistic=("rho", "r2"), centred=(True, False))),
        *(("cka", {"kernel": ka.RBF()}), ("linear_predictivity", {"cv": 5})),
    ]

    def batches(step: int) -> Any:
        state = ka.Moments()
        for begin in range(0, len(x), step):
            state.update(x[begin : begin + step], y[begin : begin + step])
        return state

    def merged() -> Any:
        half = len(x) // 2
        return ka.Moments().update(x[:half], y[:half]).merge(ka.Moments().update(x[half:], y[half:]))

    def loaded() -> Any:
        batches(len(x)).save("moments.bin", overwrite=True)
        return ka.Moments.load("moments.bin")

    ways = {"once": partial(batches, len(x)), "batches": partial(batches, 7), "merged": merged, "loaded": loaded}
    for way, (name, given) in itertools.product(ways, methods):
        yield f"Moments.{name}({words(given)}) {way} {where}", lambda w=way, n=name, g=given: getattr(ways[w](), n)(**g)
    yield f"Moments file {where}", lambda: (loaded().n, np.fromfile("moments.bin", np.uint8))


def spectra(where: str, x: Any, y: Any) -> Iterator[Case]:
    """Spectra, what they share, and what they say about a task."""
    target, labels = np.asarray(y[:, 0], dtype=np.float64), np.arange(len(y)) % 3
    for centred in (False, True):
        yield f"spectrum(centred={centred}) {where}", partial(ka.spectrum, x, centred=centred)
        for rank in (1, 2):
            yield (
                f"spectral_overlap({rank}, {centred}) {where}",
                partial(ka.spectral_overlap, x, y, rank, centred=centred),
            )
        call = partial(ka.band_alignment, x, y, [(0, 1), (1, 3), (2, 90)], centred=centred)
        yield f"band_alignment({centred}) {where}", call
        for what, goal, classes in (("target", target, False), ("targets", y, False), ("classes", labels, True)):
            end, how = f"({what}, {centred}) {where}", {"centred": centred, "classes": classes}
            yield f"kernel_target_alignment{end}", partial(ka.kernel_target_alignment, x, goal, **how)
            yield f"cumulative_power{end}", partial(ka.cumulative_power, x, goal, **how)
            yield f"cumulative_power cv{end}", partial(ka.cumulative_power, x, goal, cv=3, in_range=True, **how)
            yield f"kare{end}", partial(ka.kare, x, goal, [0.01, 1, 10], **how)
            yield f"source_condition{end}", partial(ka.source_condition, x, goal, **how)
            yield f"learning_curve{end}", partial(ka.learning_curve, x, goal, [1, 5, 20], 0.1, noise=0.2, **how)
    spectrum = partial(ka.spectrum, x)
    yield (
        f"spectrum given {where}",
        lambda: [ka.spectral_overlap(spectrum(), ka.spectrum(y), 1), ka.kare(spectrum(), y, [1])],
    )
    for given in ({"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}):
        yield f"kare({words(given)}) {where}", partial(ka.kare, x, target, [0.1], **given)
        yield f"spectral_overlap({words(given)}) {where}", partial(ka.spectral_overlap, x, y, 2, **given)
    for k in (1, 10):
        yield f"describe({k}) {where}", lambda k=k: [(found := ka.describe(x, k=k)), str(found), ka.describe(y, k=k)]


def samples() -> Iterator[Case]:
    """Two samples of different sizes."""
    x, y = related(60, 8, 8, 20)
    for given in variants("mmd", 60):
        yield f"mmd({words(given)}) sizes", partial(ka.mmd, x, y[:37], **given)


def cases() -> Iterator[Case]:
    """All of this part."""
    yield (
        "METRICS",
        lambda: {
            name: [m.description, m.range, m.symmetric, m.larger_is_closer, m.needs] for name, m in ka.METRICS.items()
        },
    )
    yield "public names", lambda: sorted(ka.__all__)
    for where, (x, y) in pairs().items():
        yield from metrics(where, x, y)
        yield from neighbours(where, x, y)
        yield from streams(where, x, y)
        yield from spectra(where, x, y)
    yield from samples()
