"""Several seeds: an interval that counts seeds and rows covers the truth in simulation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from emotune.data.dataset import Split
from emotune.errors import DataError
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import _difference, compare_over_seeds, over_seeds, summarize_seeds

from .conftest import MakeEvaluation, MakeSplit


def test_without_rows_it_is_the_t_interval() -> None:
    values = [0.91, 0.93, 0.92, 0.94, 0.90]
    found = summarize_seeds(values, 0.0, 1000)
    expected = stats.t.interval(0.95, 4, np.mean(values), np.std(values, ddof=1) / 5**0.5)
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.standard_deviation == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("between", [0.0, 0.01, 0.03])
def test_equal_methods_are_rarely_called_different_however_far_seeds_spread(seeds: int, between: float) -> None:
    """2,000 rows; a t interval with Satterthwaite's degrees of freedom fails this with two and three seeds that spread by 0.03."""
    rng = np.random.default_rng(0)
    trials, rows_deviation, own = 2_000, 0.0056, 0.0067
    wrong = dict.fromkeys((0.05, 0.05 / 15), 0)
    for _ in range(trials):
        values = rng.normal() * rows_deviation + rng.normal(size=seeds) * (between**2 + own**2) ** 0.5
        _, p_value = _difference(values.tolist(), (rows_deviation**2 + own**2 / seeds) ** 0.5, 2_000)
        for level in wrong:
            wrong[level] += p_value < level
    for level, count in wrong.items():
        assert count / trials <= level + 3 * (level * (1 - level) / trials) ** 0.5


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(DataError, match="at least two seeds"):
        summarize_seeds([0.9], 0.01, 100)


def test_equal_seeds_and_no_rows_have_no_width() -> None:
    found = summarize_seeds([0.9, 0.9], 0.0, 100)
    assert found.interval.low == found.interval.high == pytest.approx(0.9)


@pytest.mark.parametrize("between", [0.02, 0.3])
def test_covers_the_truth(between: float) -> None:
    """Rows have difficulties, seeds have qualities; the truth is the mean over all of both."""
    rng = np.random.default_rng(0)
    rows, seeds = 400, 5
    draws = stats.norm.cdf(rng.normal(1.0, (1 + between**2) ** 0.5, size=2_000_000))
    truth = float(draws.mean())
    covered, trials = 0, 1000
    for _ in range(trials):
        chance = stats.norm.cdf(1.0 + rng.normal(size=rows)[None] + between * rng.normal(size=seeds)[:, None])
        # One draw a row shared between seeds for most of it, as mistakes of seeds go together.
        shared = rng.random(rows)[None]
        right = np.where(rng.random((seeds, rows)) < 0.7, shared, rng.random((seeds, rows))) < chance
        by_row = right.mean(axis=0)
        found = summarize_seeds(right.mean(axis=1).tolist(), float(by_row.std(ddof=1) / rows**0.5), rows)
        covered += found.interval.low <= truth <= found.interval.high
    assert 0.93 < covered / trials < 0.995  # too wide rather than too narrow


class TestOverSeeds:
    def test_means_are_those_of_the_scores(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=300).tolist())
        evaluations = [
            make_evaluation(split, np.where(rng.random(300) < 0.8, split.label_ids, 0).tolist()) for _ in range(4)
        ]
        found = over_seeds(evaluations)
        assert found["accuracy"].values == tuple(e.metrics.accuracy for e in evaluations)
        assert found["macro-F1"].mean == pytest.approx(np.mean([e.metrics.macro_f1 for e in evaluations]))
        # The rows' part of the accuracy, in closed form.
        by_row = np.mean([e.correct for e in evaluations], axis=0)
        closed = summarize_seeds(list(found["accuracy"].values), by_row.std() / 300**0.5, 300)
        assert found["accuracy"].interval.low == pytest.approx(closed.interval.low, abs=0.004)
        assert found["accuracy"].interval.high == pytest.approx(closed.interval.high, abs=0.004)

    def test_different_rows_are_refused(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        one, other = make_split([0, 1, 2]), make_split([0, 1, 1])
        with pytest.raises(DataError, match="different rows"):
            over_seeds([make_evaluation(one, [0, 1, 2]), make_evaluation(other, [0, 1, 2])])


class TestCompareOverSeeds:
    def test_the_difference_is_that_of_the_means(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=300).tolist())

        def models(quality: float) -> list[Evaluation]:
            return [
                make_evaluation(split, np.where(rng.random(300) < quality, split.label_ids, 0).tolist())
                for _ in range(3)
            ]

        first, second = models(0.7), models(0.8)
        found = compare_over_seeds(first, second)
        assert (found.seeds, found.rows) == (3, 300)
        gains = [b.metrics.accuracy - a.metrics.accuracy for a, b in zip(first, second, strict=True)]
        assert found.accuracy.estimate == pytest.approx(np.mean(gains))
        # The rows' part in closed form: the spread between rows of the mean gain over seeds.
        by_row = np.mean([b.correct.astype(int) - a.correct for a, b in zip(first, second, strict=True)], axis=0)
        rows_part, seeds_part = by_row.var() / 300, np.var(gains, ddof=1) / 3
        reach = (stats.t.ppf(0.975, 2) ** 2 * seeds_part + stats.t.ppf(0.975, 299) ** 2 * rows_part) ** 0.5
        low, high = np.mean(gains) - reach, np.mean(gains) + reach
        assert (found.accuracy.low, found.accuracy.high) == pytest.approx((low, high), abs=0.006)
        # At the level that p is, the interval touches no difference.
        touching = (
            stats.t.isf(found.p_value / 2, 2) ** 2 * seeds_part + stats.t.isf(found.p_value / 2, 299) ** 2 * rows_part
        )
        assert touching**0.5 == pytest.approx(np.mean(gains), rel=0.1)
        macro = [b.metrics.macro_f1 - a.metrics.macro_f1 for a, b in zip(first, second, strict=True)]
        assert found.macro_f1.estimate == pytest.approx(np.mean(macro))

    def test_swapping_the_sides_swaps_the_signs(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(1)
        split = make_split(rng.integers(0, 3, size=90).tolist())
        first, second = (
            [make_evaluation(split, np.where(rng.random(90) < q, split.label_ids, 1).tolist()) for _ in range(2)]
            for q in (0.5, 0.8)
        )
        one, other = compare_over_seeds(first, second), compare_over_seeds(second, first)
        assert one.p_value == pytest.approx(other.p_value)
        assert one.macro_f1_p == pytest.approx(other.macro_f1_p)
        assert (one.accuracy.low, one.accuracy.high) == pytest.approx((-other.accuracy.high, -other.accuracy.low))

    def test_equal_predictions_are_no_difference(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        split = make_split([0, 1, 2, 0])
        models = [make_evaluation(split, [0, 1, 2, 1]), make_evaluation(split, [0, 0, 2, 1])]
        found = compare_over_seeds(models, models)
        assert (found.accuracy.low, found.accuracy.high, found.p_value, found.macro_f1_p) == (0, 0, 1, 1)

    def test_all_wrong_against_all_right_is_judged_by_the_number_of_rows(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        split = make_split([0, 1, 2])
        wrong, right = make_evaluation(split, [1, 2, 0]), make_evaluation(split, [0, 1, 2])
        found = compare_over_seeds([wrong, wrong], [right, right])
        assert found.accuracy.estimate == 1
        assert found.p_value == 0.5**3  # the mid-p of three changed rows, all one way

    @pytest.mark.parametrize("counts", [(1, 1), (2, 3), (0, 0)])
    def test_needs_the_same_seeds(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation, counts: tuple[int, int]
    ) -> None:
        split = make_split([0, 1, 2])
        first, second = ([make_evaluation(split, [0, 1, 2])] * count for count in counts)
        with pytest.raises(DataError, match=f"there are {counts[0]} and {counts[1]}"):
            compare_over_seeds(first, second)

    def test_different_rows_are_refused(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        one, other = make_split([0, 1, 2]), make_split([0, 1, 1])
        with pytest.raises(DataError, match="different rows"):
            compare_over_seeds([make_evaluation(one, [0, 1, 2])] * 2, [make_evaluation(other, [0, 1, 2])] * 2)

    @pytest.mark.parametrize(("seeds", "between"), [(2, 0.0), (2, 0.5), (3, 0.05), (3, 0.5), (5, 0.3)])
    def test_holds_its_level_and_covers_the_truth(
        self, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch, seeds: int, between: float
    ) -> None:
        """Two methods that are alike on average over seeds and rows: one in twenty may be called different, not more.

        Rows have difficulties of their own for either method, and every seed of a method has its own quality.
        """
        monkeypatch.setattr("emotune.evaluation.seeds.RESAMPLES", 100)  # for time
        rng = np.random.default_rng(0)
        rows, trials = 200, 200
        truth = rng.integers(0, 3, size=rows)
        wrong = covered = macro_covered = 0
        for _ in range(trials):
            split = make_split(truth.tolist())
            common = rng.normal(size=rows)
            sides = []
            for _ in range(2):
                ability = 1.0 + common + 0.7 * rng.normal(size=rows) + between * rng.normal(size=(seeds, 1))
                # One draw a row shared between seeds for most of it, as mistakes of seeds go together.
                shared = rng.random(rows)[None]
                draws = np.where(rng.random((seeds, rows)) < 0.7, shared, rng.random((seeds, rows)))
                right = draws < stats.norm.cdf(ability)
                sides.append([cheap_evaluation(split, np.where(r, truth, (truth + 1) % 3)) for r in right])
            found = compare_over_seeds(*sides)
            wrong += found.p_value < 0.05
            covered += found.accuracy.low <= 0 <= found.accuracy.high
            macro_covered += found.macro_f1.low <= 0 <= found.macro_f1.high
            assert (found.p_value < 0.05) == (not found.accuracy.low <= 0 <= found.accuracy.high)
        # Three standard errors of a share of 0.05 in 200 trials.
        allowed = 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
        assert wrong / trials <= allowed
        assert covered / trials >= 1 - allowed
        assert macro_covered / trials >= 1 - allowed


def cheap_evaluation(split: Split, predictions: NDArray[np.int64]) -> Evaluation:
    """An evaluation with the two scores that matter here, without scikit-learn's checks, of which there would be thousands."""
    confusion = np.zeros((3, 3))
    np.add.at(confusion, (split.label_ids, predictions), 1)
    f1 = 2 * confusion.diagonal() / (confusion.sum(axis=0) + confusion.sum(axis=1))
    scores = SimpleNamespace(accuracy=confusion.trace() / len(split), macro_f1=float(f1.mean()))
    return Evaluation("model", split, None, None, predictions, cast(Any, scores), 0.0)
