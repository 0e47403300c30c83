"""All rows, the repositories that they name, and why some values are missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance import rows_kernels, rows_linear, rows_lists

FAMILIES = {
    "Kernels and distances": rows_kernels.ROWS,
    "Canonical correlations, shapes, matchings, regressions": rows_linear.ROWS,
    "Neighbours, dissimilarities, descriptions": rows_lists.ROWS,
}
ROWS = [row for rows in FAMILIES.values() for row in rows]
VALUES: dict[str, dict[str, float | str]] = json.loads(
    Path(__file__).with_name("peer_values.json").read_text(encoding="utf-8")
)

REPOSITORIES = {
    "brain_language_nlp": "mtoneva/brain_language_nlp",
    "brainscore": "brain-score/brain-score",
    "contrasim": "technion-cs-nlp/ContraSim",
    "correcting_cka_alignment": "Alxmrphi/correcting_CKA_alignment",
    "deepdive": "ColinConwell/DeepDive",
    "drfrankenstein": "renyi-ai/drfrankenstein",
    "ensd": "camillerb/ENSD",
    "fsd": "maroo-sky/FSD",
    "imd": "xgfs/imd",
    "implicitdeclaration_similarity": "implicitDeclaration/similarity",
    "llm_repsim": "mklabunde/llm_repsim",
    "modelsym": "pnnl/modelsym",
    "mouse_vision": "neuroailab/mouse-vision",
    "netrep": "ahwillia/netrep",
    "neuroaimetrics": "anshksoni/NeuroAIMetrics",
    "nn_similarity_index": "amzn/xfer",
    "nnsrm_neurips18": "qihongl/nnsrm-neurips18",
    "platonic": "minyoungg/platonic-rep",
    "pyrcca": "gallantlab/pyrcca",
    "representation_similarity": "google-research/google-research",
    "repsim": "wrongu/repsim",
    "resi": "mklabunde/resi",
    "rsatoolbox": "rsagroup/rsatoolbox",
    "rtd": "IlyaTrofimov/RTD",
    "sim_metric": "js-d/sim_metric",
    "stir": "nvedant07/STIR",
    "subspacematch": "MeckyWu/subspace-match",
    "survey_measures": "mklabunde/survey_measures",
    "svcca": "google/svcca",
    "thingsvision": "ViCCo-Group/thingsvision",
    "unsupervised_analysis": "mgwillia/unsupervised-analysis",
    "xrsa_awes": "uds-lsv/xRSA-AWEs",
    "yuanli2333": "yuanli2333/CKA-Centered-Kernel-Alignment",
}


def repository(measure: str) -> str:
    """The key of ``REPOSITORIES`` that a measure begins with."""
    return measure.removeprefix("measure/").split("/")[0]


def _wide(x: Any, y: Any) -> bool:
    return max(x.shape[1], y.shape[1]) >= len(x)


def _dependent(x: Any, y: Any) -> bool:
    return any(np.linalg.matrix_rank(side - side.mean(axis=0)) < side.shape[1] for side in (x, y))


def _unlike(x: Any, y: Any) -> bool:
    return x.shape[1] != y.shape[1]


def _few(x: Any, y: Any) -> bool:
    return min(x.shape[1], y.shape[1]) < 25


def _negative(x: Any, y: Any) -> bool:
    return min(x.min(), y.min()) < 0


def _always(x: Any, y: Any) -> bool:
    return True


REFUSALS: list[tuple[str, str, Callable[[Any, Any], bool]]] = [
    ("AssertionError", "needs fewer features than items", _wide),
    ("index can't contain negative", "needs fewer features than items", _wide),
    ("SVD did not converge", "cannot take dependent columns", _dependent),
    ("n_components", "needs 25 features", _few),
    ("operands could not be broadcast", "needs widths that are the same", _unlike),
    ("not aligned", "needs widths that are the same", _unlike),
    ("shapes (48000,)", "needs widths that are the same", _unlike),
    ("IndexError", "needs widths that are the same", _unlike),
    ("setting an array element", "needs widths that are the same", _unlike),
    ("different nan positions", "cannot take numbers below 0", _negative),
    ("UFuncTypeError", "cannot take numbers below 0", _negative),
    ("CoordinateValidationError", "does not run with the xarray of today", _always),
    ("np.NaN", "does not run with NumPy 2", _always),
    ("timeout", "did not end", _always),
    ("nan", "is nan", _always),
]


def refusal(said: str, x: Any, y: Any) -> str | None:
    """Why an implementation gives no value for a pair; None if nothing that is known of the pair explains it."""
    return next((why for text, why, holds in REFUSALS if text in said and holds(x, y)), None)
