"""Several seeds: one configuration, two, and a whole leaderboard, against SciPy, hand-worked cases and simulation."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedDifference, SeedStudy, expected_maximum, over_seeds
from emotune.system.errors import DataError

from .conftest import MakeEvaluation, MakeSplit


def compare_over_seeds(first: list[Evaluation], second: list[Evaluation]) -> SeedDifference:
    """Two configurations by themselves, with the same seeds."""
    found = SeedStudy.of([dict(enumerate(first)), dict(enumerate(second))]).difference(0, 1)
    assert found is not None
    return found


def models(
    split: Split, make_evaluation: MakeEvaluation, quality: float, seeds: int, rng: np.random.Generator
) -> list[Evaluation]:
    """Trainings that get about this share of rows right."""
    return [
        make_evaluation(split, np.where(rng.random(len(split)) < quality, split.label_ids, 0).tolist())
        for _ in range(seeds)
    ]


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
        # By hand: seeds / S + rows / n + interaction / (S n), where the rows' share is what is left of their spread.
        right = np.array([e.correct for e in evaluations], dtype=float)
        between_seeds, between_rows = right.mean(axis=1).var(ddof=1) / 4, right.mean(axis=0).var(ddof=1) / 300
        left = right - right.mean(axis=0) - right.mean(axis=1, keepdims=True) + right.mean()
        interaction = (left**2).sum() / (3 * 299) / (4 * 300)
        rng = np.random.default_rng(1)
        drawn = between_seeds**0.5 * rng.standard_t(3, size=400_000)
        # Two right and two wrong rows more, as Agresti and Coull have it.
        mean = right.mean()
        more = (300 * mean + 2) / 304
        unseen = more * (1 - more) / 304 - mean * (1 - mean) / 300
        drawn += (between_rows - interaction + unseen) ** 0.5 * rng.standard_t(299, size=400_000)
        reach = np.quantile(np.abs(drawn), 0.95)
        interval = found["accuracy"].interval
        assert (interval.high - interval.low) / 2 == pytest.approx(reach, rel=0.02)

    def test_one_seed_has_no_interval(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        with pytest.raises(DataError, match="at least two seeds"):
            over_seeds([make_evaluation(make_split([0, 1, 2]), [0, 1, 2])])

    def test_rows_that_are_all_right_have_an_interval(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        split = make_split([0, 1] * 10)
        found = over_seeds([make_evaluation(split, [0, 1] * 10)] * 3)["accuracy"].interval
        assert found.estimate == found.high == 1
        # Two right and two wrong rows more: 22 of 24.
        error = (22 / 24 * 2 / 24 / 24) ** 0.5
        assert found.low == pytest.approx(1 - stats.t.isf(0.025, 19) * error, rel=1e-3)

    def test_different_rows_are_refused(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        one, other = make_split([0, 1, 2]), make_split([0, 1, 1])
        with pytest.raises(DataError, match="different rows"):
            over_seeds([make_evaluation(one, [0, 1, 2]), make_evaluation(other, [0, 1, 2])])


class TestCompareOverSeeds:
    def test_the_difference_is_that_of_the_means(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=300).tolist())
        first, second = (models(split, make_evaluation, quality, 3, rng) for quality in (0.7, 0.8))
        found = compare_over_seeds(first, second)
        assert (found.seeds, found.rows) == (3, 300)
        gains = [b.metrics.accuracy - a.metrics.accuracy for a, b in zip(first, second, strict=True)]
        assert found.accuracy.estimate == pytest.approx(np.mean(gains))
        macro = [b.metrics.macro_f1 - a.metrics.macro_f1 for a, b in zip(first, second, strict=True)]
        assert found.macro_f1.estimate == pytest.approx(np.mean(macro))

    def test_without_seeds_that_differ_it_is_the_paired_t_test(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=300).tolist())
        first, second = (models(split, make_evaluation, quality, 1, rng) * 3 for quality in (0.7, 0.75))
        found = compare_over_seeds(first, second)
        expected = stats.ttest_rel(second[0].correct.astype(float), first[0].correct.astype(float))
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-3)
        assert (found.accuracy.low, found.accuracy.high) == pytest.approx(
            tuple(expected.confidence_interval()), rel=1e-3
        )

    def test_few_changed_rows_count_half_a_row_more_in_each_cell(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        """As A. Agresti and Y. Min have it (2005): (b + c + 1) and (b - c) on n + 2 rows."""
        split = make_split([0] * 40)
        first = make_evaluation(split, [1] * 6 + [0] * 33 + [1])
        second = make_evaluation(split, [0] * 6 + [0] * 31 + [1, 1, 1])
        found = compare_over_seeds([first, first], [second, second])
        assert (found.fixed, found.broken) == (6, 2)
        error = ((6 + 2 + 1) / 42**2 - (6 - 2) ** 2 / 42**3) ** 0.5
        reach = stats.t.isf(0.025, 39) * error
        assert (found.accuracy.low, found.accuracy.high) == pytest.approx((0.1 - reach, 0.1 + reach), rel=1e-3)

    def test_flips_are_those_of_most_seeds(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        split = make_split([0, 0, 0, 0])
        # By row: right in 1, 2, 3 and 0 of the three seeds.
        first = [make_evaluation(split, labels) for labels in ([0, 0, 0, 1], [1, 0, 0, 1], [1, 1, 0, 1])]
        second = [make_evaluation(split, labels) for labels in ([0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 1])]
        found = compare_over_seeds(first, second)
        assert (found.fixed, found.broken) == (2, 1)
        # With two seeds, one of two is not most.
        found = compare_over_seeds(first[:2], second[:2])
        assert (found.fixed, found.broken) == (2, 1)

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
        assert found.accuracy.low < 0.5 < found.accuracy.high == 1

    def test_four_rows_are_never_significant_however_alike_the_seeds_are(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        split = make_split([0, 1, 2, 0])
        wrong, right = make_evaluation(split, [1, 2, 0, 1]), make_evaluation(split, [0, 1, 2, 0])
        nearly = make_evaluation(split, [0, 1, 2, 1])
        found = SeedStudy.of([{0: right, 1: right, 2: nearly}]).difference_from_one(wrong, 0)
        assert (found.p_value, found.macro_f1_p) == pytest.approx((0.5**4, 0.5**4))


class TestDifferenceFromOne:
    def test_the_spread_between_seeds_has_the_freedom_of_these_seeds_alone(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        """Two seeds far apart and rows without a part of their own: the t test with one degree of freedom."""
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=4_000).tolist())
        (base,) = models(split, make_evaluation, 0.5, 1, rng)
        seeds = [models(split, make_evaluation, quality, 1, rng)[0] for quality in (0.6, 0.9)]
        found = SeedStudy.of([dict(enumerate(seeds))]).difference_from_one(base, 0)
        gains = [found.metrics.accuracy - base.metrics.accuracy for found in seeds]
        expected = stats.ttest_1samp(gains, 0)
        assert found.p_value == pytest.approx(expected.pvalue, rel=0.05)

    def test_a_rival_with_a_seed_of_its_own_adds_the_spread_of_one_seed(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=4_000).tolist())
        (base,) = models(split, make_evaluation, 0.5, 1, rng)
        seeds = [models(split, make_evaluation, quality, 1, rng)[0] for quality in (0.6, 0.7, 0.8)]
        study = SeedStudy.of([dict(enumerate(seeds))])
        plain, seeded = (study.difference_from_one(replace(base, has_seed=seed), 0) for seed in (False, True))
        between = np.var([found.metrics.accuracy for found in seeds], ddof=1)
        assert sum(part.variance for part in plain.of_accuracy.parts) == pytest.approx(between / 3, rel=0.02)
        assert sum(part.variance for part in seeded.of_accuracy.parts) == pytest.approx(between / 3 + between, rel=0.02)

    def test_different_rows_are_refused(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        one, other = make_split([0, 1, 2]), make_split([0, 1, 1])
        with pytest.raises(DataError, match="different rows"):
            compare_over_seeds([make_evaluation(one, [0, 1, 2])] * 2, [make_evaluation(other, [0, 1, 2])] * 2)


class TestSeedStudy:
    def test_the_spread_is_that_of_all_configurations(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=200).tolist())
        groups = [dict(enumerate(models(split, make_evaluation, 0.8, 3, rng))) for _ in range(5)]
        study = SeedStudy.of(groups)
        variances = [np.var([e.metrics.accuracy for e in group.values()], ddof=1) for group in groups]
        assert study.accuracy.deviation == pytest.approx(np.mean(variances) ** 0.5)
        assert study.accuracy.freedom == pytest.approx(10, rel=0.05)
        both, alone = study.difference(0, 1), compare_over_seeds(list(groups[0].values()), list(groups[1].values()))
        assert both is not None
        assert both.accuracy.estimate == alone.accuracy.estimate
        assert both.of_accuracy.parts[0].freedom > alone.of_accuracy.parts[0].freedom

    def test_only_common_seeds_are_compared(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=60).tolist())
        first, second = (models(split, make_evaluation, 0.8, 3, rng) for _ in range(2))
        study = SeedStudy.of([{0: first[0], 1: first[1]}, {1: second[1], 2: second[2]}, {5: first[2]}])
        found = study.difference(0, 1)
        assert found is not None
        assert found.seeds == 1
        assert found.accuracy.estimate == pytest.approx(second[1].metrics.accuracy - first[1].metrics.accuracy)
        assert found.of_accuracy.parts  # one seed each, and the spread of two configurations with two
        assert study.difference(0, 2) is None

    def test_one_seed_each_knows_nothing_of_seeds(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=60).tolist())
        study = SeedStudy.of([{0: found} for found in models(split, make_evaluation, 0.8, 2, rng)])
        assert not study.knows_seeds
        found = study.difference(0, 1)
        assert found is not None
        assert found.of_accuracy.parts == ()


class TestWinnersExcess:
    @pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 0.56419), (3, 0.84628), (10, 1.53875), (16, 1.76599)])
    def test_expected_maximum(self, count: int, expected: float) -> None:
        """H. L. Harter, Biometrika 48 (1961), table 1."""
        assert expected_maximum(count) == pytest.approx(expected, abs=1e-5)

    @pytest.mark.slow
    def test_the_best_of_equal_ones_is_too_high_by_as_much_as_it_says(
        self, make_split: MakeSplit, make_evaluation: MakeEvaluation
    ) -> None:
        rng = np.random.default_rng(0)
        rows, seeds, count, trials = 100, 2, 5, 25
        too_high, said = [], []
        for _ in range(trials):
            # One split for both jobs: labels are drawn anew for each.
            split, other = (make_split(rng.integers(0, 3, size=rows).tolist()) for _ in range(2))
            groups = [dict(enumerate(models(split, make_evaluation, 0.8, seeds, rng))) for _ in range(count)]
            scores = sorted(
                (
                    float(np.mean([e.metrics.macro_f1 for e in models(other, make_evaluation, 0.8, seeds, rng)]))
                    for _ in range(count)
                ),
                reverse=True,
            )
            found = SeedStudy.of(groups).winners_excess(scores, rows)
            assert found.counts_seeds
            too_high.append(scores[0] - np.mean(scores))
            said.append(found.excess)
        assert np.mean(said) == pytest.approx(np.mean(too_high), rel=0.3)

    def test_scores_far_behind_do_not_count(self, make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
        rng = np.random.default_rng(0)
        split = make_split(rng.integers(0, 3, size=300).tolist())
        study = SeedStudy.of([dict(enumerate(models(split, make_evaluation, 0.8, 2, rng))) for _ in range(3)])
        found = study.winners_excess([0.9, 0.6, 0.5], 300)
        assert (found.alike, found.excess) == (1, 0.0)


class TestLevel:
    """A fast part of benchmarks/seed_tests.py, whose figures for all settings stand in benchmarks/results/seed_tests.json."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("setting", "trials", "least"),
        [
            ({"seeds": 3, "rows": 225, "deviation": 0.5, "configurations": 4, "accuracy": 0.7}, 250, 0.025),
            ({"seeds": 2, "rows": 500, "deviation": 0.0, "configurations": 8}, 120, 0.025),
            ({"seeds": 3, "rows": 500, "deviation": 1.0, "configurations": 8}, 120, 0.025),
            ({"seeds": 2, "rows": 225, "deviation": 0.5, "configurations": 2, "accuracy": 0.7}, 400, 0.0),
            # One configuration's seeds spread ten times as far: the others are tested as before, and it by its own spread. Three seeds
            # cannot always show that; what it then costs stands in the log of experiments.
            ({"seeds": 5, "rows": 500, "deviation": 0.5, "configurations": 8, "wide": 10.0}, 120, 0.025),
        ],
    )
    def test_equal_configurations_are_called_different_as_often_as_the_level_says(
        self, simulation: Any, setting: dict[str, Any], trials: int, least: float
    ) -> None:
        found = simulation.measure(simulation.Setting(**setting), trials, macro=False)
        assert least <= found["accuracy called different"] <= 0.075
        assert found.get("last called different", 0.0) <= 0.1
        assert 0.92 <= found["accuracy covers"] <= 1
        assert found["leaderboards with a difference from the best"] <= 0.09

    def test_macro_f1_holds_too(self, simulation: Any) -> None:
        setting = simulation.Setting(seeds=3, rows=500, deviation=0.5, configurations=4)
        found = simulation.measure(setting, 150)
        assert 0.02 <= found["macro-F1 called different"] <= 0.08
        assert found["macro-F1 covers"] >= 0.9

    def test_a_real_difference_is_found_as_often_as_is_said(self, simulation: Any) -> None:
        equal = simulation.Setting(seeds=3, rows=500, deviation=0.5, configurations=8)
        points = simulation.measure(equal, 40, macro=False)["detectable points"]
        worse = replace(equal, worse=points)
        found = simulation.measure(worse, 150, 1, macro=False)["last called different"]
        assert found == pytest.approx(0.8, abs=0.1)


@pytest.fixture(scope="module")
def simulation() -> Any:
    """The simulation of the benchmarks."""
    path = Path(__file__).parents[2] / "benchmarks" / "seed_tests.py"
    spec = spec_from_file_location("seed_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["seed_tests"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
