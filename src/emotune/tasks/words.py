"""The baseline without BERT: a carefully chosen linear classifier on TF-IDF weights of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.system.pairs import BETWEEN, TextPair, are_pairs
from emotune.tasks.base import LabelledTexts, Simple
from emotune.tasks.calibration import fit_temperature
from emotune.tasks.choosing import ENOUGH_ROWS, Judges, held_out, macro_f1
from emotune.tasks.scores import softmax

# Words of letters and digits, and runs of other characters, such as ":)" or emoji.
WORD = r"(?u)\w+|[^\w\s]+"


@dataclass(frozen=True)
class Vocabulary:
    """Words that are used: single words or also pairs of neighbours, and the least number of training rows."""

    pairs: bool
    least_rows: int

    def __str__(self) -> str:
        rare = f" that occur in {self.least_rows} training rows or more" if self.least_rows > 1 else ""
        return f"{'words and pairs of words' if self.pairs else 'single words'}{rare}"


@dataclass(frozen=True)
class Learner:
    """Settings of a linear classifier: kind, inverse strength of regularization, and balanced class weights or not."""

    svm: bool
    strength: float
    balanced: bool

    def __str__(self) -> str:
        classes = ", classes weighted alike" if self.balanced else ""
        return f"{'linear SVM' if self.svm else 'logistic regression'} (C={self.strength:g}{classes})"

    def build(self) -> Any:
        """Return the classifier of scikit-learn."""
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
    """Return the predictions of a linear classifier on TF-IDF weights of words, which needs no BERT at all.

    It is chosen by macro-F1 on validation, and on out-of-fold training rows if validation has fewer than a thousand
    rows: first the vocabulary, then the classifier (`VOCABULARIES`, `LEARNERS`). The predicted label has the
    classifier's largest decision value. Probabilities are the softmax of its decision values divided by a temperature,
    which changes no label. The temperature is fitted on out-of-fold training rows.

    Args:
        train: The training rows.
        validation: The rows for choosing.
        test: The rows to score, once.
    """
    from threadpoolctl import threadpool_limits

    # The products are too small for several threads: threads that wait for each other took several times as long on
    # busy cores.
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
    """Yield each vocabulary that has words, with TF-IDF weights by split, shape (rows, words); count words once."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    counter = CountVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    if are_pairs(train.texts):
        counter = CountVectorizer(analyzer=_Sides(counter.build_analyzer()), dtype=np.float32)
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


@dataclass(frozen=True)
class _Sides:
    """Analyzer of pairs of texts: the words of both sides, those of the second marked."""

    analyze: Callable[[str], list[str]]

    def __call__(self, text: str) -> list[str]:
        if not isinstance(text, TextPair):
            return self.analyze(text)
        return [*self.analyze(text.first), *(f"{BETWEEN}{word}" for word in self.analyze(text.second))]


def _judge(table: dict[str, Any], learner: Learner, judges: Judges) -> tuple[float, Any]:
    """Return the macro-F1 of a setting, and its classifier trained on all training rows."""
    classes = len(judges.train.labels)
    models = [learner.build().fit(table["train"][rows], judges.train.label_ids[rows]) for rows in judges.learners]
    judged = [table["validation"], *(table["train"][part] for part in judges.parts)]
    decisions = [_decisions(model, part, classes) for model, part in zip(models, judged, strict=True)]
    return judges.macro_f1(np.concatenate(decisions).argmax(axis=1)), models[0]


def _decisions(model: Any, features: Any, classes: int) -> NDArray[np.float64]:
    """Return decision values of all labels, shape (rows, classes); a label not seen in training is below all others."""
    values = np.asarray(model.decision_function(features), dtype=np.float64)
    if values.ndim == 1:  # for two labels there is one value, the second's
        values = np.stack([-values / 2, values / 2], axis=1)
    decisions = np.repeat(values.min(axis=1, keepdims=True) - 1, classes, axis=1)
    decisions[:, model.classes_] = values
    return decisions


def _temperature(features: Any, learner: Learner, train: LabelledTexts) -> float:
    """Return the divisor of decision values, fitted on out-of-fold rows; 1 if they cannot determine it."""
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
    # As if one more row were wrong: without a mistake the loss would fall with the temperature without limit (Platt,
    # 1999, has a similar rule).
    second, first = np.sort(values, axis=1)[:, -2:].T
    typical = np.argsort(first - second)[len(values) // 2]
    truth = np.append(truth, np.argsort(values[typical])[-2])
    # The margin is smaller with more regularization, and sets the scale of the search for a temperature.
    margin = float((first - second)[typical])
    if margin <= 0:
        return 1.0
    return margin * (fit_temperature(truth, np.vstack([values, values[typical]]) / margin) or 1.0)
