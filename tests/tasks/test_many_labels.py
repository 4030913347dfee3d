"""A data set of GoEmotions' shape, 28 labels with long tails: all scores are scikit-learn's, all logits plain transformers'."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as reference

import emotune
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data
from emotune.evaluation.scores import Evaluation
from emotune.folder.base import load_base
from emotune.tasks.multi_scores import MultiLabelMetrics
from emotune.training.options import TrainingOptions

# The names and the order of GoEmotions' labels; the rows are made up here.
LABELS = [
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
]
# Words of the labels; of two labels in three, so that a tiny model is sometimes right and sometimes wrong.
SYLLABLES = ("ba", "do", "fi", "gu", "ka", "lo", "mi", "nu", "pa", "ro", "si", "tu", "va", "ze")

pytestmark = pytest.mark.slow


def made_up(count: int, seed: int) -> list[dict[str, Any]]:
    """Return rows with GoEmotions' proportions: 84 % one label, 15 % two, 1 % three; a third of the rows neutral."""
    rng = np.random.default_rng(seed)
    shares = np.geomspace(0.1, 0.004, len(LABELS) - 1)
    shares = np.append(shares / shares.sum() * 0.67, 0.33)
    rows = []
    for number in range(count):
        own = sorted(rng.choice(len(LABELS), size=rng.choice([1, 2, 3], p=[0.84, 0.15, 0.01]), replace=False, p=shares))
        said = [SYLLABLES[at % 14] * (2 + at // 14) for at in own if rng.random() < 0.8]
        noise = [SYLLABLES[at] for at in rng.integers(14, size=4)]
        text = " ".join(rng.permutation([*said, *noise]))
        rows.append({"text": f"{text} {seed} {number}", "labels": [int(at) for at in own]})
    return rows


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuned model, its evaluation on the test split, and its folder."""

    data: TextDataset
    scored: Evaluation
    folder: Path
    base: Path


@pytest.fixture(scope="module")
def tuned(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    import datasets

    names = datasets.ClassLabel(names=LABELS)
    features = datasets.Features({"text": datasets.Value("string"), "labels": datasets.List(names)})
    splits = {
        name: datasets.Dataset.from_list(made_up(rows, seed), features=features)
        for seed, (name, rows) in enumerate((("train", 800), ("validation", 300), ("test", 300)))
    }
    data = load_data(datasets.DatasetDict(splits))
    base = load_base(tiny_bert, labels=data.labels, task=data.task, max_length=48)
    options = TrainingOptions(epochs=2, learning_rate=3e-3, class_weights="sqrt", thresholds="per-label")
    found = emotune.finetune(base, data, options=options)
    folder = found.save(tmp_path_factory.mktemp("many") / "saved")
    return Tuned(data, emotune.evaluate(found, data.test), folder, tiny_bert)


def test_the_shape_is_that_of_goemotions(tuned: Tuned) -> None:
    targets = tuned.data.train.label_ids
    assert tuned.data.labels == tuple(LABELS)
    assert targets.shape == (800, 28)
    assert 1.1 < targets.sum(axis=1).mean() < 1.25
    counts = sorted(tuned.data.train.counts.values())
    assert counts[-1] > 12 * max(counts[0], 1)  # neutral is common, grief is rare
    # The test is of a model that decides: some labels right, some wrong, thresholds of its own.
    assert 0.05 < tuned.scored.metrics.macro_f1 < 0.999
    description = json.loads((tuned.folder / "emotune.json").read_text())
    assert len(description["thresholds"]) == 28
    assert len(set(description["thresholds"])) > 1


def test_all_scores_are_those_of_scikit_learn(tuned: Tuned) -> None:
    scored = tuned.scored
    truth, predictions, probabilities = scored.split.label_ids, scored.predictions, scored.probabilities
    assert probabilities is not None
    thresholds = json.loads((tuned.folder / "emotune.json").read_text())["thresholds"]
    np.testing.assert_array_equal(predictions, probabilities >= np.array(thresholds))
    found = scored.metrics
    assert isinstance(found, MultiLabelMetrics)
    report: Any = reference.classification_report(
        truth, predictions, target_names=LABELS, output_dict=True, zero_division=0
    )
    for name, prefix in (("micro avg", "micro"), ("macro avg", "macro")):
        for score in ("precision", "recall"):
            assert getattr(found, f"{prefix}_{score}") == pytest.approx(report[name][score], abs=1e-12)
        assert getattr(found, f"{prefix}_f1") == pytest.approx(report[name]["f1-score"], abs=1e-12)
    assert found.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"], abs=1e-12)
    for label in LABELS:
        own, expected = found.per_class[label], report[label]
        assert (own.precision, own.recall, own.f1) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"]), abs=1e-12
        )
        assert own.support == expected["support"]
    # scikit-learn counts a row without true and predicted labels as zero_division.
    assert found.samples_f1 == pytest.approx(reference.f1_score(truth, predictions, average="samples", zero_division=1))
    assert found.jaccard == pytest.approx(
        reference.jaccard_score(truth, predictions, average="samples", zero_division=1)
    )
    assert found.subset_accuracy == pytest.approx(reference.accuracy_score(truth, predictions), abs=1e-12)
    assert found.hamming_loss == pytest.approx(reference.hamming_loss(truth, predictions), abs=1e-12)
    present = truth.any(axis=0)
    assert found.average_precision == pytest.approx(
        reference.average_precision_score(truth[:, present], probabilities[:, present], average="macro"), abs=1e-12
    )
    losses = [reference.log_loss(truth[:, at], probabilities[:, at], labels=[0, 1]) for at in range(28)]
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-9)


def plain_logits(model: Any, tuned: Tuned) -> tuple[NDArray[np.float32], float]:
    """Return logits and loss of plain transformers on the test rows, all in one padded batch."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tuned.folder)
    texts = list(tuned.data.test.texts)
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=48, return_tensors="pt")
    with torch.no_grad():
        result = model.eval()(**encoded, labels=torch.from_numpy(tuned.data.test.label_ids).float())
    return result.logits.numpy(), float(result.loss)


def test_all_logits_are_those_of_plain_transformers(tuned: Tuned, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    def new() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(
            tuned.base, num_labels=28, problem_type="multi_label_classification"
        )

    with_adapter = PeftModel.from_pretrained(new(), tuned.folder)
    logits, loss = plain_logits(with_adapter, tuned)
    assert tuned.scored.logits is not None
    assert tuned.scored.logits.shape == (300, 28)
    np.testing.assert_allclose(tuned.scored.logits, logits, atol=2e-5)
    assert tuned.scored.metrics.loss == pytest.approx(loss, abs=1e-5)
    # The same merged, saved and loaded without PEFT.
    with_adapter.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    assert merged.config.problem_type == "multi_label_classification"
    np.testing.assert_allclose(tuned.scored.logits, plain_logits(merged, tuned)[0], atol=2e-5)
    again = emotune.predict(emotune.load(tuned.folder, base=tuned.base), list(tuned.data.test.texts), precision="fp32")
    assert again.labels == tuned.data.task.names(tuned.scored.predictions, tuned.data.labels)
