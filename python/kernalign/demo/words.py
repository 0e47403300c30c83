"""Says in words what a pair's numbers mean; every word follows from the numbers."""

from __future__ import annotations

from kernalign._base.score import Score

_SIGNIFICANT = 1e-3
# share of the way from chance to identical neighbourhoods -> what it amounts to (conventions, not laws)
_AMOUNTS = (
    (0.6, "they see nearly the same structure"),
    (0.3, "they see much of the same structure"),
    (0.1, "they see partly the same structure"),
    (0.0, "the shared structure is real but slight"),
)


def meaning(x: str, y: str, cka: Score, knn: Score) -> str:
    """One or two plain sentences about a pair, from its unbiased CKA and its mutual k-NN."""
    if knn.chance is None or knn.corrected is None or knn.p_value is None:
        return _sentence(f"no statement about {x} and {y} is possible: the overlap of neighbours does not exist")
    numbers = f"({float(knn):.2f} against {knn.chance:.3f}, {_p(knn.p_value)})"
    if knn.p_value > _SIGNIFICANT:
        text = f"{x} and {y} share no more neighbours than chance explains {numbers}: no common structure is seen"
    else:
        ratio = float(knn) / knn.chance if knn.chance else float("inf")
        strength = "far above chance" if ratio >= 5 else "above chance"
        amount = next((words for least, words in _AMOUNTS if knn.corrected >= least), _AMOUNTS[-1][1])
        text = f"{x} and {y} share neighbours {strength} {numbers}: {amount}"
    return _sentence(text) + _global(cka, knn)


def _global(cka: Score, knn: Score) -> str:
    """What CKA adds, where it tells another story than the neighbours do."""
    if cka.p_value is None or cka.corrected is None or knn.p_value is None or knn.corrected is None:
        return ""
    local, overall = knn.p_value <= _SIGNIFICANT, cka.p_value <= _SIGNIFICANT
    if local and not overall:
        return f" Over all items together (CKA {float(cka):.2f}, {_p(cka.p_value)}) that is not to be seen."
    if overall and not local:
        return f" Over all items together they are related, though (CKA {float(cka):.2f}, {_p(cka.p_value)})."
    if local and overall and cka.corrected - knn.corrected > 0.3:
        return f" They agree better on the coarse arrangement of all items (CKA {float(cka):.2f})."
    return ""


def _p(p: float) -> str:
    return "p < 1e-12" if p < 1e-12 else f"p = {p:.1g}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
