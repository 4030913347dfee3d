"""What is said of a margin: not worse, equivalent, worse or not shown, and against whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emotune.evaluation.compare import compare
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.words.margin import margin_lines
from emotune.report.tables import comparison_table, render

from ...report.conftest import make_split


def evaluation(name: str, wrong: range, rows: int = 1000) -> Evaluation:
    """Wrong on these rows."""
    split = make_split(("a", "b"), rows)
    predictions = split.label_ids.copy()
    predictions[list(wrong)] = 1 - predictions[list(wrong)]
    return Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=0.0)


def test_equivalent() -> None:
    found = margin_lines(compare(evaluation("full", range(100)), evaluation("lora", range(5, 104)), margin=2))
    assert len(found) == 1
    assert found[0].startswith(
        "'lora' is not worse than 'full' by more than 2 points (p < 0.001), and equivalent within 2 points (p < 0.001): "
    )
    assert "accuracy +0.1 points (90 % interval -0." in found[0]
    assert found[0].endswith("5 rows fixed and 4 broken of 1,000.")


def test_not_worse_but_not_equivalent() -> None:
    found = margin_lines(compare(evaluation("full", range(100)), evaluation("lora", range(60)), margin=1.5))
    assert (
        "is not worse than 'full' by more than 1.5 points (p < 0.001); that they are equivalent within 1.5 points is not shown (p = "
        in found[0]
    )


def test_worse() -> None:
    found = margin_lines(compare(evaluation("full", range(20)), evaluation("lora", range(100)), margin=1))
    assert found[0].startswith("'lora' is worse than 'full' by more than 1 point (p < 0.001): accuracy -8.0 points")


def test_not_shown_says_what_the_rows_could_show() -> None:
    found = margin_lines(compare(evaluation("full", range(10), 100), evaluation("lora", range(3, 13), 100), margin=1))
    assert found[0].startswith("Not shown: that 'lora' is not worse than 'full' by more than 1 point (p = ")
    assert "With 6 changed rows of 100, a margin of " in found[0]
    assert found[0].endswith(
        " points is the smallest that would be shown four times out of five if both were equally accurate."
    )


def test_the_best_baseline_comes_first_and_the_others_are_corrected() -> None:
    base = evaluation("base", range(120))
    weak = replace(evaluation("weak", range(100)), validation_macro_f1=0.5)
    best = replace(evaluation("best", range(50)), validation_macro_f1=0.9)
    comparison = compare(base, evaluation("tuned", range(2, 52)), weak, best, margin=2)
    found = margin_lines(comparison)
    assert found[0].startswith("'tuned' is not worse than the best baseline ('best') by more than 2 points")
    assert [line.partition(" by more")[0].rpartition(" ")[2] for line in found[1:3]] == ["'weak'", "'base'"]
    assert found[3] == "All p-values except that of the best baseline are corrected for 2 comparisons (Holm)."
    assert "equivalent within 2 points" in render(comparison_table(comparison), width=400)


def test_chance_is_no_model_to_test_against() -> None:
    base = replace(evaluation("base", range(500)), is_chance=True)
    found = margin_lines(compare(base, evaluation("tuned", range(10)), margin=1))
    assert found == [
        "The margin of 1 point is not applied: the first model has a head of random numbers. Give two trained models, or a baseline."
    ]
    words = evaluation("words", range(100))
    (said,) = margin_lines(compare(evaluation("tuned", range(10)), base, words, margin=1))
    assert "the second model has a head of random numbers" in said


def test_without_a_margin_nothing_is_said() -> None:
    assert margin_lines(compare(evaluation("a", range(5)), evaluation("b", range(9)))) == []


def test_names_are_shown_and_not_obeyed() -> None:
    found = margin_lines(compare(evaluation("a\x1b[2J", range(5)), evaluation("b\n", range(9)), margin=1))
    assert "\x1b" not in found[0]
    assert "\n" not in found[0]


def test_the_same_predictions_are_not_divided_by_zero() -> None:
    found = margin_lines(compare(evaluation("a", range(5)), evaluation("b", range(5)), margin=1))
    assert "equivalent within 1 point" in found[0]
    assert np.isfinite(
        compare(evaluation("a", range(5)), evaluation("b", range(5)), margin=1).margin_tests[0][1].provable
    )
