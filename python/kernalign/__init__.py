"""Fast, trustworthy measures of how alike two neural representations are."""

from kernalign import _blas

_blas.preload()

from kernalign import _core  # noqa: E402

__version__: str = _core.build_info()["version"]
