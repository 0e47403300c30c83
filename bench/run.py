"""Measures kernalign against its peers, interleaved, and checks every answer in the same run.

python -m bench.run knn-gaussian-10k [more cases or groups] [--rounds 7] [--json FILE] [--data FILE.npy]
python -m bench.run --guard
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench import guarded_peers  # noqa: F401 (registers them)
from bench.case import Case, MissingDataError
from bench.cases import CASES, GROUPS
from bench.machine import cpu_name, describe_machine, versions, warn_about_environment
from bench.peers import FACTORIES, PAIRS_TIMED, SCALES, Contestant, _unit

CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


class WrongAnswerError(AssertionError):
    """A contestant did not compute what the case asks for."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold every library's own thread pool at one thread."""
    with contextlib.suppress(ImportError):
        import faiss

        faiss.omp_set_num_threads(1)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


def check_neighbours(name: str, x: Any, indices: Any, exact: bool) -> None:
    """On sampled rows, no accepted neighbour is worse than the float64 k-th best (ours: to 1e-12, peers: to 1e-5)."""
    n, k = indices.shape
    sample = np.random.default_rng(0).choice(n, min(n, 200), replace=False)
    unit = _unit(x.astype(np.float64))
    similar = unit[sample] @ unit.T
    similar[np.arange(len(sample)), sample] = -2
    threshold = np.partition(similar, -k, axis=1)[:, -k]
    accepted = np.take_along_axis(similar, indices[sample].astype(np.int64), axis=1)
    worst = float((threshold[:, None] - accepted).max())
    distinct = all(len(set(row)) == k for row in indices[sample].tolist())
    if worst > (1e-12 if exact else 1e-5) or not distinct:
        raise WrongAnswerError(f"{name}: a neighbour is {worst:.2g} worse than the true k-th, distinct={distinct}")


def check_vectors(case: Case, answers: dict[str, Any]) -> str:
    """Assert that coefficients agree to 1e-3 (a peer works in float32), errors along a path to 1 % (GCV and LOO)."""
    ours = np.asarray(answers[case.ours])
    gaps = {name: float(np.abs(value - ours).max() / np.abs(ours).max()) for name, value in answers.items()}
    if wrong := {name: gap for name, gap in gaps.items() if not gap <= (1e-3 if case.task == "ridge" else 1e-2)}:
        raise WrongAnswerError(f"{case.name}: relative differences from {case.ours} of {wrong}")
    return f"largest relative difference {max(gaps.values()):.1e}"


def check_answers(case: Case, x: Any, y: Any, answers: dict[str, Any]) -> str:
    """Assert that all answers agree; return the sentence that says how well."""
    if case.task == "knn":
        for name, indices in answers.items():
            check_neighbours(name, x, np.asarray(indices), name.startswith("knn"))
        return "neighbours agree with float64 on sampled rows"
    if case.task in ("ridge", "ridge-path"):
        return check_vectors(case, answers)
    answers = {name: value for name, value in answers.items() if not name.startswith("limit-")}
    ours = answers[case.ours]
    tolerance = 1e-3 * max(1.0, float(np.nanmax(np.abs(ours))))
    gaps = {name: float(np.nanmax(abs(value - ours))) for name, value in answers.items() if "-biased" not in name}
    wrong = {name: answers[name] for name, gap in gaps.items() if not gap <= tolerance}
    if wrong:
        raise WrongAnswerError(f"{case.name}: {case.ours} gives {ours!r}, but {wrong}")
    return f"score {np.mean(ours):.6f}, largest difference {max(gaps.values()):.1e}"


def measure(case: Case, rounds: int, path: str | None, without: set[str]) -> dict[str, Any]:
    """Time one case: A B C, then C B A, and so on; one round to warm up."""
    x, y = case.make(path)
    runners: dict[str, Contestant] = {}
    for name in (case.ours, *case.peers):
        if name in without:
            continue
        try:
            runners[name] = FACTORIES[name]()
        except ImportError as error:
            print(f"  SKIP {name}: {error}")
    answers: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    clock = CLOCKS[case.clock]
    with one_thread():
        for turn in range(rounds + 1):
            for name in list(runners)[:: -1 if turn % 2 else 1]:
                start = clock()
                for _ in range(case.repeat if turn else 1):
                    answers[name] = runners[name](x, y, case.k)
                if turn:
                    scale = SCALES[name](x, y) if name in SCALES else 1.0
                    seconds[name].append((clock() - start) / case.repeat * scale)
    agreement = check_answers(case, x, y, answers)
    extrapolated = [name for name in runners if name in SCALES and not name.startswith("limit-")]
    if extrapolated:
        agreement += f"; extrapolated from {PAIRS_TIMED} pairs: {', '.join(extrapolated)}"
    sized = case.sized(path)
    facts = {"task": case.task, "n": sized.n, "d": sized.d, "k": case.k, "data": sized.data, "clock": case.clock}
    return {**facts, "ours": case.ours, "goal": case.goal, "agreement": agreement, "seconds": seconds}


def report(name: str, result: dict[str, Any]) -> None:
    """Print one case: each contestant's median, minimum and range, and its ratio to ours round by round."""
    k = f" k={result['k']}" if "knn" in result["task"] else ""
    goal = f"; goal {result['goal']}" if result["goal"] else ""
    print(f"\n{name}: n={result['n']} d={result['d']}{k}, {result['data']}, {result['clock']} ms{goal}")
    print(f"  {result['agreement']}")
    ours = result["seconds"][result["ours"]]
    print(f"  {'':26s}{'median':>10s}{'min':>10s}{'max':>10s}{'ratio':>9s}   range")
    for contestant, times in result["seconds"].items():
        ms = [1e3 * t for t in times]
        line = f"  {contestant:26s}{statistics.median(ms):10.2f}{min(ms):10.2f}{max(ms):10.2f}"
        if contestant != result["ours"]:
            ratios = [theirs / mine for theirs, mine in zip(times, ours, strict=True)]
            line += f"{statistics.median(times) / statistics.median(ours):8.2f}x   {min(ratios):.2f}-{max(ratios):.2f}"
        print(line)


def guard(rounds: int) -> None:
    """Measure every case that has a stated figure, without a matrix unit; exit with 1 if one is below 0.9 of it."""
    os.environ["KERNALIGN_ISA"] = "avx512"  # read when the package is first imported
    failed = []
    for case in CASES.values():
        if not case.stated:
            continue
        least, found = 0.9 * case.stated, []
        for _ in range(2):  # a busy machine is given a second chance
            result = measure(case, rounds, None, set())
            report(case.name, result)
            ours, theirs = (
                statistics.median(result["seconds"].get(name, [0.0])) for name in (case.ours, case.peers[0])
            )
            found.append(theirs / ours)
            if not 0 < found[-1] < least:  # an absent peer is no failure
                break
        else:
            failed.append(f"{case.name}: {max(found):.2f}x {case.peers[0]}, stated {case.stated}x")
    print("\n" + ("\n".join(["below 0.9 of what is stated:", *failed]) if failed else "all as stated"))
    raise SystemExit(1 if failed else 0)


def main(arguments: list[str] | None = None) -> None:
    """Run the named cases."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="Measure kernalign against its peers.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases or groups; see --list")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times there, for bench.compare")
    parser.add_argument("--data", metavar="FILE", help="real rows instead: .npy, or .npz:name")
    parser.add_argument("--without", default="", metavar="A,B", help="leave these contestants out")
    parser.add_argument("--guard", action="store_true", help="hold the figures that README.md states; some minutes")
    parser.add_argument("--list", action="store_true", help="name all cases and groups")
    options = parser.parse_args(arguments)
    if options.list or not (options.cases or options.guard):
        for case in CASES.values():
            print(f"{case.name:26s} {case.ours} against {', '.join(case.peers)}")
        for group, members in GROUPS.items():
            print(f"{group:26s} = {' '.join(members)}")
        return
    names = [member for name in options.cases for member in GROUPS.get(name, [name])]
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}")
    warn_about_environment()
    print(describe_machine())
    print(f"load average {os.getloadavg()[0]:.2f}, {options.rounds} interleaved rounds, one thread unless named")
    if options.guard:
        guard(options.rounds)
    results = {}
    for name in names:
        try:
            results[name] = measure(CASES[name], options.rounds, options.data, set(options.without.split(",")))
        except MissingDataError as missing:
            print(f"\nSKIP {name}: {missing}")
            continue
        report(name, results[name])
    if options.json:
        machine = {"cpu": cpu_name(), "versions": versions()}
        options.json.write_text(json.dumps({"machine": machine, "cases": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
