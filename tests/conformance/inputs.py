"""The five pairs of representations that every implementation was run on."""

from importlib import resources

import numpy as np

NAMES = ("golden", "offset", "wide", "ties", "real")


def golden():
    """10 features and the same with as much noise: the example of a published notebook."""
    draw = np.random.RandomState(1337)
    x = draw.randn(100, 10)
    return x, draw.randn(100, 10) + x


def offset():
    """15 and 24 features of 6 common ones, far from the origin."""
    draw = np.random.default_rng(1)
    common = draw.standard_normal((80, 6))
    x = common @ draw.standard_normal((6, 15)) + 0.5 * draw.standard_normal((80, 15)) + 3 * draw.standard_normal(15)
    y = common @ draw.standard_normal((6, 24)) * np.linspace(0.2, 2, 24) + 0.7 * draw.standard_normal((80, 24))
    return x, y + 2 * draw.standard_normal(24)


def wide():
    """60 and 50 features of 40 items."""
    draw = np.random.default_rng(2)
    common = draw.standard_normal((40, 5))
    x = common @ draw.standard_normal((5, 60)) + draw.standard_normal((40, 60))
    return x, common @ draw.standard_normal((5, 50)) + draw.standard_normal((40, 50))


def ties():
    """Features that are 0, 1 or 2, some of them repeated, and so are two items."""
    draw = np.random.default_rng(3)
    x = draw.integers(0, 3, (60, 30)).astype(float)
    x[:, :15] = x[:, 15:]
    y = np.where(draw.random((60, 30)) < 0.6, x, draw.integers(0, 3, (60, 30))).astype(float)
    x, y = x[:, :26], y[:, :26]
    y[30], x[30], y[7] = y[31], x[31], y[9]
    return x, y


def real():
    """150 emoji as a vision network and as gradients: two representations of the demo."""
    with np.load(str(resources.files("kernalign.demo").joinpath("emoji.npz"))) as stored:
        return stored["vision"][:150].astype(float), stored["hog"][:150].astype(float)


PAIRS = {name: globals()[name]() for name in NAMES}
