"""Search: Optuna proposes a candidate's settings, validation judges them epoch by epoch, and what lags behind is stopped early.

Proposals come from the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), stopping from asynchronous successive
halving (Li et al., MLSys 2020, arXiv 1810.05934), both as Optuna has them. The test split plays no part. Every record is a file in
the sweep's folder, from which the study is built again when the sweep is resumed.
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

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial as Proposal


# Of the trials that reach an epoch of 1, 3, 9, ... the best third goes on.
REDUCTION = 3
FINISHED, STOPPED, FAILED = "finished", "stopped early", "failed"


class Search:
    """The search of one candidate.

    Args:
        candidate: The candidate, with the ranges of its settings.
        folder: The sweep's folder, which keeps the records.
        seed: Seed of the proposals.
    """

    def __init__(self, candidate: Candidate, folder: SweepFolder, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.candidate = candidate
        self.folder = folder
        self.seed = seed
        self.study: Study = optuna.create_study(
            direction="maximize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        )
        # What failed is tried again, as trials are.
        found = folder.searched(candidate)
        self.records = {number: record for number, record in found.items() if record["state"] != FAILED}
        for _, record in sorted(self.records.items()):
            self._tell_again(record)

    def propose(self, number: int) -> Proposal:
        """Optuna's next proposal, drawn from the seed, the number and what is known so far: alike whether resumed or not."""
        import optuna

        self.study.sampler = optuna.samplers.TPESampler(seed=self.seed + number)
        return self.study.ask(_distributions(self.candidate.ranges))

    def keep(self, number: int, record: dict[str, Any]) -> None:
        """Keep what became of a proposal."""
        self.records[number] = record
        self.folder.store_searched(self.candidate, number, record)

    @property
    def best(self) -> dict[str, Any] | None:
        """The record with the best macro-F1 on validation among those that were trained to the end; None where there is none."""
        finished = [record for record in self.records.values() if record["state"] == FINISHED]
        return max(finished, key=lambda record: float(record["macro_f1"]), default=None)

    def _tell_again(self, record: Mapping[str, Any]) -> None:
        """Put a record of an earlier session back into the study."""
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
        number: Of the proposal, from 0.
        epochs: How many epochs a trial has at most.
    """

    def __init__(self, search: Search, number: int, epochs: int) -> None:
        self.search = search
        self.number = number
        self.epochs = epochs
        self.heard: dict[int, float] = {}
        self.settings: dict[str, Any] = {}
        self.proposal: Proposal | None = None

    def start(self) -> Trial:
        """Draw the settings.

        Raises:
            TrialFailed: They contradict each other, which the ranges by themselves did not show.
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
        return Trial(f"{candidate.key}-search-{self.number:03d}", label, config, scores_test=False)

    def hear(self, epoch: int, macro_f1: float) -> bool:
        """Report an epoch; the last one has nothing to stop."""
        self.heard[epoch] = macro_f1
        if self.proposal is None:
            raise RuntimeError("an epoch ended before the trial had begun")
        # The best so far: a single epoch's score wavers.
        self.proposal.report(max(self.heard.values()), epoch)
        return epoch >= self.epochs or not self.proposal.should_prune()

    def finish(self, files: Files, seconds: float) -> str:
        """Keep its score."""
        macro_f1 = float(json.loads(files[RESULT])["validation"]["macro_f1"])
        self._tell(FINISHED, macro_f1, seconds)
        return f"validation macro-F1 {macro_f1:.4f}"

    def stop(self, seconds: float) -> str:
        """Keep the score so far."""
        macro_f1 = max(self.heard.values())
        self._tell(STOPPED, macro_f1, seconds)
        return f"stopped after epoch {max(self.heard)}, validation macro-F1 {macro_f1:.4f}"

    def fail(self, message: str, seconds: float) -> None:
        """Keep why."""
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
    """The candidate with the settings that a search has found."""
    settings = dict(record["settings"])
    label = f"{candidate.label}, found: {described(settings)}"
    return replace(candidate, label=label, config=with_settings(candidate.config, settings))


def _distributions(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """The ranges as Optuna knows them."""
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
