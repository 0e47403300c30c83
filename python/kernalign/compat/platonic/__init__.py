"""platonic-rep's names, arguments and values, without its memory or time.

``from kernalign.compat.platonic import AlignmentMetrics`` replaces a copied ``metrics.py``. NumPy arrays and PyTorch
tensors on the CPU are accepted. What differs from platonic-rep on purpose is listed in docs/platonic.md.
"""

from kernalign.compat.platonic.features import prepare_features, remove_outliers
from kernalign.compat.platonic.graphs import compute_knn_accuracy, compute_nearest_neighbors, longest_ordinal_sequence
from kernalign.compat.platonic.hsic import hsic_biased, hsic_unbiased
from kernalign.compat.platonic.layers import compute_alignment, compute_score
from kernalign.compat.platonic.metrics import AlignmentMetrics

__all__ = [
    "AlignmentMetrics",
    "compute_alignment",
    "compute_knn_accuracy",
    "compute_nearest_neighbors",
    "compute_score",
    "hsic_biased",
    "hsic_unbiased",
    "longest_ordinal_sequence",
    "prepare_features",
    "remove_outliers",
]
