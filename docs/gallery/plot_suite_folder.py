"""A suite over a folder of models
==================================

A folder of files, one for each model, becomes a ``suite.toml``: models, items, metrics and claims. Its run resumes,
knows what changed, and ends in a report. ``kernalign suite init FOLDER`` and ``kernalign suite run`` do the same.
"""

import tempfile
from pathlib import Path

import kernalign as ka
import numpy as np

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
meaning = rng.standard_normal((200, 12))
(folder / "text").mkdir()
for name, noise in {"large": 0.5, "medium": 1.0, "small": 2.0, "untrained": 50.0}.items():
    features = meaning @ rng.standard_normal((12, 32)) + noise * rng.standard_normal((200, 32))
    np.save(folder / "text" / f"{name}.npy", features)
np.save(folder / "vision.npy", meaning @ rng.standard_normal((12, 24)) + 0.5 * rng.standard_normal((200, 24)))

(folder / "suite.toml").write_text("""
[suite]
name = "folder"

[sets.items]
ids = "by-position"

[[models]]
name = "vision"
side = "vision"
set.items = "vision.npy"

[[models]]
glob = "text/*.npy"
side = "text"

[pairs]
which = "across"

[[metrics]]
id = "cka"

[[metrics]]
id = "mknn10"
metric = "mutual_knn"
k = 10

[[checks]]
kind = "order"
metric = "cka"
x = "vision"
expect = ["large", "medium", "small", "untrained"]
level = 0.05
""")

run = ka.suite.load(folder).run()
for row in run.rows:
    print(f"{row['metric']:12}{row['x']:8}{row['y']:12}{row['score']:6.3f}")

# %%
# The claim: scores fall with the size of the model.

for claim in run.claims:
    print(f"{claim.text}: {claim.verdict} ({claim.why})")

# %%
# A second run does nothing, since nothing changed; a file that is written anew costs its own pairs.

suite = ka.suite.load(folder)
print(suite.status())
run.comparison().plot("cka", "heatmap")
