"""The leaderboard: ordered by validation alone, tests on the same rows, and the figures behind it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from emotune.evaluation.compare import compare
from emotune.evaluation.differences import differences
from emotune.evaluation.margin import margin_test
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedStudy
from emotune.sweep.folder import TrialResult
from emotune.sweep.leaderboard import make_leaderboard, pareto_front
from emotune.sweep.plan import Candidate, with_settings
from emotune.system.errors import DataError

from .conftest import FakeEngine, MakePlan, guesses

Made = tuple[Candidate, list[TrialResult]]


class Scored(TrialResult):
    """A result whose predictions are at hand."""

    made: Evaluation

    def evaluation(self) -> Evaluation:
        return self.made


@pytest.fixture
def results(make_plan: MakePlan, engine: FakeEngine) -> Callable[..., list[Made]]:
    """Results of candidates: by name, macro-F1 on validation and share of right test rows, one a seed."""

    def make(*given: tuple[str, list[float | None], list[float]]) -> list[Made]:
        config = make_plan().candidates[0].config
        rng = np.random.default_rng(0)
        found: list[Made] = []
        for name, validation, quality in given:
            candidate = Candidate(name, name, config)
            trials: list[TrialResult] = []
            for seed, (score, right) in enumerate(zip(validation, quality, strict=True)):
                if score is None:
                    continue
                made = guesses(engine.data.test, right, rng)
                figures: dict[str, Any] = {
                    "validation": {"macro_f1": score, "accuracy": score},
                    "test": {"accuracy": made.metrics.accuracy, "macro_f1": made.metrics.macro_f1},
                    "trainable_parameters": 10,
                    "total_parameters": 1000,
                    "seconds": 2.0 + seed,
                    "peak_memory_bytes": 100 + seed,
                    "size_bytes": 40,
                    "largest_logit_difference": 1e-6 * (1 + seed),
                    "warnings": [],
                    "place": "nowhere",
                    "precision": "fp32",
                    "device": "cpu",
                    "revision": None,
                }
                result = Scored(candidate.trial(seed), figures, 2.0, Path())
                object.__setattr__(result, "made", made)
                trials.append(result)
            found.append((candidate, trials))
        return found

    return make


def test_order_and_choice_are_by_validation_whatever_the_test_rows_say(results: Callable[..., list[Made]]) -> None:
    found = results(("a", [0.5, 0.6], [0.9, 0.9]), ("b", [0.7, 0.8], [0.5, 0.4]), ("c", [0.6, 0.6], [1.0, 1.0]))
    board = make_leaderboard(found, (0, 1), {})
    assert [row.label for row in board.rows] == ["b", "c", "a"]
    assert [row.rank for row in board.rows] == [1, 2, 3]
    assert board.best.trial.label == "b, seed 1"
    assert board.test_rows == 36
    assert board.largest_logit_difference == 2e-6
    assert board.wall_seconds == 12.0


def test_a_configuration_with_a_seed_missing_stands_last_whatever_its_mean(results: Callable[..., list[Made]]) -> None:
    found = results(
        ("lucky", [0.9, None], [0.9, 0.9]), ("whole", [0.5, 0.5], [0.5, 0.5]), ("none", [None, None], [0, 0])
    )
    board = make_leaderboard(found, (0, 1), {"none, seed 0": "no memory left"})
    assert [(row.label, row.seeds, row.missing) for row in board.rows] == [
        ("whole", (0, 1), ()),
        ("lucky", (0,), (1,)),
    ]
    assert board.failures == {"none, seed 0": "no memory left"}
    # Compared over the one seed that both have, with the spread of the one that has two.
    assert board.rows[1].against_best is not None
    assert board.rows[1].against_best.seeds == 1
    lucky, whole = found[0][1][0].evaluation(), found[1][1][0].evaluation()
    gain = lucky.metrics.accuracy - whole.metrics.accuracy
    assert board.rows[1].against_best.accuracy.estimate == pytest.approx(gain)
    assert board.spread is not None
    assert board.spread.freedom == 1
    assert not board.one_seed


def test_one_seed_each_is_mcnemars_test(results: Callable[..., list[Made]]) -> None:
    found = results(("a", [0.9], [0.9]), ("b", [0.5], [0.5]))
    board = make_leaderboard(found, (0,), {}, validation_rows=30, margin=1.0)
    a, b = (trials[0].evaluation() for _, trials in found)
    fixed, broken = int((b.correct & ~a.correct).sum()), int((a.correct & ~b.correct).sum())
    difference = board.rows[1].against_best
    assert difference is not None
    assert difference.p_value == pytest.approx(
        stats.binomtest(fixed, fixed + broken).pvalue, rel=0.8
    )  # mid-p is smaller
    assert difference.p_value < stats.binomtest(fixed, fixed + broken).pvalue
    assert (difference.fixed, difference.broken) == (fixed, broken)
    assert difference.not_worse is not None
    assert difference.not_worse.p_value == margin_test(compare(a, b).statistics, 1.0).not_worse_p
    assert board.one_seed
    assert board.spread is None
    assert board.power is None
    assert board.excess is not None
    assert not board.excess.counts_seeds


def test_differences_are_over_the_same_seeds_and_corrected_for_their_number(results: Callable[..., list[Made]]) -> None:
    found = results(
        ("best", [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]),
        ("close", [0.8, 0.8, 0.8], [0.85, 0.9, 0.8]),
        ("far", [0.1, 0.1, 0.1], [0.1, 0.2, 0.1]),
    )
    board = make_leaderboard(found, (0, 1, 2), {})
    evaluations = [[trial.evaluation() for trial in trials] for _, trials in found]
    study = SeedStudy.of([dict(enumerate(group)) for group in evaluations])
    expected = [study.difference(0, 1), study.difference(0, 2)]
    assert expected[0] is not None
    assert expected[1] is not None
    close, far = board.rows[1].against_best, board.rows[2].against_best
    assert board.rows[0].against_best is None
    assert close is not None
    assert far is not None
    assert (close.accuracy, far.accuracy) == (expected[0].accuracy, expected[1].accuracy)
    assert far.p_value == expected[1].p_value < expected[0].p_value
    assert far.adjusted_p == pytest.approx(2 * far.p_value)  # Holm: the smallest of two counts twice, the larger once
    assert close.adjusted_p == pytest.approx(max(close.p_value, far.adjusted_p))
    assert far.macro_f1_p == expected[1].macro_f1_p
    assert far.macro_f1_adjusted_p == pytest.approx(2 * expected[1].macro_f1_p)
    assert close.not_worse is None
    assert far.not_worse is None
    assert board.power is not None
    assert board.power.comparisons == 2
    assert board.power.corrected > board.power.alone > 0


def test_the_spread_between_seeds_is_that_of_all_configurations(results: Callable[..., list[Made]]) -> None:
    """A third configuration tells the first two how seeds spread, so their difference has more degrees of freedom."""
    two = ("a", [0.9, 0.9], [0.9, 0.8]), ("b", [0.8, 0.8], [0.7, 0.8])
    more = [(f"c{i}", [0.1, 0.1], [0.8, 0.8]) for i in range(6)]
    few = make_leaderboard(results(*two), (0, 1), {})
    many = make_leaderboard(results(*two, *more), (0, 1), {})
    assert few.spread is not None
    assert many.spread is not None
    assert few.spread.freedom <= 2 < many.spread.freedom
    variances = [np.var(row.test_right.values, ddof=1) for row in many.rows]
    assert many.spread.deviation == pytest.approx(np.mean(variances) ** 0.5)


def test_margins_are_one_sided_and_corrected(results: Callable[..., list[Made]]) -> None:
    found = results(
        ("best", [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]),
        ("close", [0.8, 0.8, 0.8], [0.9, 0.9, 0.9]),
        ("far", [0.1, 0.1, 0.1], [0.1, 0.2, 0.1]),
    )
    board = make_leaderboard(found, (0, 1, 2), {}, margin=20)
    assert board.margin == 20
    study = SeedStudy.of([dict(enumerate(trial.evaluation() for trial in trials)) for _, trials in found])
    p_values = []
    for position in (1, 2):
        over, claimed = study.difference(0, position), board.rows[position].against_best
        assert over is not None
        assert claimed is not None
        assert claimed.not_worse is not None
        assert claimed.alike is not None
        p_values.append(claimed.not_worse.p_value)
        assert claimed.not_worse.p_value == over.of_accuracy.not_below(0.2)
        assert claimed.alike.p_value == over.of_accuracy.within(0.2)
        # The one-sided p is below 0.025 where the interval ends above the margin.
        assert (claimed.not_worse.p_value < 0.025) == (claimed.accuracy.low > -0.2)
    close = board.rows[1].against_best
    assert close is not None
    assert close.not_worse is not None
    assert p_values[0] < 0.05 < p_values[1]
    assert close.not_worse.adjusted_p == pytest.approx(2 * p_values[0])


def test_full_fine_tuning_is_what_others_stand_beside(results: Callable[..., list[Made]], make_plan: MakePlan) -> None:
    given = [
        ("best", [0.9, 0.9], [0.9, 0.9]),
        ("full, slow", [0.8, 0.8], [0.8, 0.8]),
        ("full, fast", [0.7, 0.7], [0.7, 0.7]),
    ]
    found = results(*given)
    full = make_plan().candidates[1].config
    assert full.method.name == "full"
    found = [
        (replace(candidate, config=full) if candidate.label.startswith("full") else candidate, trials)
        for candidate, trials in found
    ]
    board = make_leaderboard(found, (0, 1), {}, margin=5)
    best, slow, fast = board.rows
    assert slow.against_full is None  # the better one on validation is the yardstick
    study = SeedStudy.of([dict(enumerate(trial.evaluation() for trial in trials)) for _, trials in found])
    assert [best.against_full, fast.against_full] == differences(study, [(1, 0), (1, 2)], 0.05)
    # On another base model it is no yardstick.
    other = with_settings(full, {"model.name": "another"})
    found = [(replace(c, config=other) if c.label.startswith("full") else c, trials) for c, trials in found]
    assert make_leaderboard(found, (0, 1), {}).rows[0].against_full is None


def test_how_much_too_high_the_best_one_is(results: Callable[..., list[Made]]) -> None:
    given = [(name, [score, score], [0.8, 0.8]) for name, score in (("a", 0.8), ("b", 0.79), ("c", 0.1))]
    excess = make_leaderboard(results(*given), (0, 1), {}, validation_rows=36).excess
    assert excess is not None
    assert excess.alike == 2  # 0.1 is far behind
    assert excess.counts_seeds
    assert excess.excess > 0
    assert make_leaderboard(results(*given), (0, 1), {}).excess is None


def test_figures_are_means_and_deviations_over_seeds(results: Callable[..., list[Made]]) -> None:
    row = make_leaderboard(results(("a", [0.5, 0.7], [0.9, 0.6])), (0, 1), {}).rows[0]
    assert row.validation_macro_f1.values == (0.5, 0.7)
    assert row.validation_macro_f1.mean == pytest.approx(0.6)
    assert row.validation_macro_f1.deviation == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert row.seconds.mean == 2.5
    assert row.peak_memory == 101
    assert row.trainable_share == 0.01
    one = make_leaderboard(results(("a", [0.5], [0.9])), (0,), {}).rows[0]
    assert one.validation_macro_f1.deviation is None


def test_nothing_finished(results: Callable[..., list[Made]]) -> None:
    with pytest.raises(DataError, match="nothing to compare"):
        make_leaderboard(results(("a", [None], [0])), (0,), {"a, seed 0": "x"})


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1.0, 0.5)], (0,)),
        ([(1.0, 0.5), (2.0, 0.4)], (0,)),
        ([(2.0, 0.9), (1.0, 0.5), (3.0, 0.9), (1.5, 0.2), (4.0, 0.95)], (1, 0, 4)),
        ([(1.0, 0.5), (1.0, 0.6), (1.0, 0.6)], (1,)),
    ],
)
def test_pareto_front(points: list[tuple[float, float]], front: tuple[int, ...]) -> None:
    assert pareto_front(points) == front


def test_pareto_front_is_what_no_other_beats() -> None:
    rng = np.random.default_rng(0)
    points = [(float(a), float(b)) for a, b in rng.random((40, 2))]
    unbeaten = {
        i
        for i, (cost, score) in enumerate(points)
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)
    }
    assert set(pareto_front(points)) == unbeaten
