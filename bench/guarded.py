"""Cases whose figures README.md states for CPUs without a matrix unit, and which `bench.run --guard` holds to them."""

from __future__ import annotations

from typing import Any, Literal

from bench.case import Case


def _cka(n: int, d: int, repeat: int, dtype: str = "float32", **stated: Any) -> Case:
    """Linear unbiased CKA against a few lines of NumPy, and the products alone at NumPy's own rate."""
    name = f"cka-{n}x{d}" + ("-float64" if dtype == "float64" else "")
    return Case(name, "cka", n, d, ("numpy-feature-unbiased", "limit-cka"), "cka", dtype=dtype, repeat=repeat, **stated)


def _models(models: int, layers: int, n: int, d: int, **stated: Any) -> Case:
    """CKA of all pairs of layers of all pairs of models, against one product of stacked Gram matrices."""
    name = f"models-cka-{models}x{layers}-{n}x{d}"
    return Case(
        name,
        "models-cka",
        n,
        d,
        ("numpy-stacked", "limit-models-cka"),
        "models-cka",
        layers=(models * layers, layers),
        **stated,
    )


def _soft(n: int, p: int, q: int, repeat: int, **stated: Any) -> Case:
    """Soft matching of p with q float64 columns."""
    name, peers = f"soft-matching-{p}x{q}", ("pot-emd2",)
    return Case(name, "soft-matching", n, p, peers, "soft-matching", k=q, dtype="float64", repeat=repeat, **stated)


def _mantel(correlation: str, **stated: Any) -> Case:
    """300 models, 999 renamings."""
    peers = (f"scikit-bio-{correlation}",)
    return Case(f"mantel-{correlation}", "mantel", 300, 300, peers, f"mantel-{correlation}", repeat=3, **stated)


def _resi(what: Literal["procrustes", "one-to-one"], n: int, d: int, repeat: int, **stated: Any) -> Case:
    """Float32 rows against what ReSi does."""
    return Case(f"{what}-{n}x{d}", what, n, d, (f"resi-{what}",), what, repeat=repeat, **stated)


GUARDED = (
    _cka(32, 64, 1000, goal=">= 1.25x", stated=1.38),
    _cka(64, 64, 1000, goal=">= 1.25x", stated=1.49),
    _cka(300, 64, 200, goal=">= 1.1x", stated=1.2),
    _cka(1000, 256, 10, goal=">= 1.1x", stated=1.17),
    _cka(5000, 256, 3, goal=">= 1.1x", stated=1.15),
    _cka(20_000, 256, 1, goal=">= 1.1x", stated=1.18),
    _cka(1000, 768, 2, goal=">= 1.1x", stated=1.7),
    _cka(5000, 768, 1, goal=">= 1.1x", stated=1.0),
    _cka(300, 64, 200, "float64", goal=">= 1x", stated=1.11),
    _cka(1000, 256, 10, "float64", goal=">= 1x", stated=1.07),
    _cka(5000, 256, 3, "float64", goal=">= 1x", stated=1.09),
    _cka(5000, 768, 1, "float64", goal=">= 1x", stated=1.0),
    _models(12, 12, 400, 96, goal=">= 1x", stated=1.14),
    _models(4, 12, 1000, 384, goal=">= 1x", stated=1.22),
    _models(4, 12, 2000, 512, goal=">= 1x", stated=1.3),
    _models(8, 12, 300, 64, goal=">= 1x", stated=1.08),
    _mantel("pearson", goal=">= 1x", stated=1.08),
    _mantel("spearman", goal=">= 1x", stated=1.15),
    _soft(1000, 128, 96, 20, goal=">= 0.8x", stated=0.85),
    _soft(1000, 300, 299, 5, goal=">= 0.8x", stated=0.93),
    _soft(2000, 768, 512, 1, goal=">= 0.8x", stated=0.88),
    _soft(2000, 768, 768, 1, goal=">= 1x", stated=1.0),
    _resi("procrustes", 1000, 768, 1, goal=">= 1x", stated=1.6),
    _resi("procrustes", 5000, 768, 1, goal=">= 1x", stated=1.5),
    _resi("one-to-one", 1000, 256, 5, goal=">= 1x", stated=1.0),
    _resi("one-to-one", 5000, 768, 1, goal=">= 1x", stated=1.05),
    Case(
        "rsa-kendall",
        "rsa",
        1000,
        256,
        ("rsatoolbox-tau-a",),
        "rsa-kendall",
        dtype="float64",
        repeat=3,
        goal=">= 1x",
        stated=2.0,
    ),
    Case("svcca-wide", "wide", 128, 200_000, ("numpy-gram-svcca",), "cca-wide", k=40, goal=">= 0.5x", stated=0.7),
)
