"""`emotune compare`: folders in, a verdict and a report out, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from html import escape, unescape
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.cli.compare import reports, told_apart
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.format import PREDICTIONS
from emotune.report.html import render_report

from ..evaluation.test_saved import sign_again
from ..report.conftest import make_split
from .conftest import Invoke

if TYPE_CHECKING:
    from emotune.data.dataset import Split

    from ..conftest import Run


@pytest.fixture
def folders(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three saved folders: one as it was, one whose predictions are shifted labels, one like the first."""
    monkeypatch.chdir(tmp_path)
    copies = []
    for name in ("good", "bad", "same"):
        copied = tmp_path / name
        shutil.copytree(tiny_run.result.folder, copied)
        copies.append(copied)
    labels = tiny_run.result.classifier.labels
    path = copies[1] / PREDICTIONS
    table = pq.read_table(path)
    truth = [labels.index(label) for label in table.column("label").to_pylist()]
    shifted = [(label + 1) % len(labels) for label in truth]
    table = table.set_column(2, "prediction", pa.array([labels[label] for label in shifted]))
    for number, label in enumerate(labels):
        values = np.where(np.array(shifted) == number, 0.9, 0.1 / (len(labels) - 1))
        table = table.set_column(table.column_names.index(f"p_{label}"), f"p_{label}", pa.array(values))
    pq.write_table(table, path)
    sign_again(copies[1])
    return copies


def test_two_end_with_a_verdict_an_interval_and_a_report(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    result = invoke("compare", "bad", "good")
    assert result.exit_code == 0, result.output
    lines = result.stdout.strip().splitlines()
    (verdict,) = (line for line in lines if line.startswith("'good' "))
    assert verdict.startswith("'good' is more accurate than 'bad': accuracy +")
    assert "Macro-F1 is not compared: class 'sadness' has 6 rows, fewer than 10." in verdict
    assert "(one seed each, 95 % interval" in verdict
    report = tmp_path / "emotune_comparison.html"
    assert lines[-1] == f"The report is {report}"
    assert "good against bad" in report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_margin_is_tested_against_the_first(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    result = invoke("compare", "good", "bad", "same", "--margin", "99")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "'same' is not worse than 'good' by more than 99 points" in shown
    page = unescape((tmp_path / "emotune_comparison.html").read_text(encoding="utf-8"))
    assert page.count("by more than 99 points") == 2
    again = invoke("compare", "good", "same", "--margin", "99", "--overwrite")
    assert "'same' is not worse than 'good' by more than 99 points" in " ".join(again.stdout.split())


@pytest.mark.slow
def test_rows_that_a_model_was_trained_on_are_counted(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "good" / "emotune.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["metrics"]["without_leaked_rows"] = {"leaked": {"exact": 2, "trivial": 0, "near": 1}, "rows": 33}
    path.write_text(json.dumps(description), encoding="utf-8")
    expected = "3 test rows repeat a row that 'good' was trained on (2 identical, 1 nearly the same)."
    for others in (["bad"], ["bad", "same"]):
        result = invoke("compare", *others, "good", "--output", f"{len(others)}.html")
        assert result.exit_code == 0, result.output
        assert expected in " ".join(result.stdout.split())
        page = (tmp_path / f"{len(others)}.html").read_text(encoding="utf-8")
        assert "that &#39;good&#39; was trained on" in page


@pytest.mark.parametrize("margin", ["0", "-1", "100", "nan"])
def test_a_margin_that_is_none_is_refused(invoke: Invoke, folders: list[Path], margin: str) -> None:
    result = invoke("compare", "good", "bad", f"--margin={margin}")
    assert result.exit_code == 2
    assert "expected a number above 0 and below 100: points of accuracy, such as 1 or 0.5." in " ".join(
        result.output.split()
    )


def test_two_show_the_changes_of_each_class(invoke: Invoke, folders: list[Path], tiny_run: Run) -> None:
    shown = invoke("compare", "bad", "good").stdout
    table = shown.partition("Changes by class")[2]
    split = tiny_run.result.comparison.after.split
    right = tiny_run.result.comparison.after.correct
    for number, label in enumerate(split.labels):
        rows = split.label_ids == number
        found = re.search(rf"^{label} +(\d+) +(\d+) +(\d+) +\S+ +(\S.*)$", table, re.MULTILINE)
        assert found is not None, label
        # Every prediction of the first is wrong, so what is right now was fixed, and nothing was broken.
        assert found.groups()[:3] == (str(rows.sum()), str((rows & right).sum()), "0")
    assert "corrected for the number of classes (Holm)" in " ".join(table.split())


@pytest.mark.slow
def test_predictions_from_elsewhere_beside_a_folder(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    table = pq.read_table(folders[0] / PREDICTIONS).to_pylist()
    lines = [json.dumps({key: row[key] for key in ("text", "label", "prediction")}) for row in reversed(table)]
    (tmp_path / "other.jsonl").write_text("\n".join(lines), encoding="utf-8")
    result = invoke("compare", "other.jsonl", "good")
    assert result.exit_code == 0, result.output
    # The same predictions in another order and without probabilities.
    assert "matched by their texts" in result.stderr
    shown = " ".join(result.stdout.split())
    assert "'other.jsonl' and 'good' predict the same label on every row (36 rows)." in shown
    assert "Predictions read from other.jsonl. What this model was trained on is not known." in shown
    assert re.search(r"loss \(cross-entropy\), lower is better none", shown)
    again = invoke("compare", "good", "other.jsonl", "bad", "--margin", "5", "--overwrite")
    assert again.exit_code == 0, again.output


def test_predictions_of_other_rows_are_refused(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    table = pq.read_table(folders[0] / PREDICTIONS)
    pq.write_table(table.slice(1), tmp_path / "fewer.parquet")
    result = invoke("compare", "good", "fewer.parquet")
    assert result.exit_code == 2
    assert (
        "'good' with 'fewer.parquet': they were scored on different rows. 'good' has 36 rows of test, and 'fewer.parquet' 35 rows"
        in " ".join(result.stderr.split())
    )
    assert not (tmp_path / "emotune_comparison.html").exists()


def test_folders_of_one_name_are_told_apart_by_what_differs_above_them(
    invoke: Invoke, folders: list[Path], tmp_path: Path
) -> None:
    for name, folder in (("one", folders[0]), ("two", folders[1])):
        shutil.copytree(folder, tmp_path / name / "out" / "tuned")
    shown = invoke("compare", "two/out/tuned", "one/out/tuned").stdout
    assert "'one/out/tuned' is more accurate than 'two/out/tuned'" in shown


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/a/x", "/a/y"], ["x", "y"]),
        (["/a/tuned", "/b/tuned"], ["a/tuned", "b/tuned"]),
        (["/a/x/tuned", "/b/x/tuned"], ["a/x/tuned", "b/x/tuned"]),
        (["/a/x/tuned", "/b/x/tuned", "/c/other"], ["a/x/tuned", "b/x/tuned", "other"]),
        (["/tuned", "/a/tuned"], ["//tuned", "a/tuned"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], expected: list[str]) -> None:
    assert told_apart([Path(path) for path in paths]) == expected


def test_equal_models_are_called_so(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    expected = "'good' and 'same' predict the same label on every row (36 rows)."
    shown = invoke("compare", "good", "same").stdout
    assert expected in shown.splitlines()
    assert "No evidence" not in shown
    page = (tmp_path / "emotune_comparison.html").read_text(encoding="utf-8")
    assert f"<p><strong>{escape(expected, quote=True)}</strong></p>" in page.replace("&#39;", "&#x27;")


def test_labels_in_another_order_are_matched_by_name(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    path = folders[2] / "emotune.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["labels"].reverse()
    path.write_text(json.dumps(description), encoding="utf-8")
    result = invoke("compare", "good", "same", "bad")
    assert result.exit_code == 0, result.output
    assert "'good' and 'same' predict the same label on every row (36 rows)." in result.stdout
    assert "'bad' is less accurate than 'good'" in result.stdout
    assert invoke("compare", "same", "good", "--overwrite").exit_code == 0


def test_three_are_ranked_and_corrected(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    result = invoke("compare", "good", "bad", "same", "--output", "three.html")
    assert result.exit_code == 0, result.output
    assert "'bad' is less accurate than 'good'" in result.stdout
    assert "'good' and 'same' predict the same label on every row (36 rows)." in result.stdout
    assert "corrected for 2 comparisons (Holm)" in result.stdout
    html = (tmp_path / "three.html").read_text(encoding="utf-8")
    assert html.count("<article>") == 2
    verdicts = [unescape(found) for found in re.findall(r'class="verdict">\n<p><strong>(.+?)</strong>', html)]
    assert len(verdicts) == 2
    for verdict, start in zip(
        verdicts,
        (
            "'bad' is less accurate than 'good'",
            "'good' and 'same' predict the same label on every row (36 rows).",
        ),
        strict=True,
    ):
        assert verdict.startswith(start)
        assert verdict in " ".join(result.stdout.split())  # the page says what the terminal said
    assert html.count("corrected for 2 comparisons (Holm)") == 2


def evaluation(split: Split, wrong: range | list[int], name: str) -> Evaluation:
    """An evaluation that is right but for the given rows."""
    predictions = split.label_ids.copy()
    predictions[list(wrong)] = (predictions[list(wrong)] + 1) % len(split.labels)
    return Evaluation(name, split, None, None, predictions, score(split, predictions, None), seconds=1.0)


def test_the_page_shows_corrected_p_values_and_judges_by_them() -> None:
    """Eleven rows fixed and three broken have a mid-p of 0.0352 (binomial, by hand): evidence alone, none beside another such."""
    split = make_split(rows=120)
    p = 2 * (sum(comb(14, k) for k in range(3)) + comb(14, 3) / 2) / 2**14
    first = evaluation(split, range(20), "first")
    others = [evaluation(split, [*range(11, 20), 30, 31, 32], name) for name in ("second", "third")]

    (alone,) = reports([first, others[0]], [None, None])
    assert alone.verdict[0].startswith("'second' is better than 'first'")
    assert f"p = {p:.3f}" in alone.verdict[0]
    assert "corrected for" not in alone.subtitle

    pages = reports([first, *others], [None, None, None])
    html = unescape(render_report(*pages))
    for page, name in zip(pages, ("second", "third"), strict=True):
        assert f"p = {2 * p:.3f}" in page.verdict[0]
        assert f"'{name}'" in page.verdict[0]
        assert page.verdict[0] in html
    assert html.count("corrected for 2 comparisons (Holm)") == 2
    assert html.count("corrected for the number of classes (Holm), not for that of the comparisons") == 2
    assert "not for that of the comparisons" not in render_report(alone)


def test_report_is_not_replaced_unasked(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "emotune_comparison.html"
    assert invoke("compare", "good", "bad").exit_code == 0
    first = target.read_text(encoding="utf-8")
    result = invoke("compare", "bad", "good")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert target.read_text(encoding="utf-8") == first
    assert invoke("compare", "bad", "good", "--overwrite").exit_code == 0
    assert "good against bad" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content", [b"", b"precious", b"<!doctype html>\n<title>my page, by emotune</title>", b"\xff\x00"]
)
def test_what_is_no_report_is_not_replaced_whatever_the_flags(
    invoke: Invoke, folders: list[Path], tmp_path: Path, content: bytes
) -> None:
    target = tmp_path / "thesis.html"
    target.write_bytes(content)
    result = invoke("compare", "good", "bad", "--output", target, "--overwrite")
    assert result.exit_code == 2
    assert f"{target} is not a report of emotune, and --overwrite does not replace it." in result.stderr
    assert target.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"good", "bad", "same", "thesis.html"}


def test_the_report_of_a_run_is_a_report(invoke: Invoke, folders: list[Path]) -> None:
    assert invoke("compare", "good", "bad", "--output", "good/report.html", "--overwrite").exit_code == 0


def test_an_output_that_cannot_be_written_comes_up_before_any_work(
    invoke: Invoke, folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotune.evaluation.saved.read_evaluation", lambda *_, **__: pytest.fail("work was done"))
    result = invoke("compare", "good", "bad", "--output", tmp_path / "missing" / "report.html")
    assert result.exit_code == 2
    assert result.stderr.startswith("--output ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["good"], "There is one folder or file to compare"),
        (["good", "good"], "is given twice"),
        (["good", "missing"], "No such file or folder: 'missing'"),
        (["good", "missing", "--output", "good/report.html"], "No such file or folder: 'missing'"),
    ],
)
def test_refusals(invoke: Invoke, folders: list[Path], tmp_path: Path, arguments: list[str], expected: str) -> None:
    result = invoke("compare", *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert not (tmp_path / "emotune_comparison.html").exists()


def test_other_rows_are_refused(invoke: Invoke, folders: list[Path], tmp_path: Path) -> None:
    path = folders[1] / PREDICTIONS
    pq.write_table(pq.read_table(path).slice(1), path)
    sign_again(folders[1])
    result = invoke("compare", "good", "bad")
    assert result.exit_code == 2
    assert "scored on different rows" in result.stderr
    assert not (tmp_path / "emotune_comparison.html").exists()
