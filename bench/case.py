"""A workload: what is computed, on which data, at which size, and who takes part."""

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
    "models-cka",
    "ridge",
    "ridge-path",
    "mantel",
    "soft-matching",
    "one-to-one",
    "rsa",
    "wide",
]


@dataclass(frozen=True)
class Case:
    """One workload. ``ours`` and ``peers`` are names in bench.peers; time is CPU time of the process, or wall time.

    ``stated`` is the ratio to the first peer that README.md states, without a matrix unit: `--guard` holds it.
    """

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
    dtype: str = "float32"
    stated: float = 0.0

    def make(self, path: str | None = None) -> tuple[Matrix, Matrix]:
        """The two representations: y is a noisy linear map of x, so that scores are neither 0 nor 1.

        With layers they are (n, layers, d), all layers noisy linear maps of one cloud; where models are compared, those
        of y say how many of x each model has.
        """
        if self.layers is not None:
            return self._stack(self.layers[0], 1), self._stack(self.layers[1], 1000)
        x = real(path, self.n) if path else MAKERS[self.data](self.n, self.d, 1)
        y = x[:, ::-1] + 0.5 * gaussian(*x.shape, 2)
        return x.astype(self.dtype, copy=False), np.ascontiguousarray(y, dtype=self.dtype)

    def _stack(self, layers: int, seed: int) -> Matrix:
        common = gaussian(self.n, 64, 0)
        stack = np.empty((self.n, layers, self.d), dtype=np.float32)
        if self.task == "models-cka":  # arrays of their own
            stack = np.empty((layers, self.n, self.d), dtype=np.float32).transpose(1, 0, 2)
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
