"""Do words for colours that are used together name colours that look alike? PMI of colour words against CIELAB.

    python -m bench.studies.colour tests/data/xkcd_colors.csv

After Huh et al. 2024, section 4, who count in a large corpus. Here the only text is the 949 names of the file itself
("greenish blue", "lime green"): small, but real. The table is synthetic: pairs drawn by distance in CIELAB, to show how
many pairs such a reconstruction takes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import kernalign as ka
import numpy as np
from kernalign import embedding, pmi
from numpy.typing import NDArray

from bench.studies.asked import asked

Points = NDArray[np.float64]

MODIFIERS = {"dark", "pale", "golden", "royal", "dirt", "dust"}  # names too, but of other names' shades mostly
LEAST = 6  # places beside other colour words that a word must have
SMOOTHING = 0.5
PERMUTATIONS = 999
SPREAD = 25.0  # of the synthetic pairs, in units of CIELAB


def cielab(rgb: NDArray[np.int64]) -> Points:
    """CIELAB (D65) of sRGB values from 0 to 255 (IEC 61966-2-1, CIE 15)."""
    value = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    ratio = linear @ to_xyz.T / to_xyz.sum(axis=1)
    curve = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = curve.T
    return np.column_stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def read(path: Path) -> dict[str, Points]:
    """Name -> CIELAB."""
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    lab = cielab(np.array([[int(row[channel]) for channel in "rgb"] for row in rows]))
    return {row["name"]: point for row, point in zip(rows, lab, strict=True)}


def colour_word(word: str, known: Sequence[str]) -> str | None:
    """The colour that a word names: "greenish", "bluey" and "reddish" are green, blue and red; else None."""
    for name in (word, *(re.sub(ending, "", word) for ending in ("ish$", "y$", "dish$")), re.sub("ish$", "e", word)):
        if name in known:
            return name
    return None


def sentences(names: Sequence[str]) -> list[list[str]]:
    """The colour words of every name, in order; words that are themselves whole names in the list are colours."""
    known = {name for name in names if name.isalpha()} - MODIFIERS
    for word in list(known):
        if colour_word(word, sorted(known - {word})) is not None:
            known.remove(word)  # "bluish" is a name, but not one of its own
    found = ([colour_word(word, sorted(known)) for word in re.findall("[a-z]+", name)] for name in names)
    return [[word for word in words if word is not None] for words in found]


def frequent(counts: pmi.Cooccurrences) -> tuple[list[str], NDArray[np.int64]]:
    """Words with `LEAST` places beside others that have as many, and their counts."""
    table, keep = counts.counts, np.arange(len(counts.symbols))
    while True:
        enough = table[np.ix_(keep, keep)].sum(axis=1) >= LEAST
        if enough.all():
            return [str(counts.symbols[at]) for at in keep], table[np.ix_(keep, keep)]
        keep = keep[enough]


def map_of(counts: NDArray[np.int64]) -> Points:
    """Three-dimensional points whose distances follow the PMI kernel."""
    kernel = pmi.pmi_kernel(counts, smoothing=SMOOTHING).kernel
    return embedding.smacof(pmi.dissimilarities(kernel), 3, starts=32)


def laid_on(points: Points, lab: Points, seed: int = 0) -> tuple[float, float, float]:
    """R² of the best similarity transform onto CIELAB; its mean over random pairings, and its permutation p-value."""
    score = embedding.fit_similarity(points, lab).r2
    rng = np.random.default_rng(seed)
    null = np.array([embedding.fit_similarity(points, rng.permutation(lab)).r2 for _ in range(PERMUTATIONS)])
    return score, float(null.mean()), float((1 + (null >= score).sum()) / (PERMUTATIONS + 1))


def real(colours: dict[str, Points]) -> Iterator[str]:
    """Words of names against the colours that the words alone name."""
    words, counts = frequent(pmi.cooccurrences(sentences(list(colours))))
    lab = np.array([colours[word] for word in words])
    points = map_of(counts)
    score, chance, p = laid_on(points, lab)
    cka, near = ka.cka(points, lab), ka.mutual_knn(points, lab, k=3, metric="euclidean")
    yield f"{len(words)} colour words ({', '.join(words)}), {counts.sum() // 2} pairs in names."
    yield f"R² of the map laid on CIELAB: {score:.2f}, by chance {chance:.2f}, permutation p = {p:.3g}."
    yield f"CKA {cka:.2f} (chance 0, p = {cka.p_value:.2g}); mutual 3-NN {near:.2f} (chance {near.chance:.2f})."
    shift = pmi.psd_shift(pmi.pmi_kernel(counts, smoothing=SMOOTHING).kernel)
    exact = f"with the constant {shift.constant:.2f}" if shift.reason is None else f"no, {shift.reason}"
    yield f"Does the PMI kernel embed exactly? {exact}."


def synthetic(colours: dict[str, Points], pairs: int, seed: int = 0) -> tuple[float, float, float]:
    """The same for every twelfth colour and pairs drawn with probability exp(-d² / 2 `SPREAD`²), which is made up."""
    lab = np.array(list(colours.values()))[::12]
    apart = ((lab[:, None] - lab) ** 2).sum(axis=2)
    chance = np.exp(-apart / (2 * SPREAD**2))
    drawn = np.random.default_rng(seed).multinomial(pairs, (chance / chance.sum()).ravel()).reshape(chance.shape)
    seen = np.flatnonzero((drawn + drawn.T).sum(axis=1))
    counts = (drawn + drawn.T)[np.ix_(seen, seen)]
    return laid_on(map_of(counts), lab[seen], seed)


def main() -> None:
    """Print both parts."""
    colours = read(asked("colour", __doc__, {"file": "CSV with columns name, r, g, b"}).file)
    print("\n".join(real(colours)))
    print("\nSynthetic pairs (drawn by distance in CIELAB, no text):\n")
    print("| pairs | R² | by chance | p |\n|---|---|---|---|")
    for pairs in (1_000, 10_000, 100_000, 1_000_000):
        score, chance, p = synthetic(colours, pairs)
        print(f"| {pairs:,} | {score:.2f} | {chance:.2f} | {p:.3g} |")


if __name__ == "__main__":
    main()
