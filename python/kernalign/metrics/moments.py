"""Moments: linear metrics of batches that never sit in memory together, mergeable and saved between runs."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checkpoint, checks
from kernalign._base.checks import shown
from kernalign._base.kernels import Kernel, Linear, check_kernel
from kernalign._base.progress import ProgressArgument, Report, reporting
from kernalign._base.readable import Readable
from kernalign._base.score import Score
from kernalign._engines import devices
from kernalign._engines.kernel_sums import KernelSums
from kernalign._engines.linear import linear_precision, moment_sums
from kernalign._rows import arrays, streams
from kernalign._rows.digits import Digits
from kernalign._rows.magnitude import check_magnitude
from kernalign.metrics.kernel.cka import check_estimator
from kernalign.metrics.kernel.finish import (
    Estimator,
    finish_cka,
    finish_hsic,
    finish_kernel_alignment,
    warn_of_dominance,
)
from kernalign.metrics.linear import cca as subspace
from kernalign.metrics.linear import least_squares, principal, shape

Matrix: TypeAlias = NDArray[np.float64]

_KIND = "Moments"
_MOST_EXPONENT = 400  # of rows whose products are wanted in their own units


class Moments(Readable):
    """Second moments of a stream of paired batches; every linear metric is finished from them.

    Holds 8 (p^2 + p q + q^2) bytes and at most 1024 waiting rows, however long the stream is, and twice that more while
    a score is finished. Rows are cut into blocks of 1024 counted from the start of the stream, so how it was cut into
    batches does not change one bit of the result. float64 and integer batches are multiplied in float64; 16- and 32-bit
    floats in float32, summed in float64. A stream that began with float32 does not accept float64 later. Threads may
    share one object: calls take turns. It can be pickled and copied; a copy goes on with the same bits.

    See Also
    --------
    cka, nbs, cca, linear_predictivity : the same of arrays
    plan : the same of files, in processes or on a cluster

    Examples
    --------
    >>> import numpy as np, kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> moments = ka.Moments()
    >>> for _ in range(4):
    ...     x = rng.standard_normal((500, 16))
    ...     moments = moments.update(x, x + rng.standard_normal((500, 16)))
    >>> moments.n
    2000
    >>> round(float(moments.cka()), 1)
    0.5
    """

    def __init__(self) -> None:
        self._core: _core.Moments | devices.Stream | None = None
        self._lock = threading.RLock()  # the engine works without the GIL
        self._busy = False
        self._known_n = 0
        self._digits: tuple[Digits, Digits] | None = None

    @property
    def n(self) -> int:
        """Number of items taken so far; while another thread's call is under way, what it was before that call."""
        if self._lock.acquire(blocking=False):
            try:
                self._known_n = 0 if self._core is None else self._core.count
            finally:
                self._lock.release()
        return self._known_n

    def update(
        self, x_batch: Any, y_batch: Any, *, threads: int | None = None, progress: ProgressArgument = False
    ) -> Moments:
        """Add paired rows: x_batch (m, p), y_batch (m, q); returns self.

        A batch may be the path of a file, or rows of h5py, zarr, dask or xarray: these are read in blocks, never whole.
        Bad input raises and leaves the state as it was. Ctrl-C leaves it whole and usable: ``n`` then says how many
        rows of the stream were taken, and the stream can go on from there.

        Raises
        ------
        TypeError, ValueError
            For batches that are not numeric, finite and 2-D, that differ in rows, or whose columns or precision do not
            fit the stream.
        """
        names = ("x_batch", "y_batch")
        x, y, streamed = x_batch, y_batch, False
        if type(x) is not np.ndarray or type(y) is not np.ndarray:
            x, y, streamed = streams.opened(x, y, names)
        count = checks.check_threads(threads)
        with self._turn(), reporting(progress, "moments") as report:
            if not streamed:
                self._add(x, y, names, count, report)
                return self
            before = None if self._core is None else self._core.copy(), copy.deepcopy(self._digits)
            done, total = 0, len(x)
            try:
                for one, other in streams.blocks(x, y, names):
                    self._add(one, other, names, count, None)
                    done += len(one)
                    if report is not None:
                        report(done, total)
            except Exception:
                self._core, self._digits = before
                raise
        return self

    def _add(self, x: Any, y: Any, names: tuple[str, str], threads: int, report: Report) -> None:
        pair = arrays.pair(x, y, advise=False, names=names, devices=True)
        place = pair.place
        double = pair.x.double_precision or pair.y.double_precision
        core = self._core
        if core is None:
            p, q = pair.x.shape[1], pair.y.shape[1]
            core = _core.Moments(p, q, double_precision=linear_precision(pair))
        for rows, name, columns in zip((pair.x, pair.y), names, core.cols, strict=True):
            if rows.shape[1] != columns:
                raise ValueError(f"{name} must have the {columns} columns of the stream, got {rows.shape[1]}")
        if double and not core.double_precision:
            raise TypeError("the stream began with 16- or 32-bit floats and must go on with them, got wider numbers")
        if place is not None and isinstance(core, _core.Moments):
            core = devices.Stream(place, core)
        if isinstance(core, devices.Stream):  # which looks at all rows before it takes any
            core.update(pair.x, pair.y, threads, report)
        else:
            pair.check(threads)
        self._core = core
        self._digits = self._digits or (Digits(core.cols[0]), Digits(core.cols[1]))
        for digits, rows in zip(self._digits, (pair.x, pair.y), strict=True):
            if rows.spacing < digits.open:
                digits.update(devices.head(rows))
        if isinstance(core, _core.Moments):
            core.update(pair.x, pair.y, threads, report)

    def merge(self, other: Moments) -> Moments:
        """Add another stream's rows, exactly up to float64 rounding; in place, returns self. Empty states merge.

        Raises
        ------
        TypeError, ValueError
            The other is not a Moments, or differs in columns or precision.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other must be a Moments, got {type(other).__name__}")
        with other._turn():
            right = None if other._core is None else other._core.copy()
            seen = copy.deepcopy(other._digits)
        with self._turn():
            if self._core is None:
                self._core, self._digits = right, seen
            elif right is not None:
                self._core.merge(right)
                assert self._digits is not None
                assert seen is not None
                for digits, others in zip(self._digits, seen, strict=True):
                    digits.merge(others)
        return self

    def cka(self, *, estimator: Estimator = "unbiased", kernel: Kernel = Linear()) -> Score:  # noqa: B008
        """Centred kernel alignment; see :func:`kernalign.cka`."""
        sums = self._sums("cka", estimator, kernel)
        warn_of_dominance(sums)
        return finish_cka(sums, estimator)

    def hsic(self, *, estimator: Estimator = "unbiased", kernel: Kernel = Linear()) -> Score:  # noqa: B008
        """Hilbert-Schmidt independence criterion; see :func:`kernalign.hsic`."""
        return finish_hsic(self._sums("hsic", estimator, kernel), estimator)

    def kernel_alignment(
        self,
        *,
        estimator: Estimator = "unbiased",
        kernel: Kernel = Linear(),  # noqa: B008
    ) -> Score:
        """Uncentred kernel alignment; see :func:`kernalign.kernel_alignment`."""
        return finish_kernel_alignment(self._sums("kernel_alignment", estimator, kernel), estimator)

    def procrustes(self, *, alpha: float = 1.0) -> Score:
        """Procrustes distance; see :func:`kernalign.procrustes`. Products do not resolve shapes that nearly agree."""
        return shape.finish_procrustes(shape.of_stream(self._products("procrustes"), "procrustes", alpha))

    def nbs(self, *, alpha: float = 1.0) -> Score:
        """Normalised Bures similarity; see :func:`kernalign.nbs`."""
        return shape.finish_nbs(shape.of_stream(self._products("nbs"), "nbs", alpha))

    def angular_distance(self, *, alpha: float = 1.0) -> Score:
        """Angle between shapes; see :func:`kernalign.angular_distance`. As for :meth:`procrustes`."""
        return shape.finish_angular_distance(
            shape.of_stream(self._products("angular_distance"), "angular_distance", alpha)
        )

    def cca(self, *, statistic: subspace.Statistic = "rho", centred: bool = True) -> Score:
        """Mean canonical correlation; see :func:`kernalign.cca`. Warns where products do not determine it."""
        subspace.check_statistic(statistic)
        centred = checks.check_flag(centred, "centred")
        products = self._products("cca", centred=centred)
        return subspace.finish_cca(principal.of_stream(products, "cca", centred=centred), statistic)

    def linear_predictivity(self, *, cv: int | None = None) -> Score:
        """Share of y that x explains; see :func:`kernalign.linear_predictivity`. Warns as :meth:`cca` does.

        Raises
        ------
        ValueError
            cv is not None: a stream does not keep the rows that folds are made of.
        """
        if cv is not None:
            raise ValueError(f"cv must be None for a stream, which keeps no rows to leave out, got {shown(cv)}")
        return least_squares.finish(least_squares.of_stream(self._products("linear_predictivity")))

    def centred_products(
        self,
    ) -> tuple[principal.Products, tuple[Matrix, Matrix], tuple[Matrix, Matrix, Matrix]]:
        """The finished products; of them, in their own units: the column means, and x'x, x'y, y'y of centred rows."""
        products = self._products("centred_products")
        engine = products.engine
        a, b = engine.exponents
        for name, exponent in (("x", a), ("y", b)):
            check_magnitude(2.0**exponent, name, _MOST_EXPONENT)
        units = {(0, 0): 2 * a, (0, 1): a + b, (1, 1): 2 * b}
        xx, xy, yy = (np.ldexp(engine.product(*sides), exponent) for sides, exponent in units.items())
        return products, (engine.mean(0), engine.mean(1)), (xx, xy, yy)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the state to ``path``: whole or not at all, checksummed, without pickle.

        Raises
        ------
        FileExistsError
            The file exists and ``overwrite`` is False.
        """
        facts, packed = self._state()
        checkpoint.write(path, _KIND, facts, {"numbers": packed}, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """Read a state written by :meth:`save`; going on with it gives the same bits as never having stopped.

        Raises
        ------
        ValueError
            The file is not a whole, unchanged Moments file of this version.
        """
        with checkpoint.reading(path, _KIND) as (facts, arrays):
            return cls._restored(facts, arrays["numbers"])

    def reset(self) -> Moments:
        """Forget all rows, and how many columns they had; returns self."""
        with self._turn():
            self._core = self._digits = None
        return self

    def _shown(self) -> list[tuple[str, Any]]:
        return [("n", self.n), *([] if self._core is None else zip("pq", self._core.cols, strict=True))]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._restored, self._state()

    def _state(self, *, settled: bool = False) -> tuple[dict[str, Any], Matrix]:
        """Facts and numbers from which the same stream goes on; settled: without waiting rows."""
        with self._turn():
            if self._core is None or self._digits is None:
                return {"empty": True}, np.empty(0)
            p, q = self._core.cols
            facts = {"empty": False, "p": p, "q": q, "double_precision": self._core.double_precision}
            core = self._core
            if settled:
                core = core.copy()
                core.settle()
            return facts | {"digits": [digits.pack() for digits in self._digits]}, core.pack()

    @classmethod
    def _restored(cls, facts: dict[str, Any], packed: Matrix) -> Moments:
        state = cls()
        if not facts["empty"]:
            p, q, double = facts["p"], facts["q"], facts["double_precision"]
            if not (type(p) is int and type(q) is int and type(double) is bool):
                raise TypeError("p, q and double_precision must be two integers and a boolean")
            state._core = _core.Moments.unpack(p, q, double, packed)
            x, y = facts["digits"]
            state._digits = Digits.unpack(x, p), Digits.unpack(y, q)
        return state

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One call at a time; a call from this object's own progress callback would find the state half-made."""
        with self._lock:
            if self._busy:
                raise RuntimeError("a progress callback must not call methods of the Moments that reports to it")
            self._busy = True
            try:
                yield
            finally:
                self._busy = False

    def _products(self, metric: str, *, centred: bool = True) -> principal.Products:
        with self._turn():
            checks.check_count(self.n, 2, metric)
            assert self._core is not None
            assert self._digits is not None
            x, y = self._digits
            return principal.Products(
                self._core.finish(centred, 0), self._core.double_precision, (x.rounding, y.rounding)
            )

    def _sums(self, metric: str, estimator: str, kernel: Kernel) -> KernelSums:
        if not isinstance(check_kernel(kernel), Linear):
            raise ValueError(f"a stream has only its linear kernel, got kernel={kernel!r}")
        with self._turn():
            check_estimator(estimator, self.n, metric)
        centred = metric != "kernel_alignment"
        products = self._products(metric, centred=centred)
        rounded = products.only_rounding(0), products.only_rounding(1)
        more: dict[str, Any] = {
            "settings": {"normalize": None, "clip_quantile": None},
            "rounded": rounded if centred else (None, None),
        }
        return moment_sums(products.engine, products.double, "stream", centred, **more)
