"""The whole sweep, step by step: data, models, search, trials, leaderboard, and the main job for the best one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotune import pipeline, several_labels
from emotune.data.load import load_data
from emotune.data.places.files import reads_once
from emotune.evaluation.saved import read_evaluation
from emotune.evaluation.scores import relabelled
from emotune.folder.base import load_base
from emotune.folder.format import read_description
from emotune.methods.refusals import check_refusal
from emotune.models.classifier import Classifier
from emotune.models.encoding import refuse_windows_over_pairs
from emotune.pipeline import RunResult, checkpoints_of
from emotune.report import tables
from emotune.settings import portable
from emotune.settings.run import RunConfig
from emotune.sweep.documents import leaderboard_json, leaderboard_markdown
from emotune.sweep.engines import Engine, Files
from emotune.sweep.folder import SweepFolder, TrialResult
from emotune.sweep.leaderboard import Leaderboard, make_leaderboard, model_name
from emotune.sweep.page import render_leaderboard
from emotune.sweep.plan import Candidate, Plan, Trial, with_settings
from emotune.sweep.protocol import Setting
from emotune.sweep.schedule import run_jobs
from emotune.sweep.search import FAILED, Search, SearchJob, chosen
from emotune.sweep.terminal import leaderboard_table
from emotune.sweep.tracked import sweep_results
from emotune.sweep.trial import RESULT
from emotune.system.errors import ArtifactError, ConfigError, DataError, EmotuneError, MethodError, OutputError
from emotune.system.processes import processes
from emotune.system.progress import SILENT, Progress
from emotune.system.wording import counted
from emotune.tracking.tracker import Group
from emotune.tracking.tracking import Tracking, tracked
from emotune.training.options import TrainingOptions, usual_epochs
from emotune.training.positions import check_positions, leave_room
from emotune.training.preflight import far_learning_rate


class SweepFailed(EmotuneError):
    """A sweep without any finished trial."""

    exit_code = 1


@dataclass(frozen=True, eq=False)
class SweepResult:
    """Result of a sweep.

    Attributes:
        folder: The sweep's folder.
        leaderboard: All configurations, the best first.
        best: Result of the main job of the best one; None where an earlier session had done it.
        seconds: Wall time of this session.
    """

    folder: Path
    leaderboard: Leaderboard
    best: RunResult | None
    seconds: float

    @property
    def local_base(self) -> str | None:
        """Folder of the best one's base model, if it is local; else None."""
        name = self.leaderboard.best.trial.config.model.name
        return name if Path(name).exists() else None

    @property
    def pairs(self) -> bool:
        """True if the models read pairs of texts."""
        return read_description(self.folder / "best").pairs

    @property
    def report(self) -> Path:
        """Path of the leaderboard's page."""
        return (self.folder / "leaderboard.html").resolve()


def steps(plan: Plan) -> int:
    """Return the number of steps that a sweep shows."""
    return 4 + bool(plan.searched) + pipeline.STEPS


def sweep(plan: Plan, make_engine: Callable[[SweepFolder], Engine], progress: Progress = SILENT) -> SweepResult:
    """Run a whole sweep, or resume one.

    The folder, the data and the models are checked before the first trial. A trial that fails does not affect the
    others.

    Args:
        plan: The sweep.
        make_engine: Makes the engine, once there is something to run.
        progress: Shows the steps.

    Raises:
        EmotuneError: One of its subclasses. Finished trials are kept.
        KeyboardInterrupt: The user stopped it. Finished trials are kept.
    """
    if processes() > 1:
        raise ConfigError(
            f"{processes()} processes were started, and a sweep starts its own. Start a single emotune sweep, with --workers."
        )
    if plan.base.data.folds is not None:
        raise ConfigError(
            f"data.folds is {plan.base.data.folds}, and a sweep chooses on one validation split and scores one test split. Leave the folds "
            "out, or cross-validate the chosen configuration with emotune run --folds."
        )
    started = time.perf_counter()
    folder = SweepFolder(plan)
    folder.check()
    with tracked(plan.base, progress) as tracking:
        board, best = _sweep(plan, folder, make_engine, tracking, progress)
    return SweepResult(plan.folder, board, best, time.perf_counter() - started)


def _sweep(
    plan: Plan,
    folder: SweepFolder,
    make_engine: Callable[[SweepFolder], Engine],
    tracking: Tracking,
    progress: Progress,
) -> tuple[Leaderboard, RunResult | None]:
    """Run the steps of a sweep whose folder has been checked; return the leaderboard and the best one's main job."""
    group = tracking.group() if plan.base.tracking.to else None
    given = plan.base.data
    if any(map(reads_once, (given.source, given.validation, given.test))):
        raise ConfigError(
            "A sweep starts processes, and standard input or a pipe can be read only once. Save it as a file, and give that."
        )
    with progress.step("Data"):
        data = load_data(**plan.candidates[0].config.data_arguments())
        if data.task.several:  # else the main job of the best would refuse, after all trials
            several_labels.check_settings(plan.candidates[0].trial(plan.seeds[0]).config, data, from_folder=False)
        for model in dict.fromkeys(found.config.model for found in plan.candidates):
            refuse_windows_over_pairs(data.train.texts, model.long_texts == "windows")
        progress.show(tables.data_table(data))
        for note in data.notes:
            progress.say(note)
    with progress.step("Models"):
        refused: dict[str, str] = {}
        for model in dict.fromkeys(found.config.model for found in plan.candidates):
            base = load_base(labels=data.labels, task=data.task, texts=data.train.texts, **model.model_dump())
            parameters = sum(parameter.numel() for parameter in base.model.parameters())
            progress.say(f"{model_name(model.name)}: {type(base.model).__name__}, {parameters:,} parameters")
            if base.made_from:
                progress.say(f"{base.name} is a folder that emotune saved: {base.made_from}")
            if base.checkpoint_head is not None:
                progress.say(str(base.checkpoint_head))
            refused |= refusals([found for found in plan.candidates if found.config.model == model], base, progress)
            del base
        if len(refused) == len(plan.candidates):
            raise ConfigError(_nothing_trainable(refused))
    fingerprint, name, rows = data.fingerprint, data.name, {split.name: len(split) for split in data.splits}
    del data  # the trials load it again, each in its own process

    with folder.claimed(fingerprint):
        candidates = [found for found in plan.candidates if found.label not in refused]
        failures = dict(refused)
        with closing(make_engine(folder)) as engine:
            if plan.searched:
                with progress.step("Search"):
                    candidates, failed = search(plan, candidates, rows["train"], folder, engine, progress, group)
                    failures |= failed
            with progress.step("Trials"):
                results, failed = run_trials(plan, candidates, folder, engine, fingerprint, progress, group)
                failures |= failed
        with progress.step("Leaderboard"):
            if not any(found for _, found in results):
                raise SweepFailed(_nothing_finished(failures))
            board = make_leaderboard(
                results, plan.seeds, failures, validation_rows=rows["validation"], margin=plan.margin
            )
            created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            setting = Setting(name, rows, created)
            folder.write("leaderboard.json", leaderboard_json(plan, board, setting))
            folder.write("leaderboard.md", leaderboard_markdown(plan, board, setting))
            folder.write("leaderboard.html", render_leaderboard(plan, board, setting))
            progress.show(leaderboard_table(board))
            if group is not None:
                tracking.finish(sweep_results(plan, board, setting))
        return board, refit(board.best, folder, progress, group)


def refusals(candidates: Sequence[Candidate], base: Classifier, progress: Progress) -> dict[str, str]:
    """Find the candidates that cannot be trained, before hours are spent on other trials.

    For the other candidates, warn of learning rates that probably belong to another method.

    Args:
        candidates: Candidates of one base model.
        base: The base model.
        progress: Shows both.

    Returns:
        The reason by label.
    """
    refused = {}
    for candidate in candidates:
        method = candidate.config.method
        try:
            check_refusal(method, base.model)
            check_positions(leave_room(base, method) if candidate.config.model.max_length is None else base, method)
            method.adapted_modules(base.model)  # a target module may match nothing
        except MethodError as error:
            refused[candidate.label] = str(error)
            progress.say(f"{candidate.label} is left out: {error}")
            continue
        options = TrainingOptions(learning_rate=candidate.config.training.learning_rate)
        for warning in far_learning_rate(method, options):
            progress.say(f"{candidate.label}: {warning}")
    return refused


def search(
    plan: Plan,
    candidates: Sequence[Candidate],
    rows: int,
    folder: SweepFolder,
    engine: Engine,
    progress: Progress,
    group: Group | None = None,
) -> tuple[list[Candidate], dict[str, str]]:
    """Search the settings of every candidate.

    Args:
        plan: The sweep.
        candidates: The candidates.
        rows: Number of rows of the training split.
        folder: Folder of the sweep, for the records.
        engine: Runs the trials.
        progress: Shows what happens.
        group: The group of the sweep in trackers.

    Returns:
        The candidates with the best settings found, and the reasons of those without any, by label.
    """
    searches = [Search(candidate, folder, plan.seeds[0], group) for candidate in candidates]
    jobs = [
        SearchJob(found, number, found.candidate.config.training.epochs or usual_epochs(rows))
        for found in searches
        for number in range(plan.searched)
        if number not in found.records
    ]
    before = len(searches) * plan.searched - len(jobs)
    if before:
        progress.say(f"{before} of {before + len(jobs)} were done before")
    run_jobs(jobs, engine, progress, before=before)
    kept, failures = [], {}
    for found in searches:
        failed = [record["message"] for record in found.records.values() if record["state"] == FAILED]
        if found.best is None:
            failures[f"{found.candidate.label}, search"] = failed[0] if failed else "no trial was trained to the end"
            continue
        candidate = chosen(found.candidate, found.best)
        kept.append(candidate)
        lost = f"; {len(failed)} failed, such as: {failed[0]}" if failed else ""
        progress.say(f"{candidate.label}: validation macro-F1 {found.best['macro_f1']:.4f}{lost}")
    return kept, failures


def run_trials(
    plan: Plan,
    candidates: Sequence[Candidate],
    folder: SweepFolder,
    engine: Engine,
    data: str,
    progress: Progress,
    group: Group | None = None,
) -> tuple[list[tuple[Candidate, list[TrialResult]]], dict[str, str]]:
    """Train every candidate with every seed, except for trials that have finished before.

    All candidates are trained with the first seed, then with the next, so that an interrupted sweep is balanced.

    Args:
        plan: The sweep.
        candidates: The candidates.
        folder: Folder for the results.
        engine: Runs the trials.
        data: Fingerprint of the data, which every trial must have used.
        progress: Shows what happens.
        group: The group of the sweep in trackers.

    Returns:
        Each candidate with its finished trials in the order of the seeds, and the reasons of those that failed, by
        label.
    """
    trials = [
        (candidate, replace(candidate.trial(seed), group=group)) for seed in plan.seeds for candidate in candidates
    ]
    jobs = [TrialJob(trial, folder, data, engine.description) for _, trial in trials if folder.result(trial) is None]
    before = len(trials) - len(jobs)
    if before:
        progress.say(f"{before} of {len(trials)} were done before")
    run_jobs(jobs, engine, progress, before=before)
    results: dict[str, list[TrialResult]] = {candidate.key: [] for candidate in candidates}
    failures: dict[str, str] = {}
    for candidate, trial in trials:
        found = folder.result(trial)
        if found is not None:
            results[candidate.key].append(found)
        else:
            failures[trial.label] = folder.failure(trial) or "it has no result"
    return [(candidate, results[candidate.key]) for candidate in candidates], failures


class TrialJob:
    """Trial for the leaderboard, as a job.

    Args:
        trial: The trial.
        folder: Folder for its result.
        data: Fingerprint of the data that it must have used.
        place: The place where it runs, in words.
    """

    def __init__(self, trial: Trial, folder: SweepFolder, data: str, place: str) -> None:
        self._trial = trial
        self._folder = folder
        self._data = data
        self._place = place

    def start(self) -> Trial:
        """Return the trial."""
        return self._trial

    def hear(self, epoch: int, macro_f1: float) -> bool:
        """Return True: trials of the leaderboard are always trained to the end."""
        return True

    def finish(self, files: Files, seconds: float) -> str:
        """Store its result.

        Raises:
            DataError: It used other rows than this process.
        """
        import json

        result = json.loads(files[RESULT])
        if result["data"] != self._data:
            raise DataError(
                f"'{self._trial.label}' used other data than the sweep began with: the data at "
                f"'{self._trial.config.data.source}' has changed, or differs on the machine of the trial. "
                "Trials on different rows cannot be compared."
            )
        found = self._folder.store(self._trial, files, seconds, self._place)
        lost = "".join(f"; not tracked by {name}: {reason}" for name, reason in result.get("not_tracked", {}).items())
        return f"validation macro-F1 {found.validation_macro_f1:.4f}{lost}"

    def stop(self, seconds: float) -> str:
        """Raise an error: trials of the leaderboard are never stopped early."""
        raise RuntimeError("a trial of the leaderboard was stopped early")

    def fail(self, message: str, seconds: float) -> None:
        """Store the reason."""
        self._folder.store_failure(self._trial, message, seconds)


def refit(best: TrialResult, folder: SweepFolder, progress: Progress, group: Group | None = None) -> RunResult | None:
    """Run the main job with the best trial's configuration, for its report and a folder verified in a fresh process.

    The same configuration and seed give the same weights on the same machine, so the test split is not used for a new
    result: the figures are those of the trial. If they differ, as with another number of threads, a message says so.

    Args:
        best: The best trial.
        folder: The sweep's folder; the result goes into `best`.
        progress: Shows the steps.
        group: The group of the sweep in trackers.

    Returns:
        Result of the main job; None where the folder already holds this model.
    """
    config = best_config(best.trial.config, folder)
    if _is_there(config, folder.best):
        progress.say(f"the model of {best.trial.label} is already in {folder.best}")
        return None
    result = pipeline.run(config, progress, group=group)
    trial, again = best.evaluation(), read_evaluation(folder.best)
    changed = int(relabelled(trial, again).sum())
    if changed:
        progress.say(
            f"The model in {folder.best} gives {counted(changed, 'test row')} of {len(trial.split):,} another label than "
            "the trial did: it was trained in another place, or with another number of threads."
        )
    else:
        progress.say(f"The model in {folder.best} labels every test row as the trial did.")
    return result


def best_config(config: RunConfig, folder: SweepFolder) -> RunConfig:
    """Return the configuration of the main job for the best trial; it resumes from an earlier session's checkpoint."""
    settings: dict[str, Any] = {"output.folder": str(folder.best), "output.overwrite": folder.best.exists()}
    config = with_settings(config, settings)
    going_on = with_settings(config, {"training.resume": True})
    checkpoints = checkpoints_of(going_on)
    if not checkpoints.unfinished:
        return config
    try:
        checkpoints.check()
    except OutputError:  # of another trial, which was the best at that time
        checkpoints.remove()
        return config
    return going_on


def _is_there(config: RunConfig, folder: Path) -> bool:
    """Return whether the main job with this configuration has been done."""
    try:
        found = read_description(folder).configuration or {}
    except ArtifactError:
        return False
    expected = portable.configuration(config)
    keys = [name for name in expected if name != "output"]
    return all(_without_resume(found.get(name)) == _without_resume(expected[name]) for name in keys)


def _without_resume(section: Any) -> Any:
    return (
        {key: value for key, value in section.items() if key != "resume"} if isinstance(section, Mapping) else section
    )


def _nothing_finished(failures: Mapping[str, str]) -> str:
    label, reason = next(iter(failures.items()), ("the sweep", "there was nothing to run"))
    return (
        f"None of the sweep's trials finished ({len(failures)} failed). The first, '{label}': {reason}\n"
        "Correct that, and continue with --resume. If settings have to change, start again with --overwrite or another "
        "--output."
    )


def _nothing_trainable(refused: Mapping[str, str]) -> str:
    label, reason = next(iter(refused.items()))
    return (
        f"None of the sweep's configurations can be trained ({len(refused)} refused). The first, '{label}': {reason}\n"
        "Nothing was started."
    )
