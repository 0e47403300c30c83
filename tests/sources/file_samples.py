"""Writes one array into files of every format that is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from samples import safetensors_bytes

Writer = Callable[[Path, np.ndarray], str]
WRITERS: dict[str, tuple[str, Writer]] = {}  # by name: the package that is needed, and what writes


def writes(name: str, needs: str = "numpy") -> Callable[[Writer], Writer]:
    """Take a function into the table: it writes into a folder and returns what opens the array."""

    def take(function: Writer) -> Writer:
        WRITERS[name] = needs, function
        return function

    return take


def ids_of(n: int) -> list[str]:
    """Names of n rows."""
    return [f"item {row}" for row in range(n)]


@writes("npy")
def npy(folder: Path, x: np.ndarray) -> str:
    np.save(folder / "x.npy", x)
    return str(folder / "x.npy")


@writes("npy by columns")
def npy_columns(folder: Path, x: np.ndarray) -> str:
    np.save(folder / "x.npy", np.asfortranarray(x))
    return str(folder / "x.npy")


@writes("npz")
def npz(folder: Path, x: np.ndarray) -> str:
    np.savez(folder / "x.npz", x=x, other=x[:, :1])
    return f"{folder / 'x.npz'}:x"


@writes("npz deflated")
def npz_deflated(folder: Path, x: np.ndarray) -> str:
    np.savez_compressed(folder / "x.npz", x=x)
    return str(folder / "x.npz")


def tensor(x: np.ndarray, begin: int = 0) -> dict[str, object]:
    code = {"float32": "F32", "float64": "F64", "float16": "F16"}[x.dtype.name]
    return {"dtype": code, "shape": list(x.shape), "data_offsets": [begin, begin + x.nbytes]}


@writes("safetensors")
def safetensors(folder: Path, x: np.ndarray) -> str:
    (folder / "x.safetensors").write_bytes(safetensors_bytes({"a.x": tensor(x)}, x.tobytes()))
    return f"{folder / 'x.safetensors'}:a.x"


@writes("safetensors sharded")
def safetensors_sharded(folder: Path, x: np.ndarray) -> str:
    for name in "xy":
        (folder / f"{name}.safetensors").write_bytes(safetensors_bytes({name: tensor(x)}, x.tobytes()))
    index = {"metadata": {}, "weight_map": {"x": "x.safetensors", "y": "y.safetensors"}}
    (folder / "m.safetensors.index.json").write_text(json.dumps(index))
    return f"{folder / 'm.safetensors.index.json'}:x"


def hdf5(folder: Path, name: str, x: np.ndarray, **how: object) -> Path:
    import h5py

    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset(name, data=x, **how)
    return folder / "x.h5"


@writes("hdf5", "h5py")
def hdf5_plain(folder: Path, x: np.ndarray) -> str:
    return str(hdf5(folder, "x", x))


@writes("hdf5 nested and compressed", "h5py")
def hdf5_nested(folder: Path, x: np.ndarray) -> str:
    path = hdf5(folder, "group/data", x, chunks=(5, x.shape[1]), compression="gzip", shuffle=True)
    return f"{path}:group/data"


@writes("hdf5 by item", "h5py")
def hdf5_items(folder: Path, x: np.ndarray) -> str:
    import h5py

    with h5py.File(folder / "x.h5", "w") as file:
        for at, name in enumerate(ids_of(len(x))):
            file[f"items/{name}"] = x[at]
    return str(folder / "x.h5")
