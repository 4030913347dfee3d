"""The report in a real browser, at two widths: nothing sticks out, nothing is fetched, nothing fails, dark mode and print work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from emotune.report.html import render_report

from .conftest import HOSTILE, make_comparison
from .test_html import full_report

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.training.record import TrainingRecord

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the tests are skipped where there is none, unless EMOTUNE_REQUIRE_BROWSER is set."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("EMOTUNE_REQUIRE_BROWSER"):
            pytest.fail("EMOTUNE_REQUIRE_BROWSER is set, and there is no Chromium")
        pytest.skip("there is no Chromium to look at the report with")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield launched
        launched.close()


@pytest.fixture
def file(record: TrainingRecord, dataset: TextDataset, tmp_path: Path) -> Path:
    """A report with labels of every kind, long ones among them."""
    labels = (*HOSTILE, "a label that is so very long that it cannot but be wider than a telephone", "w" * 60)
    path = tmp_path / "report.html"
    path.write_text(render_report(full_report(make_comparison(labels, 600), record, dataset)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1200])
def test_fits_the_screen_and_fetches_nothing(browser: Any, file: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    assert requests == [file.as_uri()]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    verdict = page.locator(".verdict")
    assert verdict.is_visible()
    box = verdict.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.locator("svg").count() == 4
    page.close()


def test_opens_in_under_a_second(browser: Any, file: Path) -> None:
    """By the browser's own clock, from the start of the navigation to the end of loading; the median of three."""
    seconds = []
    for _ in range(3):
        page = browser.new_page()
        page.goto(file.as_uri())
        loaded = page.wait_for_function(
            "() => { const [n] = performance.getEntriesByType('navigation'); return n.loadEventEnd && n.loadEventEnd - n.startTime; }"
        )
        seconds.append(loaded.json_value() / 1000)
        page.close()
    assert 0 < median(seconds) < 1, seconds


def test_dark_mode_turns_the_page_dark(browser: Any, file: Path) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(file.as_uri())
        colours = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
        paper, ink = (sum(int(part) for part in colour[4:-1].split(",")[:3]) for colour in colours)
        brightness[scheme] = paper
        assert abs(paper - ink) > 400  # of 765: they stand out from each other
        page.close()
    assert brightness["dark"] < 150 < 700 < brightness["light"]


def test_prints(browser: Any, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_headings_name_the_sections_in_order(browser: Any, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.locator("h1").count() == 1
    assert page.locator("h2").first.inner_text() == "Scores"
    assert page.locator("table caption, table thead").count() >= page.locator("table").count()
    page.close()
