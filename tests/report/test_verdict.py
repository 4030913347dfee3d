"""The verdict says better, worse or no evidence, by the test and not by the difference alone."""

from __future__ import annotations

import numpy as np

from emotune.evaluation.comparison import compare
from emotune.evaluation.scores import Evaluation, score
from emotune.report.verdict import verdict

from .conftest import make_split


def evaluation(right: int, rows: int, name: str, *, start: int = 0) -> Evaluation:
    """Right on so many rows, counted from one."""
    split = make_split(("a", "b"), rows)
    wrong = (split.label_ids + 1) % 2
    places = (np.arange(rows) - start) % rows
    predictions = np.where(places < right, split.label_ids, wrong)
    return Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=0.0)


def test_better() -> None:
    found = verdict(compare(evaluation(500, 1000, "base"), evaluation(900, 1000, "tuned")))
    assert found.startswith(
        "More accurate: the accuracy of 'tuned' is 40.0 points above that of 'base' (95 % interval +3"
    )
    assert "p < 0.001" in found
    assert "Macro-F1 differs by +" in found


def test_worse() -> None:
    assert verdict(compare(evaluation(900, 1000, "base"), evaluation(500, 1000, "tuned"))).startswith(
        "Less accurate: the accuracy of 'tuned' is 40.0 points below that of 'base'"
    )


def test_no_evidence_says_what_the_rows_could_show() -> None:
    found = verdict(compare(evaluation(80, 100, "base"), evaluation(82, 100, "tuned", start=1)))
    assert found.startswith("No evidence of a difference at this test size: ")
    assert "differs from that of 'base' by +2.0 points" in found
    assert "On 100 test rows a true difference of" in found


def test_the_best_baseline_is_part_of_it() -> None:
    base, tuned = evaluation(100, 1000, "base"), evaluation(800, 1000, "tuned")
    others = (evaluation(300, 1000, "weak"), evaluation(600, 1000, "strong"))
    assert "It is better than the best baseline, 'strong' (+20.0 points" in verdict(compare(base, tuned, *others))
    strong = evaluation(900, 1000, "strong")
    assert "It is worse than the best baseline, 'strong' (-10.0 points" in verdict(compare(base, tuned, strong))
    like = evaluation(800, 1000, "like", start=1)
    assert "It cannot be told from the best baseline, 'like'" in verdict(compare(base, tuned, like))
    same = evaluation(800, 1000, "same")
    assert verdict(compare(base, tuned, same)).endswith(
        " It predicts the same label on every row as the best baseline, 'same'."
    )


def always(label: int, name: str) -> Evaluation:
    """A model that collapsed to one class."""
    split = make_split(("neg", "pos"), 100)
    predictions = np.full(100, label, dtype=np.int64)
    return Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=0.0)


def labelled_as(evaluated: Evaluation, right: int, name: str) -> Evaluation:
    """Right on so many rows of the same split."""
    split = evaluated.split
    predictions = np.where(np.arange(len(split)) < right, split.label_ids, 1 - split.label_ids)
    return Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=0.0)


def test_one_label_for_every_row_is_called_so() -> None:
    tuned = always(0, "tuned")
    base = labelled_as(tuned, 30, "base")
    assert verdict(compare(base, tuned)).endswith(" 'tuned' says 'neg' for every row.")
    found = verdict(compare(base, tuned, always(0, "majority class")))
    assert found.endswith(" 'tuned' says 'neg' for every row, as the best baseline, 'majority class', does.")
    assert "cannot be told" not in found
    better = verdict(compare(base, tuned, always(0, "majority class"), labelled_as(tuned, 95, "TF-IDF")))
    assert (
        "'tuned' says 'neg' for every row, as 'majority class' does. It is worse than the best baseline, 'TF-IDF'"
        in better
    )
    assert " for every row" not in verdict(compare(tuned, base))


def test_of_baselines_with_equal_accuracy_the_one_with_more_macro_f1_is_the_best() -> None:
    tuned = always(0, "tuned")
    right = int(tuned.correct.sum())
    found = verdict(
        compare(
            labelled_as(tuned, 30, "base"), labelled_as(tuned, 60, "after"), tuned, labelled_as(tuned, right, "even")
        )
    )
    assert "the best baseline, 'even'" in found


def test_names_are_shown_and_not_obeyed() -> None:
    assert "\x1b" not in verdict(compare(evaluation(1, 9, "a\x1b[2J"), evaluation(2, 9, "b\n")))


def test_the_same_labels_on_every_row_are_one_sentence() -> None:
    first, second = evaluation(80, 100, "first"), evaluation(80, 100, "second")
    assert verdict(compare(first, second)) == "'first' and 'second' predict the same label on every row (100 rows)."
    base = evaluation(20, 100, "base")
    assert verdict(compare(first, second, base)).startswith(
        "'first' and 'second' predict the same label on every row (100 rows). They are better than the best baseline, 'base' ("
    )


def test_equally_many_right_or_other_mistakes_are_not_the_same_labels() -> None:
    first = evaluation(80, 100, "first")
    assert "No evidence" in verdict(compare(first, evaluation(80, 100, "second", start=1)))
    split = make_split(("a", "b", "c"), 100)
    wrong, wrong_too = ((split.label_ids + step) % 3 for step in (1, 2))
    models = [
        Evaluation(str(i), split, None, None, p, score(split, p, None), 0.0) for i, p in enumerate((wrong, wrong_too))
    ]
    assert "No evidence" in verdict(compare(*models))


def test_a_corrected_p_value_decides() -> None:
    found = compare(evaluation(80, 100, "base"), evaluation(95, 100, "tuned"))
    assert found.statistics.p_value < 0.01
    assert verdict(found).startswith("More accurate")
    assert "p = 0.200" in verdict(found, corrected_p=0.2)
    assert verdict(found, corrected_p=0.2).startswith("No evidence")
