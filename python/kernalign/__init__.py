"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign.alignment import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.compare import compare  # noqa: E402
from kernalign.comparison import Comparison  # noqa: E402
from kernalign.distances import distance_alignment, distance_correlation  # noqa: E402
from kernalign.independence import IndependenceTest, independence_test  # noqa: E402
from kernalign.kernels import RBF, Cosine, Laplacian, Linear, Polynomial, Precomputed  # noqa: E402
from kernalign.local_alignment import cknna  # noqa: E402
from kernalign.mmd import mmd  # noqa: E402
from kernalign.neighbors import (  # noqa: E402
    Neighbors,
    cycle_knn,
    edit_knn,
    jaccard_knn,
    knn,
    lcs_knn,
    mutual_knn,
    rnx_curve,
)
from kernalign.registry import METRICS, MetricInfo, measure  # noqa: E402
from kernalign.rsa import rsa  # noqa: E402
from kernalign.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign.streaming import Moments  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "METRICS",
    "RBF",
    "AlignmentWarning",
    "Comparison",
    "Cosine",
    "IndependenceTest",
    "Laplacian",
    "Linear",
    "MetricInfo",
    "Moments",
    "Neighbors",
    "Polynomial",
    "Precomputed",
    "Score",
    "UndefinedScoreWarning",
    "cka",
    "cknna",
    "compare",
    "cycle_knn",
    "distance_alignment",
    "distance_correlation",
    "edit_knn",
    "hsic",
    "independence_test",
    "jaccard_knn",
    "kernel_alignment",
    "knn",
    "lcs_knn",
    "measure",
    "mmd",
    "mutual_knn",
    "rnx_curve",
    "rsa",
]
