"""Whatever stands in suite.toml is taken or named before anything is opened."""

import copy
import datetime
from pathlib import Path

import pytest
from kernalign import suite
from kernalign.suite import description

WHOLE = {
    "suite": {"name": "s", "schema": 1, "seed": 0},
    "sets": {"a": {"ids": "i.json#id", "groups": "i.json#g", "labels": "i.json#l"}},
    "models": [
        {"name": "m", "family": "f", "side": "s", "set": {"a": "m.npy"}, "layers": ["one"], "competence": 1.0},
        {"glob": "*.npy", "side": "t", "layers": "last"},
    ],
    "pairs": {"which": "list", "list": [["m", "n"]]},
    "defaults": {
        "normalize": "l2",
        "clip_quantile": 0.9,
        "zero_rows": "error",
        "nan_rows": "error",
        "concatenated": False,
        "p": "exact",
        "k": 5,
        "uncertainty": True,
    },
    "metrics": [
        {"id": "cka", "kernel": "rbf"},
        {"id": "two kernels", "metric": "cka", "kernel": {"s": "rbf", "t": "linear"}},
        {"id": "mknn", "metric": "mutual_knn", "k": 3},
    ],
    "run": {"executor": "serial", "memory": "1 GiB"},
    "checks": [
        {"kind": "order", "metric": "cka", "set": "a", "x": "m", "expect": ["a", "b"], "level": 0.1},
        {"kind": "above_chance", "metric": "cka", "x": "m", "y": "n", "level": 0.1},
        {"kind": "separation", "metric": "cka", "by": "family", "least": 0.1},
        {"kind": "monotone", "metric": "cka", "x": "m", "y": "n", "least": 0.1},
        {"kind": "agreement", "metric": "cka", "other": "mknn", "least": 0.1},
        {"kind": "bound", "metric": "cka", "low": 0, "high": 1},
        {"kind": "uniform", "metric": "cka", "level": 0.1},
        {"kind": "nested", "metric": "cka", "order": ["a", "b"], "least": 0.1},
        {"kind": "same_layer", "metric": "cka", "least": 0.1},
        {"kind": "known", "metric": "cka", "values": [["a", "b", 1]], "of": "size", "least": 0.1},
        {"kind": "noticed", "metric": "cka", "whole": ["a"], "cut": {"a": ["b"]}, "sizes": [1], "of": "16"},
        {"kind": "probe", "x": "m", "least": 0.5},
    ],
}
VALUES = (3, -1, 1.5, "x", "", True, [], [3], ["x"], [[1, 2]], {}, {"x": 3}, datetime.date(2020, 1, 1), float("nan"))


def places(value, at=()):
    if at:
        yield at
    for key, own in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(own, (*at, key))


def replaced(at, value):
    """The whole with another value at one place."""
    made = copy.copy(WHOLE)
    inner = made
    for key in at[:-1]:
        inner[key] = copy.copy(inner[key])
        inner = inner[key]
    inner[at[-1]] = value
    return made


def described(table):
    return description.describe(table, Path("suite.toml"))


def test_values_of_every_kind_at_every_place_are_taken_or_named():
    described(WHOLE)
    for at in places(WHOLE):
        taken = []
        for value in VALUES:
            try:
                described(replaced(at, value))
            except ValueError:
                continue
            taken.append(type(value))
        key = next(key for key in reversed(at) if isinstance(key, str))
        if key in ("level", "least", "low", "high", "competence", "clip_quantile"):
            assert taken == [int, int, float], at
        elif key in ("x", "y", "id", "metric", "name", "glob", "ids", "groups", "labels"):
            assert set(taken) <= {str}, at


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("suite", "schema"), 2, "suite.schema must be 1, got 2"),
        (("suite", "seed"), "x", "suite.seed must be an integer of at least 0, got 'x'"),
        (("sets",), {}, "at least one set"),
        (("sets",), [], "sets must be a table"),
        (("sets", "a"), {"groups": "i.json#g"}, "sets.a.ids must name the items"),
        (("pairs", "list"), [["m", "n", "o"]], "pairs.list must be a list of pairs of names"),
        (("pairs", "list"), [["m", "n"], ["n", "m"]], "pairs.list must have different pairs, got 'm and n' twice"),
        (("pairs",), {"which": "list"}, "pairs.list must hold pairs of names where pairs.which is 'list'"),
        (("pairs",), {"which": "all", "list": [["m", "n"]]}, "pairs.list must hold .* and only there"),
        (("models", 0), {"family": "f"}, "either name, with set.NAME = path, or glob"),
        (("models", 0), {"name": "m"}, "models m must have files: set.a = 'path'"),
        (("models", 0), {"name": "m", "set": {"b": "m.npy"}}, "models m.set.b is not a key"),
        (("models", 0), {"name": "m", "set": {"a": 3}}, "models m.set.a must be a text, got 3"),
        (("models", 0, "layers"), "best", "or a list of names, got 'best'; 'best' is for defaults.layers"),
        (("models", 0, "layers"), "every:0", "'every:N'"),
        (("models", 0, "competence"), True, "models m.competence must be a number, got True"),
        (("models", 0, "side"), "u", "two kernels.kernel names no kernel for side 'u'"),
        (("models", 1), {"glob": "*.npy"}, "two kernels.kernel names no kernel for models without a side"),
        (("sets", "b"), {"ids": "j.json#id"}, r"must say with \{set\} where each of a, b is"),
        (("metrics", 2), {"id": "cka"}, "metrics must have different ids, got 'cka' twice"),
        (("metrics", 0), {"id": "rsa", "kernel": "rbf"}, "rsa takes no 'kernel'"),
        (("metrics", 0), {"id": "subspace_overlap"}, "metrics subspace_overlap: subspace_overlap needs rank"),
        (("metrics", 0, "kernel"), "rgb", "metrics cka.kernel must be one of .* did you mean 'rbf'"),
        (("checks", 0, "set"), "b", "checks order.set must be one of a, got 'b'"),
        (("checks", 9, "values"), [["a", "b", "c"]], r"must hold \[x, y, number\]"),
    ],
)
def test_what_is_wrong_is_named(at, value, message):
    with pytest.raises(ValueError, match=message):
        described(replaced(at, value))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = 1\na = 2", b"x = " + b"[" * 10_000])
def test_what_is_no_toml_is_one_error_that_names_the_file(content, tmp_path):
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"suite\.toml is not TOML"):
        description.read(tmp_path)


def test_what_has_no_end_is_not_read(tmp_path):
    path = tmp_path / "suite.toml"
    path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"suite\.toml must be a regular file"):
        description.read(path)
    path.unlink()
    path.write_text('sets.a.ids = "ids.txt"\nmodels = [{glob = "*.npy"}]\nmetrics = [{id = "cka"}]')
    (tmp_path / "ids.txt").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"ids\.txt must be a regular file"):
        suite.load(path).check()
