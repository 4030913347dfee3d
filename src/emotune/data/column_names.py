"""Names that columns of texts and of labels usually have, in the order in which they are believed.

Case, spaces, underscores, hyphens and dots make no difference: "Review Text" is "review_text".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

Role = Literal["text", "label"]

KNOWN_NAMES: dict[Role, tuple[str, ...]] = {
    "text": ("text", "sentence", "message", "tweet", "content", "review", "document", "comment", "utterance"),
    "label": ("label", "label_name", "labels", "emotion", "sentiment", "category", "class", "target"),
}
"""The commonest names, which messages list."""

# Names that are as clear, and less common. They count where no column has one of the commonest.
_CLEAR: dict[Role, tuple[str, ...]] = {
    "text": (
        *(f"{what}_text" for what in ("comment", "review", "tweet", "message", "post", "sentence", "clean", "cleaned")),
        *("review_body", "review_content", "tweet_content", "full_text", "raw_text", "input_text", "text_content"),
    ),
    "label": ("label_text", "class_name", "class_label", "emotions", "sentiment_label", "emotion_label"),
}
# Names that may mean something else, or one part of a row. They count where no column has a clear name; alone they do
# not show that a line is a header, since "question" may be a label and "title" a text.
_WEAK: dict[Role, tuple[str, ...]] = {
    "text": ("body", "description", "title", "headline", "summary", "abstract", "question", "answer", "phrase"),
    # The columns of Jigsaw's comments have one label each: toxic is read where it is the only one of them.
    "label": (
        *("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate", "toxicity"),
        *("cats", "polarity", "rating", "stars", "intent", "topic"),
    ),
}


def normal(name: str) -> str:
    """Return a name without what makes no difference."""
    return re.sub(r"[\s_.-]+", "", name).lower()


def named_like(columns: Iterable[str], role: Role) -> list[str]:
    """Return the columns whose names say that they hold texts, or labels: all those of the most believed kind."""
    columns = list(columns)
    for names in (KNOWN_NAMES[role], _CLEAR[role], _WEAK[role]):
        normals = set(map(normal, names))
        found = [column for column in columns if normal(column) in normals]
        if found:
            return found
    return []


def has_clear_name(columns: Sequence[str], role: Role) -> bool:
    """Return whether some column's name is one that a row of data hardly has in its place."""
    normals = {normal(name) for names in (KNOWN_NAMES[role], _CLEAR[role]) for name in names}
    return any(normal(column) in normals for column in columns)


def is_commonest(name: str, role: Role) -> bool:
    """Return whether a name is one of the commonest, which nobody needs to be told of."""
    return normal(name) in map(normal, KNOWN_NAMES[role])
