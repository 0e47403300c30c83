"""Draws the pictures of docs/plots.md: every kind of plot at 2, 12, 24 and 78 models, and those of the demo's data."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
from kernalign import demo, stitching
from PIL import Image

SIZES = (2, 12, 24, 78)
FAMILIES = ("vit", "convnext", "clip", "bert", "llama", "mamba")
_ITEMS, _FEATURES = 150, 24
_DPI, _COLOURS = 72, 250


def models(count: int, depth: int = 6) -> tuple[dict[str, Any], dict[str, str], Any]:
    """Names with representations of some layers, their families, and what they are compared with: a shared structure
    that grows with depth, one of each family, and what is a model's own; the last model is unrelated to all."""
    rng = np.random.default_rng(7)
    shared = rng.standard_normal((_ITEMS, 6))
    of_family = rng.standard_normal((len(FAMILIES), _ITEMS, 6))
    found, families = {}, {}
    for at in range(count):
        family = at % len(FAMILIES)
        name = f"{FAMILIES[family]}-{'abcdefghijklm'[at // len(FAMILIES)]}{at % 7 + 1}"
        families[name] = FAMILIES[family]
        layers = []
        for share in np.linspace(0.1, 1.0, depth):
            own = (1.4 + 0.5 * rng.random()) * rng.standard_normal((_ITEMS, _FEATURES))
            common = (0.3 + share) * shared @ rng.standard_normal((6, _FEATURES))
            common += 0.8 * of_family[family] @ rng.standard_normal((6, _FEATURES))
            layers.append(own if at == count - 1 and count > 2 else common + own)
        found[name] = layers
    brain = shared @ rng.standard_normal((6, 40)) + 2.0 * rng.standard_normal((_ITEMS, 40))
    return found, families, brain


def pictures(count: int) -> Iterator[tuple[str, Any]]:
    """Names and axes of all kinds for so many models."""
    given, families, brain = models(count)
    last = {name: layers[-1] for name, layers in given.items()}
    found = ka.compare(last, metrics=("mutual_knn", "cycle_knn"))
    yield "heatmap", found.plot("mutual_knn", order="cluster", significance=0.05)
    yield "families", found.plot("mutual_knn", families=families, vmin="chance", vmax="max")
    yield "asymmetric", found.plot("cycle_knn", families=families)
    related = {name: rows for name, rows in last.items() if count == 2 or name != list(last)[-1]}
    yield "map", ka.compare(related, metrics=("mutual_knn",)).plot("mutual_knn", "map", families=families)
    of_layers = ka.compare(given, {"brain": brain}, metrics=("cka",))
    yield "profile", of_layers.plot("cka", "profile", families=families if count > 12 else None, vmax="max")
    against = ka.compare(last, {"brain": brain}, metrics=("cka",), uncertainty=True)
    differences = {(a, b): ka.compare_scores("cka", last[a], last[b], brain) for a, b in combinations(last, 2)}
    bars = {"order": "score", "families": families, "differences": differences, "ceiling": (0.78, 0.86)}
    yield "bars", against.plot("cka", "bars", **bars)


def of_demo() -> Iterator[tuple[str, Any]]:
    """Those of the representations that ship with the package, and those of two models alone."""
    emoji = {name: np.asarray(rows, np.float32) for name, rows in demo.representations().items()}
    yield "demo", ka.compare(emoji, metrics=("cka",)).plot("cka", order="cluster", significance=0.05)
    clip, bert = models(12, 12)[0]["clip-a3"], models(12, 24)[0]["bert-a4"]
    found = ka.compare({"clip": clip}, {"bert": bert}, metrics=("mutual_knn",))
    yield "layers", found.plot("mutual_knn", "layers", vmin="chance", vmax="max")
    yield "profile-two", found.plot("mutual_knn", "profile", vmax="max")
    x, y = emoji["vision"], emoji["use_en"]
    maps: dict[str, Any] = {"affine": stitching.AffineStitcher(), "ridge": stitching.RidgeStitcher()}
    maps |= {"procrustes": stitching.ProcrustesStitcher()}
    maps |= {f"low-rank {rank}": stitching.LowRankStitcher(rank) for rank in (1, 2, 4, 8, 16, 32, 64)}
    pairs = {"vision → English": (x, y), "English → vision": (y, x)}
    yield "stitch", stitching.plot_trials({name: stitching.run_trials(a, b, maps) for name, (a, b) in pairs.items()})[0]


def write(figure: Any, path: Path) -> None:
    """A small PNG of few colours."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    with Image.open(stream) as picture:
        picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main(folder: Path) -> None:
    """Draw all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)  # of an unrelated model, which is there on purpose
        drawn = [(f"{name}-{count}", axes) for count in SIZES for name, axes in pictures(count)]
        drawn += of_demo()
    for name, axes in drawn:
        write(axes.figure, folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
