"""The leaderboard: one row per configuration, ordered by validation, each compared with the best on the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from emotune.evaluation.differences import Difference, Power, differences, power
from emotune.evaluation.seeds import SeedStudy, WinnersExcess
from emotune.settings.run import RunConfig
from emotune.sweep.folder import TrialResult
from emotune.sweep.plan import Candidate
from emotune.system.errors import DataError


@dataclass(frozen=True)
class SeedValues:
    """One figure for several seeds.

    Attributes:
        values: One value per seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values)

    @property
    def median(self) -> float:
        """Median over seeds, robust against one seed on a busy machine."""
        return median(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None for a single seed."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class SeedNote:
    """Variation of test accuracy between seeds.

    Attributes:
        deviation: Sample standard deviation, pooled over the configurations.
        freedom: Its degrees of freedom.
        wider: Configurations whose seeds vary more, and which are tested with their own variance only.
    """

    deviation: float
    freedom: float
    wider: tuple[str, ...]


@dataclass(frozen=True)
class LeaderboardRow:
    """One configuration.

    Attributes:
        rank: From 1, by mean macro-F1 on validation; configurations with seeds missing come after all others.
        label: Its name.
        model: The base model.
        config: Its configuration with the first seed.
        seeds: The seeds that finished.
        missing: The seeds that did not.
        validation_macro_f1: Macro-F1 on validation, the criterion of all choices.
        test_right: Share of the test rows that are right.
        test_macro_f1: Macro-F1 on the test split.
        trainable: Number of trained parameters.
        total: Number of all parameters of the tuned model.
        seconds: Training time.
        peak_memory: Highest resident memory of a trial's process up to the end of training, in bytes, maximum over
            seeds.
        size: Size of the trained weights on disk, in bytes.
        against_best: Difference from the best; None for the best itself, and where no seed is common.
        against_full: Difference from full fine-tuning of the same base model (the best on validation of several).
            None for full fine-tuning itself, where there is none, and where no seed is common.
        right: Name of the share of rows that are right: "accuracy", or "subset accuracy".
    """

    rank: int
    label: str
    model: str
    config: RunConfig
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    validation_macro_f1: SeedValues
    test_right: SeedValues
    test_macro_f1: SeedValues
    trainable: int
    total: int
    seconds: SeedValues
    peak_memory: int
    size: int
    against_best: Difference | None = None
    against_full: Difference | None = None
    right: str = "accuracy"

    @property
    def trainable_share(self) -> float:
        """Trained parameters as a share of all parameters."""
        return self.trainable / self.total


@dataclass(frozen=True)
class Leaderboard:
    """Ranking of all configurations that finished, the best first.

    Attributes:
        rows: The rows.
        best: The trial to keep: the seed of the first row that is best on validation.
        failures: Failed trials, with the reason.
        warnings: Warnings of a configuration's trainings, by its label.
        places: Places where trials ran, each once; times and memory of different places cannot be compared.
        arithmetic: Precision and device of trials, each once.
        test_rows: Number of test rows.
        largest_logit_difference: Largest difference between the logits of a trial's model and of its saved and loaded
            copy, over all trials.
        wall_seconds: Sum over all trials of the seconds from the start of the process to its end.
        margin: Largest difference in accuracy that counts as equivalent, in points; None without a margin.
        spread: Variation of test accuracy between seeds; None where no configuration has two.
        power: Smallest difference from the best that would be detected; None where no configuration has two seeds.
        excess: Selection bias of the best one's validation score, by which it was chosen; None where it is unknown.
    """

    rows: tuple[LeaderboardRow, ...]
    best: TrialResult
    failures: Mapping[str, str]
    warnings: Mapping[str, tuple[str, ...]]
    places: tuple[str, ...]
    arithmetic: tuple[str, ...]
    test_rows: int
    largest_logit_difference: float
    wall_seconds: float
    margin: float | None = None
    spread: SeedNote | None = None
    power: Power | None = None
    excess: WinnersExcess | None = None

    @property
    def right(self) -> str:
        """Name of the share of rows that are right: "accuracy", or "subset accuracy"."""
        return self.rows[0].right

    @property
    def one_seed(self) -> bool:
        """True if several configurations are compared, and the variation between seeds is unknown."""
        return len(self.rows) > 1 and self.spread is None


def make_leaderboard(
    results: Sequence[tuple[Candidate, Sequence[TrialResult]]],
    seeds: Sequence[int],
    failures: Mapping[str, str],
    *,
    validation_rows: int | None = None,
    margin: float | None = None,
) -> Leaderboard:
    """Rank and compare all results.

    The order and the choice depend only on validation. A configuration with failed seeds comes after all complete ones,
    whatever its mean, since its remaining seeds may be the lucky ones.

    Args:
        results: The finished trials of every candidate.
        seeds: The seeds that were planned.
        failures: Failed trials, by label, with the reason.
        validation_rows: Number of validation rows.
        margin: Largest difference in accuracy that counts as equivalent, in points.

    Raises:
        DataError: No trial finished, or a base model has changed between trials.
        ArtifactError: Predictions are missing or were changed.
    """
    finished = [(candidate, list(found)) for candidate, found in results if found]
    if not finished:
        raise DataError("No trial has finished, so there is nothing to compare.")
    _check_revisions(finished)
    finished.sort(
        key=lambda pair: (len(pair[1]) == len(seeds), fmean(trial.validation_macro_f1 for trial in pair[1])),
        reverse=True,
    )
    study = SeedStudy.of([{seed_of(trial): trial.evaluation() for trial in found} for _, found in finished])
    pairs = [(0, other) for other in range(1, len(finished))]
    share = None if margin is None else margin / 100
    against_best = dict(zip(pairs, differences(study, pairs, share), strict=True))
    full = _full_fine_tuning(finished)
    pairs_of_full = [(full[i], i) for i in range(len(finished)) if full.get(i, i) != i]
    against_full = dict(zip(pairs_of_full, differences(study, pairs_of_full, share), strict=True))
    rows = tuple(
        replace(
            _row(position + 1, candidate, found, seeds, study.right),
            against_best=against_best.get((0, position)),
            against_full=against_full.get((full.get(position, position), position)),
        )
        for position, (candidate, found) in enumerate(finished)
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
        test_rows=study.rows,
        largest_logit_difference=max(float(found["largest_logit_difference"]) for found in everything),
        wall_seconds=sum(trial.wall_seconds for _, found in finished for trial in found),
        margin=margin,
        spread=_seed_note(study, rows),
        power=power(study, pairs),
        excess=(
            study.winners_excess([row.validation_macro_f1.mean for row in rows], validation_rows)
            if validation_rows and len(rows) > 1
            else None
        ),
    )


def _full_fine_tuning(finished: Sequence[tuple[Candidate, Sequence[TrialResult]]]) -> dict[int, int]:
    """Map each configuration's position to that of full fine-tuning of its base model, the best on validation."""
    found: dict[str, int] = {}
    for position, (candidate, _) in enumerate(finished):
        if candidate.config.method.name == "full":
            found.setdefault(candidate.config.model.name, position)
    models = [candidate.config.model.name for candidate, _ in finished]
    return {position: found[model] for position, model in enumerate(models) if model in found}


def _seed_note(study: SeedStudy, rows: Sequence[LeaderboardRow]) -> SeedNote | None:
    if not study.knows_seeds:
        return None
    wider = tuple(rows[position].label for position in sorted(study.accuracy.own))
    return SeedNote(study.accuracy.deviation, study.accuracy.freedom, wider)


def _check_revisions(finished: Sequence[tuple[Candidate, Sequence[TrialResult]]]) -> None:
    """Refuse trials of one base model that started from different weights.

    Raises:
        DataError: The weights differ.
    """
    revisions: dict[str, set[str | None]] = {}
    for candidate, found in finished:
        revisions.setdefault(candidate.config.model.name, set()).update(trial.found["revision"] for trial in found)
    for model, known in revisions.items():
        if len(known) > 1:
            names = ", ".join(sorted(str(revision) for revision in known))
            raise DataError(
                f"The base model '{model}' has changed between trials (revisions {names}), so they cannot be compared. "
                "Start the sweep again with --overwrite and one revision: --set model.revision=..."
            )


def seed_of(result: TrialResult) -> int:
    """Return the seed of a trial."""
    return result.trial.config.training.seed


def _row(
    rank: int, candidate: Candidate, found: Sequence[TrialResult], seeds: Sequence[int], right: str
) -> LeaderboardRow:
    done = tuple(seed_of(trial) for trial in found)

    def spread(*path: str) -> SeedValues:
        values = []
        for trial in found:
            value: Any = trial.found
            for name in path:
                value = value[name]
            values.append(float(value))
        return SeedValues(tuple(values))

    first = found[0].found
    return LeaderboardRow(
        rank=rank,
        label=candidate.label,
        model=model_name(candidate.config.model.name),
        config=candidate.config,
        seeds=done,
        missing=tuple(seed for seed in seeds if seed not in done),
        validation_macro_f1=spread("validation", "macro_f1"),
        test_right=spread("test", right.replace(" ", "_")),
        test_macro_f1=spread("test", "macro_f1"),
        trainable=int(first["trainable_parameters"]),
        total=int(first["total_parameters"]),
        seconds=spread("seconds"),
        peak_memory=max(int(trial.found["peak_memory_bytes"]) for trial in found),
        size=int(first["size_bytes"]),
        right=right,
    )


def model_name(name: str) -> str:
    """Return a base model's name, without the path of this machine."""
    return Path(name).name if Path(name).exists() else name


def pareto_front(rows: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Return the Pareto-optimal pairs of cost and score, in order of cost.

    Args:
        rows: Costs, lower being better, and scores, higher being better.

    Returns:
        Positions of the pairs; the first of equal ones.
    """
    front: list[int] = []
    for position in sorted(range(len(rows)), key=lambda i: (rows[i][0], -rows[i][1])):
        if not front or rows[position][1] > rows[front[-1]][1]:
            front.append(position)
    return tuple(front)
