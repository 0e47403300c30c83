"""Models of one modality or several, each with its layers, and what a probe reads from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kernalign import stitching
from kernalign.sources import array_names
from numpy.typing import NDArray

from bench.studies import labelled

Rows = NDArray[np.float64]

L2 = 1.0  # of the probes: a ridge of n on standardised columns
FOLDS = 3
FILES = {"features": "arrays named modality/model/layer", "items": "JSON list of the items"}


@dataclass(frozen=True)
class Model:
    """One network or other source of features; layers by name, from the input on."""

    name: str
    modality: str
    layers: Mapping[str, Rows]


def read(path: Path) -> tuple[list[Model], NDArray[np.int64]]:
    """Models of an .npz whose arrays are named ``modality/model/layer``, without dead columns, repeated and zero
    rows; and which items are left."""
    given = labelled.representations(path, array_names(path))
    live, usable = labelled.without_traps(given)
    usable = usable[[all(rows[at].any() for rows in live.values()) for at in usable]]
    found: dict[tuple[str, str], dict[str, Rows]] = {}
    for name, rows in live.items():
        modality, model, layer = name.split("/")
        found.setdefault((modality, model), {})[layer] = rows[usable]
    return [Model(model, modality, layers) for (modality, model), layers in found.items()], usable


def accuracy(rows: Rows, labels: Sequence[str] | NDArray[np.str_]) -> float:
    """Of a ridge regression onto the classes, on items left out: of every class each third item in turn."""
    labels, classes = np.asarray(labels), np.unique(labels)
    fold = np.zeros(len(labels), dtype=np.int64)
    for label in classes:
        fold[labels == label] = np.arange((labels == label).sum()) % FOLDS
    right = 0
    for held in range(FOLDS):
        test = fold == held
        one_hot = (labels[~test, None] == classes).astype(np.float64)
        probe = stitching.LinearProbe(L2, task="regression").fit(rows[~test], one_hot)
        right += int((classes[np.asarray(probe.predict(rows[test])).argmax(axis=1)] == labels[test]).sum())
    return right / len(labels)
