"""Named workloads, and groups of them."""

from __future__ import annotations

from bench.case import Case
from bench.guarded import GUARDED

KNN_PEERS = ("faiss-flat", "torch-topk", "numpy-argpartition", "sklearn")
MUTUAL_PEERS = ("faiss-flat-mutual", "torch-topk-mutual", "numpy-mutual", "platonic-mutual", "platonic-mutual-torch")
UPSTREAM = ("platonic-mutual-torch", "torch-topk-mutual", "faiss-flat-mutual")
CKA_PEERS = ("numpy-feature-unbiased", "numpy-feature-identity", "numpy-feature-biased")

PROCRUSTES_PEERS = ("scipy-procrustes", "scipy-procrustes-double")
SVCCA_PEERS = ("scipy-svcca-svd", "scipy-svcca-eigh", "scipy-svcca-eigh-double")
LAYERS_PEERS = ("platonic-layers", "platonic-layers-torch", "platonic-layers-cached", "numpy-layers")
LAYERS_GOAL = ">= 100x platonic-layers-torch, >= 4x platonic-layers-cached"
RIDGE_PEERS = ("sklearn-ridge-float64", "sklearn-ridge")
PATH_PEERS = ("ridge-path-loo", "sklearn-ridge-cv")

CASES = {
    case.name: case
    for case in (
        Case("cka-unbiased-10k", "cka", 10_000, 1024, CKA_PEERS, "cka", goal=">= 1.5x numpy-feature-unbiased"),
        Case("cka-unbiased-4k", "cka", 4096, 1024, ("platonic-cka", "numpy-gram", *CKA_PEERS), "cka"),
        Case("cka-unbiased-1k", "cka", 1024, 1024, ("platonic-cka", "numpy-gram", *CKA_PEERS), "cka", repeat=3),
        Case("cka-rbf-10k", "cka-rbf", 10_000, 768, ("numpy-rbf-blocked",), "cka-rbf", goal=">= 2.2x"),
        Case("cka-rbf-median-10k", "cka-rbf", 10_000, 768, ("numpy-rbf-median",), "cka-rbf-median"),
        Case("cka-rbf-2k", "cka-rbf", 2000, 512, ("numpy-rbf-blocked", "platonic-rbf"), "cka-rbf"),
        Case("knn-gaussian-10k", "knn", 10_000, 768, KNN_PEERS, "knn", goal=">= 1.8x faiss-flat"),
        Case("knn-clustered-10k", "knn", 10_000, 768, KNN_PEERS, "knn", "clustered"),
        Case("knn-low-dimensional-10k", "knn", 10_000, 768, KNN_PEERS, "knn", "low-dimensional"),
        Case("knn-glosses-12k", "knn", 12_000, 384, KNN_PEERS, "knn", "glosses", goal=">= 1.9x faiss-flat"),
        Case(
            "mutual-knn-upstream",
            "mutual-knn",
            1024,
            1024,
            UPSTREAM,
            "mutual-knn",
            goal=">= 4.5x platonic-mutual-torch",
            repeat=5,
        ),
        Case("mutual-knn-1024", "mutual-knn", 1024, 768, MUTUAL_PEERS, "mutual-knn", goal=">= 1.3x the best", repeat=5),
        Case("mutual-knn-10k", "mutual-knn", 10_000, 768, MUTUAL_PEERS[:3], "mutual-knn"),
        Case("procrustes-10k", "procrustes", 10_000, 1024, PROCRUSTES_PEERS, "procrustes", goal=">= 1x the best"),
        Case("svcca-10k", "svcca", 10_000, 1024, SVCCA_PEERS, "svcca", goal=">= 1x the best"),
        Case("small-cka", "cka", 64, 64, CKA_PEERS, "cka", goal="< 100 us a call", repeat=200),
        Case("small-mutual-knn", "mutual-knn", 64, 64, ("numpy-mutual",), "mutual-knn", repeat=200),
        Case("layers-knn", "layers-knn", 1024, 1024, LAYERS_PEERS, "layers-knn", layers=(24, 32), goal=LAYERS_GOAL),
        Case(
            "layers-cka",
            "layers-cka",
            1024,
            1024,
            ("platonic-layers-cka", "platonic-layers-cka-torch"),
            "layers-cka",
            layers=(24, 32),
            goal=">= 200x both",
        ),
        Case("models-78", "models", 1000, 768, (), "models-2-threads", clock="wall", goal="< 60 s", layers=(78, 1)),
        Case("models-seven", "models", 764, 768, ("limit-models-seven",), "models-seven", layers=(24, 1)),
        Case("ridge-20k", "ridge", 20_000, 1024, RIDGE_PEERS, "ridge", goal=">= 1x sklearn-ridge-float64"),
        Case("ridge-path-20k", "ridge-path", 20_000, 1024, PATH_PEERS, "ridge-path", goal=">= 10x"),
        Case("ridge-path-4k", "ridge-path", 4000, 256, PATH_PEERS, "ridge-path", goal=">= 10x"),
        Case("threads-cka", "cka", 20_000, 1024, ("cka",), "cka-2-threads", clock="wall", goal=">= 1.8x"),
        Case("threads-knn", "knn", 10_000, 768, ("knn",), "knn-2-threads", clock="wall", goal=">= 1.8x"),
        Case("threads-mutual-knn", "mutual-knn", 10_000, 768, ("mutual-knn",), "mutual-knn-2-threads", clock="wall"),
        *GUARDED,
    )
}
GROUPS = {
    "threads-two": ["threads-cka", "threads-knn", "threads-mutual-knn"],
    "foundation": ["cka-unbiased-10k", "knn-gaussian-10k", "mutual-knn-1024", "threads-cka", "threads-knn"],
    "neighbours": ["knn-gaussian-10k", "knn-clustered-10k", "knn-low-dimensional-10k", "knn-glosses-12k"],
    "guarded": [case.name for case in GUARDED],
    "all": list(CASES),
}
