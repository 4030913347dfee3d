"""A `Predictor` holds a classifier ready to label texts: its adapters are merged once, and any number of calls use the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.inference.forward import Engine, TorchEngine
from emotune.models.classifier import Classifier
from emotune.models.encoding import Encoded, encode
from emotune.models.families import precision_for
from emotune.system.errors import ConfigError, DataError
from emotune.system.memory import return_freed_memory
from emotune.system.progress import SILENT, Progress
from emotune.system.text import is_blank

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


class Predictor:
    """A classifier held ready to predict, for one text at a time as for many, and for any number of threads at once.

    ```python
    with emotune.Predictor(emotune.load("fine_tuned_lora_model")) as predictor:
        print(predictor.predict(["I did not expect this at all"]).labels)
    ```

    Making it adds the adapters to the weights, where the fast path covers the model, and casts the weights to the precision; no
    call does so again. Every call gives exactly what it would give alone, whatever other threads ask at the same time.

    It holds the classifier as it is now. What is done to the classifier later, be it a device, a mode or another predictor, makes no
    difference, but its weights must not be changed in place: those that need no other form stay where they are in memory. These
    are the embeddings, the pooler, the head, and in fp32 those matrices of the layers that no adapter changes. Of the others there is
    one copy for each predictor: in fp32 of every adapted matrix, and of queries, keys and values, which become one matrix; in bf16 of all
    matrices of the layers, in half the size; in int8 in a quarter. For BERT base with LoRA on all linear layers that is 340, 170 or
    85 MB. A model that the fast path does not cover is run as transformers and PEFT wrote it, and costs no weights.

    Args:
        classifier: A tuned classifier, on the device to predict on.
        precision: What matrix products are computed in: "fp32", which is what `evaluate` and plain transformers compute; "bf16";
            "int8", on a processor; or "auto": bf16 where the hardware multiplies it, else fp32. docs/benchmarks.md says what each costs.
        calibrated: Divide the logits by the temperature that was fitted on validation: no label changes. It aims at probabilities of
            0.8 that are right 80 % of the time; the report says how near it came on the test rows. Without it probabilities are those
            of plain transformers.

    Raises:
        ConfigError: An unknown precision, or one that this model or device cannot take; or no temperature to calibrate with.
    """

    def __init__(self, classifier: Classifier, *, precision: str = "auto", calibrated: bool = False) -> None:

        if calibrated and classifier.temperature is None:
            raise ConfigError(
                "This model has no temperature to calibrate its probabilities with: it was saved without emotune run, or its "
                "validation rows could not choose one: none of them is wrong, or its logits say nothing. Leave calibration out."
            )
        device = next(classifier.model.parameters()).device.type
        chosen = precision_for(classifier.model, precision, device, prediction=True)
        self.labels = classifier.labels
        self.max_length = classifier.max_length
        self.precision = chosen.name
        self._temperature = classifier.temperature if calibrated else None
        self._tokenizer = classifier.tokenizer
        self._task = classifier.task
        self._engine: Engine | None = TorchEngine(classifier.model, chosen.products)

    def predict(self, texts: Sequence[str], *, progress: Progress = SILENT) -> Predictions:
        """Predict the label of each text.

        Args:
            texts: The texts, none of them blank.
            progress: Shows a bar.

        Raises:
            ConfigError: The predictor is closed.
            DataError: No text, a blank one, or something that is not text.
        """
        engine = self._held()
        checked = checked_list(texts, "predict", "predictor.predict([text])")
        return self._label(engine, checked, self._encode(checked), progress)

    def stream(self, texts: Iterable[str], *, progress: Progress = SILENT) -> Iterator[Predictions]:
        """Predict the labels of a stream of texts, in memory that does not grow with their number.

        Chunks of 4,096 texts are labelled one after another, and the next one is read and tokenized meanwhile. A stream that has begun
        goes on when the predictor is closed.

        Args:
            texts: The texts, none of them blank; they are read as they are needed.
            progress: Shows a bar per chunk.

        Returns:
            The predictions of each chunk, in the order of the texts; nothing where there are none. Reading them raises a DataError at a
            blank text, or at something that is not text: the chunks before it have been given.

        Raises:
            ConfigError: The predictor is closed.
            DataError: Something that is no list of texts, such as a table.
        """
        engine = self._held()
        refuse_no_list(texts, "stream", "predictor.stream([text])")
        return self._chunks_labelled(engine, texts, progress)

    def close(self) -> None:
        """Let go of the weights. Calls that other threads have under way end as they would; further ones are refused."""
        self._engine = None

    def __enter__(self) -> Predictor:
        self._held()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _held(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise ConfigError(
                "This predictor is closed, and holds no model any more. Make another: Predictor(classifier)."
            )
        return engine

    def _encode(self, texts: Sequence[str]) -> Encoded:
        return encode(self._tokenizer, texts, self.max_length)

    def _label(self, engine: Engine, texts: tuple[str, ...], encoded: Encoded, progress: Progress) -> Predictions:
        logits = engine.logits(encoded, progress=progress)
        labels = self._task.names(self._task.decide(logits), self.labels)
        return Predictions(
            texts, labels, self._task.probabilities(logits, self._temperature), self.labels, encoded.truncated
        )

    def _chunks_labelled(self, engine: Engine, texts: Iterable[str], progress: Progress) -> Iterator[Predictions]:
        chunks = _chunks(iter(texts))
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize") as tokenizing:
            coming = [(chunk, tokenizing.submit(self._encode, chunk)) for chunk in islice(chunks, 1)]
            while coming:
                chunk, encoded = coming.pop()
                mistake = None
                # Read here and not in the thread, where a slow pipe would outlast an interrupt.
                try:
                    coming = [(chunk, tokenizing.submit(self._encode, chunk)) for chunk in islice(chunks, 1)]
                except Exception as error:
                    mistake = error
                yield self._label(engine, chunk, encoded.result(), progress)
                return_freed_memory()
                if mistake is not None:
                    raise mistake


def checked_list(texts: Iterable[object], function: str, call: str) -> tuple[str, ...]:
    """The texts of a list, an array or a column, each looked at.

    Args:
        texts: What the caller gave.
        function: What the caller has called, for messages.
        call: How it is called with one text.

    Raises:
        DataError: No text, a blank one, or something that is not text.
    """
    refuse_no_list(texts, function, call)
    checked = tuple(_checked(texts, 1))
    if not checked:
        raise DataError("There is no text to predict. Give at least one.")
    return checked


def refuse_no_list(texts: object, function: str, call: str) -> None:
    """Refuse what holds texts and is no list of them: most of it would be read as the names of its columns.

    Args:
        texts: What the caller gave.
        function: What the caller has called, for messages.
        call: How it is called with one text.

    Raises:
        DataError: It is no list of texts.
    """
    remedy = "Give a list of strings."
    if isinstance(texts, str):
        given, remedy = "one string", f"Write {call}."
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


def _chunks(texts: Iterator[object]) -> Iterator[tuple[str, ...]]:
    """The texts by the chunk, checked."""
    start = 1
    while chunk := tuple(_checked(islice(texts, CHUNK), start)):
        yield chunk
        start += len(chunk)


def _checked(texts: Iterable[object], start: int) -> Iterator[str]:
    """The texts, each looked at; `start` is the number of the first."""
    for number, text in enumerate(texts, start):
        if not isinstance(text, str):
            raise DataError(f"Text {number:,} is {type(text).__name__}, not a string. Convert it, or drop it.")
        if is_blank(text):
            raise DataError(f"Text {number:,} is blank: there is nothing to classify in it. Drop it, or fill it in.")
        yield text
