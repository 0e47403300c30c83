"""Every public function of two representations as a call that returns named numbers, and how these scale."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kernalign as ka
import numpy as np
from kernalign import embedding, stitching

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """``powers``: what a number is multiplied by when x is multiplied by a and y by b, as exponents of a and b.

    ``scales`` says which sides may be scaled: "both" at once only, "each" or "neither".
    """

    run: Callable[[Any, Any], Numbers]
    powers: dict[str, tuple[int, int]]
    scales: str = "each"


def _score(value: ka.Score) -> Numbers:
    return {"score": float(value)}


def _fields(value: object, *names: str) -> Numbers:
    return {name: np.asarray(getattr(value, name), dtype=np.float64) for name in names}


def _k(x: Any) -> int:
    return max(1, min(3, len(x) - 1))


def _calls() -> dict[str, Call]:
    calls: dict[str, Call] = {}

    def metric(name, score=None, powers=(0, 0), scales="each", **keywords):
        of = score or (lambda x, y: getattr(ka, name)(x, y, **keywords))
        label = name + "".join(f" {value}" for value in keywords.values())
        calls[label] = Call(lambda x, y: _score(of(x, y)), {"score": powers}, scales)

    for name in ("cka", "kernel_alignment", "distance_correlation", "rsa", "cca", "svcca", "pwcca", "nbs"):
        metric(name)
    for name in ("angular_distance", "one_to_one", "linear_predictivity", "kernel_target_alignment"):
        metric(name)
    metric("cka", estimator="biased")
    for kernel in (ka.RBF(), ka.Laplacian(), ka.Cosine()):
        metric("cka", kernel=kernel)
    for normalize in ("l2", "standardize"):
        metric("cka", normalize=normalize)
        metric("angular_distance", normalize=normalize)
    metric("cka", clip_quantile=0.9)
    metric("cka", kernel=ka.Polynomial(2), scales="neither")
    for name in ("cka", "kernel_alignment"):
        calls[f"{name} jackknife"] = Call(
            lambda x, y, name=name: _fields(getattr(ka, name)(x, y, uncertainty="jackknife"), "stderr"), {}
        )
    metric("hsic", powers=(2, 2))
    metric("distance_alignment", powers=(2, 2), scales="both")
    metric("cca", statistic="r2", centred=False)
    metric("linear_predictivity", cv=2)
    metric("kernel_target_alignment", centred=True)
    metric("procrustes", powers=(1, 0), scales="both")
    metric("soft_matching", powers=(1, 0), scales="both")
    for name in ("cknna", "mutual_knn", "cycle_knn", "lcs_knn", "edit_knn", "jaccard_knn", "rank_similarity"):
        metric(name, lambda x, y, name=name: getattr(ka, name)(x, y, _k(x)))
    for similarity in ("euclidean", "dot"):
        metric(f"mutual_knn {similarity}", lambda x, y, s=similarity: ka.mutual_knn(x, y, _k(x), metric=s))
    metric("subspace_overlap", lambda x, y: ka.subspace_overlap(x, y, 1))
    for estimator in ("linear-time", "block"):
        metric(f"mmd {estimator}", lambda x, y, e=estimator: ka.mmd(*_same_columns(x, y), estimator=e), scales="both")
    for kernel, power in ((ka.RBF(), 0), (ka.Linear(), 2)):
        metric(f"mmd {kernel}", lambda x, y, k=kernel: ka.mmd(*_same_columns(x, y), kernel=k), (power, 0), "both")
    for name in ("cka", "hsic", "cca", "procrustes", "nbs", "linear_predictivity"):
        plain = calls[name]
        metric(
            f"Moments.{name}",
            lambda x, y, name=name: getattr(ka.Moments().update(x, y), name)(),
            plain.powers["score"],
            plain.scales,
        )
    calls["principal_angles"] = Call(lambda x, y: {"angles": ka.principal_angles(x, y, 1)}, {})
    calls["ridge_cca"] = Call(lambda x, y: _fields(ka.ridge_cca(x, y, [0, 0.1]), "scores", "chance", "gulp"), {})
    calls["permutation_test"] = Call(lambda x, y: {"p": ka.permutation_test("cka", x, y, permutations=9).p_value}, {})
    _add_spectral(calls)
    _add_stitching(calls)
    return calls


def _same_columns(x: Any, y: Any) -> tuple[Any, Any]:
    count = min(x.shape[1], y.shape[1])
    return x[:, :count], y[:, :count]


def _add_spectral(calls: dict[str, Call]) -> None:
    for centred in (False, True):
        calls[f"spectral_overlap {centred}"] = Call(
            lambda x, y, c=centred: _fields(
                ka.spectral_overlap(x, y, 1, centred=c), "eigenvalues_x", "eigenvalues_y", "overlap", "alignment"
            ),
            {"eigenvalues_x": (2, 0), "eigenvalues_y": (0, 2)},
        )
        calls[f"cumulative_power {centred}"] = Call(
            lambda x, y, c=centred: _fields(
                ka.cumulative_power(x, y, centred=c, cv=2), "power", "eigenvalues", "powers", "auc", "held_out"
            ),
            {"eigenvalues": (2, 0), "powers": (0, 2)},
        )
    calls["band_alignment"] = Call(lambda x, y: _fields(ka.band_alignment(x, y, [(0, 1)]), "alignment", "share_x"), {})
    calls["spectrum"] = Call(
        lambda x, y: _fields(ka.spectrum(x), "singular_values", "eigenvalues", "left"),
        {"singular_values": (1, 0), "eigenvalues": (2, 0)},
    )
    calls["source_condition"] = Call(
        lambda x, y: _fields(ka.source_condition(x, y), "eigenvalue_exponent", "power_exponent", "source"), {}
    )
    calls["learning_curve"] = Call(
        lambda x, y: _fields(ka.learning_curve(x, y, [1, 1.5]), "error", "kappa", "gamma"),
        {"error": (0, 2), "kappa": (2, 0)},
    )
    calls["describe"] = Call(
        lambda x, y: _fields(ka.describe(x), "participation_ratio", "norm_max", "constant_columns", "faint_columns"),
        {"norm_max": (1, 0)},
    )


def _add_stitching(calls: dict[str, Call]) -> None:
    fitted = {"coef": (-1, 1), "intercept": (0, 1), "residual": (0, 2)}
    for stitcher in (
        stitching.AffineStitcher(),
        stitching.RidgeStitcher(),
        stitching.RidgeStitcher("loo"),
        stitching.ProcrustesStitcher(),
        stitching.LowRankStitcher(1),
    ):

        def fit(x, y, stitcher=stitcher):
            found = stitcher.fit(x, y)
            return {
                "coef": found.coef_,
                "intercept": found.intercept_,
                "residual": found.residual_,
                "score": found.score(x, y),
            }

        calls[repr(stitcher)] = Call(fit, fitted)

    def probe(x, y):
        found = stitching.LinearProbe(task="regression").fit(x, y)
        return {"coef": found.coef_, "score": found.score(x, y)}

    calls["LinearProbe"] = Call(probe, fitted)
    calls["ridge_path"] = Call(
        lambda x, y: _fields(stitching.ridge_path(x, y, leave_one_out=True), "alphas", "df"), {"alphas": (2, 0)}
    )
    calls["misalignment"] = Call(lambda x, y: _score(stitching.misalignment(x, y)), {"score": (0, 2)})
    calls["fit_similarity"] = Call(
        lambda x, y: _fields(embedding.fit_similarity(*_same_columns(x, y)), "rotation", "scale", "rmsd", "r2"),
        {"scale": (-1, 1), "rmsd": (0, 1)},
    )


CALLS = _calls()
