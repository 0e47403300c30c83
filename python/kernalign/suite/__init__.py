"""Suites: models, items, metrics and claims in one TOML file; a run that resumes, and a report that can be believed."""

from __future__ import annotations

import os

from kernalign.suite import builtin
from kernalign.suite import suite as _suite
from kernalign.suite.run import Run
from kernalign.suite.suite import Suite

for _class in (Run, Suite):
    _class.__module__ = __name__

__all__ = ["Run", "Suite", "load"]


def load(path: str | os.PathLike[str], *, directory: str | os.PathLike[str] | None = None) -> Suite:
    """Read a suite from suite.toml or the directory that holds it, or take one that ships.

    Parameters
    ----------
    path : the file or its directory, or ``"builtin:NAME"``
    directory : where the run's files go; ``runs/NAME`` beside suite.toml if not given

    Raises
    ------
    ValueError
        Unknown keys, with the nearest name that there is; values that cannot be.
    OSError
        The file cannot be read.
    ImportError
        A suite that ships needs scikit-learn's digits, and it is not installed.

    See Also
    --------
    Suite : what it returns
    kernalign.compare : one comparison, in Python

    Examples
    --------
    >>> import tempfile
    >>> import kernalign as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     suite = ka.suite.load("builtin:quick", directory=folder)
    ...     run = suite.run()
    >>> [(claim.text, claim.verdict) for claim in run.claims[:1]]
    [('mknn10 of vision × hog is above chance', 'held')]
    """
    if str(path).startswith("builtin:"):
        return builtin.load(str(path).removeprefix("builtin:"), directory)
    return _suite.load(path, directory)
