"""SimilarityCallback: logs how alike layers of a LightningModule are, over all batches of a validation."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kernalign.compat.hooks import FeatureTap, Pool
from kernalign.compat.torchmetrics import Similarity


def _base() -> type:
    """PyTorch Lightning's Callback, under either of its names, if it is installed."""
    for package in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return import_module(package).Callback  # type: ignore[no-any-return]
        except ModuleNotFoundError:
            continue
    return object


if TYPE_CHECKING:

    class Callback:
        """What Lightning calls."""
else:
    Callback = _base()


class SimilarityCallback(Callback):
    """Logs the similarity of pairs of layers after every validation, as ``cka/encoder.3~encoder.7``.

    Every pair has a :class:`kernalign.compat.torchmetrics.Similarity` that is fed batch by batch: over the whole
    validation set and all processes, and without keeping features.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Names of modules of the LightningModule; a student and a frozen teacher in it can be compared
        (``("student.layer4", "teacher.layer4")``).
    metric : str, default "cka"
        As for :class:`~kernalign.compat.torchmetrics.Similarity`.
    pool : default "mean"
        As for :class:`~kernalign.compat.hooks.FeatureTap`.
    **keywords
        Options of the metric.

    Raises
    ------
    ValueError
        When validation begins: the module has no such layer.

    See Also
    --------
    kernalign.compat.hooks.FeatureTap : the hooks.

    Notes
    -----
    Adds O(n (p + q)^2) on the CPU for n items and every pair; nothing while training steps run.

    Examples
    --------
    >>> from kernalign.compat.lightning import SimilarityCallback
    >>> callback = SimilarityCallback([("encoder.3", "encoder.7")])  # for Trainer(callbacks=[callback])
    >>> callback.metric
    'cka'
    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]], metric: str = "cka", *, pool: Pool = "mean", **keywords: Any
    ) -> None:
        self.pairs, self.metric, self.pool, self.keywords = [tuple(pair) for pair in pairs], metric, pool, keywords
        self._found: dict[tuple[str, ...], Similarity] = {}
        self._tap: FeatureTap | None = None

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to listen."""
        self._close()
        layers = list(dict.fromkeys(layer for pair in self.pairs for layer in pair))
        self._tap = FeatureTap(pl_module, layers, pool=self.pool).__enter__()

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, *batch: Any, **more: Any) -> None:
        """Add what the layers put out."""
        assert self._tap is not None
        for pair in self.pairs:
            x, y = (self._tap[layer] for layer in pair)
            if pair not in self._found:
                made = Similarity((x.shape[1], y.shape[1]), self.metric, **self.keywords)
                self._found[pair] = made.to(pl_module.device)
            self._found[pair].update(x, y)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the scores of all processes together."""
        for (first, second), found in self._found.items():
            pl_module.log(f"{self.metric}/{first}~{second}", found.compute())
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Take the hooks away."""
        self._close()

    def _close(self) -> None:
        if self._tap is not None:
            self._tap.__exit__(None, None, None)
        self._tap, self._found = None, {}
