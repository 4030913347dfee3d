"""Error rate, coverage and power of the tests over seeds, by simulation.

    python benchmarks/seed_tests.py

takes some minutes on one core and writes benchmarks/results/seed_tests.json.

Protocol: every row has one difficulty for all configurations, one per configuration, and one per training. Every
training has a quality that depends on its seed. A training is right on a row if these add up to more than 0. Rows,
qualities and labels are drawn again in every trial. All configurations are equal on average over seeds and rows, so
each one that is called different is an error; for the power, one is worse by a known number of points. Labels are
distributed as in the emotion data, or one class has five rows. A wrong prediction is a label drawn by its share; in 7
of 10 rows it is the same for all trainings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emotune.evaluation.contributions import (
    macro_f1_pseudo_values,
    paired_rows_variance,
    rare_classes_variance,
    share_variance,
)
from emotune.evaluation.crossed import Estimate, Pool, SeedSpread
from emotune.evaluation.differences import USUAL_POWER
from emotune.statistics.paired import holm, mcnemar

RESULTS = Path(__file__).parent / "results" / "seed_tests.json"
EMOTION = (0.29, 0.35, 0.08, 0.135, 0.112, 0.033)
# Shares of the variance of a row's difficulty: common to all, per configuration, per training. At an accuracy of 0.92
# two trainings of one configuration then differ on 7 % of rows. On 2,000 rows, the rows' standard error of a
# difference of means over three seeds is 0.4 points, as in the shoot-out (0.2 to 0.5).
COMMON, OWN, SINGLE = 0.82, 0.05, 0.13
LEVEL = 0.05


@dataclass(frozen=True)
class Setting:
    """One cell of the simulation.

    Attributes:
        seeds: Number of seeds per configuration.
        rows: Number of test rows.
        deviation: Standard deviation between seeds of the true accuracy, in points.
        configurations: Number of configurations.
        accuracy: Mean accuracy.
        rare: True if one class has five rows.
        wide: Factor on the standard deviation between seeds of the last configuration.
        worse: Points by which the last configuration is worse.
    """

    seeds: int
    rows: int
    deviation: float
    configurations: int
    accuracy: float = 0.92
    rare: bool = False
    wide: float = 1.0
    worse: float = 0.0


@dataclass(frozen=True)
class Trial:
    """Simulated leaderboard; `right`, `f1` and `predicted` have the shape (configurations, seeds, rows)."""

    right: NDArray[np.float64]
    f1: NDArray[np.float64]
    scores: NDArray[np.float64]
    validation: NDArray[np.float64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]


def trials(setting: Setting, count: int, seed: int = 0, *, macro: bool = True) -> Iterator[Trial]:
    """Draw leaderboards.

    Args:
        setting: The cell.
        count: Number of leaderboards.
        seed: Seed of the draws.
        macro: True to compute macro-F1 as well.
    """
    rng = np.random.default_rng(seed)
    shape = (setting.configurations, setting.seeds, setting.rows)
    threshold = stats.norm.ppf(setting.accuracy)
    slope = 100 * stats.norm.pdf(threshold)  # points of accuracy per unit of quality
    spread = np.full((setting.configurations, 1, 1), setting.deviation / slope)
    spread[-1] *= setting.wide
    shift = np.zeros((setting.configurations, 1, 1))
    shift[-1] = setting.worse / slope
    shares = np.array(EMOTION)
    classes = len(shares)
    for _ in range(count):
        quality = threshold - shift + spread * rng.normal(size=(*shape[:2], 1))
        right, validation = (_right(quality, shape, rng) for _ in range(2))
        if not macro:
            empty = np.empty(0, dtype=np.int64)
            yield Trial(right.astype(float), np.empty(0), np.empty(0), validation.mean(axis=2), empty, empty)
            continue
        truth = rng.choice(classes, size=setting.rows, p=shares)
        if setting.rare:
            truth = rng.choice(classes - 1, size=setting.rows, p=shares[:-1] / shares[:-1].sum())
            truth[:5] = classes - 1
        wrong = _wrong(truth, shape, shares, rare=setting.rare, rng=rng)
        predicted = np.where(right, truth, wrong)
        f1 = np.array([[macro_f1_pseudo_values(truth, one, classes) for one in seeds] for seeds in predicted])
        scores = np.array([[_macro_f1(truth, one, classes) for one in seeds] for seeds in predicted])
        yield Trial(right.astype(float), f1, scores, validation.mean(axis=2), truth, predicted)


def _right(quality: NDArray[np.float64], shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    ability = quality + COMMON**0.5 * rng.standard_normal(shape[2], dtype=np.float32)
    ability = ability + OWN**0.5 * rng.standard_normal((shape[0], 1, shape[2]), dtype=np.float32)
    return np.asarray(ability + SINGLE**0.5 * rng.standard_normal(shape, dtype=np.float32) > 0)


def _wrong(
    truth: NDArray[np.int64],
    shape: tuple[int, ...],
    shares: NDArray[np.float64],
    *,
    rare: bool,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw wrong labels, never the true one."""
    weights = shares.copy()
    if rare:
        weights[-1] = 5 / shape[2]
    weights /= weights.sum()
    edges = weights.cumsum()
    drawn = np.searchsorted(edges, rng.random(shape) * edges[-1])
    common = np.searchsorted(edges, rng.random(shape[2]) * edges[-1])
    label = np.minimum(np.where(rng.random(shape[2]) < 0.7, common, drawn), len(shares) - 1)
    return np.where(label == truth, (truth + 1) % (len(shares) - 1), label)


def _macro_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> float:
    confusion = np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float((2 * confusion.diagonal() / np.maximum(sizes, 1)).mean())


def pooled(by_row: NDArray[np.float64], scores: NDArray[np.float64]) -> Pool:
    """Return the pooled variance between seeds."""
    return Pool.of([SeedSpread.of(values, rows) for values, rows in zip(scores, by_row, strict=True)])


def estimates(
    pool: Pool, by_row: NDArray[np.float64], scores: NDArray[np.float64], reference: int, *, shares: bool
) -> list[Estimate]:
    """Return the difference of every configuration from a reference; for the reference itself, its mean.

    Args:
        pool: The pooled variance between seeds.
        by_row: Contributions of the rows, shape (configurations, seeds, rows).
        scores: Scores, shape (configurations, seeds).
        reference: Position of the reference.
        shares: True if the scores are accuracies.
    """
    means, rows, seeds = scores.mean(axis=1), by_row.mean(axis=1), scores.shape[1]
    found = []
    for other in range(len(by_row)):
        if other == reference:
            hits, count = np.array(means[other] * len(rows[other])), np.array(float(len(rows[other])))
            unseen = float(share_variance(hits, count)) if shares else 0.0
            found.append(pool.estimate(float(means[other]), {other: seeds}, rows[other], unseen=unseen))
        else:
            difference = rows[other] - rows[reference]
            unseen = paired_rows_variance(difference) if shares else 0.0
            value = float(means[other] - means[reference])
            found.append(pool.estimate(value, {other: seeds, reference: seeds}, difference, unseen=unseen))
    return found


def measure(setting: Setting, count: int, seed: int = 0, *, macro: bool = True) -> dict[str, float]:
    """Measure how often equal configurations are called different in one cell.

    Returns:
        For accuracy and macro-F1: the share of comparisons with p < 0.05, and the share of means whose interval
        covers the truth. For leaderboards: the share that names any configuration as different from the first, and
        from the best on validation, both after Holm's correction.
    """
    wrong: dict[str, list[float]] = {"accuracy": [], "macro-F1": [], "last": []}
    means: dict[str, list[Estimate]] = {"accuracy": [], "macro-F1": []}
    named: list[bool] = []
    named_best: list[bool] = []
    detectable: list[float] = []
    for trial in trials(setting, count, seed, macro=macro):
        scores = trial.right.mean(axis=2)
        pool = pooled(trial.right, scores)
        found = estimates(pool, trial.right, scores, 0, shares=True)
        p_values = [one.p_value for one in found[1:]]
        wrong["accuracy"] += [float(p < LEVEL) for p in (p_values[:-1] if setting.wide != 1 else p_values)]
        wrong["last"].append(float(p_values[-1] < LEVEL))
        if len(detectable) < 100:
            detectable.append(100 * found[-1].detectable(power=USUAL_POWER))
        means["accuracy"].append(found[0])
        named.append(min(holm(p_values)) < LEVEL)
        best = int(trial.validation.mean(axis=1).argmax()) if setting.configurations > 2 else 0
        against = estimates(pool, trial.right, scores, best, shares=True) if best else found
        named_best.append(min(holm([one.p_value for i, one in enumerate(against) if i != best])) < LEVEL)
        if macro:
            found = estimates(pooled(trial.f1, trial.scores), trial.f1, trial.scores, 0, shares=False)
            others = found[1:-1] if setting.wide != 1 else found[1:]
            wrong["macro-F1"] += [float(one.p_value < LEVEL) for one in others]
            hidden = rare_classes_variance(trial.truth, list(trial.predicted[0]), len(EMOTION))
            means["macro-F1"].append(replace(found[0], rows=found[0].rows + hidden))
    result = {f"{name} called different": float(np.mean(values)) for name, values in wrong.items() if values}
    if setting.wide == 1 and not setting.worse:
        del result["last called different"]
    for name, held in means.items():
        if held:
            truth = float(np.mean([one.value for one in held]))
            result[f"{name} covers"] = float(np.mean([2 * one.above(abs(one.value - truth)) >= LEVEL for one in held]))
    result["leaderboards with a difference from the first"] = float(np.mean(named))
    result["leaderboards with a difference from the best"] = float(np.mean(named_best))
    result["detectable points"] = float(np.median(detectable))
    return result


def fixed_rival(setting: Setting, count: int, seed: int = 0) -> dict[str, float]:
    """Measure how often the mean of several seeds is called different from an equal model without seeds (a baseline).

    The last configuration represents that model: its quality does not depend on the seed, and only its first training
    counts.

    Returns:
        The shares of p < 0.05 for accuracy and macro-F1.
    """
    wrong: dict[str, list[bool]] = {"accuracy": [], "macro-F1": []}
    for trial in trials(replace(setting, configurations=2, wide=0.0), count, seed):
        for name, by_row, scores in (
            ("accuracy", trial.right, trial.right.mean(axis=2)),
            ("macro-F1", trial.f1, trial.scores),
        ):
            rows = by_row[0].mean(axis=0) - by_row[1, 0]
            unseen = paired_rows_variance(rows) if name == "accuracy" else 0.0
            value = float(scores[0].mean() - scores[1, 0])
            found = pooled(by_row[:1], scores[:1]).estimate(value, {0: setting.seeds}, rows, unseen=unseen)
            wrong[name].append(found.p_value < LEVEL)
    return {f"{name} called different": float(np.mean(values)) for name, values in wrong.items()}


def one_seed(configurations: int, deviation: float, rows: int, count: int, seed: int = 0) -> float:
    """Return the share of one-seed leaderboards of equal configurations that name one as worse (McNemar, Holm)."""
    named = []
    for trial in trials(Setting(1, rows, deviation, configurations), count, seed, macro=False):
        best = int(trial.validation[:, 0].argmax())
        right = trial.right[:, 0].astype(bool)
        p_values, worse = [], []
        for other in range(configurations):
            if other != best:
                fixed, broken = int((right[other] & ~right[best]).sum()), int((~right[other] & right[best]).sum())
                p_values.append(mcnemar(fixed, broken)[1])
                worse.append(broken > fixed)
        named.append(any(p < LEVEL and w for p, w in zip(holm(p_values), worse, strict=True)))
    return float(np.mean(named))


def main() -> None:
    """Run all cells and write the results."""
    level = []
    for rows, accuracy in ((225, 0.70), (2000, 0.92)):
        for seeds in (2, 3, 5):
            for configurations in (2, 4, 16):
                level += [
                    _cell(Setting(seeds, rows, deviation, configurations, accuracy))
                    for deviation in (0.0, 0.3, 0.5, 1.0)
                ]
            level.append(_cell(Setting(seeds, rows, 0.5, 4, accuracy, rare=True)))
    wide = [_cell(Setting(seeds, 2000, 0.5, 16, wide=wide)) for seeds in (2, 3, 5) for wide in (2.0, 10.0)]
    power = []
    for seeds, rows, accuracy, configurations in ((3, 2000, 0.92, 16), (5, 2000, 0.92, 4), (3, 225, 0.70, 16)):
        plain = Setting(seeds, rows, 0.5, configurations, accuracy)
        points = measure(plain, 40, macro=False)["detectable points"]
        setting = Setting(seeds, rows, 0.5, configurations, accuracy, worse=round(points, 2))
        power.append({**asdict(setting), "found": measure(setting, 300, 1, macro=False)["last called different"]})
    single = [
        {"configurations": k, "rows": rows, "deviation": 0.5, "named": one_seed(k, 0.5, rows, 600)}
        for rows in (225, 2000)
        for k in (3, 8, 16)
    ]
    rival = []
    for rows, accuracy in ((225, 0.70), (2000, 0.92)):
        for seeds in (2, 3, 5):
            for deviation in (0.3, 1.0, 3.0):
                setting = Setting(seeds, rows, deviation, 1, accuracy)
                rival.append({**asdict(setting), "trials": 1000, **fixed_rival(setting, 1000)})
                _say(rival[-1])
    best = []
    for seeds in (2, 3, 5):
        for deviation in (0.5, 1.0):
            setting = Setting(seeds, 2000, deviation, 16)
            named = measure(setting, 1000, 7, macro=False)["leaderboards with a difference from the best"]
            best.append({**asdict(setting), "trials": 1000, "named": named})
            _say(best[-1])
    content = {
        "level": level,
        "one configuration spreads further": wide,
        "power": power,
        "one seed": single,
        "a rival without seeds": rival,
        "different from the best on validation": best,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _cell(setting: Setting) -> dict[str, float]:
    """Measure one cell, with fewer leaderboards if each has many comparisons."""
    count = {2: 1000, 4: 400}.get(setting.configurations, 300)
    macro = setting.rare or (setting.deviation == 0.5 and setting.configurations == 4)
    found = {**asdict(setting), "trials": count, **measure(setting, count, macro=macro)}
    _say(found)
    return found


def _say(found: dict[str, float]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
