"""What makes scores mean less than they seem to is said beside scores, by compare and by the command line alike."""

import math
import warnings
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign._base import hazards
from kernalign.cli import main
from samples import related

CLIPART = Path(__file__).parents[1] / "data" / "clipart_small.npz"


def dominated(seed=0, n=200, p=20, by=8.0):
    """Two clouds whose one large direction they share, and nothing else."""
    rng = np.random.default_rng(seed)
    common = np.zeros((n, p))
    common[:, 0] = by * rng.permutation(np.linspace(-2, 2, n))
    return [common + 0.3 * rng.normal(size=(n, p)) for _ in "xy"]


def share(x):
    variances = np.linalg.eigvalsh(np.cov(x.T))
    return variances[-1] / variances.sum()


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_of_the_largest_share_is_one_and_is_tight_where_it_matters(seed):
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=rng.integers(2, 9)) ** rng.integers(1, 6)
    top, bound = values.max() / values.sum(), hazards.top_share_bound(values.sum(), (values**2).sum())
    assert bound <= top * (1 + 1e-12)
    if top > 0.91:
        assert bound > hazards.DOMINANT
        assert bound == pytest.approx(top, abs=0.01)


@pytest.mark.parametrize(("trace", "squares"), [(0.0, 0.0), (2.0, 4.0), (math.inf, math.inf), (math.nan, 1.0)])
def test_no_bound_without_a_rest(trace, squares):
    assert hazards.top_share_bound(trace, squares) == 0.0


def test_cka_warns_of_a_dominant_direction():
    x, y = dominated()
    assert share(x) > 0.9
    with pytest.warns(ka.AlignmentWarning, match=r"one direction holds at least 98\.0 % of the variance of [xy]"):
        ka.cka(x, y)
    with pytest.warns(ka.AlignmentWarning, match="of the variance of y: linear CKA is blind"):
        ka.Moments().update(related(200, 5, 5)[0], y).cka()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ka.cka(x, y, normalize="standardize")
        ka.cka(x, y, kernel=ka.RBF())
        ka.cka(x[:, :1], y[:, :1])  # there is no rest
        ka.cka(*related(200, 5, 5))


@pytest.mark.parametrize("layers", ["all", "best"])
def test_compare_notes_what_describe_says(layers):
    x, y = dominated()
    z = related(200, 6, 6)[0]
    z[5] = z[7] = z[9]
    xs = {"x": np.stack([x, x + 0.01], axis=1), "y": y, "z": z}
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare(xs, layers=layers, metric_options={"mutual_knn": {"metric": "euclidean"}}, k=5)
    said = {"x": ka.describe(x).warnings, "z": ka.describe(z).warnings}
    [dominant] = [note for note in found.notes if "one direction holds" in note]
    assert dominant.startswith("x layer 0: one direction holds at least 98.0 %")
    assert dominant.endswith("(and 2 more like it)")
    assert said["x"][0].split(": ")[1] in dominant
    assert f"z: {said['z'][0]}" in found.notes


@pytest.mark.parametrize("layers", ["all", "best"])
def test_metrics_that_disagree(layers):
    rng = np.random.default_rng(1)
    common = np.zeros((200, 1))
    common[:20] = 30  # a coarse group in which both agree, as a confound would have it
    disagree = {name: common * rng.normal(size=30) + 4 * rng.normal(size=(200, 30)) for name in "xy"}
    with pytest.warns(ka.AlignmentWarning, match="x × y: cka 0[.]9.* is high but mutual_knn .* near its chance level"):
        ka.compare(disagree, k=40, layers=layers)
    assert float(ka.cka(*disagree.values())) >= 0.3
    agree = dict(zip("xy", related(200, 6, 6), strict=True))
    for k in (10, 199):  # with all others as neighbours mutual_knn is 1, and says nothing
        assert ka.compare(agree, k=k).notes == ()


def test_biased_cka_that_is_chance():
    rng = np.random.default_rng(0)
    xs = {name: rng.normal(size=(40, 100)) for name in "ab"}
    with pytest.warns(ka.AlignmentWarning, match=r"a × b: cka 0\.7\d+ is mostly chance"):
        ka.compare(xs, metrics=("cka",), estimator="biased")
    assert ka.compare(xs, metrics=("cka",)).notes == ()


def test_zero_rows_and_saturation():
    x, y = related(30, 40, 50)
    x[3] = x[4] = 0
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"x": x, "y": y}, metrics=("cka", "linear_predictivity"))
    assert any("x: 2 rows are zero" in note for note in found.notes)
    assert any("the score is 1 whatever y is" in note for note in found.notes)
    assert not any("repeat" in note for note in found.notes)  # no neighbours were asked for


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, ">f8"])
def test_duplicates_in_any_type(dtype):
    x = (10 * related(60, 30, 5)[0]).astype(np.int8).astype(dtype)
    x[10:13] = x[5]
    if np.dtype(dtype).kind == "f":
        x[:, 0] = 0
        x[11, 0] = -0.0
    with pytest.warns(ka.AlignmentWarning, match="x: 3 rows repeat an earlier row"):
        ka.compare({"x": x, "y": related(60, 5, 5)[1]}, metrics=("mutual_knn",))


def test_the_command_line_says_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = dominated()
    y[7] = y[8]
    np.save("x.npy", x)
    np.save("y.npy", y)
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"x": x, "y": y})
    for more in ([], ["--layers", "all"]):
        told = CliRunner().invoke(main, ["compare", "x.npy", "y.npy", *more]).stderr
        assert "one direction holds at least" in told
        assert "note: y: 1 row repeats an earlier row" in told
        assert "is high but mutual_knn" in told or not any("is high but" in note for note in found.notes)


def test_real_layers_of_one_direction():
    data = np.load(CLIPART)
    said = [name for name in data if data[name].ndim == 2 and ka.describe(data[name]).top_share > 0.9]
    names = [name for name in data if data[name].ndim == 2][:4]
    found = ka.compare({name: data[name] for name in names}, metrics=("cka",))
    assert bool(set(said) & set(names)) == any("one direction" in note for note in found.notes)
