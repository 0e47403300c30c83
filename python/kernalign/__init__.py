"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign.alignment import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.calibration import calibrated_score  # noqa: E402
from kernalign.description import Description, describe  # noqa: E402
from kernalign.kernels import Linear  # noqa: E402
from kernalign.local_alignment import cknna  # noqa: E402
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
    rnx_curve,
)
from kernalign.paired import PairedDifference, compare_scores  # noqa: E402
from kernalign.permutation import PermutationTest, permutation_test  # noqa: E402
from kernalign.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign.streaming import Moments  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "AlignmentWarning",
    "Description",
    "Linear",
    "MapCorrelation",
    "MetricAgreement",
    "Moments",
    "Neighbors",
    "PairedDifference",
    "PermutationTest",
    "Score",
    "UndefinedScoreWarning",
    "calibrated_score",
    "cka",
    "cknna",
    "compare_scores",
    "cycle_knn",
    "describe",
    "edit_knn",
    "false_discovery",
    "hsic",
    "jaccard_knn",
    "kernel_alignment",
    "knn",
    "lcs_knn",
    "mantel_test",
    "metric_agreement",
    "mutual_knn",
    "permutation_test",
    "rnx_curve",
]
