"""A comparison in plain text: what Rich shows of it, in the same order, without Rich."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.words.tables import Verdict, comparison_parts, comparison_text, results_table
from emotune.evaluation.words.texts import Change, TextTable
from emotune.report.tables import comparison_table, render

from ...report.conftest import HOSTILE, make_comparison, make_comparison_without


def words(page: str) -> list[str]:
    """All words in their order; not the lines between headings and cells."""
    return [word for word in page.split() if word.strip("─")]


@pytest.mark.parametrize(
    "comparison",
    [
        make_comparison(),
        replace(make_comparison(), margin=2.0),
        make_comparison_without("love"),
        replace(make_comparison(), seeds=(make_comparison().after, make_comparison(rows=240).after)),
    ],
)
def test_has_the_words_of_the_coloured_page(comparison: Comparison) -> None:
    assert words(comparison_text(comparison)) == words(render(comparison_table(comparison)))
    assert not comparison_text(comparison).endswith("\n")


def test_columns_are_aligned_whatever_the_labels_hold() -> None:
    page = comparison_text(make_comparison(HOSTILE))
    assert all(character.isprintable() or character == "\n" for character in page)
    lines = page.partition("By class\n")[2].partition("\n\n")[0].splitlines()
    assert [line for line in lines if line.startswith("喜び ")]
    columns = {len(line) + line.count("喜") + line.count("び") for line in lines}
    assert columns == {len(lines[1])}


def test_no_line_is_too_long_for_a_page() -> None:
    assert max(map(len, comparison_text(make_comparison()).splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "lower_is_better", "expected"),
    [
        ("+1.0 points", False, True),
        ("-0.1", False, False),
        ("-1.587", True, True),
        ("+0.2", True, False),
        ("+0.0 points", False, None),
        ("none", True, None),
    ],
)
def test_a_change_is_a_gain_by_its_direction(text: str, lower_is_better: bool, expected: bool | None) -> None:
    assert Change(text, lower_is_better).is_gain is expected


def test_a_verdict_comes_last_and_changes_by_class_only_where_asked_for() -> None:
    def titles(parts: Sequence[object]) -> list[str]:
        return [part.title for part in parts if isinstance(part, TextTable)]

    found = make_comparison()
    parts = comparison_parts(found)
    assert isinstance(parts[-1], Verdict)
    assert "Changes by class" not in titles(parts)
    assert titles(comparison_parts(found, changes=True))[-1] == "Changes by class"


@pytest.mark.slow
def test_needs_nothing_of_the_report() -> None:
    script = """
import sys
import numpy as np
from emotune.data.dataset import Split
from emotune.evaluation.compare import compare
from emotune.evaluation.scores import Evaluation, score
split = Split("test", ("a", "b"), np.array([0, 1]), ("x", "y"))
def made(name, ids):
    ids = np.array(ids)
    return Evaluation(name, split, None, None, ids, score(split, ids, None), seconds=0.0)
print(compare(made("one", [0, 0]), made("two", [0, 1])))
assert not [name for name in sys.modules if name.startswith("emotune.report")]
"""
    folders = [str(Path(__file__).parents[3]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}\n{script}"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "'two'" in done.stdout


class TestResults:
    def test_have_every_model_with_its_interval_and_the_leads(self) -> None:
        found = make_comparison()
        comparison = replace(found, before=replace(found.before, is_chance=False))
        table = results_table(comparison)
        models = (comparison.after, *comparison.baselines, comparison.before)
        rows = list(zip(table.rows, models, strict=True))
        for cells, model in rows:
            low, high = proportion_confint(int(model.correct.sum()), len(model.split), method="wilson")
            assert cells[1] == f"{model.metrics.accuracy:.4f}"
            assert cells[2] == f"{low:.4f} to {high:.4f}"
            assert cells[3] == f"{model.metrics.macro_f1:.4f}"
        for cells, model in rows[1:]:
            lead = 100 * (comparison.after.metrics.accuracy - model.metrics.accuracy)
            assert str(cells[4]).startswith(f"{lead:+.1f} (")
        assert rows[0][0][4:] == ("", "")

    def test_show_no_lead_over_chance(self) -> None:
        found = make_comparison()
        comparison = replace(found, before=replace(found.before, is_chance=True))
        cells = results_table(comparison).rows[-1]
        assert str(cells[0]).endswith(", chance")
        assert cells[4:] == ("", "")

    def test_say_where_macro_f1_has_no_interval(self) -> None:
        found = make_comparison_without("love")
        comparison = replace(found, before=replace(found.before, is_chance=False))
        assert comparison.statistics.macro_f1 is None
        assert results_table(comparison).rows[-1][5] == "no interval"
