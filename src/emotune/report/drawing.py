"""Size and colours of all pictures, and the two formats: a PNG file, or SVG inside a page.

Pictures are matplotlib `Figure` objects. pyplot, which keeps global state and may look for a display, is never
imported. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from emotune.system.errors import OutputError
from emotune.system.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART = (4.4, 2.9)
"""Size in inches of a chart in a page, which shows it about a third larger, and on a phone about as large."""

# Two colours from the palette of Okabe and Ito (2008), distinguishable with any common colour blindness.
FIRST, SECOND = "#d55e00", "#0072b2"
INK, SOFT, FAINT, GRID = "#222222", "#555555", "#8a8a8a", "#e6e6e6"

# A picture in a page uses the page's colours, which follow dark mode.
_IN_A_PAGE = {
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    INK: "var(--soft)",
    SOFT: "var(--soft)",
    FAINT: "var(--soft)",
    GRID: "var(--line)",
}
_FONT = "DejaVu Sans"  # comes with matplotlib, so pictures do not depend on the fonts of a machine
_DOTS_PER_INCH = 150
_LONGEST_LABEL = 24
_NAMED = "name of "
_SVG = "{http://www.w3.org/2000/svg}"
_KEPT = ("d", "x", "y", "transform")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty picture whose parts make room for each other.

    Args:
        width: In inches; a PNG file has 150 pixels per inch.
        height: Likewise.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def draw_title(axes: Axes, title: str, remark: str) -> None:
    """Write a title above the axes, and a remark below the title."""
    axes.set_title(f"{title}\n", loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.annotate(remark, (0, 1), (0, 6), "axes fraction", textcoords="offset points", fontsize=9.5, color=SOFT)


def drawable(text: str, limit: int = _LONGEST_LABEL) -> str:
    """Return text for a picture; characters that the font lacks are escaped, not drawn as empty boxes."""
    known = _characters()
    return printable("".join(c if ord(c) in known else c.encode("unicode_escape").decode("ascii") for c in text), limit)


def name_artist(artist: Artist, name: str) -> None:
    """Name a part of a picture; a page shows the name when the pointer is over the part."""
    artist.set_gid(f"{_NAMED}{printable(name)}")


def settle(figure: Figure) -> None:
    """Fix the layout of a picture, for drawing at final positions; later parts move nothing."""
    _take_text_literally(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def write_png(figure: Figure, path: str | Path) -> None:
    """Write a picture as a PNG file.

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    _take_text_literally(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # A palette reduces the file to a third. Maximum coverage keeps rare colours exact, such as those of the colour bar.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    try:
        picture.save(path, format="PNG", optimize=True)
    except OSError as error:
        raise OutputError(
            f"The picture {path} cannot be written: {error.strerror or error}. Choose a folder that can be written to."
        ) from error


def inline_svg(figure: Figure, *, title: str, description: str) -> Markup:
    """Return a picture as an `svg` element for a page, in the page's colours and font.

    matplotlib's SVG is made for a file of its own. This keeps only the elements that are drawn. Identifiers and
    references are removed, since those of two pictures on a page would collide; shapes drawn repeatedly are copied.

    Args:
        figure: A picture in the colours of this module, in which nothing needs clipping at an edge.
        title: Its title, for screen readers.
        description: Its content in a sentence, for screen readers.
    """
    from markupsafe import Markup
    from matplotlib import rc_context

    _take_text_literally(figure)
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    drawn = ElementTree.fromstring(file.getvalue())
    shapes = {element.get("id", ""): element for element in drawn.iterfind(f".//{_SVG}defs/*[@id]")}
    root = ElementTree.Element(
        "svg",
        {
            "class": "chart",
            "role": "img",
            "viewBox": drawn.attrib["viewBox"],
            "aria-label": printable(f"{title}. {description}"),
        },
    )
    ElementTree.SubElement(root, "title").text = printable(title)
    ElementTree.SubElement(root, "desc").text = printable(description)
    for child in drawn:
        root.extend(list(_for_a_page(child, shapes)))
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _for_a_page(
    element: ElementTree.Element, shapes: Mapping[str, ElementTree.Element]
) -> Iterator[ElementTree.Element]:
    """Yield what a page needs of an element of matplotlib's SVG: nothing, a copy, or its content."""
    tag = element.tag.removeprefix(_SVG)
    if tag in ("defs", "metadata"):
        return
    if tag == "g":
        children = [copy for child in element for copy in _for_a_page(child, shapes)]
        name = element.get("id", "")
        if name.startswith(_NAMED) and children:
            group = ElementTree.Element("g")
            ElementTree.SubElement(group, "title").text = name.removeprefix(_NAMED)
            group.extend(children)
            children = [group]
        yield from children
        return
    if tag == "use":
        (reference,) = (value for name, value in element.items() if name.endswith("href"))
        shape = shapes[reference.removeprefix("#")]
        place = {"d": shape.attrib["d"], "transform": f"translate({element.get('x')} {element.get('y')})"}
        style = f"{element.get('style', '')};{shape.get('style', '')}"
        yield ElementTree.Element("path", place | {"style": _style(style)})
        return
    style = _style(element.get("style", ""))
    if tag == "path" and style == "fill: none":
        return  # transparent paper
    copy = ElementTree.Element(tag, {name: element.attrib[name] for name in _KEPT if name in element.attrib})
    copy.set("style", style)
    copy.text = element.text.strip() if element.text else None
    yield copy


def _style(style: str) -> str:
    """Return a style with the page's colours and font."""
    found = dict(part.split(":", 1) for part in style.split(";") if part.strip())
    properties = {name.strip(): value.strip() for name, value in found.items()}
    properties.pop("font-family", None)
    if "font" in properties:  # a shorthand that some versions of matplotlib write
        properties["font-size"] = next(part for part in properties.pop("font").split() if part.endswith("px"))
    return "; ".join(f"{name}: {_IN_A_PAGE.get(value, value)}" for name, value in properties.items())


@cache
def _characters() -> frozenset[int]:
    """Return the code points for which the font has a glyph."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_FONT)).get_charmap())


def _take_text_literally(figure: Figure) -> None:
    """Set all text in one font and without mathtext, so that a dollar sign in a label does not begin a formula."""
    from matplotlib.text import Text

    texts: Iterable[Any] = figure.findobj(Text)
    for text in texts:
        text.set(fontfamily=_FONT, parse_math=False, usetex=False)
