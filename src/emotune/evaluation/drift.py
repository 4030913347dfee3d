"""Drift: do new texts without labels look like those that a model was tested on?

The reference is the saved test rows. The model was not trained on them, so its predictions and confidence there are
those that it has on new texts; on its training texts it is more confident than on any others.

Each property of the texts is compared by a test, whose p-values are corrected for their number (Holm, 1979). With many
rows any difference is significant, so a property has drifted only if its difference also has a minimal size. All sizes
are shares of rows (`emotune.statistics.two_samples`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from emotune.data.duplicates import single_words
from emotune.evaluation.scores import Evaluation
from emotune.folder.fingerprints import Fingerprints
from emotune.inference.predictor import Predictions
from emotune.statistics.paired import holm
from emotune.statistics.two_samples import Difference, counts_differ, detectable, numbers_differ
from emotune.system.errors import ConfigError
from emotune.tasks.base import Targets, Task

LEVEL = 0.01
LEAST_CHANGE = 0.1
# Decimals of compared confidences: arithmetic of other precision or another device differs less.
_DECIMALS = 4
_MOST_WORDS = 8


@dataclass(frozen=True, eq=False)
class Labelled:
    """Texts with the labels that a model gives them.

    Attributes:
        texts: The texts.
        predictions: The labels.
        probabilities: Shape (texts, classes).
    """

    texts: Sequence[str] = field(repr=False)
    predictions: Targets = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of_evaluation(cls, found: Evaluation) -> Labelled:
        """Return the rows of an evaluation that has probabilities."""
        if found.probabilities is None:
            raise ValueError(f"'{found.name}' has no probabilities")
        return cls(found.split.texts, found.predictions, found.probabilities)

    @classmethod
    def of_predictions(cls, found: Predictions) -> Labelled:
        """Return the texts of a prediction that a predictor made."""
        if found.decisions is None:
            raise ValueError("the predictions have no decisions")
        return cls(found.texts, found.decisions, found.probabilities)

    @cached_property
    def words(self) -> list[list[str]]:
        """Words of each text, without user names and addresses."""
        return [single_words(text) for text in self.texts]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words per text."""
        return np.fromiter(map(len, self.words), np.int64, len(self.texts))


@dataclass(frozen=True)
class Shift:
    """One property of the texts, compared.

    Attributes:
        name: "labels" (or one label, of several per text), "confidence", "length" or "unseen words".
        unit: What the figures are: "", "mean probability", "words per text", "share of words".
        reference: Its figure in the reference; None for labels, which have several.
        new: Its figure in the new texts.
        size: Share of rows by which the two differ.
        p_value: Of the test.
        adjusted_p: The same, corrected for the number of tests (Holm).
    """

    name: str
    unit: str
    reference: float | None
    new: float | None
    size: float
    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Drift:
    """Comparison of new texts with a reference.

    Attributes:
        reference_rows: Texts of the reference.
        rows: New texts.
        level: Level of the tests together.
        least_change: Size from which a significant difference counts.
        shifts: The properties.
        shares: Share of rows by label: in the reference, and in the new texts.
        unseen: Words that no training text has and most new texts have, with their number; most frequent first.
        detectable: Smallest size that can be significant in a property of numbers, with these rows.
        skipped: Sentence on a property that was not compared, or "".
    """

    reference_rows: int
    rows: int
    level: float
    least_change: float
    shifts: tuple[Shift, ...]
    shares: Mapping[str, tuple[float, float]]
    unseen: Mapping[str, int]
    detectable: float
    skipped: str = ""

    @property
    def significant(self) -> tuple[Shift, ...]:
        """The properties that differ significantly, whatever the size."""
        return tuple(shift for shift in self.shifts if shift.adjusted_p < self.level)

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """The properties whose difference is significant and of the minimal size."""
        return tuple(shift for shift in self.significant if shift.size >= self.least_change)

    @property
    def look(self) -> bool:
        """True if the new texts are worth a look."""
        return bool(self.drifted)


def check_limits(level: float, least_change: float) -> None:
    """Refuse limits that are out of range.

    Raises:
        ConfigError: The level or the least change is not between 0 and 1.
    """
    for option, value, example in (("level", level, "0.01"), ("least change", least_change, "0.1")):
        if not 0 < value < 1:
            raise ConfigError(f"The {option} is {value:g}; expected a number between 0 and 1, such as {example}.")


def find_drift(
    reference: Labelled,
    new: Labelled,
    *,
    task: Task,
    labels: Sequence[str],
    seen: Fingerprints | None,
    level: float = LEVEL,
    least_change: float = LEAST_CHANGE,
    skipped: str = "",
) -> Drift:
    """Compare new texts with a reference.

    Args:
        reference: Rows that the model was not trained on, usually its test rows.
        new: The new texts.
        task: The kind of label.
        labels: Label names.
        seen: Hashes of the training words; None leaves unseen words out.
        level: Probability of calling anything significant if nothing has changed.
        least_change: Share of rows from which a difference counts.
        skipped: The reason for leaving unseen words out, a sentence.

    Raises:
        ConfigError: The level or the minimal size is out of range.
    """
    check_limits(level, least_change)
    rows = len(reference.texts), len(new.texts)
    found: list[tuple[str, str, float | None, float | None, Difference]] = []
    # Not from the tallies: "not joy" may be a label of its own, beside the rows without "joy".
    counts = [task.counts(side.predictions, labels) for side in (reference, new)]
    shares = {label: (counts[0][label] / rows[0], counts[1][label] / rows[1]) for label in labels}
    tallies = list(zip(task.tallies(reference.predictions, labels), task.tallies(new.predictions, labels), strict=True))
    for old, now in tallies:
        name = "labels" if len(tallies) == 1 else f"label '{next(iter(old))}'"
        found.append((name, "", None, None, counts_differ(list(old.values()), list(now.values()))))
    sides = [np.round(task.confidence(side.probabilities), _DECIMALS) for side in (reference, new)]
    found.append(_numbers("confidence", "mean probability", sides))
    sides = [side.lengths.astype(np.float64) for side in (reference, new)]
    found.append(_numbers("length", "words per text", sides))
    frequent: dict[str, int] = {}
    if seen is not None:
        numbers, new_words = _unseen(reference, new, seen)
        means = [
            float(number.sum()) / max(1, int(side.lengths.sum()))
            for number, side in zip(numbers, (reference, new), strict=True)
        ]
        found.append(("unseen words", "share of words", means[0], means[1], counts_differ(*_binned(numbers))))
        frequent = dict(new_words.most_common(_MOST_WORDS))
    adjusted = holm([difference.p_value for *_, difference in found])
    return Drift(
        reference_rows=rows[0],
        rows=rows[1],
        level=level,
        least_change=least_change,
        shifts=tuple(
            Shift(name, unit, old, now, difference.size, difference.p_value, p)
            for (name, unit, old, now, difference), p in zip(found, adjusted, strict=True)
        ),
        shares=shares,
        unseen=frequent,
        detectable=detectable(*rows, level / len(found)),
        skipped=skipped,
    )


def _numbers(
    name: str, unit: str, sides: Sequence[NDArray[np.float64]]
) -> tuple[str, str, float | None, float | None, Difference]:
    first, second = sides
    return name, unit, float(first.mean()), float(second.mean()), numbers_differ(first, second)


def _unseen(reference: Labelled, new: Labelled, seen: Fingerprints) -> tuple[list[NDArray[np.int64]], Counter[str]]:
    """Return each text's number of words that training lacks, for both sides, and these words of the new texts.

    The test compares texts and not words: the words of one text belong together, and a test that took them for
    independent would find drift too often.
    """
    unseen = seen.unseen(word for side in (reference, new) for words in side.words for word in words)
    numbers = [np.array([sum(word in unseen for word in words) for words in side.words]) for side in (reference, new)]
    return numbers, Counter(word for words in new.words for word in dict.fromkeys(words) if word in unseen)


def _binned(numbers: Sequence[NDArray[np.int64]]) -> list[list[int]]:
    """Count texts of both sides by their number of unseen words: 0, 1, 2 to 3, 4 to 7, 8 to 15, ..."""
    bins = [np.frexp(number)[1] for number in numbers]  # bits of the number
    most = max(int(found.max()) for found in bins) + 1
    return [np.bincount(found, minlength=most).tolist() for found in bins]


def draw(texts: Iterable[str], most: int, seed: int = 0) -> tuple[list[str], int]:
    """Draw texts at random from a stream, in constant memory (reservoir sampling), and keep their order.

    Args:
        texts: The texts.
        most: Number of texts to draw; if there are fewer, all are returned.
        seed: Chooses the texts.

    Returns:
        The texts, and the number of texts in the stream.
    """
    random = Random(seed)
    kept: list[tuple[int, str]] = []
    total = 0
    for number, text in enumerate(texts):
        total = number + 1
        if len(kept) < most:
            kept.append((number, text))
        else:
            place = random.randrange(total)
            if place < most:
                kept[place] = (number, text)
    return [text for _, text in sorted(kept)], total
