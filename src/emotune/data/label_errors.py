"""Labels that are probably wrong: a classifier that never saw a text disagrees with its label, and is usually right when so sure.

The method is confident learning (C. Northcutt, L. Jiang, I. Chuang, JAIR 70, 2021) by the cleanlab library, on out-of-fold probabilities of
logistic regression over words and pairs of words. Repeats of a text share a fold. The classifier is judged first: one that is not
good at the labels as a whole names no row, and a row is named only where it finds another label several times as likely as the row's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from emotune.data.audit import Row

FOLDS = 5
# How far the classifier's mean recall must lie between chance (0) and no mistake (1) before it may say that a label is wrong.
LEAST_SKILL = 0.5
# How many times as likely as the row's own label another one must be to it.
LEAST_RATIO = 4


@dataclass(frozen=True)
class LabelError:
    """A row whose label is probably wrong.

    Attributes:
        row: The row.
        suggestion: The label that the classifier gives it.
        confidence: Its probability for that label.
        given: Its probability for the label that the row has.
    """

    row: Row
    suggestion: str
    confidence: float
    given: float


def find_label_errors(
    rows: Sequence[Row], groups: NDArray[np.int64]
) -> tuple[tuple[LabelError, ...] | None, list[str]]:
    """Rows whose label is probably wrong, most suspicious first.

    Args:
        rows: Training rows.
        groups: Shape (rows,), texts that repeat each other have the same number.

    Returns:
        The rows, or None where they could not be looked for or the classifier is too weak to name any; and why not, or how good
        the classifier is.
    """
    counts = Counter(row.label for row in rows)
    folds = min(FOLDS, min(counts.values(), default=0))
    if len(counts) < 2 or folds < 2:
        few = ", ".join(f"'{label}'" for label, count in counts.items() if count < 2)
        why = f"only one row of {few}" if few and len(counts) > 1 else "fewer than two labels"
        return None, [f"Likely label errors were not looked for: training has {why}."]

    of_label: dict[str, set[int]] = {}
    for row, group in zip(rows, groups.tolist(), strict=True):
        of_label.setdefault(row.label, set()).add(group)
    # Every fold must leave some text of each label to learn from.
    folds = min(folds, *(len(texts) for texts in of_label.values()))
    if folds < 2:
        return None, [
            "Likely label errors were not looked for: a label of training has fewer than two different texts."
        ]

    from cleanlab.filter import find_label_issues
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    names = sorted(counts)
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.fromiter((numbers[row.label] for row in rows), np.int64, len(rows))
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]+", dtype=np.float32
    )
    features = vectorizer.fit_transform([row.text for row in rows])
    probabilities = cross_val_predict(
        LogisticRegression(C=10.0, max_iter=200, tol=1e-3, class_weight="balanced"),
        features,
        labels,
        groups=groups,
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=0),
        method="predict_proba",
    )
    best = probabilities.argmax(axis=1)
    recall = float(recall_score(labels, best, average="macro"))
    needed = (1 + LEAST_SKILL * (len(names) - 1)) / len(names)
    if recall < needed:
        return None, [
            "Likely label errors are not named: the classifier that would find them, on words and pairs of words, gets "
            f"{100 * recall:.0f} % of each class right on average where it has not seen the text, and {100 * needed:.0f} % are "
            f"needed with {len(names)} labels. What it disagrees with would mostly be its own mistakes."
        ]
    found = find_label_issues(labels, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)
    errors = tuple(
        LabelError(
            row=rows[number],
            suggestion=names[best[number]],
            confidence=float(probabilities[number, best[number]]),
            given=float(probabilities[number, labels[number]]),
        )
        for number in found.tolist()
        if probabilities[number, best[number]] >= LEAST_RATIO * probabilities[number, labels[number]]
    )
    return errors, [
        "Labels that are probably wrong are named by a classifier on words and pairs of words that gets "
        f"{100 * recall:.0f} % of each class right on average where it has not seen the text; only rows to which another label is at "
        f"least {LEAST_RATIO} times as likely as their own."
    ]
