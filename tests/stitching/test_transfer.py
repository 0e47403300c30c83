"""Transfer of probes between models: planted maps, nothing leaks from the test items, and the paired statistics."""

import numpy as np
import pytest
from kernalign import demo
from kernalign.stitching import AffineStitcher
from kernalign.stitching.probes import LinearProbe
from kernalign.stitching.transfer import mcnemar, transfer_accuracy, wilson_interval
from reference import probes as oracle
from samples import orthogonal


def models(n=120, p=5, q=5, classes=3, noise=0.0, seed=0):
    """A's features, B's as an invertible map of them plus noise, and labels that A shows clearly."""
    rng = np.random.default_rng(seed)
    numbers = np.r_[np.arange(classes), rng.integers(classes, size=n - classes)]
    a = rng.normal(size=(n, p)) + 2 * rng.normal(size=(classes, p))[numbers]
    b = a @ rng.normal(size=(p, q)) + 3 + noise * rng.normal(size=(n, q))
    return a, b, np.array(["cat", "ant", "bee", "dog"])[numbers]


TEST = np.arange(120) % 3 == 0


class Recorder:
    """A map by an orthogonal matrix that keeps what it was shown."""

    shown = None

    def fit(self, x, y):
        self.shown = (x, y)
        return self

    def transform(self, x):
        return x @ np.eye(x.shape[1])


def test_a_map_that_loses_nothing_transfers_everything():
    a, b, labels = models()
    found = transfer_accuracy(a, b, labels, TEST)
    assert found.accuracy == found.native_a > 0.8
    assert found.ratio == pytest.approx(1)
    assert found.against_a.p_value == 1
    assert found.n == 40
    assert found.settings == {
        "train": 80,
        "stitcher": "RidgeStitcher",
        "probe": "LinearProbe",
        "classes": 3,
    }


def test_every_number_agrees_with_the_steps_by_hand():
    a, b, labels = models(q=7, noise=2.0)
    found = transfer_accuracy(a, b, labels, np.flatnonzero(TEST), stitcher=AffineStitcher(), probe=LinearProbe(0.05))
    design = np.hstack([np.ones((80, 1)), b[~TEST]])
    weights = np.linalg.lstsq(design, a[~TEST], rcond=None)[0]
    mapped = np.hstack([np.ones((40, 1)), b[TEST]]) @ weights
    of_a, of_b = (LinearProbe(0.05).fit(side[~TEST], labels[~TEST]) for side in (a, b))
    hits = [fit.predict(x) == labels[TEST] for fit, x in ((of_a, mapped), (of_a, a[TEST]), (of_b, b[TEST]))]
    np.testing.assert_array_equal(found.correct, hits[0])
    assert (found.accuracy, found.native_a, found.native_b) == tuple(h.mean() for h in hits)
    values, counts = np.unique(labels[~TEST], return_counts=True)
    assert found.chance == (labels[TEST] == values[counts.argmax()]).mean()
    assert found.ratio == pytest.approx((found.accuracy - found.chance) / (found.native_a - found.chance))
    for h, interval in zip(hits, (found.interval, found.interval_a, found.interval_b), strict=True):
        np.testing.assert_allclose(interval, oracle.wilson(h.sum(), 40), rtol=1e-9)
    for h, test in zip(hits[1:], (found.against_a, found.against_b), strict=True):
        expected = oracle.mcnemar(hits[0], h)
        assert (test.only_first, test.only_second) == expected[:2]
        assert test.p_value == pytest.approx(expected[2], rel=1e-9)


def test_unrelated_models_transfer_nothing():
    a, _, labels = models(n=600)
    b = np.random.default_rng(5).normal(size=(600, 5))
    found = transfer_accuracy(a, b, labels, np.arange(300))
    assert found.native_a > 0.8
    assert abs(found.ratio) < 0.25
    assert found.against_a.p_value < 1e-6
    assert found.interval[1] < found.interval_a[0]


def test_nothing_is_learnt_from_the_test_items():
    a, b, labels = models(noise=2.0)
    before = transfer_accuracy(a, b, labels, TEST)
    a2, b2, labels2 = a.copy(), b.copy(), labels.copy()
    last = np.flatnonzero(TEST)[-20:]
    a2[last], b2[last], labels2[last] = 99.0, -99.0, "eel"
    after = transfer_accuracy(a2, b2, labels2, TEST)
    np.testing.assert_array_equal(after.correct[:20], before.correct[:20])
    assert not after.correct[20:].any()
    recorder = Recorder()
    transfer_accuracy(a, b, labels, TEST, stitcher=recorder)
    assert recorder.shown is None  # a copy was fitted


def test_any_map_and_any_probe_will_do():
    a, _, labels = models()
    q = orthogonal(5)

    class Rotation(Recorder):
        def transform(self, x):
            np.testing.assert_array_equal(self.shown[0], (a @ q)[~TEST])
            np.testing.assert_array_equal(self.shown[1], a[~TEST])
            return x @ q.T

    class Commonest:
        def fit(self, x, y):
            values, counts = np.unique(y, return_counts=True)
            self.name = values[counts.argmax()]

        def predict(self, x):
            return [self.name] * len(x)

    turned = transfer_accuracy(a, a @ q, labels, TEST, stitcher=Rotation())
    assert turned.accuracy == turned.native_a
    assert turned.settings["stitcher"] == "Rotation"
    silly = transfer_accuracy(a, a, labels, TEST, probe=Commonest())
    assert silly.accuracy == silly.native_a == silly.chance
    assert np.isnan(silly.ratio)


def test_more_features_than_items():
    a, b, labels = models(p=150, q=200)
    found = transfer_accuracy(a, b, labels, TEST)
    assert found.accuracy > found.chance
    exact = transfer_accuracy(a, b, labels, TEST, stitcher=AffineStitcher())  # fits the training items exactly
    assert found.accuracy >= exact.accuracy


def test_a_real_probe_works_on_another_model():
    """Demo data: a probe of one text encoder tells people and faces from the rest on another one's features."""
    data = demo.representations()
    labels = np.array(["face" in item["en"] or "person" in item["en"] for item in demo.items()])
    test = np.random.default_rng(0).permutation(len(labels))[:180]
    found = transfer_accuracy(data["minilm"], data["glove"], labels, test, probe=LinearProbe(0.1))
    assert found.native_a > found.chance + 0.03
    assert found.chance < found.accuracy <= found.native_a
    assert 0 < found.ratio <= 1


def test_labels_of_every_kind_and_layouts_give_the_same():
    a, b, labels = (np.round(side * 8) / 8 if side.dtype == float else side for side in models(noise=1.0))
    expected = transfer_accuracy(a, b, labels, TEST)
    numbers = np.unique(labels, return_inverse=True)[1]
    for x, y, names, test in (
        (a.astype(np.float32), np.asfortranarray(b), labels.tolist(), TEST.tolist()),
        (a.tolist(), b, numbers, np.flatnonzero(TEST)[::-1]),
    ):
        found = transfer_accuracy(x, y, names, test)
        np.testing.assert_array_equal(found.correct, expected.correct)


@pytest.mark.parametrize(
    "change,error,words",
    [
        ({"b": np.ones((119, 3))}, ValueError, "same length, got 120, 119 and 120"),
        ({"labels": np.zeros(120)}, TypeError, "labels must be class labels"),
        ({"labels": np.zeros(120, int)}, ValueError, "at least two classes"),
        ({"test": TEST[1:]}, ValueError, "one boolean per row, got 119 for 120 rows"),
        ({"test": [0, 120]}, ValueError, "indices between 0 and 119, got 0 to 120"),
        ({"test": [-1]}, ValueError, "indices between 0 and 119, got -1"),
        ({"test": [0.5]}, TypeError, "booleans or indices"),
        ({"test": np.zeros(120, bool)}, ValueError, "an item to test and two to train on, got 0 test items of 120"),
        ({"test": np.arange(119)}, ValueError, "two to train on, got 119"),
        ({"b": np.ones((120, 3)), "stitcher": Recorder()}, ValueError, r"the shape \(40, 5\).*got \(40, 3\)"),
        ({"a": np.full((120, 5), np.nan)}, ValueError, "a.*row 0, column 0"),
    ],
)
def test_bad_input_is_named(change, error, words):
    a, b, labels = models()
    arguments = {"a": a, "b": b, "labels": labels, "test": TEST} | change
    with pytest.raises(error, match=words):
        transfer_accuracy(**arguments)


def test_a_probe_that_answers_in_the_wrong_shape_is_named():
    class Scores(LinearProbe):
        def predict(self, x):
            return self.decision(x)

    with pytest.raises(ValueError, match="one class for each of 40 rows"):
        transfer_accuracy(*models(), TEST, probe=Scores())


# The statistics


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_agrees_with_summed_binomials(seed):
    first, second = np.random.default_rng(seed).uniform(size=(2, 30)) < np.array([[0.8], [0.5]])
    expected = oracle.mcnemar(first, second)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == expected[:2]
    assert found.p_value == pytest.approx(expected[2], rel=1e-12)
    assert mcnemar(second, first).p_value == pytest.approx(found.p_value)


def test_mcnemar_by_hand_and_its_refusals():
    assert mcnemar([True] * 5 + [False], [False] * 5 + [False]).p_value == pytest.approx(2 / 32)
    assert mcnemar([True, False], [True, False]).p_value == 1
    with pytest.raises(TypeError, match="first must be booleans"):
        mcnemar([1, 0], [True, False])
    with pytest.raises(ValueError, match="1-D of one length"):
        mcnemar([True], [True, False])


@pytest.mark.parametrize("successes,n", [(0, 10), (10, 10), (3, 10), (1, 1), (499, 1000)])
def test_wilson_solves_its_equation(successes, n):
    low, high = wilson_interval(successes, n)
    np.testing.assert_allclose((low, high), oracle.wilson(successes, n), rtol=1e-6, atol=1e-9)
    assert 0 <= low <= successes / n <= high <= 1
    narrow = wilson_interval(successes, n, 0.5)
    assert low <= narrow[0]
    assert narrow[1] <= high


def test_wilson_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [wilson_interval(int(k), 60) for k in rng.binomial(60, 0.15, size=2000)]
    assert np.mean([low <= 0.15 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.02)
    for arguments, words in (((1, 0), "n must be"), ((3, 2), "between 0 and n = 2, got 3"), ((1, 2, 1.0), "level")):
        with pytest.raises(ValueError, match=words):
            wilson_interval(*arguments)
