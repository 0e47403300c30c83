"""Stitching: maps from one representation into another's space, and what a task loses by them.

Not imported by ``import kernalign``; say ``from kernalign import stitching``.
"""

from kernalign.stitching.affine import AffineStitcher
from kernalign.stitching.certificate import Certificate, misalignment, stitching_certificate
from kernalign.stitching.heads import LinearHead, MLPHead
from kernalign.stitching.linear_map import LinearStitcher, load_stitcher
from kernalign.stitching.low_rank import LowRankStitcher
from kernalign.stitching.plot import plot_trials
from kernalign.stitching.probes import LinearProbe
from kernalign.stitching.procrustes import ProcrustesStitcher
from kernalign.stitching.relative import RelativeRepresentation
from kernalign.stitching.ridge import RidgeStitcher
from kernalign.stitching.ridge_path import RidgePath, ridge_path
from kernalign.stitching.state import LeastSquaresState
from kernalign.stitching.transfer import Transfer, mcnemar, transfer_accuracy, wilson_interval
from kernalign.stitching.trials import Trial, run_trials

__all__ = [
    "AffineStitcher",
    "Certificate",
    "LeastSquaresState",
    "LinearHead",
    "LinearProbe",
    "LinearStitcher",
    "LowRankStitcher",
    "MLPHead",
    "ProcrustesStitcher",
    "RelativeRepresentation",
    "RidgePath",
    "RidgeStitcher",
    "Transfer",
    "Trial",
    "load_stitcher",
    "mcnemar",
    "misalignment",
    "plot_trials",
    "ridge_path",
    "run_trials",
    "stitching_certificate",
    "transfer_accuracy",
    "wilson_interval",
]
