"""Makes the private BLAS, and what NumPy's needs, ready before the extension module is loaded."""

import ctypes
import importlib.util
import os
from pathlib import Path

import numpy as np


def preload() -> None:
    """Load scipy-openblas32's library, invisible to other modules and without its thread pool.

    The package is found but not imported (importing it would load the library for the whole process). OpenBLAS starts
    its worker threads when it is loaded; the environment asks it not to, for that moment only.
    """
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("kernalign needs the package scipy-openblas32; install it with pip")
    library = Path(spec.submodule_search_locations[0]) / "lib" / "libscipy_openblas.so"
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before
    # NumPy's own OpenBLAS maps a buffer for its first product, and ends the process if it cannot: while there is room.
    # Products of up to 100^3 need none on some CPUs.
    np.eye(128) @ np.eye(128)
