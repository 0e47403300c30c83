"""The evaluator answers what sentence-transformers asks of one, with the scores of the metrics."""

from __future__ import annotations

import csv

import kernalign as ka
import numpy as np
import pytest
from kernalign.compat.sentence_transformers import SimilarityEvaluator

TEXTS = [f"sentence {at}" for at in range(40)]


class Encoder:
    """The part of a SentenceTransformer that evaluators use."""

    def __init__(self, seed: int, columns: int = 6) -> None:
        self.rows = np.random.default_rng(seed).standard_normal((40, columns)).astype(np.float32)
        self.asked = 0

    def encode(self, sentences, batch_size, show_progress_bar, convert_to_numpy):
        assert (sentences, batch_size, show_progress_bar, convert_to_numpy) == (TEXTS, 32, False, True)
        self.asked += 1
        return self.rows


def test_scores_are_those_of_the_metrics() -> None:
    model, teacher = Encoder(0), Encoder(1, 9)
    evaluator = SimilarityEvaluator(TEXTS, teacher.rows, name="dev")
    expected = {"dev_cka": ka.cka(model.rows, teacher.rows), "dev_mutual_knn": ka.mutual_knn(model.rows, teacher.rows)}
    assert evaluator(model) == {name: float(score) for name, score in expected.items()}
    assert (evaluator.primary_metric, evaluator.greater_is_better) == ("dev_cka", True)
    assert SimilarityEvaluator(TEXTS, teacher, metrics=["procrustes"]).greater_is_better is False


def test_a_model_as_reference_is_asked_once() -> None:
    teacher = Encoder(1)
    evaluator = SimilarityEvaluator(TEXTS, teacher, metrics=["nbs"])
    assert set(evaluator(Encoder(0))) == set(evaluator(Encoder(2))) == {"nbs"}
    assert teacher.asked == 1


def test_it_adds_a_line_to_a_file(tmp_path) -> None:
    evaluator = SimilarityEvaluator(TEXTS, Encoder(1), name="dev")
    for epoch in range(2):
        evaluator(Encoder(epoch), str(tmp_path / "eval"), epoch, 10)
    with (tmp_path / "eval" / "similarity_evaluation_dev_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["steps"]) for row in rows] == [("0", "10"), ("1", "10")]
    assert float(rows[0]["dev_cka"]) == evaluator(Encoder(0))["dev_cka"]


def test_errors() -> None:
    with pytest.raises(ValueError, match="there is no metric 'ckaa'; did you mean 'cka'"):
        SimilarityEvaluator(TEXTS, Encoder(1), metrics=["ckaa"])
    with pytest.raises(ValueError, match="sentences and metrics must hold at least one each"):
        SimilarityEvaluator([], Encoder(1))
    with pytest.raises(TypeError, match="sentences must be a sequence of texts"):
        SimilarityEvaluator("one", Encoder(1))
    with pytest.raises(ValueError, match="same number of rows, got 40 and 39"):
        SimilarityEvaluator(TEXTS, Encoder(1).rows[1:])(Encoder(0))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_is_taken_by_sentence_transformers() -> None:
    """A tiny model with random weights, through ``evaluate`` and a sequence of evaluators."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.base.evaluation import BaseEvaluator, SequentialEvaluator
    from sentence_transformers.models import BoW

    model = library.SentenceTransformer(modules=[BoW(vocab=["sentence", *map(str, range(40))])])
    reference = np.random.default_rng(0).standard_normal((40, 5))
    evaluator = SimilarityEvaluator(TEXTS, reference, name="dev")
    assert isinstance(evaluator, BaseEvaluator)
    found = {"dev_cka", "dev_mutual_knn"}
    assert set(model.evaluate(evaluator)) == found
    assert set(SequentialEvaluator([evaluator, evaluator])(model)) >= found
    assert model.model_card_data.eval_results_dict[evaluator].keys() == found
