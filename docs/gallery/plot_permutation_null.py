"""The best of many layers is above chance by itself
====================================================

Twelve layers that have nothing to do with a target: the best of them still scores higher than any one should. A test
that knows of the search compares the best with the best of random pairings.
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
layers = [rng.standard_normal((100, 20)) for _ in range(12)]
target = rng.standard_normal((100, 20))

test = ka.permutation_test("mutual_knn", layers, target, k=10, permutations=500)
single = np.sort(test.scores.ravel())

_, axes = plt.subplots(figsize=(6, 4))
axes.hist(test.null, bins=15, color="0.8", label="best of 12, items paired at random")
axes.axvline(10 / 99, color="k", ls=":", label="chance level of one layer")
axes.axvline(test.score, color="C3", label=f"best of 12 as given, p = {test.p_value:.2f}")
axes.plot(single, np.zeros(12), "|", color="C0", ms=14, label="the 12 layers")
axes.set(xlabel="mutual 10-NN", ylabel="random pairings", ylim=(0, 220))
axes.legend()
plt.show()

# %%
# ``ka.compare(..., layers="best")`` gives this p-value without drawing pairings, for CKA and neighbours.

found = ka.compare({"model": np.stack(layers, axis=1)}, {"target": target}, metrics=("mutual_knn",))
score, best, p_value = found.best("mutual_knn")["model", "target"]
print(f"best layers {best}: {score:.3f}, p = {p_value:.2f}")
