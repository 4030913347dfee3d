"""The noun of a check: a `Verification`, what a saved folder computes against what it was saved with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Attributes:
        rows: Texts whose predictions were computed again: the probes and the saved test rows.
        largest_difference: The largest absolute difference of a logit of the probes or of a probability of the test rows; infinite where
            a value is not a number.
        tolerance: The largest difference that passes.
        changed_labels: Test rows whose label differs.
        changed_files: Files whose content is not what was saved.
        missing_files: Files that are gone.
        probe_difference: The largest absolute difference of a logit of the probes alone: what says most of the model.
    """

    rows: int
    largest_difference: float
    tolerance: float
    changed_labels: int
    changed_files: tuple[str, ...]
    missing_files: tuple[str, ...] = ()
    probe_difference: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything is as it was saved."""
        return self.same_predictions and not self.changed_files and not self.missing_files

    @property
    def same_predictions(self) -> bool:
        """Whether what was computed is what was saved, on the probes and on the saved test rows."""
        return self.largest_difference <= self.tolerance and not self.changed_labels
