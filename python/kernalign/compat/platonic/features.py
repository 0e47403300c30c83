"""Features made ready as platonic-rep does: outliers clamped, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernalign._base import checks
from kernalign._base.warn import warn
from kernalign._rows.blocks import spans
from kernalign._rows.numeric import AnyArray
from kernalign.compat.platonic import tensors

_BLOCK_ELEMENTS = 1 << 22


def remove_outliers(feats: Any, q: float, exact: bool = False, max_threshold: float | None = None) -> Any:
    """Clamp to [-t, t], with one t for the whole array.

    Parameters
    ----------
    feats : array or tensor of any shape; items first
    q : t is about the q-quantile of the absolute values; 1 returns feats as they are
    exact : True: t is the value of rank int(q * size), from 0, of all; False: the mean over items of each item's own
        quantile (linear interpolation), which one NaN makes NaN
    max_threshold : ignored, as by platonic-rep, with a warning

    See Also
    --------
    prepare_features : the same in float32, layer by layer

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import remove_outliers
    >>> remove_outliers(np.array([[1.0, -2.0], [3.0, -40.0]]), q=0.5, exact=True).tolist()
    [[1.0, -2.0], [3.0, -3.0]]
    """
    if max_threshold is not None:
        warn("max_threshold is ignored, as platonic-rep ignores it", UserWarning)
    q, exact = checks.number(q, "q", "in [0, 1]"), checks.check_flag(exact, "exact")
    values = tensors.to_array(feats, "feats")
    if q == 1:
        return feats
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if values.size == 0:
        raise ValueError(f"feats must not be empty, got shape {values.shape}")
    if exact:
        rank = int(q * values.size)
        threshold = float(np.partition(np.abs(values).ravel(), rank)[rank])
    else:
        threshold = _mean_quantile(values, q)
    clamped = np.clip(values, -threshold, threshold) if threshold == threshold else np.full_like(values, np.nan)
    out = tensors.as_given(clamped, feats)
    return out.to(feats.dtype) if tensors.is_tensor(feats) and feats.is_floating_point() else out


def prepare_features(feats: Any, q: float = 0.95, exact: bool = False, device: str | None = None) -> Any:
    """`remove_outliers` in float32: one threshold for an array or tensor, but one for each element of a list.

    ``device`` follows the input; only the CPU is there in this build.

    See Also
    --------
    remove_outliers

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import prepare_features
    >>> features = np.random.default_rng(0).standard_normal((50, 4))
    >>> features[0, 0] = 1e3
    >>> ready = prepare_features(features, exact=True)
    >>> ready.dtype.name, bool(ready.max() < 3)
    ('float32', True)
    """
    checks.check_choice(device, "device", (None, "cpu"))
    if isinstance(feats, (list, tuple)):
        try:
            return [prepare_features(layer, q, exact, device) for layer in feats]
        except RecursionError:
            raise ValueError("feats must not hold itself") from None
    if tensors.is_tensor(feats):
        return remove_outliers(feats.detach().float(), q, exact)
    return remove_outliers(tensors.to_array(feats, "feats").astype(np.float32, copy=False), q, exact)


def _mean_quantile(values: AnyArray, q: float) -> float:
    """Mean over the items of the q-quantile of their absolute values, a block of items at a time."""
    if values.ndim < 2:
        raise ValueError(f"feats must have at least 2 dimensions unless exact=True, got shape {values.shape}")
    items = values.reshape(len(values), -1)
    parts = (items[begin:end] for begin, end in spans(*items.shape, elements=_BLOCK_ELEMENTS))
    blocks = (np.abs(part).astype(np.float64) for part in parts)
    with np.errstate(invalid="ignore"):
        return float(np.concatenate([np.quantile(block, q, axis=1) for block in blocks]).mean())
