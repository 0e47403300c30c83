"""The demo: what ships, what it prints, and that its words follow from the numbers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import kernalign.demo as shipped
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign._base.score import Fixed, Null, Score
from kernalign.cli import main
from kernalign.demo.words import meaning

FOLDER = Path(shipped.__file__).parent


def test_what_ships_is_small_complete_and_clean() -> None:
    arrays = shipped.representations()
    items = shipped.items()
    assert set(arrays) == {"vision", "hog", "use_en", "use_ja", "use_fr", "minilm", "glove"}
    for array in arrays.values():
        assert array.dtype == np.float16
        assert len(array) == len(items) == 539
        assert np.isfinite(array).all()
        assert array.any(axis=1).all()
    assert all(set(item) == {"char", "en", "ja", "fr"} for item in items)
    assert len({item["char"] for item in items}) == 539
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 3_000_000


def test_provenance_names_every_array_and_licence() -> None:
    text = (FOLDER / "PROVENANCE.md").read_text(encoding="utf-8")
    for word in (*shipped.representations(), "Apache-2.0", "PDDL", "Unicode licence", "not proven"):
        assert word in text


def test_demo_prints_numbers_and_words_in_time() -> None:
    begin = time.process_time()
    result = CliRunner().invoke(main, ["demo"])
    assert time.process_time() - begin < 10
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "vision × English" in result.stdout
    assert result.stdout.count("\n- ") == 12


def test_demo_json_tells_related_from_shuffled() -> None:
    result = CliRunner().invoke(main, ["demo", "--json"])
    rows = json.loads(result.stdout)["rows"]
    assert len(rows) == 24
    for row in rows:
        if row["y"] == "shuffled":
            assert row["p_value"] > 1e-3
            assert "no common structure" in row["meaning"]
        else:
            assert row["p_value"] < 1e-6
            assert row["value"] > row["chance"]
            assert "above chance" in row["meaning"]
    [vision] = [r["value"] for r in rows if (r["x"], r["y"], r["metric"]) == ("vision", "English", "mutual_knn")]
    assert 0.15 < vision < 0.25


def result(metric: str, value: float, p: float | None, chance: float | None) -> Score:
    tail = None if p is None else Fixed(p, "given")
    null = None if chance is None else Null(chance, p_value=tail)
    return Score(value, metric=metric, n=539, null=null)


def knn(value: float, p: float | None, chance: float | None = 0.02) -> Score:
    return result("mutual_knn", value, p, chance)


def cka(value: float, p: float | None) -> Score:
    return result("cka", value, p, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (
            cka(0.3, 0),
            knn(0.19, 0),
            "far above chance (0.19 against 0.020, p < 1e-12): they see partly the same structure.",
        ),
        (
            cka(0.3, 0),
            knn(0.05, 1e-5),
            "above chance (0.05 against 0.020, p = 1e-05): the shared structure is real but slight.",
        ),
        (cka(0.5, 0), knn(0.4, 0), "they see much of the same structure."),
        (cka(0.9, 0), knn(0.8, 0), "they see nearly the same structure."),
        (cka(0.0, 0.4), knn(0.021, 0.3), "share no more neighbours than chance explains (0.02 against 0.020, p = 0.3)"),
        (cka(0.3, 1e-9), knn(0.021, 0.3), "Over all items together they are related, though (CKA 0.30, p = 1e-09)."),
        (cka(0.0, 0.4), knn(0.19, 0), "Over all items together (CKA 0.00, p = 0.4) that is not to be seen."),
        (cka(0.8, 0), knn(0.2, 0), "They agree better on the coarse arrangement of all items (CKA 0.80)."),
        (cka(0.8, 0), knn(float("nan"), None, None), "No statement about this and that is possible"),
    ],
)
def test_words_follow_from_the_numbers(a: Score, b: Score, words: str) -> None:
    assert words in meaning("this", "that", a, b)
    assert meaning("this", "that", a, b)[0].isupper()
