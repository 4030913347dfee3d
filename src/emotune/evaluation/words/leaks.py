"""Leaks in words: the number and kind of test rows that repeat a training row, and the scores without them."""

from __future__ import annotations

from collections.abc import Mapping

from emotune.evaluation.leaks import Leaks
from emotune.evaluation.words.formats import share
from emotune.system.text import printable
from emotune.system.wording import counted

KINDS = {"exact": "identical", "trivial": "the same but for case and punctuation", "near": "nearly the same"}


def kinds_in_words(kinds: Mapping[str, int]) -> str:
    """Return the number of repeats of each kind: "10 identical, 3 nearly the same".

    Args:
        kinds: Rows by kind.
    """
    return ", ".join(f"{kinds[kind]:,} {words}" for kind, words in KINDS.items() if kinds.get(kind))


def leaks_sentence(leaks: Leaks) -> str:
    """Return a sentence with the scores of all rows and without leaked ones, and those of the best baseline, if chosen.

    Args:
        leaks: The leaks.
    """
    rows = counted(leaks.count, "test row")
    repeat = "repeats" if leaks.count == 1 else "repeat"
    if leaks.without is None:
        return f"Every test row repeats a training row ({kinds_in_words(leaks.kinds)}): none is left to score."
    best = leaks.without.best_baseline
    accuracy, macro_f1 = (share(score) for score in leaks.without.mean_scores)
    whole_accuracy, whole_macro_f1 = (share(score) for score in leaks.comparison.mean_scores)
    seeds = f" (mean of {len(leaks.comparison.seeds)} seeds)" if leaks.comparison.seeds else ""
    baseline = (
        ""
        if best is None
        else f"; the best baseline, '{printable(best.name)}', has {share(best.metrics.accuracy)} and {share(best.metrics.macro_f1)}"
    )
    return (
        f"Without the {rows} that {repeat} a training row ({kinds_in_words(leaks.kinds)}): "
        f"accuracy {accuracy} instead of {whole_accuracy}, macro-F1 {macro_f1} instead of {whole_macro_f1}{seeds}, "
        f"on {counted(leaks.others, 'row')}{baseline}."
    )
