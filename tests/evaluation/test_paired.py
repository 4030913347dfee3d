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

from emotune.evaluation.paired import (
    JointCounts,
    detectable_difference,
    holm,
    mcnemar,
    paired_statistics,
    score_interval,
)

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


class TestBootstrap:
    def test_scores_of_the_counts_are_those_of_the_rows(self) -> None:
        rng = np.random.default_rng(0)
        truth, first, second = simulate(80, rng)
        table = JointCounts.of(truth, first, second, 3)
        accuracy, macro = table.differences(table.counts[None])[0]
        assert accuracy == pytest.approx((second == truth).mean() - (first == truth).mean())
        assert macro == pytest.approx(
            f1_score(truth, second, average="macro") - f1_score(truth, first, average="macro")
        )

    def test_drawing_counts_is_drawing_rows(self) -> None:
        """The same spread as drawing the rows themselves, with scikit-learn's scores."""
        rng = np.random.default_rng(1)
        truth, first, second = simulate(200, rng)
        table = JointCounts.of(truth, first, second, 3)
        drawn = table.differences(rng.multinomial(200, table.counts / 200, size=4000))
        by_rows = []
        for _ in range(400):
            rows = rng.integers(0, 200, size=200)
            by_rows.append(
                f1_score(truth[rows], second[rows], average="macro", labels=[0, 1, 2])
                - f1_score(truth[rows], first[rows], average="macro", labels=[0, 1, 2])
            )
        assert drawn[:, 1].std() == pytest.approx(np.std(by_rows), rel=0.15)
        assert drawn[:, 1].mean() == pytest.approx(np.mean(by_rows), abs=0.01)

    def test_interval_is_that_of_scipy(self) -> None:
        truth, first, second = simulate(300, np.random.default_rng(2))
        found = paired_statistics(truth, first, second, LABELS).accuracy
        steps = (second == truth).astype(float) - (first == truth)
        expected = stats.bootstrap((steps,), np.mean, method="BCa", n_resamples=9999, rng=3).confidence_interval
        assert found.low == pytest.approx(expected.low, abs=0.006)
        assert found.high == pytest.approx(expected.high, abs=0.006)

    @pytest.mark.parametrize("rows", [300, 1000])
    def test_intervals_cover_the_truth(self, rows: int) -> None:
        rng = np.random.default_rng(4)
        many = simulate(2_000_000, rng)
        table = JointCounts.of(*many, 3)
        true_accuracy, true_macro = table.differences(table.counts[None])[0]
        covered = np.zeros(2)
        trials = 600
        for trial in range(trials):
            found = paired_statistics(*simulate(rows, rng), LABELS, resamples=1000, seed=trial)
            assert found.macro_f1 is not None
            covered += [
                found.accuracy.low <= true_accuracy <= found.accuracy.high,
                found.macro_f1.low <= true_macro <= found.macro_f1.high,
            ]
        assert ((covered / trials > 0.93) & (covered / trials < 0.97)).all(), covered / trials

    def test_is_the_same_again(self) -> None:
        data = simulate(100, np.random.default_rng(5))
        assert paired_statistics(*data, LABELS) == paired_statistics(*data, LABELS)


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
    @pytest.mark.parametrize(("rows", "changed"), [(2000, 0.1), (500, 0.2), (225, 0.4)])
    def test_is_found_four_times_out_of_five(self, rows: int, changed: float) -> None:
        difference = detectable_difference(rows, changed)
        rng = np.random.default_rng(0)
        shares = [(changed + difference) / 2, (changed - difference) / 2, 1 - changed]
        drawn = rng.multinomial(rows, shares, size=2000)
        found = np.mean([mcnemar(int(fixed), int(broken))[1] < 0.05 for fixed, broken, _ in drawn])
        assert 0.76 < found < 0.84

    def test_falls_with_more_rows_and_fewer_changes(self) -> None:
        assert detectable_difference(2000, 0.1) < detectable_difference(500, 0.1)
        assert detectable_difference(2000, 0.05) < detectable_difference(2000, 0.2)
        assert detectable_difference(3, 0.0) == 1.0


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
