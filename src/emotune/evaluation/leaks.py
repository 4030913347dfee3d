"""Scores with and without the test rows that repeat a training row exactly or nearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotune.data.auditing.audit import KINDS, Audit
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.several import SeveralComparison

Compared = TypeVar("Compared", Comparison, SeveralComparison)


@dataclass(frozen=True, eq=False)
class Leaked(Generic[Compared]):
    """Test rows that repeat a training row, and the comparison with and without them.

    Attributes:
        kinds: Number of leaked rows by the strictest kind that applies: "exact", "trivial", "near"
            (`emotune.data.auditing.audit`).
        rows: Shape (leaked rows,), their row numbers in the test split, counted from 0.
        comparison: The models on all rows.
        without: The same models on the other rows; None if there are none.
    """

    kinds: Mapping[str, int]
    rows: NDArray[np.int64]
    comparison: Compared
    without: Compared | None

    @property
    def count(self) -> int:
        """Number of test rows that leak."""
        return len(self.rows)

    @property
    def others(self) -> int:
        """Number of test rows that do not leak."""
        return len(self.comparison.after.split) - self.count

    def figures(self) -> dict[str, Any]:
        """Return the counts and the scores on the other rows, for a file; the scores are None if there are none."""
        without = self.without
        return {
            "leaked": dict(self.kinds),
            "rows": self.others,
            "before": None if without is None else asdict(without.before.metrics),
            "after": None if without is None else asdict(without.after.metrics),
            "baselines": None
            if without is None
            else {found.name: asdict(found.metrics) for found in without.baselines},
        }


Leaks = Leaked[Comparison]
SeveralLeaks = Leaked[SeveralComparison]


def find_leaks(comparison: Compared, audit: Audit) -> Leaked[Compared] | None:
    """Score a comparison again, on the test rows that repeat no training row.

    Args:
        comparison: The models, on the whole test split.
        audit: The audit of the same data in memory.

    Returns:
        The leaks with both scores; None if no test row leaks.
    """
    leaked = np.asarray(audit.leaked_rows("test"), dtype=np.int64)
    if not len(leaked):
        return None
    return Leaked(
        kinds={kind: len(audit.leaked("test", (kind,))) for kind in KINDS},
        rows=leaked,
        comparison=comparison,
        without=without_rows(comparison, leaked),
    )


def without_rows(comparison: Compared, rows: NDArray[np.int64]) -> Compared | None:
    """Return a comparison on the other rows; None if there are none.

    Args:
        comparison: The models.
        rows: Numbers of the rows to leave out, from 0.
    """
    kept = np.setdiff1d(np.arange(len(comparison.after.split)), rows)
    return comparison.restricted(kept) if len(kept) else None
