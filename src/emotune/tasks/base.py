"""Interface of a task: everything that depends on the kind of label, in one object.

Targets are the labels of rows as numbers: label ids, shape (rows,), if each row has one label. Tasks work on arrays and
label names; data, models and files belong to other packages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import PairedStatistics
from emotune.tasks.calibration import Temperature, Trust
from emotune.tasks.scores import Metrics

if TYPE_CHECKING:
    import torch


Targets = NDArray[Any]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Function from logits in float32 and targets to the loss summed over rows, a scalar."""


class LabelledTexts(Protocol):
    """Texts with their targets, such as a split of a data set."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts."""

    @property
    def label_ids(self) -> Targets:
        """Their targets, shape (rows,)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names."""

    def __len__(self) -> int: ...


class LossOptions(Protocol):
    """Options of `TrainingOptions` that concern the loss."""

    @property
    def class_weights(self) -> str:
        """Kind of class weights."""

    @property
    def logit_adjustment(self) -> float:
        """Strength of the shift towards rare classes."""

    @property
    def label_smoothing(self) -> float:
        """Share of the target that is spread over all labels."""

    @property
    def focal_gamma(self) -> float:
        """Exponent of the focal loss."""

    @property
    def sampling(self) -> str:
        """Kind of sampling of rows."""

    @property
    def thresholds(self) -> str:
        """Kind of thresholds."""

    @property
    def at_least_one(self) -> bool:
        """Whether every text gets a label."""


@dataclass(frozen=True, eq=False)
class Simple:
    """Predictions of a simple baseline.

    Attributes:
        predictions: Shape (rows,), predictions of the scored rows.
        probabilities: Shape (rows, classes).
        validated: Its score on validation, by which baselines are compared.
        parameters: Number of its parameters.
        note: Description of the baseline and its choice, in words.
    """

    predictions: Targets
    probabilities: NDArray[np.float64]
    validated: float | None
    parameters: int
    note: str


def trained_for(config: Mapping[str, Any]) -> str | None:
    """Return transformers' name of the problem that a checkpoint was trained for, or None if it has none."""
    return config.get("problem_type")


class Task(ABC):
    """One kind of label.

    Attributes:
        name: Its name in saved folders.
        function: Name, in transformers' pipelines, of the function from logits to probabilities.
        several: True if a row may have several labels, or none.
        right: Name of the share of rows that are right.
    """

    name: ClassVar[str]
    function: ClassVar[str]
    several: ClassVar[bool] = False
    right: ClassVar[str] = "accuracy"

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """The least probability at which each label is predicted; None if the task has none, or the usual ones."""
        return None

    @property
    def at_least_one(self) -> bool:
        """True if texts could have no label, and the likeliest one is given to them instead."""
        return False

    def deciding(self, thresholds: Sequence[float] | None) -> Task:
        """Return the task with other thresholds; a task without any returns itself."""
        return self

    def answering(self, *, at_least_one: bool) -> Task:
        """Return the task with or without the rule `at_least_one`; a task with one label per text returns itself."""
        return self

    def reordered(self, places: Sequence[int]) -> Task | None:
        """Return the task for the same labels in another order; None if their order has a meaning.

        Args:
            places: The old number of each label, in the new order.
        """
        return self

    def decided_on(self, options: LossOptions, targets: Targets, logits: NDArray[np.floating]) -> Task:
        """Return the task with thresholds chosen on validation rows; a task without any returns itself.

        Args:
            options: The kind of thresholds.
            targets: Targets of the validation rows.
            logits: Shape (rows, classes).
        """
        return self

    # Models.

    @abstractmethod
    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the entries of a transformers configuration that follow from the labels.

        Raises:
            ModelError: These labels are not valid for the task.
        """

    # Training.

    @abstractmethod
    def check_options(self, options: LossOptions, targets: Targets) -> None:
        """Refuse options that would have no effect.

        Args:
            options: The options.
            targets: Targets of the training rows.

        Raises:
            ConfigError: One of them has no meaning for the task, or for these rows.
        """

    @abstractmethod
    def check_targets(self, split: str, targets: Targets, labels: Sequence[str]) -> None:
        """Refuse targets that are not valid.

        Args:
            split: The split's name, for messages.
            targets: Shape (rows,).
            labels: Label names.

        Raises:
            DataError: One is out of range.
        """

    @abstractmethod
    def loss(self, options: LossOptions, targets: Targets, labels: Sequence[str], device: Any) -> Loss:
        """Return the loss that training minimizes.

        Args:
            options: Options of the loss.
            targets: Targets of the training rows, for the shares of the classes.
            labels: Label names.
            device: Device of the logits.
        """

    def draw(self, options: LossOptions, targets: Targets, seed: int) -> Callable[[int], NDArray[np.int64]] | None:
        """Return a function from the number of an epoch to its rows, or None if every row comes once."""
        return None

    @abstractmethod
    def validate(self, targets: Targets, logits: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
        """Return the scores of validation after an epoch, by name. Of "loss" and "scaled_loss", lower is better.

        "scaled_loss" does not depend on the model's overall confidence. "one_class" is 1 if every row gets the same
        label although several occur: then nothing useful was learned.
        """

    # Prediction.

    @abstractmethod
    def decide(self, logits: NDArray[np.floating]) -> Targets:
        """Return predictions, shape (rows,), from logits or from probabilities, shape (rows, classes)."""

    @abstractmethod
    def probabilities(
        self, logits: NDArray[np.floating], temperature: Temperature | None = None
    ) -> NDArray[np.float64]:
        """Return the values for predictions.parquet, shape (rows, classes): probabilities, if the task has any.

        Args:
            logits: Shape (rows, classes).
            temperature: Divisor of the logits; None to leave them unchanged.
        """

    @abstractmethod
    def names(self, predictions: Targets, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the label names of predictions or targets."""

    def written(self, predictions: Targets, labels: Sequence[str]) -> list[Any]:
        """Return predictions as `columns` writes them, and as JSON has them: names, or lists of names."""
        return list(self.names(predictions, labels))

    @abstractmethod
    def answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        """Return the answer to each text, and its probability, for users of a model.

        Args:
            probabilities: Shape (rows, classes), as `probabilities` returns them.
            labels: Label names.
            least_probability: An answer that is less probable is withheld: None stands for it.
            decisions: What `decide` returned for the logits, whose labels calibrated probabilities do not change; None
                to decide by the probabilities, which are then plain ones.

        Returns:
            The answers, and their probabilities, shape (rows,), also of those withheld.
        """

    def nested_answers(
        self,
        probabilities: NDArray[np.float64],
        labels: Sequence[str],
        least_probability: float = 0.0,
        decisions: Targets | None = None,
    ) -> list[Any]:
        """Return the answers for formats that have lists, such as JSON; arguments as in `answers`."""
        return list(self.answers(probabilities, labels, least_probability, decisions)[0])

    def ranked(
        self, probabilities: NDArray[np.floating[Any]], labels: Sequence[str], count: int
    ) -> list[list[tuple[str, float]]]:
        """Return the likeliest labels of each text with their probabilities, the likeliest first.

        Args:
            probabilities: Shape (rows, classes); logits will do as well.
            labels: Label names.
            count: Labels per text.
        """
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
        values = np.take_along_axis(probabilities, order, axis=1).tolist()
        return [
            [(labels[at], value) for at, value in zip(row, found, strict=True)]
            for row, found in zip(order.tolist(), values, strict=True)
        ]

    def confidence(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the confidence in each row's prediction, shape (rows,); the largest probability unless overridden."""
        return np.asarray(probabilities.max(axis=1))

    def tallies(self, predictions: Targets, labels: Sequence[str]) -> tuple[dict[str, int], ...]:
        """Return counts of predictions for tests of their shares: each tally counts every row exactly once.

        By default there is one tally, with the rows of each label. A task with several labels per row has one per
        label: with it, and without it.
        """
        return (self.counts(predictions, labels),)

    # Evaluation.

    @abstractmethod
    def score(
        self,
        targets: Targets,
        predictions: Targets,
        probabilities: NDArray[np.float64] | None,
        labels: Sequence[str],
    ) -> Metrics:
        """Return the scores of predictions."""

    def further_scores(self, metrics: Metrics) -> dict[str, float]:
        """Return the scores besides accuracy and macro-F1 by which models of this task are compared, by name.

        One that is not defined for the rows is NaN. A task without such scores returns none.
        """
        return {}

    @abstractmethod
    def compare(self, targets: Targets, first: Targets, second: Targets, labels: tuple[str, ...]) -> PairedStatistics:
        """Compare the predictions of two models on the same rows."""

    @abstractmethod
    def fit_temperature(self, targets: Targets, logits: NDArray[np.floating]) -> Temperature | None:
        """Return the divisor of the logits, fitted on validation rows, or None if the rows cannot determine it."""

    @abstractmethod
    def trust(
        self, targets: Targets, probabilities: NDArray[np.float64], temperature: Temperature | None = None
    ) -> Trust:
        """Measure the calibration of probabilities, and risk and coverage of abstaining."""

    # Baselines.

    @abstractmethod
    def commonest(self, train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
        """Return the baseline that predicts the same for every row."""

    @abstractmethod
    def words(self, train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
        """Return the predictions of a linear model on words."""

    @abstractmethod
    def probe(
        self,
        train: LabelledTexts,
        validation: LabelledTexts,
        features: NDArray[np.float32],
        validation_features: NDArray[np.float32],
    ) -> Any:
        """Return a linear model on the features of a frozen encoder, chosen on validation."""

    # Data and files.

    @abstractmethod
    def targets(self, names: Sequence[Sequence[str]], labels: Sequence[str]) -> Targets:
        """Return the targets of rows from the names of each row's labels, all of which are known."""

    @abstractmethod
    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """Return the number of each row's stratum for stratified splits, shape (rows,)."""

    @abstractmethod
    def counts(self, targets: Targets, labels: Sequence[str]) -> dict[str, int]:
        """Return rows per label."""

    def columns(
        self, targets: Targets, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return the columns of predictions.parquet after the texts: `label`, `prediction`, one `p_<label>` each."""
        return {
            "label": list(self.names(targets, labels)),
            "prediction": list(self.names(predictions, labels)),
            **{f"p_{label}": probabilities[:, column] for column, label in enumerate(labels)},
        }

    @abstractmethod
    def read_names(self, names: Sequence[Any], labels: Sequence[str]) -> Targets:
        """Convert names written by `columns` back to numbers.

        Raises:
            ValueError: A name is not valid for the task; its argument is the number of the row, from 0.
        """

    def without_rounding(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities of a file from elsewhere, which may be rounded, as `wrong_rows` expects them."""
        return probabilities

    @abstractmethod
    def wrong_rows(
        self, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> Mapping[int, str]:
        """Return the mistakes in rows of a file of predictions, in words, by number of the row from 0."""
