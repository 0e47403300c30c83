"""Areas × layers with repeated trials
======================================

Three areas are recorded in eight subjects while 48 stimuli are shown six times; a model has six layers. Which layer is
most like which area, and how high could a score be? (The guide: :doc:`/neuroscience`. The data are made up.)
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
pixels, objects = rng.standard_normal((2, 48, 6))
stimulus, run = np.tile(np.arange(48), 6), np.repeat(np.arange(6), 48)  # of every trial
depth = np.linspace(0, 1, 6)
model = np.stack([np.hstack([(1 - d) * pixels, d * objects]) @ rng.standard_normal((12, 80)) for d in depth], axis=1)
layers = {str(at): ka.dissimilarities(model[:, at], distance="sqeuclidean") for at in range(6)}

_, axes = plt.subplots(figsize=(7, 4))
for place, (area, sees) in enumerate({"V1": (1.0, 0.1), "V4": (0.6, 0.6), "IT": (0.1, 1.0)}.items()):
    subjects = []
    for _subject in range(8):
        tuning = rng.standard_normal((12, 40)) * np.repeat(sees, 6)[:, None]
        trials = np.hstack([pixels, objects])[stimulus] @ tuning + 5 * rng.standard_normal((288, 40))
        # Distances of one run with the others: those of noise have mean 0.
        subjects.append(ka.dissimilarities(trials, distance="crossnobis", conditions=stimulus, runs=run))
    found = ka.evaluate_models(layers, subjects, samples=200)
    lower, upper = found.ceiling
    colour = f"C{place}"
    axes.errorbar(range(6), found.mean, found.stderr, fmt="o-", color=colour, capsize=3, label=area)
    axes.axhspan(lower, upper, color=colour, alpha=0.2, lw=0)
    print(f"{area}: best layer {int(np.argmax(found.mean))}, ceiling {lower:.2f} to {upper:.2f}")
axes.axhline(0, color="k", ls=":")
axes.set(xlabel="layer", ylabel="Spearman correlation of dissimilarities", ylim=(-0.1, 1))
axes.set_title("means of 8 subjects and their errors; bands are noise ceilings", fontsize="medium")
axes.legend(loc="lower right", ncols=3)
plt.show()

# %%
# V4 stays below its ceiling: no layer has its mixture, though two come close. Without the ceiling a score of 0.6 could
# be all that noise allows.
