"""Predict labels for texts with a classifier in memory: for a list at once, or for a stream of any length chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.models.encoding import Encoded, encode
from emotune.system.errors import ConfigError, DataError
from emotune.system.memory import return_freed_memory
from emotune.system.progress import SILENT, Progress
from emotune.system.text import is_blank

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier

# Texts that a stream holds at a time: enough to sort into batches of like lengths, a few megabytes of text.
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted labels of texts.

    Attributes:
        texts: The texts.
        labels: One label name per text.
        probabilities: Shape (texts, classes), rows sum to 1, columns in the order of `label_names`.
        label_names: The classifier's labels.
        truncated: How many texts were longer than the classifier's limit and were cut.
    """

    texts: tuple[str, ...] = field(repr=False)
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64] = field(repr=False)
    label_names: tuple[str, ...]
    truncated: int


def predict(
    classifier: Classifier,
    texts: Sequence[str],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Predictions:
    """Predict the label of each text.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank.
        precision: What matrix products are computed in: "fp32", which is what `evaluate` and plain transformers compute; "bf16";
            "int8", on a processor; or "auto": bf16 where the hardware multiplies it, else fp32. docs/benchmarks.md says what each costs.
        calibrated: Divide the logits by the temperature that was fitted on validation: no label changes. It aims at probabilities of
            0.8 that are right 80 % of the time; the report says how near it came on the test rows. Without it probabilities are those
            of plain transformers.
        progress: Shows a bar.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take; or no temperature to calibrate with.
        DataError: No text, a blank one, or something that is not text.
    """
    _refuse_no_list(texts, "predict")
    checked = tuple(_checked(texts, 1))  # of an array or a column of a table, too
    if not checked:
        raise DataError("There is no text to predict. Give at least one.")
    return _predict(classifier, checked, _encode(classifier, checked), precision, calibrated, progress)


def predict_stream(
    classifier: Classifier,
    texts: Iterable[str],
    *,
    precision: str = "auto",
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Predictions]:
    """Predict the labels of a stream of texts, in memory that does not grow with their number.

    Chunks of 4,096 texts are labelled one after another, and the next one is read and tokenized meanwhile.

    Args:
        classifier: A tuned classifier.
        texts: The texts, none of them blank; they are read as they are needed.
        precision: As for `predict`.
        calibrated: As for `predict`.
        progress: Shows a bar per chunk.

    Yields:
        The predictions of each chunk, in the order of the texts; nothing where there are none.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take.
        DataError: A blank text, or something that is not text, when reading gets there: the chunks before it have been given.
    """
    _refuse_no_list(texts, "predict_stream")
    chunks = _chunks(iter(texts))
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize") as tokenizing:
        coming = [(chunk, tokenizing.submit(_encode, classifier, chunk)) for chunk in islice(chunks, 1)]
        while coming:
            chunk, encoded = coming.pop()
            mistake = None
            # Read here and not in the thread, where a slow pipe would outlast an interrupt.
            try:
                coming = [(chunk, tokenizing.submit(_encode, classifier, chunk)) for chunk in islice(chunks, 1)]
            except Exception as error:
                mistake = error
            yield _predict(classifier, chunk, encoded.result(), precision, calibrated, progress)
            return_freed_memory()
            if mistake is not None:
                raise mistake


def _chunks(texts: Iterator[object]) -> Iterator[tuple[str, ...]]:
    """The texts by the chunk, checked."""
    start = 1
    while chunk := tuple(_checked(islice(texts, CHUNK), start)):
        yield chunk
        start += len(chunk)


def _predict(
    classifier: Classifier,
    texts: tuple[str, ...],
    encoded: Encoded,
    precision: str,
    calibrated: bool,
    progress: Progress,
) -> Predictions:
    from emotune.inference.forward import compute_logits
    from emotune.system.precision import choose_precision

    if calibrated and classifier.temperature is None:
        raise ConfigError(
            "This model has no temperature to calibrate its probabilities with: it was saved without emotune run, "
            "or its validation rows could not choose one: none of them is wrong, or its logits say nothing. Leave calibration out."
        )
    device = next(classifier.model.parameters()).device.type
    dtype = choose_precision(precision, device, prediction=True).products
    logits = compute_logits(classifier.model, encoded, dtype=dtype, progress=progress)
    task = classifier.task
    probabilities = task.probabilities(logits, classifier.temperature if calibrated else None)
    labels = task.names(task.decide(logits), classifier.labels)
    return Predictions(texts, labels, probabilities, classifier.labels, encoded.truncated)


def _encode(classifier: Classifier, texts: Sequence[str]) -> Encoded:
    return encode(classifier.tokenizer, texts, classifier.max_length)


def _refuse_no_list(texts: object, function: str) -> None:
    """Refuse what holds texts and is no list of them: most of it would be read as the names of its columns."""
    remedy = "Give a list of strings."
    if isinstance(texts, str):
        given, remedy = "one string", f"Write {function}(classifier, [text])."
    elif isinstance(texts, TextDataset):
        given, remedy = "a whole data set", "Give the texts of a split, such as data.test.texts."
    elif isinstance(texts, Split):
        given, remedy = "a split", "Give its texts: split.texts, such as data.test.texts."
    elif isinstance(texts, Mapping) or hasattr(texts, "columns") or hasattr(texts, "column_names"):
        given, remedy = f"a table ({type(texts).__name__})", 'Give its column of texts, such as df["text"].'
    elif not isinstance(texts, Iterable):
        given = f"an object of type {type(texts).__name__}"
    else:
        return
    raise DataError(f"{function} takes a list of texts, and was given {given}. {remedy}")


def _checked(texts: Iterable[object], start: int) -> Iterator[str]:
    """The texts, each looked at; `start` is the number of the first."""
    for number, text in enumerate(texts, start):
        if not isinstance(text, str):
            raise DataError(f"Text {number:,} is {type(text).__name__}, not a string. Convert it, or drop it.")
        if is_blank(text):
            raise DataError(f"Text {number:,} is blank: there is nothing to classify in it. Drop it, or fill it in.")
        yield text
