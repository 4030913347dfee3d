"""What the page asks beside predictions: the base model's probabilities, and the words behind a prediction.

Both need models as written in transformers and PEFT, which a `Predictor` does not keep. They are loaded on the first
question, over one copy of the base's weights.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from emotune.evaluation.attribution import Words, explain
from emotune.folder.base import encoder_for, open_base
from emotune.folder.saved import SavedFolder
from emotune.folder.tuned import TunedClassifier
from emotune.inference.predictor import Predictions, Predictor
from emotune.models.classifier import Classifier
from emotune.models.load import OpenBase
from emotune.system.errors import ArtifactError

# Models held at a time: a base of a few hundred megabytes each, unless they share it.
MOST_HELD = 4


class Served(Protocol):
    """A model of the service."""

    @property
    def name(self) -> str:
        """Its name in addresses."""

    @property
    def folder(self) -> Path:
        """The saved folder."""

    @property
    def predictor(self) -> Predictor:
        """The predictor of the tuned model."""


@dataclass(frozen=True)
class Before:
    """The base model's answer.

    Attributes:
        name: The base model's name.
        is_chance: True if its head is random numbers.
        predictions: Its predictions.
    """

    name: str
    is_chance: bool
    predictions: Predictions


class Background:
    """A served model with its base, each loaded when it is first needed.

    Args:
        served: The served model.
        base: The base model's location, for a folder whose base was a local folder.
        bases: Opened base models by name and revision, shared between folders.
    """

    def __init__(self, served: Served, base: str | Path | None, bases: dict[tuple[str, str | None], OpenBase]) -> None:
        self.served = served
        self._saved = SavedFolder.checked(served.folder, base)
        self._bases = bases

    @property
    def base_key(self) -> tuple[str, str | None]:
        """Name and revision of the base model."""
        return str(self._saved.base), self._saved.base_revision

    def before(self, texts: list[str]) -> Before:
        """Return the base model's predictions, in the arithmetic of the tuned model's.

        Raises:
            ArtifactError: The folder does not say which base it was trained on.
            ModelError: The base model cannot be loaded.
            HubError: The base model is on the Hub, and the Hub cannot be reached.
        """
        classifier, predictor = self._base
        return Before(classifier.name, classifier.has_new_head, predictor.predict(texts))

    def words(self, text: str, label: str) -> Words | None:
        """Return the weights of a text's words for a label; None if the tokenizer does not tell words apart.

        Raises:
            ModelError: The base model cannot be loaded.
            HubError: The base model is on the Hub, and the Hub cannot be reached.
        """
        found = explain(self._tuned, [text], [self._saved.labels.index(label)])
        return None if found is None else found[0]

    @cached_property
    def _base(self) -> tuple[Classifier, Predictor]:
        saved = self._saved
        if saved.base == saved.folder:
            name = saved.description.base_model.name
            raise ArtifactError(
                f"The base model '{name}' was a local folder, and is not in this one. Start the service with --base FOLDER."
            )
        found = self._opened().classifier(saved.labels, max_length=saved.max_length, task=saved.task)
        classifier = replace(found, pairs=saved.description.pairs, windows=saved.description.windows)
        # int8 needs rows that a tuned model keeps, and a base model does not.
        own = self.served.predictor.precision
        return classifier, Predictor(classifier, precision="auto" if own == "int8" else own)

    @cached_property
    def _tuned(self) -> TunedClassifier:
        saved = self._saved
        return saved.classifier(lambda: encoder_for(saved, self._opened()))

    def _opened(self) -> OpenBase:
        if self.base_key not in self._bases:
            self._bases[self.base_key] = open_base(*self.base_key)
        return self._bases[self.base_key]


class Backgrounds:
    """The backgrounds of the models that were asked about last.

    Not for several threads at once; the page asks one question at a time.

    Args:
        base: As for `Background`.
    """

    def __init__(self, base: str | Path | None = None) -> None:
        self._base = base
        self._bases: dict[tuple[str, str | None], OpenBase] = {}
        self._held: OrderedDict[str, Background] = OrderedDict()

    def of(self, served: Served) -> Background:
        """Return the background of a served model; a new one if the service has loaded its folder again.

        Raises:
            ArtifactError: The folder is incomplete or damaged, or its base model is not known.
        """
        found = self._held.pop(served.name, None)
        if found is None or found.served.predictor is not served.predictor:
            found = Background(served, self._base, self._bases)
        self._held[served.name] = found
        while len(self._held) > MOST_HELD:
            self._held.popitem(last=False)
        kept = {held.base_key for held in self._held.values()}
        for key in [key for key in self._bases if key not in kept]:
            del self._bases[key]
        return found


def marked(words: Words) -> list[dict[str, Any]]:
    """Return words for JSON: the white space before each, the word, and its weight from 0 to 1."""
    gaps = words.gaps or ("", *" " * (len(words.pieces) - 1))
    return [
        {"gap": gap, "text": piece, "weight": round(weight, 3)}
        for gap, piece, weight in zip(gaps, words.pieces, words.weights, strict=True)
    ]
