"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign.alignment import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.calibration import calibrated_score  # noqa: E402
from kernalign.compare import compare  # noqa: E402
from kernalign.comparison import Comparison  # noqa: E402
from kernalign.description import Description, describe  # noqa: E402
from kernalign.distances import distance_alignment, distance_correlation  # noqa: E402
from kernalign.independence import IndependenceTest, independence_test  # noqa: E402
from kernalign.kernels import RBF, Cosine, Laplacian, Linear, Polynomial, Precomputed  # noqa: E402
from kernalign.local_alignment import cknna  # noqa: E402
from kernalign.matching import one_to_one, soft_matching  # noqa: E402
from kernalign.mmd import mmd  # noqa: E402
from kernalign.model_maps import (  # noqa: E402
    MapCorrelation,
    MetricAgreement,
    false_discovery,
    mantel_test,
    metric_agreement,
)
from kernalign.neighbors import (  # noqa: E402
    Neighbors,
    cycle_knn,
    edit_knn,
    jaccard_knn,
    knn,
    lcs_knn,
    mutual_knn,
)
from kernalign.paired import PairedDifference, compare_scores  # noqa: E402
from kernalign.permutation import PermutationTest, permutation_test  # noqa: E402
from kernalign.predictivity import linear_predictivity  # noqa: E402
from kernalign.registry import METRICS, MetricInfo, measure  # noqa: E402
from kernalign.ridge_cca import CCAPath, ridge_cca  # noqa: E402
from kernalign.ridge_risk import kare, learning_curve  # noqa: E402
from kernalign.rnx import rnx_curve  # noqa: E402
from kernalign.rsa import rsa  # noqa: E402
from kernalign.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign.shape import angular_distance, nbs, procrustes  # noqa: E402
from kernalign.spectral import band_alignment, spectral_overlap  # noqa: E402
from kernalign.spectrum import Spectrum, spectrum  # noqa: E402
from kernalign.streaming import Moments  # noqa: E402
from kernalign.subspace import cca, principal_angles, pwcca, subspace_overlap, svcca  # noqa: E402
from kernalign.task import cumulative_power, kernel_target_alignment, source_condition  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "METRICS",
    "RBF",
    "AlignmentWarning",
    "CCAPath",
    "Comparison",
    "Cosine",
    "Description",
    "IndependenceTest",
    "Laplacian",
    "Linear",
    "MapCorrelation",
    "MetricAgreement",
    "MetricInfo",
    "Moments",
    "Neighbors",
    "PairedDifference",
    "PermutationTest",
    "Polynomial",
    "Precomputed",
    "Score",
    "Spectrum",
    "UndefinedScoreWarning",
    "angular_distance",
    "band_alignment",
    "calibrated_score",
    "cca",
    "cka",
    "cknna",
    "compare",
    "compare_scores",
    "cumulative_power",
    "cycle_knn",
    "describe",
    "distance_alignment",
    "distance_correlation",
    "edit_knn",
    "false_discovery",
    "hsic",
    "independence_test",
    "jaccard_knn",
    "kare",
    "kernel_alignment",
    "kernel_target_alignment",
    "knn",
    "lcs_knn",
    "learning_curve",
    "linear_predictivity",
    "mantel_test",
    "measure",
    "metric_agreement",
    "mmd",
    "mutual_knn",
    "nbs",
    "one_to_one",
    "permutation_test",
    "principal_angles",
    "procrustes",
    "pwcca",
    "ridge_cca",
    "rnx_curve",
    "rsa",
    "soft_matching",
    "source_condition",
    "spectral_overlap",
    "spectrum",
    "subspace_overlap",
    "svcca",
]
