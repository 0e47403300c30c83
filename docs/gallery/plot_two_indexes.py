"""Two indexes of vectors: what changes for users?
==================================================

An index is to move to another embedding model. How many of the first results stay, for which documents do they not, and
how much of the change would a harmless one, 16-bit floats say, have made? (The guide: :doc:`/migrate`.)
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
topics = rng.standard_normal((60, 64))
topic = rng.integers(60, size=6000)
old = topics[topic] + 0.7 * rng.standard_normal((6000, 64))
new = old @ rng.standard_normal((64, 48)) / 8 + 0.2 * rng.standard_normal((6000, 48))
rare = topic < 6  # the new model was not trained on these
new[rare] += 1.0 * rng.standard_normal((rare.sum(), 48))

drawn = 1500  # queries: documents by lot, the same on both sides
score = ka.mutual_knn(old, new, k=10, queries=drawn)
low, high = score.interval()
print(f"{score:.1%} of the first ten results stay ({low:.1%} to {high:.1%}); by chance {score.chance:.1%}")
print(f"after rounding to 16 bits: {ka.mutual_knn(old, old.astype(np.float16), k=10, queries=drawn):.1%}")

# %%
# Which documents change? ``per_item`` knows.

per_item = ka.mutual_knn(old, new, k=10, per_item=True).per_item
assert per_item is not None
by_topic = np.array([per_item[topic == each].mean() for each in range(60)])

_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.bar(range(60), by_topic, color=np.where(np.arange(60) < 6, "C3", "C0"))
left.set(xlabel="topic", ylabel="share of ten results that stay")
curve = ka.rnx_curve(old, new, [1, 3, 10, 30, 100, 300])
right.semilogx(curve.ks, curve.r_nx, "o-")
right.set(xlabel="results looked at", ylabel="kept, above chance", ylim=(0, 1))
plt.show()
