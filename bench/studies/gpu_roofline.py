"""How long must each path on a GPU take, by what memory and products can do: ``python -m bench.studies.gpu_roofline``.

Nothing here is measured but what a report of bench/device holds, which stands beside its expectation then.
"""

from __future__ import annotations

import json
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


H200 = Card("H200", 4.3e12, 60e12, 780e12, 15e12)
CONSUMER = Card("RTX 4090", 0.92e12, 1.25e12, 160e12, 0.6e12, 25e9)


@dataclass(frozen=True)
class Phase:
    """What one kind of kernel moves and computes in a job."""

    name: str
    nbytes: float = 0.0
    doubles: float = 0.0
    halves: float = 0.0
    loops: float = 0.0
    uploaded: float = 0.0

    def seconds(self, card: Card) -> float:
        """The longest of what it waits for."""
        return max(
            self.nbytes / card.copied,
            self.doubles / card.doubles,
            self.halves / card.halves,
            self.loops / card.loops,
            self.uploaded / card.uploaded,
        )


def knn(n: float, d: float, k: int = 10, keep: int = 24, width: int = 4) -> list[Phase]:
    """Exact neighbours: panels of halves, tiles of the upper triangle, the candidates of each row in float64."""
    return [
        Phase("rows read and written as panels", nbytes=n * d * (3 * width + 4)),
        Phase("products", halves=n * n * (d + 32)),
        Phase("tiles written and read", nbytes=n * n / 2 * 8),
        Phase("candidates scored", nbytes=n * keep * d * width, loops=2 * n * keep * d),
    ]


def moments(n: float, d: float, width: int = 4) -> list[Phase]:
    """Linear CKA by features: blocks of 1024 rows of both sides, squared."""
    w = 2 * d + 16
    return [
        Phase("rows read twice, written in float64", nbytes=n * (4 * d * width + 16 * w), loops=8 * n * d),
        Phase("products", doubles=n * w * w, nbytes=16 * w * w * n / 1024),
    ]


def grams(n: float, d: float, rbf: bool = True) -> list[Phase]:
    """CKA of two Gram matrices: products, kernel values where they are, sums of pairs."""
    pairs = n * n / 2
    return [
        Phase("products", doubles=4 * pairs * d, nbytes=16 * pairs),
        Phase("values", nbytes=32 * pairs, loops=2 * pairs * (70 if rbf else 4)),
        Phase("sums of pairs", nbytes=16 * pairs, loops=8 * pairs),
    ]


def medians(n: float, d: float) -> list[Phase]:
    """The bandwidths of both sides: one pass over their distances, after a sample of pairs that says where to look."""
    pairs, sampled = n * n / 2, max(2.0**21, 16 * n)
    return [
        Phase("products", doubles=4 * pairs * d, nbytes=16 * pairs),
        Phase("distances", nbytes=32 * pairs, loops=8 * pairs),
        Phase("counted", nbytes=16 * pairs),
        Phase("pairs sampled", nbytes=2 * sampled * 16 * d, loops=6 * sampled * d),
        Phase("bracket and middle found by halves", nbytes=2 * 64 * 8 * (2 * sampled + 2.0**24)),
    ]


JOBS: dict[str, tuple[str, float, float, list[Phase]]] = {
    "exact kNN, n = 10k": ("knn", 1e4, 1024, knn(1e4, 1024)),
    "exact kNN, n = 100k": ("knn", 1e5, 1024, knn(1e5, 1024)),
    "exact kNN, n = 1M": ("knn", 1e6, 1024, knn(1e6, 1024)),
    "linear CKA, n = 1M": ("cka", 1e6, 1024, moments(1e6, 1024)),
    "linear CKA, n = 10M": ("cka", 1e7, 1024, moments(1e7, 1024)),
    "the same, copied from pinned memory": (
        "",
        1e7,
        1024,
        [*moments(1e7, 1024), Phase("upload", uploaded=1e7 * 2 * 1024 * 4)],
    ),
    "RBF CKA, n = 100k": ("cka rbf", 1e5, 1024, grams(1e5, 1024)),
    "RBF CKA, median bandwidths": ("cka rbf, medians", 1e5, 1024, [*grams(1e5, 1024), *medians(1e5, 1024)]),
}


def expected(job: list[Phase], card: Card) -> float:
    """Seconds of phases one after the other, each at its ceiling."""
    return sum(phase.seconds(card) for phase in job)


def sharded(job: list[Phase], card: Card, devices: int, state: float, link: float = 200e9) -> float:
    """Seconds of a job cut in equal shares of rows (Moments) or of tiles, whose states of that many bytes are added."""
    return expected(job, card) / devices + state * (devices - 1) / link


def measured(folder: Path = REPORTS) -> list[dict[str, object]]:
    """What reports say: card, job, seconds, what its own measured ceilings make of the job, and their ratio."""
    rows: list[dict[str, object]] = []
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text("utf-8"))
        if not {"times", "ceilings"} <= report.keys():
            continue
        found = report["ceilings"]
        card = Card(report["card"], found["copied"], found["doubles"], found["halves"], found["doubles"] / 4)
        for time in report["times"]:
            for name, (what, n, d, job) in JOBS.items():
                if (what, n, d) == (time["what"], time["n"], time["d"]):
                    bound = expected(job, card)
                    rows.append({"card": card.name, "job": name, "seconds": time["seconds"], "bound": bound})
    return rows


def table() -> str:
    """The expectations, as Markdown."""
    lines = ["| d = 1024, float32 | " + " | ".join(card.name for card in (H200, CONSUMER)) + " | slowest phase |"]
    lines.append("|---|---:|---:|---|")
    for name, (_, _, _, job) in JOBS.items():
        slowest = max(job, key=lambda phase: phase.seconds(H200)).name
        times = " | ".join(f"{1e3 * expected(job, card):,.3g} ms" for card in (H200, CONSUMER))
        lines.append(f"| {name} | {times} | {slowest} |")
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
