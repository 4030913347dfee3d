"""Find labels that are probably wrong: a classifier that never saw the text disagrees, and the label is likelier wrong.

The classifier is the best of several, on words or on a model's features of the texts, by out-of-fold scores; repeats of
a text share a fold. From its scores, `emotune.tasks.label_noise` estimates how many labels are wrong and how good the
classifier is, measured by the true labels. A weak classifier names no row, even if wrong labels could explain many of
its mistakes. A row is named only if its label is more likely wrong than right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.data.auditing.located import Row
from emotune.system.wording import listed
from emotune.tasks.judges import Features, best_judge
from emotune.tasks.label_noise import estimate_noise, likeliest_others

FOLDS = 5
# Least skill of a classifier that may name labels: its mean recall by the true labels on a scale from chance (0) to no
# mistake (1), at the least noise that the labels allow.
LEAST_SKILL = 0.4
# A label is named only if its probability of being wrong exceeds this.
LEAST_WRONG = 0.5
# With more rows than this, a model's features take too much time and memory.
MOST_WITH_MODEL = 50_000


@dataclass(frozen=True)
class SuspectLabel:
    """A row whose label is probably wrong.

    Attributes:
        row: The row.
        suggestion: The likeliest other label.
        confidence: The probability that the suggestion is right.
        given: The probability that the row's own label is right.
    """

    row: Row
    suggestion: str
    confidence: float
    given: float


def find_label_errors(
    rows: Sequence[Row], groups: NDArray[np.int64], features: Callable[[Sequence[str]], Features] | None = None
) -> tuple[tuple[SuspectLabel, ...] | None, list[str]]:
    """Return the rows whose label is probably wrong, most suspicious first.

    Args:
        rows: Training rows.
        groups: Shape (rows,), the same number for texts that repeat each other or are nearly equal.
        features: Computes a model's features of texts, for a better judge than words only.

    Returns:
        The rows, or None if the search was not possible or the classifier is too weak to name any; and sentences with
        the reason, or with the quality of the classifier.
    """
    of_label: dict[str, set[int]] = {}
    for row, group in zip(rows, groups.tolist(), strict=True):
        of_label.setdefault(row.label, set()).add(group)
    rare = [label for label, texts in of_label.items() if len(texts) < 2]
    if len(of_label) - len(rare) < 2:
        why = _few_texts(rows, rare) if rare and len(of_label) > 1 else "fewer than two labels"
        return None, [f"Likely label errors were not looked for: training has {why}."]
    notes = [f"Not judged, and not suggested for other rows: training has {_few_texts(rows, rare)}."] if rare else []
    judged = np.array([row.label not in rare for row in rows])
    rows, groups = [row for row, kept in zip(rows, judged, strict=True) if kept], groups[judged]
    # Every fold must leave a text of each label in its training part.
    folds = min(FOLDS, *(len(texts) for label, texts in of_label.items() if label not in rare))

    from sklearn.model_selection import StratifiedGroupKFold

    names = sorted({row.label for row in rows})
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.fromiter((numbers[row.label] for row in rows), np.int64, len(rows))
    texts = [row.text for row in rows]
    parts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(texts, labels, groups))
    if any(len(set(labels[learn].tolist())) < len(names) for learn, _ in parts):
        return None, ["Likely label errors were not looked for: the texts of a label repeat each other too much."]
    if features is not None and len(texts) > MOST_WITH_MODEL:
        notes.append(f"Labels are judged from words only, since there are more than {MOST_WITH_MODEL:,} training rows.")
    with_model = features is not None and len(texts) <= MOST_WITH_MODEL
    judge = best_judge(texts, labels, parts, features(texts) if features is not None and with_model else None)
    noise = estimate_noise(judge.scores, labels)

    needed = (1 + LEAST_SKILL * (len(names) - 1)) / len(names)
    skill = (
        f"{judge.name}, which gets {_percent(judge.recall)} of each class right on average where it has not seen the text; allowing for "
        f"wrong labels, an estimated {_percent(noise.recall)}"
    )
    if noise.least_recall < needed:
        return None, [
            *notes,
            f"Likely label errors are not named. The best judge at hand is {skill}, and at least {_percent(noise.least_recall)}; "
            f"{_percent(needed)} are needed with {len(names)} labels. Most of its disagreements would be its own mistakes."
            + (
                "" if features is not None else " With --model MODEL it can also use the model's features of the texts."
            ),
        ]
    if noise.least_rate == 0:
        return (), [*notes, f"No label is probably wrong as far as the judge can tell. It is {skill}."]
    own, best, likely = likeliest_others(noise.true, labels)
    found = np.flatnonzero(1 - own > LEAST_WRONG)
    errors = tuple(
        SuspectLabel(rows[i], names[best[i]], float(likely[i]), float(own[i]))
        for i in found[np.argsort(own[found], kind="stable")].tolist()
    )
    return errors, [
        *notes,
        f"Labels that are probably wrong are named by {skill}. An estimated {100 * noise.rate:.1f} % of the labels are wrong; named are "
        "those that are more likely wrong than right.",
    ]


def _few_texts(rows: Sequence[Row], rare: Sequence[str]) -> str:
    """Return what training has too few texts of, as the end of a clause.

    Args:
        rows: Training rows.
        rare: The labels with too few texts to be judged.
    """
    counts = Counter(row.label for row in rows)
    if all(counts[label] == 1 for label in rare):
        return f"only one row of {listed(rare)}"
    return f"fewer than two different texts (nearly equal ones count as one) of {listed(rare)}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
