"""Predict labels for texts with a classifier in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.errors import DataError
from emotune.inference.batching import encode
from emotune.progress import SILENT, Progress

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted labels of texts.

    Attributes:
        labels: One label name a text.
        probabilities: Shape (texts, classes), rows sum to 1, columns in the order of `label_names`.
        label_names: The classifier's labels.
        truncated: How many texts were longer than the classifier's limit and were cut.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    label_names: tuple[str, ...]
    truncated: int


def predict(
    classifier: Classifier, texts: Sequence[str], *, precision: str = "auto", progress: Progress = SILENT
) -> Predictions:
    """Predict the label of each text.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank.
        precision: What matrix products are computed in: "fp32", which is what `evaluate` and plain transformers compute; "bf16";
            "int8", on a processor; or "auto": bf16 where the hardware multiplies it, else fp32. The README says what each costs.
        progress: Shows a bar.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take.
        DataError: No text, a blank one, or something that is not text.
    """
    from emotune.evaluation.scores import softmax
    from emotune.inference.forward import compute_logits
    from emotune.precision import choose_precision

    if isinstance(texts, str):
        raise DataError("predict takes a list of texts, and was given one string. Write predict(classifier, [text]).")
    texts = list(texts)  # of an array or a column of a table, too
    if not texts:
        raise DataError("There is no text to predict. Give at least one.")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise DataError(f"Text {number} is {type(text).__name__}, not a string. Convert it, or drop it.")
        if not text.strip():
            raise DataError(f"Text {number} is blank: there is nothing to classify in it. Drop it, or fill it in.")
    encoded = encode(classifier.tokenizer, texts, classifier.max_length)
    device = next(classifier.model.parameters()).device.type
    dtype = choose_precision(precision, device, prediction=True).products
    probabilities = softmax(compute_logits(classifier.model, encoded, dtype=dtype, progress=progress))
    labels = tuple(classifier.labels[int(best)] for best in probabilities.argmax(axis=1))
    return Predictions(labels, probabilities, classifier.labels, encoded.truncated)
