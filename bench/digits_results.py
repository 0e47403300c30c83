"""Cases of digits.py, second part: many at once, inference, other modules and the command line."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import kernalign as ka
import numpy as np
from click.testing import CliRunner
from digits_cases import CLIPART, KERNELS, SIMILARITIES, Case, attempt, clipart, each, related, words
from kernalign import embedding, pmi, robustness, sources
from kernalign.compat import platonic

partial = functools.partial
_SECONDS = re.compile(r"\d+\.\d+ s$|\s+\d+\.\d{3}$|\bseconds\b|\s+$", re.MULTILINE)


@functools.cache
def models() -> dict[str, Any]:
    """Representations with and without layers, as lists and as one array, of the same 160 items."""
    vision = clipart(*(f"dinov2s_block{block}_cls" for block in ("03", "06", "09", "12")))
    return {
        "vision": vision,
        "text": clipart("mpnet_l00", "mpnet_l06", "mpnet_l12"),
        "stacked": np.stack(clipart("minilm6_l00", "minilm6_l06"), axis=1),
        "single": clipart("efflite0_b3")[0],
        "words": clipart("glove50")[0].astype(np.float32),
    }


def compared(*given: Any, **keywords: Any) -> Any:
    """A comparison and all that it can say."""
    found = ka.compare(*given, **keywords)
    parts: dict[str, Any] = {"comparison": found, "rows": list(found.rows()), "table": found.to_dataframe()}
    for metric in found.metrics:
        parts[f"best {metric}"] = found.best(metric)
        parts[f"pairs {metric}"] = found.pairs(metric)
        for name in ("distances", "largest"):
            parts[f"{name} {metric}"] = attempt(getattr(found, name), metric)
    found.save("comparison.npz", overwrite=True)
    loaded = ka.Comparison.load("comparison.npz")
    return parts | {"loaded": loaded, "loaded rows": list(loaded.rows()), "repr": repr(found), "str": str(found)}


def comparisons() -> Iterator[Case]:
    found = models()
    small = {name: found[name] for name in ("text", "stacked", "single")}
    flat = {"a": found["single"], "b": found["words"], "c": found["text"][1]}
    short = {
        name: [layer[:40, :9] for layer in layers] for name, layers in (("v", found["vision"]), ("t", found["text"]))
    }
    shared = ("cka", "mutual_knn", "rsa", "cknna", "cycle_knn", "distance_correlation")
    for given in each(layers=("all", "best"), concatenated=(False, True), p_values=(True, False)):
        yield f"compare(shared, {words(given)})", partial(compared, small, metrics=shared, **given)
        yield f"compare(xs, ys, {words(given)})", partial(compared, {"v": found["vision"]}, small, **given)
        yield f"compare(short, {words(given)})", partial(compared, short, k=4, **given)
    for given in [{"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}, {"threads": 2}]:
        yield f"compare({words(given)})", partial(compared, small, metrics=shared, **given)
        yield f"compare(best, {words(given)})", partial(compared, small, metrics=shared[:2], layers="best", **given)
    for estimator, kernel in itertools.product(("unbiased", "biased", None), (None, *KERNELS)):
        given = {"estimator": estimator, "kernel": kernel, "metrics": ("cka", "hsic", "kernel_alignment")}
        yield f"compare(flat, {words(given)})", partial(compared, flat, **given)
    for layers in ("all", "best"):
        for name in ka.METRICS:
            options: dict[str, Any] = {"subspace_overlap": {"metric_options": {name: {"rank": 2}}}}.get(name, {})
            few = {key: [layer[:60, :12] for layer in value] for key, value in short.items()}
            yield f"compare({name}, {layers})", partial(compared, few, metrics=[name], layers=layers, k=3, **options)
            yield f"compare({name}, flat, {layers})", partial(compared, flat, metrics=[name], layers=layers, **options)
        for name, option in (
            *(("mutual_knn", {"metric": similarity}) for similarity in SIMILARITIES),
            *(("mutual_knn", {"ties": "index"}), ("cka", {"uncertainty": "jackknife"}), ("cka", {"kernel": ka.RBF()})),
            *(("rsa", {"distance": "euclidean"}), ("rsa", {"comparison": "pearson"}), ("svcca", {"rank": 3})),
            *(("cknna", {"variant": "paper"}), ("linear_predictivity", {"cv": 3}), ("cca", {"statistic": "r2"})),
        ):
            call = partial(compared, small, metrics=[name], layers=layers, metric_options={name: option})
            yield f"compare({name}, {option}, {layers})", call
        odd = {"a": found["single"], "constant": np.ones((160, 3)), "repeated": found["words"][np.arange(160) % 90]}
        yield f"compare(undefined, {layers})", partial(compared, odd, metrics=("cka", "mutual_knn"), layers=layers)
    gram = {name: (side := value.astype(np.float64)) @ side.T for name, value in flat.items()}
    yield "compare(precomputed)", partial(compared, gram, metrics=["cka"], kernel=ka.Precomputed())
    yield "compare(file)", partial(compared, {"all": str(CLIPART), "one": f"{CLIPART}:glove50"}, metrics=["cka"])


def inference() -> Iterator[Case]:
    found, labels = models(), np.arange(160) % 5
    x, y, a = found["single"], found["text"][2], found["words"]
    for name in (*ka.METRICS, lambda x, y: float(np.mean(x[:, 0] * y[:, 0])), partial(ka.rsa, comparison="pearson")):
        said = name if isinstance(name, str) else type(name).__name__
        for given in [{}, {"groups": labels[:50]}, {"normalize": "l2"}, {"seed": 3, "threads": 2}]:
            call = partial(ka.permutation_test, name, x[:50], y[:50], permutations=9, k=3, **given)
            yield f"permutation_test({said}, {words(given)})", call

    def tested(*given: Any, **keywords: Any) -> Any:
        tests = ka.permutation_test(*given, permutations=30, **keywords)
        one = next(iter(tests.values())) if isinstance(tests, dict) else tests
        return tests, one.mean, one.sd, one.threshold(0.1), one.calibrated(), repr(one)

    several = ["cka", "mutual_knn", "jaccard_knn", "lcs_knn", "hsic", "procrustes"]
    for given in [{}, {"groups": labels}, {"k": 5, "similarity": "euclidean"}, {"ties": "index"}, {"seed": 7}]:
        yield f"permutation_test(several, {words(given)})", partial(tested, several, x, y, **given)
        yield (
            f"permutation_test(layers, {words(given)})",
            partial(tested, several[:5], found["vision"], found["text"], **given),
        )
    for estimator, kernel in itertools.product(("unbiased", "biased"), KERNELS):
        call = partial(tested, ["cka", "kernel_alignment"], x, y, estimator=estimator, kernel=kernel)
        yield f"permutation_test({estimator}, {kernel!r})", call
    yield "permutation_test(wide)", partial(tested, "cka", *related(40, 60, 50, 1))
    yield "permutation_test(Neighbors)", lambda: tested("mutual_knn", ka.knn(x, 5), ka.knn(y, 5), k=5)
    for method, kernel in itertools.product(("moments", "gamma", "permutation"), KERNELS):
        call = partial(ka.independence_test, x, y, method=method, kernel=kernel, permutations=30)
        yield f"independence_test({method}, {kernel!r})", call
    for metric in ("cka", "hsic", "kernel_alignment", "mutual_knn", "jaccard_knn", "rsa"):
        for given in [{}, {"estimator": "biased"}, {"normalize": "l2"}, {"k": 3, "similarity": "euclidean"}]:
            yield (
                f"compare_scores({metric}, {words(given)})",
                lambda m=metric, g=given: [(one := ka.compare_scores(m, x, a, y, **g)), attempt(one.interval)],
            )
    rng = np.random.default_rng(5)
    maps = {name: (m := rng.standard_normal((9, 9))) + m.T for name in "abc"}
    maps["b"] += maps["a"]
    for given in each(correlation=("spearman", "pearson"), bipartite=(None, True), families=(None, list("aabbccdde"))):
        yield f"metric_agreement({words(given)})", partial(ka.metric_agreement, maps, permutations=40, **given)
        for side in ("two-sided", "greater", "less"):
            call = partial(ka.mantel_test, maps["a"], maps["b"], alternative=side, permutations=40, **given)
            yield f"mantel_test({side}, {words(given)})", lambda c=call: [(one := c()), one.interval()]
    yield "false_discovery", partial(ka.false_discovery, [0.01, np.nan, 0.2, 0.03, 1.0])


def squashed(weight: Any, rows: Any) -> Any:
    return np.tanh(rows @ weight)


def modules() -> Iterator[Case]:
    found = models()
    x, y = found["single"][:40, :10], found["text"][1][:40, :10]
    points = np.asarray(x[:, :3], dtype=np.float64)
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    for dims in (1, 2, 3):
        yield f"classical_mds({dims})", partial(embedding.classical_mds, distances, dims)
    yield (
        "smacof",
        lambda: [(z := embedding.smacof(distances, 2, starts=2, max_iter=20)), embedding.raw_stress(z, distances)],
    )
    for given in each(reflection=(True, False), scaling=(True, False)):
        yield (
            f"fit_similarity({words(given)})",
            lambda g=given: [(fit := embedding.fit_similarity(x, y, **g)), fit.transform(x), repr(fit)],
        )
    texts = ["the cat sat on the mat", "a dog and the cat", "dogs sat"]
    for radius in (None, 1, 3):
        yield f"cooccurrences({radius})", partial(pmi.cooccurrences, texts, radius)
    counts = pmi.cooccurrences(texts, 3)
    for given in [{"smoothing": 0.5}, {"zero_cells": "floor"}, {"zero_cells": "ppmi"}, {}]:
        yield f"pmi_kernel({words(given)})", partial(pmi.pmi_kernel, counts, **given)
    kernel = pmi.pmi_kernel(counts, smoothing=0.5).kernel
    shifted = kernel @ kernel - 2.0
    for name in ("dissimilarities", "psd_shift", "kernel_features", "meets_prop_f1"):
        for which, table in (("kernel", kernel), ("square", shifted), ("definite", kernel @ kernel)):
            yield f"{name} {which}", partial(getattr(pmi, name), table)
    for metric in (ka.cka, partial(ka.mutual_knn, k=3)):
        weight = np.random.default_rng(4).standard_normal((10, 6))
        model = partial(squashed, weight)
        name = getattr(metric, "__name__", "partial")
        call = partial(robustness.noise_resilience, model, x, [0, 0.5, 2], metric=metric, draws=3)
        yield f"noise_resilience({name})", call
        arrays = [np.asarray(layer[:40], dtype=np.float64) for layer in (*found["vision"], *found["text"])]
        for labels in (None, list("aabbbcc")):
            call = partial(robustness.seed_sensitivity, arrays, labels, metric=metric, permutations=50)
            yield f"seed_sensitivity({name}, {labels})", call
    yield "open_sources", lambda: [(s.name, s.array) for s in sources.open_sources(CLIPART)]
    yield "open_layers", lambda: [s.name for s in sources.open_layers(CLIPART)]


def upstream() -> Iterator[Case]:
    found = models()
    rows = {
        "clipart": (found["single"].astype(np.float32), found["text"][1].astype(np.float32)),
        "tall": related(150, 7, 5, 5, np.float32),
        "double": related(40, 60, 50, 1),
    }
    measure = platonic.AlignmentMetrics.measure
    for where, (x, y) in rows.items():
        for name in platonic.AlignmentMetrics.SUPPORTED_METRICS:
            keywords: list[dict[str, Any]] = [{"topk": 1}, {"topk": 10}, {"topk": len(x)}]
            if "cka" in name:
                keywords = [{}, {"kernel_metric": "rbf"}, {"kernel_metric": "rbf", "rbf_sigma": 3.0}]
            elif name == "svcca":
                keywords = [{}, {"cca_dim": 3}, {"cca_dim": 4, "seed": 1}]
            elif name == "cknna":
                keywords += [{"topk": 5, "distance_agnostic": True}, {"topk": 5, "unbiased": False}]
            for given in keywords:
                yield f"platonic.{name}({words(given)}) {where}", partial(measure, name, x, y, **given)
        grams = [side.astype(np.float64) @ side.T for side in (x, y)]
        yield f"platonic.hsic {where}", lambda g=grams: [platonic.hsic_biased(*g), platonic.hsic_unbiased(*g)]
        yield (
            f"platonic.neighbours {where}",
            lambda x=x, y=y: [
                (lists := platonic.compute_nearest_neighbors(x, 4)),
                platonic.compute_knn_accuracy(lists),
                platonic.longest_ordinal_sequence(lists, platonic.compute_nearest_neighbors(y, 4)),
            ],
        )
        for q, exact in itertools.product((0.5, 0.95, 1), (False, True)):
            yield f"platonic.remove_outliers({q}, {exact}) {where}", partial(platonic.remove_outliers, x, q, exact)
        yield f"platonic.prepare_features {where}", partial(platonic.prepare_features, [x, y])
    layers = [[layer.astype(np.float32) for layer in found[name]] for name in ("vision", "text")]
    for name, normalize in itertools.product(platonic.AlignmentMetrics.SUPPORTED_METRICS, (True, False)):
        call = partial(platonic.compute_score, *layers, name, 5, normalize)
        yield f"platonic.compute_score({name}, {normalize})", call


def command_line() -> Iterator[Case]:
    [entry] = metadata.entry_points(group="console_scripts", name="kernalign")
    main = entry.load()

    def run(*words: str) -> Any:
        with np.load(CLIPART) as file:
            stored = dict(file)
        for name in ("glove50", "mpnet_l06", "efflite0_b3"):
            np.save(f"{name}.npy", stored[name])
        np.savez("layers.npz", **{name: stored[name] for name in ("mpnet_l00", "mpnet_l06", "mpnet_l12")})
        np.save("head.npy", np.eye(3, stored["mpnet_l06"].shape[1]))
        np.save("targets.npy", stored["mpnet_l06"][:, :3])
        found = CliRunner().invoke(main, words)
        text = found.stdout
        if text.startswith("{"):
            return found.exit_code, without_seconds(json.loads(text)), found.stderr
        if "--csv" in words and found.exit_code == 0:
            head, *rows = (line.split(",") for line in text.splitlines())
            keep = [place for place, name in enumerate(head) if name != "seconds"]
            text = "\n".join(",".join(row[place] for place in keep if place < len(row)) for row in (head, *rows))
        return found.exit_code, _SECONDS.sub("", text).splitlines(), found.stderr

    def without_seconds(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: without_seconds(part) for key, part in node.items() if key != "seconds"}
        return [without_seconds(part) for part in node] if isinstance(node, list) else node

    two, every = "glove50.npy mpnet_l06.npy", [part for name in ka.METRICS for part in ("--metric", name)]
    lines = [
        *("--help", "--version", "compare --help", "stitch --help", "demo --help", "demo", "demo --json"),
        *(
            f"compare {two}{rest}"
            for rest in ("", " --json", " --csv", " --json --uncertainty", " efflite0_b3.npy --json")
        ),
        *(f"compare {two} --json --normalize {how}" for how in ("l2", "standardize")),
        *(f"compare {two} --json --estimator biased --metric cka --metric hsic", f"compare {two} -k 3 --csv"),
        *(f"compare layers.npz {two}{rest}" for rest in (" --json", " --layers all --json", " --layers best --csv")),
        *("compare layers.npz efflite0_b3.npy --layers best --concatenated --json", "compare glove50.npy", "compare"),
        *(f"compare {two} --metric nothing", f"compare {two} -k 0", f"compare {two} -k 999", "compare a.npy b.npy"),
        *(f"stitch {two}{rest}" for rest in ("", " --json", " --csv", " --solver ridge --folds 3 --json")),
        *(f"stitch {two} --head head.npy --targets targets.npy{rest}" for rest in ("", " --json")),
        *(f"stitch {two} --head head.npy", "stitch glove50.npy", "nothing"),
    ]
    for line in lines:
        yield f"kernalign {line}", partial(run, *line.split())
    yield "kernalign compare every metric", partial(run, "compare", *two.split(), *every, "--rank", "2", "--json")


def cases() -> Iterator[Case]:
    """All of this part."""
    for part in (comparisons, inference, modules, upstream, command_line):
        yield from part()
