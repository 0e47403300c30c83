"""FeatureTap: representations out of the modules of a torch model, batch by batch, kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from kernalign._base.checks import check_choice, items, nearest
from kernalign.compat.platonic.tensors import is_tensor, readable
from kernalign.metrics.moments import Moments

Pool: TypeAlias = str | Callable[[Any], Any] | None

_POOLS = (None, "mean", "flatten", "first")
_HIDDEN = "last_hidden_state"


class FeatureTap(Mapping[str, Any]):
    """What named modules of a model put out in its last forward pass, as detached (items, features) tensors.

    A context manager: hooks are there inside ``with`` alone, and are removed however it ends. The tap is a mapping from
    names of modules to tensors, on the device of the model. It holds one batch.

    Parameters
    ----------
    model : torch.nn.Module
    layers : str or sequence of str
        Names as ``model.named_modules()`` has them; a ``*`` stands for anything without a dot: ``"blocks.*"`` are the
        blocks, not what is in them. ``""`` is the model itself.
    pool : "mean", "flatten", "first", a function or None, default None
        What becomes of positions, of 3-D outputs (items, positions, features) and 4-D maps (items, features, height,
        width): their mean, a feature each, or the first alone (a class token). None takes 2-D outputs only. A function
        gets the tensor (of masked tokens, say) and returns (items, features).

    Raises
    ------
    ValueError
        A name that the model does not have; while the model runs: an output without a tensor, or of positions without
        ``pool``.

    See Also
    --------
    kernalign.Moments : what :meth:`update` feeds.
    kernalign.compat.lightning.SimilarityCallback : does this while PyTorch Lightning validates.

    Notes
    -----
    Of outputs that are tuples or lists (a block of transformers) the first tensor is taken, of those that are dicts
    (ModelOutput) ``last_hidden_state`` or else the first tensor. A module that runs several times in a pass is heard
    the last time. Forward passes cost what pooling costs.

    Examples
    --------
    >>> import torch
    >>> from kernalign.compat.hooks import FeatureTap
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> moments = {}
    >>> with FeatureTap(model, ["0", "2"]) as tap:
    ...     for batch in torch.randn(5, 32, 8, generator=torch.Generator().manual_seed(0)):
    ...         _ = model(batch)
    ...         tap.update(moments)
    >>> sorted(moments)
    [('0', '0'), ('0', '2'), ('2', '2')]
    >>> moments["0", "2"].n
    160
    """

    def __init__(self, model: Any, layers: str | Sequence[str], *, pool: Pool = None) -> None:
        if not callable(pool):
            check_choice(pool, "pool", _POOLS)
        self._modules, self._pool = _chosen(dict(model.named_modules()), layers), pool
        self._features: dict[str, Any] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        try:
            for name, module in self._modules.items():
                self._hooks.append(module.register_forward_hook(self._listener(name)))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def __getitem__(self, layer: str) -> Any:
        """The features of a layer.

        Raises
        ------
        KeyError
            The tap has no such layer, or the layer did not run since the tap began or was last read by ``update``.
        """
        if layer not in self._modules:
            raise KeyError(f"the tap has no layer {layer!r}; it has {', '.join(map(repr, self))}")
        if layer not in self._features:
            raise KeyError(f"layer {layer!r} put nothing out yet: run the model inside the with block of its tap")
        return self._features[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def update(self, moments: MutableMapping[tuple[str, str], Moments], other: FeatureTap | None = None) -> None:
        """Add the last batch to ``moments[layer, layer of other]``, of all pairs, and forget it.

        Parameters
        ----------
        moments : dict, empty at first
        other : FeatureTap, optional
            Of a second model that ran on the same items. None: pairs of this one's layers, each pair once.

        Raises
        ------
        KeyError
            A layer did not run since the last update, so that no batch is counted twice.
        ValueError, TypeError
            As :meth:`kernalign.Moments.update`.
        """
        x = {layer: self[layer] for layer in self}
        y = x if other is None or other is self else {layer: other[layer] for layer in other}
        for at, (first, rows) in enumerate(x.items()):
            for second, others in list(y.items())[at if y is x else 0 :]:
                moments.setdefault((first, second), Moments()).update(*readable(rows, others))
        self._features = {}
        if other is not None:
            other._features = {}

    def _listener(self, layer: str) -> Callable[[Any, Any, Any], None]:
        def listen(module: Any, given: Any, output: Any) -> None:
            self._features[layer] = _pooled(_tensor_of(output, layer).detach(), self._pool, layer)

        return listen

    def _remove(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _chosen(modules: dict[str, Any], layers: str | Sequence[str]) -> dict[str, Any]:
    """Modules by name, in the order of the model."""
    patterns = [layers] if isinstance(layers, str) else items(layers, "layers", "names of modules")
    chosen = set()
    for pattern in patterns:
        form = re.compile(re.escape(pattern).replace(r"\*", "[^.]+"))
        found = {name for name in modules if form.fullmatch(name)}
        if not found:
            raise ValueError(f"layers: the model has no module {pattern!r}{nearest(pattern, modules)}")
        chosen |= found
    return {name: module for name, module in modules.items() if name in chosen}


def _tensor_of(output: Any, layer: str) -> Any:
    """The tensor of an output that is one or holds one."""
    if is_tensor(output):
        return output
    if isinstance(output, Mapping):
        parts = [output[_HIDDEN]] if _HIDDEN in output else list(output.values())
    else:
        parts = list(output) if isinstance(output, (tuple, list)) else []
    found = next((part for part in parts if is_tensor(part)), None)
    if found is None:
        raise ValueError(f"layer {layer!r} must put out a tensor, or a tuple or dict of one, got {type(output)}")
    return found


def _pooled(features: Any, pool: Pool, layer: str) -> Any:
    """(items, features)."""
    shape = tuple(features.shape)
    if callable(pool):
        features = pool(features)
        if features.ndim != 2:
            raise ValueError(f"pool must return (items, features), got shape {tuple(features.shape)} of {layer!r}")
        return features.detach()
    if len(shape) not in (2, 3, 4) or (len(shape) > 2 and pool is None):
        wanted = "2-D to 4-D" if pool else "2-D, or pool= must say what becomes of positions"
        raise ValueError(f"the output of layer {layer!r} must be {wanted}; it has shape {shape}")
    if len(shape) == 2:
        return features
    if pool == "flatten":
        return features.flatten(1)
    if len(shape) == 4:  # positions last
        features = features.flatten(2).transpose(1, 2)
    return features.mean(dim=1) if pool == "mean" else features[:, 0]
