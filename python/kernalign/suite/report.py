"""The report of a run: one HTML file that needs no network, in which names are text and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.readable import visible
from kernalign.comparison.tables import Caveat
from kernalign.embedding import classical_mds
from kernalign.suite import gathered

_PAGE = Path(__file__).parent / "page"
_SECTIONS = (
    ("verdict", "Verdict"),
    ("coverage", "Coverage"),
    ("maps", "Heat map"),
    ("model-map", "Map"),
    ("profiles", "Layers"),
    ("agreement", "Agreement"),
    ("trend", "Competence"),
    ("caveats", "Caveats"),
    ("scores", "Scores"),
    ("provenance", "Provenance"),
)
_MANY = 250  # models, above which numbers are half precision
_CITATION = """@software{kernalign,
  title = {kernalign: how alike are two representations},
  version = {%s}
}"""


def page() -> list[str]:
    """Style, script and template."""
    return [(_PAGE / name).read_text("utf-8") for name in ("report.css", "report.js", "report.html.j2")]


def html(run: Any) -> str:
    """The page."""
    try:
        from jinja2 import Environment
        from markupsafe import Markup
    except ImportError as error:
        raise ImportError("a report needs Jinja2: pip install 'kernalign[report]'") from error
    style, script, source = page()
    made = Environment(autoescape=True, keep_trailing_newline=True, finalize=_visible)
    template = made.from_string(source)
    caveats = [{"set": name, **one._asdict()} for name, one in run.caveats]
    sets = [_set(run, name) for name in run.members]
    values = {
        "title": run.suite.description.name,
        "models": sum(len(own.entries) for own in run.members.values()),
        "scores": len(run.rows),
        "metrics": run.suite.description.metrics,
        "sections": _SECTIONS,
        "verdict": gathered.verdict(run),
        "claims": sorted(run.claims, key=lambda one: one.verdict == "held"),
        "standings": gathered.standings(run),
        "coverage": gathered.coverage(run),
        "unreadable": [
            (name, one.reason) for own in run.members.values() for name, one in own.known.items() if one.reason
        ],
        "agreement": gathered.agreement(run),
        "trend": gathered.trend(run),
        "caveats": _merged([one for _, one in run.caveats]),
        "provenance": run.provenance(),
        "lock": run.lock(),
        "citation": _CITATION % run.provenance()["kernalign"],
        "data": Markup(_embedded({"sets": sets, "caveats": caveats})),
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    return str(template.render(values))


def _set(run: Any, name: str) -> dict[str, Any]:
    """What the page draws of a set."""
    description, own = run.suite.description, run.members[name]
    places = {one.name: at for at, one in enumerate(own.entries)}
    layers = {one.name: list(own.known[one.name].layers) for one in own.entries}
    metrics = {one.id: at for at, one in enumerate(description.metrics)}
    rows = sorted((row for row in run.rows if row["set"] == name), key=lambda row: metrics[row["metric_id"]])
    reasons = list(dict.fromkeys(row["reason"] for row in rows))
    place_of = {reason: at for at, reason in enumerate(reasons)}
    many = len(own.entries) > _MANY

    def numbers(column: str) -> Any:
        return _packed([row[column] for row in rows], half=many)

    def labels(side: str) -> list[int]:
        at = {model: {label: place for place, label in enumerate(found)} for model, found in layers.items()}
        return [at[row[side]].get(row[f"{side}_layer"], -1) for row in rows]

    across = None
    if description.which == "across":
        sides = list(dict.fromkeys(one.side for one in own.entries))
        across = [[places[one.name] for one in own.entries if one.side == side] for side in sides]
        across = across if len(across) == 2 else None
    squares = {} if across else {at: gathered.square(run, name, metric) for metric, at in metrics.items()}
    return {
        "name": name,
        "models": [
            {**{key: getattr(one, key) for key in ("name", "family", "side", "competence")}, "layers": layers[one.name]}
            for one in own.entries
        ],
        "metrics": [
            {
                "id": one.id,
                "larger": one.record.larger_is_closer,
                "symmetric": one.record.symmetric,
                "best": one.record.best,
            }
            for one in description.metrics
        ],
        "across": across,
        "columns": {
            "m": _runs([metrics[row["metric_id"]] for row in rows]),
            "x": _runs([places[row["x"]] for row in rows]),
            "y": _runs([places[row["y"]] for row in rows]),
            "a": _runs(labels("x")),
            "b": _runs(labels("y")),
            "score": numbers("score"),
            "chance": numbers("chance"),
            "sd": numbers("chance_sd"),
            "p": numbers("log10_p"),
            **{key: numbers(key) for key in ("stderr", "low", "high")},
            "status": _runs([row["status"] for row in rows]),
            "reason": _runs([place_of[row["reason"]] for row in rows]),
        },
        "reasons": reasons,
        "orders": {at: gathered.order(square) for at, square in squares.items() if square is not None},
        "maps": {at: _map(square) for at, square in squares.items() if square is not None},
    }


def _map(square: NDArray[Any]) -> list[list[float]]:
    points = classical_mds(gathered.apart(square), dims=2) if len(square) > 2 else np.zeros((len(square), 2))
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
    return [[_short(one) or 0.0 for one in point] for point in points[:, :2].tolist()]


def _packed(values: Sequence[Any], *, half: bool) -> Any:
    rounded = [_short(value) for value in values]
    found = _runs(rounded)
    if half and isinstance(found, list):
        array = np.array([np.nan if one is None else one for one in rounded], dtype="<f2")
        return {"f16": base64.b64encode(array.tobytes()).decode()}
    return found


def _runs(values: list[Any]) -> Any:
    """Values as they are or, where that is shorter, each with the number of times that it follows itself."""
    runs: list[list[Any]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return {"runs": runs} if 2 * len(runs) < len(values) else values


def _short(value: Any) -> float | None:
    """Six digits, or None for what is no number."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _merged(caveats: Sequence[Caveat]) -> list[tuple[int, str, int]]:
    """The first of each kind of sentence, by its place, and how many more there are."""
    found: dict[str, list[Any]] = {}
    for at, one in enumerate(caveats):
        own = found.setdefault(re.sub(r"\d[\d.,]*", "#", one.text), [at, str(one), -1])
        own[2] += 1
    return [(at, text, more) for at, text, more in found.values()]


def _embedded(value: Mapping[str, Any]) -> str:
    """JSON that no text in it can end or begin anything with."""
    text = json.dumps(_seen(value), separators=(",", ":"), allow_nan=False, default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _seen(value: Any) -> Any:
    if isinstance(value, str):
        return _visible(value)
    if isinstance(value, dict):
        return {key: _seen(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_seen(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _visible(value: Any) -> Any:
    """A text without what a page would obey; what is marked as a part of the page is none."""
    return visible(value) if type(value) is str else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
