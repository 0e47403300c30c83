"""``kernalign demo``: compares the representations that ship with the package, and says in words what came out."""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np

from kernalign import demo as shipped
from kernalign._base.score import Score
from kernalign.cli.output import as_json, number, plain, probability, say, show_table
from kernalign.demo.words import meaning
from kernalign.metrics.kernel.cka import cka
from kernalign.metrics.neighbors.overlap import mutual_knn

K = 10
# array -> (name in the table, name in a sentence)
NAMES = {
    "vision": ("vision", "the vision network"),
    "hog": ("edges", "the histograms of edges"),
    "use_en": ("English", "the sentence encoder reading English"),
    "use_ja": ("Japanese", "the sentence encoder reading Japanese"),
    "use_fr": ("French", "the sentence encoder reading French"),
    "minilm": ("MiniLM", "a second English encoder (MiniLM)"),
    "glove": ("words", "the English word vectors"),
    "shuffled": ("shuffled", "the sentence encoder with its rows shuffled"),
}
PAIRS = [
    ("vision", "use_en"),
    ("vision", "use_ja"),
    ("vision", "use_fr"),
    ("vision", "minilm"),
    ("vision", "glove"),
    ("vision", "hog"),
    ("hog", "use_en"),
    ("use_en", "use_ja"),
    ("use_en", "use_fr"),
    ("use_ja", "use_fr"),
    ("use_en", "minilm"),
    ("vision", "shuffled"),
]


@click.command()
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
def demo(json_wanted: bool, threads: int | None) -> None:
    """Compare real representations of 539 emoji: their pictures and their names in three languages."""
    begin = time.perf_counter()
    arrays = shipped.representations()
    arrays["shuffled"] = np.random.default_rng(0).permutation(arrays["use_en"])
    results = []
    for a, b in PAIRS:
        start = time.perf_counter()
        overall = cka(arrays[a], arrays[b], uncertainty="jackknife", threads=threads)
        local = mutual_knn(arrays[a], arrays[b], K, threads=threads)
        words = meaning(NAMES[a][1], NAMES[b][1], overall, local)  # reads p-values, whose time counts
        results.append((NAMES[a][0], NAMES[b][0], overall, local, words, time.perf_counter() - start))
    if json_wanted:
        rows = [_row(x, y, score) | {"meaning": words} for x, y, *scores, words, _ in results for score in scores]
        say(as_json(rows, {"k": K, "estimator": "unbiased"}), nl=False)
        return
    n = len(arrays["vision"])
    say(f"{n} emoji: their pictures seen by a vision network and by an edge detector; their names by encoders of text")
    show_table(
        ["pair", "CKA ± s.e.", "chance", "p", f"{K}-NN", "chance", "p", "seconds"],
        [
            [f"{x} × {y}", *_cells(overall), *_cells(local), f"{seconds:.3f}"]
            for x, y, overall, local, _, seconds in results
        ],
    )
    say("\nIn words:")
    for *_, words, _ in results:
        say(f"- {words}")
    say(
        f"\nCKA (unbiased, ± jackknife standard error) compares all similarities at once; {K}-NN (mutual k-NN) is the "
        f"share of each item's {K} nearest neighbours that both sides have. Chance is the score of items paired at "
        "random, p the probability of at least this score by chance. p says whether two representations are related, "
        "the score how much. The last pair is a check: its rows are shuffled on purpose."
    )
    say(f"{len(PAIRS)} pairs in {time.perf_counter() - begin:.2f} s")


def _row(x: str, y: str, score: Score) -> Any:
    numbers = ("chance", "chance_sd", "z", "corrected", "p_value", "n", "stderr")
    known = {"x": x, "y": y, "metric": score.metric, "value": float(score)}
    return plain(known | {name: getattr(score, name) for name in numbers})


def _cells(score: Score) -> list[str]:
    value = number(float(score), ".3f")
    if score.stderr is not None:
        value += f" ± {score.stderr:.3f}"
    return [value, number(score.chance, ".3f"), probability(score.p_value)]
