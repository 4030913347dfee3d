"""The leaderboard's page: the right numbers under the right headings, and nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from emotune.sweep.page import render_leaderboard
from emotune.sweep.plan import Plan

from .boards import SETTING, THREE, Cells, board, row


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
    # Each of three dots and its mark, in both charts.
    assert len(re.findall(r"<title>[^<]*: macro-F1 ", page)) == 2 * 2 * 3


def test_template_is_part_of_the_package() -> None:
    import emotune.sweep.page

    assert (Path(emotune.sweep.page.__file__).parent / "leaderboard.html.jinja").is_file()


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
