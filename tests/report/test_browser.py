"""The report in a real browser, at two widths: nothing sticks out, nothing is fetched, nothing fails, dark mode and print work."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotune.report.html import render_report

from .conftest import HOSTILE, make_comparison
from .test_html import full_report

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.record import TrainingRecord

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize("width", [375, 1200])
def test_words_in_pictures_lie_apart_and_inside(browser: Any, file: Path, width: int) -> None:
    """In the fonts of the browser, which are not those that the places were worked out with."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri())
    charts = page.locator("svg.chart").all()
    assert len(charts) == 4
    for chart in charts:
        left, top, right, bottom, *words = chart.evaluate(
            "e => [e, ...e.querySelectorAll('text')].map(t => t.getBoundingClientRect())"
            ".flatMap((r, i) => i ? [[r.x, r.y, r.right, r.bottom]] : [r.x, r.y, r.right, r.bottom])"
        )
        assert len(words) > 10
        for box in words:
            assert left - 1 <= box[0] < box[2] <= right + 1
            assert top - 1 <= box[1] < box[3] <= bottom + 1
        for one, other in itertools.combinations(words, 2):
            across = min(one[2], other[2]) - max(one[0], other[0])
            up = min(one[3], other[3]) - max(one[1], other[1])
            assert across <= 0 or up <= 2  # a font reserves room above and below its letters
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


def right_edge(page: Any, box: Any) -> tuple[float, float]:
    """The mean brightness, from 0 to 255, of a strip at the right edge of an element, and of its paper further in."""
    from PIL import Image

    with Image.open(io.BytesIO(box.screenshot())) as picture:
        grey = np.asarray(picture.convert("L"), np.float64)
    middle = grey.shape[1] // 2
    return float(grey[:, -3:].mean()), float(grey[:, middle : middle + 3].mean())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_shows_it_at_its_edge(browser: Any, file: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(file.as_uri())
    wide = [box for box in page.locator(".scroll:visible").all() if box.evaluate("e => e.scrollWidth > e.clientWidth")]
    assert len(wide) >= 3
    for box in wide[:2]:
        box.evaluate("e => { e.firstElementChild.style.visibility = 'hidden'; }")
        edge, inside = right_edge(page, box)
        assert abs(edge - inside) > 30
        box.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
        edge, inside = right_edge(page, box)
        assert abs(edge - inside) < 3
    page.close()


def test_a_table_that_fits_shows_no_edge(
    browser: Any, record: TrainingRecord, dataset: TextDataset, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_report(full_report(make_comparison(), record, dataset)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(path.as_uri())
    box = page.locator(".scroll").first
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    box.evaluate("e => { e.firstElementChild.style.visibility = 'hidden'; }")  # its lines may reach the edge
    edge, _ = right_edge(page, box)
    assert edge == 255
    page.close()


def test_captions_stay_in_sight(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    captions = page.locator("caption span").all()
    assert len(captions) >= 4
    for place in ("0", "e.scrollWidth"):
        page.evaluate(f"document.querySelectorAll('.scroll').forEach(e => {{ e.scrollLeft = {place}; }})")
        for caption in captions:
            box = caption.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
    page.close()


def test_nothing_scrolls_in_print(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(file.as_uri())
    page.emulate_media(media="print")
    style = page.locator(".scroll").first.evaluate(
        "e => [getComputedStyle(e).overflowX, getComputedStyle(e).backgroundImage]"
    )
    assert style == ["visible", "none"]
    page.close()
