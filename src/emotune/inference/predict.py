"""Predict labels of texts with a classifier in memory, in a single call: for a list, or for a stream of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from emotune.inference.predictor import Pair, Predictions, Predictor, checked_list, refuse_no_list
from emotune.models.classifier import Classifier
from emotune.system.progress import SILENT, Progress


def predict(
    classifier: Classifier,
    texts: Sequence[str | Pair],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Predictions:
    """Predict the label of each text. For several calls with one classifier, a `Predictor` prepares it once.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank; pairs (first, second) for a model of pairs.
        precision: As for `Predictor`.
        calibrated: As for `Predictor`.
        progress: Front end that shows a bar.

    Raises:
        ConfigError: The precision is unknown, or this model or device does not support it; or there is no
            temperature. For int8, `Predictor` lists further errors.
        DataError: There is no text, a text is blank, or an entry is not text.
    """
    checked = checked_list(texts, "predict", "predict(classifier, [text])", classifier.pairs)
    return Predictor(classifier, precision=precision, calibrated=calibrated).predict(checked, progress=progress)


def predict_stream(
    classifier: Classifier,
    texts: Iterable[str | Pair],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Predictions]:
    """Predict the labels of a stream of texts in constant memory, as `Predictor.stream` does.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank; they are read as needed.
        precision: As for `Predictor`.
        calibrated: As for `Predictor`.
        progress: Front end that shows one bar per chunk.

    Yields:
        The predictions of each chunk, in the order of the texts; nothing if there are no texts.

    Raises:
        ConfigError: The precision is unknown, or this model or device does not support it; or there is no
            temperature. For int8, `Predictor` lists further errors.
        DataError: A text is blank or not text. It is raised when that text is reached, after the chunks before it.
    """
    refuse_no_list(texts, "predict_stream", "predict_stream(classifier, [text])")
    yield from Predictor(classifier, precision=precision, calibrated=calibrated).stream(texts, progress=progress)
