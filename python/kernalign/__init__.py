"""Fast, trustworthy measures of how alike two neural representations are."""

from importlib import import_module
from typing import TYPE_CHECKING

from kernalign._base import interrupts as _interrupts

_interrupts.end_command_in_one_line()

from kernalign import _blas  # noqa: E402

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign._base.kernels import RBF, Cosine, Delta, Laplacian, Linear, Polynomial, Precomputed  # noqa: E402
from kernalign._base.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign._engines.threads import set_threads  # noqa: E402
from kernalign._statistics.calibration import calibrated_score  # noqa: E402
from kernalign.comparison.compare import compare  # noqa: E402
from kernalign.comparison.model_evaluation import ModelEvaluation, evaluate_models  # noqa: E402
from kernalign.comparison.result import Comparison  # noqa: E402
from kernalign.comparison.tasks.execute import execute, finish, merge, plan, run_task  # noqa: E402
from kernalign.inference.independence import IndependenceTest, independence_test  # noqa: E402
from kernalign.inference.model_maps import (  # noqa: E402
    MapCorrelation,
    MetricAgreement,
    false_discovery,
    mantel_test,
    metric_agreement,
)
from kernalign.inference.noise_ceiling import NoiseCeiling, SplitHalf, noise_ceiling, split_half  # noqa: E402
from kernalign.inference.paired import PairedDifference, compare_scores  # noqa: E402
from kernalign.inference.pairing_check import PairingCheck, check_pairing  # noqa: E402
from kernalign.inference.permutation import PermutationTest, permutation_test  # noqa: E402
from kernalign.metrics.describe import Description, describe  # noqa: E402
from kernalign.metrics.kernel.angles import angular_cka, ensd  # noqa: E402
from kernalign.metrics.kernel.cka import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.metrics.kernel.dissimilarities import Dissimilarities, dissimilarities  # noqa: E402
from kernalign.metrics.kernel.distance import distance_alignment, distance_correlation  # noqa: E402
from kernalign.metrics.kernel.energy import energy_distance  # noqa: E402
from kernalign.metrics.kernel.mmd import mmd  # noqa: E402
from kernalign.metrics.kernel.rsa import rsa  # noqa: E402
from kernalign.metrics.linear.cca import cca, principal_angles, pwcca, subspace_overlap, svcca  # noqa: E402
from kernalign.metrics.linear.matching import one_to_one, soft_correlation, soft_matching  # noqa: E402
from kernalign.metrics.linear.predictivity import linear_predictivity, predictivity  # noqa: E402
from kernalign.metrics.linear.ridge_cca import CCAPath, gulp, ridge_cca  # noqa: E402
from kernalign.metrics.linear.shape import angular_distance, nbs, procrustes, shape_distance  # noqa: E402
from kernalign.metrics.moments import Moments  # noqa: E402
from kernalign.metrics.neighbors.cknna import cknna  # noqa: E402
from kernalign.metrics.neighbors.curve import rnx_curve  # noqa: E402
from kernalign.metrics.neighbors.overlap import Neighbors, cycle_knn, edit_knn, jaccard_knn, knn, lcs_knn, mutual_knn  # noqa: E402
from kernalign.metrics.neighbors.ranked import rank_similarity, second_order_cosine  # noqa: E402
from kernalign.metrics.record import MetricInfo  # noqa: E402
from kernalign.metrics.registry import METRICS, measure  # noqa: E402
from kernalign.theory.ridge_risk import kare, learning_curve  # noqa: E402
from kernalign.theory.spectral import band_alignment, spectral_overlap  # noqa: E402
from kernalign.theory.spectrum import Spectrum, spectrum  # noqa: E402
from kernalign.theory.task import cumulative_power, kernel_target_alignment, source_condition  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "METRICS",
    "RBF",
    "AlignmentWarning",
    "CCAPath",
    "Comparison",
    "Cosine",
    "Delta",
    "Description",
    "Dissimilarities",
    "IndependenceTest",
    "Laplacian",
    "Linear",
    "MapCorrelation",
    "MetricAgreement",
    "MetricInfo",
    "ModelEvaluation",
    "Moments",
    "Neighbors",
    "NoiseCeiling",
    "PairedDifference",
    "PairingCheck",
    "PermutationTest",
    "Polynomial",
    "Precomputed",
    "Score",
    "Spectrum",
    "SplitHalf",
    "UndefinedScoreWarning",
    "angular_cka",
    "angular_distance",
    "band_alignment",
    "calibrated_score",
    "cca",
    "check_pairing",
    "cka",
    "cknna",
    "compare",
    "compare_scores",
    "cumulative_power",
    "cycle_knn",
    "describe",
    "dissimilarities",
    "distance_alignment",
    "distance_correlation",
    "edit_knn",
    "energy_distance",
    "ensd",
    "evaluate_models",
    "execute",
    "false_discovery",
    "finish",
    "gulp",
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
    "merge",
    "metric_agreement",
    "mmd",
    "mutual_knn",
    "nbs",
    "noise_ceiling",
    "one_to_one",
    "permutation_test",
    "plan",
    "predictivity",
    "principal_angles",
    "procrustes",
    "pwcca",
    "rank_similarity",
    "ridge_cca",
    "rnx_curve",
    "rsa",
    "run_task",
    "second_order_cosine",
    "set_threads",
    "shape_distance",
    "soft_correlation",
    "soft_matching",
    "source_condition",
    "spectral_overlap",
    "spectrum",
    "split_half",
    "subspace_overlap",
    "svcca",
]

for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__


if TYPE_CHECKING:
    from kernalign import compat as compat
    from kernalign import embedding as embedding
    from kernalign import pmi as pmi
    from kernalign import robustness as robustness
    from kernalign import sources as sources
    from kernalign import stitching as stitching
    from kernalign import suite as suite

_MODULES = ("compat", "embedding", "pmi", "robustness", "sources", "stitching", "suite")


def __getattr__(name: str) -> object:
    """Public modules that nothing above needs are imported when they are first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    """The public names; rooms that begin with an underscore and this module's own imports are nobody's business."""
    return sorted([*__all__, "__version__", *_MODULES])
