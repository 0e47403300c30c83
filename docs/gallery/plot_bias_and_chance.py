"""Biased CKA grows with the number of features
===============================================

Two sides that have nothing to do with each other, 100 items, more and more features. The biased estimate, which most
codes compute, climbs to 1; the unbiased one stays at 0. The chance level that a score knows says so beforehand.
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
features = [5, 10, 20, 50, 100, 200, 500, 1000]
biased, unbiased, level = [], [], []
for p in features:
    x, y = rng.standard_normal((2, 100, p))
    score = ka.cka(x, y, estimator="biased")
    biased.append(score)
    level.append(score.chance)
    unbiased.append(ka.cka(x, y))

_, axes = plt.subplots(figsize=(6, 4))
axes.semilogx(features, biased, "o-", label="biased")
axes.semilogx(features, level, "k:", label="its chance level")
axes.semilogx(features, unbiased, "s-", label="unbiased")
axes.set(xlabel="features of 100 unrelated items", ylabel="CKA", ylim=(-0.1, 1.0))
axes.legend()
plt.show()

# %%
# So biased scores of different widths cannot be compared with each other, nor with 0.
