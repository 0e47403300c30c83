"""Writes docs/implementations.md from the rows: `python -m conformance.table`, in tests/."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conformance.inputs import NAMES
from conformance.row import Row
from conformance.rows import FAMILIES, REPOSITORIES, ROWS, VALUES

PAGE = Path(__file__).parents[2] / "docs" / "implementations.md"
_HEAD = """# Which implementation computes what

{measures} measures of {repositories} public implementations, given float64 numbers of five pairs: `golden` (a published
example), `offset` (means far from 0), `wide` (more features than items), `ties` (integers, repeated columns and items),
`real` (two representations of the demo). Of the {cells} values, {values} are numbers: {equal} are those of the call
beside them, to 2·10⁻⁶, and {departing} are not, each for the reason given: for {accounted} of these an expression of
that reason gives their value, {bounded} are within a bound of it or of ours (ties, float32, random vectors), and {lot}
no definition fixes: their method, run here, gives other values when columns or items change places. {none} could not be
computed. `tests/conformance` holds values and reasons
and tests all of this; `python -m conformance.table`, in tests/, writes this page. An implementation was called as
[similarity-repository](https://github.com/nacloos/similarity-repository) calls it, and "adapter" means that.

The last column says whether our call gives their number: "yes, but" names the pairs where it does not. `platonic` is
`kernalign.compat.platonic.AlignmentMetrics`; what else our calls use is in `tests/reference/peers.py`.
"""
_FOOT = """
## Values that others publish

`tests/conformance/test_published.py` holds us to: biased dCor² 0.93387 and 0.31623 and bias-corrected −0.41613 of small
matrices (R's energy); canonical correlations 0.795608, 0.200556, 0.072570 of the fitness data (SAS PROC CANCORR);
Mantel's 0.7559 (scikit-bio) and biased dCor 0.762676 (hyppo). `pytest -m live` asks dcor, hyppo, rsatoolbox,
statsmodels, POT, scikit-bio and RapidFuzz themselves, as PyPI has them that day, in an environment made for it.

## SVCCA of platonic-rep

Theirs draws a random SVD of two power iterations without oversampling, and so other directions at every call. On the
demo's `use_en` and `use_fr`, 10 directions, PyTorch and scikit-learn gave 0.609 ± 0.023 over 30 seeds, and
`compat.platonic`'s `AlignmentMetrics.svcca(x, y, seed=s)` gives 0.607 ± 0.024 over 100. Without `seed=` it gives what
exact directions have, 0.767: no draw came near it. To compare with numbers that platonic-rep made, give seeds and take
the mean.
"""


def page() -> str:
    """The page as the rows have it."""
    lines = [_HEAD.format(**counts())]
    for family, rows in FAMILIES.items():
        lines += [f"## {family}", "", "| what it computes | who | ours | same? |", "|---|---|---|---|"]
        lines += [f"| {row.definition} | {_who(row)} | {_code(row.ours)} | {_said(row)} |" for row in rows]
        lines.append("")
    lines += ["## Repositories", ""]
    lines += [f"* {name}: [{at}](https://github.com/{at})" for name, at in REPOSITORIES.items()]
    return "\n".join(lines) + "\n" + _FOOT


def counts() -> dict[str, int]:
    """How many values there are of each kind."""
    found = dict.fromkeys(("values", "equal", "departing", "accounted", "bounded", "lot"), 0)
    for row in ROWS:
        for pair in NAMES:
            numbers = sum(not isinstance(VALUES[pair][measure], str) for measure in row.measures)
            found["values"] += numbers
            departure = row.departs(pair)
            if departure is None:
                found["equal"] += numbers
            else:
                kind = "lot" if departure.lot else "accounted" if departure.within is None else "bounded"
                found["departing"] += numbers
                found[kind] += numbers
    cells = len(NAMES) * sum(len(row.measures) for row in ROWS)
    measures = {measure for row in ROWS for measure in row.measures}
    return found | {
        "cells": cells,
        "none": cells - found["values"],
        "measures": len(measures),
        "repositories": len(REPOSITORIES),
    }


def _who(row: Row) -> str:
    return ", ".join(measure.removeprefix("measure/").replace("|", "\\|") for measure in row.measures)


def _code(expression: str | None) -> str:
    return "–" if expression is None else f"`{expression}`"


def _said(row: Row) -> str:
    if row.departure is not None:
        return ("no: " if row.ours else "") + "; ".join(_unique([row.departure.why, *_exceptions(row)]))
    exceptions = _exceptions(row)
    return "yes" + (", but " + "; ".join(exceptions) if exceptions else "")


def _exceptions(row: Row) -> list[str]:
    reasons = _unique(one.why for one in row.cells.values())
    return [f"{', '.join(pair for pair, one in row.cells.items() if one.why == why)}: {why}" for why in reasons]


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
