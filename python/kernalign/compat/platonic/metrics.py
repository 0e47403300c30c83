"""AlignmentMetrics: platonic-rep's eight metrics under its names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kernalign._base import checks
from kernalign._rows import arrays
from kernalign.compat.platonic import graphs, hsic, local, svcca, sweep, tensors
from kernalign.compat.platonic.graphs import Graph, graph

EPS = 1e-6
CCA_DIM = 10


class AlignmentMetrics:
    """platonic-rep's metrics; no rows are normalised and, but for svcca, no columns are centred.

    Values, arguments and defaults are platonic-rep's; docs/platonic.md lists the differences. Inputs are (n, p) and
    (n, q) NumPy arrays or CPU tensors, paired by row.

    See Also
    --------
    compute_score : over all layers
    kernalign.mutual_knn, kernalign.cka : with chance levels and p-values

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import AlignmentMetrics
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 8))
    >>> y = x + rng.standard_normal(x.shape)
    >>> round(float(AlignmentMetrics.measure("mutual_knn", x, y, topk=10)), 1)
    0.3
    >>> AlignmentMetrics.SUPPORTED_METRICS
    ['cycle_knn', 'mutual_knn', 'lcs_knn', 'cka', 'unbiased_cka', 'cknna', 'svcca', 'edit_distance_knn']
    """

    SUPPORTED_METRICS: ClassVar[list[str]] = [
        "cycle_knn",
        "mutual_knn",
        "lcs_knn",
        "cka",
        "unbiased_cka",
        "cknna",
        "svcca",
        "edit_distance_knn",
    ]

    @staticmethod
    def measure(metric: str, *args: Any, **kwargs: Any) -> Any:
        """Call the metric of that name."""
        check_metric(metric)
        return getattr(AlignmentMetrics, metric)(*args, **kwargs)

    @staticmethod
    def cycle_knn(feats_A: Any, feats_B: Any, topk: int) -> float:
        """Share of items i with some j among i's neighbours in B such that i is a neighbour of j in A; asymmetric."""
        return graphs.cycle(*_graphs(feats_A, feats_B, topk, sets=True))

    @staticmethod
    def mutual_knn(feats_A: Any, feats_B: Any, topk: int) -> float:
        """Mean share of common neighbours; the neighbours are the topk rows of largest inner product."""
        return graphs.mutual(*_graphs(feats_A, feats_B, topk, sets=True))

    @staticmethod
    def lcs_knn(feats_A: Any, feats_B: Any, topk: int) -> Any:
        """Mean length, from 0 to topk, of the longest common subsequence of the neighbour lists; float32 tensor."""
        value = graphs.common_subsequence(*_graphs(feats_A, feats_B, topk))
        return tensors.number(value, np.float32, feats_A, feats_B)

    @staticmethod
    def edit_distance_knn(feats_A: Any, feats_B: Any, topk: int) -> Any:
        """1 - mean Levenshtein distance of the neighbour lists / topk; float64 tensor."""
        value = graphs.edit_similarity(*_graphs(feats_A, feats_B, topk))
        return tensors.number(value, np.float64, feats_A, feats_B)

    @staticmethod
    def cka(
        feats_A: Any,
        feats_B: Any,
        kernel_metric: str = "ip",
        rbf_sigma: float = 1.0,
        unbiased: bool = False,
        eps: float = EPS,
    ) -> float:
        """CKA of linear ("ip") or Gaussian ("rbf") kernels; eps is added to the norm, so the scale of rows matters."""
        checks.check_choice(kernel_metric, "kernel_metric", ("ip", "rbf"))
        eps = checks.number(eps, "eps", "finite")
        rbf_sigma = checks.number(rbf_sigma, "rbf_sigma", "positive and finite")
        unbiased = checks.check_flag(unbiased, "unbiased")
        a, b = arrays.rows(feats_A, "feats_A"), arrays.rows(feats_B, "feats_B")
        if kernel_metric == "rbf":
            return hsic.rbf_cka(a, b, rbf_sigma, unbiased, eps)
        return hsic.linear_cka(a, b, unbiased, eps)

    @staticmethod
    def unbiased_cka(*args: Any, **kwargs: Any) -> float:
        """`cka` from unbiased HSIC; may be negative, and is nan for n < 4."""
        return AlignmentMetrics.cka(*args, **{**kwargs, "unbiased": True})

    @staticmethod
    def svcca(feats_A: Any, feats_B: Any, cca_dim: int = CCA_DIM, seed: int | None = None) -> float:
        """Mean canonical correlation of the first cca_dim left singular vectors of the z-scored columns.

        Of exact directions, where platonic-rep draws a random SVD too short to find them: its values are lower and vary
        from call to call. With a seed, that random SVD, repeatable: means over seeds compare with theirs.
        """
        rng = None if seed is None else np.random.default_rng(checks.check_seed(seed))
        bases = [svcca.basis(x, cca_dim, rng, name) for x, name in ((feats_A, "feats_A"), (feats_B, "feats_B"))]
        return svcca.similarity(*bases)

    @staticmethod
    def cknna(
        feats_A: Any,
        feats_B: Any,
        topk: int | None = None,
        distance_agnostic: bool = False,
        unbiased: bool = True,
        eps: float = EPS,
    ) -> float:
        """CKA of kernels restricted to common neighbours; topk=None takes n - 1.

        distance_agnostic gives every common neighbour the weight 1.
        """
        eps = checks.number(eps, "eps", "finite")
        for value, name in ((distance_agnostic, "distance_agnostic"), (unbiased, "unbiased")):
            checks.check_flag(value, name)
        a = local.masked(feats_A, topk, "feats_A", unbiased=unbiased)
        b = local.masked(feats_B, topk, "feats_B", unbiased=unbiased)
        return local.cknna(a, b, eps, distance_agnostic)


class Stages(NamedTuple):
    """A metric in two stages: what is computed once per layer, and what a pair of those yields.

    ``state(feats, topk, layers)`` is one of so many layers; ``answer_dtype`` is of the 0-d tensor that platonic-rep
    returns; a heavy state holds the features.
    """

    state: Callable[[Any, int, int], Any]
    finish: Callable[[Any, Any], float]
    answer_dtype: Any = None
    heavy: bool = False


STAGES = {
    "cycle_knn": Stages(lambda x, k, _: graph(x, k, sets=True), graphs.cycle),
    "mutual_knn": Stages(lambda x, k, _: graph(x, k, sets=True), graphs.mutual),
    "lcs_knn": Stages(lambda x, k, _: graph(x, k), graphs.common_subsequence, np.float32),
    "edit_distance_knn": Stages(lambda x, k, _: graph(x, k), graphs.edit_similarity, np.float64),
    "cka": Stages(lambda x, _, n: sweep.layer(x, n, False), lambda a, b: sweep.cka(a, b, EPS), heavy=True),
    "unbiased_cka": Stages(lambda x, _, n: sweep.layer(x, n, True), lambda a, b: sweep.cka(a, b, EPS), heavy=True),
    "cknna": Stages(lambda x, k, _: local.masked(x, k), lambda a, b: local.cknna(a, b, EPS)),
    "svcca": Stages(lambda x, *_: svcca.basis(x, CCA_DIM), svcca.similarity),
}


def check_metric(metric: Any) -> None:
    """Raise unless the metric is one of platonic-rep's."""
    checks.check_choice(metric, "metric", tuple(AlignmentMetrics.SUPPORTED_METRICS))


def _graphs(feats_A: Any, feats_B: Any, topk: int, *, sets: bool = False) -> tuple[Graph, Graph]:
    return graph(feats_A, topk, "feats_A", sets=sets), graph(feats_B, topk, "feats_B", sets=sets)
