"""Pictures inside a page: in the page's colours, without anything that could collide, be fetched or be obeyed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from emotune.report.curves import draw_losses
from emotune.report.drawing import CHART, FIRST, INK, drawable, inline_svg, name_artist, new_figure

from .conftest import HOSTILE, make_record


def dots(name: str = "a name", mark: str = "a mark") -> Figure:
    figure = new_figure(3, 2)
    axes = figure.add_subplot()
    axes.tick_params(color=INK, labelcolor=INK)
    axes.spines[:].set_color(INK)
    for x in (0.0, 1.0):
        (dot,) = axes.plot(x, x, "o", color=FIRST, clip_on=False)
        name_artist(dot, name)
    axes.text(0.5, 0.5, drawable(mark), color=INK)
    return figure


def drawn(figure: Figure) -> str:
    return str(inline_svg(figure, title="T", description="D"))


def losses() -> str:
    figure = new_figure(*CHART)
    draw_losses(figure, make_record())
    return drawn(figure)


def test_has_a_title_a_description_and_a_name_for_those_who_do_not_see_it() -> None:
    svg = drawn(dots())
    assert svg.startswith('<svg class="chart" role="img" viewBox="')
    assert 'aria-label="T. D"' in svg
    assert "<title>T</title><desc>D</desc>" in svg
    assert svg.count("<title>a name</title>") == 2


def test_takes_the_colours_and_the_font_of_the_page() -> None:
    for svg in (losses(), drawn(dots())):
        assert not re.search("#[0-9a-fA-F]{3,}|rgb|DejaVu|font:", svg)
    assert set(re.findall(r"var\(([a-z-]+)\)", losses())) == {"--first", "--second", "--soft", "--line"}


def test_nothing_in_it_has_an_identifier_or_refers_to_one() -> None:
    root = ElementTree.fromstring(drawn(dots()))
    for element in root.iter():
        assert not [name for name in element.attrib if name == "id" or "href" in name or name.startswith("clip")]
        assert "url(" not in "".join(element.attrib.values())
        assert element.tag in {"svg", "g", "title", "desc", "path", "text"}


def test_every_dot_is_written_out_where_it_belongs() -> None:
    places = re.findall(r"translate\(([\d.]+) ([\d.]+)\)", drawn(dots()).partition("a name")[2])
    (x, y), (other_x, other_y) = ((float(x), float(y)) for x, y in places[:2])
    assert x < other_x
    assert y > other_y  # y of an SVG grows downwards


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_from_outside_is_obeyed(hostile: str) -> None:
    svg = str(inline_svg(dots(hostile, hostile), title=hostile, description=hostile))
    svg.encode("utf-8")
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", svg)


def test_a_name_like_one_of_matplotlibs_is_no_trouble() -> None:
    assert drawn(dots("axes_1")).count("<title>axes_1</title>") == 2


def test_equal_pictures_give_equal_text() -> None:
    assert losses() == losses()


@pytest.mark.slow
def test_no_pyplot_and_no_global_settings(tmp_path: Path) -> None:
    script = """
import sys, matplotlib
from tests.report.conftest import make_record
from emotune.report.curves import draw_losses
from emotune.report.drawing import inline_svg, new_figure
from emotune.report.figures import training_curve
def settings():
    # Reading the backend is left out: that alone imports pyplot.
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
training_curve(make_record(), sys.argv[1])
figure = new_figure(3, 2)
draw_losses(figure, make_record())
inline_svg(figure, title="", description="")
assert settings() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    folders = [str(Path(__file__).parents[2]), *sys.path]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import sys; sys.path[:0] = {folders!r}\n{script}",
            str(tmp_path / "curve.png"),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
