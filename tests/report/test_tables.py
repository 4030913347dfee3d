"""The tables: right numbers under the right names, in narrow and wide terminals, whatever the labels hold."""

from __future__ import annotations

import dataclasses
import re

import pytest
from rich.cells import cell_len

from emotune.data.dataset import TextDataset
from emotune.evaluation.comparison import Comparison
from emotune.folder.record import TrainingRecord
from emotune.report.tables import (
    comparison_table,
    cost_table,
    data_table,
    evaluation_table,
    ranking_table,
    render,
    scores_line,
)

from .conftest import (
    EMOTIONS,
    HOSTILE,
    UNTRAINED,
    make_comparison,
    make_comparison_without,
    make_evaluation,
    make_record,
    make_split,
)

WIDTHS = (60, 120)


def row(page: str, name: str) -> list[str]:
    """The cells of the row that begins with a name; cells stand at least two spaces apart."""
    (line,) = (line for line in page.splitlines() if re.match(rf"{re.escape(name)}(\s{{2,}}|$)", line))
    return re.split(r"\s{2,}", line)[1:]


@pytest.mark.parametrize("width", WIDTHS)
def test_overall_scores_stand_side_by_side(comparison: Comparison, width: int) -> None:
    page = render(comparison_table(comparison), width)
    before, after = comparison.before.metrics, comparison.after.metrics
    for name, old, new in (
        ("accuracy", before.accuracy, after.accuracy),
        ("macro precision", before.macro_precision, after.macro_precision),
        ("macro recall", before.macro_recall, after.macro_recall),
        ("macro-F1", before.macro_f1, after.macro_f1),
        ("weighted precision", before.weighted_precision, after.weighted_precision),
        ("weighted recall", before.weighted_recall, after.weighted_recall),
        ("weighted-F1", before.weighted_f1, after.weighted_f1),
    ):
        assert row(page, name) == [f"{old:.4f}", f"{new:.4f}", f"{100 * (new - old):+.1f} points"]
    (loss,) = (line for line in page.splitlines() if line.startswith("loss (cross-entropy)"))
    assert before.loss is not None
    assert after.loss is not None
    assert loss.split()[-3:] == [f"{before.loss:.3f}", f"{after.loss:.3f}", f"{after.loss - before.loss:+.3f}"]
    assert "lower is better" in page


@pytest.mark.parametrize("width", WIDTHS)
def test_classes_baselines_and_changed_rows(comparison: Comparison, width: int) -> None:
    page = render(comparison_table(comparison), width)
    old, new = (evaluation.metrics.per_class["anger"] for evaluation in (comparison.before, comparison.after))
    lines = page.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("anger"))
    assert lines[at].split() == (
        f"anger {old.support} before [1] {old.precision:.4f} {old.recall:.4f} {old.f1:.4f}".split()
    )
    assert lines[at + 1].split() == f"after {new.precision:.4f} {new.recall:.4f} {new.f1:.4f}".split()

    majority = comparison.baselines[0].metrics
    lead = comparison.after.metrics.accuracy - majority.accuracy
    assert row(page, "majority class") == [
        f"{majority.accuracy:.4f}",
        f"{majority.macro_f1:.4f}",
        f"{100 * lead:+.1f}",
        "1.5 s",
    ]
    right_before = comparison.before.predictions == comparison.before.split.label_ids
    right_after = comparison.after.predictions == comparison.after.split.label_ids
    words = " ".join(page.split())
    assert f"{(~right_before & right_after).sum()} rows fixed" in words
    assert f"{(right_before & ~right_after).sum()} rows broken" in words


def test_an_untrained_head_carries_its_note(comparison: Comparison) -> None:
    page = render(comparison_table(comparison))
    assert "before [1]" in page
    assert f"[1] {UNTRAINED}" in page
    assert "after [" not in page
    alone = render(evaluation_table(comparison.before))
    assert "base (untrained head) [1]" in alone
    assert f"[1] {UNTRAINED}" in alone
    assert UNTRAINED in scores_line(comparison.before)


def test_without_notes_or_baselines_nothing_is_said_of_them(comparison: Comparison) -> None:
    page = render(comparison_table(Comparison(comparison.after, comparison.after)))
    assert "[1]" not in page
    assert "Baselines" not in page
    assert row(page, "accuracy")[-1] == "+0.0 points"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_over_the_edge_and_numbers_stay_whole(width: int) -> None:
    comparison = make_comparison(HOSTILE)
    page = render(comparison_table(comparison), width)
    assert max(map(cell_len, page.splitlines())) <= width
    for found in comparison.after.metrics.per_class.values():
        assert f"{found.f1:.4f}" in page


def test_labels_are_neither_markup_nor_control_codes() -> None:
    split = make_split(HOSTILE)
    page = render(
        evaluation_table(make_evaluation(split, name="[blink]name[/blink]\x1b[31m", note="[red]note[/red]")), 200
    )
    for shown in (
        "[bold red]joy[/]",
        "esc\\x1b[2Jape",
        "two\\nlines",
        "\\u202egnihton",
        "\\ud800",
        ":smile:",
        "喜び",
        "[blink]name[/blink]\\x1b[31m",
        "[red]note[/red]",
    ):
        assert shown in page
    assert all(character.isprintable() or character == "\n" for character in page)


@pytest.mark.parametrize("absent", ["love", None])
def test_a_class_without_rows_is_named_once_a_page(comparison: Comparison, absent: str | None) -> None:
    found = comparison if absent is None else make_comparison_without(absent)
    pages = [evaluation_table(found.after), comparison_table(found), ranking_table([found, found], ["", ""])]
    for page in pages:
        words = " ".join(render(page).split())
        assert words.count("No row that was scored is labelled 'love': macro") == (absent is not None)
        assert words.count("No row that was scored") == (absent is not None)


def test_colour_is_escape_codes_around_the_same_text(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = render(comparison_table(comparison))
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert render(comparison_table(comparison)) == plain
    coloured = render(comparison_table(comparison), color=True)
    assert "\x1b[32m" in coloured  # green: the tuned model is better
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_a_loss_that_falls_is_a_gain(comparison: Comparison) -> None:
    def loss_line(coloured: str) -> str:
        return next(line for line in coloured.splitlines() if "loss (cross-entropy)" in line)

    better = render(comparison_table(Comparison(comparison.before, comparison.after)), color=True)
    worse = render(comparison_table(Comparison(comparison.after, comparison.before)), color=True)
    assert re.search(r"\x1b\[32m *-", loss_line(better))
    assert re.search(r"\x1b\[31m *\+", loss_line(worse))


def test_models_without_probabilities_have_no_loss() -> None:
    split = make_split()
    majority = make_evaluation(split, name="majority", probabilities=False)
    page = render(comparison_table(Comparison(majority, make_evaluation(split))))
    (loss,) = (line for line in page.splitlines() if line.startswith("loss"))
    assert loss.split()[-3] == loss.split()[-1] == "none"
    assert "loss" not in scores_line(majority)


def test_scores_line() -> None:
    evaluation = make_evaluation(make_split(rows=2000))
    metrics = dataclasses.replace(evaluation.metrics, accuracy=0.929, macro_f1=0.88614, loss=0.21449)
    evaluation = dataclasses.replace(evaluation, metrics=metrics)
    assert scores_line(evaluation) == "accuracy 0.9290, macro-F1 0.8861, loss 0.214 on 2,000 rows of test"


@pytest.mark.parametrize("width", WIDTHS)
def test_data_table_counts_rows_by_class_and_split(dataset: TextDataset, width: int) -> None:
    page = render(data_table(dataset), width)
    assert "owner/emotions" in page
    assert re.split(r"\s{2,}", page.splitlines()[1]) == ["class", "train", "validation", "test"]
    for number, label in enumerate(EMOTIONS):
        assert row(page, label) == [f"{(split.label_ids == number).sum():,}" for split in dataset.splits]
    assert row(page, "all") == ["1,200", "60", "60"]


@pytest.mark.parametrize("width", WIDTHS)
def test_cost_table(record: TrainingRecord, width: int) -> None:
    page = render(cost_table(record), width)
    assert row(page, "trained parameters") == ["690,438 of 23,406,348 (2.95 %)"]
    assert row(page, "peak memory") == ["1.42 GiB"]
    assert row(page, "time")[0].startswith("4 min 31 s")
    assert row(page, "speed")[0].startswith("253.2 examples/s")
    assert row(page, "epochs") == ["4; the best is number 3"]
    assert "stopped early" in render(cost_table(make_record(2, stopped_early=True)), width)
