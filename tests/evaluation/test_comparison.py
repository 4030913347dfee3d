"""Two models side by side: only on the same rows, and rows fixed and broken counted by hand."""

from __future__ import annotations

import dataclasses

import pytest

from emotune.evaluation.compare import compare
from emotune.system.errors import DataError

from ..facts import facts
from .conftest import MakeEvaluation, MakeSplit


def test_fixed_and_broken_by_hand(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    split = make_split([0, 0, 1, 1, 2, 2])
    #                                 right, wrong, right, wrong, wrong, wrong
    before = make_evaluation(split, [0, 1, 1, 0, 0, 0], "before")
    #                                 right, right, wrong, wrong, wrong, right
    after = make_evaluation(split, [0, 0, 2, 2, 0, 2], "after")
    found = compare(before, after)
    assert found.fixed.tolist() == [1, 5]
    assert found.broken.tolist() == [2]
    assert (found.before, found.after, found.baselines) == (before, after, ())
    turned = compare(after, before)
    assert (turned.fixed.tolist(), turned.broken.tolist()) == ([2], [1, 5])


def test_equal_rows_of_another_object_will_do(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    before = make_evaluation(make_split([0, 1]), [0, 0])
    after = make_evaluation(make_split([0, 1], name="test.csv"), [0, 1])
    assert compare(before, after).fixed.tolist() == [1]


def test_models_of_one_name_are_told_apart(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    split = make_split([0, 1])
    found = compare(
        *(make_evaluation(split, ids, name) for ids, name in (([0, 0], "tuned"), ([0, 1], "tuned"), ([1, 1], "other")))
    )
    assert (found.before.name, found.after.name) == ("tuned (1)", "tuned (2)")
    assert [baseline.name for baseline in found.baselines] == ["other"]
    assert "'tuned (2)'" in str(found)
    found = compare(*(make_evaluation(split, [0, 1], name) for name in ("a", "a", "a (1)")))
    assert [one.name for one in (found.before, found.after, *found.baselines)] == ["a (2)", "a (3)", "a (1)"]


def test_what_is_no_evaluation_is_refused(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    scored = make_evaluation(make_split([0, 1]), [0, 0])
    for given in ("tuned_model", object()):
        with pytest.raises(
            DataError, match=facts(f"given {type(given).__name__}", "compare(evaluate(first, data.test)")
        ):
            compare(scored, given)  # type: ignore[arg-type]


def test_an_evaluation_is_short_to_look_at(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    shown = repr(make_evaluation(make_split([0, 1] * 500), [0, 1] * 500))
    assert "accuracy=1.0" in shown
    assert len(shown) < 1_000


def test_the_table_names_both_models(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    split = make_split([0, 1])
    text = str(compare(make_evaluation(split, [0, 0], "the base"), make_evaluation(split, [0, 1], "the tuned one")))
    assert "the base" in text
    assert "the tuned one" in text
    assert "0.5000" in text
    assert "1.0000" in text


@pytest.mark.parametrize("place", ["after", "baseline"])
@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (
            "fewer rows",
            "'here' has 4 rows of test, and 'elsewhere' 3 rows of test, with 3 texts in common. Score both on the same split.",
        ),
        (
            "other texts",
            "'here' has 4 rows of test, and 'elsewhere' 4 rows of test, with 0 texts in common. Score both on the same split.",
        ),
        ("other order", "Both have the same 4 rows, in another order. Score both on the same file."),
        ("other labels of rows", "Both have the same 4 texts, and 1 of them under another label."),
        ("other labels and order", "Both have the same 4 texts, in another order, and 1 of them under another label."),
        ("other label names", "their labels differ"),
    ],
)
def test_different_rows_are_refused_with_how_they_differ(
    make_split: MakeSplit, make_evaluation: MakeEvaluation, place: str, difference: str, said: str
) -> None:
    split = make_split([0, 1, 2, 0])
    other = {
        "fewer rows": split.take([0, 1, 2]),
        "other texts": dataclasses.replace(split, texts=tuple("abcd")),
        "other order": split.take([1, 0, 2, 3]),
        "other labels of rows": make_split([0, 1, 2, 1]),
        "other labels and order": make_split([0, 1, 2, 1]).take([1, 0, 2, 3]),
        "other label names": make_split([0, 1, 2, 0], labels=("sadness", "love", "fear")),
    }[difference]
    here = make_evaluation(split, [0, 0, 0, 0], "here")
    elsewhere = make_evaluation(other, [0] * len(other), "elsewhere")
    evaluations = (here, elsewhere) if place == "after" else (here, here, elsewhere)
    with pytest.raises(DataError, match=facts("'here'", "'elsewhere'")) as raised:
        compare(*evaluations)
    assert said in str(raised.value)
