"""Near and far: agreement at every size of neighbourhood
=========================================================

Two representations can agree on what is close and not on what is far apart, or the other way round. ``rnx_curve`` tells
them apart, on a scale on which chance is 0 whatever the size.
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
topic = rng.integers(8, size=400)
centre = 6 * rng.standard_normal((8, 10))
inside = rng.standard_normal((400, 10))
x = centre[topic] + inside

same_topics = centre[topic] + rng.standard_normal((400, 10))  # far structure alone
same_items = (6 * rng.standard_normal((8, 10)))[topic] + inside  # near structure, topics elsewhere

ks = [2, 5, 10, 20, 35, 60, 100, 200, 300]
_, axes = plt.subplots(figsize=(6, 4))
for name, y in {"the same topics": same_topics, "the same items in topics": same_items}.items():
    curve = ka.rnx_curve(x, y, ks, metric="euclidean")
    axes.semilogx(curve.ks, curve.r_nx, "o-", label=f"{name}: CKA {ka.cka(x, y):.2f}")
axes.axvline(400 / 8, color="0.8", label="size of a topic")
axes.axhline(0, color="k", ls=":")
axes.set(xlabel="k", ylabel="agreement of the k nearest, above chance")
axes.legend()
plt.show()
