"""Does kernel alignment of a sample stay within sqrt(32 ln(2/δ)/n) of the population's? Real subsamples say where not.

    python -m bench.studies.alignment_radius

After Insulla, Huang and Rosasco 2025, Lemma 1, and their identities of alignment, on the 539 emoji of the demo.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kernalign as ka
import numpy as np
from kernalign import demo
from numpy.typing import NDArray

Rows = NDArray[np.float64]

DELTA = 0.05
SIZES = (120, 240, 480)
FRACTIONS = (1.0, 0.5, 0.25, 0.125)
DRAWS = 40
OUTPUT = Path(__file__).with_suffix(".md")


def radius(n: int, delta: float = DELTA) -> float:
    """What the lemma states; above 1, and so empty, up to n = 118."""
    return math.sqrt(32 * math.log(2 / delta) / n)


def unit(x: Rows) -> Rows:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@dataclass(frozen=True)
class Deviations:
    """One kernel, one sample size: deviations from the alignment of all items, over pairs and draws."""

    kernel: str
    n: int
    radius: float
    beyond: float  # share of pairs and draws whose deviation exceeds the radius
    worst: float
    unbiased: float  # the 95 % quantile of the deviation of the unbiased estimate
    flatness: float  # median of 1 / (n c_x c_y), c the root mean square of off-diagonal entries: what the diagonal adds


def deviations(representations: Mapping[str, Rows], seed: int = 0) -> Iterator[Deviations]:
    """Subsamples without replacement of unit rows; kernels with k(x, x) = 1, as the lemma asks."""
    pairs = list(itertools.combinations({name: unit(rows) for name, rows in representations.items()}.items(), 2))
    kernels = {"linear": lambda rows: rows @ rows.T}
    kernels |= {f"Gaussian, σ = median × {f:g}": _gaussian(f) for f in FRACTIONS}
    for kernel, of in kernels.items():
        grams = {name: of(rows) for pair in pairs for name, rows in pair}
        for n in SIZES:
            rng = np.random.default_rng(seed)
            found, free, flat = [], [], []
            for (x, _), (y, _) in pairs:
                whole = float(_alignment(grams[x], grams[y], "unbiased"))
                with np.errstate(divide="ignore"):
                    flat.append(1 / (n * _size(grams[x]) * _size(grams[y])))
                for _ in range(DRAWS):
                    chosen = np.ix_(*[rng.permutation(len(grams[x]))[:n]] * 2)
                    k, g = grams[x][chosen], grams[y][chosen]
                    found.append(abs(_alignment(k, g, "biased") - whole))
                    free.append(abs(_alignment(k, g, "unbiased") - whole))
            limit = radius(n)
            beyond = float(np.mean(np.array(found) > limit))
            yield Deviations(
                kernel, n, limit, beyond, max(found), float(np.quantile(free, 0.95)), float(np.median(flat))
            )


def _gaussian(fraction: float):
    def of(rows: Rows) -> Rows:
        squares = np.maximum(2 - 2 * rows @ rows.T, 0)
        return np.exp(-squares / (2 * fraction**2 * np.median(squares)))

    return of


def _alignment(k: Rows, g: Rows, estimator: str) -> float:
    return float(ka.kernel_alignment(k, g, kernel=ka.Precomputed(), estimator=estimator))


def _size(k: Rows) -> np.float64:
    n = len(k)
    return np.sqrt((np.square(k - np.diag(np.diag(k)))).sum() / (n * (n - 1)))


def identities(x: Rows, y: Rows) -> dict[str, float]:
    """Relative gaps between both sides of what the paper states, and of what holds, on unit rows."""
    x, y = unit(x), unit(y)
    k, g, n = x @ x.T, y @ y.T, len(x)
    alignment = float(ka.kernel_alignment(x, y, estimator="biased"))
    c, d = np.linalg.norm(k) / n, np.linalg.norm(g) / n
    distance = float(ka.distance_alignment(x, y))
    spectra = [ka.spectrum(side, centred=False) for side in (x, y)]
    eta, zeta = (one.eigenvalues for one in spectra)
    cosines = spectra[0].left.T @ spectra[1].left
    trace = float((k * g).sum()) / n**2
    few = slice(0, 40)
    joint, product = _joint_and_product(k[few, few], g[few, few])
    hsic = float(ka.hsic(x[few], y[few], estimator="biased"))
    return {
        "D = 4 [(c₁ - c₂)² + 2 c₁ c₂ (1 - A)]": _gap(4 * ((c - d) ** 2 + 2 * c * d * (1 - alignment)), distance),
        "D = 8 C (1 - A), as stated, C² = c₁ c₂": _gap(8 * math.sqrt(c * d) * (1 - alignment), distance),
        "D = 8 C² (1 - A)": _gap(8 * c * d * (1 - alignment), distance),
        "MMD²(joint, product) = HSIC": _gap(joint - product, hsic),
        "tr = Σ η₁ η₂ Φ²": _gap(float(eta @ cosines**2 @ zeta), trace),
        "tr = Σ √η₁ √η₂ Φ, as stated": _gap(float(np.sqrt(eta) @ cosines @ np.sqrt(zeta)), trace),
    }


def _joint_and_product(k: Rows, g: Rows) -> tuple[float, float]:
    """The terms of MMD² of the pairs against all pairings, by the kernel kl on n and n² points."""
    n = len(k)
    both = np.kron(k, g)  # every pairing with every other
    paired = np.arange(n) * (n + 1)
    joint = both[np.ix_(paired, paired)].mean() + both.mean()
    return joint, 2 * both[paired].mean()


def _gap(left: float, right: float) -> float:
    return abs(left - right) / abs(right)


def report(found: Sequence[Deviations], gaps: Mapping[str, Sequence[float]], seconds: float) -> str:
    """The page."""
    broken = [one for one in found if one.beyond > DELTA]
    held = "Refuted as stated" if broken else "Held on these data"
    lines = [
        "# The radius of Lemma 1, and the identities of alignment",
        "",
        "**Claim** (Insulla, Huang and Rosasco 2025, Lemma 1): for kernels with k(x, x) = 1 the alignment of n pairs"
        " is within"
        f" √(32 ln(2/δ)/n) of the population's with probability 1 - δ. **{held}.**",
        "",
        f"`python -m bench.studies.alignment_radius`, {seconds:.0f} s of one core. The demo's 539 emoji, its 7"
        f" representations,"
        f" 21 pairs, unit rows; {DRAWS} subsamples without replacement of each pair and size; δ = {DELTA}. The"
        f" population's"
        " alignment is the unbiased estimate of all items. Sizes and bandwidths were fixed beforehand.",
        "",
        "| kernel | n | radius | beyond it | worst | unbiased: 95 % within | 1/(n c₁ c₂) |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.kernel} | {one.n} | {one.radius:.2f} | {one.beyond:.0%} | {one.worst:.2f} | {one.unbiased:.3f} |"
        f" {one.flatness:.2g} |"
        for one in found
    ]
    if broken:
        least = min(one.flatness for one in broken)
        lines += [
            "",
            f"The share beyond exceeds δ in {len(broken)} of {len(found)} rows, whose 1/(n c₁ c₂) is {least:.2g} or"
            f" more, c the root mean square of a kernel off its diagonal. (At n = {SIZES[0]} the radius is"
            f" {radius(SIZES[0]):.2f}: hardly anything can be beyond it.) The diagonal of a sample adds 1/n to the sum"
            f" that estimates c₁ c₂ A, whatever A is, so a radius must contain 1/(c₁ c₂). Linear kernels of these"
            f" rows, and Gaussian ones of the usual width, are far from that: there the radius holds, and is far too"
            f" wide. The unbiased estimate, which leaves the diagonal out, is within the figure of its column in 95 %"
            f" of draws.",
        ]
    lines += ["", "## Identities", "", "| of 21 pairs | largest relative gap | median |", "|---|---|---|"]
    lines += [f"| {name} | {max(own):.2g} | {np.median(own):.2g} |" for name, own in gaps.items()]
    lines += [
        "",
        "The corrected forms hold to rounding. What was stated (docs/mathematics.md, 5.1 and 5.3) does not: C must be"
        " squared, the norms must be equal (D has a term"
        " of their difference), and the cosines of eigenfunctions enter the spectral form squared.",
        "",
        "**What would change the verdict**: a condition that bounds 1/c₁c₂, the effective dimension, by n, or an"
        " estimate"
        " without the diagonal.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    begun = time.process_time()
    representations = {name: rows.astype(np.float64) for name, rows in demo.representations().items()}
    found = list(deviations(representations))
    gaps: dict[str, list[float]] = {}
    for x, y in itertools.combinations(representations.values(), 2):
        for name, gap in identities(x, y).items():
            gaps.setdefault(name, []).append(gap)
    OUTPUT.write_text(report(found, gaps, time.process_time() - begun), encoding="utf-8")


if __name__ == "__main__":
    main()
