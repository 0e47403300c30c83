"""Cases of digits.py, fourth part: what bad input is told, and what progress is reported."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import kernalign as ka
import numpy as np
from digits_cases import Case, related
from kernalign import embedding, pmi, sources, stitching
from kernalign.compat import platonic


class _Exported:
    """Something that can be read as an array."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.rows, dtype=dtype)


def bad_arrays() -> dict[str, Any]:
    x, _ = related(20, 4, 3, 30)
    holes, infinite = x.copy(), x.astype(np.float32)
    holes[7, 2], infinite[3, 1] = np.nan, -np.inf
    return {
        "None": None,
        "number": 3.0,
        "text": "x.npy",
        "dict": {"a": 1},
        "1-D": x[:, 0],
        "3-D": x[:, :, None],
        "empty": x[:0],
        "no columns": x[:, :0],
        "fewer": x[:19],
        "one row": x[:1],
        "two rows": x[:2],
        "object": x.astype(object),
        "string": x.astype(str),
        "complex": x + 1j,
        "bool": x > 0,
        "nan": holes,
        "infinite": infinite,
        "masked": np.ma.masked_array(x, x > 1),
        "list": x.tolist(),
        "date": x.astype("datetime64[s]"),
        "ragged": [[1.0], [2.0, 3.0]],
        "exported": _Exported(x),
        "constant column": np.column_stack([x, np.ones(20)]),
        "tiny numbers": x * 1e-170,
        "zero": x * 0,
    }


def refusals() -> Iterator[Case]:
    x, y = related(20, 4, 3, 30)
    calls: dict[str, Callable[..., Any]] = {
        **{name: partial(ka.measure, name, **({"rank": 1} if "overlap" in name else {})) for name in ka.METRICS},
        **{f"{name} k=3": partial(getattr(ka, name), k=3) for name in ("mutual_knn", "lcs_knn", "cknna")},
        "knn": lambda a, b: ka.knn(a, 3),
        "describe": lambda a, b: ka.describe(a),
        "compare": lambda a, b: ka.compare({"a": a, "b": b}, k=3).scores,
        "compare layers": lambda a, b: ka.compare({"a": [a, x], "b": b}, k=3).scores,
        "permutation_test": lambda a, b: ka.permutation_test("cka", a, b, permutations=3),
        "compare_scores": lambda a, b: ka.compare_scores("cka", a, x, b),
        "independence_test": ka.independence_test,
        "Moments": lambda a, b: ka.Moments().update(a, b).cka(),
        "spectrum": lambda a, b: ka.spectrum(a),
        "kare": lambda a, b: ka.kare(a, b, [1.0]),
        "cumulative_power": ka.cumulative_power,
        "spectral_overlap": partial(ka.spectral_overlap, rank=1),
        "affine": lambda a, b: stitching.AffineStitcher().fit(a, b).coef_,
        "probe": lambda a, b: stitching.LinearProbe(task="regression").fit(a, b).coef_,
        "misalignment": stitching.misalignment,
        "platonic": partial(platonic.AlignmentMetrics.measure, "mutual_knn", topk=3),
        "fit_similarity": lambda a, b: embedding.fit_similarity(a, b),
    }
    for (name, call), (kind, bad) in itertools.product(calls.items(), bad_arrays().items()):
        a, b = (x[:, :3], y) if name == "mmd" else (x, y)
        yield f"{name} x is {kind}", partial(call, bad, b)
        if name not in ("knn", "describe", "spectrum"):
            yield f"{name} y is {kind}", partial(call, a, bad)


def arguments() -> Iterator[Case]:
    """Bad arguments of every kind of call."""
    x, y = related(20, 4, 3, 30)
    scalar = [True, 1.5, 0, -1, 20, 21, "3", None, np.int64(3), np.float64(2.0)]
    for name in ("mutual_knn", "jaccard_knn", "cycle_knn", "cknna"):
        for k in scalar:
            yield f"{name}(k={k!r})", partial(getattr(ka, name), x, y, k)
    for k in scalar:
        yield f"knn(k={k!r})", partial(ka.knn, x, k)
        yield f"subspace_overlap(rank={k!r})", partial(ka.subspace_overlap, x, y, k)
        yield f"permutation_test(permutations={k!r})", partial(ka.permutation_test, "cka", x, y, permutations=k)
        yield f"compare(k={k!r})", lambda k=k: ka.compare({"a": x, "b": y}, k=k).scores
        yield f"threads={k!r}", partial(ka.cka, x, y, threads=k)
        yield f"clip_quantile={k!r}", partial(ka.cka, x, y, clip_quantile=k)
        yield f"linear_predictivity(cv={k!r})", partial(ka.linear_predictivity, x, y, cv=k)
        yield f"svcca(rank={k!r})", partial(ka.svcca, x, y, rank=k)
        yield f"svcca(variance={k!r})", partial(ka.svcca, x, y, variance=k)
        yield f"RBF({k!r})", partial(ka.RBF, k)
        yield f"Polynomial({k!r})", partial(ka.Polynomial, k)
        yield f"LowRankStitcher({k!r})", lambda k=k: stitching.LowRankStitcher(k).fit(x, y).coef_
        yield f"RidgeStitcher({k!r})", lambda k=k: stitching.RidgeStitcher(k).fit(x, y).coef_
        yield f"classical_mds({k!r})", partial(embedding.classical_mds, np.ones((4, 4)), k)
        yield f"cooccurrences({k!r})", partial(pmi.cooccurrences, ["ab"], k)
        yield f"interval({k!r})", lambda k=k: ka.cka(x, y, uncertainty="jackknife").interval(k)
        yield f"calibrated_score({k!r})", lambda k=k: ka.calibrated_score(ka.cka(x, y), k)
    for name in ka.METRICS:
        for given in (
            *({"normalize": "L2"}, {"device": "cuda"}, {"zero_rows": "drop"}, {"progress": 3}, {"nothing": 1}),
            *({"estimator": "debiased"}, {"kernel": "rbf"}, {"uncertainty": "bootstrap"}, {"metric": "manhattan"}),
            *(
                {"ties": "random"},
                {"variant": "best"},
                {"statistic": "mean"},
                {"distance": "l1"},
                {"comparison": "tau"},
            ),
        ):
            yield f"{name}({given})", partial(getattr(ka, name), x, y, **given)
    options: list[tuple[str, dict[str, Any]]] = [
        *(("compare", given) for given in ({"metrics": "cka"}, {"metrics": []}, {"metrics": ["x"]}, {"layers": "one"})),
        *(("compare", given) for given in ({"metric_options": {"rsa": {}}}, {"metric_options": 1}, {"kernel": "rbf"})),
        *(("compare", given) for given in ({"estimator": "x"}, {"device": "gpu"}, {"normalize": 1}, {"k": 20})),
        ("compare", {"metrics": ["subspace_overlap"]}),
    ]
    for name, given in options:
        yield f"{name}({given})", lambda g=given: ka.compare({"a": x, "b": y}, **g).scores
    yield "compare(one)", partial(ka.compare, {"a": x})
    yield "compare(list)", partial(ka.compare, [x, y])
    yield "compare(no such file)", partial(ka.compare, {"a": "nowhere.npy", "b": x})
    yield "compare(rows)", partial(ka.compare, {"a": x, "b": y[:10]})
    for given in (
        {"groups": [1, 2]},
        {"seed": -1},
        {"zero_rows": "error"},
        {"similarity": "x"},
        {"kernel": 1},
        {"ties": 1},
    ):
        yield f"permutation_test({given})", partial(ka.permutation_test, "cka", x, y, permutations=3, **given)
    for metric in ("nothing", 3, [], ["cka", "cka"], "subspace_overlap"):
        yield f"permutation_test({metric!r})", partial(ka.permutation_test, metric, x, y, permutations=3)
        yield f"compare_scores({metric!r})", partial(ka.compare_scores, metric, x, x, y)
    yield "permutation_test(layers)", partial(ka.permutation_test, "cka", [x, x[:5]], y, permutations=3)
    yield "mantel_test(3 models)", partial(ka.mantel_test, np.eye(3), np.eye(3))
    yield "mantel_test(asymmetric)", partial(ka.mantel_test, np.arange(16.0).reshape(4, 4), np.eye(4))
    yield "false_discovery(2)", partial(ka.false_discovery, [2.0])
    yield "Moments empty", lambda: ka.Moments().cka()
    yield "Moments columns", lambda: ka.Moments().update(x, y).update(y, x)
    yield "Moments merged", lambda: ka.Moments().update(x, y).merge(ka.Moments().update(y, x))
    yield "Moments.merge(3)", lambda: ka.Moments().merge(3)
    yield "Moments.load", partial(ka.Moments.load, "nowhere.bin")
    yield "Comparison.load", partial(ka.Comparison.load, "nowhere.npz")
    yield "load_stitcher", partial(stitching.load_stitcher, "nowhere.npz")
    yield "not fitted", lambda: stitching.AffineStitcher().transform(x)
    yield "Neighbors of two sizes", lambda: ka.mutual_knn(ka.knn(x, 3), ka.knn(y[:10], 3), 3)
    yield "Neighbors too short", lambda: ka.mutual_knn(ka.knn(x, 3), ka.knn(y, 3), 4)
    yield "Neighbors and rows", lambda: ka.mutual_knn(ka.knn(x, 3), y, 3)
    yield "knn backend", partial(ka.knn, x, 3, backend="gpu")
    yield "open_source", partial(sources.open_source, "nowhere.npy")
    yield "open_source suffix", partial(sources.open_source, ".")


def progress() -> Iterator[Case]:
    """First and last report of calls that take a while."""
    x, y = related(60, 8, 6, 31)

    def reported(call: Callable[..., Any]) -> Any:
        seen: list[tuple[Any, Any]] = []
        call(progress=lambda done, total: seen.append((done, total)))
        return seen[:1] + seen[-1:]

    calls = {name: partial(ka.measure, name, x, y) for name in ka.METRICS if name not in ("mmd", "subspace_overlap")}
    calls |= {
        "knn": partial(ka.knn, x, 3),
        "describe": partial(ka.describe, x),
        "compare": partial(ka.compare, {"a": [x, y], "b": x, "c": y}),
        "compare best": partial(
            ka.compare, {"a": [x, y], "b": x, "c": y}, layers="best", metrics=["cka", "rsa", "cca"]
        ),
        "permutation_test": partial(ka.permutation_test, ["cka", "mutual_knn"], x, y, permutations=5),
        "Moments": lambda progress: ka.Moments().update(x, y, progress=progress),
        "run_trials": partial(stitching.run_trials, x, y, {"affine": stitching.AffineStitcher()}),
    }
    for name, call in calls.items():
        yield f"progress of {name}", partial(reported, call)


def cases() -> Iterator[Case]:
    """All of this part."""
    for name, call in (*refusals(), *arguments()):
        yield f"bad: {name}", call
    yield from progress()
