"""Compare two models on the same rows, where rows have any number of labels.

Intervals are bootstrap intervals (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): rows are
drawn with replacement, both models' predictions with them, and the 2.5 % and 97.5 % points of the differences are the
ends. The test of each label is McNemar's mid-p over its rows with and without it, corrected for the number of labels by
Holm's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import FEW_CHANGES, FEW_ROWS, LEVEL, Interval, holm, mcnemar, score_interval
from emotune.system.wording import counted, quoted

DRAWS = 2000
_ROWS_AT_A_TIME = 50


@dataclass(frozen=True)
class LabelChange:
    """Change in the decisions about one label.

    Attributes:
        support: Rows with the label.
        fixed: Rows whose decision about the label was wrong in the first model and is right in the second.
        broken: Rows whose decision was right in the first model and is wrong in the second.
        f1_difference: F1 of the second model minus that of the first.
        p_value: McNemar's mid-p on these decisions.
        adjusted_p: The same, corrected for the number of labels (Holm).
    """

    support: int
    fixed: int
    broken: int
    f1_difference: float
    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class SeveralStatistics:
    """Statistics of two models on identical rows with any number of labels.

    Attributes:
        rows: Number of rows.
        fixed: Rows whose labels were not exactly right in the first model and are in the second.
        broken: Rows whose labels were exactly right in the first model and are not in the second.
        macro_f1: Macro-F1 of the second model minus that of the first; None if an interval could not be trusted.
        macro_f1_withheld: The reason why there is no interval of macro-F1; "" if there is one.
        micro_f1_difference: Micro-F1 of the second model minus that of the first.
        micro_f1: The same with its interval, which needs no rows of every label; None if too few rows changed.
        per_class: By label.
    """

    rows: int
    fixed: int
    broken: int
    macro_f1: Interval | None
    macro_f1_withheld: str
    micro_f1_difference: float
    micro_f1: Interval | None
    per_class: dict[str, LabelChange]

    @property
    def p_value(self) -> float:
        """McNemar's mid-p of no difference in subset accuracy, two-sided."""
        return mcnemar(self.fixed, self.broken)[1]

    @property
    def subset_accuracy(self) -> Interval:
        """Subset accuracy of the second model minus that of the first."""
        return score_interval(self.fixed, self.broken, self.rows)


def several_statistics(
    truth: NDArray[np.int8],
    first: NDArray[np.int8],
    second: NDArray[np.int8],
    labels: tuple[str, ...],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> SeveralStatistics:
    """Compare two models' predictions on the same rows.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        first: Shape (rows, labels), predictions of the first model.
        second: Shape (rows, labels), predictions of the second model.
        labels: Label names.
        draws: Number of draws of the bootstrap.
        seed: Seed of the draws; the same data and seed give the same intervals.
    """
    was, now = first == truth, second == truth
    fixed, broken = (~was & now).sum(axis=0), (was & ~now).sum(axis=0)
    p_values = [mcnemar(int(up), int(down))[1] for up, down in zip(fixed, broken, strict=True)]
    adjusted = holm(p_values)
    before, after = _counts(truth, first), _counts(truth, second)
    per_label = _f1(after.sum(axis=0)) - _f1(before.sum(axis=0))
    macro, micro = _drawn(before, after, draws, seed)
    support = truth.sum(axis=0, dtype=np.int64)
    rarest = int(support.argmin())
    changed = int((was != now).any(axis=1).sum())
    few = (
        f"{counted(changed, 'row')} changed between right and wrong, fewer than {FEW_CHANGES}"
        if changed < FEW_CHANGES
        else ""
    )
    rare = (
        f"label {quoted(labels[rarest])} has {counted(int(support[rarest]), 'row')}, fewer than {FEW_ROWS}"
        if support[rarest] < FEW_ROWS
        else ""
    )
    withheld = few or rare
    micro_difference = _micro(after.sum(axis=0)) - _micro(before.sum(axis=0))
    whole_was, whole_now = was.all(axis=1), now.all(axis=1)
    return SeveralStatistics(
        rows=len(truth),
        fixed=int((~whole_was & whole_now).sum()),
        broken=int((whole_was & ~whole_now).sum()),
        macro_f1=None if withheld else _interval(float(per_label.mean()), macro),
        macro_f1_withheld=withheld,
        micro_f1_difference=micro_difference,
        micro_f1=None if few else _interval(micro_difference, micro),
        per_class={
            label: LabelChange(
                int(support[at]), int(fixed[at]), int(broken[at]), float(per_label[at]), p_values[at], adjusted[at]
            )
            for at, label in enumerate(labels)
        },
    )


def _counts(truth: NDArray[np.int8], predictions: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return per row and label whether it is a true positive, and the number of times it is in either, shape (rows, 2, labels)."""
    return np.stack([truth & predictions, truth + predictions], axis=1).astype(np.float32)


def _f1(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return F1 per label from sums of `_counts`, shape (..., 2, labels); 0 for a label in neither."""
    both, total = counts[..., 0, :].astype(np.float64), counts[..., 1, :].astype(np.float64)
    return np.divide(2 * both, total, out=np.zeros_like(total), where=total > 0)


def _micro(counts: NDArray[np.floating]) -> float:
    return float(_f1(counts.astype(np.float64).sum(axis=-1, keepdims=True))[0])


def _drawn(
    before: NDArray[np.float32], after: NDArray[np.float32], draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the differences in macro-F1 and in micro-F1 of each draw of rows, each of shape (draws,)."""
    rng = np.random.default_rng(seed)
    rows, shape = len(before), before.shape[1:]
    # Rows are drawn by the number of times that each is taken, so that sums are products of matrices.
    table = np.concatenate([before.reshape(rows, -1), after.reshape(rows, -1)], axis=1)
    macro, micro = [], []
    for start in range(0, draws, _ROWS_AT_A_TIME):
        times = rng.multinomial(rows, np.full(rows, 1 / rows), size=min(_ROWS_AT_A_TIME, draws - start))
        sums = (times.astype(np.float32) @ table).reshape(len(times), 2, *shape)
        of_labels = _f1(sums)
        macro.append(of_labels[:, 1].mean(axis=-1) - of_labels[:, 0].mean(axis=-1))
        whole = _f1(sums.astype(np.float64).sum(axis=-1, keepdims=True))[..., 0]
        micro.append(whole[:, 1] - whole[:, 0])
    return np.concatenate(macro), np.concatenate(micro)


def _interval(estimate: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))
