"""Task with any number of labels per text: a sigmoid per label, thresholds, binary cross-entropy as loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.several import SeveralStatistics, several_statistics
from emotune.system.errors import ConfigError, DataError, ModelError
from emotune.system.wording import counted, quoted
from emotune.tasks import losses
from emotune.tasks.base import LabelledTexts, Loss, LossOptions, Simple, Targets, Task
from emotune.tasks.calibration import Temperature, Trust
from emotune.tasks.multi_baselines import commonest_labels, several_probe, several_words
from emotune.tasks.multi_calibration import fit_temperatures, scaled
from emotune.tasks.multi_scores import MultiLabelMetrics, score_several
from emotune.tasks.scores import sigmoid
from emotune.tasks.thresholds import decided, one_threshold, thresholds_by_label

SEPARATOR = ", "
# Largest distance of a stored probability from a threshold at which either decision is accepted.
_ROUNDING = 1e-9


def joined_names(names: Sequence[str]) -> str:
    """Return the labels of a row as one text; "" for a row without labels."""
    return SEPARATOR.join(names)


@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of labels per text. Targets are zeros and ones, shape (rows, labels), int8.

    Attributes:
        chosen: The least probability at which a label is predicted, one per label; None for 0.5 for all.
        never_empty: A text whose labels all stay below their thresholds gets its likeliest label.
    """

    chosen: tuple[float, ...] | None = None
    never_empty: bool = False

    name: ClassVar[str] = "multi-label"
    function: ClassVar[str] = "sigmoid"
    several: ClassVar[bool] = True
    right = "subset accuracy"

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """The least probability at which each label is predicted; None for 0.5."""
        return self.chosen

    @property
    def at_least_one(self) -> bool:
        """True if every text gets at least one label."""
        return self.never_empty

    def deciding(self, thresholds: Sequence[float] | None) -> MultiLabel:
        """Return the task with other thresholds."""
        return replace(self, chosen=None if thresholds is None else tuple(map(float, thresholds)))

    def answering(self, *, at_least_one: bool) -> MultiLabel:
        """Return the task with or without the rule that every text gets a label."""
        return replace(self, never_empty=at_least_one)

    def reordered(self, places: Sequence[int]) -> MultiLabel:
        """Return the task with the threshold of each label in its new place."""
        return self.deciding(None if self.chosen is None else [self.chosen[place] for place in places])

    def decided_on(self, options: LossOptions, targets: Targets, logits: NDArray[np.floating]) -> MultiLabel:
        """Return the task with the thresholds of the best macro-F1 on validation rows."""
        task, probabilities = self.answering(at_least_one=options.at_least_one), sigmoid(logits)
        if options.thresholds == "half":
            return task.deciding(None)
        if options.thresholds == "per-label":
            return task.deciding(thresholds_by_label(targets, probabilities, at_least_one=options.at_least_one))
        found = one_threshold(targets, probabilities, at_least_one=options.at_least_one)
        return task.deciding([found] * targets.shape[1])

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the labels' names and transformers' name of the task.

        Raises:
            ModelError: There are fewer than two labels, or one occurs twice.
        """
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise ModelError(
                f"A multi-label classifier needs at least two labels, all different; got {', '.join(labels) or 'none'}."
            )
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": "multi_label_classification",
        }

    def check_options(self, options: LossOptions, targets: Targets) -> None:
        """Refuse options that are about one label per row, and at least one label where training rows have none.

        Raises:
            ConfigError: One of them is set.
        """
        without = int((~targets.any(axis=1)).sum())
        if options.at_least_one and without:
            raise ConfigError(
                f"training.at_least_one is true, and {counted(without, 'training row')} of {len(targets):,} "
                f"{'has' if without == 1 else 'have'} no label: the rule would forbid the model to give the right answer to such "
                "texts. Leave --at-least-one out, or leave the rows out with --drop-unlabelled."
            )
        reasons = (
            (
                options.logit_adjustment,
                "logit_adjustment",
                "shifts labels against each other, and here each is decided alone",
            ),
            (
                options.label_smoothing,
                "label_smoothing",
                "spreads one label over the others, and here rows have several",
            ),
            (options.sampling != "plain", "sampling", "draws rows by their one label, and here rows have several"),
        )
        for wrong, name, why in reasons:
            if wrong:
                raise ConfigError(
                    f"training.{name} is {getattr(options, name)}, and it has no meaning for multi-label data: it {why}. "
                    "Leave it out; for rare labels there are training.class_weights and training.focal_gamma."
                )

    def check_targets(self, split: str, targets: Targets, labels: Sequence[str]) -> None:
        """Check that targets are zeros and ones.

        Raises:
            DataError: They are of another shape, or have other values.
        """
        if targets.ndim != 2 or targets.shape[1] != len(labels):
            raise DataError(
                f"The targets of {split} have the shape {targets.shape}; with {len(labels)} labels, expected one row per text "
                "and one column per label."
            )
        wrong = np.argwhere((targets != 0) & (targets != 1))
        if len(wrong):
            row, column = map(int, wrong[0])
            raise DataError(
                f"Row {row} of {split} has {targets[row, column]} for {quoted(labels[column])}; expected 0 or 1."
            )

    def loss(self, options: LossOptions, targets: Targets, labels: Sequence[str], device: Any) -> Loss:
        """Return binary cross-entropy, modified by the options: see the formula of `losses.summed_sigmoid_loss`."""
        import torch

        weights = positive_weights(options.class_weights, targets)
        positives = None if weights is None else torch.from_numpy(weights).float().to(device)
        return partial(losses.summed_sigmoid_loss, positives=positives, gamma=options.focal_gamma)

    def validate(self, targets: Targets, logits: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
        """Return losses, F1 scores, subset accuracy and "one_class", by a threshold of 0.5."""
        predictions = self.decide(logits)
        found = score_several(targets, predictions, sigmoid(logits), labels)
        return {
            "loss": float(found.loss or 0.0),
            "scaled_loss": scaled(targets, logits)[1],
            "macro_f1": found.macro_f1,
            "micro_f1": found.micro_f1,
            "subset_accuracy": found.subset_accuracy,
            "average_precision": float(found.average_precision or 0.0),
            "one_class": float(
                (logits.max(axis=0) == logits.min(axis=0)).all() and bool(np.ptp(targets, axis=0).any())
            ),
        }

    def decide(self, logits: NDArray[np.floating]) -> NDArray[np.int8]:
        """Return the predicted labels, shape (rows, labels): those whose probability reaches their threshold."""
        return self.decide_by(sigmoid(logits))

    def decide_by(self, probabilities: NDArray[np.floating]) -> NDArray[np.int8]:
        """Return the predicted labels, from probabilities."""
        return decided(probabilities, 0.5 if self.chosen is None else self.chosen, at_least_one=self.never_empty)

    def probabilities(
        self, logits: NDArray[np.floating], temperature: Temperature | None = None
    ) -> NDArray[np.float64]:
        """Return the sigmoid of the logits, after division by the temperature of each label."""
        return sigmoid(logits if temperature is None else logits.astype(np.float64) / np.asarray(temperature))

    def names(self, predictions: Targets, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the labels of each row in the order of `labels`, joined; "" for none."""
        return tuple(map(joined_names, self.written(predictions, labels)))

    def written(self, predictions: Targets, labels: Sequence[str]) -> list[list[str]]:
        """Return the labels of each row, in the order of `labels`."""
        return [[labels[at] for at in np.flatnonzero(row).tolist()] for row in predictions]

    def answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        """Return the labels of each text, joined, and the probability of exactly these; see `confidence`."""
        chosen = self.decide_by(probabilities) if decisions is None else decisions
        confidence = _of_exactly(chosen, probabilities)
        names = self.names(chosen, labels)
        sure = confidence >= least_probability
        return [name if enough else None for name, enough in zip(names, sure, strict=True)], confidence

    def nested_answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> list[list[str] | None]:
        """Return the list of labels of each text; None for one that is withheld."""
        chosen = self.decide_by(probabilities) if decisions is None else decisions
        sure = _of_exactly(chosen, probabilities) >= least_probability
        lists = self.written(chosen, labels)
        return [names if enough else None for names, enough in zip(lists, sure, strict=True)]

    def confidence(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability that exactly the predicted labels are right, if labels were independent, shape (rows,)."""
        return _of_exactly(self.decide_by(probabilities), probabilities)

    def tallies(self, predictions: Targets, labels: Sequence[str]) -> tuple[dict[str, int], ...]:
        """Return for each label the rows with it and without it."""
        counts = self.counts(predictions, labels)
        return tuple({label: count, f"not {label}": len(predictions) - count} for label, count in counts.items())

    def score(  # type: ignore[override]
        self,
        targets: Targets,
        predictions: Targets,
        probabilities: NDArray[np.float64] | None,
        labels: Sequence[str],
    ) -> MultiLabelMetrics:
        """Return micro, macro and samples scores, subset accuracy, Jaccard, average precision, and those of every label."""
        return score_several(targets, predictions, probabilities, labels)

    def compare(self, targets: Targets, first: Targets, second: Targets, labels: tuple[str, ...]) -> SeveralStatistics:  # type: ignore[override]
        """Compare by bootstrap intervals of the differences in macro-F1 and micro-F1, and by McNemar's test per label."""
        return several_statistics(targets, first, second, labels)

    def fit_temperature(self, targets: Targets, logits: NDArray[np.floating]) -> tuple[float, ...] | None:
        """Return the temperature of each label with the least binary cross-entropy; no decision changes."""
        return fit_temperatures(targets, logits)

    def trust(
        self, targets: Targets, probabilities: NDArray[np.float64], temperature: Temperature | None = None
    ) -> Trust:
        """Refuse: the curve of abstaining is about one label per row.

        Raises:
            DataError: Always.
        """
        raise DataError("Abstaining is measured for one label per row, and these rows have several.")

    def commonest(self, train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
        """Return the best set of labels to give to every row: the commonest ones, as many as is best on training."""
        return commonest_labels(train, rows, validation)

    def words(self, train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
        """Return the predictions of a linear classifier per label on TF-IDF weights."""
        return several_words(train, validation, test, at_least_one=self.never_empty)

    def probe(
        self,
        train: LabelledTexts,
        validation: LabelledTexts,
        features: NDArray[np.float32],
        validation_features: NDArray[np.float32],
    ) -> Any:
        """Return a logistic regression per label on the features."""
        return several_probe(train, validation, features, validation_features, at_least_one=self.never_empty)

    def targets(self, names: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.int8]:
        """Return zeros and ones, shape (rows, labels)."""
        ids = {label: number for number, label in enumerate(labels)}
        found = np.zeros((len(names), len(labels)), dtype=np.int8)
        for row, own in enumerate(names):
            found[row, [ids[name] for name in own]] = 1
        return found

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """Return the rarest label of each row; the commonest label of all for a row without labels."""
        counts = targets.sum(axis=0, dtype=np.int64)
        cost = np.where(targets == 1, counts, counts.sum() + 1)
        return np.where(targets.any(axis=1), cost.argmin(axis=1), counts.argmax()).astype(np.int64)

    def counts(self, targets: Targets, labels: Sequence[str]) -> dict[str, int]:
        """Return rows per label, in label order; rows with several labels count for each."""
        return {label: int(count) for label, count in zip(labels, targets.sum(axis=0, dtype=np.int64), strict=True)}

    def columns(
        self, targets: Targets, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return the columns of predictions.parquet after the texts: lists of labels, and one `p_<label>` each."""
        return {
            "label": self.written(targets, labels),
            "prediction": self.written(predictions, labels),
            **{f"p_{label}": probabilities[:, column] for column, label in enumerate(labels)},
        }

    def read_names(self, names: Sequence[Any], labels: Sequence[str]) -> NDArray[np.int8]:
        """Return zeros and ones from lists of labels.

        Raises:
            ValueError: A row is no list of known labels; its argument is the number of the row, from 0.
        """
        known = set(labels)
        for row, own in enumerate(names):
            if not isinstance(own, list) or not all(isinstance(name, str) and name in known for name in own):
                raise ValueError(row)
        return self.targets(names, labels)

    def wrong_rows(
        self, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> Mapping[int, str]:
        """Return the rows with invalid probabilities, or else those whose prediction is not what these say."""
        good = (
            np.isfinite(probabilities).all(axis=1) & (probabilities >= 0).all(axis=1) & (probabilities <= 1).all(axis=1)
        )
        if not good.all():
            return {int(row): "a probability is not between 0 and 1" for row in np.flatnonzero(~good)}
        found = self.decide_by(probabilities)
        near = np.abs(probabilities - (0.5 if self.chosen is None else np.asarray(self.chosen))) < _ROUNDING
        if self.never_empty:  # there, one decision changes others of the row
            near[:] = near.any(axis=1, keepdims=True)
        wrong = ((found != predictions) & ~near).any(axis=1)
        said, own = self.names(found, labels), self.names(predictions, labels)
        return {
            int(row): f"the prediction is {quoted(own[row])}, and its probabilities say {quoted(said[row])}"
            for row in np.flatnonzero(wrong)
        }


def positive_weights(kind: str, targets: Targets) -> NDArray[np.float64] | None:
    """Return the weight of each label's positive rows in the loss.

    "balanced" is the number of rows without the label divided by those with it, so that both have the same total
    weight; "sqrt" is its square root. A label without rows, or in every row, has the weight 1.

    Args:
        kind: "none", "balanced" or "sqrt".
        targets: Shape (rows, labels).

    Returns:
        Shape (labels,), or None for "none".
    """
    if kind == "none":
        return None
    positives = targets.sum(axis=0, dtype=np.int64)
    negatives = len(targets) - positives
    usable = (positives > 0) & (negatives > 0)
    weights = np.where(usable, negatives / np.maximum(positives, 1), 1.0)
    return np.sqrt(weights) if kind == "sqrt" else weights


def _of_exactly(chosen: Targets, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that exactly the chosen labels are right, if labels were independent, shape (rows,)."""
    return np.asarray(np.where(chosen == 1, probabilities, 1 - probabilities).prod(axis=1))


MULTI_LABEL = MultiLabel()
