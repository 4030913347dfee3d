"""The leaderboard: one row a configuration, ordered by validation, with what the test rows say of each against the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from emotune.config import RunConfig
from emotune.errors import DataError
from emotune.evaluation.comparison import compare
from emotune.evaluation.paired import Interval, holm
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import compare_over_seeds
from emotune.sweep.folder import TrialResult
from emotune.sweep.plan import Candidate


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Attributes:
        values: One a seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None where there is one seed."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Difference:
    """A configuration less the best one, on the same test rows and the same seeds.

    Attributes:
        seeds: How many seeds both have; with one, the choice of the seed is not in the intervals.
        accuracy: The difference in accuracy.
        macro_f1: The difference in macro-F1; None where too few rows changed sides to say.
        p_value: Two-sided p of no difference in accuracy.
        adjusted_p: The same, corrected for the number of comparisons (Holm).
    """

    seeds: int
    accuracy: Interval
    macro_f1: Interval | None
    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        rank: From 1, by mean macro-F1 on validation; configurations with seeds missing come after all others.
        label: What it is called.
        model: The base model.
        config: Its configuration with the first seed.
        seeds: The seeds that finished.
        missing: The seeds that did not.
        validation_macro_f1: Macro-F1 on validation, what everything is chosen by.
        test_accuracy: Accuracy on the test split.
        test_macro_f1: Macro-F1 on the test split.
        trainable: Parameters trained.
        total: All parameters of the tuned model.
        seconds: Time of training.
        peak_memory: Highest resident memory of a trial's process up to the end of training, in bytes: the most over seeds.
        size: Bytes of the trained weights on disk.
        against_best: The difference from the best; None for the best itself, and where no seed is common.
    """

    rank: int
    label: str
    model: str
    config: RunConfig
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    validation_macro_f1: Spread
    test_accuracy: Spread
    test_macro_f1: Spread
    trainable: int
    total: int
    seconds: Spread
    peak_memory: int
    size: int
    against_best: Difference | None = None

    @property
    def trainable_share(self) -> float:
        """Share of the parameters that is trained."""
        return self.trainable / self.total


@dataclass(frozen=True)
class Leaderboard:
    """All configurations that finished, the best first.

    Attributes:
        rows: The rows.
        best: The trial to keep: of the first row, the seed that is best on validation.
        failures: Trials that came to nothing, with the reason.
        warnings: What the trainings of a configuration warned of, by its label.
        places: Where trials ran, each once: times and memory of different ones cannot be compared.
        arithmetic: Precision and device of trials, each once.
        test_rows: How many test rows there are.
        largest_logit_difference: Between a trial's model and what was loaded of its saved folder, the most over all trials.
        wall_seconds: All trials together, one after another, each from the start of its process to its end.
    """

    rows: tuple[Row, ...]
    best: TrialResult
    failures: Mapping[str, str]
    warnings: Mapping[str, tuple[str, ...]]
    places: tuple[str, ...]
    arithmetic: tuple[str, ...]
    test_rows: int
    largest_logit_difference: float
    wall_seconds: float


def make_leaderboard(
    results: Sequence[tuple[Candidate, Sequence[TrialResult]]], seeds: Sequence[int], failures: Mapping[str, str]
) -> Leaderboard:
    """Put all results side by side.

    The order and the choice are by validation alone. A configuration some of whose seeds failed stands after all that are
    complete, whatever its mean: the seeds that are left may be the lucky ones.

    Args:
        results: The finished trials of every candidate.
        seeds: The seeds that were planned.
        failures: Trials that came to nothing, by label, with the reason.

    Raises:
        DataError: Nothing finished, or a base model has changed between trials.
        ArtifactError: Predictions are gone or were changed.
    """
    finished = [(candidate, list(found)) for candidate, found in results if found]
    if not finished:
        raise DataError("No trial has finished, so there is nothing to compare.")
    _check_revisions(finished)
    finished.sort(
        key=lambda pair: (len(pair[1]) == len(seeds), fmean(trial.validation_macro_f1 for trial in pair[1])),
        reverse=True,
    )
    predictions = [{seed_of(trial): trial.evaluation() for trial in found} for _, found in finished]
    differences = [_difference(predictions[0], other) for other in predictions[1:]]
    adjusted = iter(holm([found.p_value for found in differences if found is not None]))
    against = [None, *(None if found is None else replace(found, adjusted_p=next(adjusted)) for found in differences)]
    rows = tuple(
        _row(rank, candidate, found, seeds, difference)
        for rank, ((candidate, found), difference) in enumerate(zip(finished, against, strict=True), start=1)
    )
    best = max(finished[0][1], key=lambda trial: trial.validation_macro_f1)
    everything = [trial.found for _, trials in finished for trial in trials]
    warnings = {
        candidate.label: tuple(dict.fromkeys(warning for trial in found for warning in trial.found["warnings"]))
        for candidate, found in finished
    }
    return Leaderboard(
        rows=rows,
        best=best,
        failures=dict(failures),
        warnings={label: found for label, found in warnings.items() if found},
        places=tuple(dict.fromkeys(found["place"] for found in everything)),
        arithmetic=tuple(dict.fromkeys(f"{found['precision']} on {found['device']}" for found in everything)),
        test_rows=len(next(iter(predictions[0].values())).split),
        largest_logit_difference=max(float(found["largest_logit_difference"]) for found in everything),
        wall_seconds=sum(trial.wall_seconds for _, found in finished for trial in found),
    )


def _check_revisions(finished: Sequence[tuple[Candidate, Sequence[TrialResult]]]) -> None:
    """Refuse trials of one base model that began from different weights of it.

    Raises:
        DataError: They did.
    """
    revisions: dict[str, set[str | None]] = {}
    for candidate, found in finished:
        revisions.setdefault(candidate.config.model.name, set()).update(trial.found["revision"] for trial in found)
    for model, known in revisions.items():
        if len(known) > 1:
            names = ", ".join(sorted(str(revision) for revision in known))
            raise DataError(
                f"The base model '{model}' has changed between trials (revisions {names}), so they cannot be compared. "
                "Start the sweep anew with --overwrite, and with one revision: --set model.revision=..."
            )


def seed_of(result: TrialResult) -> int:
    """The seed of a trial."""
    return result.trial.config.training.seed


def _difference(best: Mapping[int, Evaluation], other: Mapping[int, Evaluation]) -> Difference | None:
    """The other less the best, over the seeds that both have; the correction for many comparisons is still to come."""
    common = [seed for seed in best if seed in other]
    if not common:
        return None
    if len(common) == 1:
        found = compare(best[common[0]], other[common[0]]).statistics
        return Difference(1, found.accuracy, found.macro_f1, found.p_value, found.p_value)
    over = compare_over_seeds([best[seed] for seed in common], [other[seed] for seed in common])
    return Difference(over.seeds, over.accuracy, over.macro_f1, over.p_value, over.p_value)


def _row(
    rank: int, candidate: Candidate, found: Sequence[TrialResult], seeds: Sequence[int], difference: Difference | None
) -> Row:
    done = tuple(seed_of(trial) for trial in found)

    def spread(*path: str) -> Spread:
        values = []
        for trial in found:
            value: Any = trial.found
            for name in path:
                value = value[name]
            values.append(float(value))
        return Spread(tuple(values))

    first = found[0].found
    return Row(
        rank=rank,
        label=candidate.label,
        model=model_name(candidate.config.model.name),
        config=candidate.config,
        seeds=done,
        missing=tuple(seed for seed in seeds if seed not in done),
        validation_macro_f1=spread("validation", "macro_f1"),
        test_accuracy=spread("test", "accuracy"),
        test_macro_f1=spread("test", "macro_f1"),
        trainable=int(first["trainable_parameters"]),
        total=int(first["total_parameters"]),
        seconds=spread("seconds"),
        peak_memory=max(int(trial.found["peak_memory_bytes"]) for trial in found),
        size=int(first["size_bytes"]),
        against_best=difference,
    )


def model_name(name: str) -> str:
    """A base model's name, without the path of this machine."""
    return Path(name).name if Path(name).exists() else name


def pareto_front(rows: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Which of (cost, score) no other beats in one without losing in the other, in order of cost.

    Args:
        rows: Costs, lower being better, and scores, higher being better.

    Returns:
        Their positions; of equal ones, the first.
    """
    front: list[int] = []
    for position in sorted(range(len(rows)), key=lambda i: (rows[i][0], -rows[i][1])):
        if not front or rows[position][1] > rows[front[-1]][1]:
            front.append(position)
    return tuple(front)
