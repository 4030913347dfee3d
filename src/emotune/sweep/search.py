"""Search: Optuna proposes a candidate's settings, validation scores each epoch, and weak trials are stopped early.

Proposals come from the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), early stopping from
asynchronous successive halving (Li et al., MLSys 2020, arXiv 1810.05934), both in Optuna's implementation. The test
split is not used. Every record is a file in the sweep's folder; a resumed sweep rebuilds the study from these files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emotune.sweep.engines import Files, TrialFailed
from emotune.sweep.folder import SweepFolder
from emotune.sweep.plan import Candidate, Range, Trial, described, with_settings
from emotune.sweep.trial import RESULT
from emotune.tracking.tracker import Group

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial as Proposal


# The best third of the trials that reach epoch 1, 3, 9, ... continues.
REDUCTION = 3
FINISHED, STOPPED, FAILED = "finished", "stopped early", "failed"


class Search:
    """Search for one candidate.

    Args:
        candidate: The candidate, with the ranges of its settings.
        folder: The sweep's folder, for the records.
        seed: Seed of the proposals.
        group: The group of the sweep in trackers.
    """

    def __init__(self, candidate: Candidate, folder: SweepFolder, seed: int, group: Group | None = None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.candidate = candidate
        self.folder = folder
        self.seed = seed
        self.group = group
        self.study: Study = optuna.create_study(
            direction="maximize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        )
        # Failed proposals are tried again, as trials are.
        found = folder.searched(candidate)
        self.records = {number: record for number, record in found.items() if record["state"] != FAILED}
        for _, record in sorted(self.records.items()):
            self._tell_again(record)

    def propose(self, number: int) -> Proposal:
        """Return Optuna's next proposal; it depends only on the seed, the number and the results so far."""
        import optuna

        self.study.sampler = optuna.samplers.TPESampler(seed=self.seed + number)
        return self.study.ask(_distributions(self.candidate.ranges))

    def keep(self, number: int, record: dict[str, Any]) -> None:
        """Store the record of a proposal."""
        self.records[number] = record
        self.folder.store_searched(self.candidate, number, record)

    @property
    def best(self) -> dict[str, Any] | None:
        """Record with the best macro-F1 on validation among those trained to the end; None where there is none."""
        finished = [record for record in self.records.values() if record["state"] == FINISHED]
        return max(finished, key=lambda record: float(record["macro_f1"]), default=None)

    def _tell_again(self, record: Mapping[str, Any]) -> None:
        """Add a record of an earlier session to the study."""
        import optuna

        states = {
            FINISHED: optuna.trial.TrialState.COMPLETE,
            STOPPED: optuna.trial.TrialState.PRUNED,
        }
        self.study.add_trial(
            optuna.trial.create_trial(
                state=states[record["state"]],
                value=record["macro_f1"],
                params=dict(record["settings"]),
                distributions=_distributions(self.candidate.ranges),
                intermediate_values={int(epoch): value for epoch, value in record["epochs"].items()},
                system_attrs=dict(record["rungs"]),
            )
        )


class SearchJob:
    """One proposal of a search, from its draw to its record.

    Args:
        search: The search.
        number: Number of the proposal, from 0.
        epochs: Largest number of epochs per trial.
    """

    def __init__(self, search: Search, number: int, epochs: int) -> None:
        self.search = search
        self.number = number
        self.epochs = epochs
        self.heard: dict[int, float] = {}
        self.settings: dict[str, Any] = {}
        self.proposal: Proposal | None = None

    def start(self) -> Trial:
        """Draw the settings, and return the trial.

        Raises:
            TrialFailed: The settings contradict each other, although each is within its range.
        """
        from pydantic import ValidationError

        self.proposal = self.search.propose(self.number)
        self.settings = dict(self.proposal.params)
        candidate = self.search.candidate
        label = f"{candidate.label}, search {self.number + 1}: {described(self.settings)}"
        try:
            config = with_settings(candidate.config, self.settings)
        except ValidationError as error:
            reasons = "; ".join(mistake["msg"].removeprefix("Value error, ") for mistake in error.errors())
            raise TrialFailed(f"{label}: {reasons}") from None
        key = f"{candidate.key}-search-{self.number:03d}"
        return Trial(key, label, config, scores_test=False, group=self.search.group)

    def hear(self, epoch: int, macro_f1: float) -> bool:
        """Report an epoch to Optuna, and return whether to continue; the last epoch is never stopped."""
        self.heard[epoch] = macro_f1
        if self.proposal is None:
            raise RuntimeError("an epoch ended before the trial had begun")
        # The best so far, since the score of a single epoch fluctuates.
        self.proposal.report(max(self.heard.values()), epoch)
        return epoch >= self.epochs or not self.proposal.should_prune()

    def finish(self, files: Files, seconds: float) -> str:
        """Store its score."""
        macro_f1 = float(json.loads(files[RESULT])["validation"]["macro_f1"])
        self._tell(FINISHED, macro_f1, seconds)
        return f"validation macro-F1 {macro_f1:.4f}"

    def stop(self, seconds: float) -> str:
        """Store its best score so far."""
        macro_f1 = max(self.heard.values())
        self._tell(STOPPED, macro_f1, seconds)
        return f"stopped after epoch {max(self.heard)}, validation macro-F1 {macro_f1:.4f}"

    def fail(self, message: str, seconds: float) -> None:
        """Store the reason."""
        self._tell(FAILED, None, seconds, message)

    def _tell(self, state: str, macro_f1: float | None, seconds: float, message: str = "") -> None:
        import optuna

        if self.proposal is None:
            raise RuntimeError("a trial ended before it had begun")
        known = {
            FINISHED: optuna.trial.TrialState.COMPLETE,
            STOPPED: optuna.trial.TrialState.PRUNED,
            FAILED: optuna.trial.TrialState.FAIL,
        }[state]
        told = self.search.study.tell(self.proposal, macro_f1 if state == FINISHED else None, state=known)
        self.search.keep(
            self.number,
            {
                "state": state,
                "settings": self.settings,
                "macro_f1": macro_f1,
                "epochs": self.heard,
                "rungs": dict(told.system_attrs),
                "wall_seconds": seconds,
                "message": message,
            },
        )


def chosen(candidate: Candidate, record: Mapping[str, Any]) -> Candidate:
    """Return the candidate with the settings that a search has found."""
    settings = dict(record["settings"])
    label = f"{candidate.label}, found: {described(settings)}"
    return replace(candidate, label=label, config=with_settings(candidate.config, settings))


def _distributions(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Return the ranges as distributions of Optuna."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for key, choice in ranges.items():
        if choice.low is None or choice.high is None:
            found[key] = CategoricalDistribution(choice.choices)
        elif choice.whole:
            found[key] = IntDistribution(int(choice.low), int(choice.high), log=choice.log)
        else:
            found[key] = FloatDistribution(choice.low, choice.high, log=choice.log)
    return found
