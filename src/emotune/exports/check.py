"""Comparison of an export, run by its own script in a fresh process, with the original."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.evaluation.margin import MarginTest, margin_test
from emotune.evaluation.scores import Evaluation, relabelled, score
from emotune.evaluation.words.formats import percent, share, signed_points
from emotune.evaluation.words.margin import in_points, margin_sentence
from emotune.exports.formats import ExportOptions
from emotune.statistics.paired import PairedStatistics
from emotune.statistics.several import SeveralStatistics
from emotune.system.errors import VerificationError
from emotune.system.pairs import TextPair
from emotune.system.wording import counted

LEAST_AGREEMENT = 0.999
"""Share of rows on which an export in fp32 must give the original's label."""

LARGEST_DIFFERENCE = 1e-3
"""Difference of a logit that an export in fp32 may have, as a share of the largest logit, or of 1 if that is less.

Rounding alone was below 2e-5 in every family; a missing input or a wrong activation is far above, and may leave labels as
they are.
"""

# Rows per batch of the check: what a program that uses the export would give it.
_BATCH = 32
_LONGEST_OUTPUT = 2000


@dataclass(frozen=True, eq=False)
class Agreement:
    """An export compared with the original on the same rows.

    Attributes:
        original: Evaluation of the original.
        export: Evaluation of the export.
        largest_difference: Largest absolute difference of a logit.
        largest_logit: Largest absolute logit of the original.
        changed_labels: Rows whose predicted label differs.
        statistics: The export against the original.
        test: The test of the margin.
    """

    original: Evaluation
    export: Evaluation
    largest_difference: float
    largest_logit: float
    changed_labels: int
    statistics: PairedStatistics | SeveralStatistics
    test: MarginTest

    @property
    def right(self) -> str:
        """Name of the share of rows that are right: "accuracy", or "subset accuracy"."""
        return self.original.split.task.right

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.original.split)

    @property
    def agreement(self) -> float:
        """Share of rows with the same labels."""
        return 1 - self.changed_labels / self.rows

    @property
    def lost(self) -> float:
        """Share of right rows that the export loses, as a share of 1; negative if it gains."""
        return -self.test.difference.estimate

    @property
    def sentence(self) -> str:
        """The result in words: that of the margin's test, unless every label is the same."""
        if not self.changed_labels:
            return f"Every label is the original's, so the {self.right} is the same."
        return margin_sentence(self.test, self.export, self.original)

    def figures(self) -> dict[str, Any]:
        """Return the figures for the description of the export, as JSON values."""
        return {
            "rows": self.rows,
            "data_fingerprint": self.original.split.fingerprint,
            "largest_logit_difference": self.largest_difference,
            "changed_labels": self.changed_labels,
            "label_agreement": self.agreement,
            f"{self.right.replace(' ', '_')}_before": self.original.right_share,
            f"{self.right.replace(' ', '_')}_after": self.export.right_share,
            "margin": asdict(self.test),
            "verdict": self.sentence,
        }

    def in_words(self) -> dict[str, str]:
        """Return the figures for a reader, by name."""
        return {
            "rows": f"{self.rows:,}",
            "same label": f"{percent(self.rows - self.changed_labels, self.rows)} ({self.changed_labels:,} differ)",
            "largest difference of a logit": f"{self.largest_difference:.1e}",
            f"{self.right} of the original": share(self.original.right_share),
            f"{self.right} of the export": share(self.export.right_share),
            "difference": signed_points(self.test.difference.estimate),
        }

    def refuse(self, options: ExportOptions) -> None:
        """Refuse an export that differs more than its precision may.

        Raises:
            VerificationError: In fp32 it gives other labels on more than 0.1 % of the rows, or a logit that differs by
                more than rounding; in int8 it loses more accuracy than the margin on them.
        """
        before, after = self.original.right_share, self.export.right_share
        about = (
            f"The export to {options.to} in {options.precision} differs from the original too much: of "
            f"{counted(self.rows, 'row')} {self.changed_labels:,} get another label, {self.right} {share(before)} becomes "
            f"{share(after)}, and the largest difference of a logit is {self.largest_difference:.1e}."
        )
        if options.precision == "fp32" and self.agreement < LEAST_AGREEMENT:
            raise VerificationError(
                f"{about}\nIn fp32 at least {100 * LEAST_AGREEMENT:g} % of the labels must be the same. Nothing was written. "
                "Check the folder with emotune verify, or use another format."
            )
        allowed = LARGEST_DIFFERENCE * max(1.0, self.largest_logit)
        if options.precision == "fp32" and self.largest_difference > allowed:
            raise VerificationError(
                f"{about}\nIn fp32 no logit may differ by more than {allowed:.1e}, which rounding does not reach. Nothing was "
                "written. Check the folder with emotune verify, or use another format."
            )
        if options.precision == "int8" and self.lost > options.margin / 100:
            raise VerificationError(
                f"{about}\nIn int8 it may lose at most {in_points(options.margin)} on these rows. Nothing was written. "
                "Use --precision fp32 or another format, or allow more with --margin."
            )


def compared(
    split: Split, before: NDArray[np.float32], after: NDArray[np.float32], options: ExportOptions
) -> Agreement:
    """Compare the logits of an export with those of the original.

    Args:
        split: The rows, with their labels.
        before: Shape (rows, classes), logits of the original.
        after: The same of the export.
        options: What was asked.

    Raises:
        VerificationError: The export gives other numbers of logits, or some that are not finite.
    """
    if after.shape != before.shape:
        raise VerificationError(
            f"The export to {options.to} gives logits of shape {after.shape}; the original's are of shape {before.shape}. "
            "Nothing was written."
        )
    broken = int((~np.isfinite(after).all(axis=1)).sum())
    if broken:
        raise VerificationError(
            f"The export to {options.to} in {options.precision} gives {counted(broken, 'row')} of {len(split):,} logits that are "
            "not finite numbers. Nothing was written. Use another precision or format."
        )
    original, export = (
        _evaluation("the original", split, before),
        _evaluation(f"the {options.name} export", split, after),
    )
    statistics = split.task.compare(split.label_ids, original.predictions, export.predictions, split.labels)
    return Agreement(
        original=original,
        export=export,
        largest_difference=float(np.abs(after - before).max()),
        largest_logit=float(np.abs(before).max()),
        changed_labels=int(relabelled(original, export).sum()),
        statistics=statistics,
        test=margin_test(statistics, options.margin),
    )


def fresh_logits(folder: Path, texts: Sequence[str], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the logits of an export, computed by its own run.py in a fresh process in which emotune cannot be imported.

    Args:
        folder: The export.
        texts: The texts, or pairs of them.
        lengths: Their numbers of tokens: batches are of similar lengths.

    Returns:
        Shape (texts, classes).

    Raises:
        VerificationError: The script fails.
    """
    order = np.argsort(-lengths, kind="stable")
    given = [[text.first, text.second] if isinstance(text, TextPair) else text for text in texts]
    batches = [[given[row] for row in order[start : start + _BATCH]] for start in range(0, len(order), _BATCH)]
    with tempfile.TemporaryDirectory(prefix="emotune-") as temporary:
        asked, written = Path(temporary) / "texts.json", Path(temporary) / "logits.npy"
        asked.write_text(json.dumps(batches), encoding="utf-8")
        driver = Path(__file__).with_name("driver.py")
        command = [sys.executable, "-P", str(driver), str(folder), str(asked), str(written)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise VerificationError(
                f"Running the export in a fresh process failed, and nothing was written:\n{done.stderr.strip()[-_LONGEST_OUTPUT:]}"
            )
        in_order: NDArray[np.float32] = np.load(written, allow_pickle=False)
    result = np.empty_like(in_order)
    result[order] = in_order
    return result


def _evaluation(name: str, split: Split, logits: NDArray[np.float32]) -> Evaluation:
    task = split.task
    probabilities, predictions = task.probabilities(logits), task.decide(logits)
    return Evaluation(
        name=name,
        split=split,
        probabilities=probabilities,
        logits=logits,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=0.0,
        has_seed=True,
    )
