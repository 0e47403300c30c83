"""kernalign compare with layers and directories: what the library finds, as tables, JSON, CSV and pictures."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign import cli
from kernalign.cli import main
from kernalign.cli.inputs import open_models
from layered_samples import layered
from test_cli import failed, rows_of, run

N = 40


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/ with b.npy (layers), a.npz (u with layers, v without) and a note; flat.npy."""
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    np.save("models/b.npy", layered(3, 5, 1, n=N))
    np.savez("models/a.npz", u=layered(2, 6, 2, n=N), v=layered(1, 4, 3, n=N)[:, 0], labels=np.arange(N))
    Path("models/note.txt").write_text("not a representation")
    np.save("flat.npy", np.ones((N, 2, 3)))
    Path("empty").mkdir()
    return tmp_path


def expected(**keywords: object) -> ka.Comparison:
    a = np.load("models/a.npz")
    return ka.compare({"u": a["u"], "v": a["v"], "b": np.load("models/b.npy")}, **keywords)  # type: ignore[arg-type]


def test_a_directory_is_all_its_files_in_the_order_of_their_names(files: Path) -> None:
    result = run("compare", "models", "-k", "5", "--json")
    rows = rows_of(result)
    assert [(r["x"], r["y"], r["metric"]) for r in rows] == [
        (x, y, metric) for metric in ("cka", "mutual_knn") for x, y in (("u", "v"), ("u", "b"), ("v", "b"))
    ]
    for row, wanted in zip(rows, expected(k=5, layers="best").rows(), strict=True):
        assert row["score"] == wanted["score"]
        assert (row["x_layer"], row["y_layer"]) == (wanted["x_layer"], wanted["y_layer"])
        assert row["p_value"] == pytest.approx(wanted["p_value"])
        assert row["chance"] == pytest.approx(wanted["chance"])
    document = json.loads(result.stdout)
    assert document["settings"]["layers"] == "best"
    assert document["settings"]["notes"] == []


def test_all_layers_and_their_concatenation(files: Path) -> None:
    options = ["--layers", "all", "--concatenated", "--metric", "cycle_knn", "--normalize", "l2", "-k", "4"]
    result = run("compare", "models", *options, "--csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    wanted = list(expected(k=4, concatenated=True, metrics=("cycle_knn",), normalize="l2").rows())
    assert len(rows) == len(wanted) == 2 * (3 * 1 + 3 * 4 + 1 * 4)
    for row, one in zip(rows, wanted, strict=True):
        assert float(row["score"]) == one["score"]
        assert (row["x"], row["x_layer"], float(row["p_value"])) == (one["x"], one["x_layer"], one["p_value"])
    assert {row["x_layer"] for row in rows} == {"0", "1", "2", "concatenated"}


def test_the_table_names_the_layers(files: Path) -> None:
    result = run("compare", "models/b.npy", "models/a.npz:u", "--metric", "cka")
    assert result.exit_code == 0, result.output
    head, line = result.stdout.splitlines()
    assert head.split() == ["x", "layer", "y", "layer", "metric", "score", "chance", "corrected", "z", "p", "n"]
    assert line.split()[:5] == ["b", "0", "u", "0", "cka"]
    assert result.stderr == ""


def test_layers_of_plain_files(files: Path) -> None:
    """--layers takes the shared computation, with the same numbers as without."""
    for name in "xy":
        np.save(f"{name}.npy", layered(1, 5, ord(name), n=N)[:, 0])
    plain, shared = (rows_of(run("compare", "x.npy", "y.npy", *more, "--json")) for more in ([], ["--layers", "all"]))
    for a, b in zip(plain, shared, strict=True):
        for key in ("x", "y", "metric", "score", "chance", "corrected", "z", "p_value", "n"):
            assert a[key] == b[key] or math.isclose(a[key], b[key], rel_tol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["cka", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn", "cknna"])
def test_every_metric_of_the_registry_can_be_chosen(files: Path, metric: str) -> None:
    [row] = rows_of(run("compare", "models/b.npy", "models/a.npz:v", "--metric", metric, "--json"))[:1]
    a, b = np.load("models/b.npy"), np.load("models/a.npz")["v"]
    best = max(float(ka.measure(metric, a[:, layer], b)) for layer in range(3))
    assert row["score"] == pytest.approx(best, rel=1e-12)
    np.save("x.npy", b)
    np.save("y.npy", a[:, 0])
    rows = rows_of(run("compare", "x.npy", "y.npy", "--metric", metric, "--json"))
    assert rows[0]["score"] == float(ka.measure(metric, b, a[:, 0]))
    if ka.METRICS[metric].symmetric:
        assert len(rows) == 1
    else:
        assert (rows[1]["x"], rows[1]["score"]) == ("y", float(ka.measure(metric, a[:, 0], b)))


def test_undefined_scores_and_notes_are_told(files: Path) -> None:
    result = run("compare", "models/b.npy", "flat.npy", "--metric", "cka", "--layers", "all", "--json")
    rows = rows_of(result)
    assert {row["score"] for row in rows} == {None}
    assert result.stderr.splitlines()[0] == "note: undefined: cka of b layer 0 × flat layer 0: y is constant"
    assert len(result.stderr.splitlines()) == 6
    assert "undefined" in run("compare", "models/b.npy", "flat.npy", "--metric", "cka").stdout


def test_reasons_are_a_column(files: Path) -> None:
    command = ["compare", "models/b.npy", "flat.npy", "--metric", "cka"]
    for more in ([], ["--layers", "all"]):
        rows = list(csv.DictReader(io.StringIO(run(*command, *more, "--csv").stdout)))
        assert {(row["score"], row["reason"]) for row in rows} == {("", "y is constant")}
        assert {row["reason"] for row in rows_of(run(*command, *more, "--json"))} == {"y is constant"}
        head, *body = run(*command, *more).stdout.splitlines()
        assert head.split()[-1] == "reason"
        assert all(line.rstrip().endswith("y is constant") for line in body)
    assert "reason" not in run("compare", "models/b.npy", "models/a.npz:u").stdout
    assert {row["reason"] for row in rows_of(run("compare", "models", "--json"))} == {None}


def test_a_picture_of_undefined_scores(files: Path) -> None:
    command = ["compare", "models/b.npy", "flat.npy", "--metric", "cka", "--layers", "all", "--output", "map.png"]
    assert run(*command).exit_code == 0
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mode", ["all", "best"])
def test_a_file_of_several_arrays_is_a_model_where_layers_are_asked_for(files: Path, mode: str) -> None:
    a, b = layered(2, 5, 1, n=N), layered(3, 4, 2, n=N)
    np.savez("a.npz", layer10=a[:, 1], layer9=a[:, 0], ids=np.arange(N))
    np.savez("b.npz", **{f"h.{at}": b[:, at] for at in (2, 0, 1)})  # type: ignore[arg-type]
    command = ["compare", "a.npz", "b.npz", "--metric", "cka", "--json"]
    rows = rows_of(run(*command, "--layers", mode))
    wanted = list(ka.compare({"a": a, "b": b}, metrics=("cka",), layers=mode).rows())  # type: ignore[arg-type]
    assert [row["score"] for row in rows] == [row["score"] for row in wanted]
    labels = {"x_layer": ["layer9", "layer10"], "y_layer": ["h.0", "h.1", "h.2"]}
    for key, names in labels.items():
        assert [row[key] for row in rows] == [names[int(row[key])] for row in wanted]
    assert len(rows_of(run(*command))) == 10  # every array on its own
    Path("both").mkdir()
    for name in ("a.npz", "b.npz"):
        Path("both", name).write_bytes(Path(name).read_bytes())
    for row, inside in zip(rows, rows_of(run("compare", "both", *command[3:], "--layers", mode)), strict=True):
        assert [inside[key] for key in ("x", "x_layer", "y_layer", "score", "p_value")] == [
            row[key] for key in ("x", "x_layer", "y_layer", "score", "p_value")
        ]
    assert len(rows_of(run("compare", "both", *command[3:]))) == 10
    single = rows_of(run("compare", "a.npz:layer9", "b.npz:h.1", "--metric", "cka", "--layers", mode, "--json"))
    assert [(row["x"], row["y"], row["score"]) for row in single] == [("layer9", "h.1", ka.cka(a[:, 0], b[:, 1]))]
    if mode == "best":
        assert "each layer is best with itself" in failed(run("compare", "a.npz", "--layers", mode), 2)
    else:
        alone = rows_of(run("compare", "a.npz", "--layers", mode, "--metric", "cka", "--json"))
        assert [row["score"] for row in alone] == [
            pytest.approx(float(ka.cka(a[:, i], a[:, j])), abs=1e-12) for i in range(2) for j in range(2)
        ]
    np.savez("c.npz", first=a[:, 0], second=a[:30, 1])
    result = run("compare", "b.npz", "c.npz", "--layers", mode)
    assert result.exit_code == 1
    assert "c.npz:first and c.npz:second must have the same number of rows, got 40 and 30" in result.stderr


@pytest.mark.parametrize("arguments", [["models"], ["models/b.npy", "models/a.npz:u", "--layers", "all"]])
def test_a_picture_of_all_metrics(files: Path, arguments: list[str]) -> None:
    pytest.importorskip("matplotlib")
    result = run("compare", *arguments, "--output", "map.png")
    assert result.exit_code == 0, result.output
    content = Path("map.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000
    assert "exists already" in failed(run("compare", *arguments, "--output", "map.png"), 2)
    assert run("compare", *arguments, "--output", "map.png", "--force").exit_code == 0


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_output_files(files: Path, suffix: str) -> None:
    assert run("compare", "models", "--output", f"out.{suffix}").exit_code == 0
    text = Path(f"out.{suffix}").read_text()
    rows = json.loads(text)["rows"] if suffix == "json" else list(csv.DictReader(io.StringIO(text)))
    wanted = list(expected(layers="best").rows())
    assert [float(row["score"]) for row in rows] == [row["score"] for row in wanted]


@pytest.mark.parametrize(
    ("status", "arguments", "message"),
    [
        (1, ["empty"], "empty holds no file with 2-D or 3-D arrays"),
        (1, ["models", "-k", "40"], "k must be between 1 and n - 1 = 39, got 40"),
        (1, ["models/b.npy", "nowhere"], "kernalign: nowhere: No such file or directory"),
        (2, ["models/b.npy", "--layers", "best"], "--layers best needs at least two representations"),
        (2, ["models", "models"], "is given twice"),
        (2, ["models", "--uncertainty"], "--uncertainty is for single layers, not for the best of many"),
        (2, ["models", "--layers", "some"], "'some' is not one of 'all', 'best'"),
    ],
)
def test_errors_are_one_line(files: Path, status: int, arguments: list[str], message: str) -> None:
    assert message in failed(run("compare", *arguments), status)


def test_different_items_are_named(files: Path) -> None:
    np.save("short.npy", layered(2, 3, 1, n=30))
    message = failed(run("compare", "models/b.npy", "short.npy"), 1)
    assert "models/b.npy and short.npy must have the same number of rows, got 40 and 30" in message


def test_processes_and_checkpoints_give_the_same_table(files: Path) -> None:
    plain = rows_of(run("compare", "models", "-k", "5", "--json"))
    times = ("finished_at", "seconds")
    for more in (("--workers", "1", "--checkpoint", "run.ledger"), ("--checkpoint", "run.ledger")):
        found = rows_of(run("compare", "models", "-k", "5", "--json", *more))
        assert [{key: v for key, v in row.items() if key not in times} for row in found] == [
            {key: v for key, v in row.items() if key not in times} for row in plain
        ]
    order = np.random.default_rng(0).permutation(N)
    np.savez("p.npz", x=layered(1, 4, 3, n=N)[:, 0], item=np.arange(N))
    np.savez("q.npz", y=layered(1, 4, 3, n=N)[order, 0], item=order)
    pair = "compare", "p.npz:x", "q.npz:y", "--ids", "item", "--json"
    assert rows_of(run(*pair, "--workers", "1"))[0]["score"] == pytest.approx(1)
    assert "belongs to other work" in failed(run("compare", "models", "-k", "4", "--checkpoint", "run.ledger"), 1)
    assert "give one of them" in failed(run("compare", "models", "--workers", "1", "--scheduler", "tcp://x:1"), 2)


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\u202e [bold]x[/bold]\x9b2J"


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_names_in_files_do_not_command_the_terminal(tmp_path, form):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", **{HOSTILE: rng.normal(size=(20, 3)), "plain": rng.normal(size=(20, 3))})
    np.save(tmp_path / "y.npy", rng.normal(size=(20, 3)))
    for key in ("", f":{HOSTILE}?"):  # the second is not there
        result = CliRunner().invoke(main, ["compare", f"{tmp_path}/x.npz{key}", f"{tmp_path}/y.npy", *form])
        assert "red" in result.output
        assert not [c for c in result.output if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


def test_the_command_line_writes_in_one_place():
    for path in Path(cli.__file__).parent.glob("*.py"):
        assert path.name == "output.py" or not re.search(r"click\.(echo|secho)|print\(", path.read_text()), path


def test_arrays_called_alike_go_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of platonic-rep, all "feats"; where a file has two, or two files one name, by the whole path."""
    monkeypatch.chdir(tmp_path)
    for place in (".", "more"):
        Path(place).mkdir(exist_ok=True)
        np.savez(f"{place}/vit.npz", feats=np.random.default_rng(0).normal(size=(20, 3)))
    np.savez("bert.npz", feats=np.random.default_rng(1).normal(size=(20, 3)))
    np.savez("gpt.npz", **{name: np.random.default_rng(2).normal(size=(20, 3)) for name in ("feats", "other")})
    found = open_models(("bert.npz", "vit.npz", "more/vit.npz", "gpt.npz"), False, False, (2,))
    assert [model.short for model in found.models] == [
        "bert",
        "vit.npz:feats",
        "more/vit.npz:feats",
        "gpt.npz:feats",
        "other",
    ]
