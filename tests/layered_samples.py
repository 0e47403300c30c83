"""Random models with layers that several test files compare."""

import numpy as np

N = 60


def layered(layers, p, seed, n=N, dtype=np.float64):
    """(n, layers, p), each layer a noisier view of one latent cloud that all seeds share."""
    latent = np.random.default_rng(99).normal(size=(n, 4))
    rng = np.random.default_rng(seed)
    parts = [latent @ rng.normal(size=(4, p)) + (1 + at) * rng.normal(size=(n, p)) for at in range(layers)]
    return np.stack(parts, axis=1).astype(dtype)


def models():
    """A 3-D array, a list of layers of different widths, and a plain array."""
    b = layered(2, 9, 2)
    return {"a": layered(3, 7, 1), "b": [b[:, 0], b[:, 1, :5], layered(1, 80, 3)[:, 0]], "c": layered(1, 6, 4)[:, 0]}
