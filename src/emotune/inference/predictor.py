"""`Predictor`: a classifier prepared for prediction, whose adapters are merged once for any number of calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.inference.forward import Engine, TorchEngine
from emotune.inference.int8 import int8_engine
from emotune.models.classifier import Classifier
from emotune.models.encoding import Encoded, encode
from emotune.models.families import precision_for
from emotune.system.errors import ConfigError, DataError
from emotune.system.memory import return_freed_memory
from emotune.system.pairs import TextPair, blank_side
from emotune.system.progress import SILENT, Progress
from emotune.tasks.base import Targets

if TYPE_CHECKING:
    from emotune.engine.linear import CommonWeights

# Texts that a stream holds at a time: enough to sort into batches of similar lengths, a few megabytes of text.
CHUNK = 4096
Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted labels of texts.

    Attributes:
        texts: The texts.
        labels: One label name per text.
        probabilities: Shape (texts, classes), rows sum to 1, columns in the order of `label_names`.
        label_names: The classifier's labels.
        truncated: Number of texts that were longer than the classifier's limit and were cut.
        decisions: The predicted labels as the task has them, made before calibration; None to decide by the
            probabilities.
    """

    texts: tuple[str, ...] = field(repr=False)
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64] = field(repr=False)
    label_names: tuple[str, ...]
    truncated: int
    decisions: Targets | None = field(default=None, repr=False)


class Predictor:
    """Classifier prepared for prediction, of single texts or many, by any number of threads at once.

    ```python
    with emotune.Predictor(emotune.load("fine_tuned_lora_model")) as predictor:
        print(predictor.predict(["I did not expect this at all"]).labels)
    ```

    The constructor adds the adapters to the weights, if the fast path covers the model, and casts the weights to the
    precision; calls do not repeat this. The result of a call does not depend on simultaneous calls of other threads.

    The predictor keeps the classifier's current state. Later changes of the classifier's device or mode, or other
    predictors, make no difference. But its weights must not be changed in place, since those that need no conversion
    are shared: the embeddings, the pooler, the head, and in fp32 the matrices of the layers without adapters. Each
    predictor has one copy of the others: in fp32 of every adapted matrix, and of queries, keys and values, which become
    one matrix; in bf16 of all matrices of the layers, in half the size. For BERT base with LoRA on all linear layers
    that is 340 or 170 MB. In int8, OpenVINO has its own copy of the whole model. A model that the fast path does not
    cover runs with the modules of transformers and PEFT, and needs no copies of weights.

    Attributes:
        labels: Label names, in the order of the logits.
        max_length: Longest text, in tokens; longer ones are cut.
        pairs: True for a model of pairs of texts, False for one of single texts, None for a base model.
        precision: Name of the arithmetic in use.
        task: Kind of label.

    Args:
        classifier: A tuned classifier, on the device for prediction.
        precision: Arithmetic of matrix products: "fp32", as in `evaluate` and plain transformers; "bf16"; "int8", on a
            processor by OpenVINO, quantized and checked when it is first asked for; or "auto": bf16 if the hardware
            multiplies it, else fp32. docs/benchmarks.md lists their costs.
        calibrated: Divide the logits by the temperature fitted on validation; no label changes. The aim is that
            probabilities of 0.8 are right 80 % of the time; the report says how close they are on the test rows.
            Without it, probabilities are those of plain transformers.
        common: Matrices that several predictors on one base share (`load_many`), so that each holds only its adapter.
            LoRA is then computed beside the matrix and not merged, which costs some speed. It has no use in int8, and
            methods whose adapters can only be folded into the weight keep a matrix of their own.
        progress: Front end that is told how int8 compares with fp32.

    Raises:
        ConfigError: The precision is unknown, or this model or device does not support it; or there is no
            temperature. For int8 also, if OpenVINO is not installed or the model keeps no rows (`save`).
        MethodError: int8 for adapters that cannot be merged.
        ModelError: int8 for a model that OpenVINO cannot convert.
        OutputError: The folder for caches, where a model in int8 is kept, cannot be written.
        VerificationError: In int8 the model gives other labels than in fp32 on more than 1 % of the validation rows that
            it keeps, or is right on 0.2 points fewer of them.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        precision: str = "auto",
        calibrated: bool = False,
        common: CommonWeights | None = None,
        progress: Progress = SILENT,
    ) -> None:
        if calibrated and classifier.temperature is None:
            raise ConfigError(
                "This model has no temperature to calibrate its probabilities with: it was saved without emotune run, or its "
                "validation rows could not determine one: none of them is wrong, or the logits are uninformative. Leave calibration out."
            )
        device = next(classifier.model.parameters()).device.type
        chosen = precision_for(classifier.model, precision, device, prediction=True)
        self.labels = classifier.labels
        self.max_length = classifier.max_length
        self.pairs = classifier.pairs
        self._windows = classifier.windows
        self.precision = chosen.name
        self._temperature = classifier.temperature if calibrated else None
        self._tokenizer = classifier.tokenizer
        self.task = classifier.task
        self._engine: Engine | None = (
            int8_engine(classifier, progress)
            if chosen.name == "int8"
            else TorchEngine(classifier.model, chosen.products, common=common)
        )

    def predict(self, texts: Sequence[str | Pair], *, progress: Progress = SILENT) -> Predictions:
        """Predict the label of each text.

        Args:
            texts: The texts, none of them blank; pairs (first, second) for a model of pairs.
            progress: Front end that shows a bar.

        Raises:
            ConfigError: The predictor is closed.
            DataError: There is no text, a text is blank, or an entry is not text.
        """
        engine = self._held()
        checked = checked_list(texts, "predict", "predictor.predict([text])", self.pairs)
        return self._label(engine, checked, self.encode(checked), progress)

    def logits(self, texts: Sequence[str | Pair], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Return the logits of each text, shape (texts, classes), as the model gives them: without a temperature.

        Args:
            texts: The texts, none of them blank.
            progress: Front end that shows a bar.

        Raises:
            ConfigError: The predictor is closed.
            DataError: There is no text, a text is blank, or an entry is not text.
        """
        engine = self._held()
        checked = checked_list(texts, "logits", "predictor.logits([text])", self.pairs)
        return engine.logits(self.encode(checked), progress=progress)

    def stream(self, texts: Iterable[str | Pair], *, progress: Progress = SILENT) -> Iterator[Predictions]:
        """Predict the labels of a stream of texts in constant memory.

        Chunks of 4,096 texts are labelled one after another; the next one is read and tokenized meanwhile. A stream
        that has begun continues when the predictor is closed.

        Args:
            texts: The texts, none of them blank; they are read as needed.
            progress: Front end that shows one bar per chunk.

        Returns:
            The predictions of each chunk, in the order of the texts; nothing if there are no texts. The iterator raises
            a DataError at a text that is blank or not text, after the chunks before it.

        Raises:
            ConfigError: The predictor is closed.
            DataError: The argument is not a list of texts but, for example, a table.
        """
        engine = self._held()
        refuse_no_list(texts, "stream", "predictor.stream([text])")
        return self._chunks_labelled(engine, _chunks(iter(texts), self.pairs), progress)

    def predict_each(
        self, lists: Iterable[Sequence[str | Pair]], *, progress: Progress = SILENT
    ) -> Iterator[Predictions]:
        """Predict the labels of each of many lists of texts, one after another.

        The next list is read and tokenized while one is labelled. The predictions of a list do not depend on the others.

        Args:
            lists: The lists; they are read as needed, and may be empty. No text is blank.
            progress: Front end that shows one bar per list.

        Returns:
            The predictions of each list. The iterator raises a DataError at a list with a text that is blank or not
            text, after the lists before it.

        Raises:
            ConfigError: The predictor is closed.
        """
        engine = self._held()
        return self._chunks_labelled(engine, (tuple(_checked(texts, 1, self.pairs)) for texts in lists), progress)

    def close(self) -> None:
        """Release the weights. Running calls of other threads finish normally; further calls are refused."""
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
                "This predictor is closed, and no longer holds a model. Make another: Predictor(classifier)."
            )
        return engine

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return the token ids of texts, cut to the limit."""
        return encode(self._tokenizer, texts, self.max_length, self._windows)

    def logits_of(self, encoded: Encoded) -> NDArray[np.float32]:
        """Return the logits of encoded texts, shape (texts, classes): what `predict` decides by.

        Raises:
            ConfigError: The predictor is closed.
        """
        return self._held().logits(encoded)

    def _encode_or_none(self, texts: Sequence[str]) -> Encoded | None:
        return self.encode(texts) if texts else None

    def _label(
        self, engine: Engine, texts: tuple[str, ...], encoded: Encoded | None, progress: Progress
    ) -> Predictions:
        if encoded is None:
            return Predictions((), (), np.empty((0, len(self.labels))), self.labels, 0)
        logits = engine.logits(encoded, progress=progress)
        decisions = self.task.decide(logits)
        labels = self.task.names(decisions, self.labels)
        probabilities = self.task.probabilities(logits, self._temperature)
        return Predictions(texts, labels, probabilities, self.labels, encoded.truncated, decisions)

    def _chunks_labelled(
        self, engine: Engine, chunks: Iterator[tuple[str, ...]], progress: Progress
    ) -> Iterator[Predictions]:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize") as tokenizing:
            coming = [(chunk, tokenizing.submit(self._encode_or_none, chunk)) for chunk in islice(chunks, 1)]
            while coming:
                chunk, encoded = coming.pop()
                mistake = None
                # Read here and not in the thread, which would keep waiting for a slow pipe after an interrupt.
                try:
                    coming = [(chunk, tokenizing.submit(self._encode_or_none, chunk)) for chunk in islice(chunks, 1)]
                except Exception as error:
                    mistake = error
                yield self._label(engine, chunk, encoded.result(), progress)
                return_freed_memory()
                if mistake is not None:
                    raise mistake


def checked_list(texts: Iterable[object], function: str, call: str, pairs: bool | None) -> tuple[str, ...]:
    """Return the texts of a list, an array or a column, each checked.

    Args:
        texts: The caller's argument.
        function: Name of the called function, for messages.
        call: A correct call with one text, for messages.
        pairs: True if pairs are expected, False if single texts, None if either.

    Raises:
        DataError: There is no text, a text is blank, or an entry is not text.
    """
    refuse_no_list(texts, function, call)
    checked = tuple(_checked(texts, 1, pairs))
    if not checked:
        raise DataError("There is no text to predict. Give at least one.")
    return checked


def refuse_no_list(texts: object, function: str, call: str) -> None:
    """Refuse an object that is not a list of texts, such as a table: iterating over it gives names of columns.

    Args:
        texts: The caller's argument.
        function: Name of the called function, for messages.
        call: A correct call with one text, for messages.

    Raises:
        DataError: It is not a list of texts.
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


def _chunks(texts: Iterator[object], pairs: bool | None) -> Iterator[tuple[str, ...]]:
    """Yield the texts in chunks, checked."""
    start = 1
    while chunk := tuple(_checked(islice(texts, CHUNK), start, pairs)):
        yield chunk
        start += len(chunk)


def _checked(texts: Iterable[object], start: int, pairs: bool | None) -> Iterator[str]:
    """Yield the texts, each checked, or the pairs as `TextPair`s; `start` is the number of the first."""
    for number, given in enumerate(texts, start):
        text = as_text(given)
        if text is None:
            kind = type(given).__name__
            raise DataError(f"Text {number:,} is {kind}, not a string. Convert it, or drop it.")
        is_pair = isinstance(text, TextPair)
        if pairs is None:  # what the first one is, all are
            pairs = is_pair
        if is_pair != pairs:
            seen, expected = ("a pair", "single texts") if is_pair else ("a single text", "pairs (first, second)")
            raise DataError(f"Text {number:,} is {seen}, where {expected} are expected, as in the model's training.")
        side = blank_side(text)
        if side is not None:
            where = "Text" if side == "text" else f"The {side} of pair"
            raise DataError(f"{where} {number:,} is blank: there is nothing to classify in it. Drop it, or fill it in.")
        yield text


def as_text(given: object) -> str | None:
    """Return a text or a pair of texts as `TextPair`; None for anything else."""
    if isinstance(given, str):
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(isinstance(side, str) for side in given):
        return TextPair(*given)
    return None
