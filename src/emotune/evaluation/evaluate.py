"""`evaluate`: score a classifier on a split, in float32, as plain transformers would."""

from __future__ import annotations

import time

import numpy as np

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.scores import Evaluation, score
from emotune.inference.forward import compute_logits
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode_split
from emotune.models.quantization import element_count
from emotune.system.errors import DataError, ModelError
from emotune.system.pairs import are_pairs
from emotune.system.progress import SILENT, Progress
from emotune.system.wording import counted

UNTRAINED_HEAD = (
    "The head of this model is random numbers, so this measures chance, not what the base model knows: "
    "logistic regression on its frozen features does."
)
OWN_HEAD = "The head is the checkpoint's own."
KEPT_HEAD = (
    f"{OWN_HEAD} Its training data is unknown and may include these rows; "
    "then this score is too good, and so is that of a model tuned from it."
)


def evaluate(
    classifier: Classifier, split: Split, *, name: str | None = None, progress: Progress = SILENT
) -> Evaluation:
    """Score a classifier on the rows of a split.

    Args:
        classifier: The model, base or tuned.
        split: The rows; its labels must be the classifier's, in the same order.
        name: The model's name in tables; by default "tuned", "base" if its checkpoint's head was kept, or
            "base (untrained head)".
        progress: Show a progress bar.

    Raises:
        DataError: It is not a split, or an empty one, or its labels are not the classifier's.
    """
    if isinstance(split, TextDataset):
        raise DataError(
            "evaluate scores one split, and was given the whole data set. Give data.test, or data.validation to choose by."
        )
    if not isinstance(split, Split):
        raise DataError(
            f"evaluate scores a split, such as data.test; it was given {type(split).__name__}. Load the rows with load_data."
        )
    if split.labels != classifier.labels:
        raise DataError(
            f"The classifier's labels are {', '.join(classifier.labels)}; those of '{split.name}' are "
            f"{', '.join(split.labels)}. Score it on data with the same labels in the same order."
        )
    if split.task.name != classifier.task.name:
        raise DataError(
            f"The classifier's task is {classifier.task.name}; that of '{split.name}' is {split.task.name}. "
            "Score it on data of its own kind."
        )
    refuse_other_kind(classifier, split)
    if len(split) == 0:
        raise DataError(f"'{split.name}' has no rows to score.")
    started = time.perf_counter()
    encoded = encode_split(classifier.tokenizer, split, classifier.max_length, classifier.windows)
    logits = compute_logits(classifier.model, encoded, progress=progress, description=f"scoring {split.name}")
    seconds = time.perf_counter() - started
    broken = int((~np.isfinite(logits).all(axis=1)).sum())
    if broken:
        raise ModelError(
            f"'{name or _name(classifier)}' gives {counted(broken, 'row')} of {len(split):,} of '{split.name}' logits that are not "
            "finite numbers, so there is nothing to score. Its weights are broken: load or train it again, or score it with precision fp32."
        )
    probabilities, predictions = classifier.task.probabilities(logits), classifier.task.decide(logits)
    return Evaluation(
        name=name or _name(classifier),
        split=split,
        probabilities=probabilities,
        logits=logits,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=seconds,
        note="" if classifier.is_tuned else UNTRAINED_HEAD if classifier.has_new_head else KEPT_HEAD,
        parameters=sum(map(element_count, classifier.model.parameters())),
        is_chance=classifier.has_new_head,
        has_seed=classifier.is_tuned,
        cut=encoded.truncated,
    )


def refuse_other_kind(classifier: Classifier, split: Split) -> None:
    """Refuse single texts for a model of pairs, and pairs for a model of single texts.

    Raises:
        DataError: The rows are of the other kind.
    """
    if classifier.pairs is None or not len(split) or classifier.pairs == are_pairs(split.texts):
        return
    if classifier.pairs:
        raise DataError(
            f"The model was trained on pairs of texts, and '{split.name}' has one text per row. "
            "Name both columns with --text-column NAME and --text-pair-column NAME."
        )
    raise DataError(
        f"The model was trained on single texts, and the rows of '{split.name}' are pairs. "
        "Choose one column with --text-column NAME."
    )


def _name(classifier: Classifier) -> str:
    if classifier.is_tuned:
        return "tuned"
    return "base (untrained head)" if classifier.has_new_head else "base"
