"""The leaderboard: ordered by validation alone, tests on the same rows, and the figures behind it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.errors import DataError
from emotune.evaluation.paired import mcnemar
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import compare_over_seeds
from emotune.sweep.folder import TrialResult
from emotune.sweep.leaderboard import make_leaderboard, pareto_front
from emotune.sweep.plan import Candidate

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
    # Compared over the one seed that both have: McNemar's test.
    lucky, whole = found[0][1][0].evaluation(), found[1][1][0].evaluation()
    fixed, broken = int((lucky.correct & ~whole.correct).sum()), int((whole.correct & ~lucky.correct).sum())
    assert board.rows[1].against_best is not None
    assert board.rows[1].against_best.seeds == 1
    assert board.rows[1].against_best.p_value == mcnemar(fixed, broken)[1]


def test_differences_are_over_the_same_seeds_and_corrected_for_their_number(results: Callable[..., list[Made]]) -> None:
    found = results(
        ("best", [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]),
        ("close", [0.8, 0.8, 0.8], [0.85, 0.9, 0.8]),
        ("far", [0.1, 0.1, 0.1], [0.1, 0.2, 0.1]),
    )
    board = make_leaderboard(found, (0, 1, 2), {})
    evaluations = [[trial.evaluation() for trial in trials] for _, trials in found]
    expected = [compare_over_seeds(evaluations[0], other) for other in evaluations[1:]]
    close, far = board.rows[1].against_best, board.rows[2].against_best
    assert board.rows[0].against_best is None
    assert close is not None
    assert far is not None
    assert (close.accuracy, far.accuracy) == (expected[0].accuracy, expected[1].accuracy)
    assert far.p_value == expected[1].p_value < expected[0].p_value
    assert far.adjusted_p == pytest.approx(2 * far.p_value)  # Holm: the smallest of two counts twice, the larger once
    assert close.adjusted_p == pytest.approx(max(close.p_value, far.adjusted_p))


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
