"""Named workloads: what is computed, on which data, at which size, and who takes part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float32]


def gaussian(n: int, d: int, seed: int) -> Matrix:
    """Independent standard normal entries: no structure to exploit."""
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def clustered(n: int, d: int, seed: int) -> Matrix:
    """Rows around n / 100 centres, the spread a third of the distance between centres."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((max(1, n // 100), d), dtype=np.float32)
    rows = centres[generator.integers(0, len(centres), n)]
    return rows + np.float32(0.33) * generator.standard_normal((n, d), dtype=np.float32)


def low_dimensional(n: int, d: int, seed: int) -> Matrix:
    """Rows near a 16-dimensional subspace."""
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((n, 16), dtype=np.float32) @ generator.standard_normal((16, d), dtype=np.float32)
    return rows + np.float32(0.1) * generator.standard_normal((n, d), dtype=np.float32)


def real(path: str, n: int) -> Matrix:
    """The first n rows of a .npy file, or of one array of an .npz file (``file.npz:name``), as float32."""
    file, _, key = path.partition(":") if not Path(path).exists() else (path, "", "")
    loaded: Any = np.load(file, allow_pickle=False)
    array = loaded[key or loaded.files[0]] if hasattr(loaded, "files") else loaded
    return np.ascontiguousarray(array[:n], dtype=np.float32)


class MissingDataError(Exception):
    """The file that a case reads has not been made on this machine."""


GLOSSES = Path(__file__).parent / "results" / "glosses.npy"


def glosses(n: int, d: int, seed: int) -> Matrix:
    """Sentence embeddings of dictionary glosses, from the file that bench.make_gloss_data makes."""
    if not GLOSSES.exists():
        raise MissingDataError(f"needs {GLOSSES}: python -m bench.make_gloss_data says how")
    return real(str(GLOSSES), n)


MAKERS: dict[str, Callable[[int, int, int], Matrix]] = {
    "gaussian": gaussian,
    "clustered": clustered,
    "low-dimensional": low_dimensional,
    "glosses": glosses,
}
Task: TypeAlias = Literal[
    "cka",
    "cka-rbf",
    "knn",
    "mutual-knn",
    "procrustes",
    "svcca",
    "layers-knn",
    "layers-cka",
    "models",
    "ridge",
    "ridge-path",
]


@dataclass(frozen=True)
class Case:
    """One workload. ``ours`` and ``peers`` are names in bench.peers; time is CPU time of the process, or wall time."""

    name: str
    task: Task
    n: int
    d: int
    peers: tuple[str, ...]
    ours: str
    data: str = "gaussian"
    k: int = 10
    clock: Literal["cpu", "wall"] = "cpu"
    goal: str = ""
    repeat: int = 1
    layers: tuple[int, int] | None = None

    def make(self, path: str | None = None) -> tuple[Matrix, Matrix]:
        """The two representations: y is a noisy linear map of x, so that scores are neither 0 nor 1.

        With layers they are (n, layers, d), all layers noisy linear maps of one cloud.
        """
        if self.layers is not None:
            return self._stack(self.layers[0], 1), self._stack(self.layers[1], 1000)
        x = real(path, self.n) if path else MAKERS[self.data](self.n, self.d, 1)
        y = x[:, ::-1] + 0.5 * gaussian(*x.shape, 2)
        return x, np.ascontiguousarray(y, dtype=np.float32)

    def _stack(self, layers: int, seed: int) -> Matrix:
        common = gaussian(self.n, 64, 0)
        stack = np.empty((self.n, layers, self.d), dtype=np.float32)
        for layer in range(layers):
            signal, noise = gaussian(64, self.d, seed + layer), gaussian(self.n, self.d, 500 + seed + layer)
            stack[:, layer] = common @ signal + 8 * noise
        return stack

    def sized(self, path: str | None) -> Case:
        """This case with the true size of the data."""
        if self.layers is not None:
            return self
        n, d = self.make(path)[0].shape
        return replace(self, n=n, d=d, data=Path(path).name if path else self.data)


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
        Case("ridge-20k", "ridge", 20_000, 1024, RIDGE_PEERS, "ridge", goal=">= 1x sklearn-ridge-float64"),
        Case("ridge-path-20k", "ridge-path", 20_000, 1024, PATH_PEERS, "ridge-path", goal=">= 10x"),
        Case("ridge-path-4k", "ridge-path", 4000, 256, PATH_PEERS, "ridge-path", goal=">= 10x"),
        Case("threads-cka", "cka", 20_000, 1024, ("cka",), "cka-2-threads", clock="wall", goal=">= 1.8x"),
        Case("threads-knn", "knn", 10_000, 768, ("knn",), "knn-2-threads", clock="wall", goal=">= 1.8x"),
        Case("threads-mutual-knn", "mutual-knn", 10_000, 768, ("mutual-knn",), "mutual-knn-2-threads", clock="wall"),
    )
}
GROUPS = {
    "threads-two": ["threads-cka", "threads-knn", "threads-mutual-knn"],
    "foundation": ["cka-unbiased-10k", "knn-gaussian-10k", "mutual-knn-1024", "threads-cka", "threads-knn"],
    "neighbours": ["knn-gaussian-10k", "knn-clustered-10k", "knn-low-dimensional-10k", "knn-glosses-12k"],
    "all": list(CASES),
}
