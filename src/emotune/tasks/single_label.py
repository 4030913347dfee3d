"""Task with one label per text: softmax over labels, prediction of the likeliest one, cross-entropy as loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import PairedStatistics, paired_statistics
from emotune.system.errors import ConfigError, DataError, ModelError
from emotune.system.wording import quoted
from emotune.tasks import losses
from emotune.tasks.base import LabelledTexts, Loss, LossOptions, Simple, Targets, Task
from emotune.tasks.calibration import Temperature, Trust, assess, fit_temperature, one_temperature, scaled_loss
from emotune.tasks.choosing import macro_f1
from emotune.tasks.probe import Probe, choose_probe
from emotune.tasks.sampling import draw_balanced
from emotune.tasks.scores import Metrics, score, softmax
from emotune.tasks.words import choose_words

if TYPE_CHECKING:
    import torch

# Largest distance of a row's sum of probabilities from 1; they are written in float64.
SUM_TOLERANCE = 1e-8
# The same for files from elsewhere, whose probabilities may be rounded.
ROUNDING = 0.01


class SingleLabel(Task):
    """One label per text. Targets are label ids, shape (rows,), int64."""

    name: ClassVar[str] = "single-label"
    function: ClassVar[str] = "softmax"

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the labels' names and transformers' name of the task.

        Raises:
            ModelError: There are fewer than two labels, or one occurs twice.
        """
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise ModelError(
                f"A classifier needs at least two labels, all different; got {', '.join(labels) or 'none'}."
            )
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": "single_label_classification",
        }

    def check_options(self, options: LossOptions, targets: Targets) -> None:
        """Refuse thresholds, and at least one label: the likeliest label is predicted.

        Raises:
            ConfigError: One of them is chosen.
        """
        if options.at_least_one:
            raise ConfigError(
                "training.at_least_one is true, and this data has one label per row: every text gets exactly one anyway. "
                "Leave --at-least-one out."
            )
        if options.thresholds != "one":
            raise ConfigError(
                f'training.thresholds is "{options.thresholds}", and this data has one label per row: the likeliest label is predicted. '
                "Leave it out."
            )

    def check_targets(self, split: str, targets: Targets, labels: Sequence[str]) -> None:
        """Check that every target is the number of a label.

        Raises:
            DataError: One is out of range.
        """
        wrong = np.flatnonzero((targets < 0) | (targets >= len(labels)))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"Row {row} of {split} has the label id {targets[row]}; with {len(labels)} labels, ids go from 0 to "
                f"{len(labels) - 1}. Number the labels in the order of data.labels."
            )

    def loss(self, options: LossOptions, targets: Targets, labels: Sequence[str], device: Any) -> Loss:
        """Return cross-entropy, modified by the options: see the formula of `losses.summed_loss`."""
        import torch

        counts = np.bincount(targets, minlength=len(labels))

        def tensor(values: NDArray[np.float64] | None) -> torch.Tensor | None:
            return None if values is None else torch.from_numpy(values).float().to(device)

        return partial(
            losses.summed_loss,
            weights=tensor(losses.class_weights(options.class_weights, counts)),
            offsets=tensor(losses.logit_offsets(options.logit_adjustment, counts)),
            smoothing=options.label_smoothing,
            gamma=options.focal_gamma,
        )

    def draw(self, options: LossOptions, targets: Targets, seed: int) -> Callable[[int], NDArray[np.int64]] | None:
        """Return the function that draws every class equally often, if the options require it, else None."""
        return partial(draw_balanced, targets, seed) if options.sampling == "balanced" else None

    def validate(self, targets: Targets, logits: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
        """Return losses, accuracy, macro-F1 and "one_class"."""
        predictions = self.decide(logits)
        metrics = score(targets, predictions, softmax(logits), labels)
        return {
            "loss": float(metrics.loss or 0.0),
            "scaled_loss": scaled_loss(targets, logits),
            "accuracy": metrics.accuracy,
            "macro_f1": metrics.macro_f1,
            "one_class": float(len(np.unique(predictions)) == 1 < len(np.unique(targets))),
        }

    def decide(self, logits: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the likeliest label of each row, the first of equally likely ones."""
        return logits.argmax(axis=1)

    def probabilities(
        self, logits: NDArray[np.floating], temperature: Temperature | None = None
    ) -> NDArray[np.float64]:
        """Return the softmax of the logits, after division by the temperature."""
        divisor = one_temperature(temperature)
        return softmax(logits if divisor is None else logits.astype(np.float64) / divisor)

    def names(self, predictions: Targets, labels: Sequence[str]) -> tuple[str, ...]:
        """Return label names."""
        return tuple(labels[int(number)] for number in predictions)

    def answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        """Return the likeliest label of each text and its probability."""
        confidence = self.confidence(probabilities)
        names = self.names(self.decide(probabilities) if decisions is None else decisions, labels)
        sure = confidence >= least_probability
        return [name if enough else None for name, enough in zip(names, sure, strict=True)], confidence

    def score(
        self,
        targets: Targets,
        predictions: Targets,
        probabilities: NDArray[np.float64] | None,
        labels: Sequence[str],
    ) -> Metrics:
        """Return accuracy, macro and weighted scores, and those of every class."""
        return score(targets, predictions, probabilities, labels)

    def compare(self, targets: Targets, first: Targets, second: Targets, labels: tuple[str, ...]) -> PairedStatistics:
        """Compare by McNemar's test and by the interval of the difference in macro-F1."""
        return paired_statistics(targets, first, second, labels)

    def fit_temperature(self, targets: Targets, logits: NDArray[np.floating]) -> float | None:
        """Return the temperature with the least cross-entropy."""
        return fit_temperature(targets, logits)

    def trust(
        self, targets: Targets, probabilities: NDArray[np.float64], temperature: Temperature | None = None
    ) -> Trust:
        """Measure calibration before and after scaling, and risk and coverage of abstaining."""
        return assess(targets, probabilities, one_temperature(temperature))

    def commonest(self, train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
        """Return the most frequent training label for every row, with the training frequencies as probabilities."""
        frequencies = np.bincount(train.label_ids, minlength=len(train.labels)) / len(train)
        commonest = int(frequencies.argmax())
        classes = len(train.labels)
        return Simple(
            predictions=np.full(rows, commonest, dtype=np.int64),
            probabilities=np.tile(frequencies, (rows, 1)),
            validated=None
            if validation is None
            else macro_f1(validation.label_ids, np.full(len(validation), commonest), classes),
            parameters=classes,
            note=f"Always says '{train.labels[commonest]}', the commonest training label.",
        )

    def words(self, train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
        """Return the predictions of a linear classifier on TF-IDF weights, chosen by macro-F1."""
        return choose_words(train, validation, test)

    def probe(
        self,
        train: LabelledTexts,
        validation: LabelledTexts,
        features: NDArray[np.float32],
        validation_features: NDArray[np.float32],
    ) -> Probe:
        """Return logistic regression on the features, chosen by macro-F1 and loss."""
        return choose_probe(train, validation, features, validation_features)

    def targets(self, names: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.int64]:
        """Return the label ids of rows with one label each."""
        ids = {label: number for number, label in enumerate(labels)}
        return np.fromiter((ids[name] for (name,) in names), np.int64, len(names))

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """Return the label ids."""
        return np.asarray(targets, dtype=np.int64)

    def counts(self, targets: Targets, labels: Sequence[str]) -> dict[str, int]:
        """Return rows per label, in label order; labels without rows count 0."""
        found = np.bincount(targets, minlength=len(labels))
        return {label: int(count) for label, count in zip(labels, found, strict=True)}

    def read_names(self, names: Sequence[Any], labels: Sequence[str]) -> NDArray[np.int64]:
        """Return label ids.

        Raises:
            ValueError: A name is none of the labels; its argument is the number of the row, from 0.
        """
        numbers = {label: number for number, label in enumerate(labels)}
        for row, name in enumerate(names):
            if not isinstance(name, str) or name not in numbers:
                raise ValueError(row)
        return np.fromiter((numbers[name] for name in names), np.int64, len(names))

    def without_rounding(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rows divided by their sums, where these are 1 up to rounding."""
        sums = probabilities.sum(axis=1, keepdims=True)
        return np.where(np.abs(sums - 1) <= ROUNDING, probabilities / np.where(sums == 0, 1, sums), probabilities)

    def wrong_rows(
        self, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> Mapping[int, str]:
        """Return the rows with invalid probabilities, or else those whose prediction is not the likeliest label."""
        good = np.isfinite(probabilities).all(axis=1) & (probabilities >= 0).all(axis=1)
        good &= np.abs(probabilities.sum(axis=1) - 1) < SUM_TOLERANCE
        if not good.all():
            return {
                int(
                    row
                ): f"the probabilities {', '.join(f'{value:.4g}' for value in probabilities[row])} are out of range "
                "or do not add up to 1"
                for row in np.flatnonzero(~good)
            }
        others = probabilities[np.arange(len(predictions)), predictions] < probabilities.max(axis=1)
        rows = np.flatnonzero(others)
        likeliest = self.decide(probabilities)
        return {
            int(row): f"the prediction is {quoted(labels[predictions[row]])}, and its probabilities say "
            f"{quoted(labels[likeliest[row]])}"
            for row in rows
        }


SINGLE_LABEL = SingleLabel()
