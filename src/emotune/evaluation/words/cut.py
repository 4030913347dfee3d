"""The sentence of a verdict about texts that a model has not read to their end."""

from __future__ import annotations

from emotune.evaluation.scores import Evaluation
from emotune.evaluation.words.formats import LONGEST_NAME, percent
from emotune.system.pairs import are_pairs
from emotune.system.text import printable

# Share of cut texts above which the verdict names it.
MOST_CUT = 0.05


def cut_sentences(evaluation: Evaluation) -> list[str]:
    """Return a sentence on the share of texts that were cut; none if few were.

    Windows read a long text whole, but no long pair, so they are named for single texts only.
    """
    split = evaluation.split
    if evaluation.cut <= MOST_CUT * len(split):
        return []
    name, cut = printable(evaluation.name, LONGEST_NAME), percent(evaluation.cut, len(split))
    if are_pairs(split.texts):
        return [
            f"{cut} of the pairs are longer than the model's limit on tokens, and their longer texts were cut: '{name}' has not "
            "read these to their end. A higher limit, with --max-length, reads more of them."
        ]
    return [
        f"{cut} of the texts are longer than the model's limit on tokens and were cut: '{name}' has read only their "
        "beginnings. With --long-texts windows it reads all of them."
    ]
