"""The report page: complete, offline, its figures those of the objects, and nothing in it obeyed that came from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from emotune.data.auditing.audit import Repeat, audit_data
from emotune.data.auditing.located import Place, Row
from emotune.data.dataset import TextDataset
from emotune.data.lengths import Lengths
from emotune.data.tokens import TokenCounts
from emotune.evaluation.attribution import Words
from emotune.evaluation.compare import compare
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks, find_leaks
from emotune.evaluation.rivals import yardstick
from emotune.evaluation.words.formats import share
from emotune.evaluation.words.verdict import sentences
from emotune.folder.record import TrainingRecord
from emotune.report.html import Report, most_telling, render_report
from emotune.tasks.calibration import assess

from .conftest import HOSTILE, make_comparison, make_comparison_without, make_dataset, make_evaluation, make_split

VOID = {"meta", "line", "polyline", "circle", "br"}


class Page(HTMLParser):
    """A page's text by tag; refuses tags that do not match, and anything that would be fetched or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self.charts: list[dict[str, str | None]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {"src", "href", "xlink:href"} & found.keys()
        assert not [name for name in found if name.startswith("on")]
        if "id" in found:
            self.ids.append(str(found["id"]))
        if tag == "svg":
            self.charts.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            # A caption's text stands in a span of its own, which keeps it in sight.
            tag = "caption" if self.open[-2:] == ["caption", "span"] else self.open[-1]
            self.texts.setdefault(tag, []).append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(part for tag, parts in self.texts.items() if tag != "style" for part in parts)


def leaks_of(comparison: Comparison, kinds: Mapping[int, str]) -> Leaks:
    """The leaks of a comparison of which the given test rows repeat a training row."""
    found = [Repeat(row, row, kind) for row, kind in ((Row(Place("test", n + 1), "", ""), k) for n, k in kinds.items())]
    leaks = find_leaks(comparison, replace(audit_data(make_dataset()), leaks=tuple(found)))
    assert leaks is not None
    return leaks


def full_report(comparison: Comparison, record: TrainingRecord, dataset: TextDataset) -> Report:
    after = comparison.after
    assert after.probabilities is not None
    row = int(np.flatnonzero(~after.correct)[0])
    return Report(
        title="MiniLM, fine-tuned on emotion",
        subtitle="Made today.",
        comparison=comparison,
        training=record,
        trust=assess(after.split.label_ids, after.probabilities, 1.3),
        audit=audit_data(dataset),
        leaks=leaks_of(comparison, {0: "exact", 5: "near"}),
        attributions={row: Words(("some", "words"), (1.0, 0.0))},
        commands=["emotune run --data <mine>"],
        versions={"emotune": "1.0", "torch": "2.13"},
    )


@pytest.fixture
def page(comparison: Comparison, record: TrainingRecord, dataset: TextDataset) -> Page:
    return Page(render_report(full_report(comparison, record, dataset)))


def test_shows_the_verdict_first_and_every_part(page: Page, comparison: Comparison) -> None:
    expected = sentences(comparison, leaks=leaks_of(comparison, {0: "exact", 5: "near"}))
    assert len(expected) == 3  # the best baseline, the rows without leaks, chance
    assert page.texts["strong"] == expected[:1]
    places = [page.texts["p"].index(sentence) for sentence in expected[1:]]
    assert places == [places[0], places[0] + 1]
    assert places[0] < page.texts["p"].index(
        "All models saw the same 240 rows of test. Intervals cover the choice of these rows, not that of the seed."
    )
    sections = ["scores", "classes", "confusion", "training", "calibration", "mistakes", "fixes", "audit", "reproduce"]
    assert page.ids == [f"{name}-1" for name in sections]
    assert "emotune run --data <mine>" in page.texts["code"]


def test_figures_are_those_of_the_comparison(page: Page, comparison: Comparison) -> None:
    before, after = comparison.before.metrics, comparison.after.metrics
    cells = page.texts["td"]
    for value in (before.accuracy, after.accuracy, before.macro_f1, after.macro_f1):
        assert share(value) in cells
    # By how much the tuned model is ahead of its yardstick, the best baseline, in both scores.
    statistics = comparison.against(comparison.baselines[1])
    for interval in (statistics.accuracy, statistics.macro_f1):
        assert interval is not None
        assert f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}" in page.texts["small"]
    for counts in np.bincount(comparison.after.split.label_ids):
        assert f"{counts:,}" in cells


def test_nothing_is_tested_against_chance(page: Page, comparison: Comparison) -> None:
    """The interval and the p-values against random numbers stand nowhere; a base with a trained head has them."""
    interval = comparison.statistics.accuracy
    shown = f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    assert shown not in page.text
    trained = replace(comparison, before=replace(comparison.before, is_chance=False))
    assert shown in Page(render_report(Report(title="x", subtitle="", comparison=trained))).text
    nothing_else = replace(comparison, baselines=())
    alone = render_report(Report(title="x", subtitle="", comparison=nothing_else))
    assert "0.001" not in alone.partition("By class")[2].partition("</table>")[0]


def test_classes_are_compared_with_the_best_baseline(page: Page, comparison: Comparison) -> None:
    best, after = comparison.baselines[1], comparison.after
    fixed = (~best.correct & after.correct)[after.split.label_ids == 0].sum()
    row = (
        page.html.partition('<h2 id="classes-1">')[2].partition('<th scope="row">sadness</th>')[2].partition("</tr>")[0]
    )
    assert f"{best.metrics.per_class['sadness'].f1:.4f}" in row
    assert f"<td>{fixed}</td>" in row
    assert any("F1 of logistic regression on words" in heading for heading in page.texts["th"])


def test_explanations_say_what_becomes_of_words_that_speak_against_the_label(page: Page) -> None:
    assert any("Words that counted against it have weight 0 and no mark." in text for text in page.texts["p"])


def test_leaked_rows_are_left_out_of_the_second_score(page: Page, comparison: Comparison) -> None:
    rest = np.setdiff1d(np.arange(240), [0, 5])
    assert share(float(comparison.after.correct[rest].mean())) in page.texts["td"]
    best = comparison.baselines[1]
    assert share(float(best.correct[rest].mean())) in page.texts["td"]
    lead = 100 * (comparison.after.correct[rest].mean() - best.correct[rest].mean())
    assert f"{lead:+.1f}" in page.texts["td"]
    caption = "2 test rows repeat a training row: 1 identical, 1 nearly the same"
    assert any(text.startswith(caption) for text in page.texts["caption"])


def test_where_every_row_leaks_it_is_said_that_none_is_left(comparison: Comparison) -> None:
    every = leaks_of(comparison, dict.fromkeys(range(240), "exact"))
    found = Page(render_report(Report(title="x", subtitle="", comparison=comparison, leaks=every)))
    assert "240 test rows repeat a training row: 240 identical. No other row is left to score." in found.text


def test_a_class_without_rows_is_named_once(page: Page) -> None:
    assert "No row that was scored" not in page.text
    found = Page(render_report(Report(title="x", subtitle="", comparison=make_comparison_without("love"))))
    assert found.text.count("No row that was scored is labelled 'love': macro") == 1


def test_a_class_without_rows_once_leaked_ones_are_left_out_is_named(comparison: Comparison) -> None:
    love = dict.fromkeys(np.flatnonzero(comparison.after.split.label_ids == 2).tolist(), "exact")
    found = Page(render_report(Report(title="x", subtitle="", comparison=comparison, leaks=leaks_of(comparison, love))))
    # Once in the verdict on the other rows, once below their table.
    assert found.text.count("No row that was scored is labelled 'love': macro") == 2


def test_the_data_part_counts_test_rows_that_stand_in_validation(comparison: Comparison, dataset: TextDataset) -> None:
    repeated = replace(dataset.test, texts=("twice the same", *dataset.test.texts[1:]))
    held = replace(dataset.validation, texts=("twice the same", *dataset.validation.texts[1:]))
    audit = audit_data(replace(dataset, test=repeated, validation=held))
    page = Page(render_report(Report(title="x", subtitle="", comparison=comparison, audit=audit)))
    expected = sum(leak.kind == "exact" for leak in audit.validation_leaks)
    assert expected > 0
    assert "is also in validation: identical" in page.texts["th"]
    assert any(f"{expected:,} rows of test are also in validation" in line for line in page.texts["li"])


def test_the_data_part_says_what_is_cut(comparison: Comparison, dataset: TextDataset) -> None:
    lengths = {split.name: Lengths(3, 12.0, 40.0, 90) for split in dataset.splits}
    tokens = TokenCounts("tiny", 32, 1320, 11.5, lengths, {"train": 7, "validation": 0, "test": 2})
    audit = replace(audit_data(dataset), tokens=tokens)
    page = Page(render_report(Report(title="x", subtitle="", comparison=comparison, audit=audit)))
    assert "longer than 32 tokens" in page.texts["th"]
    assert (
        "11.5 tokens per text; 9 of 1,320 texts are longer than 32 and are cut: 7 of train, 2 of test"
        in page.texts["li"]
    )


def test_charts_carry_text_alternatives(page: Page) -> None:
    assert len(page.charts) == 4
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in page.charts)
    assert len(page.texts["title"]) == 5  # of the page and of the charts


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_from_outside_is_obeyed(hostile: str, record: TrainingRecord, dataset: TextDataset) -> None:
    labels = (hostile, "joy")
    split = make_split(labels, 60)
    split = replace(split, texts=tuple(f"{hostile} {row}" for row in range(60)))
    comparison = compare(
        make_evaluation(split, right=0.3, name=hostile, note=hostile, seed=2),
        make_evaluation(split, name=hostile + "x"),
    )
    report = full_report(comparison, record, dataset)
    html = render_report(
        replace(
            report, title=hostile, subtitle=hostile, commands=[hostile], attributions={0: Words((hostile,), (0.5,))}
        )
    )
    Page(html)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html)
    assert "<script>" not in html
    html.encode("utf-8")


def test_several_comparisons_stand_on_one_page(comparison: Comparison) -> None:
    page = Page(render_report(*(Report(title=name, subtitle="", comparison=comparison) for name in ("one", "two"))))
    assert page.texts["h1"] == ["one", "two"]
    assert len(set(page.ids)) == len(page.ids)
    assert page.texts["title"] == ["2 comparisons"]


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.9, "Wrong with high confidence: worth a look"),
        (0.42, "The mistakes with the highest confidence, 42 %."),
        (None, "The first mistakes by row"),
    ],
)
def test_mistakes_are_called_sure_only_where_they_are(
    comparison: Comparison, confidence: float | None, expected: str
) -> None:
    after, probabilities = comparison.after, None
    if confidence is not None:
        probabilities = np.full((len(after.split), 6), (1 - confidence) / 5)
        probabilities[np.arange(len(after.split)), after.predictions] = confidence
    changed = replace(comparison, after=replace(after, probabilities=probabilities))
    page = render_report(Report(title="a", subtitle="", comparison=changed))
    assert expected in page
    assert ("Wrong with high confidence: " in page) == (confidence == 0.9)


def test_the_datas_classes_stand_in_label_order(comparison: Comparison) -> None:
    labels = comparison.after.split.labels
    last_first = make_split(labels[::-1], rows=30)
    train = replace(last_first, name="train", labels=labels, label_ids=np.sort(last_first.label_ids)[::-1].copy())
    audit = audit_data(
        TextDataset("data", labels, train, replace(train, name="validation"), replace(train, name="test"))
    )
    assert list(audit.counts["train"]) == list(labels[::-1])
    page = Page(render_report(Report(title="a", subtitle="", comparison=comparison, audit=audit)))
    names = [name for name in page.texts["th"] if name in labels]
    assert names[-len(labels) :] == list(labels)


def test_scaling_is_called_what_it_is_on_these_rows(comparison: Comparison) -> None:
    """Probabilities of 0.9 where 90 % are right: any temperature but 1 makes them worse."""
    after = comparison.after
    assert after.probabilities is not None
    right = after.split.label_ids.copy()
    right[: len(right) // 10] = (right[: len(right) // 10] + 1) % 6
    probabilities = np.full(after.probabilities.shape, 0.02)
    probabilities[np.arange(len(right)), right] = 0.9
    trust = assess(after.split.label_ids, probabilities, 0.2)
    text = Page(render_report(Report(title="a", subtitle="", comparison=comparison, trust=trust))).text
    assert "the ECE from 0.0 to 10.0 (worse)" in text
    assert "the difference from +0.0 (95 % interval -" in text
    assert "to +10.0 (95 % interval +" in text
    assert "which is no evidence of a difference" in text
    assert "not sure enough of itself, and dividing its logits by 0.20 fitted best there" in text
    assert trust.scaled is not None
    assert f"the loss from {trust.plain.loss:.3f} to {trust.scaled.loss:.3f} (worse)" in text


def test_without_a_temperature_there_is_one_series_and_a_reason(comparison: Comparison) -> None:
    after = comparison.after
    assert after.probabilities is not None
    trust = assess(after.split.label_ids, after.probabilities, None)
    page = render_report(Report(title="a", subtitle="", comparison=comparison, trust=trust))
    assert "No temperature was fitted: " in page
    assert "dividing" not in page
    assert "scaled" not in page.partition('id="calibration-1"')[2].replace("unscaled", "")


def test_models_without_probabilities_have_no_calibration(comparison: Comparison) -> None:
    labels_only = make_evaluation(comparison.after.split, probabilities=False, seed=9)
    page = Page(render_report(Report(title="x", subtitle="", comparison=compare(comparison.before, labels_only))))
    assert "calibration-1" not in page.ids
    assert "none" in page.texts["td"]


def test_is_small() -> None:
    comparison = make_comparison(rows=5000)
    assert len(render_report(Report(title="x", subtitle="", comparison=comparison)).encode()) < 100_000


class TestMostTelling:
    def test_are_the_surest(self, comparison: Comparison) -> None:
        sure = np.random.default_rng(0).uniform(0.5, 1, size=240)
        varied = np.full((240, 6), 0.0)
        varied[np.arange(240), comparison.after.predictions] = sure
        varied[np.arange(240), (comparison.after.predictions + 1) % 6] = 1 - sure
        comparison = compare(comparison.before, replace(comparison.after, probabilities=varied))
        mistakes, fixes = most_telling(comparison, 5)
        after, before = comparison.after, yardstick(comparison)
        assert before.probabilities is not None
        assert after.probabilities is not None
        assert not after.correct[mistakes].any()
        assert after.correct[fixes].all()
        assert not before.correct[fixes].any()
        sureness = after.probabilities.max(1)
        assert sureness[mistakes].min() >= np.sort(sureness[~after.correct])[-5]

    def test_a_model_without_mistakes_has_none(self, comparison: Comparison) -> None:
        split = comparison.after.split
        perfect = replace(comparison.after, predictions=split.label_ids)
        assert most_telling(compare(comparison.before, perfect))[0] == []


def test_line_ends_and_tabs_of_a_text_are_shown() -> None:
    comparison = make_comparison()
    row = most_telling(comparison)[0][0]
    words = Words(("one", "two", "three"), (1.0, 0.0, 0.5), ("\t", "\n", " \r\n"))
    html = render_report(Report("a", "b", comparison, attributions={row: words}))
    text = re.sub("<[^>]+>", "", html)
    assert "\\tone\\ntwo \\r\\nthree" in text
