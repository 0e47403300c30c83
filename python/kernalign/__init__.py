"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402
from kernalign.alignment import cka, hsic, kernel_alignment  # noqa: E402
from kernalign.kernels import Linear  # noqa: E402
from kernalign.score import AlignmentWarning, Score, UndefinedScoreWarning  # noqa: E402
from kernalign.streaming import Moments  # noqa: E402

__version__: str = _core.build_info()["version"]

__all__ = [
    "AlignmentWarning",
    "Linear",
    "Moments",
    "Score",
    "UndefinedScoreWarning",
    "cka",
    "hsic",
    "kernel_alignment",
]
