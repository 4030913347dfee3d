"""The documents' links lead somewhere, their lines can be read in a diff, and the index of decisions is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECISIONS = ROOT / "docs" / "decisions"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        ROOT / "src" / "emotune" / "data" / "sample" / "README.md",
    ]
)
LONGEST_LINE = 100


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and MkDocs give to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_decision_is_numbered_and_stands_in_the_index() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\((\1-[a-z0-9-]+\.md)\) \| (.*?) \| .* \| (.*) \|$", index, re.MULTILINE)
    files = sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert [name for _, name, _, _ in rows] == files
    assert len({number for number, _, _, _ in rows}) == len(rows)
    for _, name, title, status in rows:
        lines = (DECISIONS / name).read_text(encoding="utf-8").splitlines()
        assert lines[0] == f"# {title}", name
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d, {re.escape(status)}", " ".join(lines[2 : lines.index("", 2)])), name


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "shoot-out.md"], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_lines_of_prose_end_at_100_characters(page: Path) -> None:
    """Tables and code cannot be wrapped, and the leaderboard of the shoot-out is quoted as the sweep wrote it."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fenced ^= line.startswith("```")
        assert fenced or line.startswith("|") or len(line) <= LONGEST_LINE, f"{page.name}, line {number}"
