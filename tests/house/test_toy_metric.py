"""A new metric is one function and one record: everything that takes a metric by name then knows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign._base.score import Null
from kernalign.cli import main
from kernalign.metrics import registry
from kernalign.metrics.neighbors.search import search_both
from kernalign.metrics.record import MetricInfo, OfLists
from samples import related

X, Y = related(60, 5, 7)


def first_knn(x, y, k=10, *, metric="cosine", **options):
    """Share of the items whose nearest neighbour is among the k nearest of the other side."""
    return finish(search_both(x, y, k, metric, "index", options, ordered=True))


def items(x, y, threads=0):
    return (y == x[:, :1]).any(axis=1).astype(float)


def finish(found):
    value = float(items(found.x.indices, found.y.indices).mean())
    return found.score("first_knn", value, Null(found.k / (found.n - 1)), None)


def gap(x, y, **options):
    """Difference of the mean squares: a distance that is called pair by pair."""
    return ka.Score(abs(float((x**2).mean() - (y**2).mean())), metric="gap", n=len(x))


TOYS = {
    "first_knn": MetricInfo(
        "share of nearest neighbours kept", (0.0, 1.0), first_knn, False, states=OfLists(finish, None, items, True)
    ),
    "gap": MetricInfo("difference of mean squares", (0.0, np.inf), gap, larger_is_closer=False),
}


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for name, record in TOYS.items():
        monkeypatch.setitem(registry._RECORDS, name, record)


@pytest.mark.parametrize("name", TOYS)
def test_measure(name):
    assert ka.measure(name, X, Y) == TOYS[name].function(X, Y)


@pytest.mark.parametrize("layers", ["all", "best"])
def test_compare_and_its_file(layers, tmp_path):
    models = {"a": X, "b": Y, "c": np.stack([X, X[::-1]], axis=1)}
    found = ka.compare(models, metrics=tuple(TOYS), k=7, layers=layers)
    best = found.best("first_knn")
    assert found.pairs("first_knn")[:2] == [("a", "b"), ("a", "c")]  # both orders, as it is not symmetric
    assert ("b", "a") in found.pairs("first_knn")
    assert ("b", "a") not in found.pairs("gap")
    assert best["b", "a"][0] == first_knn(Y, X, 7)
    assert best["a", "c"] == (1.0, (0, 0), pytest.approx(np.nan, nan_ok=True))
    assert found.best("gap")["a", "c"][0] == 0  # the smallest, as it is a distance
    found.save(tmp_path / "toy.ka")
    np.testing.assert_array_equal(ka.Comparison.load(tmp_path / "toy.ka").best("first_knn").score, best.score)


def test_compare_shares_lists(monkeypatch):
    from kernalign.comparison.families import lists

    searched = []
    find = lists.find
    monkeypatch.setattr(lists, "find", lambda *a, **k: (searched.append(1), find(*a, **k))[1])
    ka.compare({"a": X, "b": Y}, metrics=("mutual_knn", "first_knn"), k=7)
    assert len(searched) == 2


def test_permutation_test_renames_lists_and_calls_others():
    tests = ka.permutation_test(["first_knn", "gap"], X, Y, permutations=19, k=7)
    assert tests["first_knn"].score == first_knn(X, Y, 7)
    assert tests["first_knn"].best == 1.0
    assert tests["gap"].p_value == 1.0  # no pairing changes it
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(X)) for _ in range(19)]
    np.testing.assert_allclose(tests["first_knn"].null, [first_knn(X, Y[order], 7) for order in orders])


def test_the_command_line(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", X)
    np.save("b.npy", Y)
    np.save("c.npy", X[::-1])
    command = ["compare", "a.npy", "b.npy", "c.npy", "-k", "7", "--metric", "first_knn", "--json"]
    for more in ([], ["--layers", "all"]):
        result = CliRunner().invoke(main, command + more)
        assert result.exit_code == 0
        rows = json.loads(result.stdout)["rows"]
        assert len(rows) == 6
        assert rows[0]["score"] == pytest.approx(first_knn(X, Y, 7), rel=1e-12)


def test_no_module_asks_for_a_metric_by_name():
    """Rule 4: outside the files that define metrics nothing branches on a metric's name."""
    package = Path(ka.__file__).parent
    rooms = ("comparison", "inference", "cli", "stitching", "theory", "_statistics", "_engines", "_rows")
    names = {name for name in ka.METRICS if name not in TOYS}
    wrong = []
    for room in rooms:
        for path in (package / room).rglob("*.py"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(r"==|!=|\b(if|elif|and|or) .* in \(", line) and any(f'"{name}"' in line for name in names):
                    wrong.append(f"{path.relative_to(package)}:{number}: {line.strip()}")
    assert wrong == []
