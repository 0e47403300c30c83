"""
Pictures and words of the same things
=====================================

The package ships embeddings of 539 emoji: their pictures seen by a vision network and by an edge detector, their names
read by encoders of text. Rows are the same emoji everywhere.
"""

import kernalign as ka
from kernalign import demo

representations = demo.representations()
models = {name: representations[name] for name in ("vision", "hog", "use_en", "use_ja", "use_fr", "minilm")}
found = ka.compare(models, metrics=("cka", "mutual_knn"))
found.plot("mutual_knn", "heatmap")

# %%
# The score of one pair comes with the level that it has by chance, and with the p-value of that.

score = found.best("mutual_knn")["vision", "use_en"]
print(score)
