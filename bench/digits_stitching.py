"""Cases of digits.py, third part: every stitcher, however it was fitted, certificates, probes and transfer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import kernalign as ka
import numpy as np
from digits_cases import Case, attempt, pairs
from kernalign import stitching


def fitted(stitcher: Any, x: Any, y: Any) -> Any:
    """All that a fitted stitcher says."""
    names = ("coef_", "intercept_", "residual_", "solver_", "n_features_in_", "n_samples_seen_", "rank_", "scale_")
    names += ("alpha_", "alphas_", "gcv_", "residual_curve_")
    parts = {name: getattr(stitcher, name) for name in names if hasattr(stitcher, name)}
    return parts | {"transform": stitcher.transform(x[:5]), "score": stitcher.score(x, y), "repr": repr(stitcher)}


def cases() -> Iterator[Case]:
    """All of this part."""
    make: dict[str, Callable[[], Any]] = {
        "affine": stitching.AffineStitcher,
        **{f"ridge {alpha}": partial(stitching.RidgeStitcher, alpha) for alpha in ("gcv", "loo", 0, 0.5)},
        "ridge alphas": partial(stitching.RidgeStitcher, alphas=[0.1, 1, 10]),
        **{
            f"procrustes {scale} {reflection}": partial(stitching.ProcrustesStitcher, scale, reflection=reflection)
            for scale, reflection in itertools.product((True, False), repeat=2)
        },
        **{f"low rank {rank}": partial(stitching.LowRankStitcher, rank) for rank in (1, 3)},
    }
    data = {name: pair for name, pair in pairs().items() if name not in ("huge", "zero rows", "strided", "four")}
    for (name, one), (where, (x, y)) in itertools.product(make.items(), data.items()):
        third = len(x) // 3

        def streamed(one: Any = one, x: Any = x, y: Any = y, third: int = third) -> Any:
            return one().partial_fit(x[:third], y[:third]).partial_fit(x[third:], y[third:])

        def merged(one: Any = one, x: Any = x, y: Any = y, third: int = third) -> Any:
            return one().fit(x[:third], y[:third]).merge(one().partial_fit(x[third:], y[third:]))

        def loaded(one: Any = one, x: Any = x, y: Any = y) -> Any:
            one().fit(x, y).save("stitcher.npz", overwrite=True)
            return stitching.load_stitcher("stitcher.npz")

        ways = {
            "fit": lambda one=one, x=x, y=y: one().fit(x, y),
            "moments": lambda one=one, x=x, y=y: one().fit_moments(ka.Moments().update(x, y)),
            **(
                {"streamed": streamed, "merged": merged, "loaded": loaded}
                if where in ("tall", "clipart", "wide")
                else {}
            ),
        }
        for way, call in ways.items():
            yield f"{name} {way} {where}", lambda call=call, x=x, y=y: fitted(call(), x, y)
    for where, (x, y) in data.items():
        rng = np.random.default_rng(8)
        weight, bias = rng.standard_normal((2, y.shape[1])), rng.standard_normal(2)
        goal, numbers = np.asarray(y, dtype=np.float64) @ weight.T + 0.1, np.arange(len(x)) % 3
        layers = [rng.standard_normal((4, y.shape[1])), rng.standard_normal((2, 4))]
        heads = {"matrix": weight, "linear": stitching.LinearHead(weight, bias), "mlp": stitching.MLPHead(layers)}
        for (kind, head), cv in itertools.product(heads.items(), (None, 3, "press")):
            call = partial(stitching.stitching_certificate, x, y, head, goal, cv=cv)
            yield f"certificate({kind}, {cv}) {where}", call
        call = partial(stitching.stitching_certificate, x, y, lambda rows: np.tanh(rows[:, :2]), goal, 1.0)
        yield f"certificate(function) {where}", call
        for cv in (None, 3, "press"):
            yield f"misalignment({cv}) {where}", partial(stitching.misalignment, x, y, cv=cv)
        for loo in (False, True):
            yield f"ridge_path({loo}) {where}", partial(stitching.ridge_path, x, y, leave_one_out=loo)
        trials = {"affine": stitching.AffineStitcher(), "ridge": stitching.RidgeStitcher()}
        yield f"run_trials {where}", partial(stitching.run_trials, x, y, trials, folds=3)
        yield f"run_trials head {where}", partial(stitching.run_trials, x, y, trials, head=weight, targets=goal)
        for task, answers in (("classification", numbers), ("regression", y), ("regression", goal[:, 0])):

            def probed(x: Any = x, task: Any = task, answers: Any = answers) -> Any:
                found = stitching.LinearProbe(0.01, task=task).fit(x, answers)
                said = [found.coef_, found.intercept_, found.classes_, found.predict(x), found.score(x, answers)]
                return [*said, attempt(lambda: found.predict_proba(x)), found.decision(x)]

            yield f"LinearProbe({task}, {answers.ndim}) {where}", probed
        yield f"transfer {where}", partial(stitching.transfer_accuracy, x, y, numbers, np.arange(len(x)) % 4 == 0)
        for centred in (False, True):
            relative = stitching.RelativeRepresentation(x[:5], centred=centred)
            yield f"relative({centred}) {where}", lambda r=relative, x=x: r.fit().transform(x[:20])
    yield (
        "wilson, mcnemar",
        lambda: [
            stitching.wilson_interval(7, 20),
            stitching.mcnemar([True, True, False, True], [False, True, True, False]),
        ],
    )
