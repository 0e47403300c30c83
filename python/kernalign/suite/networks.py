"""Small networks for handwritten digits, many trained at once, whose representations have an order that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
CLASSES = 10
TRAINING = 1247
_RATE, _DECAYS, _TINY = 2e-3, (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Digits:
    """scikit-learn's 1797 digits of 8 x 8 pixels in [0, 1], split once and for all."""

    x: Array
    labels: Array
    held_x: Array
    held_labels: Array


def digits() -> Digits:
    """The digits.

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("this suite needs scikit-learn: pip install 'kernalign[sklearn]'") from error
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = (x[order] / 16).astype(np.float32), labels[order]
    return Digits(x[:TRAINING], labels[:TRAINING], x[TRAINING:], labels[TRAINING:])


@dataclass(frozen=True)
class Networks:
    """Perceptrons with ReLU: weights (networks, in, out) and biases (networks, 1, out), layer by layer."""

    weights: list[Array]
    biases: list[Array]

    def layers(self, x: Array) -> list[Array]:
        """Hidden layers and logits, (networks, items, width) each, of items (items, p) or (networks, items, p)."""
        found = []
        for at, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if at < len(self.weights) - 1:
                x = np.maximum(x, 0)
            found.append(x)
        return found


def trained(
    x: Array,
    labels: Array,
    seeds: Sequence[int],
    *,
    hidden: Sequence[int],
    noise: Array | float = 0.0,
    steps: int = 500,
) -> Networks:
    """One network for each seed, by Adam on cross-entropy; a seed draws weights, batches and noise.

    Parameters
    ----------
    x : (items, p), or (networks, items, p)
    labels : (items,), or (networks, items)
    noise : standard deviation of Gaussian noise on the pixels, or one for each network
    """
    count, p = len(seeds), x.shape[-1]
    draws = [np.random.default_rng(seed) for seed in seeds]
    x = np.broadcast_to(x, (count, *x.shape[-2:]))
    labels = np.broadcast_to(labels, (count, labels.shape[-1]))
    noise = np.broadcast_to(np.asarray(noise, dtype=np.float32), count)[:, None, None]
    sizes = [p, *hidden, CLASSES]
    scale = [np.float32(np.sqrt(2 / size)) for size in sizes]
    weights = [
        np.stack([draw.standard_normal((a, b), dtype=np.float32) for draw in draws]) * scale[at]
        for at, (a, b) in enumerate(pairwise(sizes))
    ]
    biases = [np.zeros((count, 1, size), np.float32) for size in sizes[1:]]
    made, batch, each = Networks(weights, biases), 64, np.arange(count)[:, None]
    moments = [[np.zeros_like(one), np.zeros_like(one)] for one in (*weights, *biases)]
    for step in range(1, steps + 1):
        chosen = np.stack([draw.integers(0, x.shape[1], batch) for draw in draws])
        given = x[each, chosen]
        if noise.any():
            given = given + noise * np.stack(
                [draw.standard_normal(given.shape[1:], dtype=np.float32) for draw in draws]
            )
        for one, slope, (mean, square) in zip(
            (*weights, *biases), _slopes(made, given, labels[each, chosen]), moments, strict=True
        ):
            mean += (1 - _DECAYS[0]) * (slope - mean)
            square += (1 - _DECAYS[1]) * (slope * slope - square)
            size = _RATE * np.sqrt(1 - _DECAYS[1] ** step) / (1 - _DECAYS[0] ** step)
            one -= (size * mean / (np.sqrt(square) + _TINY)).astype(np.float32)
    return made


def _slopes(networks: Networks, x: Array, labels: Array) -> list[Array]:
    """Gradients of the mean cross-entropy, of weights and then of biases."""
    layers = networks.layers(x)
    slope = softmax(layers[-1])
    np.put_along_axis(slope, labels[..., None], np.take_along_axis(slope, labels[..., None], -1) - 1, -1)
    slope /= x.shape[1]
    below = [x, *layers[:-1]]
    weights, biases = [], []
    for at in range(len(layers) - 1, -1, -1):
        weights.append(below[at].swapaxes(1, 2) @ slope)
        biases.append(slope.sum(axis=1, keepdims=True))
        if at:
            slope = (slope @ networks.weights[at].swapaxes(1, 2)) * (below[at] > 0)
    return [*weights[::-1], *biases[::-1]]


def softmax(logits: Array) -> Array:
    """Probabilities of the classes."""
    found: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found /= found.sum(axis=-1, keepdims=True)
    return found


def apart(p: Array, q: Array) -> float:
    """Mean Jensen-Shannon divergence of two tables of probabilities, in nats."""
    middle = (p + q) / 2

    def from_middle(one: Array) -> Array:
        found: Array = (one * np.log(np.maximum(one, 1e-30) / np.maximum(middle, 1e-30))).sum(axis=-1)
        return found

    return float((from_middle(p) + from_middle(q)).mean() / 2)
