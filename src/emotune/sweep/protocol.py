"""Protocol of a leaderboard: sentences on how its figures were made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from emotune.evaluation.words.formats import LONGEST_NAME, duration
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow, SeedNote, model_name
from emotune.sweep.plan import Plan
from emotune.system.machine import processor
from emotune.system.text import printable
from emotune.system.wording import counted
from emotune.training.options import usual_epochs


@dataclass(frozen=True)
class Setting:
    """Data and date of a leaderboard.

    Attributes:
        data: The data set's name.
        rows: Number of rows of its splits, by name.
        created: Date and time of the leaderboard.
    """

    data: str
    rows: dict[str, int]
    created: str


def protocol(plan: Plan, board: Leaderboard, setting: Setting) -> list[str]:
    """Return sentences on how the figures were made."""
    rows = ", ".join(f"{count:,} {name}" for name, count in setting.rows.items())
    training = plan.base.training
    epochs = training.epochs or usual_epochs(setting.rows["train"])
    models = ", ".join(map(model_name, plan.models))
    several = len(plan.seeds) > 1
    lines = [
        f"Data: {setting.data} ({rows} rows). Base model: {models}. Unless a configuration says otherwise, training has "
        f"at most {counted(epochs, 'epoch')} and "
        + (
            "the method's own learning rate."
            if training.learning_rate is None
            else f"a learning rate of {training.learning_rate:g}."
        ),
        f"Every configuration was trained with {counted(len(plan.seeds), 'seed')} "
        f"({', '.join(map(str, plan.seeds))}), on the same rows."
        + (" Figures are means ± sample standard deviations over the seeds." if several else ""),
        "Configurations are ordered, and the best is chosen, by macro-F1 on validation: that of the kept epoch, "
        + (
            "with the thresholds that were chosen on the same rows, so it is somewhat too high. "
            if board.best.found.get("thresholds")
            else "in the precision of training. "
        )
        + "Every trial scored the test split once, in float32; nothing was chosen by these scores.",
    ]
    lines.append(
        "The trained weights of every trial were saved. A fresh process loaded them onto the base model and computed the "
        f"same logits: the largest difference was {board.largest_logit_difference:.0e}."
    )
    if plan.searched:
        lines.append(
            f"Settings were searched with {plan.searched} proposals per configuration (tree-structured Parzen estimator), "
            "scored by macro-F1 on validation with the first seed. Weaker trials were stopped early (asynchronous "
            "successive halving). The best settings were then trained again with every seed. Their validation score is "
            "too high, since they were chosen by it; their test scores are not."
        )
    if len(board.rows) > 1 and board.spread is not None:
        lines += _how_seeds_are_tested(board, board.spread)
    elif len(board.rows) > 1:
        lines.append(
            f"Against the best: the difference in test {board.right} on the same rows with its 95 % interval, and McNemar's "
            "test (mid-p). With one seed, neither counts the variation between seeds."
        )
    if len(board.rows) > 1:
        count = sum(row.against_best is not None for row in board.rows)
        lines.append(
            f"The p-values are corrected for {counted(count, 'comparison')} (Holm), separately for {board.right} and for "
            "macro-F1; the intervals are not."
        )
    if board.margin is not None:
        lines.append(
            f"Margin: a one-sided test against a difference in {board.right} as large as the margin, and two such tests for "
            "equivalence (TOST). "
            + (
                "The standard errors are the same."
                if board.spread is not None
                else "They count the variation between rows, not between seeds."
            )
        )
    incomplete = [row for row in board.rows if row.missing]
    if incomplete:
        lines.append(
            f"Some seeds did not finish: those of {_names(incomplete)}. Such configurations come last, whatever their mean, "
            "and are compared over the seeds that finished."
        )
    lines += [
        f"Every trial ran in its own process, on {' or '.join(board.places)}, and trained in "
        f"{' or '.join(board.arithmetic)}. "
        + ("Times and memory of trials in different places cannot be compared. " if len(board.places) > 1 else "")
        + "Training time is the median over seeds; it includes validation after each epoch, but not startup and test. "
        "Peak memory is the highest memory of the process (on a GPU, of the GPU) up to the end of training. Size on "
        f"disk is that of the trained weights. All trials together took {duration(board.wall_seconds)}.",
        f"Machine of the leaderboard: {processor()}, {counted(os.cpu_count() or 1, 'core')}. "
        f"Made on {setting.created}.",
    ]
    return lines


def _how_seeds_are_tested(board: Leaderboard, spread: SeedNote) -> list[str]:
    """Return sentences on how the p-values over seeds are computed."""
    wider = (
        f" The seeds of {', '.join(repr(printable(label, LONGEST_NAME)) for label in spread.wider)} vary more than the "
        "others'. These configurations are tested with their own variance only, so a difference must be larger to be "
        "significant."
        if spread.wider
        else ""
    )
    return [
        "Against the best: the difference on the same test rows. Its 95 % interval and its p-value count the variation "
        "between seeds and between rows. The variance between seeds is pooled over the configurations that agree in it. "
        "The variance between rows is that of the differences per row. The interaction of seeds and rows is counted "
        "once (two-way analysis of variance). The two parts are combined by the Behrens-Fisher method.",
        "The best was chosen with the same seeds that it is tested with, and a seed that is lucky on validation may be "
        "lucky on test. With 16 equal configurations and a standard deviation of one point between seeds, about one "
        "leaderboard in ten then names one as different, instead of one in twenty.",
        f"Between seeds, test {board.right} has a pooled standard deviation of {100 * spread.deviation:.2f} points "
        f"({spread.freedom:.0f} degrees of freedom).{wider}",
    ]


def _names(rows: Sequence[LeaderboardRow]) -> str:
    return ", ".join(f"'{printable(row.label, LONGEST_NAME)}'" for row in rows)
