"""The page of a model of pairs in a real browser, over the service: two fields, two columns, and lines with a tab."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotune.folder.load import load
from emotune.inference.predictor import Predictor

from .conftest import source
from .test_page_in_service import app_of, models_of, running

pytestmark = pytest.mark.slow
PAIRS = [("badi bedo", "luvu"), ("luvu", "badi bedo")]


@pytest.fixture(scope="module")
def folders(served_folder: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A model of pairs, and one of single texts."""
    target = tmp_path_factory.mktemp("pairs") / "pairs"
    dataclasses.replace(load(served_folder), pairs=True).save(target)
    source(target, str(tiny_bert))
    return [target, served_folder]


@pytest.fixture(scope="module")
def expected(folders: list[Path]) -> Any:
    with Predictor(load(folders[0]), precision="fp32") as predictor:
        return predictor.predict(PAIRS)


@pytest.fixture
def page(browser: Any, folders: list[Path]) -> Iterator[Any]:
    """The page, on which the browser complains of nothing."""
    assert app_of
    with running(models_of.Models.open(folders, precision="fp32")) as address:
        context = browser.new_context(viewport={"width": 1100, "height": 900})
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector("#bars .bar")
        yield page
        assert not complaints
        context.close()


def test_both_fields_are_one_message(page: Any, expected: Any) -> None:
    page.fill("#message", PAIRS[0][0])
    page.wait_for_timeout(400)
    assert page.get_attribute("#result", "class") == "empty"  # the second text is still missing
    page.fill("#second", PAIRS[0][1])
    page.wait_for_function("text => document.getElementById('marked').textContent === text", arg="badi bedo | luvu")
    assert page.inner_text("#label") == expected.labels[0]
    assert page.inner_text("#share") == f"{100 * expected.probabilities[0].max():.1f}\u00a0%"
    page.check("#compare")
    page.wait_for_function("() => [...document.querySelectorAll('.before')].every(e => e.textContent.includes('%'))")


def test_another_model_has_one_field_again(page: Any) -> None:
    assert page.is_visible("#second")
    page.select_option("#model", "tuned")
    page.wait_for_function("() => document.getElementById('second-side').hidden")
    page.fill("#message", "badi")
    page.wait_for_function("() => document.getElementById('label').textContent !== ''")
    page.select_option("#model", "pairs")
    assert page.is_visible("#second")


def test_an_example_fills_both_fields(page: Any) -> None:
    page.locator("#examples button").first.click()
    assert page.input_value("#message")
    assert page.input_value("#second")
    page.wait_for_function("() => document.getElementById('label').textContent !== ''")


def test_lines_have_a_tab_between_the_texts(page: Any, expected: Any) -> None:
    page.click("#tab-many")
    page.fill("#lines", "badi bedo\tluvu\nluvu\tbadi bedo\nno tab\na\t \none\ttwo\tthree\n")
    page.click("#start")
    page.wait_for_selector("#labelled")
    rows = page.locator("#table tbody tr").evaluate_all("rows => rows.map(row => row.children[1].textContent)")
    assert rows[:2] == list(expected.labels)
    assert rows[2] == rows[4] == "This is no pair: two texts with a tab between them were expected."
    assert rows[3] == "One of the two texts is blank."


@pytest.mark.parametrize("names", ["premise,hypothesis", "text_pair,text"])
def test_a_file_has_two_columns(page: Any, expected: Any, names: str) -> None:
    page.click("#tab-many")
    swapped = names.startswith("text_pair")
    lines = [f"{second},{first}" if swapped else f"{first},{second}" for first, second in PAIRS]
    content = "\n".join([f"id,{names}", *(f"{row},{line}" for row, line in enumerate(lines)), ""])
    page.set_input_files("#file", {"name": "p.csv", "mimeType": "text/csv", "buffer": content.encode()})
    first, second = names.split(",")[::-1] if swapped else names.split(",")
    page.select_option("#column", label=first)
    page.select_option("#column-pair", label=second)
    page.click("#start")
    page.wait_for_selector("#labelled")
    with page.expect_download() as download:
        page.click("#download")
    found = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert [row["label"] for row in found] == list(expected.labels)
    assert [row[first] for row in found] == [pair[0] for pair in PAIRS]
