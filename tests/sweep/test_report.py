"""The leaderboard as table, page, Markdown and JSON: the right numbers under the right headings, and nothing from outside obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emotune.evaluation.differences import Claim, Difference, Power
from emotune.evaluation.seeds import WinnersExcess
from emotune.report.tables import render
from emotune.settings.layers import Override
from emotune.statistics.paired import Interval
from emotune.sweep.leaderboard import Leaderboard, Row, SeedNote, Spread
from emotune.sweep.plan import Plan
from emotune.sweep.report import (
    Setting,
    disk,
    full_table,
    leaderboard_json,
    leaderboard_markdown,
    leaderboard_table,
    margin_lines,
    margin_table,
    notes,
    protocol,
    render_leaderboard,
    verdict,
)
from emotune.sweep.settings import load_plan

from ..facts import one_states, states
from ..report.conftest import HOSTILE

SETTING = Setting("emotion", {"train": 16000, "validation": 2000, "test": 2000}, "2026-11-23")


def row(rank: int, label: str, score: float, p: float | None = None, gain: float = -0.02, **changes: Any) -> Row:
    difference = None
    if p is not None:
        difference = Difference(
            2, Interval(gain, gain - 0.01, gain + 0.01), Interval(-0.01, -0.02, 0.0), p / 2, p, 0.2, 0.4, 12, 52
        )
    made = Row(
        rank=rank,
        label=label,
        model="bundled:minilm",
        config=load_plan().candidates[0].config,
        seeds=(0, 1),
        missing=(),
        validation_macro_f1=Spread((score, score + 0.01)),
        test_accuracy=Spread((0.91, 0.93)),
        test_macro_f1=Spread((0.88, 0.89)),
        trainable=148_000 * rank,
        total=22_700_000,
        seconds=Spread((100.0 / rank, 110.0 / rank)),
        peak_memory=1_500_000_000,
        size=2_700_000,
        against_best=difference,
    )
    return replace(made, **changes)


def board(*rows: Row, failures: dict[str, str] | None = None, **changes: Any) -> Leaderboard:
    config = load_plan().candidates[0].trial(0)
    made = Leaderboard(
        rows=rows,
        best=cast(Any, SimpleNamespace(trial=config)),
        failures=failures or {},
        warnings={},
        places=("this machine, 1 at a time",),
        arithmetic=("bf16 on cpu",),
        test_rows=2000,
        largest_logit_difference=3e-6,
        wall_seconds=5400.0,
        spread=SeedNote(0.0063, 30.2, ()),
        power=Power(0.0121, 0.0162, 2),
        excess=WinnersExcess(4, 0.0052, True),
    )
    return replace(made, **changes)


@pytest.fixture
def plan() -> Plan:
    return load_plan(overrides=["training.seeds=2"], sweep=[Override("methods", ["lora", "full"], "test")])


THREE = (row(1, "LoRA", 0.89), row(2, "full", 0.88, 0.3), row(3, "BitFit", 0.80, 0.0004))


def test_table_fits_a_plain_page() -> None:
    shown = render(leaderboard_table(board(*THREE, failures={"x, seed 0": "no memory left"})))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in shown
    assert any(
        re.match(
            r"2\. full +0\.8850 ± 0\.0071 +0\.9200 ± 0\.0141 +-2\.0 \(0\.300\) +0\.8850 ± 0\.0071 +-1\.0 \(0\.400\)",
            line,
        )
        for line in lines
    )
    assert any(re.match(r"3\. BitFit .* -2\.0 \(< 0\.001\)", line) for line in lines)
    assert any(re.match(r"1\. LoRA +148 k +0\.65 % +1 min 45 s +1\.40 GiB +2\.7 MB", line) for line in lines)
    assert "Failed: x, seed 0: no memory left" in shown


def test_verdict_names_what_the_test_rows_can_tell_apart() -> None:
    found = verdict(board(*THREE, row(4, "odd", 0.7, 0.01, gain=0.03), row(5, "IA3", 0.7, 0.06)))
    assert found.startswith(
        "Best on validation: 'LoRA', macro-F1 0.8950 ± 0.0071; on the test split accuracy 0.9200 ± 0.0141"
    )
    assert "Worse than 'LoRA': 'BitFit' (accuracy)." in found
    lines = re.split(r"(?<=\.) ", found)
    assert one_states(lines, "Different from 'LoRA' before", "4 comparisons", "not after", "'IA3' (accuracy)")
    assert one_states(lines, "No evidence", "from 'LoRA'", "2 seeds", "2,000 test rows", "'full'")
    assert (
        "Better than 'LoRA' on the test rows, though validation, which decides, put it first: 'odd' (accuracy)."
        in found
    )
    assert verdict(board(THREE[0])).endswith("macro-F1 0.8850 ± 0.0071.")


def test_verdict_counts_macro_f1_as_well() -> None:
    """The order is by macro-F1, so a difference in it alone is one."""

    def by_macro_f1(rank: int, name: str, gain: float, accuracy_p: float = 0.4) -> Row:
        interval = Interval(gain, gain - 0.01, gain + 0.01)
        found = Difference(2, Interval(-0.001, -0.01, 0.01), interval, accuracy_p, accuracy_p, 0.001, 0.001)
        return replace(row(rank, name, 0.8, 0.4), against_best=found)

    found = verdict(board(THREE[0], by_macro_f1(2, "IA3", -0.05), by_macro_f1(3, "DoRA", 0.05, 0.01)))
    assert "Worse than 'LoRA': 'IA3' (macro-F1)." in found
    assert "Better than 'LoRA' in one score and worse in the other: 'DoRA'." in found
    assert "No evidence" not in found


MARGIN = (
    row(
        1,
        "LoRA",
        0.89,
        against_full=Difference(
            2, Interval(0.01, 0.0, 0.02), None, 0.1, 0.1, None, None, 40, 20, Claim(0.001, 0.002), Claim(0.3, 0.5)
        ),
    ),
    replace(
        row(2, "full", 0.88, 0.3),
        against_best=Difference(
            2, Interval(-0.01, -0.02, 0.0), None, 0.1, 0.1, None, None, 20, 40, Claim(0.2, 0.2), Claim(0.3, 0.3)
        ),
    ),
    replace(
        row(3, "DoRA", 0.87, 0.3),
        against_best=Difference(
            2, Interval(-0.001, -0.002, 0.0), None, 0.9, 1.0, None, None, 5, 6, Claim(0.01, 0.02), Claim(0.02, 0.04)
        ),
    ),
)


def test_margins_are_claimed_where_their_p_is_small_and_of_nothing_else() -> None:
    claimed = board(*MARGIN, margin=1.0)
    assert margin_lines(claimed) == [
        "Not worse than the best by more than 1 point: 'DoRA' (p = 0.020). It is not shown of the others, "
        "which does not make them worse.",
        "Not worse than full fine-tuning by more than 1 point: 'LoRA' (p = 0.002).",
        "Equivalent to full fine-tuning in accuracy, within 1 point: these seeds and test rows show it of no configuration.",
    ]
    assert margin_lines(board(*MARGIN)) == []
    assert margin_table(board(*MARGIN)).rows == ()
    table = margin_table(claimed)
    assert table.headings == (
        "configuration",
        "not worse than the best, p",
        "not worse than full fine-tuning, p",
        "equivalent to full fine-tuning, p",
    )
    assert table.rows == (("LoRA", "", "0.002", "0.500"), ("full", "0.200", "", ""), ("DoRA", "0.020", "", ""))
    assert full_table(claimed).rows == (("LoRA", "+1.0 (+0.0 to +2.0)", "0.100", "", "", "40", "20"),)
    lines = render(leaderboard_table(claimed)).splitlines()
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("margin", [None, 2.5])
def test_margins_and_notes_stand_in_every_form(plan: Plan, margin: float | None) -> None:
    claimed = board(*MARGIN, margin=margin)
    page = Cells()
    page.feed(render_leaderboard(plan, claimed, SETTING))
    text = leaderboard_markdown(plan, claimed, SETTING)
    found = json.loads(leaderboard_json(plan, claimed, SETTING))
    for shown in (
        " ".join(page.words),
        text,
        json.dumps(found),
        re.sub(r"\s+", " ", render(leaderboard_table(claimed))),
    ):
        assert "four times out of five" in shown
        assert "too high: by about 0.5 points" in shown
        assert ("by more than 2.5 points" in shown) == (margin is not None)
    assert "| LoRA | +1.0 (+0.0 to +2.0) | 0.100 |  |  | 40 | 20 |" in text
    assert ["LoRA", "+1.0 (+0.0 to +2.0)", "0.100", "", "", "40", "20"] in page.rows
    assert found["margin"] == margin
    assert found["rows"][0]["against_full"]["fixed"] == 40
    assert found["seed_spread"]["deviation"] == 0.0063
    assert found["winners_excess"] == {"alike": 4, "excess": 0.0052, "counts_seeds": True}


def test_the_winners_score_is_said_to_be_too_high() -> None:
    said = " ".join(notes(board(*THREE)))
    assert (
        "'LoRA' was chosen by its validation score, which is therefore too high: by about 0.5 points of macro-F1"
        in said
    )
    assert "if the 4 configurations that validation cannot tell apart are equally good" in said
    assert "Nothing was chosen by the test scores" in said
    alone = " ".join(notes(board(*THREE, excess=WinnersExcess(1, 0.0, True))))
    assert "no other comes near, so that score is hardly too high." in alone
    unknown = " ".join(notes(board(*THREE, excess=None)))
    assert "which is therefore too high. Nothing was chosen" in unknown
    assert notes(board(THREE[0])) == []


def test_power_is_said() -> None:
    said = " ".join(notes(board(*THREE)))
    assert states(said, "2 seeds and 2,000 test rows", "accuracy of 1.2 points", "four times out of five")
    assert states(said, "1.6 points once corrected for 2 comparisons")


def test_one_seed_is_warned_of_beside_the_table() -> None:
    one = board(*THREE, spread=None, power=None, excess=WinnersExcess(4, 0.0052, False))
    said = " ".join(notes(one))
    assert "One seed each: another seed gives another model, and no p-value here counts that." in said
    assert "about half of the leaderboards named at least one as worse" in said
    assert "other seeds not counted" in said
    assert "One seed" in render(leaderboard_table(one))
    assert not any("One seed" in line for line in notes(board(*THREE)))


class Cells(HTMLParser):
    """The rows of all tables, the words of the page, and its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        self._inside = tag in ("th", "td")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._inside:
            self.rows[-1][-1] += data


def test_page_has_the_figures_under_their_headings(plan: Plan) -> None:
    page = Cells()
    page.feed(render_leaderboard(plan, board(*THREE), SETTING))
    scores = dict(zip(page.rows[0], page.rows[2], strict=True))
    assert scores == {
        "configuration": "2. full",
        "seeds": "2",
        "validation macro-F1": "0.8850 ± 0.0071",
        "test accuracy": "0.9200 ± 0.0141",
        "test macro-F1": "0.8850 ± 0.0071",
        "accuracy against the best, in points": "-2.0 (-3.0 to -1.0)",
        "p, corrected": "0.400",  # the last of two columns with this heading: that of macro-F1
        "macro-F1 against the best, in points": "-1.0 (-2.0 to +0.0)",
    }
    assert page.rows[2][6] == "0.300"
    costs = dict(zip(page.rows[4], page.rows[5], strict=True))
    assert costs == {
        "configuration": "1. LoRA",
        "trained parameters": "148 k",
        "share of all": "0.65 %",
        "training time": "1 min 45 s",
        "peak memory": "1.40 GiB",
        "size on disk": "2.7 MB",
    }


def test_charts_name_what_is_not_beaten(plan: Plan) -> None:
    page = render_leaderboard(plan, board(*THREE), SETTING)
    by_time, by_size = re.findall(r"<desc>(.*?)</desc>", page)
    # Rank 3 is the quickest and the worst, rank 1 the slowest and the best.
    assert by_time.index("BitFit") < by_time.index("full") < by_time.index("LoRA")
    assert "LoRA: macro-F1 0.8950, 148 k parameters." in by_size
    assert "full" not in by_size
    assert page.count("<circle") == 6


def test_nothing_from_outside_is_obeyed(plan: Plan) -> None:
    rows = [row(rank, name, 0.9 - rank / 100, None if rank == 1 else 0.2) for rank, name in enumerate(HOSTILE, start=1)]
    hostile = board(*rows, failures={name: name for name in HOSTILE})
    setting = replace(SETTING, data=HOSTILE[2])
    page = render_leaderboard(plan, hostile, setting)
    cells = Cells()
    cells.feed(page)
    assert "script" not in cells.tags
    assert not any(character in page for character in ("\x1b", "\u202e", "\ud800"))
    page.encode("utf-8")
    text = leaderboard_markdown(plan, hostile, setting)
    text.encode("utf-8")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 2 * (1 + len(rows))
    pipes = [len(re.findall(r"(?<!\\)\|", line)) for line in table]
    assert len(set(pipes[: len(pipes) // 2])) == len(set(pipes[len(pipes) // 2 :])) == 1
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)\[link", text)
    assert "\x1b" not in render(leaderboard_table(hostile))
    json.loads(leaderboard_json(plan, hostile, setting))


def test_json_has_everything(plan: Plan) -> None:
    found = json.loads(leaderboard_json(plan, board(*THREE, failures={"a": "b"}), SETTING))
    second = found["rows"][1]
    assert second["test_accuracy"]["values"] == [0.91, 0.93]
    assert second["test_accuracy"]["standard_deviation"] == pytest.approx(0.01414, abs=1e-5)
    assert second["against_best"]["accuracy"] == {"estimate": -0.02, "low": -0.03, "high": -0.01, "level": 0.95}
    assert second["against_best"]["adjusted_p"] == 0.3
    assert found["rows"][0]["against_best"] is None
    assert found["failures"] == {"a": "b"}
    assert found["seeds"] == [0, 1]
    assert second["config"]["method"]["name"] == "lora"


def test_protocol_says_what_was_done(plan: Plan) -> None:
    lines = " ".join(protocol(plan, board(*THREE), SETTING))
    assert "16,000 train, 2,000 validation, 2,000 test rows" in lines
    assert "2 seeds (0, 1)" in lines
    assert (
        "a fresh process loaded it onto the base model and got the same logits: the largest difference was 3e-06."
        in lines
    )
    assert "on this machine, 1 at a time, and trained in bf16 on cpu. " in lines
    assert "All trials together took 1 h 30 min." in lines
    mixed = board(*THREE, arithmetic=("bf16 on cpu", "fp32 on cuda"))
    assert "trained in bf16 on cpu or fp32 on cuda." in " ".join(protocol(plan, mixed, SETTING))
    assert "count other seeds and other rows" in lines
    assert "a pooled standard deviation of 0.63 points (30 degrees of freedom)." in lines
    assert "corrected for 2 comparisons" in lines
    assert "McNemar" not in lines
    assert "Margin" not in lines
    wider = board(*THREE, spread=SeedNote(0.0063, 30.0, ("prompt tuning",)), margin=1.0)
    assert "Seeds of 'prompt tuning' spread wider than the others'" in " ".join(protocol(plan, wider, SETTING))
    assert "two of them for accuracies that are alike (TOST), with the same" in " ".join(protocol(plan, wider, SETTING))
    assert "searched" not in lines
    one = " ".join(protocol(replace(plan, seeds=(0,)), board(*THREE, spread=None, power=None), SETTING))
    assert "McNemar's test (mid-p). With one seed, neither counts" in one
    searched = " ".join(protocol(replace(plan, searched=30), board(*THREE), SETTING))
    assert "30 proposals per configuration" in searched
    incomplete = board(THREE[0], row(2, "cut", 0.9, 0.5, missing=(2,)))
    assert "Not all seeds finished of 'cut'" in " ".join(protocol(plan, incomplete, SETTING))


@pytest.mark.parametrize(("size", "expected"), [(41_300, "41 kB"), (2_700_000, "2.7 MB"), (90_900_000, "90.9 MB")])
def test_size_on_disk(size: int, expected: str) -> None:
    assert disk(size) == expected


def test_template_is_part_of_the_package() -> None:
    import emotune.sweep.report

    assert (Path(emotune.sweep.report.__file__).parent / "leaderboard.html.jinja").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_the_screen_and_fetches_nothing(browser: Any, plan: Plan, tmp_path: Path, width: int) -> None:
    many = [
        row(rank, f"method {rank} " + "w" * rank, 0.9 - rank / 100, None if rank == 1 else 0.2) for rank in range(1, 15)
    ]
    path = tmp_path / "leaderboard.html"
    path.write_text(render_leaderboard(plan, board(*many), SETTING), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    assert requests == [path.as_uri()]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg").count() == 2
    assert page.locator("tbody tr").count() == 2 * len(many)
    page.close()
