"""SimilarityEvaluator: how alike a sentence encoder's embeddings and a reference are, while it is trained."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernalign._base.checks import items
from kernalign._base.files import atomic_write
from kernalign.metrics.registry import METRICS, measure, metric_name


def _base() -> type:
    """What trainers take for an evaluator, if they are installed."""
    for module, name in (("base.evaluation.evaluator", "BaseEvaluator"), ("evaluation", "SentenceEvaluator")):
        try:
            return getattr(import_module(f"sentence_transformers.{module}"), name)  # type: ignore[no-any-return]
        except (ModuleNotFoundError, AttributeError):
            continue
    return object


if TYPE_CHECKING:

    class BaseEvaluator:
        """What trainers call."""
else:
    BaseEvaluator = _base()


class SimilarityEvaluator(BaseEvaluator):
    """An evaluator for sentence-transformers: metrics of the model's embeddings and a reference, of the same sentences.

    ``SentenceTransformerTrainer``, ``model.evaluate`` and ``SequentialEvaluator`` take it; whatever has ``encode``
    can be evaluated where sentence-transformers is not installed.

    Parameters
    ----------
    sentences : sequence of str
    reference : (n, q) array, or a model with ``encode``
        What to compare with: embeddings of a teacher, of another language, of pictures. A model is asked once.
    metrics : sequence of str, default ("cka", "mutual_knn")
        Of :data:`kernalign.METRICS`; the first is ``primary_metric``.
    name : str
        Put before the names of scores: ``name_cka``.
    batch_size : int, default 32
    write_csv : bool, default True
        Whether a line is added to ``similarity_evaluation_NAME_results.csv`` where there is an output path.

    Raises
    ------
    ValueError, TypeError
        An unknown metric, or no sentences; when it is called: another number of embeddings than of sentences.

    See Also
    --------
    kernalign.measure : the metrics.

    Notes
    -----
    One encoding of all sentences for each evaluation, and the metrics' cost. Scores lie in their metrics' ranges and
    have chance levels: of ``mutual_knn``, 10 / (n - 1).

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.sentence_transformers import SimilarityEvaluator
    >>> class Letters:
    ...     def encode(self, sentences, **how):
    ...         return np.array([[text.count(letter) for letter in "aeiou"] for text in sentences], dtype=float)
    >>> texts = ["a cat sat", "on a mat", "where are you", "no idea", "under it"]
    >>> evaluator = SimilarityEvaluator(texts, Letters(), metrics=["cka"], name="dev")
    >>> {name: round(score, 6) for name, score in evaluator(Letters()).items()}
    {'dev_cka': 1.0}
    >>> evaluator.primary_metric
    'dev_cka'
    """

    def __init__(
        self,
        sentences: Sequence[str],
        reference: Any,
        *,
        metrics: Sequence[str] = ("cka", "mutual_knn"),
        name: str = "",
        batch_size: int = 32,
        write_csv: bool = True,
    ) -> None:
        self.sentences = items(sentences, "sentences", "texts")
        given = [metrics] if isinstance(metrics, str) else items(metrics, "metrics", "names of metrics")
        self.metrics = [metric_name(metric) for metric in given]
        if not self.sentences or not self.metrics:
            raise ValueError("sentences and metrics must hold at least one each")
        self.reference, self.name = reference, name
        self.batch_size, self.write_csv = batch_size, write_csv
        self.primary_metric = self._called(self.metrics[0])
        self.greater_is_better = METRICS[self.metrics[0]].larger_is_closer

    def __call__(
        self, model: Any, output_path: str | os.PathLike[str] | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Scores by name; of epoch and steps for the file."""
        if hasattr(self.reference, "encode"):
            self.reference = self._encoded(self.reference)
        mine = self._encoded(model)
        scores = {self._called(metric): float(measure(metric, mine, self.reference)) for metric in self.metrics}
        if hasattr(model, "model_card_data"):
            model.model_card_data.set_evaluation_metrics(self, scores, epoch, steps)
        if output_path is not None and self.write_csv:
            self._write(Path(output_path), {"epoch": epoch, "steps": steps, **scores})
        return scores

    @property
    def description(self) -> str:
        """What model cards call it."""
        return "Similarity to a reference"

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of it."""
        return {"metrics": self.metrics}

    def _called(self, metric: str) -> str:
        return f"{self.name}_{metric}" if self.name else metric

    def _encoded(self, model: Any) -> Any:
        return model.encode(self.sentences, batch_size=self.batch_size, show_progress_bar=False, convert_to_numpy=True)

    def _write(self, folder: Path, row: dict[str, Any]) -> None:
        path = folder / f"similarity_evaluation{'_' + self.name if self.name else ''}_results.csv"
        folder.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, list(row))
        if not before:
            writer.writeheader()
        writer.writerow(row)
        with atomic_write(path, overwrite=True) as file:
            file.write(before + lines.getvalue().encode())
