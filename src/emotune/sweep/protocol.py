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
        f"Data: {setting.data} ({rows} rows). Base model: {models}. At most {counted(epochs, 'epoch')}, learning rates "
        + ("the methods' own" if training.learning_rate is None else f"{training.learning_rate:g}")
        + " where a configuration does not say otherwise.",
        f"Every configuration was trained with {counted(len(plan.seeds), 'seed')} ({', '.join(map(str, plan.seeds))}), on the same rows"
        + (". Figures are means ± sample standard deviations over them." if several else "."),
        "The order and the choice of the best are by macro-F1 on validation, in the precision of training, of the epoch that was kept. "
        "Every trial scored the test split once, in float32, and nothing was chosen by that.",
    ]
    lines.append(
        "What every trial trained was saved, and a fresh process loaded it onto the base model and got the same logits: the largest "
        f"difference was {board.largest_logit_difference:.0e}."
    )
    if plan.searched:
        lines.append(
            f"Settings were searched: {plan.searched} proposals per configuration (tree-structured Parzen estimator), judged by macro-F1 "
            "on validation with the first seed, the weaker ones stopped early (asynchronous successive halving); the best was then trained "
            "afresh with every seed. Its validation score is too high, since it was chosen by it; its test scores are not."
        )
    if len(board.rows) > 1 and board.spread is not None:
        lines += _how_seeds_are_tested(board, board.spread)
    elif len(board.rows) > 1:
        lines.append(
            "Against the best: the difference in test accuracy on the same rows with its 95 % interval, and McNemar's test (mid-p). "
            "With one seed, neither counts that another seed gives another model."
        )
    if len(board.rows) > 1:
        count = sum(row.against_best is not None for row in board.rows)
        lines.append(
            f"The p-values are corrected for {counted(count, 'comparison')} (Holm), those of accuracy and of "
            "macro-F1 apart; the intervals are not."
        )
    if board.margin is not None:
        lines.append(
            "Margin: a one-sided test of a difference in accuracy as large as the margin, and two of them for "
            "accuracies that are alike (TOST), "
            + (
                "with the same standard errors."
                if board.spread is not None
                else "that count other rows, and no other seeds."
            )
        )
    incomplete = [row for row in board.rows if row.missing]
    if incomplete:
        lines.append(
            f"Not all seeds finished of {_names(incomplete)}: such configurations stand last whatever their mean, and are compared "
            "over the seeds that finished."
        )
    lines += [
        f"Every trial was a process of its own, on {' or '.join(board.places)}, and trained in {' or '.join(board.arithmetic)}. "
        + ("Times and memory of trials in different places cannot be compared. " if len(board.places) > 1 else "")
        + "Training time is the median over seeds and counts validation after each epoch, not start and test; peak memory is the most "
        "that the process (on a GPU, its memory) held up to the end of training; size on disk is that of the trained weights. "
        f"All trials together took {duration(board.wall_seconds)}.",
        f"Machine of the leaderboard: {processor()}, {counted(os.cpu_count() or 1, 'core')}. Made on {setting.created}.",
    ]
    return lines


def _how_seeds_are_tested(board: Leaderboard, spread: SeedNote) -> list[str]:
    """Return sentences on how the p-values over seeds are computed."""
    wider = (
        f" Seeds of {', '.join(repr(printable(label, LONGEST_NAME)) for label in spread.wider)} spread wider "
        "than the others': they are judged by "
        "their own spread alone, so a difference must be larger to be significant."
        if spread.wider
        else ""
    )
    return [
        "Against the best: the difference on the same test rows, with a 95 % interval and a p-value that count "
        "other seeds and other rows. How "
        "seeds spread is pooled over the configurations that agree in it, what rows bring is taken from the "
        "differences row by row, and what "
        "single seeds do on single rows is counted once (two-way analysis of variance; the two parts are joined after Behrens and Fisher).",
        "The best was chosen with the seeds that it is tested with, and seeds that were lucky on validation may be so on test. Of 16 equal "
        "configurations whose seeds are a point apart, one is then named as different in about one leaderboard in ten, not in twenty.",
        f"Between seeds, test accuracy has a pooled standard deviation of {100 * spread.deviation:.2f} points "
        f"({spread.freedom:.0f} degrees of freedom).{wider}",
    ]


def _names(rows: Sequence[LeaderboardRow]) -> str:
    return ", ".join(f"'{printable(row.label, LONGEST_NAME)}'" for row in rows)
