"""Predict labels for texts with a classifier in memory, once: for a list, or for a stream of any length chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from emotune.inference.predictor import Predictions, Predictor, checked_list, refuse_no_list
from emotune.models.classifier import Classifier
from emotune.system.progress import SILENT, Progress


def predict(
    classifier: Classifier,
    texts: Sequence[str],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Predictions:
    """Predict the label of each text. For more than one call with a classifier, a `Predictor` prepares it once.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank.
        precision: As for `Predictor`.
        calibrated: As for `Predictor`.
        progress: Shows a bar.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take; or no temperature to calibrate with.
        DataError: No text, a blank one, or something that is not text.
    """
    checked = checked_list(texts, "predict", "predict(classifier, [text])")
    return Predictor(classifier, precision=precision, calibrated=calibrated).predict(checked, progress=progress)


def predict_stream(
    classifier: Classifier,
    texts: Iterable[str],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Predictions]:
    """Predict the labels of a stream of texts, in memory that does not grow with their number, as `Predictor.stream` does.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank; they are read as they are needed.
        precision: As for `Predictor`.
        calibrated: As for `Predictor`.
        progress: Shows a bar per chunk.

    Yields:
        The predictions of each chunk, in the order of the texts; nothing where there are none.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take; or no temperature to calibrate with.
        DataError: A blank text, or something that is not text, when reading gets there: the chunks before it have been given.
    """
    refuse_no_list(texts, "predict_stream", "predict_stream(classifier, [text])")
    yield from Predictor(classifier, precision=precision, calibrated=calibrated).stream(texts, progress=progress)
