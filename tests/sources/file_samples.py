"""Writes one array into files of every format that is read."""

from __future__ import annotations

import json
import zipfile
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


@writes("zarr", "zarr")
def zarr_array(folder: Path, x: np.ndarray) -> str:
    import zarr

    zarr.save_array(folder / "x.zarr", x)
    return str(folder / "x.zarr")


@writes("zarr v2 group", "zarr")
def zarr_v2(folder: Path, x: np.ndarray) -> str:
    import zarr

    group = zarr.open_group(folder / "x.zarr", mode="w", zarr_format=2)
    group.create_array("layers/a", shape=x.shape, dtype=x.dtype, chunks=(5, 4))[:] = x
    return f"{folder / 'x.zarr'}:layers/a"


@writes("zarr sharded without suffix", "zarr")
def zarr_sharded(folder: Path, x: np.ndarray) -> str:
    import zarr

    group = zarr.open_group(folder / "store", mode="w")
    group.create_array("a", shape=x.shape, dtype=x.dtype, chunks=(5, x.shape[1]), shards=(20, x.shape[1]))[:] = x
    return f"{folder / 'store'}:a"


def lists(x: np.ndarray, fixed: bool) -> object:
    import pyarrow as pa

    kind = pa.list_(pa.from_numpy_dtype(x.dtype), x.shape[1] if fixed else -1)
    return pa.array(list(x), type=kind)


@writes("parquet of lists", "pyarrow")
def parquet_lists(folder: Path, x: np.ndarray) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ids_of(len(x)), "embedding": lists(x, fixed=False)})
    pq.write_table(table, folder / "x.parquet", row_group_size=10)
    return f"{folder / 'x.parquet'}:embedding"


@writes("parquet of fixed lists", "pyarrow")
def parquet_fixed(folder: Path, x: np.ndarray) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"embedding": lists(x, fixed=True)}), folder / "x.parquet", row_group_size=16)
    return str(folder / "x.parquet")


@writes("parquet of columns", "pyarrow")
def parquet_columns(folder: Path, x: np.ndarray) -> str:
    import pandas as pd

    frame = pd.DataFrame(x, columns=[f"f{at}" for at in range(x.shape[1])], index=ids_of(len(x)))
    frame.assign(split="train").to_parquet(folder / "x.parquet")
    return str(folder / "x.parquet")


def ipc(path: Path, x: np.ndarray, fixed: bool, open_writer: str) -> str:
    import pyarrow as pa

    table = pa.table({"embedding": lists(x, fixed)})
    with getattr(pa.ipc, open_writer)(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    return str(path)


@writes("arrow file", "pyarrow")
def arrow_file(folder: Path, x: np.ndarray) -> str:
    return ipc(folder / "x.arrow", x, True, "new_file")


@writes("arrow stream", "pyarrow")
def arrow_stream(folder: Path, x: np.ndarray) -> str:
    return ipc(folder / "x.arrow", x, False, "new_stream")


@writes("feather", "pyarrow")
def feather(folder: Path, x: np.ndarray) -> str:
    import pandas as pd

    pd.DataFrame(x, columns=[f"f{at}" for at in range(x.shape[1])]).to_feather(folder / "x.feather")
    return str(folder / "x.feather")


def pt_bytes(structure: bytes) -> bytes:
    """A pickle of this structure as PyTorch writes it."""
    return b"\x80\x02" + structure + b"."


def pt_tensor(storage: str, x: np.ndarray) -> bytes:
    """Instructions that make a tensor of a storage."""
    kind = {"float32": b"Float", "float64": b"Double", "float16": b"Half"}[x.dtype.name]

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def numbers(*values: int) -> bytes:
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little") for value in values) + b"t"

    stored = b"(" + text("storage") + b"ctorch\n" + kind + b"Storage\n" + text(storage) + text("cpu") + b"J"
    stored += x.size.to_bytes(4, "little") + b"tQ"
    strides = [step // x.itemsize for step in x.strides]
    more = b"K\x00" + numbers(*x.shape) + numbers(*strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + more + b"tR"


def write_pt(path: Path, structure: bytes, **storages: np.ndarray) -> Path:
    """A file with this structure and these storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pt_bytes(structure))
        for name, array in storages.items():
            archive.writestr(f"x/data/{name}", array.tobytes())
    return path


@writes("torch tensor")
def torch_tensor(folder: Path, x: np.ndarray) -> str:
    return str(write_pt(folder / "x.pt", pt_tensor("s", x), s=x))


@writes("torch dict")
def torch_dict(folder: Path, x: np.ndarray) -> str:
    structure = b"}X\x05\0\0\0feats" + pt_tensor("s", x) + b"sX\x01\0\0\0nK\x03s"
    return str(write_pt(folder / "x.pth", structure, s=x))


@writes("csv", "pyarrow")
def csv(folder: Path, x: np.ndarray) -> str:
    import pandas as pd

    pd.DataFrame(x.astype(np.float64), index=ids_of(len(x))).to_csv(folder / "x.csv")
    return str(folder / "x.csv")


@writes("tsv without names", "pyarrow")
def tsv(folder: Path, x: np.ndarray) -> str:
    np.savetxt(folder / "x.tsv", x, delimiter="\t", fmt="%.17g")
    return str(folder / "x.tsv")


@writes("json lines", "pyarrow")
def jsonl(folder: Path, x: np.ndarray) -> str:
    lines = [json.dumps({"id": name, "vector": row}) for name, row in zip(ids_of(len(x)), x.tolist(), strict=True)]
    (folder / "x.jsonl").write_text("\n".join(lines) + "\n")
    return f"{folder / 'x.jsonl'}:vector"


@writes("json lines of lists")
def jsonl_lists(folder: Path, x: np.ndarray) -> str:
    (folder / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in x.tolist()))
    return str(folder / "x.jsonl")


def words(path: Path, x: np.ndarray, header: bool) -> str:
    lines = [
        f"{word.replace(' ', '_')} {' '.join(f'{v:.9g}' for v in row)}"
        for word, row in zip(ids_of(len(x)), x, strict=True)
    ]
    path.write_text((f"{len(x)} {x.shape[1]}\n" if header else "") + "\n".join(lines) + "\n")
    return str(path)


@writes("word2vec text")
def word2vec_text(folder: Path, x: np.ndarray) -> str:
    return words(folder / "x.vec", x, header=True)


@writes("glove")
def glove(folder: Path, x: np.ndarray) -> str:
    return words(folder / "x.txt", x, header=False)


@writes("word2vec binary")
def word2vec_binary(folder: Path, x: np.ndarray) -> str:
    rows = (f"w{at} ".encode() + row.astype("<f4").tobytes() + b"\n" for at, row in enumerate(x))
    (folder / "x.bin").write_bytes(f"{len(x)} {x.shape[1]}\n".encode() + b"".join(rows))
    return str(folder / "x.bin")


@writes("matlab 5")
def matlab(folder: Path, x: np.ndarray) -> str:
    from scipy.io import savemat

    savemat(folder / "x.mat", {"x": x, "note": "made here"}, do_compression=True)
    return f"{folder / 'x.mat'}:x"


@writes("matlab 7.3", "h5py")
def matlab_hdf5(folder: Path, x: np.ndarray) -> str:
    import h5py

    path = folder / "x.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("x", data=x.T, chunks=(2, 5)).attrs["MATLAB_class"] = np.bytes_("single")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return str(path)


@writes("anndata", "h5py")
def anndata(folder: Path, x: np.ndarray) -> str:
    import h5py

    with h5py.File(folder / "x.h5ad", "w") as file:
        file["X"] = x
        file["obsm/X_pca"] = x[:, :2]
        file["obs/cells"] = ids_of(len(x))
        file["obs"].attrs["_index"] = "cells"
    return f"{folder / 'x.h5ad'}:X"


@writes("netcdf classic")
def netcdf(folder: Path, x: np.ndarray) -> str:
    from scipy.io import netcdf_file

    with netcdf_file(folder / "x.nc", "w") as file:
        file.createDimension("item", x.shape[0])
        file.createDimension("feature", x.shape[1])
        file.createVariable("x", x.dtype.char, ("item", "feature"))[:] = x
    return str(folder / "x.nc")


@writes("fvecs")
def fvecs(folder: Path, x: np.ndarray) -> str:
    rows = (np.int32(len(row)).tobytes() + row.astype("<f4").tobytes() for row in x)
    (folder / "x.fvecs").write_bytes(b"".join(rows))
    return str(folder / "x.fvecs")


@writes("fbin")
def fbin(folder: Path, x: np.ndarray) -> str:
    (folder / "x.fbin").write_bytes(np.array(x.shape, "<u4").tobytes() + x.astype("<f4").tobytes())
    return str(folder / "x.fbin")


@writes("data set directory", "pyarrow")
def data_set(folder: Path, x: np.ndarray) -> str:
    (folder / "set" / "train").mkdir(parents=True)
    for name, rows in (("a", x[:20]), ("b", x[20:])):
        ipc(folder / "set" / "train" / f"{name}.arrow", rows, False, "new_stream")
    state = {"_data_files": [{"filename": "a.arrow"}, {"filename": "b.arrow"}]}
    (folder / "set" / "train" / "state.json").write_text(json.dumps(state))
    (folder / "set" / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    return f"{folder / 'set'}:train/embedding"
