"""Features of texts from a base model, for an audit of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emotune.inference.features import layer_features
from emotune.models.load import OpenBase
from emotune.system.errors import EmotuneError
from emotune.system.progress import SILENT, Progress
from emotune.tasks.judges import Features
from emotune.tasks.probe import side_by_side

# Largest number of features per text. Layers are chosen evenly, including the last, to stay within it: the time of a
# linear model grows with the square of this number.
MOST_FEATURES = 3072


def features_of(
    model: str | Path,
    *,
    max_length: int | None,
    opening: Callable[[str | Path], OpenBase] = OpenBase,
    progress: Progress = SILENT,
) -> Callable[[Sequence[str]], Features]:
    """Return a function that computes a model's features of texts; it loads the model when it is called.

    Args:
        model: As for `load_base`.
        max_length: Tokens per text; longer texts are cut. None for 128.
        opening: Function that opens the model.
        progress: Front end that shows a bar.
    """

    def features(texts: Sequence[str]) -> Features:
        try:
            base = opening(model).classifier(("0", "1"), max_length=max_length)
        except EmotuneError as error:
            raise type(error)(
                f"{error}\nTo count only tokens, which needs no weights, add --no-label-errors."
            ) from None
        states, _, width = layer_features(base, texts[:1]).shape
        few = max(1, min(states, MOST_FEATURES // width))
        layers = np.unique(np.linspace(states - 1, 0, few).round().astype(int)).tolist()
        found = layer_features(base, texts, layers=layers, progress=progress, description="features of training texts")
        return Features(base.name, side_by_side(found))

    return features
