"""Layer against layer, and a profile of the best
=================================================

Two made-up models of eight and twelve layers that build up the same two factors, one of them sooner. Every layer is
prepared once; the map of all 96 pairs costs little more than 20 layers.
"""

import kernalign as ka
import numpy as np

rng = np.random.default_rng(0)
pixels, meaning = rng.standard_normal((2, 300, 12))


def model(depth: int, turn: float) -> np.ndarray:
    """(items, layers, features): from pixels to meaning, half way at ``turn`` of the depth."""
    places = np.linspace(0, 1, depth)
    shares = 1 / (1 + np.exp(-6 * (places - turn)))
    layers = [np.hstack([(1 - share) * pixels, share * meaning]) for share in shares]
    return np.stack([layer + 0.2 * rng.standard_normal(layer.shape) for layer in layers], axis=1)


models = {"early": model(8, 0.3), "late": model(12, 0.7)}
found = ka.compare(models, metrics=("cka", "mutual_knn"))
found.plot("cka", "layers")

# %%
# Which layer of the other model is each layer's best partner? In its middle one is where the other ends.

scores = found.scores["cka"]["early", "late"]
print("best partner of layers 0 to 7:", scores.argmax(axis=1).tolist())
score, layers, p_value = found.best("cka")["early", "late"]
print(f"best of all: layers {layers}, CKA {score:.2f}, p = {p_value:.1g}, which accounts for the search")
