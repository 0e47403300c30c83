"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign.alignment import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.kernels import Linear  # noqa: E402
from kernalign.local_alignment import cknna  # noqa: E402
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
from kernalign.ridge_risk import kare, learning_curve  # noqa: E402
from kernalign.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign.spectral import band_alignment, spectral_overlap  # noqa: E402
from kernalign.spectrum import Spectrum, spectrum  # noqa: E402
from kernalign.streaming import Moments  # noqa: E402
from kernalign.task import cumulative_power, kernel_target_alignment, source_condition  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "AlignmentWarning",
    "Linear",
    "Moments",
    "Neighbors",
    "Score",
    "Spectrum",
    "UndefinedScoreWarning",
    "band_alignment",
    "cka",
    "cknna",
    "cumulative_power",
    "cycle_knn",
    "edit_knn",
    "hsic",
    "jaccard_knn",
    "kare",
    "kernel_alignment",
    "kernel_target_alignment",
    "knn",
    "lcs_knn",
    "learning_curve",
    "mutual_knn",
    "rnx_curve",
    "source_condition",
    "spectral_overlap",
    "spectrum",
]
