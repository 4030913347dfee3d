"""The baseline without BERT: a linear classifier on weighted words, as a competent opponent would choose it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.base import LabelledTexts, Simple
from emotune.tasks.calibration import fit_temperature
from emotune.tasks.choosing import ENOUGH_ROWS, Judges, held_out, macro_f1
from emotune.tasks.scores import softmax

# Words of letters and digits, and runs of other characters, such as ":)" or emoji.
WORD = r"(?u)\w+|[^\w\s]+"


@dataclass(frozen=True)
class Vocabulary:
    """Which words count: single ones or pairs of neighbours as well, and in how many training rows they must stand."""

    pairs: bool
    least_rows: int

    def __str__(self) -> str:
        rare = f" that stand in {self.least_rows} training rows or more" if self.least_rows > 1 else ""
        return f"{'words and pairs of words' if self.pairs else 'single words'}{rare}"


@dataclass(frozen=True)
class Learner:
    """A linear classifier: its kind, the inverse strength of its regularization, and whether each class has the same weight."""

    svm: bool
    strength: float
    balanced: bool

    def __str__(self) -> str:
        classes = ", classes weighted alike" if self.balanced else ""
        return f"{'linear SVM' if self.svm else 'logistic regression'} (C={self.strength:g}{classes})"

    def build(self) -> Any:
        """The classifier of scikit-learn."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        weights = "balanced" if self.balanced else None
        if self.svm:
            return LinearSVC(C=self.strength, class_weight=weights, random_state=0, max_iter=10_000)
        return LogisticRegression(C=self.strength, class_weight=weights, max_iter=300, tol=1e-3)


VOCABULARIES = tuple(Vocabulary(pairs, rows) for pairs in (False, True) for rows in (1, 2))
LEARNERS = (
    *(Learner(True, strength, balanced) for strength in (0.1, 0.3, 1.0) for balanced in (True, False)),
    *(Learner(False, strength, balanced) for strength in (3.0, 10.0) for balanced in (True, False)),
)
# The vocabulary is chosen with this one, then the classifier for that vocabulary: 13 fits instead of 40.
FIRST = Learner(True, 0.3, True)


def choose_words(train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
    """Return what a linear classifier on TF-IDF weights of words says: what needs no BERT at all.

    Chosen by macro-F1 on validation, and on training rows out of fold where validation has fewer than a thousand rows: first the
    vocabulary, then the classifier (`VOCABULARIES`, `LEARNERS`). Predicted labels are those of the
    classifier's largest decision value. Probabilities are the softmax of its decision values divided by a temperature that is fitted on
    training rows out of fold, which changes no label.

    Args:
        train: The training rows.
        validation: The rows that choose.
        test: The rows that are scored, once.
    """
    from threadpoolctl import threadpool_limits

    # The products are too small to share: threads that wait for each other took several times as long where cores were busy.
    with threadpool_limits(1):
        return _choose_words(train, validation, test)


def _choose_words(train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> Simple:
    judges = Judges.of(train, validation)
    tables = dict(_tables(train, validation, test))
    found: dict[tuple[Vocabulary, Learner], tuple[float, Any]] = {}

    def try_out(vocabulary: Vocabulary, learner: Learner) -> float:
        if (vocabulary, learner) not in found:
            found[vocabulary, learner] = _judge(tables[vocabulary], learner, judges)
        return found[vocabulary, learner][0]

    vocabulary = max(tables, key=lambda candidate: try_out(candidate, FIRST))
    learner = max((FIRST, *LEARNERS), key=lambda candidate: try_out(vocabulary, candidate))
    table, (_, model) = tables[vocabulary], found[vocabulary, learner]
    classes = len(train.labels)
    logits = _decisions(model, table["test"], classes)
    probabilities = softmax(logits / _temperature(table["train"], learner, train))
    validated = _decisions(model, table["validation"], classes).argmax(axis=1)
    return Simple(
        predictions=logits.argmax(axis=1),
        probabilities=probabilities,
        note=f"No BERT at all: {learner} on {vocabulary}, chosen by macro-F1 {judges.said} among {len(found)} settings.",
        parameters=int(model.coef_.size + model.intercept_.size),
        validated=macro_f1(validation.label_ids, validated, classes),
    )


def _tables(
    train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts
) -> Iterator[tuple[Vocabulary, dict[str, Any]]]:
    """Each vocabulary that has words, with the weighted words of every split, shape (rows, words). Words are counted once for all."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    counter = CountVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    learned = counter.fit_transform(train.texts)
    counts = {
        "train": learned,
        "validation": counter.transform(validation.texts),
        "test": counter.transform(test.texts),
    }
    is_pair = np.array([" " in name for name in counter.get_feature_names_out()])
    rows = learned.getnnz(axis=0)
    for vocabulary in VOCABULARIES:
        kept = np.flatnonzero((rows >= vocabulary.least_rows) & (vocabulary.pairs | ~is_pair))
        if len(kept):
            weighting = TfidfTransformer(sublinear_tf=True).fit(learned[:, kept])
            yield vocabulary, {name: weighting.transform(part[:, kept]) for name, part in counts.items()}


def _judge(table: dict[str, Any], learner: Learner, judges: Judges) -> tuple[float, Any]:
    """How good a setting is, and its classifier that has learned from all training rows."""
    classes = len(judges.train.labels)
    models = [learner.build().fit(table["train"][rows], judges.train.label_ids[rows]) for rows in judges.learners]
    judged = [table["validation"], *(table["train"][part] for part in judges.parts)]
    decisions = [_decisions(model, part, classes) for model, part in zip(models, judged, strict=True)]
    return judges.macro_f1(np.concatenate(decisions).argmax(axis=1)), models[0]


def _decisions(model: Any, features: Any, classes: int) -> NDArray[np.float64]:
    """Decision values of all labels, shape (rows, classes); one that the classifier has not seen lies below all others."""
    values = np.asarray(model.decision_function(features), dtype=np.float64)
    if values.ndim == 1:  # two labels have one value, the second's
        values = np.stack([-values / 2, values / 2], axis=1)
    decisions = np.repeat(values.min(axis=1, keepdims=True) - 1, classes, axis=1)
    decisions[:, model.classes_] = values
    return decisions


def _temperature(features: Any, learner: Learner, train: LabelledTexts) -> float:
    """What decision values are divided by, fitted where the classifier has not learned; 1 where that cannot say."""
    parts = held_out(train, ENOUGH_ROWS)
    rows = np.arange(len(train))
    decisions = []
    for part in parts:
        rest = np.setdiff1d(rows, part)
        model = learner.build().fit(features[rest], train.label_ids[rest])
        decisions.append(_decisions(model, features[part], len(train.labels)))
    if not parts:
        return 1.0
    truth, values = train.label_ids[np.concatenate(parts)], np.concatenate(decisions)
    # As if one row more were wrong: without a mistake the loss would fall forever as the temperature does (Platt, 1999, has a like rule).
    second, first = np.sort(values, axis=1)[:, -2:].T
    typical = np.argsort(first - second)[len(values) // 2]
    truth = np.append(truth, np.argsort(values[typical])[-2])
    margin = float(
        (first - second)[typical]
    )  # the more regularization, the smaller: temperatures are looked for about its size
    if margin <= 0:
        return 1.0
    return margin * (fit_temperature(truth, np.vstack([values, values[typical]]) / margin) or 1.0)
