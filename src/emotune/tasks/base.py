"""What a task is: everything that depends on the kind of label, asked of one object.

Targets are the labels of rows as numbers: label ids, shape (rows,), where each row has one label. Everything here works on arrays and
label names; data, models and files belong to other rooms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import PairedStatistics
from emotune.tasks.calibration import Trust
from emotune.tasks.scores import Metrics

if TYPE_CHECKING:
    import torch


Targets = NDArray[Any]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""The loss summed over rows, a scalar, of logits in float32 and of targets."""


class LabelledTexts(Protocol):
    """Texts with their targets, as a split of a data set has them."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts."""

    @property
    def label_ids(self) -> Targets:
        """Shape (rows,), their targets."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names."""

    def __len__(self) -> int: ...


class LossOptions(Protocol):
    """What `TrainingOptions` says of the loss."""

    @property
    def class_weights(self) -> str:
        """What each class weighs."""

    @property
    def logit_adjustment(self) -> float:
        """How far the model leans towards rare classes."""

    @property
    def label_smoothing(self) -> float:
        """The share of the target that is spread over all labels."""

    @property
    def focal_gamma(self) -> float:
        """How much less rows weigh that the model is sure of."""

    @property
    def sampling(self) -> str:
        """How often rows are drawn."""


@dataclass(frozen=True, eq=False)
class Simple:
    """What something simpler than a model says of rows.

    Attributes:
        predictions: Shape (rows,), what it says of the rows that are scored.
        probabilities: Shape (rows, classes).
        validated: Its score on validation, by which baselines are compared.
        parameters: How many numbers it is made of.
        note: How it was chosen, in words.
    """

    predictions: Targets
    probabilities: NDArray[np.float64]
    validated: float | None
    parameters: int
    note: str


def trained_for(config: Mapping[str, Any]) -> str | None:
    """Return transformers' name of what a checkpoint was trained for; None where its configuration does not say."""
    return config.get("problem_type")


class Task(ABC):
    """One kind of label.

    Attributes:
        name: What saved folders call it.
    """

    name: ClassVar[str]

    # Models.

    @abstractmethod
    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the entries of a transformers configuration that follow from the labels.

        Raises:
            ModelError: These labels cannot be those of the task.
        """

    # Training.

    @abstractmethod
    def check_options(self, options: LossOptions) -> None:
        """Refuse options that would do nothing.

        Raises:
            ConfigError: One of them has no meaning for the task.
        """

    @abstractmethod
    def check_targets(self, split: str, targets: Targets, labels: Sequence[str]) -> None:
        """Refuse targets that are none.

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
            options: How.
            targets: Those of the training rows, whose shares weigh in.
            labels: Label names.
            device: Where logits will be.
        """

    def draw(self, options: LossOptions, targets: Targets, seed: int) -> Callable[[int], NDArray[np.int64]] | None:
        """Return what draws the rows of an epoch, by its number; None where every row comes once."""
        return None

    @abstractmethod
    def validate(self, targets: Targets, logits: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
        """Return the scores of validation after an epoch by name, "loss" and "scaled_loss" among them, lower being better for both.

        "scaled_loss" does not depend on how sure the model is of itself. "one_class" is 1 where every row gets the same label though
        several occur, which says that nothing useful was learned.
        """

    # Prediction.

    @abstractmethod
    def decide(self, logits: NDArray[np.floating]) -> Targets:
        """Return predictions, shape (rows,), from logits or from probabilities, shape (rows, classes)."""

    @abstractmethod
    def probabilities(self, logits: NDArray[np.floating], temperature: float | None = None) -> NDArray[np.float64]:
        """Return what predictions.parquet keeps of logits, shape (rows, classes): probabilities, where there are any.

        Args:
            logits: Shape (rows, classes).
            temperature: What logits are divided by first; None to take them as they are.
        """

    @abstractmethod
    def names(self, predictions: Targets, labels: Sequence[str]) -> tuple[str, ...]:
        """Return predictions or targets as people read them."""

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

    @abstractmethod
    def compare(self, targets: Targets, first: Targets, second: Targets, labels: tuple[str, ...]) -> PairedStatistics:
        """Compare the predictions of two models on the same rows."""

    @abstractmethod
    def fit_temperature(self, targets: Targets, logits: NDArray[np.floating]) -> float | None:
        """Return what to divide logits by, fitted on validation rows; None where the rows cannot choose."""

    @abstractmethod
    def trust(self, targets: Targets, probabilities: NDArray[np.float64], temperature: float | None = None) -> Trust:
        """Measure how far probabilities can be trusted."""

    # Baselines.

    @abstractmethod
    def commonest(self, train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
        """Return what says the same of every row."""

    @abstractmethod
    def words(self, train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
        """Return what a linear model on words says."""

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
    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """Return the number of the class that each row counts in where rows are divided evenly, shape (rows,)."""

    @abstractmethod
    def counts(self, targets: Targets, labels: Sequence[str]) -> dict[str, int]:
        """Return rows per label."""

    def columns(
        self, targets: Targets, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return the columns of predictions.parquet beside the texts: `label`, `prediction`, and `p_<label>` for each label."""
        return {
            "label": list(self.names(targets, labels)),
            "prediction": list(self.names(predictions, labels)),
            **{f"p_{label}": probabilities[:, column] for column, label in enumerate(labels)},
        }

    @abstractmethod
    def read_names(self, names: Sequence[Any], labels: Sequence[str]) -> Targets:
        """Return what `columns` wrote as names, as numbers again.

        Raises:
            ValueError: A name is none of the task's; its argument is the number of the row, counted from 0.
        """

    @abstractmethod
    def wrong_rows(
        self, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> Mapping[int, str]:
        """Return what is wrong with rows of a file of predictions, by number counted from 0; nothing where all hold."""
