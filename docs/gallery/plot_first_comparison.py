"""Pictures and words of the same things
========================================

The package ships embeddings of 539 emoji: their pictures seen by a vision network and by an edge detector (hog), their
names read by encoders of text. Row i is the same emoji everywhere.
"""

import kernalign as ka
from kernalign import demo

representations = demo.representations()
models = {name: representations[name] for name in ("vision", "hog", "use_en", "use_ja", "use_fr", "minilm")}
found = ka.compare(models, metrics=("cka", "mutual_knn"))
found.plot("mutual_knn", "heatmap")

# %%
# A score comes with the level that it has by chance. Encoders of text share half of their neighbours; vision and text a
# fifth, ten times what unrelated rows share.

score = ka.mutual_knn(models["vision"], models["use_en"], k=10)
print(f"{score:.3f} against {score.chance:.3f} by chance, p = {score.p_value:.1g}")

# %%
# Which emoji have the same neighbours for eye and reader, and which have not?

per_item = ka.mutual_knn(models["vision"], models["use_en"], k=10, per_item=True).per_item
assert per_item is not None
emoji = demo.items()
order = per_item.argsort()
print("most alike: ", ", ".join(emoji[i]["en"] for i in order[-5:]))
print("least alike:", ", ".join(emoji[i]["en"] for i in order[:5]))
