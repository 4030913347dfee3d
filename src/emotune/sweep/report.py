"""The leaderboard of a sweep for people: in the terminal, as a page, as Markdown; and as JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.report.formats import (
    LONGEST_NAME,
    duration,
    interval_bounds,
    magnitude,
    memory,
    p_number,
    p_value,
    percent,
    points_number,
    share,
)
from emotune.report.margin import in_points
from emotune.system.text import printable
from emotune.system.wording import counted

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from emotune.evaluation.differences import Claim, Difference
    from emotune.statistics.paired import Interval
    from emotune.sweep.leaderboard import Leaderboard, Row, SeedNote, Spread
    from emotune.sweep.plan import Plan

_TEMPLATE = Path(__file__).with_name("leaderboard.html.jinja")
SCORES = (
    "configuration",
    "seeds",
    "validation macro-F1",
    "test accuracy",
    "test macro-F1",
    "accuracy against the best, in points",
    "p, corrected",
    "macro-F1 against the best, in points",
    "p, corrected",
)
FULL = (
    "configuration",
    "accuracy above full fine-tuning, in points",
    "p, corrected",
    "macro-F1 above full fine-tuning, in points",
    "p, corrected",
    "rows fixed",
    "rows broken",
)
COSTS = ("configuration", "trained parameters", "share of all", "training time", "peak memory", "size on disk")


@dataclass(frozen=True)
class Setting:
    """What a leaderboard was made from and where.

    Attributes:
        data: The data set's name.
        rows: Rows of its splits, by name.
        created: When the leaderboard was made.
    """

    data: str
    rows: dict[str, int]
    created: str


def leaderboard_table(board: Leaderboard) -> Group:
    """The leaderboard for the terminal."""
    from rich.text import Text

    from emotune.report.tables import new_table, stacked

    scores = new_table(
        ("configuration", "macro-F1 (val.)", "test accuracy", "against 1 (p)", "test macro-F1", "against 1 (p)"),
        title="Scores, the best on validation first",
    )
    costs = new_table(
        ("configuration", "trained", "of all", "training", "peak memory", "on disk"),
        title="Costs: parameters, time, memory",
    )
    for row in board.rows:
        name = Text(f"{row.rank}. {printable(row.label, LONGEST_NAME)}")
        _, _, validation, accuracy, macro_f1, *_ = score_cells(row)
        found = row.against_best
        against = (
            ("", "")
            if found is None
            else (
                _against(found.accuracy, found.adjusted_p),
                _against(found.macro_f1, found.macro_f1_adjusted_p),
            )
        )
        scores.add_row(name, validation, accuracy, against[0], macro_f1, against[1])
        costs.add_row(name, *cost_cells(row)[1:])
    parts: list[RenderableType] = [
        scores,
        Text(
            "Against 1: the difference on the test rows, in points; p is corrected for the number of comparisons (Holm)."
        ),
        *(Text(note) for note in notes(board)),
    ]
    beside = margin_table(board)
    if beside.rows:
        claims = new_table(("configuration", *beside.headings[1:]), title=beside.title)
        for first, *rest in beside.rows:
            claims.add_row(Text(printable(first, LONGEST_NAME)), *rest)
        parts += [claims, Text(beside.note)]
    parts.append(costs)
    parts += [Text(f"Failed: {printable(name)}: {printable(reason)}") for name, reason in board.failures.items()]
    parts += [Text(f"Warning: {printable(line)}") for line in warning_lines(board)]
    return stacked([*parts, *map(Text, margin_lines(board)), Text(verdict(board), style="bold")])


@dataclass(frozen=True)
class Table:
    """A table that not every leaderboard has.

    Attributes:
        title: Its heading.
        headings: Of its columns.
        rows: The cells; none where there is nothing to show.
        note: How to read it.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


_FLIPS = "Rows fixed: most of the configuration's seeds get them right, and not most of full fine-tuning's; broken: the other way round."


def full_table(board: Leaderboard) -> Table:
    """Every configuration beside full fine-tuning of its base model."""
    found = [(row, row.against_full) for row in board.rows if row.against_full is not None]
    rows = tuple(
        (
            row.label,
            _difference(full.accuracy),
            _bare_p(full.adjusted_p),
            _maybe_difference(full.macro_f1),
            _bare_p(full.macro_f1_adjusted_p),
            f"{full.fixed:,}",
            f"{full.broken:,}",
        )
        for row, full in found
    )
    note = f"{_FLIPS} The p-values are corrected for {counted(len(rows), 'comparison')} (Holm), the intervals are not."
    return Table("Beside full fine-tuning", FULL, rows, note)


def margin_table(board: Leaderboard) -> Table:
    """Which configurations are not worse than the best, and than full fine-tuning, by more than the margin."""
    if board.margin is None:
        return Table("", (), (), "")
    points = in_points(board.margin)
    full = any(row.against_full is not None for row in board.rows)
    headings = ("configuration", "not worse than the best, p", *(_FULL_CLAIMS if full else ()))
    rows = []
    for row in board.rows:
        found = (row.against_best, row.against_full)
        if found == (None, None):
            continue
        claims = [_claim(_not_worse(found[0]))]
        if full:
            claims += [_claim(_not_worse(found[1])), _claim(_alike(found[1]))]
        rows.append((row.label, *claims))
    note = (
        f"A small p says that a configuration's accuracy is not {points} or more below the other's"
        + (", or, of equivalence, that the two differ by less than that either way" if full else "")
        + "; each column is corrected for its number of claims (Holm)."
    )
    return Table(f"Margin: {points}", headings, tuple(rows), note)


_FULL_CLAIMS = ("not worse than full fine-tuning, p", "equivalent to full fine-tuning, p")


def _not_worse(found: Difference | None) -> Claim | None:
    return None if found is None else found.not_worse


def _alike(found: Difference | None) -> Claim | None:
    return None if found is None else found.alike


def _claim(found: Claim | None) -> str:
    return "" if found is None else _bare_p(found.adjusted_p)


def _bare_p(value: float | None) -> str:
    return "" if value is None else p_number(value)


def _against(interval: Interval | None, p: float | None) -> str:
    return "" if interval is None else f"{points_number(interval.estimate)} ({_bare_p(p)})"


def _maybe_difference(interval: Interval | None) -> str:
    return "" if interval is None else _difference(interval)


def margin_lines(board: Leaderboard) -> list[str]:
    """What the margin's tests say, a sentence for each claim: "Not worse than the best by more than 1 point: 'LoRA' (p = 0.010)."."""
    if board.margin is None:
        return []
    points, others = in_points(board.margin), [row for row in board.rows if row.against_best is not None]
    full = [row for row in board.rows if row.against_full is not None]
    lines = []
    if others:
        claims = [(row, _not_worse(row.against_best)) for row in others]
        lines.append(_claim_line(f"Not worse than the best by more than {points}", claims))
    if full:
        claims = [(row, _not_worse(row.against_full)) for row in full]
        lines.append(_claim_line(f"Not worse than full fine-tuning by more than {points}", claims))
        claims = [(row, _alike(row.against_full)) for row in full]
        lines.append(_claim_line(f"Equivalent to full fine-tuning in accuracy, within {points}", claims))
    return lines


def _claim_line(what: str, claims: Sequence[tuple[Row, Claim | None]]) -> str:
    from emotune.statistics.paired import LEVEL

    held = [
        f"'{printable(row.label, LONGEST_NAME)}' ({p_value(claim.adjusted_p)})"
        for row, claim in claims
        if claim is not None and claim.adjusted_p < 1 - LEVEL
    ]
    if not held:
        return f"{what}: these seeds and test rows show it of no configuration."
    rest = " It is not shown of the others, which does not make them worse." if len(held) < len(claims) else ""
    return f"{what}: {', '.join(held)}.{rest}"


def notes(board: Leaderboard) -> list[str]:
    """What a reader of the scores must know: the winner's validation score is too high, what one seed hides, what would be found."""
    if len(board.rows) < 2:
        return []
    lines = []
    if board.one_seed:
        lines.append(
            f"One seed each: another seed gives another model, and no p-value here counts that. {ONE_SEED} Train "
            "at least three seeds each, as is "
            "the default."
        )
    if board.spread is not None and board.power is not None:
        power, seeds = board.power, counted(len(board.rows[0].seeds), "seed")
        also = (
            f", and one of {100 * power.corrected:.1f} points once corrected for {power.comparisons} comparisons"
            if power.comparisons > 1 and power.corrected < 1
            else ""
        )
        rows = counted(board.test_rows, "test row")
        lines.append(
            f"With {seeds} and {rows} a difference in accuracy of {100 * power.alone:.1f} points from the best "
            f"would be found about four times out of five{also}; a smaller one less often."
            if power.alone < 1
            else f"With {seeds} and {rows} no difference from the best would be found four times out of five, however large it is: "
            "train more seeds, or score more rows."
        )
    lines.append(_excess_line(board))
    return lines


# By benchmarks/seed_tests.py; its results are in benchmarks/results/seed_tests.json.
ONE_SEED = (
    "In a simulation of 16 equal configurations on 2,000 test rows, with seeds 0.5 points apart, about half of "
    "the leaderboards named at least one "
    "as worse."
)


def _excess_line(board: Leaderboard) -> str:
    """How much too high the winner's validation score is."""
    name = printable(board.rows[0].label, LONGEST_NAME)
    chosen = f"'{name}' was chosen by its validation score"
    test = "Nothing was chosen by the test scores, but the luck of a seed can raise both."
    excess = board.excess
    if excess is None:
        return f"{chosen}, which is therefore too high. {test}"
    if excess.alike < 2:
        return f"{chosen}; no other comes near, so that score is hardly too high. {test}"
    without_seeds = "" if excess.counts_seeds else ", other seeds not counted"
    return (
        f"{chosen}, which is therefore too high: by about {100 * excess.excess:.1f} points of macro-F1 if the {excess.alike} "
        f"configurations that validation cannot tell apart are equally good, by less if they are not{without_seeds}. {test}"
    )


def warning_lines(board: Leaderboard) -> list[str]:
    """What trainings warned of: "LoRA: the learning rate ..."."""
    return [f"{label}: {warning}" for label, found in board.warnings.items() for warning in found]


def score_cells(row: Row) -> tuple[str, ...]:
    """The cells of a row under `SCORES`."""
    found = row.against_best
    return (
        row.label,
        f"{len(row.seeds)}" + (f" of {len(row.seeds) + len(row.missing)}" if row.missing else ""),
        spread(row.validation_macro_f1),
        spread(row.test_accuracy),
        spread(row.test_macro_f1),
        "" if found is None else _difference(found.accuracy),
        "" if found is None else _bare_p(found.adjusted_p),
        "" if found is None else _maybe_difference(found.macro_f1),
        "" if found is None else _bare_p(found.macro_f1_adjusted_p),
    )


def cost_cells(row: Row) -> tuple[str, ...]:
    """The cells of a row under `COSTS`."""
    return (
        row.label,
        magnitude(row.trainable),
        percent(row.trainable, row.total),
        duration(row.seconds.median),
        memory(row.peak_memory),
        disk(row.size),
    )


def spread(found: Spread) -> str:
    """A score over seeds: "0.9307 ± 0.0056", or without the second part where there is one seed."""
    deviation = found.deviation
    return share(found.mean) if deviation is None else f"{share(found.mean)} ± {share(deviation)}"


def disk(size: int) -> str:
    """A size on disk: "41 kB", "2.7 MB"."""
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def _difference(interval: Interval) -> str:
    return f"{points_number(interval.estimate)} ({interval_bounds(interval)})"


def verdict(board: Leaderboard) -> str:
    """Say what the leaderboard comes to: the best by validation, and which others differ from it on the test rows, in which score."""
    first, others = board.rows[0], board.rows[1:]
    name = printable(first.label, LONGEST_NAME)
    sentence = (
        f"Best on validation: '{name}', macro-F1 {spread(first.validation_macro_f1)}; on the test split accuracy "
        f"{spread(first.test_accuracy)}, macro-F1 {spread(first.test_macro_f1)}."
    )
    compared = [row for row in others if row.against_best is not None]
    if not compared:
        return sentence
    seeds, rows = counted(len(first.seeds), "seed"), counted(board.test_rows, "test row")
    comparisons = counted(len(compared), "comparison")
    groups: dict[str, list[Row]] = {}
    for row in compared:
        groups.setdefault(_relation(row), []).append(row)
    said = {
        _BETTER: f"Better than '{name}' on the test rows, though validation, which decides, put it first",
        _WORSE: f"Worse than '{name}'",
        _MIXED: f"Better than '{name}' in one score and worse in the other",
        _BEFORE_CORRECTION: f"Different from '{name}' before the correction for {comparisons}, not after it",
        _ALIKE: f"No evidence of a difference from '{name}' in either score, with {seeds} and {rows}",
    }
    parts = [f"{said[one]}: {', '.join(map(_with_scores, groups[one]))}." for one in said if one in groups]
    return " ".join([sentence, *parts])


_BETTER, _WORSE, _MIXED, _BEFORE_CORRECTION, _ALIKE = "better", "worse", "mixed", "before correction", "alike"


def _relation(row: Row) -> str:
    """In which way a configuration differs from the best, by both scores."""
    directions = {direction for _, direction in _directions(row) if direction}
    if len(directions) == 2:
        return _MIXED
    if directions:
        return _BETTER if 1 in directions else _WORSE
    return _BEFORE_CORRECTION if any(direction for _, direction in _directions(row, corrected=False)) else _ALIKE


def _directions(row: Row, *, corrected: bool = True) -> list[tuple[str, int]]:
    """Of accuracy and macro-F1: 1 where it is significantly better than that of the best, -1 where worse, 0 where neither."""
    from emotune.statistics.paired import LEVEL

    found = row.against_best
    if found is None:
        return []
    scores = [("accuracy", found.accuracy, found.adjusted_p if corrected else found.p_value)]
    if found.macro_f1 is not None and found.macro_f1_p is not None and found.macro_f1_adjusted_p is not None:
        scores.append(("macro-F1", found.macro_f1, found.macro_f1_adjusted_p if corrected else found.macro_f1_p))
    return [(score, int(np.sign(interval.estimate)) if p < 1 - LEVEL else 0) for score, interval, p in scores]


def _with_scores(row: Row) -> str:
    """The quoted name, and the score that differs where only one of two does: "'IA3' (macro-F1)"."""
    name = f"'{printable(row.label, LONGEST_NAME)}'"
    found = _directions(row) if _relation(row) != _BEFORE_CORRECTION else _directions(row, corrected=False)
    differing = [score for score, direction in found if direction]
    return f"{name} ({differing[0]})" if len(differing) == 1 < len(found) else name


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(f"'{printable(row.label, LONGEST_NAME)}'" for row in rows)


def protocol(plan: Plan, board: Leaderboard, setting: Setting) -> list[str]:
    """How the figures were made, a sentence each."""
    from emotune.sweep.leaderboard import model_name
    from emotune.system.machine import processor
    from emotune.training.options import usual_epochs

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
    """What the p-values over seeds are made of."""
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


def render_leaderboard(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """The page `leaderboard.html`."""
    from emotune.folder.artifact import versions
    from emotune.report.html import render_page
    from emotune.settings.portable import command

    numbered = [f"{row.rank}. {row.label}" for row in board.rows]
    return render_page(
        _TEMPLATE,
        title=f"{counted(len(board.rows), 'configuration')} on {setting.data}",
        subtitle=f"Made with emotune on {setting.created}.",
        verdict=verdict(board),
        margins=margin_lines(board),
        notes=notes(board),
        tables=[table for table in (margin_table(board), full_table(board)) if table.rows],
        scores={
            "headings": SCORES,
            "rows": [(name, *score_cells(row)[1:]) for name, row in zip(numbered, board.rows, strict=True)],
        },
        costs={
            "headings": COSTS,
            "rows": [(name, *cost_cells(row)[1:]) for name, row in zip(numbered, board.rows, strict=True)],
        },
        charts=_charts(board.rows),
        failures=list(board.failures.items()),
        warnings=warning_lines(board),
        protocol=protocol(plan, board, setting),
        command=command(),
        versions=", ".join(f"{name} {version}" for name, version in versions().items()),
    )


def _charts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Macro-F1 on validation against what it costs."""
    return [
        _chart(rows, [row.seconds.median for row in rows], "training time", "seconds", lambda value: f"{value:g}"),
        _chart(
            rows,
            [float(row.trainable) for row in rows],
            "trained parameters",
            "parameters",
            lambda value: magnitude(round(value)),
        ),
    ]


def _chart(rows: Sequence[Row], costs: Sequence[float], what: str, unit: str, number: Any) -> dict[str, Any]:
    from emotune.report.drawing import inline_svg
    from emotune.report.scatter import Point, draw_scatter, far_below
    from emotune.sweep.leaderboard import pareto_front

    scores = [row.validation_macro_f1.mean for row in rows]
    front = pareto_front(list(zip(costs, scores, strict=True)))
    points = [
        Point(max(cost, 1e-3), score, f"{row.rank}", f"{row.label}: macro-F1 {share(score)}, {number(cost)} {unit}")
        for row, cost, score in zip(rows, costs, scores, strict=True)
    ]
    unbeaten = "; ".join(points[i].name for i in front)
    below = [f"{rows[i].rank} ({share(scores[i])})" for i in far_below(scores)]
    note = f" Far below the others, at the edge: {', '.join(below)}." if below else ""
    return {
        "svg": inline_svg(
            draw_scatter(
                points,
                front,
                x_label=f"{what}, {unit}" if unit not in what else what,
                y_label="macro-F1 on validation",
                x_number=number,
            ),
            title=f"Macro-F1 on validation by {what}",
            description=f"Not beaten at once in score and in {what}: {unbeaten}.",
        ),
        "caption": f"Macro-F1 on validation by {what}, on a logarithmic axis.{note}",
    }


def leaderboard_markdown(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """The leaderboard as Markdown: scores, the verdict, costs, what failed, and the protocol."""
    lines = [
        *_markdown_table(("#", *SCORES), [(f"{row.rank}", *score_cells(row)) for row in board.rows]),
        "",
        *(f"{_markdown(line)}\n" for line in (verdict(board), *margin_lines(board), *notes(board))),
        *(line for table in (margin_table(board), full_table(board)) if table.rows for line in _markdown_part(table)),
        *_markdown_table(("#", *COSTS), [(f"{row.rank}", *cost_cells(row)) for row in board.rows]),
        "",
        *(f"- Failed: {_markdown(name)}: {_markdown(reason)}" for name, reason in board.failures.items()),
        *(f"- Warning: {_markdown(line)}" for line in warning_lines(board)),
        *([""] if board.failures or board.warnings else []),
        "Protocol:",
        "",
        *(f"- {_markdown(line)}" for line in protocol(plan, board, setting)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_part(table: Table) -> list[str]:
    """A table that not every leaderboard has, with its heading and note."""
    return [f"{table.title}:", "", *_markdown_table(table.headings, table.rows), "", _markdown(table.note), ""]


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [
        f"| {' | '.join(headings)} |",
        f"|{'---|' * len(headings)}",
        *(f"| {' | '.join(map(_markdown, cells))} |" for cells in rows),
    ]


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in printable(text))


def leaderboard_json(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """Everything of the leaderboard, for programs."""
    from emotune.folder.artifact import versions
    from emotune.settings import portable

    content = {
        "data": asdict(setting),
        "places": list(board.places),
        "arithmetic": list(board.arithmetic),
        "command": portable.command(),
        "seeds": list(plan.seeds),
        "searched": plan.searched,
        "best": {"trial": board.best.trial.key, "configuration": portable.configuration(board.best.trial.config)},
        "rows": [
            {
                **asdict(row),
                "config": portable.configuration(row.config),
                "validation_macro_f1": _figures(row.validation_macro_f1),
                "test_accuracy": _figures(row.test_accuracy),
                "test_macro_f1": _figures(row.test_macro_f1),
                "seconds": _figures(row.seconds),
                "trainable_share": row.trainable_share,
            }
            for row in board.rows
        ],
        "failures": dict(board.failures),
        "warnings": {label: list(found) for label, found in board.warnings.items()},
        "margin": board.margin,
        "seed_spread": None if board.spread is None else asdict(board.spread),
        "power": None if board.power is None else asdict(board.power),
        "winners_excess": None if board.excess is None else asdict(board.excess),
        "verdict": verdict(board),
        "margins": margin_lines(board),
        "notes": notes(board),
        "protocol": protocol(plan, board, setting),
        "versions": versions(),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _figures(found: Spread) -> dict[str, Any]:
    return {"values": list(found.values), "mean": found.mean, "standard_deviation": found.deviation}
