"""Reproducing the Platonic Representation Hypothesis from .pt files
===================================================================

Do language models come closer to a vision model as they get better? platonic-rep saves ``{"feats": (items, layers,
features)}`` with ``torch.save``; such files are opened here without PyTorch. Those beside this script are made up, 120
items each: a vision model, and four text models of growing size.
"""

from pathlib import Path

import kernalign as ka
import matplotlib.pyplot as plt
from kernalign import sources
from kernalign.compat import platonic

data = Path("data")
texts = {size: data / f"text-{size}.pt" for size in ("0.1b", "0.6b", "1.7b", "7b")}

# Their protocol: values clamped at the 95 % quantile, rows of length 1, 10 neighbours, the best of all pairs of layers.
found = ka.compare(
    texts, {"vision": data / "vision.pt"}, metrics=("mutual_knn",), k=10, normalize="l2", clip_quantile=0.95
)
best = [found.best("mutual_knn")[size, "vision"] for size in texts]

_, axes = plt.subplots(figsize=(6, 4))
axes.plot(range(4), [score for score, _, _ in best], "o-", label="best of 4 × 5 layers")
axes.axhline(10 / 119, color="k", ls=":", label="chance, of one pair of layers")
axes.set(xticks=range(4), xticklabels=texts, xlabel="text model", ylabel="mutual 10-NN with the vision model")
axes.legend()
plt.show()

# %%
# A best of twenty is above chance by itself; the p-value knows how many were tried.

for size, (score, layers, p_value) in zip(texts, best, strict=True):
    print(f"{size:5} {score:.3f}  layers {layers}  p = {p_value:.2g}")

# %%
# The same number by platonic-rep's own names (see :doc:`/platonic`):

x, y = (sources.open_source(path).array for path in (texts["7b"], data / "vision.pt"))
x, y = (platonic.prepare_features(feats, q=0.95, exact=True) for feats in (x, y))
score, layers = platonic.compute_score(x, y, metric="mutual_knn", topk=10)
print(f"{score:.3f}  layers {layers}")
