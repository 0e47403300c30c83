"""Tells the engine how many threads it may use where a call does not say."""

from __future__ import annotations

from kernalign import _core
from kernalign._base import threads as limits
from kernalign._base.checks import check_threads


def set_threads(threads: int | None) -> None:
    """Choose how many threads a call uses that is not given ``threads=``, in this process.

    Parameters
    ----------
    threads : a positive integer; None: what the environment variable ``KERNALIGN_NUM_THREADS`` says, or else as many
        as this process may use: its cores (its affinity), but no more than ``OMP_NUM_THREADS``, ``LOKY_MAX_CPU_COUNT``
        and the quota of CPU time of its control group; these are read when the package is imported.

    Notes
    -----
    Scores do not depend on it. The BLAS of NumPy and SciPy is held to the same number while it works for a call, and
    to one thread on matrices of up to 1024 rows or columns.

    See Also
    --------
    cka : ``threads=`` is for one call

    Examples
    --------
    >>> import kernalign as ka
    >>> ka.set_threads(2)
    >>> ka.set_threads(None)
    """
    limits.chosen = check_threads(threads) or limits.told()
    _core.set_threads(limits.chosen, limits.most())


set_threads(None)
