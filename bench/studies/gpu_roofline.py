"""How long must each path on a GPU take, by what memory and products can do: ``python -m bench.studies.gpu_roofline``.

Nothing here is measured but what a report of bench/device holds, which stands beside its expectation then.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPORTS = Path(__file__).parents[1] / "device/reports"


@dataclass(frozen=True)
class Card:
    """Ceilings, in bytes and operations per second. Stated ones: what makers and others' benchmarks say."""

    name: str
    copied: float  # bytes read and written
    doubles: float  # of float64 products
    halves: float  # of float16 products summed in float32
    loops: float  # of float64 outside products, without fused multiply-adds
    uploaded: float = 50e9
    floats: float = 0.0  # of float32 products, where 32-bit rows are multiplied in it; a third outside products

    @property
    def narrow(self) -> bool:
        """Whether 32-bit rows are multiplied in float32, since float64 would take over 8 times as long."""
        return self.floats > 8 * self.doubles


H200 = Card("H200", 4.3e12, 60e12, 780e12, 15e12)
CONSUMER = Card("RTX 4090", 0.92e12, 1.25e12, 160e12, 0.6e12, 25e9, 60e12)
WAIT = 20e-6  # seconds until a device that was waited for is at work again


@dataclass(frozen=True)
class Phase:
    """What one kind of kernel moves and computes in a job."""

    name: str
    nbytes: float = 0.0
    products: float = 0.0  # operations of products of rows
    values: float = 0.0  # of other arithmetic in the type of these
    halves: float = 0.0
    loops: float = 0.0
    uploaded: float = 0.0
    waits: float = 0.0

    def seconds(self, card: Card) -> float:
        """The longest of what it waits for."""
        return max(
            self.nbytes / card.copied,
            self.products / (card.floats if card.narrow else card.doubles),
            self.values / (card.floats / 3 if card.narrow else card.loops),
            self.halves / card.halves,
            self.loops / card.loops,
            self.uploaded / card.uploaded,
            self.waits * WAIT,
        )


def knn(n: float, d: float, narrow: bool = False, keep: int = 24, width: int = 4) -> list[Phase]:
    """Exact neighbours: panels of halves, tiles of the upper triangle, the candidates of each row in float64."""
    if n * n * d < 2**32:  # all pairs are scored
        return [Phase("rows read", nbytes=2 * n * d * width, waits=6), Phase("pairs scored", loops=2 * n * n * d)]
    return [
        Phase("rows read and written as panels", nbytes=n * d * (3 * width + 4)),
        Phase("products", halves=n * n * (d + 32)),
        Phase("tiles written and read", nbytes=n * n / 2 * 8),
        Phase("candidates scored", nbytes=n * keep * d * width, loops=2 * n * keep * d),
    ]


def moments(n: float, d: float, narrow: bool = False, width: int = 4) -> list[Phase]:
    """Linear CKA by features: blocks of 1024 rows of both sides, squared."""
    w, blocks = 2 * d + 16, n / 1024
    read = Phase("rows read twice, written in float64", nbytes=n * (4 * d * width + 16 * w), loops=8 * n * d)
    if not narrow:
        return [read, Phase("products", products=n * w * w, nbytes=16 * w * w * blocks)]
    return [
        read,
        Phase("lengths, to find outliers", nbytes=2 * n * d * width, loops=6 * n * d, waits=2 * blocks / 64),
        Phase("means and what they add", nbytes=8 * n * w, loops=6 * n * w),
        Phase("rows less their means", nbytes=12 * n * w, loops=n * w),
        Phase("products", products=n * w * w, nbytes=(4 * n * w + 2 * w * w * blocks)),
        Phase("products added in float64", nbytes=10 * w * w * blocks, loops=1.5 * w * w * blocks),
    ]


def grams(n: float, d: float, narrow: bool = False, rbf: bool = True, sides: int = 2) -> list[Phase]:
    """The sums of all pairs of Gram matrices: products, kernel values where they are, sums of pairs."""
    pairs, made = n * n / 2, 4 if narrow else 8
    groups = -(-sides // 8)
    return [
        Phase("products", products=2 * sides * pairs * d, nbytes=sides * made * pairs),
        Phase(
            "values",
            nbytes=sides * (made + 8) * pairs,
            values=sides * pairs * (70 if rbf else 4),
            loops=6 * sides * pairs,
        ),
        Phase(
            "sums of pairs",
            nbytes=8 * pairs * (sides if groups == 1 else 16 * groups * (groups + 1) / 2),
            loops=pairs * max(8, sides * (sides + 1)),
        ),
    ]


def medians(n: float, d: float, narrow: bool = False) -> list[Phase]:
    """The bandwidths of both sides: one pass over their distances, after a sample of pairs that says where to look."""
    pairs, sampled, made = n * n / 2, max(2.0**21, 16 * n), 4 if narrow else 8
    return [
        Phase("products", products=4 * pairs * d, nbytes=2 * made * pairs),
        Phase("distances", nbytes=2 * (made + 8) * pairs, loops=8 * pairs),
        Phase("counted", nbytes=16 * pairs),
        Phase("pairs sampled", nbytes=2 * sampled * 2 * made * d, loops=6 * sampled * d),
        Phase("bracket and middle found by halves", nbytes=2 * 64 * 8 * (2 * sampled + 2.0**24)),
    ]


Job = Callable[[bool], list[Phase]]
LAYERS = 24 + 32
# What a report calls it, rows, columns, seconds that an H200 may take, phases.
JOBS: dict[str, tuple[str, float, float, float | None, Job]] = {
    "exact kNN, n = 10k": ("knn", 1e4, 1024, 3e-3, lambda narrow: knn(1e4, 1024)),
    "exact kNN, n = 100k": ("knn", 1e5, 1024, 45e-3, lambda narrow: knn(1e5, 1024)),
    "exact kNN, n = 1M": ("knn", 1e6, 1024, 3.2, lambda narrow: knn(1e6, 1024)),
    "linear CKA, n = 1M": ("cka", 1e6, 1024, None, lambda narrow: moments(1e6, 1024, narrow)),
    "linear CKA, n = 10M": ("cka", 1e7, 1024, 1.2, lambda narrow: moments(1e7, 1024, narrow)),
    "the same, copied from pinned memory": (
        "",
        1e7,
        1024,
        None,
        lambda narrow: [*moments(1e7, 1024, narrow), Phase("upload", uploaded=1e7 * 2 * 1024 * 4)],
    ),
    "RBF CKA, n = 100k": ("cka rbf", 1e5, 1024, 0.7, lambda narrow: grams(1e5, 1024, narrow)),
    "RBF CKA, median bandwidths": (
        "cka rbf, medians",
        1e5,
        1024,
        1.2,
        lambda narrow: [*grams(1e5, 1024, narrow), *medians(1e5, 1024, narrow)],
    ),
    "lists of 24 + 32 layers, n = 1024": (
        "layers, knn",
        1024,
        1024,
        0.1,
        lambda narrow: LAYERS * knn(1024, 1024),
    ),
    "lists of 24 + 32 layers, n = 10k": ("layers, knn", 1e4, 1024, 0.4, lambda narrow: LAYERS * knn(1e4, 1024)),
    "linear CKA of 24 x 32 layers, n = 10k": (
        "layers, cka",
        1e4,
        1024,
        0.3,
        lambda narrow: grams(1e4, 1024, narrow, rbf=False, sides=LAYERS),
    ),
}


def expected(job: list[Phase], card: Card) -> float:
    """Seconds of phases one after the other, each at its ceiling."""
    return sum(phase.seconds(card) for phase in job)


def sharded(job: list[Phase], card: Card, devices: int, state: float, link: float = 200e9) -> float:
    """Seconds of a job cut in equal shares of rows (Moments) or of tiles, whose states of that many bytes are added."""
    return expected(job, card) / devices + state * (devices - 1) / link


def measured(folder: Path = REPORTS) -> list[dict[str, object]]:
    """What reports say: card, job, seconds, what its own measured ceilings make of the job, and what is acceptable."""
    rows: list[dict[str, object]] = []
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text("utf-8"))
        if not {"times", "ceilings"} <= report.keys():
            continue
        found = report["ceilings"]
        card = Card(
            report["card"], found["copied"], found["doubles"], found["halves"], found["doubles"] / 4,
            floats=found["floats"],
        )  # fmt: skip
        for time in report["times"]:
            for name, (what, n, d, accepted, job) in JOBS.items():
                if (what, n, d) == (time["what"], time["n"], time["d"]) and "seconds" in time:
                    bound = expected(job(card.narrow), card)
                    row = {"card": card.name, "job": name, "seconds": time["seconds"], "bound": bound}
                    rows.append({**row, "accepted": accepted if H200.name in card.name else None})
    return rows


def table() -> str:
    """The expectations, as Markdown."""
    lines = [f"| d = 1024, float32 | {H200.name} | accepted | {CONSUMER.name} | slowest phase |"]
    lines.append("|---|---:|---:|---:|---|")
    for name, (_, _, _, accepted, job) in JOBS.items():
        times, slowest = [], []
        for card in (H200, CONSUMER):
            phases = job(card.narrow)
            times.append(f"{1e3 * expected(phases, card):,.3g} ms")
            slowest.append(max(phases, key=lambda phase: phase.seconds(card)).name)
        times.insert(1, f"{1e3 * accepted:,.3g} ms" if accepted else "")
        lines.append(f"| {name} | {' | '.join(times)} | {', '.join(dict.fromkeys(slowest))} |")
    return "\n".join(lines)


def main() -> None:
    print(table())
    state = 8 * (2 * 1024 + 16) ** 2
    for devices in (2, 4, 8):
        print(
            f"\n{devices} H200: linear CKA, n = 10M: {sharded(moments(1e7, 1024), H200, devices, state):.3f} s; ",
            end="",
        )
        print(f"RBF CKA, n = 100k: {sharded(grams(1e5, 1024), H200, devices, 8e5 * 2):.3f} s")
    for row in measured():
        print(row)
    if not measured():
        print("\nDevice reports: none.")


if __name__ == "__main__":
    main()
