"""The joined uncertainty of seeds and rows, against SciPy's tests, statsmodels' mixed model, tables and plain integration."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from emotune.evaluation.crossed import Estimate, Part, Pool, SeedSpread


def constant(values: list[float], rows: int = 50) -> NDArray[np.float64]:
    """Seeds that differ by the same on every row."""
    return np.repeat(np.array(values)[:, None], rows, axis=1)


def spreads(*variances: float, freedom: int = 2) -> list[SeedSpread]:
    return [SeedSpread(variance, freedom, 0.0) for variance in variances]


class TestEstimate:
    def test_without_seeds_it_is_the_t_test_over_rows(self) -> None:
        rows = np.random.default_rng(0).normal(0.3, 1, size=40)
        found = Pool.of([SeedSpread(0, 0, 0)]).estimate(float(rows.mean()), {0: 1}, rows)
        expected = stats.ttest_1samp(rows, 0)
        assert found.p_value == pytest.approx(expected.pvalue)
        interval = found.interval(-9, 9)
        assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval()))

    def test_without_rows_it_is_the_t_test_over_seeds(self) -> None:
        first, second = [0.90, 0.91, 0.93], [0.95, 0.94, 0.96]
        pool = Pool.of([SeedSpread.of(values, constant(values)) for values in (first, second)])
        gain = float(np.mean(second) - np.mean(first))
        found = pool.estimate(gain, {0: 3, 1: 3}, np.full(50, gain))
        expected = stats.ttest_ind(second, first)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
        interval = found.interval(-9, 9)
        assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-6)

    @pytest.mark.parametrize("freedom", [1, 2, 4, 30.5])
    def test_both_are_joined_as_behrens_and_fisher_do(self, freedom: float) -> None:
        found = Estimate(2.5, (Part(0.7, freedom),), 0.3, 20)

        def tail(seeds: float) -> float:
            return float(stats.t.sf((2.5 - 0.7**0.5 * seeds) / 0.3**0.5, 20) * stats.t.pdf(seeds, freedom))

        expected = integrate.quad(tail, -60, 60, points=[3], epsabs=1e-9, limit=400)[0] + stats.t.sf(60, freedom)
        assert found.above(2.5) == pytest.approx(expected, rel=1e-4)

    def test_two_parts_of_seeds_are_joined_likewise(self) -> None:
        found = Estimate(1.0, (Part(0.5, 3), Part(0.2, 8)), 0.1, 1_000)
        rng = np.random.default_rng(0)
        drawn = (
            0.5**0.5 * rng.standard_t(3, size=10**6)
            + 0.2**0.5 * rng.standard_t(8, size=10**6)
            + 0.1**0.5 * rng.normal(size=10**6)
        )
        assert found.above(1.0) == pytest.approx(np.mean(drawn > 1), abs=0.0015)

    def test_interval_and_p_say_the_same(self) -> None:
        found = Estimate(0.02, (Part(1e-4, 4),), 2e-5, 300)
        reach = found.reach()
        assert Estimate(reach, found.parts, found.rows, 300).p_value == pytest.approx(0.05, rel=1e-4)
        assert found.interval(-1, 0.03).high == 0.03

    def test_margins_are_one_sided(self) -> None:
        found = Estimate(0.002, (), 1e-4, 10**9)
        assert found.not_below(0.01) == pytest.approx(stats.norm.sf(1.2))
        assert found.within(0.01) == pytest.approx(stats.norm.sf(0.8))
        assert Estimate(-0.02, (), 1e-4, 10**9).not_below(0.01) == pytest.approx(stats.norm.sf(-1))

    def test_the_detectable_difference_is_found_four_times_out_of_five(self) -> None:
        rng = np.random.default_rng(0)
        truth, found = Estimate(0.0, (Part(2.0, 10),), 1.0, 500), 0
        points = truth.detectable()
        for _ in range(2_000):
            part = Part(2.0 * rng.chisquare(10) / 10, 10)
            found += Estimate(points + rng.normal() * 3**0.5, (part,), 1.0, 500).p_value < 0.05
        assert found / 2_000 == pytest.approx(0.8, abs=0.03)

    def test_nothing_that_varies_is_certain(self) -> None:
        same = Estimate(0.0, (), 0.0, 10)
        assert (same.p_value, same.reach(), same.not_below(0.01)) == (1.0, 0.0, 0.0)


class TestSeedSpread:
    def test_parts_are_those_of_a_mixed_model(self) -> None:
        """Statsmodels' REML with seeds and rows crossed, on Gaussian data."""
        pandas = pytest.importorskip("pandas")
        mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model")
        rng = np.random.default_rng(3)
        seeds, rows = 5, 30
        data = 2 * rng.normal(size=(seeds, 1)) + rng.normal(size=rows) + 0.7 * rng.normal(size=(seeds, rows))
        frame = pandas.DataFrame(
            {
                "score": data.ravel(),
                "seed": np.repeat(np.arange(seeds), rows),
                "row": np.tile(np.arange(rows), seeds),
                "all": 1,
            }
        )
        model = mixed.MixedLM.from_formula(
            "score ~ 1", groups="all", vc_formula={"seed": "0 + C(seed)", "row": "0 + C(row)"}, data=frame
        )
        fit = model.fit(reml=True)
        found = SeedSpread.of(data.mean(axis=1).tolist(), data)
        assert found.interaction * rows == pytest.approx(fit.scale, rel=1e-3)
        by_name = dict(zip(model.exog_vc.names, fit.vcomp, strict=True))
        assert found.variance - found.interaction == pytest.approx(by_name["seed"], rel=1e-2)
        # The variance of the mean: seeds / S + rows / n + interaction / (S n), as the mixed model has it.
        estimate = Pool.of([found]).estimate(0.0, {0: seeds}, data.mean(axis=0))
        assert estimate.variance == pytest.approx(fit.bse_fe.iloc[0] ** 2, rel=1e-2)

    def test_one_seed_has_none(self) -> None:
        assert SeedSpread.of([0.9], np.ones((1, 4))) == SeedSpread(0.0, 0, 0.0)


class TestPool:
    def test_spreads_that_agree_are_averaged(self) -> None:
        pool = Pool.of(spreads(1.0, 2.0, 3.0))
        assert (pool.variance, pool.freedom, pool.apart) == (2.0, 6, frozenset())
        assert pool.of_one(0) == Part(2.0, 6)

    @pytest.mark.parametrize(
        ("count", "freedom", "critical"),
        [(5, 1, 0.9279), (5, 2, 0.7885), (5, 3, 0.6957), (3, 2, 0.9423), (10, 2, 0.5358)],
    )
    def test_the_limit_is_the_published_one_of_cochrans_test(self, count: int, freedom: int, critical: float) -> None:
        """C. Eisenhart, M. W. Hastay, W. A. Wallis, Techniques of Statistical Analysis (1947), table 15.1, level 0.01."""
        for share, expected in ((critical - 0.001, frozenset()), (critical + 0.001, frozenset({0}))):
            others = (1 - share) / (count - 1)
            assert Pool.of(spreads(share, *[others] * (count - 1), freedom=freedom)).apart == expected

    def test_what_stands_apart_has_its_own_spread_and_no_other_has_it(self) -> None:
        pool = Pool.of(spreads(0.3, 0.5, 0.4, 36.0, 0.4, 0.4))
        assert pool.apart == {3}
        assert pool.of_one(3) == Part(36.0, 2)
        usual = pool.of_one(0)
        assert usual is not None
        assert [usual.variance, usual.freedom] == pytest.approx([0.4, 10])
        rows = np.array([0.0, 1.0, 2.0])
        found = pool.estimate(5.0, {0: 3, 3: 3}, rows)
        assert found.parts == (Part(12.0, 2), Part(usual.variance / 3, 10))

    def test_a_wider_one_in_the_pool_is_judged_by_its_own(self) -> None:
        others = [0.4] * 14
        limit = stats.f.isf(0.05, 2, 28) * 0.4
        assert Pool.of(spreads(*others, 0.99 * limit)).own == frozenset()
        pool = Pool.of(spreads(*others, 1.01 * limit))
        assert pool.own == {14}
        assert not pool.apart
        assert pool.of_one(14) == Part(1.01 * limit, 2)
        usual = pool.of_one(0)
        assert usual is not None
        assert [usual.variance, usual.freedom] == pytest.approx([(14 * 0.4 + 1.01 * limit) / 15, 30])

    def test_several_may_stand_apart(self) -> None:
        assert Pool.of(spreads(*[0.4] * 12, 40.0, 400.0)).apart == {12, 13}

    def test_the_interaction_is_counted_once(self) -> None:
        """The variance of a mean of independent trainings is their variance over their number, whatever part rows have in it."""
        rng = np.random.default_rng(0)
        seeds, rows, count = 3, 60, 1_500
        means, variances = [], []
        for _ in range(count):
            sides = []
            for _ in range(2):
                quality = 0.1 * rng.normal(size=(seeds, 1))
                sides.append(quality + rng.normal(size=rows) + rng.normal(size=(seeds, rows)))
            pool = Pool.of([SeedSpread.of(side.mean(axis=1).tolist(), side) for side in sides])
            by_row = (sides[1] - sides[0]).mean(axis=0)
            found = pool.estimate(float(by_row.mean()), {0: seeds, 1: seeds}, by_row)
            means.append(found.value)
            variances.append(found.variance)
        expected = 2 * (0.1**2 / seeds + 1 / rows + 1 / (seeds * rows))
        assert np.var(means) == pytest.approx(expected, rel=0.12)
        assert np.mean(variances) == pytest.approx(expected, rel=0.03)

    def test_a_lucky_spread_does_not_make_a_negative_variance(self) -> None:
        rng = np.random.default_rng(0)
        data = rng.normal(size=(3, 40))
        data -= data.mean(axis=1, keepdims=True)  # all seeds score the same
        pool = Pool.of([SeedSpread.of([0.0, 0.0, 0.0], data)])
        assert pool.variance < 0
        found = pool.estimate(0.0, {0: 3}, data.mean(axis=0))
        assert found.variance >= 0
        assert found.parts[0].variance == pytest.approx(0, abs=1e-12)

    def test_a_configuration_with_one_seed_is_judged_by_the_others(self) -> None:
        pool = Pool.of([*spreads(0.5, 0.7), SeedSpread(0.0, 0, 0.0)])
        assert pool.of_one(2) == Part(0.6, 4)
        assert Pool.of([SeedSpread(0.0, 0, 0.0)]).of_one(0) is None
