"""Does one model's readout work on another?
============================================

Stitching fits a map from one representation into another's space and leaves the readout as it is. How rich must the
map be, and what is lost? All scores are of items that the map has not seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from kernalign import demo, stitching

representations = demo.representations()
pairs = [("use_fr", "use_en"), ("minilm", "use_en"), ("vision", "use_en")]
ranks = [1, 3, 10, 30, 100]

_, axes = plt.subplots(figsize=(6, 4))
for source, target in pairs:
    x, y = (representations[name].astype(np.float64) for name in (source, target))
    maps: dict[str, stitching.LinearStitcher] = {str(rank): stitching.LowRankStitcher(rank) for rank in ranks}
    maps["ridge"] = stitching.RidgeStitcher("gcv")
    trials = stitching.run_trials(x, y, maps)
    (line,) = axes.semilogx(ranks, [trial.r2 for trial in trials[:-1]], "o-", label=f"{source} → {target}")
    axes.axhline(trials[-1].r2, color=line.get_color(), ls="--")
axes.axhline(0, color="k", ls=":")
axes.set(xlabel="rank of the map (dashed: full rank with a ridge)", ylabel="R² on left-out items", ylim=(-1, 0.6))
axes.legend()
plt.show()

# %%
# Without a penalty a map of high rank fits what it has seen and fails on what it has not: 539 items are few for 512
# features.
#
# A task makes it concrete: is it people? The probe is trained on English names and never sees French ones.

people = {"man", "woman", "person", "boy", "girl", "family", "baby", "face"}
labels = np.array([bool(people & set(item["en"].split())) for item in demo.items()])
test = np.arange(539) % 3 == 0
x, y = (representations[name].astype(np.float64) for name in ("use_en", "use_fr"))
result = stitching.transfer_accuracy(x, y, labels, test)
print(f"native {result.native_a:.2f}, stitched {result.accuracy:.2f}, by chance {result.chance:.2f}")
