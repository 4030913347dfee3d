"""Paired statistics against statsmodels, SciPy, scikit-learn, small tables by hand, and simulation."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from emotune.statistics.macro_f1 import macro_f1_difference
from emotune.statistics.paired import (
    holm,
    mcnemar,
    paired_statistics,
    score_interval,
)
from emotune.statistics.power import detectable_difference

LABELS = ("a", "b", "c")


def simulate(
    rows: int, rng: np.random.Generator, first: float = 0.7, second: float = 0.75
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Truth and two models' predictions, whose mistakes go together to some degree."""
    truth = rng.choice(3, size=rows, p=[0.6, 0.3, 0.1])
    easy = rng.random(rows)
    predictions = []
    for accuracy in (first, second):
        right = np.where(rng.random(rows) < 0.6, easy, rng.random(rows)) < accuracy
        predictions.append(np.where(right, truth, (truth + rng.integers(1, 3, size=rows)) % 3))
    return truth, predictions[0], predictions[1]


class TestMcNemar:
    @pytest.mark.parametrize(("fixed", "broken"), [(0, 1), (5, 1), (3, 3), (40, 22), (1598, 14), (0, 7), (9, 8)])
    def test_exact_p_is_that_of_statsmodels(self, fixed: int, broken: int) -> None:
        expected = reference_mcnemar([[10, broken], [fixed, 10]], exact=True).pvalue
        assert mcnemar(fixed, broken)[0] == pytest.approx(expected, rel=1e-9)

    def test_mid_p_by_hand(self) -> None:
        # 1 against 5 of 6: 2 (1/64 + (6/64) / 2).
        assert mcnemar(5, 1)[1] == pytest.approx(2 * (1 / 64 + 3 / 64))
        assert mcnemar(1, 5) == mcnemar(5, 1)
        assert mcnemar(0, 3)[1] == pytest.approx(1 / 8)

    def test_nothing_changed_is_no_evidence(self) -> None:
        assert mcnemar(0, 0) == (1.0, 1.0)
        assert mcnemar(4, 4)[1] == pytest.approx(1.0)

    @pytest.mark.slow
    def test_holds_its_level(self) -> None:
        rejected = {(b, c): mcnemar(b, c)[1] < 0.05 for b, c in product(range(61), repeat=2)}
        for changed in (10, 20, 40, 60):
            chances = stats.binom.pmf(np.arange(changed + 1), changed, 0.5)
            level = sum(chances[b] for b in range(changed + 1) if rejected[b, changed - b])
            assert 0.02 < level < 0.06


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04, 0.03, 0.5], [0.2], [0.001, 0.001, 1.0], [0.9, 0.0, 0.04, 0.04, 0.02]]
)
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def rare_class(
    rows: int, rare: int, rng: np.random.Generator, first: float, second: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Three classes, one of so few rows; mistakes fall on the classes in proportion to their sizes, and go together."""
    truth = np.repeat([0, 1, 2], [rare, (rows - rare) // 2, rows - rare - (rows - rare) // 2])
    difficulty = rng.normal(size=rows)
    predictions = []
    for accuracy in (first, second):
        right = np.sqrt(0.6) * difficulty + np.sqrt(0.4) * rng.normal(size=rows) < stats.norm.ppf(accuracy)
        mistakes = (truth + 1 + (rng.random(rows) < 0.5)) % 3
        to_rare = (mistakes == 0) & (rng.random(rows) > rare / rows)
        mistakes = np.where(to_rare, 3 - truth, mistakes)  # the other of the large classes
        predictions.append(np.where(right, truth, mistakes))
    return truth, predictions[0], predictions[1]


class TestMacroF1:
    def test_estimate_is_that_of_scikit_learn(self) -> None:
        truth, first, second = simulate(80, np.random.default_rng(0))
        found = macro_f1_difference(truth, first, second, 3, level=0.95, permutations=99)
        before, after = (f1_score(truth, model, average="macro") for model in (first, second))
        assert found.estimate == pytest.approx(after - before)

    @pytest.mark.slow
    def test_p_is_the_share_of_all_permutations_that_are_as_far_off(self) -> None:
        """Six rows on which the models differ have 64 permutations; each is scored by scikit-learn, its error by weighing rows anew."""
        truth = np.arange(30) % 3
        first = np.where(np.arange(30) % 7 == 0, (truth + 1) % 3, truth)
        second = first.copy()
        second[:6] = (first[:6] + np.array([1, 2, 1, 1, 2, 1])) % 3
        differ = np.flatnonzero(first != second)

        def statistic(swapped: tuple[bool, ...]) -> float:
            turned = np.zeros(30, dtype=bool)
            turned[differ] = swapped
            models = np.where(turned, second, first), np.where(turned, first, second)

            def difference(weights: NDArray[np.float64]) -> float:
                scores = [f1_score(truth, model, average="macro", sample_weight=weights) for model in models]
                return float(scores[1] - scores[0])

            even, step = np.ones(30), 1e-5
            slopes = [(difference(even + step * (np.arange(30) == row)) - difference(even)) / step for row in range(30)]
            return abs(difference(even)) / float(np.sqrt(np.square(slopes).sum()))

        every = [statistic(swapped) for swapped in product((False, True), repeat=len(differ))]
        expected = np.mean([found >= every[0] - 1e-3 for found in every])
        found = macro_f1_difference(truth, first, second, 3, level=0.95)
        assert 0.05 < expected < 0.95
        assert found.p_value == pytest.approx(expected, abs=0.02)

    def test_p_and_interval_say_the_same(self) -> None:
        rng = np.random.default_rng(6)
        for trial in range(150):
            data = simulate(150, rng, 0.7, 0.78)
            found = macro_f1_difference(*data, 3, level=0.95, permutations=199, seed=trial)
            assert (found.p_value < 0.05) == (abs(found.estimate) > found.reach)

    @pytest.mark.slow
    @pytest.mark.parametrize(("first", "second"), [(0.7, 0.75), (0.93, 0.93)])
    @pytest.mark.parametrize("rare", [12, 30])
    def test_covers_the_truth_with_a_rare_class(self, rare: int, first: float, second: float) -> None:
        """The bootstrap that stood here before covered as little as 0.89 of the time."""
        rows, trials, rng = 300, 400, np.random.default_rng(4)
        many = np.array([rare_class(rows, rare, rng, first, second) for _ in range(2000)])
        truth, before, after = np.moveaxis(many, 1, 0).reshape(3, -1)
        expected = f1_score(truth, after, average="macro") - f1_score(truth, before, average="macro")
        found = [
            macro_f1_difference(truth, before, after, 3, level=0.95, permutations=199, seed=trial)
            for trial, (truth, before, after) in enumerate(many[:trials])
        ]
        covered = np.mean([abs(one.estimate - expected) <= one.reach for one in found])
        assert 0.93 < covered < 0.97
        if first == second:
            assert 0.03 < np.mean([one.p_value < 0.05 for one in found]) < 0.07

    def test_is_the_same_again(self) -> None:
        data = simulate(100, np.random.default_rng(5))
        assert paired_statistics(*data, LABELS) == paired_statistics(*data, LABELS)

    def test_is_withheld_where_a_class_is_rare_and_says_so(self) -> None:
        rng = np.random.default_rng(1)
        few = paired_statistics(*rare_class(300, 9, rng, 0.7, 0.7), LABELS, permutations=99)
        assert (few.macro_f1, few.macro_f1_p) == (None, None)
        assert few.macro_f1_withheld == "class 'a' has 9 rows, fewer than 10"
        enough = paired_statistics(*rare_class(300, 10, rng, 0.7, 0.7), LABELS, permutations=99)
        assert enough.macro_f1 is not None
        assert enough.macro_f1_p is not None
        assert enough.macro_f1_withheld == ""

    def test_is_withheld_where_hardly_any_row_changed_or_all_did_and_says_so(self) -> None:
        truth = np.repeat([0, 1, 2], 20)
        one, all_but_one = truth.copy(), (truth + 1) % 3
        one[0] = 1
        all_but_one[0] = 0
        found = paired_statistics(truth, truth, one, LABELS)
        assert found.macro_f1 is None
        assert found.macro_f1_withheld == "1 row changed between right and wrong, fewer than 10"
        found = paired_statistics(truth, truth, all_but_one, LABELS)
        assert found.macro_f1_withheld == "1 row did not change between right and wrong, fewer than 10"


class TestScoreInterval:
    @pytest.mark.parametrize(
        ("fixed", "broken", "rows"), [(0, 0, 100), (1, 0, 50), (3, 5, 2000), (9, 0, 10), (4, 4, 8)]
    )
    def test_ends_are_where_the_score_test_turns(self, fixed: int, broken: int, rows: int) -> None:
        """The statistic, its nuisance share by search instead of by formula, is 1.96 at either end."""
        interval = score_interval(fixed, broken, rows)
        assert interval.low <= interval.estimate <= interval.high
        for end in (interval.low, interval.high):
            shares = np.linspace(max(0, -end), (1 - end) / 2 if end < 1 else 0, 400_001)[1:-1]
            likelihood = (
                (fixed * np.log(shares + end) if fixed else 0 * shares)
                + (broken * np.log(shares) if broken else 0)
                + (rows - fixed - broken) * np.log(1 - 2 * shares - end)
            )
            share = float(shares[np.nanargmax(likelihood)])
            z = (fixed - broken - rows * end) / math.sqrt(rows * (2 * share + end * (1 - end)))
            assert abs(z) == pytest.approx(1.959964, abs=0.02)

    @pytest.mark.parametrize(("shared", "first", "second"), [(0.6, 0.7, 0.75), (0.9, 0.93, 0.93), (0.0, 0.7, 0.7)])
    def test_covers_the_truth_of_many_rows(self, shared: float, first: float, second: float) -> None:
        both = shared * min(first, second) + (1 - shared) * first * second
        shares = [second - both, first - both, 1 - first - second + 2 * both]
        drawn = np.random.default_rng(0).multinomial(225, shares, size=3000)
        tables, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
        intervals = [score_interval(int(fixed), int(broken), 225) for fixed, broken in tables]
        covered = [interval.low <= second - first <= interval.high for interval in intervals]
        assert 0.93 < np.average(covered, weights=counts) < 0.97

    def test_no_change_still_has_a_width(self) -> None:
        z2 = stats.norm.ppf(0.975) ** 2
        interval = score_interval(0, 0, 200)
        assert interval.high == pytest.approx(z2 / (200 + z2))
        assert interval.low == pytest.approx(-z2 / (200 + z2))

    def test_covers_the_truth_where_few_rows_change(self) -> None:
        covered = []
        for fixed, broken in product(range(25), repeat=2):
            chance = stats.multinomial.pmf([fixed, broken, 200 - fixed - broken], 200, [0.02, 0.01, 0.97])
            interval = score_interval(fixed, broken, 200)
            covered.append(chance * (interval.low <= 0.01 <= interval.high))
        assert 0.93 < sum(covered) < 0.98


class TestDetectableDifference:
    @pytest.mark.slow
    @pytest.mark.parametrize(("rows", "changed"), [(2000, 0.1), (500, 0.2), (225, 0.4), (30, 0.2), (12, 0.5), (5, 0.0)])
    def test_is_found_four_times_out_of_five(self, rows: int, changed: float) -> None:
        difference = detectable_difference(rows, changed)
        assert difference is not None
        changed = max(changed, difference)
        rng = np.random.default_rng(0)
        shares = [(changed + difference) / 2, max(0.0, (changed - difference) / 2), 1 - changed]
        drawn = rng.multinomial(rows, shares, size=4000)
        tables, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
        found = [mcnemar(int(fixed), int(broken))[1] < 0.05 for fixed, broken in tables]
        assert np.average(found, weights=counts) == pytest.approx(0.8, abs=0.02)

    def test_falls_with_more_rows_and_fewer_changes(self) -> None:
        def found(rows: int, changed: float) -> float:
            difference = detectable_difference(rows, changed)
            assert difference is not None
            return difference

        assert found(2000, 0.1) < found(500, 0.1)
        assert found(2000, 0.05) < found(2000, 0.2)
        assert found(400_000, 0.1) < 0.002

    @pytest.mark.parametrize("rows", range(1, 9))
    def test_is_none_where_even_the_greatest_difference_is_not_significant(self, rows: int) -> None:
        """All rows fixed is the clearest result there is: its mid-p is 2 ** -rows, which is below 0.05 from five rows on."""
        assert mcnemar(rows, 0)[1] == pytest.approx(2.0**-rows)
        assert (detectable_difference(rows, 0.5) is None) == (rows <= 4)


class TestStatistics:
    def test_counts_and_classes_by_hand(self) -> None:
        truth = np.array([0, 0, 0, 1, 1, 2])
        first = np.array([0, 1, 1, 1, 0, 2])
        second = np.array([0, 0, 0, 0, 1, 2])
        found = paired_statistics(truth, first, second, LABELS)
        assert (found.rows, found.fixed, found.broken) == (6, 3, 1)
        assert [(c.support, c.fixed, c.broken) for c in found.per_class.values()] == [(3, 2, 0), (2, 1, 1), (1, 0, 0)]
        assert found.per_class["a"].recall_difference == pytest.approx(2 / 3)
        assert found.accuracy.estimate == pytest.approx(2 / 6)
        assert found.macro_f1 is None  # four changed rows say nothing
        assert not found.is_significant

    def test_a_class_absent_from_test(self) -> None:
        truth, first, second = (np.array([0, 1] * 30), np.array([1, 0] * 30), np.array([0, 1] * 30))
        found = paired_statistics(truth, first, second, LABELS)
        assert found.per_class["c"].support == 0
        assert found.per_class["c"].recall_difference == 0
        assert found.accuracy.estimate == 1.0
        assert found.is_significant

    def test_identical_predictions(self) -> None:
        truth, first, _ = simulate(100, np.random.default_rng(0))
        found = paired_statistics(truth, first, first, LABELS)
        assert (found.fixed, found.broken, found.p_value) == (0, 0, 1.0)
        assert found.accuracy.low < 0 < found.accuracy.high
