"""rsa against naive definitions, enumeration of the null, exact ties, and everything that must not matter."""

import itertools
import math
import pickle

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign.metrics.kernel.ranks import mid_ranks
from reference import null_moments
from reference import rsa as oracle
from samples import orthogonal, related
from scipy import stats

DISTANCES = ("correlation", "cosine", "euclidean", "sqeuclidean")
COMPARISONS = tuple(oracle.COMPARISONS)

WHITENED = ("whitened_cosine", "whitened_pearson")

every_distance = pytest.mark.parametrize("distance", DISTANCES)
every_comparison = pytest.mark.parametrize("comparison", COMPARISONS)


def doubly_centred_cosine(a, b, n, comparison):
    """Of n x n matrices instead of the covariance of all pairs of pairs."""
    centre = np.eye(n) - 1 / n
    shift = comparison == "whitened_pearson"
    x, y = (centre @ oracle.square(v - shift * v.mean(), n) @ centre for v in (a, b))
    return oracle.cosine(x.ravel(), y.ravel())


@every_distance
@every_comparison
@pytest.mark.parametrize("n", [3, 4, 5, 17, 40])
def test_values_agree_with_the_oracle(distance, comparison, n):
    x, y = related(n, 6, 9, seed=n)
    score = ka.rsa(x, y, distance=distance, comparison=comparison)
    assert score == pytest.approx(oracle.rsa(x, y, distance, comparison), rel=1e-10, abs=1e-13)
    x, y = related(n, 20, 25, seed=n, dtype=np.float32)
    score = ka.rsa(x, y, distance=distance, comparison=comparison)
    assert score == pytest.approx(oracle.rsa(x, y, distance, comparison), abs=1e-6)


@every_distance
@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine", "whitened_cosine", "whitened_pearson"])
@pytest.mark.parametrize("n", [127, 129, 256, 513])
def test_sizes_around_the_edges_of_tiles(distance, comparison, n):
    x, y = related(n, 18, 17, seed=n)
    a, b = (oracle.dissimilarities(z, distance) for z in (x, y))
    if comparison in WHITENED:
        expected = doubly_centred_cosine(a, b, n, comparison)
    else:
        expected = stats.spearmanr(a, b)[0] if comparison == "spearman" else oracle.COMPARISONS[comparison](a, b)
    assert ka.rsa(x, y, distance=distance, comparison=comparison) == pytest.approx(expected, rel=1e-10)
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert ka.rsa(x, y, distance=distance, comparison=comparison) == pytest.approx(expected, abs=1e-6)


def test_defaults_are_spearman_of_correlation_distances():
    x, y = related(20, 6, 9)
    score = ka.rsa(x, y)
    assert score == ka.rsa(x, y, distance="correlation", comparison="spearman")
    assert (score.metric, score.n) == ("rsa", 20)
    assert (score.settings["distance"], score.settings["comparison"]) == ("correlation", "spearman")
    assert ka.rsa(x, x) == pytest.approx(1, rel=1e-14)


# Ties


@pytest.mark.parametrize("n,p,dtype", [(30, 4, np.int8), (30, 4, np.float64), (70, 20, ml_dtypes.bfloat16)])
@every_distance
def test_ties_of_integer_data_are_ties(distance, n, p, dtype):
    """Mathematically equal dissimilarities get equal ranks, although their float64 values differ by rounding."""
    rng = np.random.default_rng(n)
    x = rng.integers(0, 3, size=(n, p))
    y = x[:, : p - 1] + rng.integers(0, 2, size=(n, p - 1))
    for z in (x, y):
        z[:, :2] = [1, 3]  # no row is constant
        z[5] = z[6] = z[7]  # duplicates
    if distance in ("correlation", "cosine"):
        a, b = (oracle.exact_ranks(oracle.exact_angles(z, distance == "correlation")) for z in (x, y))
    else:
        a, b = (oracle.exact_ranks(oracle.exact_squared_distances(z)) for z in (x, y))
    assert len(np.unique(a)) < 0.97 * len(a)
    x, y = x.astype(dtype), y.astype(dtype)
    assert ka.rsa(x, y, distance=distance) == pytest.approx(oracle.pearson(a, b), rel=1e-12)
    if n < 50:
        tau = ka.rsa(x, y, distance=distance, comparison="kendall")
        signs = [np.sign(r[:, None] - r) for r in (a, b)]
        assert tau == pytest.approx((signs[0] * signs[1]).sum() / (len(a) * (len(a) - 1)), rel=1e-12)


def test_tau_a_counts_ties_as_neither():
    """Of the three distances 1, 1, 2 (x) and 1, 2, 3 (y): two pairs agree, one is tied in x."""
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
    assert ka.rsa(x, y, distance="euclidean", comparison="kendall") == pytest.approx(2 / 3, rel=1e-14)
    assert ka.rsa(x, x, distance="euclidean", comparison="kendall") == pytest.approx(2 / 3, rel=1e-14)
    assert ka.rsa(x, x, distance="euclidean", comparison="spearman") == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, (1 << 20) + 5000])
@pytest.mark.parametrize("kind", ["continuous", "few values", "equal", "spread", "close", "sorted", "reversed"])
def test_mid_ranks_are_those_of_scipy(n, kind):
    rng = np.random.default_rng(n)
    values = {
        "continuous": rng.normal(size=n) ** 2,
        "few values": rng.integers(0, 40, size=n).astype(float),
        "equal": np.full(n, 0.1),
        "spread": np.exp(2 * rng.normal(size=n)),
        "close": 1 + rng.permutation(n) * 1e-12,  # the upper bits are equal, the lower ones decide
        "sorted": np.arange(n) / 7,
        "reversed": np.arange(n)[::-1] / 7,
    }[kind]
    expected = stats.rankdata(values)
    if kind == "few values":
        values *= 1 + 1e-16 * rng.normal(size=n)
    found = mid_ranks(values.copy())
    # Of many numbers some are closer than 1e-13 of the median by chance.
    assert (found != expected).sum() <= 1e-5 * n
    assert np.abs(found - expected).max() <= 1


# Chance


@every_distance
@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine"])
@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_null_moments_are_those_of_all_pairings(distance, comparison, n):
    x, y = related(n, 4, 5, seed=n)
    scores = [oracle.rsa(x, y[list(order)], distance, comparison) for order in itertools.permutations(range(n))]
    score = ka.rsa(x, y, distance=distance, comparison=comparison)
    assert score.chance == pytest.approx(np.mean(scores), rel=1e-10, abs=1e-12)
    assert score.chance_sd == pytest.approx(np.std(scores), rel=1e-9)
    assert score.z == pytest.approx((float(score) - np.mean(scores)) / np.std(scores), rel=1e-8, abs=1e-8)
    assert score.p_value == pytest.approx(null_moments.share(np.array(scores)), abs=1e-12)
    assert score.settings["p_method"] == f"all {math.factorial(n)} pairings"


@pytest.mark.parametrize("n", [4, 5])
def test_null_moments_with_ties(n):
    x, y = np.array([[0], [1], [2], [4], [5]])[:n], np.array([[0], [2], [2], [6], [1]])[:n]
    scores = [oracle.rsa(x, y[list(order)], "euclidean", "spearman") for order in itertools.permutations(range(n))]
    score = ka.rsa(x, y, distance="euclidean")
    assert (score.chance, score.chance_sd) == pytest.approx((0, np.std(scores)), rel=1e-10)


@pytest.mark.parametrize("comparison", ["kendall", "tau_b"])
def test_kendall_is_zero_at_chance_and_has_a_p_value(comparison):
    x, y = related(5, 4, 5)
    scores = [oracle.rsa(x, y[list(o)], "cosine", comparison) for o in itertools.permutations(range(5))]
    assert np.mean(scores) == pytest.approx(0, abs=1e-14)
    score = ka.rsa(x, y, distance="cosine", comparison=comparison)
    assert (score.chance, score.chance_sd, score.z) == (0.0, None, None)
    assert score.p_value == pytest.approx(null_moments.share(np.array(scores)), abs=1e-12)
    assert score.settings["p_method"] == "all 120 pairings"


@pytest.mark.parametrize("comparison", ["pearson", "spearman"])
def test_p_values_are_those_of_the_pairings(comparison):
    x, y = np.random.default_rng(0).normal(size=(2, 30, 5))
    rng = np.random.default_rng(0)
    orders = [np.arange(30), *(rng.permutation(30) for _ in range(999))]
    sides = [oracle.dissimilarities(v, "correlation") for v in (x, y)]
    if comparison == "spearman":
        sides = [oracle.mid_ranks(v) for v in sides]
    a, b = (oracle.square(v - v.mean(), 30) for v in sides)
    values = np.array([(a * b[np.ix_(order, order)]).sum() for order in orders])
    score = ka.rsa(x, y, comparison=comparison)
    assert score.p_value == null_moments.share(values)
    assert score.settings["p_method"] == "999 random pairings, seed 0"
    strong = ka.rsa(x, x, comparison=comparison)
    assert strong.p_value == 1 / 1000
    assert ka.calibrated_score(strong) == pytest.approx(1)


@pytest.mark.parametrize("comparison", ["pearson", "cosine", "spearman", "rho_a"])
@pytest.mark.parametrize("n", [5, 30])
def test_p_values_of_a_comparison_are_those_of_single_pairs(n, comparison, monkeypatch):
    """Found together, of whichever is asked for first, and of the pairings."""
    monkeypatch.setattr("kernalign._statistics.triangle_null._HELD", 4 * 4 * n * n)
    rng = np.random.default_rng(3)
    models = {f"m{at}": rng.normal(size=(n, 3)) + rng.normal(size=(n, 1)) for at in range(7)}
    drawn = np.random.default_rng(0)
    orders = [np.arange(n), *(drawn.permutation(n) for _ in range(999))]
    orders = orders if n > 8 else list(itertools.permutations(range(n)))
    found = ka.compare(models, metrics={"one": ("rsa", {"comparison": comparison})})
    pairs = list(found.pairs("one"))
    rng.shuffle(pairs)
    for x, y in pairs:
        sides = [oracle.dissimilarities(models[name], "correlation") for name in (x, y)]
        if comparison in ("spearman", "rho_a"):
            sides = [oracle.mid_ranks(v) for v in sides]
        less = 0 if comparison == "cosine" else 1
        a, b = (oracle.square(v - less * v.mean(), n) for v in sides)
        values = np.array([(a * b[np.ix_(order, order)]).sum() for order in orders])
        p = found.p_values["one"][x, y].item()
        assert p == pytest.approx(null_moments.share(values), abs=1e-12)
        assert p == ka.rsa(models[x], models[y], comparison=comparison).p_value


def test_eight_items_have_no_p_value_below_that_of_all_pairings():
    x = np.random.default_rng(1).normal(size=(8, 5))
    assert ka.rsa(x, x).p_value == 1 / 40320


@pytest.mark.parametrize("comparison", ["pearson", "cosine", "spearman", "rho_a"])
@pytest.mark.parametrize("distance", ["euclidean", "precomputed"])
def test_p_of_many_items_is_that_of_evenly_spaced_ones(comparison, distance, monkeypatch):
    for module in (
        "_engines.gram_source",
        "_statistics.triangle_null",
        "metrics.kernel.rsa_ranks",
        "metrics.kernel.rsa_sums",
    ):
        monkeypatch.setattr(f"kernalign.{module}.SAMPLED_ROWS", 40)
    x, y = related(70, 2, 3)
    y += 2 * np.random.default_rng(2).normal(size=y.shape)
    sides = [oracle.dissimilarities(v, "euclidean") for v in (x, y)]
    score = ka.rsa(*(sides if distance == "precomputed" else (x, y)), distance=distance, comparison=comparison)
    if comparison in ("spearman", "rho_a"):
        sides = [oracle.mid_ranks(v) for v in sides]
    index = np.linspace(0, 69, 40).astype(int)
    a, b = (oracle.square(v - v.mean() * (comparison != "cosine"), 70)[np.ix_(index, index)] for v in sides)
    rng = np.random.default_rng(0)
    orders = [np.arange(40), *(rng.permutation(40) for _ in range(999))]
    values = np.array([(a * b[np.ix_(order, order)]).sum() for order in orders])
    assert score.p_value == null_moments.share(values)
    assert 0.001 < score.p_value < 0.2
    assert score.settings["p_method"] == "999 random pairings, seed 0 of 40 evenly spaced items"
    assert score.chance_sd is not None
    assert pickle.loads(pickle.dumps(score)).p_value == score.p_value
    with pytest.raises(ValueError, match="calibrated_score needs the null distribution of rsa"):
        ka.calibrated_score(score)
    if distance == "euclidean":
        grouped = ka.rsa(x, y, distance=distance, comparison=comparison, groups=np.arange(70) // 2)
        assert grouped.p_value is None
        assert grouped.settings["p_method"].startswith("none: pairings of so many items")


# What must not matter


@every_distance
@every_comparison
def test_rotation_and_scale_do_not_matter(distance, comparison):
    x, y = related(30, 6, 9)
    keywords = {"distance": distance, "comparison": comparison}
    score = float(ka.rsa(x, y, **keywords))
    for factor in (1e-100, 3.0, 1e100):
        assert ka.rsa(x * factor, y * -2, **keywords) == pytest.approx(score, rel=1e-10)
    if distance != "correlation":
        assert ka.rsa(x @ orthogonal(6), y @ orthogonal(9), **keywords) == pytest.approx(score, rel=1e-9)


@every_comparison
@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-8), (np.float32, 1e-6)])
@pytest.mark.parametrize("offset", [1e3, 1e6])
@every_distance
def test_an_offset_costs_no_digits(distance, comparison, offset, dtype, tolerance):
    """Cosines of such rows are 1 - 1e-12: the numbers as they were given decide."""
    x, y = related(30, 20, 19)
    x, y = (x + offset).astype(dtype), (y - offset).astype(dtype)
    score = ka.rsa(x, y, distance=distance, comparison=comparison)
    if (offset, distance) == (1e6, "cosine"):
        tolerance = 1e-3  # d^2 = 1e-12, so that its ninth digit is the last of a float64 coordinate
    assert score == pytest.approx(oracle.rsa(x, y, distance, comparison), abs=tolerance)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int16, np.uint8])
@every_distance
@every_comparison
def test_dtypes_and_strides_do_not_matter(distance, comparison, dtype):
    x, y = (np.abs(np.round(3 * z)).astype(dtype) for z in related(24, 20, 17, seed=1))
    keywords = {"distance": distance, "comparison": comparison}
    score = ka.rsa(x, y, **keywords)
    assert score == pytest.approx(oracle.rsa(x, y, distance, comparison), abs=1e-6)
    wide = np.zeros((48, 40), dtype)
    wide[::2, ::2] = x
    assert ka.rsa(wide[::2, ::2], np.asfortranarray(y), **keywords) == float(score)


@every_comparison
def test_threads_do_not_matter(comparison):
    x, y = related(300, 20, 17)
    assert len({float(ka.rsa(x, y, comparison=comparison, threads=t)) for t in (1, 2, 3)}) == 1


@every_comparison
def test_the_same_for_y_and_x(comparison):
    x, y = related(50, 20, 17)
    assert ka.rsa(x, y, comparison=comparison) == pytest.approx(ka.rsa(y, x, comparison=comparison), rel=1e-13)


def test_preprocessing_comes_first():
    x, y = related(30, 6, 9)
    from reference import alignment

    for keywords, prepare in (
        ({"normalize": "l2"}, alignment.l2_rows),
        ({"normalize": "standardize"}, alignment.standardized),
        ({"clip_quantile": 0.9}, lambda z: alignment.clipped(z, 0.9)),
    ):
        for distance in DISTANCES:
            expected = oracle.rsa(prepare(x), prepare(y), distance, "pearson")
            assert ka.rsa(x, y, distance=distance, comparison="pearson", **keywords) == pytest.approx(
                expected, rel=1e-9
            )


# Input without a value, and bad input


@pytest.mark.parametrize("comparison", ["pearson", "spearman", "kendall"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_distance
@pytest.mark.parametrize("n", [4, 100])
def test_equidistant_items_have_nothing_to_compare(distance, comparison, dtype, n):
    x, y = np.eye(n, dtype=dtype), related(n, 20, 3, dtype=dtype)[0]
    for pair, name in (((x, y), "x"), ((y, x), "y")):
        with pytest.warns(ka.UndefinedScoreWarning, match=f"all dissimilarities of {name} are equal"):
            score = ka.rsa(*pair, distance=distance, comparison=comparison)
        assert np.isnan(score)
        assert score.reason == f"all dissimilarities of {name} are equal"


@every_comparison
@pytest.mark.parametrize("distance", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("value", [0.1, 3.0])
def test_a_constant_representation_has_no_rsa(distance, comparison, value):
    with pytest.warns(ka.UndefinedScoreWarning, match="dissimilarities of x are (equal|zero)"):
        assert np.isnan(ka.rsa(np.full((9, 5), value), related(9, 3, 3)[0], distance=distance, comparison=comparison))


def test_the_warning_points_at_the_caller():
    for comparison in COMPARISONS:
        with pytest.warns(ka.UndefinedScoreWarning) as caught:
            ka.rsa(np.ones((9, 5)), related(9, 3, 3)[0], distance="cosine", comparison=comparison)
        assert caught[0].filename == __file__


def test_rows_without_a_direction_are_errors():
    x, y = related(9, 4, 5)
    constant, zero = x.copy(), x.copy()
    constant[4], zero[5] = 2.0, 0.0
    with pytest.raises(ValueError, match=r"x must have no constant row .* row 4 is constant"):
        ka.rsa(constant, y)
    with pytest.raises(ValueError, match=r"y must have no zero row .* row 5 is zero"):
        ka.rsa(y, zero, distance="cosine")
    assert np.isfinite(ka.rsa(constant, y, distance="cosine"))


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])
def test_rows_without_a_direction_can_be_dropped(value):
    x, y = related(30, 4, 5)
    x[4], y[[7, 9]] = value, value
    keep = np.delete(np.arange(30), [4, 7, 9])
    score = ka.rsa(x, y, zero_rows="drop_pair")
    assert score == float(ka.rsa(x[keep], y[keep]))
    assert (score.n, score.settings["dropped"]) == (27, 3)
    if value:  # a direction, if not about its mean
        assert ka.rsa(x, y, distance="cosine", zero_rows="drop_pair").settings["dropped"] == 0


@pytest.mark.parametrize("n", [1, 2])
def test_three_items_are_needed(n):
    with pytest.raises(ValueError, match=f"rsa needs at least 3 rows, got {n}"):
        ka.rsa(np.arange(2.0 * n).reshape(n, 2), np.ones((n, 2)) * [1, 2], distance="euclidean")


@pytest.mark.parametrize("argument", ["distance", "comparison"])
@pytest.mark.parametrize("bad", ["Euclidean", "", None, 1, True])
def test_unknown_choices_are_named(argument, bad):
    with pytest.raises(ValueError, match=f"{argument} must be .*, got {bad!r}"):
        ka.rsa(*related(9, 3, 3), **{argument: bad})


@every_comparison
@pytest.mark.parametrize("distance", ["euclidean", "sqeuclidean"])
@pytest.mark.parametrize("scale", [1e200, 1e-155, 1e-170, 1e-290])
def test_units_whose_squares_do_not_fit_change_nothing(comparison, distance, scale):
    x, y = related(20, 3, 3)
    expected = ka.rsa(x, y, distance=distance, comparison=comparison)
    assert ka.rsa(x * scale, y, distance=distance, comparison=comparison) == pytest.approx(float(expected), rel=1e-10)


# Rounding


def two_class_logits():
    """Logits of two classes: every correlation is 1 or -1, and over half of the distances are 0."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 60, 2))
    x[:, 0] += 0.8
    same = (x[:, 0] > x[:, 1]) != (y[:, 0] > y[:, 1])
    y[same] = y[same, ::-1]
    return x, y


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("comparison", ["spearman", "pearson", "kendall"])
def test_most_distances_are_zero(dtype, comparison):
    x, y = (side.astype(dtype) for side in two_class_logits())
    score = ka.rsa(x, y, comparison=comparison)
    assert score == pytest.approx(oracle.rsa(x, y, "correlation", comparison), rel=1e-10)
    if comparison != "kendall":
        assert score == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("distance", ["correlation", "cosine"])
@every_comparison
def test_rows_on_one_line_have_no_angles(dtype, distance, comparison):
    rng = np.random.default_rng(1)
    x = (rng.uniform(1, 9, (30, 1)) * rng.standard_normal(12) + (2 if distance == "correlation" else 0)).astype(dtype)
    y = rng.standard_normal((30, 4))
    reason = "zero" if comparison in ("cosine", "whitened_cosine") else "equal"
    for a, b, name in ((x, y, "x"), (y, x, "y"), (x, x, "x")):
        with pytest.warns(ka.UndefinedScoreWarning, match=f"all dissimilarities of {name} are {reason}"):
            assert np.isnan(ka.rsa(a, b, distance=distance, comparison=comparison))


@pytest.mark.parametrize("spread", [1e-5, 1e-9])
def test_small_distances_beside_large_ones_keep_their_order(spread):
    """Two tight clusters: their inner distances, which the tolerance must not tie, are over half of all."""
    rng = np.random.default_rng(2)
    x = np.repeat([[0.0, 0, 0], [1, 2, 3]], 15, axis=0) + spread * rng.standard_normal((30, 3))
    y = rng.standard_normal((30, 3))
    score = ka.rsa(x, y, distance="euclidean")
    assert score == pytest.approx(oracle.rsa(x, y, "euclidean", "spearman"), abs=2e-4)


@every_distance
@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine"])
@pytest.mark.parametrize("tied", [False, True])
def test_jackknife_sums_the_influence_of_every_item(distance, comparison, tied):
    x, y = related(18, 6, 9, seed=3)
    if tied:
        x, y = np.round(x), np.round(y) + 1.0
    score = ka.rsa(x, y, distance=distance, comparison=comparison, uncertainty="jackknife")
    if comparison == "spearman":
        moved = oracle.influences(x, y, distance, comparison)
        assert score.stderr == pytest.approx(np.sqrt((moved**2).sum() / (18 * 17)), rel=1e-5)
    else:
        rest = [np.delete(np.arange(18), i) for i in range(18)]
        deleted = np.array([oracle.rsa(x[r], y[r], distance, comparison) for r in rest])
        assert score.stderr == pytest.approx(np.sqrt(17 / 18 * ((deleted - deleted.mean()) ** 2).sum()), rel=1e-9)
    assert score == ka.rsa(x, y, distance=distance, comparison=comparison)
    low, high = score.interval()
    assert -1 < low < score < high < 1


def test_jackknife_of_ranks_is_near_that_of_explicit_deletions():
    x, y = related(40, 6, 9)
    rest = [np.delete(np.arange(40), i) for i in range(40)]
    deleted = np.array([float(ka.rsa(x[r], y[r])) for r in rest])
    explicit = np.sqrt(39 / 40 * ((deleted - deleted.mean()) ** 2).sum())
    assert ka.rsa(x, y, uncertainty="jackknife").stderr == pytest.approx(explicit, rel=0.05)


def coverage(n, comparison, repetitions, draw, distance="correlation"):
    """Share of 95 % intervals that hold the expected score."""
    found = []
    for seed in range(repetitions):
        rng = np.random.default_rng([n, seed])
        z = draw(rng, (n, 6))
        x, y = (z + 0.5 * draw(rng, (n, 6)) for _ in "xy")
        found.append(ka.rsa(x, y, distance=distance, comparison=comparison, uncertainty="jackknife", threads=1))
    centre = np.mean([float(score) for score in found])
    return np.mean([low <= centre <= high for low, high in (score.interval() for score in found)])


def test_coverage_of_the_jackknife():
    assert 0.91 <= coverage(30, "spearman", 200, lambda rng, size: rng.standard_normal(size)) <= 0.985


def test_coverage_where_few_distances_rule():
    """The influence of each item, to first order, made intervals of 20 items with heavy tails that covered .7."""
    assert 0.85 <= coverage(20, "pearson", 200, lambda rng, size: rng.standard_t(3, size), "sqeuclidean") <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine"])
@pytest.mark.parametrize("n", [10, 20, 50, 150])
@pytest.mark.parametrize("law", ["normal", "t"])
def test_coverage_of_the_jackknife_of_many_kinds(n, comparison, law):
    draws = {"normal": lambda rng, size: rng.standard_normal(size), "t": lambda rng, size: rng.standard_t(3, size)}
    assert 0.905 <= coverage(n, comparison, 600, draws[law]) <= 0.98


def test_jackknife_of_kendall_is_not_known():
    x, y = related(20, 6, 9)
    with pytest.raises(ValueError, match="not known for comparison='kendall'"):
        ka.rsa(x, y, comparison="kendall", uncertainty="jackknife")
    with pytest.raises(ValueError, match="uncertainty must be None or 'jackknife', got 'half-sampling'"):
        ka.rsa(x, y, uncertainty="half-sampling")  # type: ignore[arg-type]
    with pytest.warns(ka.UndefinedScoreWarning):
        assert ka.rsa(np.eye(9), y[:9], uncertainty="jackknife").stderr is None
