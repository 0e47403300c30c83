"""Rows that lie in another order than their partners are found; right, unrelated and orderly rows are left alone."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign.inference import pairing_check, row_steps
from reference import pairing
from samples import orthogonal, related

CLIPART = Path(__file__).parents[1] / "data" / "clipart_small.npz"
N = 240
ROWS = np.arange(N)
TEXT = np.argsort(ROWS.astype(str))


def moved_in_part(y):
    return np.concatenate([y[:60], y[59:179], y[180:]])  # row 59 twice, row 179 lost


FAULTS = {
    "moved by one": (lambda y: np.roll(y, 1, axis=0), r"row i of x with row i \+ 1 of y"),
    "moved back": (lambda y: np.roll(y, -3, axis=0), "row i of x with row i - 3 of y"),
    "halves changed": (lambda y: np.roll(y, N // 2, axis=0), "row i of x with row i . 120 of y"),
    "a part": (moved_in_part, r"row i of x with row i \+ 1 of y, for i from (5|6)\d to 1(7|8)\d,"),
    "reversed": (lambda y: y[::-1], "row i of x with row i of y from the end"),
    "sorted as text": (lambda y: y[TEXT], "numbers from 0 for rows of y that were sorted as text"),
    "by columns": (
        lambda y: y.reshape(12, 20, -1).swapaxes(0, 1).reshape(N, -1),
        "table of 20 by 12, column by column",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_and_named(fault):
    break_up, words = FAULTS[fault]
    x, y = related(N, 8, 6, seed=2)
    right, wrong = ka.check_pairing(x, y), ka.check_pairing(x, break_up(y))
    assert not right.suspicious
    assert str(right) == "no other pairing scores clearly higher"
    assert wrong.suspicious
    assert wrong.p_value < 1e-9
    assert wrong.best > 1.25 * wrong.given
    assert re.search(words, wrong.pairing)
    assert str(wrong) == f"{wrong.pairing} scores {wrong.best:.2f}, the given pairing {wrong.given:.2f}"


def test_sorted_rows_hide_nothing():
    """Neighbours are alike, so that rows beside their partners score nearly what the right ones do."""
    t = np.linspace(0, 6, N)[:, None]
    rng = np.random.default_rng(0)
    latent = np.hstack([np.sin(t), np.cos(t), t]) * 3 + 0.3 * rng.normal(size=(N, 3))
    x, y = latent @ rng.normal(size=(3, 8)), latent @ rng.normal(size=(3, 6))
    y = y + 0.05 * rng.normal(size=y.shape)
    wrong = np.roll(y, 1, axis=0)
    assert ka.cka(x, wrong) > 0.9 * ka.cka(x, y)
    assert ka.cka(x, wrong).p_value < 1e-6
    assert not ka.check_pairing(x, y).suspicious
    assert "row i of x with row i + 1 of y" in str(ka.check_pairing(x, wrong))


@pytest.mark.parametrize("n", [17, 24])
def test_scores_are_those_of_the_definition(n):
    x, y = related(n, 4, 3)
    a, b = (row_steps.Steps(side) for side in (x, y))
    scale = a.norm * b.norm
    shifts = row_steps.of_shifts(a, b) / scale
    for move in range(n):
        order = (np.arange(n) + move) % n
        assert shifts[move] == pytest.approx(pairing.score(x, y, order), rel=1e-10, abs=1e-13)
    found = {words: score for score, words in row_steps.sorted_as_text(a, b)}
    for first in (0, 1):
        text = np.argsort((np.arange(n) + first).astype(str))
        for name, sides in (("x", (x, y[text])), ("y", (x[text], y))):
            words = f"numbers from {first} for rows of {name} that were sorted as text (1, 10, 100, 2)"
            assert found[words] == pytest.approx(pairing.score(*sides, np.arange(n)), rel=1e-10, abs=1e-13)
    for words, order in row_steps.orders(n):
        moved = row_steps.Steps(y[order])
        score = row_steps.unbiased(a, moved) / (a.norm * moved.norm)
        assert score == pytest.approx(pairing.score(x, y, order), rel=1e-10), words


def test_parts_are_joined_from_their_products():
    """Against the products of rows that are taken one by one."""
    x, y = related(40, 4, 3)
    y = np.concatenate([y[:12], y[11:27], y[28:]])
    a, b = (row_steps.Steps(side) for side in (x, y))
    score, begin, end, _ = row_steps.best_part(a, b, 1)
    edges = np.unique(np.linspace(0, 40, 11).astype(int))
    best = -np.inf, 0, 0
    for i, first in enumerate(edges):
        for last in edges[i + 1 :] if i else edges[1:-1]:
            order = np.arange(40)
            order[first:last] = (order[first:last] + 1) % 40
            product, squares = a.values.T @ b.values[order], a.squares @ b.squares[order]
            value = (product**2).sum() - squares * 40 / 38 + a.squares.sum() * b.squares.sum() / (39 * 38)
            best = max(best, (value, first, last))
    assert (score, begin, end) == (pytest.approx(best[0], rel=1e-10), best[1], best[2])


def test_permuted_copies_are_found():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(100, 5))
    order = rng.permutation(100)
    found = ka.check_pairing(x, x[order].astype(np.float32))
    assert found.suspicious
    assert found.copies == (order != np.arange(100)).sum()
    assert f"{found.copies} of the 100 rows of y are copies of other rows of x" in str(found)
    assert ka.check_pairing(x, x).copies == 0
    labels = np.eye(3)[rng.integers(0, 3, 100)]
    assert not ka.check_pairing(labels, labels[order]).suspicious  # rows that repeat are no copies of one another


def test_rows_are_paired_by_their_labels_first():
    x, y = related(N, 8, 6)
    order = np.random.default_rng(0).permutation(N)
    found = ka.check_pairing(x, np.roll(y, 1, axis=0)[order], ids=(ROWS, order))
    assert "row i of x with row i + 1 of y" in str(found)
    assert found.settings["pairing"] == "ids"


@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_scale_offset_and_rotation_do_not_matter(factor):
    x, y = related(N, 8, 6)
    y = np.roll(y, 2, axis=0)
    found = ka.check_pairing(x * factor + 3 * factor, y @ orthogonal(6))
    wanted = ka.check_pairing(x, y)
    assert (found.given, found.best) == pytest.approx((wanted.given, wanted.best), rel=1e-9)


def test_what_has_no_structure_is_nan():
    x, _ = related(N, 8, 6)
    found = ka.check_pairing(x, np.ones((N, 3)))
    assert np.isnan(found.given)
    assert np.isnan(found.best)
    assert not found.suspicious


def test_too_few_items():
    with pytest.raises(ValueError, match="check_pairing needs at least 16 rows, got 15"):
        ka.check_pairing(*related(15, 3, 2))


def samples(kind, n, rng):
    z = rng.normal(size=(n, 6))
    t = np.arange(n)[:, None]
    return {
        "gaussian": z,
        "cauchy": rng.standard_cauchy((n, 6)),
        "lognormal": np.exp(2 * z),
        "walk": z.cumsum(axis=0),
        "smooth": z.cumsum(axis=0).cumsum(axis=0),
        "waves": np.sin(t * rng.uniform(0.01, 0.5, 6)) + 0.3 * z,
        "cycle": z[t[:, 0] % 10] + 0.5 * rng.normal(size=(n, 6)),
        "classes": np.eye(6)[rng.integers(0, 6, n)],
        "sorted classes": np.eye(6)[np.sort(rng.integers(0, 6, n))],
        "rare": (z > 1.5).astype(float),
        "one": z[:, :1],
    }[kind]


KINDS = (
    "gaussian",
    "cauchy",
    "lognormal",
    "walk",
    "smooth",
    "waves",
    "cycle",
    "classes",
    "sorted classes",
    "rare",
    "one",
)


def alarms(kind, repetitions, counts):
    rng, found = np.random.default_rng(len(kind)), 0
    for n in counts:
        for _ in range(repetitions):
            x, other = samples(kind, n, rng), samples(kind, n, rng)
            noisy = x @ rng.normal(size=(x.shape[1], 4))
            noisy += rng.choice([0.1, 1, 3]) * noisy.std() * rng.normal(size=(n, 4))
            for y in (other, noisy):
                a, b = row_steps.sketched(x, 0), row_steps.sketched(y, 1)
                found += ka.check_pairing(x, y).suspicious or pairing_check.suspected(a, b) is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_right_and_unrelated_pairings_are_left_alone(kind):
    assert alarms(kind, 3, (20, 100, 300)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms_are_rare(kind):
    assert alarms(kind, 100, (16, 30, 60, 100, 200, 500)) <= 1


def test_a_comparison_says_that_rows_may_be_paired_wrongly():
    x, y = related(2000, 8, 6)
    models = {"a": x, "b": np.stack([y**3, np.roll(y, 1, axis=0)], axis=1), "c": x + 1.0}
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare(models, metrics=("cka",))
    [note] = [note for note in found.notes if "check_pairing" in note]
    assert note.startswith("a × b: row i of x with row i + 1 of y scores")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ka.compare({"a": x, "b": y, "c": x + 1.0}, {"d": y, "e": x[:, :4]}, metrics=("cka",)).notes == ()
        grams = {name: side[:1200] @ side[:1200].T for name, side in (("a", x), ("b", np.roll(y, 1, axis=0)))}
        assert ka.compare(grams, metrics=("cka",), kernel=ka.Precomputed()).notes == ()


@pytest.mark.parametrize("names", [("mpnet_l12", "minilm6_l06"), ("dinov2s_block09_cls", "efflite0_b3")])
def test_real_embeddings(names):
    with np.load(CLIPART) as file:
        x, y = (file[name] for name in names)
    assert not ka.check_pairing(x, y).suspicious
    assert not ka.check_pairing(x, y[np.random.default_rng(0).permutation(len(y))]).suspicious
    assert ka.cka(x, np.roll(y, 1, axis=0)).p_value < 1e-9
    assert "row i of x with row i + 1 of y" in str(ka.check_pairing(x, np.roll(y, 1, axis=0)))
