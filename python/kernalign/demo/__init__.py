"""The representations that ship with the package: 539 emoji as seen by a vision network, HOG and text encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kernalign.sources import open_sources

_HERE = Path(__file__).parent


def representations() -> dict[str, NDArray[Any]]:
    """Name -> (539, p) float16 array, memory-mapped; ``PROVENANCE.md`` beside this file says where they come from.

    See Also
    --------
    items : what the rows are

    Examples
    --------
    >>> from kernalign import demo
    >>> {name: array.shape[1] for name, array in demo.representations().items()}
    {'vision': 320, 'hog': 128, 'use_en': 512, 'use_ja': 512, 'use_fr': 512, 'minilm': 384, 'glove': 50}
    """
    return {source.name: source.array for source in open_sources(_HERE / "emoji.npz")}


def items() -> list[dict[str, str]]:
    """The emoji of each row: ``char`` and its names ``en``, ``ja`` and ``fr``.

    See Also
    --------
    representations : seen and read

    Examples
    --------
    >>> from kernalign import demo
    >>> emoji = demo.items()
    >>> len(emoji), emoji[0]["en"]
    (539, '1st place medal')
    """
    loaded: list[dict[str, str]] = json.loads((_HERE / "items.json").read_text(encoding="utf-8"))
    return loaded
