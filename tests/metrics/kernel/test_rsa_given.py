"""rsa of dissimilarities that are given, and whitened by a covariance: definitions, peers, nulls, labels, refusals."""

import itertools
import warnings
from functools import partial

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from reference import null_moments
from reference import rsa as oracle
from samples import related
from scipy.spatial.distance import pdist, squareform

DISTANCES = ("correlation", "cosine", "euclidean", "sqeuclidean")
COMPARISONS = tuple(oracle.COMPARISONS)
WHITENED = ("whitened_cosine", "whitened_pearson")
given = partial(ka.rsa, distance="precomputed")

every_comparison = pytest.mark.parametrize("comparison", COMPARISONS)

# Six conditions. Values of rsatoolbox 0.3.2 (compare of "spearman", "corr", "tau-a", "tau-b", "rho-a", "cosine",
# "cosine_cov", "corr_cov"), float64; those with a covariance, which it solves to about 1e-6, in a table of their own.
A = [1.3, 0.6, 0.2, 0.1, 1.6, 1.8, 1.3, 1.5, 1.1, 1.9, 1.7, 0.1, 1.7, 0.2, 1.5]
B = [0.8, 1.2, 0.3, 0.2, 1.5, 1.0, 0.7, 1.8, 1.3, 2.1, 1.5, 0.9, 2.5, 0.5, 1.7]
PEER = {
    "spearman": 0.7513513426555085,
    "pearson": 0.7499661610638857,
    "tau_b": 0.578542598657643,
    "kendall": 0.5619047619047619,
    "rho_a": 0.7473214285714286,
    "cosine": 0.9394172652660289,
    "whitened_cosine": 0.8619185189520396,
    "whitened_pearson": 0.7720248282665818,
}
COVARIANCE = [
    [1.26, 0.27, -0.12, -0.43, 0.17, 0.02],
    [0.27, 2.19, -0.02, -0.31, 0.44, 0.04],
    [-0.12, -0.02, 2.43, 0.87, -0.76, -0.15],
    [-0.43, -0.31, 0.87, 2.17, -0.49, -0.21],
    [0.17, 0.44, -0.76, -0.49, 1.72, 0.05],
    [0.02, 0.04, -0.15, -0.21, 0.05, 1.83],
]
VARIANCES = [0.8, 1.91, 1.05, 0.66, 1.44, 1.89]
PEER_WHITENED = {  # of the covariance, and of a diagonal matrix of the variances
    "whitened_cosine": (0.8925745543009963, 0.8948317229346164),
    "whitened_pearson": (0.7852040237029504, 0.8440949678931867),
}


@every_comparison
def test_values_are_those_of_rsatoolbox(comparison):
    assert given(A, B, comparison=comparison) == pytest.approx(PEER[comparison], abs=1e-12)


@pytest.mark.parametrize("comparison", WHITENED)
def test_covariances_are_used_as_rsatoolbox_uses_them(comparison):
    """To the accuracy of its conjugate gradients; its own form of a vector of variances centres before it scales, which
    is another number (0.8927 for 0.8948)."""
    of_matrix, of_variances = PEER_WHITENED[comparison]
    assert given(A, B, comparison=comparison, covariance=COVARIANCE) == pytest.approx(of_matrix, abs=2e-6)
    assert given(A, B, comparison=comparison, covariance=VARIANCES) == pytest.approx(of_variances, abs=2e-6)
    exact = oracle.COMPARISONS[comparison](np.array(A), np.array(B), np.diag(VARIANCES))
    assert given(A, B, comparison=comparison, covariance=VARIANCES) == pytest.approx(exact, rel=1e-12)


@every_comparison
@pytest.mark.parametrize("distance", DISTANCES)
def test_given_dissimilarities_score_as_the_rows_that_they_are_of(comparison, distance):
    x, y = related(25, 6, 9)
    a, b = pdist(x, distance), pdist(y, distance)
    expected = ka.rsa(x, y, distance=distance, comparison=comparison)
    for one, other in ((a, b), (squareform(a), b), (squareform(a), squareform(b)), (a[:, None], b.tolist())):
        score = given(one, other, comparison=comparison)
        assert score == pytest.approx(float(expected), rel=1e-12)
        assert score.chance == pytest.approx(expected.chance, rel=1e-12, abs=1e-15)
        assert score.chance_sd == (None if expected.chance_sd is None else pytest.approx(expected.chance_sd, rel=1e-10))
        assert score.p_value == pytest.approx(expected.p_value, rel=1e-9)


@every_comparison
def test_estimates_below_zero_are_numbers_like_others(comparison):
    """As cross-validated distances have."""
    a, b = np.random.default_rng(0).normal(size=(2, 45))
    assert given(a, b, comparison=comparison) == pytest.approx(oracle.COMPARISONS[comparison](a, b), abs=1e-12)


@pytest.mark.parametrize("comparison", [name for name in COMPARISONS if name not in ("kendall", "tau_b")])
@pytest.mark.parametrize("n", [127, 130])
def test_sizes_around_the_edges_of_tiles(comparison, n):
    a, b = np.random.default_rng(n).uniform(1, 2, size=(2, n * (n - 1) // 2))
    if comparison in WHITENED:
        centre, shift = np.eye(n) - 1 / n, comparison == "whitened_pearson"
        x, y = (centre @ oracle.square(v - shift * v.mean(), n) @ centre for v in (a, b))
        expected = oracle.cosine(x.ravel(), y.ravel())
    else:
        ranks = (np.argsort(np.argsort(v)) + 1.0 for v in (a, b)) if comparison in ("spearman", "rho_a") else (a, b)
        expected = (oracle.cosine if comparison == "cosine" else oracle.pearson)(*ranks)
    assert given(a, b, comparison=comparison) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int16])
def test_element_types(dtype):
    a, b = (np.round(8 * np.array(v)).astype(dtype) for v in (A, B))
    expected = oracle.spearman(np.asarray(a, float), np.asarray(b, float))
    assert given(a, b) == pytest.approx(expected, rel=1e-12)
    full = np.zeros((6, 6), dtype)
    full[np.triu_indices(6, 1)] = a
    full += full.T
    assert given(full, b) == pytest.approx(expected, rel=1e-12)


# Covariance


@pytest.mark.parametrize("comparison", WHITENED)
@pytest.mark.parametrize("n", [3, 4, 9])
def test_whitening_by_the_covariance_of_all_pairs(comparison, n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(2, n * (n - 1) // 2))
    root = rng.normal(size=(n, n))
    covariance = root @ root.T + 0.1 * np.eye(n)
    expected = oracle.COMPARISONS[comparison](a, b, covariance)
    assert given(a, b, comparison=comparison, covariance=covariance) == pytest.approx(expected, rel=1e-8)
    assert given(b, 3 * a, comparison=comparison, covariance=7 * covariance) == pytest.approx(expected, rel=1e-8)
    plain = given(a, b, comparison=comparison)
    assert given(a, b, comparison=comparison, covariance=np.eye(n)) == pytest.approx(float(plain), rel=1e-10)


@pytest.mark.parametrize("comparison", WHITENED)
def test_the_p_value_with_a_covariance_is_that_of_all_pairings(comparison):
    covariance = np.array(COVARIANCE)
    b = squareform(B)
    orders = itertools.permutations(range(6))
    pool = [oracle.COMPARISONS[comparison](np.array(A), squareform(b[np.ix_(o, o)]), covariance) for o in orders]
    score = given(A, B, comparison=comparison, covariance=covariance)
    assert score.p_value == pytest.approx(null_moments.share(np.array(pool)), abs=1e-12)
    assert (score.chance, score.chance_sd, score.settings["covariance"]) == (None, None, True)


@pytest.mark.parametrize(
    "covariance,words",
    [
        (np.eye(5), r"covariance must hold one entry per row, got 5 for 6 rows"),
        (-np.eye(6), "covariance must be positive definite, got a least eigenvalue -1 times its largest entry"),
        (np.triu(np.ones((6, 6))), "covariance must be symmetric"),
        (np.full((6, 6), np.nan), "covariance must be finite"),
    ],
)
def test_bad_covariances_are_named(covariance, words):
    with pytest.raises(ValueError, match=words):
        given(A, B, comparison="whitened_cosine", covariance=covariance)


def test_a_covariance_is_for_whitened_comparisons():
    with pytest.raises(ValueError, match="covariance is for comparison='whitened_cosine' or 'whitened_pearson', got"):
        given(A, B, covariance=np.eye(6))


# Null distributions


@pytest.mark.parametrize("comparison", ["rho_a", *WHITENED])
@pytest.mark.parametrize("n", [4, 5, 6])
def test_moments_are_those_of_all_pairings(comparison, n):
    rng = np.random.default_rng(n)
    a, b = np.round(rng.uniform(0, 3, size=(2, n * (n - 1) // 2)), 1)
    full = squareform(b)
    pool = [oracle.COMPARISONS[comparison](a, full[np.ix_(o, o)][np.triu_indices(n, 1)]) for o in _orders(n)]
    score = given(a, b, comparison=comparison)
    assert (score.chance, score.chance_sd) == pytest.approx((np.mean(pool), np.std(pool)), rel=1e-8, abs=1e-10)


def _orders(n):
    return itertools.permutations(range(n))


@pytest.mark.parametrize("comparison", ["kendall", "tau_b", "whitened_pearson", "whitened_cosine"])
def test_groups_change_places_whole(comparison):
    """Six groups of two items: all 720 pairings."""
    rng = np.random.default_rng(1)
    a, b = np.round(rng.uniform(0, 3, size=(2, 66)), 1)
    full, pool = squareform(b), []
    for units in _orders(6):
        order = [2 * unit + at for unit in units for at in (0, 1)]
        pool.append(oracle.COMPARISONS[comparison](a, full[np.ix_(order, order)][np.triu_indices(12, 1)]))
    score = given(a, b, comparison=comparison, groups=np.arange(12) // 2)
    assert score.p_value == pytest.approx(null_moments.share(np.array(pool)), abs=1e-12)
    if comparison in WHITENED:
        assert score.chance == pytest.approx(np.mean(pool), rel=1e-9, abs=1e-12)


def sizes(comparison, repetitions, n, **options):
    """Shares of p-values of unrelated rows that reach 0.05."""
    p = []
    for seed in range(repetitions):
        x, y = np.random.default_rng([n, seed, 1]).standard_t(3, size=(2, n, 4))
        p.append(ka.rsa(x, y, comparison=comparison, threads=1, **options).p_value)
    return float(np.mean(np.array(p) <= 0.05))


def test_size_of_kendall():
    assert 0.0 <= sizes("kendall", 60, 12) <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize("n", [12, 40])
@pytest.mark.parametrize("comparison", ["kendall", "tau_b", "rho_a", "whitened_cosine", "whitened_pearson"])
def test_sizes(comparison, n):
    """Those of whitened ones, which cost little: .0527 of 3000."""
    assert 0.035 <= sizes(comparison, 3000 if comparison in WHITENED else 1000, n) <= 0.067


@pytest.mark.slow
@pytest.mark.parametrize("comparison", WHITENED)
def test_sizes_with_a_covariance(comparison):
    root = np.random.default_rng(0).normal(size=(20, 20))
    covariance = root @ root.T / 20 + 0.1 * np.eye(20)
    assert 0.035 <= sizes(comparison, 600, 20, covariance=covariance) <= 0.067


@pytest.mark.parametrize("comparison", ["kendall", "tau_b"])
def test_many_items_have_no_p_value(comparison):
    a, b = np.random.default_rng(0).normal(size=(2, 400 * 399 // 2))
    score = given(a, b, comparison=comparison)
    assert score.p_value is None
    assert score.settings["p_method"].startswith("none: pairings of so many items")


# Labels, refusals, and what is not said


def test_labels_pair_conditions_on_both_axes():
    pd = pytest.importorskip("pandas")
    names, order = list("abcdef"), [3, 1, 5, 0, 2, 4]
    a, b = squareform(A), squareform(B)
    moved = pd.DataFrame(b[np.ix_(order, order)], index=[names[i] for i in order])
    score = given(pd.DataFrame(a, index=names, columns=names), moved)
    assert score == given(A, B)
    assert score.settings["pairing"] == "ids"
    assert given(a, b[np.ix_(order, order)], ids=(names, [names[i] for i in order])) == given(A, B)


def test_conditions_that_are_missing_are_dropped_on_both_axes():
    a, b = squareform(A), squareform(B)
    a[2], a[:, 2] = np.nan, np.nan
    rest = np.delete(np.arange(6), 2)
    keep = np.ix_(rest, rest)
    score = given(a, b, nan_rows="drop_pair")
    assert (score, score.n, score.settings["dropped"]) == (given(a[keep], b[keep]), 5, 1)
    covariance = np.array(COVARIANCE)
    whitened = partial(given, comparison="whitened_cosine")
    dropped = whitened(a, b, nan_rows="drop_pair", covariance=covariance)
    assert dropped == pytest.approx(float(whitened(a[keep], b[keep], covariance=covariance[keep])), rel=1e-12)


@pytest.mark.parametrize(
    "bad,words",
    [
        (np.ones((4, 4)), r"x must have a zero diagonal, as dissimilarities have, got 1.0 at \(0, 0\)"),
        (np.ones((4, 5)), r"x must be a square matrix of dissimilarities, or a vector .* got shape \(4, 5\)"),
        (np.ones(7), "x must be a square matrix of dissimilarities, or a vector .* got a vector of 7"),
        (
            np.triu(np.ones((6, 6)), 1),
            r"x must be a symmetric matrix .* entry \(0, 1\) is 1.0+ and entry \(1, 0\) is 0",
        ),
        (np.full(15, np.nan), "x must be finite, got nan at row 0"),
        (np.array(["a", "b", "c"]), "x must hold numbers, but has text"),
    ],
)
def test_what_is_not_a_matrix_of_dissimilarities_is_named(bad, words):
    with pytest.raises((ValueError, TypeError), match=words):
        given(bad, B)


@pytest.mark.parametrize("option", [{"normalize": "l2"}, {"clip_quantile": 0.9}])
def test_options_of_rows_are_refused(option):
    with pytest.raises(ValueError, match="normalize and clip_quantile apply to rows, but distance='precomputed' takes"):
        given(A, B, **option)


@every_comparison
def test_equal_dissimilarities_have_no_score(comparison):
    equal = np.zeros(15) if comparison in ("cosine", "whitened_cosine") else np.full(15, 0.7)
    for a, b, name in ((equal, B, "x"), (A, equal, "y")):
        for more in ({}, {"covariance": COVARIANCE}) if comparison in WHITENED else ({},):
            with pytest.warns(ka.UndefinedScoreWarning, match=f"all dissimilarities of {name} are (equal|zero)"):
                assert np.isnan(given(a, b, comparison=comparison, **more))


def test_two_matrices_that_are_read_as_features_are_told_of():
    x, y = related(20, 6, 9)
    a, b = squareform(pdist(x, "correlation")), squareform(pdist(y, "correlation"))
    with pytest.warns(ka.AlignmentWarning) as caught:
        as_rows = ka.rsa(a, b)
    words = "symmetric with a zero diagonal, as dissimilarities are, but rows are read as features: rsa with"
    assert [str(one.message)[: len(words) + 3] for one in caught] == [f"{name}: {words}" for name in "xy"]
    assert abs(as_rows - given(a, b)) > 0.01
    with pytest.warns(ka.AlignmentWarning, match="symmetric with a zero diagonal"):
        found = ka.compare({"a": a, "b": b}, metrics=["rsa"])
    assert "symmetric with a zero diagonal" in found.notes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given(a, b)
        ka.compare({"a": a, "b": b}, metrics=["rsa"], metric_options={"rsa": {"distance": "precomputed"}})
        ka.rsa(a + np.eye(20), b[:, :19])


# Everywhere that rsa is


def test_comparisons_of_many_and_their_files(tmp_path):
    x, y = related(20, 6, 9)
    a, b = pdist(x, "correlation"), pdist(y, "correlation")
    np.save(tmp_path / "a.npy", a)
    np.savez(tmp_path / "b.npz", squareform(b))
    for models in ({"a": a, "b": squareform(b)}, {"a": tmp_path / "a.npy", "b": tmp_path / "b.npz"}):
        for comparison in COMPARISONS:
            options = {"rsa": {"distance": "precomputed", "comparison": comparison}}
            found = ka.compare(models, metrics=["rsa"], metric_options=options)
            expected = given(a, b, comparison=comparison)
            assert found.scores["rsa"]["a", "b"] == pytest.approx(float(expected), rel=1e-12)
            assert next(iter(found.rows()))["p_value"] == pytest.approx(expected.p_value, rel=1e-9)
    with pytest.raises(
        ValueError, match="cka needs rows, but distance='precomputed' says that dissimilarities are given"
    ):
        ka.compare({"a": a, "b": b}, metrics={"s": ("rsa", {"distance": "precomputed"}), "cka": "cka"})
    with pytest.raises(
        ValueError, match="concatenated apply to rows, but distance='precomputed' takes dissimilarities"
    ):
        ka.compare({"a": a, "b": b}, metrics={"s": ("rsa", {"distance": "precomputed"})}, normalize="l2")


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_intervals_of_a_comparison_are_of_what_has_an_error(comparison):
    x, y = related(20, 6, 9)
    found = ka.compare({"a": x, "b": y}, metrics={"r": ("rsa", {"comparison": comparison})}, uncertainty=True)
    [row] = found.rows()
    known = comparison in ("spearman", "pearson", "cosine")
    assert row["score"] == pytest.approx(float(ka.rsa(x, y, comparison=comparison)), rel=1e-12)
    assert np.isfinite(row["stderr"] if row["stderr"] is not None else np.nan) == known


def test_layers_of_dissimilarities():
    x, y = related(20, 6, 9)
    layers = {"early": pdist(x, "euclidean"), "late": pdist(y, "euclidean")}
    found = ka.compare({"one": layers, "other": [squareform(pdist(x)), squareform(pdist(y))]}, **_precomputed())
    scores = found.scores["rsa"]["one", "other"]
    assert np.diag(scores) == pytest.approx([1, 1])
    assert scores[0, 1] == pytest.approx(float(ka.rsa(x, y, distance="euclidean")), rel=1e-12)


def _precomputed():
    return {"metrics": ["rsa"], "metric_options": {"rsa": {"distance": "precomputed"}}}


def test_permutation_test_moves_both_axes():
    x, y = related(16, 6, 9)
    a, b = pdist(x, "correlation"), pdist(y, "correlation")
    expected = ka.permutation_test("rsa", x, y, permutations=50)
    for one, other in ((a, b), (squareform(a), squareform(b))):
        found = ka.permutation_test(given, one, other, permutations=50)
        np.testing.assert_allclose(found.null, expected.null, rtol=1e-10, atol=1e-13)
        assert (found.score, found.p_value) == (pytest.approx(expected.score, rel=1e-12), expected.p_value)
        assert found.layers is None
    with pytest.raises(ValueError, match="cka needs rows, but distance='precomputed' takes dissimilarities"):
        ka.permutation_test([given, "cka"], a, b)


def test_differences_of_two_scores():
    x, y = related(20, 6, 9)
    z = y + np.random.default_rng(0).normal(size=y.shape)
    sides = [pdist(v, "euclidean") for v in (x, z, y)]
    for comparison in ("spearman", "pearson", "cosine"):
        found = ka.compare_scores("rsa", *sides, distance="precomputed", comparison=comparison)
        expected = ka.compare_scores("rsa", x, z, y, distance="euclidean", comparison=comparison)
        assert (found.difference, found.stderr) == pytest.approx((expected.difference, expected.stderr), rel=1e-9)
        assert found.score_a == pytest.approx(float(given(sides[0], sides[2], comparison=comparison)), rel=1e-12)
    with pytest.raises(ValueError, match="uncertainty='jackknife' of rsa is not known for comparison='kendall'"):
        ka.compare_scores("rsa", x, z, y, comparison="kendall")
    with pytest.raises(ValueError, match="distance"):
        ka.compare_scores("cka", x, z, y, distance="euclidean")
