"""Margins against published examples, a likelihood by search, exact levels and simulated power."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from emotune.evaluation.compare import compare
from emotune.evaluation.margin import MarginTest, checked_margin, corrected, margin_test, provable_margin
from emotune.statistics.paired import holm, paired_statistics, score_interval, score_statistic
from emotune.system.errors import ConfigError

from ..facts import facts
from .conftest import MakeEvaluation, MakeSplit


def of_counts(fixed: int, broken: int, rows: int, points: float) -> MarginTest:
    """The test of so many fixed and broken rows."""
    truth = np.zeros(rows, dtype=np.int64)
    places = np.arange(rows)
    first = np.where(places < fixed, 1, 0)
    second = np.where((places >= fixed) & (places < fixed + broken), 1, 0)
    return margin_test(paired_statistics(truth, first, second, ("a", "b")), points)


def test_the_example_of_tango() -> None:
    """44 pairs of contact lenses, none for the new treatment alone and one for the old, margin 10 points (T. Tango, 1998)."""
    found = of_counts(0, 1, 44, 10)
    assert score_statistic(0, 1, 44, -0.1) == pytest.approx(1.709, abs=5e-4)
    assert found.not_worse_p == pytest.approx(0.044, abs=5e-4)
    assert found.is_not_worse


def test_the_interval_of_fagerland() -> None:
    """Hyper-responsiveness of the airways in 21 children before and after (M. Fagerland, S. Lydersen, P. Laake, 2014)."""
    found = score_interval(1, 7, 21)
    assert found.low == pytest.approx(-0.517, abs=5e-4)
    assert found.high == pytest.approx(-0.026, abs=5e-4)


@pytest.mark.parametrize(
    ("fixed", "broken", "rows", "margin"), [(12, 10, 225, 0.02), (3, 9, 150, 0.05), (0, 0, 80, 0.03)]
)
def test_p_from_a_likelihood_by_search(fixed: int, broken: int, rows: int, margin: float) -> None:
    """The likeliest table whose difference is the margin, found on a grid, gives the standard error."""

    def statistic(difference: float) -> float:
        shares = np.linspace(max(0.0, -difference), (1 - difference) / 2, 2_000_001)[1:-1]
        likelihood = (rows - fixed - broken) * np.log(1 - 2 * shares - difference)
        likelihood += (fixed * np.log(shares + difference) if fixed else 0.0) + (
            broken * np.log(shares) if broken else 0.0
        )
        share = float(shares[np.argmax(likelihood)])
        variance = rows * (2 * share + difference - difference**2)
        return float((fixed - broken - rows * difference) / math.sqrt(variance))

    found = of_counts(fixed, broken, rows, 100 * margin)
    assert found.not_worse_p == pytest.approx(stats.norm.sf(statistic(-margin)), abs=1e-4)
    assert found.worse_p == pytest.approx(1 - found.not_worse_p)
    assert found.equivalent_p == pytest.approx(
        max(stats.norm.sf(statistic(-margin)), stats.norm.cdf(statistic(margin))), abs=1e-4
    )


@pytest.mark.parametrize(
    ("rows", "changed", "margin"), [(225, 0.1, 0.01), (225, 0.3, 0.05), (2000, 0.05, 0.01), (2000, 0.1, 0.02)]
)
def test_holds_its_level_where_the_model_is_worse_by_the_margin(rows: int, changed: float, margin: float) -> None:
    shares = [(changed - margin) / 2, (changed + margin) / 2, 1 - changed]
    drawn = np.random.default_rng(0).multinomial(rows, shares, size=20_000)
    tables, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    found = [stats.norm.sf(score_statistic(int(fixed), int(broken), rows, -margin)) < 0.05 for fixed, broken in tables]
    assert 0.04 < np.average(found, weights=counts) < 0.06


def test_is_cautious_on_few_rows() -> None:
    """Every table of 40 rows, weighed by its chance."""
    rows, margin, level = 40, 0.05, 0.0
    for changed in (0.05, 0.1, 0.3):
        level = 0.0
        for fixed in range(rows + 1):
            for broken in range(min(rows - fixed, 25) + 1):
                if stats.norm.sf(score_statistic(fixed, broken, rows, -margin)) < 0.05:
                    shares = [(changed - margin) / 2, (changed + margin) / 2, 1 - changed]
                    level += stats.multinomial.pmf([fixed, broken, rows - fixed - broken], rows, shares)
        assert level < 0.06


@pytest.mark.slow
def test_says_the_same_as_the_interval_of_90_percent() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        fixed, broken = (int(number) for number in rng.integers(0, 15, 2))
        found = of_counts(fixed, broken, 200, 2.5)
        assert found.is_not_worse == (found.difference.low > -0.025)
        assert found.is_equivalent == (found.difference.low > -0.025 and found.difference.high < 0.025)
        assert found.is_worse == (found.difference.high < -0.025)
        assert found.difference.level == pytest.approx(0.9)


@pytest.mark.parametrize(("rows", "changed"), [(225, 0.1), (2000, 0.1), (2000, 0.02), (100, 0.2)])
def test_the_provable_margin_is_shown_four_times_out_of_five(rows: int, changed: float) -> None:
    margin = provable_margin(rows, changed)
    drawn = np.random.default_rng(0).multinomial(rows, [changed / 2, changed / 2, 1 - changed], size=5_000)
    tables, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    found = [stats.norm.sf(score_statistic(int(fixed), int(broken), rows, -margin)) < 0.05 for fixed, broken in tables]
    assert 0.77 < np.average(found, weights=counts) < 0.86


def test_models_that_agree_on_every_row_are_equivalent_where_there_are_enough() -> None:
    assert of_counts(0, 0, 500, 1).is_equivalent
    few = of_counts(0, 0, 100, 1)
    assert not few.is_not_worse
    assert few.provable == pytest.approx(stats.norm.isf(0.05) ** 2 / (100 + stats.norm.isf(0.05) ** 2), abs=1e-6)


def test_correction_is_holms() -> None:
    tests = [of_counts(12, broken, 400, 2) for broken in (10, 14, 18)]
    found = corrected(tests)
    assert [test.not_worse_p for test in found] == holm([test.not_worse_p for test in tests])
    assert [test.equivalent_p for test in found] == holm([test.equivalent_p for test in tests])


@pytest.mark.parametrize("points", [0, -1, 100, 250, math.nan, math.inf, True, "1"])
def test_a_margin_that_is_none_is_refused(points: float) -> None:
    with pytest.raises(ConfigError, match=facts("The margin is", "above 0 and below 100", "points of accuracy")):
        checked_margin(points)


def test_worse_is_not_claimed_where_the_two_sided_test_finds_no_difference() -> None:
    """4 of 32 rows broken and none fixed: the mid-p is 0.0625, and the one-sided p of a margin of a point below 0.05."""
    found = of_counts(0, 4, 32, 1)
    assert found.worse_p < 0.05
    assert not found.is_worse
    assert of_counts(0, 10, 32, 1).is_worse


class TestComparison:
    def test_tests_against_the_best_baseline_first_then_all_that_is_not_chance(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        split = make_split([0, 1] * 20)
        right, wrong = [0, 1] * 20, [1, 0] * 20
        base = replace(make_evaluation(split, wrong, "base"), is_chance=True)
        tuned = make_evaluation(split, right, "tuned")
        weak = replace(make_evaluation(split, wrong, "weak"), validation_macro_f1=0.3)
        best = replace(make_evaluation(split, right, "best"), validation_macro_f1=0.6)
        found = compare(base, tuned, weak, best, margin=20)
        assert [other.name for other, _ in found.margin_tests] == ["best", "weak"]
        assert compare(weak, tuned, best, margin=20).margin_tests[1][0] is weak
        assert compare(base, tuned, weak, best).margin_tests == ()
        assert compare(base, tuned, margin=20).margin_tests == ()

    def test_a_wrong_margin_is_refused(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        split = make_split([0, 1])
        with pytest.raises(ConfigError, match=facts("The margin is 0")):
            compare(make_evaluation(split, [0, 0]), make_evaluation(split, [0, 1]), margin=0)

    def test_several_seeds_are_tested_by_their_mean_and_not_by_the_one_that_is_kept(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        """Rows are many and agree, so it is the t test of three seeds against the margin."""
        split = make_split([0] * 4_000)
        words = make_evaluation(split, [0] * 3_600 + [1] * 400, "words")
        seeds = [
            make_evaluation(split, [0] * right + [1] * (4_000 - right), "tuned") for right in (3_560, 3_640, 3_600)
        ]
        found = replace(compare(words, seeds[0], margin=5), seeds=tuple(seeds))
        ((other, test),) = found.margin_tests
        assert other is found.before
        gains = [-0.01, 0.01, 0.0]
        expected = stats.ttest_1samp(gains, -0.05, alternative="greater")
        assert test.not_worse_p == pytest.approx(expected.pvalue, rel=0.2)
        assert test.worse_p == pytest.approx(1 - test.not_worse_p)
        assert test.difference.estimate == pytest.approx(0, abs=1e-12)
        assert test.difference.level == pytest.approx(0.9)
        assert margin_test(found.statistics, 5).difference.estimate == pytest.approx(-0.01)
