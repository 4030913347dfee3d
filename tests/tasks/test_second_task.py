"""A second kind of label, a number per text, goes through everything that a task is asked for: it trains, saves, loads and predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import emotune
from emotune.data.dataset import Split, TextDataset
from emotune.folder.base import load_base
from emotune.system.errors import ConfigError, DataError
from emotune.tasks.base import LabelledTexts, Loss, LossOptions, Simple, Targets, Task
from emotune.tasks.calibration import Temperature
from emotune.tasks.registry import TASKS
from emotune.training.options import TrainingOptions

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier


class OneNumber(Task):
    """A number per text. Targets are these numbers, shape (rows,), float32; the one label names what is measured."""

    name: ClassVar[str] = "one-number"
    function: ClassVar[str] = "none"

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        (label,) = labels
        return {"num_labels": 1, "id2label": {0: label}, "label2id": {label: 0}, "problem_type": "regression"}

    def check_options(self, options: LossOptions, targets: Targets) -> None:
        if options.class_weights != "none" or options.sampling != "plain" or options.label_smoothing:
            raise ConfigError("There are no classes to weigh: a number is predicted.")

    def check_targets(self, split: str, targets: Targets, labels: Sequence[str]) -> None:
        if not np.isfinite(targets).all():
            raise DataError(f"{split} has a target that is not a number.")

    def loss(self, options: LossOptions, targets: Targets, labels: Sequence[str], device: Any) -> Loss:
        return lambda logits, truth: (logits[:, 0] - truth).square().sum()

    def validate(self, targets: Targets, logits: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
        error = float(np.mean((logits[:, 0] - targets) ** 2))
        return {"loss": error, "scaled_loss": error}

    def decide(self, logits: NDArray[np.floating]) -> Targets:
        return logits[:, 0]

    def probabilities(
        self, logits: NDArray[np.floating], temperature: Temperature | None = None
    ) -> NDArray[np.float64]:
        return logits.astype(np.float64)

    def names(self, predictions: Targets, labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{value:.4f}" for value in predictions)

    def answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        return list(self.names(probabilities[:, 0], labels)), np.full(len(probabilities), np.nan)

    def score(self, *_: Any) -> Any:
        raise NotImplementedError

    def compare(self, *_: Any) -> Any:
        raise NotImplementedError

    def fit_temperature(self, targets: Targets, logits: NDArray[np.floating]) -> float | None:
        return None

    def trust(self, *_: Any) -> Any:
        raise NotImplementedError

    def commonest(self, train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
        mean = float(np.mean(train.label_ids))
        return Simple(np.full(rows, mean), np.full((rows, 1), mean), None, 1, f"Always says {mean:.3f}.")

    def words(self, *_: Any) -> Any:
        raise NotImplementedError

    def probe(self, *_: Any) -> Any:
        raise NotImplementedError

    def targets(self, names: Sequence[Sequence[str]], labels: Sequence[str]) -> Targets:
        return np.array([float(name) for (name,) in names], dtype=np.float32)

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        return np.searchsorted(np.quantile(targets, [0.25, 0.5, 0.75]), targets)

    def counts(self, targets: Targets, labels: Sequence[str]) -> dict[str, int]:
        return {labels[0]: len(targets)}

    def read_names(self, names: Sequence[Any], labels: Sequence[str]) -> Targets:
        return np.array([float(name) for name in names], dtype=np.float32)

    def wrong_rows(self, *_: Any) -> Mapping[int, str]:
        return {}


TASK = OneNumber()


@pytest.fixture
def data(tiny_data: TextDataset) -> TextDataset:
    """The tiny data with a number for each label: words of the later emotions count more."""

    def split(given: Split) -> Split:
        numbers = (given.label_ids.astype(np.float32) - 2.5) / 2.5
        return Split(given.name, given.texts, numbers, ("strength",), task=TASK)

    train, validation, test = map(split, tiny_data.splits)
    return TextDataset("numbers", ("strength",), train, validation, test)


@pytest.fixture
def base(data: TextDataset, tiny_bert: Path) -> Classifier:
    return load_base(tiny_bert, labels=data.labels, task=data.task, max_length=32)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, TASK.name, TASK)


@pytest.mark.slow
def test_trains_saves_loads_and_predicts(
    base: Classifier, data: TextDataset, tiny_bert: Path, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    tuned = emotune.finetune(base, data, options=tiny_options)
    errors = [epoch.validation["loss"] for epoch in tuned.training.epochs]
    assert tuned.training.best.validation["loss"] == min(errors) < 0.5 * float(np.var(data.validation.label_ids))
    loaded = emotune.load(tuned.save(tmp_path / "saved"), base=tiny_bert)
    assert loaded.task is TASK
    assert loaded.model.config.problem_type == "regression"
    texts = list(data.test.texts)
    found, again = (emotune.predict(model, texts, precision="fp32") for model in (tuned, loaded))
    np.testing.assert_array_equal(found.probabilities, again.probabilities)
    numbers = np.array([float(label) for label in found.labels])
    assert float(np.corrcoef(numbers, data.test.label_ids)[0, 1]) > 0.7


def test_its_rows_have_a_fingerprint_of_their_numbers(data: TextDataset) -> None:
    moved = replace(data.train, label_ids=data.train.label_ids + 0.1)
    assert moved.fingerprint != data.train.fingerprint


def test_options_that_would_do_nothing_are_refused(base: Classifier, data: TextDataset) -> None:
    with pytest.raises(ConfigError, match="no classes to weigh"):
        emotune.finetune(base, data, options=TrainingOptions(class_weights="balanced"))


def test_data_of_another_task_is_refused(base: Classifier, data: TextDataset, tiny_base: Classifier) -> None:
    for split in (data.test, data.train):
        with pytest.raises(DataError, match="labels are"):
            emotune.evaluate(tiny_base, split)
    same_labels = replace(tiny_base, labels=data.labels)
    with pytest.raises(DataError, match=r"single-label.*one-number"):
        emotune.evaluate(same_labels, data.test)
    with pytest.raises(
        DataError, match=r"loaded for single-label; the data is one-number. Load it with task=data\.task"
    ):
        emotune.finetune(same_labels, data)
