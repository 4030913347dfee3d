"""`Verification`: the comparison of a saved folder's current results with the saved ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verification:
    """Result of a check.

    Attributes:
        rows: Number of texts whose predictions were recomputed: the probes and the saved test rows.
        largest_difference: The largest absolute difference of a logit of the probes or a probability of the test rows;
            infinite if a value is not a number.
        tolerance: The largest difference that passes.
        changed_labels: Number of test rows whose label differs.
        changed_files: Files whose content has changed.
        missing_files: Files that are missing.
        probe_difference: The largest absolute difference of a logit of the probes, which depends only on the model.
        left_out: Files that were left out on purpose when the folder was pushed to the Hub, and are not there.
        was_saved: True if the results were saved with the folder; False for a plain folder of transformers or PEFT, whose
            results in one fresh process were compared with those of another.
        test_rows: Number of test rows in the folder, of which a sample may have been predicted again.
    """

    rows: int
    largest_difference: float
    tolerance: float
    changed_labels: int
    changed_files: tuple[str, ...]
    missing_files: tuple[str, ...] = ()
    probe_difference: float = 0.0
    left_out: tuple[str, ...] = ()
    was_saved: bool = True
    test_rows: int = 0

    @property
    def ok(self) -> bool:
        """True if predictions and files equal the saved ones."""
        return self.same_predictions and not self.changed_files and not self.missing_files

    @property
    def same_predictions(self) -> bool:
        """True if the recomputed results equal the saved ones, on the probes and on the saved test rows."""
        return self.largest_difference <= self.tolerance and not self.changed_labels
