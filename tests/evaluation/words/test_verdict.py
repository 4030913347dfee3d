"""The verdict: who is compared first, what is called better, worse or undecided, and on what evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.evaluation.compare import compare
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.rivals import ScoreDifference, yardstick
from emotune.evaluation.scores import Evaluation, restrict, score
from emotune.evaluation.words.verdict import contradiction, figures, limits, of_seeds, relation, sentences, verdict
from emotune.statistics.paired import Interval
from emotune.statistics.power import detectable_difference

from ...facts import states
from ...report.conftest import make_split


def labelled(split: Split, predictions: NDArray[np.int64], name: str, **more: object) -> Evaluation:
    found = Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=0.0)
    return replace(found, **more)  # type: ignore[arg-type]


def evaluation(right: int, rows: int, name: str, *, start: int = 0, **more: object) -> Evaluation:
    """Right on so many rows, counted from one."""
    split = make_split(("a", "b"), rows)
    wrong = (split.label_ids + 1) % 2
    places = (np.arange(rows) - start) % rows
    return labelled(split, np.where(places < right, split.label_ids, wrong), name, **more)


def unbalanced(rare_right: int, common_right: int, name: str) -> Evaluation:
    """Of 400 rows of one class and 40 of another, right on so many of each."""
    split = Split("test", tuple(map(str, range(440))), np.repeat([0, 1], [400, 40]), ("common", "rare"))
    right = np.concatenate([np.arange(400) < common_right, np.arange(40) < rare_right])
    return labelled(split, np.where(right, split.label_ids, 1 - split.label_ids), name)


CHANCE = evaluation(503, 1000, "base (untrained head)", is_chance=True)


class TestOfARun:
    """A base with an untrained head, a tuned model, and baselines of which validation knows the best."""

    words = evaluation(800, 1000, "words", validation_macro_f1=0.7)
    frozen = evaluation(700, 1000, "frozen encoder", validation_macro_f1=0.6)

    @pytest.mark.parametrize("best_is_frozen", [False, True])
    def test_the_best_on_validation_comes_first_then_the_frozen_encoder_and_chance_last(
        self, best_is_frozen: bool
    ) -> None:
        tuned = evaluation(900, 1000, "tuned", has_seed=True)
        frozen = replace(self.frozen, validation_macro_f1=0.9 if best_is_frozen else 0.6)
        found = sentences(compare(CHANCE, tuned, self.words, frozen))
        if best_is_frozen:  # by validation, though the test rows would have it otherwise
            assert len(found) == 2
            assert (
                "'tuned' is better than the best baseline on validation ('frozen encoder'): accuracy +20.0" in found[0]
            )
        else:
            assert len(found) == 3
            assert "'tuned' is better than the best baseline on validation ('words'): accuracy +10.0 points" in found[0]
            assert "'tuned' is better than the frozen encoder: accuracy +20.0 points" in found[1]
        assert "'base (untrained head)'" in found[-1]
        assert "0.5030" in found[-1]
        assert "chance" in found[-1]

    def test_chance_is_not_tested(self) -> None:
        last = sentences(compare(CHANCE, evaluation(900, 1000, "tuned"), self.words))[-1]
        assert not re.search(r"\bp [=<]|interval|points", last)

    def test_a_base_with_a_trained_head_is_compared_first_and_as_any_other(self) -> None:
        base = replace(CHANCE, is_chance=False, name="base")
        found = sentences(compare(base, evaluation(900, 1000, "tuned"), self.words, self.frozen))
        assert [sentence.partition(":")[0] for sentence in found] == [
            "'tuned' is better than 'base'",
            "'tuned' is better than the best baseline on validation ('words')",
            "'tuned' is better than the frozen encoder",
        ]
        assert "p < 0.001" in found[0]
        assert "chance" not in " ".join(found)

    def test_a_worse_model_is_called_worse(self) -> None:
        found = verdict(compare(CHANCE, evaluation(700, 1000, "tuned"), self.words))
        assert "'tuned' is worse than the best baseline on validation ('words'): accuracy -10.0 points" in found

    def test_baselines_that_validation_has_not_seen_are_all_named_and_none_is_the_best(self) -> None:
        baselines = (evaluation(600, 1000, "strong"), evaluation(300, 1000, "weak"))
        found = sentences(compare(CHANCE, evaluation(800, 1000, "tuned"), *baselines))
        assert "the baseline ('strong')" in found[0]
        assert "the baseline ('weak')" in found[1]
        assert "best" not in " ".join(found)

    def test_without_a_rival_the_scores_stand_alone(self) -> None:
        found = sentences(compare(CHANCE, evaluation(900, 1000, "tuned", has_seed=True)))
        assert "'tuned' has an accuracy of 0.9000" in found[0]
        assert "1,000 test rows (one seed)" in found[0]
        assert "No baseline" in found[0]
        assert not re.search(r"\bp [=<]|interval", " ".join(found))

    def test_a_second_model_that_is_chance_is_compared_with_nothing(self) -> None:
        (found,) = sentences(compare(evaluation(900, 1000, "tuned"), CHANCE, self.words))
        assert found.startswith("'base (untrained head)'")
        assert "chance" in found


class TestOfTwoModels:
    def test_better_and_worse(self) -> None:
        better = verdict(compare(evaluation(500, 1000, "first"), evaluation(900, 1000, "second")))
        assert better.startswith("'second' is better than 'first': accuracy +40.0 points (95 % interval +3")
        assert "p < 0.001" in better
        assert "macro-F1 +" in better
        worse = verdict(compare(evaluation(900, 1000, "first"), evaluation(500, 1000, "second")))
        assert worse.startswith("'second' is worse than 'first': accuracy -40.0 points")

    def test_no_evidence_says_what_the_rows_could_show(self) -> None:
        found = verdict(compare(evaluation(80, 100, "base"), evaluation(82, 100, "tuned", start=1)))
        assert found.startswith("No evidence of a difference in accuracy between 'tuned' and 'base' at this test size")
        assert "accuracy +2.0 points" in found
        assert "On 100 test rows a true difference in accuracy of" in found

    def test_other_mistakes_are_not_the_same_labels(self) -> None:
        split = make_split(("a", "b", "c"), 100)
        models = [labelled(split, (split.label_ids + step) % 3, str(step)) for step in (1, 2)]
        assert "No evidence" in verdict(compare(*models))
        first = evaluation(80, 100, "first")
        assert "No evidence" in verdict(compare(first, evaluation(80, 100, "second", start=1)))

    def test_the_same_labels_on_every_row_are_one_sentence(self) -> None:
        first, second = evaluation(80, 100, "first"), evaluation(80, 100, "second")
        (found,) = sentences(compare(first, second))
        assert states(found, "'first' and 'second'", "the same label on every row", "100 rows")

    def test_names_are_shown_and_not_obeyed(self) -> None:
        assert "\x1b" not in verdict(compare(evaluation(1, 9, "a\x1b[2J"), evaluation(2, 9, "b\n")))

    def test_corrected_p_values_decide(self) -> None:
        found = compare(evaluation(80, 100, "base"), evaluation(95, 100, "tuned"))
        assert found.statistics.p_value < 0.01
        assert verdict(found).startswith("'tuned' is better")
        corrected = verdict(found, {"accuracy": 0.2, "macro-F1": 0.3})
        assert "p = 0.200" in corrected
        assert "p = 0.300" in corrected
        assert corrected.startswith("No evidence")
        assert "not corrected for the number of comparisons" in corrected


class TestSeeds:
    def test_one_seed_stands_inside_the_sentence(self) -> None:
        words = evaluation(800, 1000, "words", validation_macro_f1=0.7)
        found = sentences(compare(CHANCE, evaluation(900, 1000, "tuned", has_seed=True), words))
        assert "(one seed, 95 % interval" in found[0]

    def test_of_two_trained_models_each_side_is_one_seed(self) -> None:
        first, second = (evaluation(right, 1000, str(right), has_seed=True) for right in (800, 900))
        found = verdict(compare(first, second))
        assert "(one seed each, 95 % interval" in found
        assert "p does not count that another seed gives another model" in found
        like = verdict(compare(first, replace(evaluation(800, 1000, "like", start=1), has_seed=True)))
        assert "one seed each" in like
        assert "can differ as much" not in like

    def test_several_seeds_are_counted_by_their_mean_and_not_by_the_one_that_is_kept(self) -> None:
        words = evaluation(800, 1000, "words", validation_macro_f1=0.7)
        seeds = tuple(evaluation(right, 1000, f"seed {right}", has_seed=True) for right in (905, 900, 895))
        comparison = replace(compare(CHANCE, seeds[0], words), seeds=seeds)
        found = sentences(comparison)
        assert (
            "is better than the best baseline on validation ('words'): accuracy +10.0 points (mean of 3 seeds,"
            in found[0]
        )
        expected = comparison.over_seeds(words)
        assert expected.accuracy.estimate == pytest.approx(0.1)
        assert f"{100 * expected.accuracy.low:+.1f} to {100 * expected.accuracy.high:+.1f}" in found[0]
        # Seeds that lie far apart leave nothing to say, however clear each of them is.
        wild = tuple(evaluation(right, 1000, f"seed {right}", has_seed=True) for right in (990, 700))
        assert sentences(replace(comparison, seeds=wild))[0].startswith("No evidence")

    def test_a_single_seed_on_the_other_side_is_named(self) -> None:
        full = evaluation(800, 1000, "full fine-tuning", validation_macro_f1=0.9, has_seed=True)
        seeds = tuple(evaluation(right, 1000, f"seed {right}", has_seed=True) for right in (905, 900))
        assert "mean of 2 seeds against one" in verdict(replace(compare(CHANCE, seeds[0], full), seeds=seeds))


class TestUnbalancedClasses:
    def test_macro_f1_comes_first(self) -> None:
        found = sentences(compare(unbalanced(10, 380, "first"), unbalanced(30, 380, "second")))
        macro_f1, accuracy = found[0].index("macro-F1 +"), found[0].index("accuracy +")
        assert macro_f1 < accuracy

    def test_accuracy_comes_first_where_classes_are_balanced(self) -> None:
        found = sentences(compare(evaluation(500, 1000, "first"), evaluation(900, 1000, "second")))
        assert found[0].index("accuracy +") < found[0].index("macro-F1 +")

    def test_models_that_trade_one_score_for_the_other_are_called_both(self) -> None:
        found = verdict(compare(unbalanced(0, 400, "first"), unbalanced(38, 340, "second")))
        assert found.startswith("'second' has a higher macro-F1 than 'first', but is less accurate: macro-F1 +")
        assert "accuracy -5.0 points" in found

    def test_a_score_that_cannot_be_compared_is_given_up_in_words(self) -> None:
        found = compare(unbalanced(10, 380, "first"), unbalanced(13, 380, "second"))
        assert found.statistics.macro_f1 is None
        assert verdict(found).startswith("No evidence of a difference in accuracy between 'second' and 'first'")
        why = found.statistics.macro_f1_withheld
        assert "3 rows" in why
        assert f"Classes are unbalanced, so macro-F1 would say more, but it is not compared: {why}." in verdict(found)
        balanced = compare(evaluation(80, 100, "first"), evaluation(81, 100, "second"))
        assert f"Macro-F1 is not compared: {balanced.statistics.macro_f1_withheld}." in verdict(balanced)

    def test_a_rare_class_of_few_rows_is_named(self) -> None:
        """Many rows changed sides, and the interval of macro-F1 would hang on five of them."""
        split = Split("test", tuple(map(str, range(205))), np.repeat([0, 1], [200, 5]), ("common", "rare"))
        first, second = (
            labelled(split, np.where(np.arange(205) < right, split.label_ids, 1 - split.label_ids), str(right))
            for right in (100, 205)
        )
        found = verdict(compare(first, second))
        assert found.startswith("'205' is more accurate than '100': accuracy +")
        assert "not compared: class 'rare' has 5 rows" in found


def difference(score: str, low: float, high: float, p: float, *, corrected: bool = False) -> ScoreDifference:
    return ScoreDifference(score, Interval((low + high) / 2, low, high), p, corrected)


UP, DOWN, NONE = (0.02, 0.06, 0.001), (-0.06, -0.02, 0.001), (-0.01, 0.02, 0.5)


@pytest.mark.parametrize(
    ("accuracy", "macro_f1", "expected"),
    [
        (UP, UP, "A is better than B"),
        (DOWN, DOWN, "A is worse than B"),
        (NONE, NONE, "No evidence of a difference between A and B at this test size"),
        (UP, NONE, "A is more accurate than B, with no evidence of a difference in macro-F1"),
        (DOWN, NONE, "A is less accurate than B, with no evidence of a difference in macro-F1"),
        (NONE, UP, "No evidence of a difference in accuracy between A and B, but A has a higher macro-F1"),
        (NONE, DOWN, "No evidence of a difference in accuracy between A and B, but A has a lower macro-F1"),
        (UP, DOWN, "A is more accurate than B, but has a lower macro-F1"),
        (DOWN, UP, "A is less accurate than B, but has a higher macro-F1"),
        (UP, None, "A is more accurate than B"),
        (NONE, None, "No evidence of a difference in accuracy between A and B at this test size"),
    ],
)
def test_both_scores_have_a_word(
    accuracy: tuple[float, float, float], macro_f1: tuple[float, float, float] | None, expected: str
) -> None:
    found = [difference("accuracy", *accuracy)]
    if macro_f1 is not None:
        found.append(difference("macro-F1", *macro_f1))
    assert relation(tuple(found), "A", "B") == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (difference("macro-F1", 0.001, 0.05, 0.061), ("macro-F1", "excludes 0", "borderline")),
        (difference("accuracy", -0.001, 0.05, 0.045), ("accuracy", "contains 0", "borderline")),
        (difference("accuracy", 0.001, 0.05, 0.2, corrected=True), ("accuracy", "excludes 0", "not corrected")),
        (difference("accuracy", -0.001, 0.05, 0.045, corrected=True), ("accuracy", "contains 0", "borderline")),
    ],
)
def test_a_test_and_an_interval_that_disagree_are_both_named(found: ScoreDifference, expected: tuple[str, ...]) -> None:
    assert found.excludes_zero != found.is_significant
    for word in expected:
        assert word in contradiction(found)


def test_figures_hold_the_difference_the_seeds_the_interval_and_the_p_value() -> None:
    found = difference("accuracy", 0.02, 0.06, 0.012)
    assert figures(found, "one seed") == "accuracy +4.0 points (one seed, 95 % interval +2.0 to +6.0, p = 0.012)"
    assert figures(found) == "accuracy +4.0 points (95 % interval +2.0 to +6.0, p = 0.012)"


@pytest.mark.parametrize(("rows", "said"), [(1, "1 test row"), (4, "4 test rows")])
def test_few_rows_say_that_nothing_can_show(rows: int, said: str) -> None:
    """All of up to four rows fixed and none broken have a mid-p of at least 0.0625."""
    found = sentences(compare(evaluation(0, rows, "first"), evaluation(rows, rows, "second")))
    assert found[0].startswith("No evidence of a difference in accuracy")
    assert f"On {said} no difference can be significant, however large it is." in found


def test_what_many_rows_can_show() -> None:
    first, second = evaluation(500, 1000, "first"), evaluation(505, 1000, "second")
    found = compare(first, second)
    points = 100 * (detectable_difference(1000, 0.005) or 0)
    assert f"On 1,000 test rows a true difference in accuracy of {points:.1f} points would be found" in limits(
        found, first
    )
    assert "if this were the only comparison" in limits(found, first, corrected=True)


def test_several_seeds_say_what_they_can_show() -> None:
    first, *seeds = (evaluation(right, 1000, str(right)) for right in (500, 495, 500, 511))
    found = replace(compare(first, seeds[0]), seeds=tuple(seeds))
    points = 100 * found.over_seeds(first).of_accuracy.detectable()
    assert points > 1
    (said,) = [sentence for sentence in sentences(found) if "four times out of five" in sentence]
    assert f"On 1,000 test rows and with 3 seeds a true difference in accuracy of {points:.1f} points" in said


class TestOneLabelForEveryRow:
    split = make_split(("neg", "pos"), 100)
    tuned = labelled(split, np.zeros(100, dtype=np.int64), "tuned")

    def labelled_as(self, right: int, name: str) -> Evaluation:
        ids = self.split.label_ids
        return labelled(self.split, np.where(np.arange(100) < right, ids, 1 - ids), name)

    def test_is_called_so(self) -> None:
        base = self.labelled_as(30, "base")
        assert " 'tuned' predicts 'neg' for every row." in verdict(compare(base, self.tuned))
        assert " for every row" not in verdict(compare(self.tuned, base))

    def test_and_so_is_the_baseline_that_says_the_same(self) -> None:
        majority = replace(self.tuned, name="majority class", validation_macro_f1=0.3)
        found = sentences(compare(self.labelled_as(30, "base"), self.tuned, majority))
        assert states(found[1], "'tuned' predicts 'neg' for every row", "'majority class'")
        assert "predict the same label on every row" in found[2]


class TestLeaks:
    """Rows of the test split that repeat a training row."""

    # All of the first 600 rows are right, and half of the other 400.
    tuned = evaluation(800, 1000, "tuned", has_seed=True)
    comparison = compare(CHANCE, tuned, evaluation(600, 1000, "words", validation_macro_f1=0.7))

    def leaks(self, rows: range | list[int]) -> Leaks:
        kept = np.setdiff1d(np.arange(1000), rows)
        before, after, words = (
            restrict(found, kept) if len(kept) else None for found in (CHANCE, self.tuned, self.comparison.baselines[0])
        )
        without = None if before is None or after is None or words is None else compare(before, after, words)
        return Leaks({"exact": len(rows)}, np.asarray(rows), self.comparison, without)

    def test_the_verdict_without_them_stands_beside_the_other(self) -> None:
        found = sentences(self.comparison, leaks=self.leaks(range(600)))
        assert [sentence.startswith("Without the 600 test rows") for sentence in found] == [False, True, False]
        assert "accuracy 0.5000 instead of 0.8000" in found[1]
        rest = restrict(self.tuned, np.arange(600, 1000))
        assert f"macro-F1 {rest.metrics.macro_f1:.4f} instead of {self.tuned.metrics.macro_f1:.4f}" in found[1]
        assert (
            "On the remaining rows 'tuned' is better than the best baseline on validation ('words'): accuracy +50.0"
            in found[1]
        )

    def test_none_are_not_mentioned(self) -> None:
        assert "training row" not in verdict(self.comparison)

    def test_nothing_but_leaks_is_said(self) -> None:
        assert "Every test row repeats a training row" in verdict(self.comparison, leaks=self.leaks(range(1000)))

    def test_a_class_that_is_lost_with_them_is_named(self) -> None:
        rows = np.flatnonzero(self.tuned.split.label_ids == 0).tolist()
        assert "No row that was scored is labelled 'a'" in verdict(self.comparison, leaks=self.leaks(rows))


def test_what_a_model_is_best_measured_against() -> None:
    tuned, words = evaluation(900, 1000, "tuned"), evaluation(800, 1000, "words", validation_macro_f1=0.7)
    assert yardstick(compare(CHANCE, tuned, words)) is words
    assert yardstick(compare(CHANCE, tuned)) is CHANCE
    real = replace(CHANCE, is_chance=False)
    assert yardstick(Comparison(real, tuned, (words,))) is real


def test_seeds_that_can_show_nothing_say_so() -> None:
    """Two seeds ten points apart on 30 rows: even 100 points would be missed."""
    first, *seeds = (evaluation(right, 30, str(right)) for right in (27, 21, 30))
    found = replace(compare(first, seeds[0]), seeds=tuple(seeds))
    assert found.over_seeds(first).of_accuracy.detectable() >= 1
    said = limits(found, first)
    assert "On 30 test rows and with 2 seeds no difference would be found" in said
    assert "points" not in said


def test_the_tables_of_several_seeds_are_said_to_be_those_of_one() -> None:
    first, *seeds = (evaluation(right, 100, str(right)) for right in (50, 80, 90))
    assert of_seeds(compare(first, seeds[0])) == ""
    said = of_seeds(replace(compare(first, seeds[0]), seeds=tuple(seeds)))
    assert said.startswith("The mean of 2 seeds has an accuracy of 0.8500")
    assert "only the saved model" in said


@pytest.mark.parametrize(("cut", "said"), [(1, False), (2, True)])
def test_cut_texts_are_named_above_5_percent(cut: int, said: bool) -> None:
    after = evaluation(20, 30, "tuned", cut=cut)
    found = verdict(Comparison(before=evaluation(10, 30, "base"), after=after))
    assert ("6.67 % of the texts are longer than the model's limit on tokens and were cut" in found) == said
    assert restrict(after, np.arange(20)).cut == 0
