"""Paired differences of scores: errors of the difference itself, and methods that are refused."""

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics import half_sampling
from kernalign.inference import paired
from reference import jackknife
from reference import rsa as rsa_oracle
from scipy import stats


def three(n, noise=(0.8, 1.2), seed=0, p=6):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, p))
    mixings = np.random.default_rng(99).normal(size=(2, p, p)) / np.sqrt(p)  # the population is always the same
    if noise[0] == noise[1]:
        mixings[1] = mixings[0]
    a, b = (y @ m + s * rng.normal(size=(n, p)) for m, s in zip(mixings, noise, strict=True))
    return a, b, y


@pytest.mark.parametrize("shape", [(40, 6), (20, 40)], ids=["feature", "gram"])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("name", ["cka", "hsic", "kernel_alignment"])
def test_jackknife_of_the_difference_equals_explicit_deletions(name, estimator, shape):
    a, b, y = three(shape[0], p=shape[1])
    if (name, estimator) == ("kernel_alignment", "biased"):
        with pytest.raises(ValueError, match="needs estimator='unbiased'"):
            ka.compare_scores(name, a, b, y, estimator=estimator)
        return
    found = ka.compare_scores(name, a, b, y, estimator=estimator)
    left, right = (jackknife.deletions(name, estimator, x, y) for x in (a, b))
    assert found.stderr == pytest.approx(jackknife.stderr(left - right), rel=1e-8)
    scores = [float(getattr(ka, name)(x, y, estimator=estimator)) for x in (a, b)]
    assert [found.score_a, found.score_b] == pytest.approx(scores, rel=1e-12)
    assert found.difference == found.score_a - found.score_b
    assert found.z == found.difference / found.stderr
    law = stats.t(found.n - 1)
    assert found.p_value == pytest.approx(2 * law.sf(abs(found.z)))
    assert found.interval(0.9) == pytest.approx(found.difference + np.array(law.interval(0.9)) * found.stderr)
    assert found.method == "jackknife"


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_half_sampling_of_the_difference_equals_explicit_parts(name, similarity, monkeypatch):
    monkeypatch.setattr(half_sampling, "_DIVISIONS", {2: 20, 4: 10})
    n, k = 60, 6
    a, b, y = three(n)
    metric = getattr(ka, name)

    def difference(items, k):
        scores = [float(metric(x[items], y[items], k, metric=similarity)) for x in (a, b)]
        return scores[0] - scores[1]

    found = ka.compare_scores(name, a, b, y, k=k, similarity=similarity)
    assert found.score_a == pytest.approx(float(metric(a, y, k, metric=similarity)), rel=1e-12)
    assert found.stderr == pytest.approx(jackknife.stderr_of_parts(difference, n, k, {2: 20, 4: 10}), rel=1e-9)
    assert found.method == "half-sampling"


@pytest.mark.filterwarnings("ignore:.*within 3 standard deviations:kernalign.AlignmentWarning")
def test_few_items_keep_the_level():
    """Of 10 items a normal tail rejected .07 at .05 and .03 at .01."""
    p = []
    for seed in range(200):
        y, *noise = np.random.default_rng(seed).normal(size=(3, 10, 4))
        p.append(ka.compare_scores("rsa", *(y + part for part in noise), y).p_value)
    assert (np.array(p) <= 0.05).mean() <= 0.07
    assert (np.array(p) <= 0.01).mean() <= 0.025


def test_shared_places_leave_no_error_and_no_p_value():
    """Index order is the same on both sides: unrelated rows agreed with three classes, and p was .001."""
    rng = np.random.default_rng(0)
    classes = np.eye(3)[rng.integers(0, 3, 200)]
    x, b = 3 * classes + rng.normal(size=(200, 3)), rng.normal(size=(200, 5))
    with pytest.warns(ka.AlignmentWarning, match=r"no standard error: 100.0% of the rows tie"):
        found = ka.compare_scores("mutual_knn", x, b, classes)
    assert found.score_a == pytest.approx(float(ka.mutual_knn(x, classes)), rel=1e-12)
    assert abs(found.score_b - 10 / 199) < 0.01
    assert np.isnan([found.stderr, found.p_value, found.z]).all()


def test_influences_of_rsa_are_subtracted():
    a, b, y = three(40)
    found = ka.compare_scores("rsa", a, b, y)
    assert (found.score_a, found.score_b) == (ka.rsa(a, y), ka.rsa(b, y))
    left, right = (rsa_oracle.influences(x, y, "correlation", "spearman") for x in (a, b))
    assert found.stderr == pytest.approx(np.sqrt(((left - right) ** 2).sum() / (40 * 39)), rel=1e-5)
    with pytest.warns(ka.UndefinedScoreWarning, match="rsa is undefined: all dissimilarities of b are equal"):
        assert np.isnan(ka.compare_scores("rsa", a, np.eye(40), y).p_value)


def test_shared_items_cancel():
    a, _, y = three(300, noise=(0.5, 0.5))
    b = a + 0.02 * np.random.default_rng(1).normal(size=a.shape)
    found = ka.compare_scores("cka", a, b, y)
    assert found.stderr < 0.1 * ka.cka(a, y, uncertainty="jackknife").stderr
    same = ka.compare_scores("cka", a, a, y)
    assert (same.difference, same.z, same.p_value) == (0, 0, 1)
    closer = ka.compare_scores("cka", y, a, y)
    assert closer.z > 3
    swapped = ka.compare_scores("cka", a, y, y)
    assert swapped.difference == -closer.difference
    assert swapped.stderr == pytest.approx(closer.stderr, rel=1e-9)


@pytest.mark.parametrize("name,count,slack", [("cka", 200, (0.91, 0.98)), ("mutual_knn", 60, (0.9, 1.0))])
def test_coverage_of_the_difference(name, count, slack):
    """The expected difference is estimated from the mean over all repetitions."""
    results = [ka.compare_scores(name, *three(100, seed=s), k=5) for s in range(count)]
    truth = np.mean([r.difference for r in results])
    covered = [low <= truth <= high for low, high in (r.interval() for r in results)]
    assert slack[0] <= np.mean(covered) <= slack[1]


def test_no_difference_is_found_where_there_is_none():
    p = [ka.compare_scores("cka", *three(100, noise=(1, 1), seed=s)).p_value for s in range(200)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.1


def test_scores_at_chance_are_no_case_for_errors():
    rng = np.random.default_rng(3)
    a, b, y = (rng.normal(size=(60, 5)) for _ in range(3))
    for name in ("cka", "mutual_knn"):
        with pytest.warns(ka.AlignmentWarning, match="both scores are within 3 standard deviations of chance"):
            ka.compare_scores(name, a, b, y)


def test_undefined_scores():
    a, b, y = three(30)
    with pytest.warns(ka.UndefinedScoreWarning, match="cka is undefined: b is constant"):
        found = ka.compare_scores("cka", a, np.ones_like(b), y)
    assert np.isnan([found.difference, found.stderr, found.p_value, *found.interval()]).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: ka.cka(x, y, uncertainty="bootstrap"),
        lambda x, y: ka.hsic(x, y, uncertainty="bootstrap"),
        lambda x, y: ka.kernel_alignment(x, y, uncertainty="bootstrap"),
        lambda x, y: ka.mutual_knn(x, y, uncertainty="bootstrap"),
        lambda x, y: ka.compare_scores("cka", x, x, y, uncertainty="bootstrap"),
        lambda x, y: ka.compare_scores("mutual_knn", x, x, y, uncertainty="bootstrap"),
    ],
)
def test_the_bootstrap_is_refused_with_its_reason(call):
    with pytest.raises(ValueError, match=r"'bootstrap' is refused: items drawn twice .* become neighbours"):
        call(*three(20)[:2])


def test_why_the_bootstrap_is_refused():
    a, _, y = three(200)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 200, 200) for _ in range(20)]
    resampled = [float(ka.mutual_knn(a[d], y[d], metric="euclidean", ties="fractional")) for d in draws]
    assert np.mean(resampled) > ka.mutual_knn(a, y, metric="euclidean") + 0.03


def test_options_mean_what_they_mean_everywhere():
    a, b, y = three(40)
    for name in ("cka", "mutual_knn"):
        found = ka.compare_scores(name, a, b, y, normalize="l2", threads=1)
        assert found.score_b == pytest.approx(float(getattr(ka, name)(b, y, normalize="l2")), rel=1e-12)
    for name, steps in (("cka", [(1, 2), (2, 2)]), ("mutual_knn", [(1, 3), (2, 3), (3, 3)])):
        seen: list[tuple[int, int]] = []
        ka.compare_scores(name, a, b, y, progress=lambda *at, seen=seen: seen.append(at))
        assert seen == steps


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        (
            {"metric": "cca"},
            ValueError,
            "metric must be 'cka', 'hsic', 'kernel_alignment', 'rsa', 'mutual_knn' or 'jaccard_knn'",
        ),
        ({"uncertainty": "half-sampling"}, ValueError, "uncertainty must be None or 'jackknife', got 'half-sampling'"),
        ({"b": np.ones((9, 2))}, ValueError, "a and b must have the same number of rows, got 20 and 9"),
        ({"y": np.ones((20, 2, 2))}, ValueError, "y must be 2-D"),
        (
            {"metric": "mutual_knn", "k": 11},
            ValueError,
            "12 items and k <= n / 2, got n = 20 and k = 11",
        ),
        ({"metric": "mutual_knn", "k": 20}, ValueError, "k must be between 1 and n - 1 = 19"),
        ({"metric": "mutual_knn", "similarity": "l1"}, ValueError, "similarity must be 'cosine', 'dot' or 'euclidean'"),
        ({"similarity": "l1"}, ValueError, "similarity must be 'cosine', 'dot' or 'euclidean'"),
        ({"similarity": "dot"}, ValueError, "similarity must be left out where the metrics do not take it, got 'dot'"),
        ({"metric": "rsa", "estimator": "biased"}, ValueError, "estimator must be left out"),
        ({"metric": "mutual_knn", "estimator": "plain"}, ValueError, "estimator must be 'unbiased' or 'biased'"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"zero_rows": "drop"}, ValueError, "zero_rows must be 'error' or 'drop_pair', got 'drop'"),
        ({"ids": (range(20), range(20))}, ValueError, "one sequence of labels for each of a, b, y, got 2"),
        ({"kk": 3}, TypeError, "unknown keyword argument 'kk'"),
    ],
)
def test_bad_input(arguments, error, message):
    a, b, y = three(20)
    arguments = {"metric": "cka", "a": a, "b": b, "y": y, **arguments}
    with pytest.raises(error, match=message):
        ka.compare_scores(**arguments)
    with pytest.raises(ValueError, match="level must be in"):
        ka.compare_scores("cka", a, b, y).interval(1)


def test_infinite_evidence_only_from_differences_without_error():
    certain = paired.PairedDifference("cka", 9, 0.5, 0.4, 0.0, "jackknife", {})
    assert certain.p_value == 0
    assert certain.z == np.inf


@pytest.mark.parametrize("metric", ["cka", "mutual_knn"])
def test_three_sides_are_paired_and_lose_the_same_items(metric):
    a, b, y = three(40)
    b[3], y[7, 0] = 0, np.nan
    keep = [at for at in range(40) if at not in (3, 7)]
    orders = [np.random.default_rng(seed).permutation(40) for seed in range(3)]
    sides = [side[order] for side, order in zip((a, b, y), orders, strict=True)]
    keywords = {"normalize": "l2", "metric": metric}
    found = ka.compare_scores(
        keywords.pop("metric"), *sides, ids=orders, zero_rows="drop_pair", nan_rows="drop_pair", **keywords
    )
    order = [at for at in orders[0] if at in keep]
    wanted = ka.compare_scores(metric, a[order], b[order], y[order], **keywords)
    assert (found.n, found.difference, found.stderr) == (38, wanted.difference, wanted.stderr)
    assert found.settings["dropped_rows"] == {"non-finite": 1, "zero": 1}
    assert (found.settings["pairing"], found.settings["unpaired"]) == ("ids", (0, 0, 0))
