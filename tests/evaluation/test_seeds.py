"""Several seeds: an interval that counts seeds and rows covers the truth in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from emotune.errors import DataError
from emotune.evaluation.seeds import over_seeds, summarize_seeds

from .conftest import MakeEvaluation, MakeSplit


def test_without_rows_it_is_the_t_interval() -> None:
    values = [0.91, 0.93, 0.92, 0.94, 0.90]
    found = summarize_seeds(values, 0.0, 1000)
    expected = stats.t.interval(0.95, 4, np.mean(values), np.std(values, ddof=1) / 5**0.5)
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.standard_deviation == pytest.approx(np.std(values, ddof=1))


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
    assert 0.93 < covered / trials < 0.975


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
