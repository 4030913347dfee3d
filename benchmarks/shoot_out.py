"""Put a finished sweep into the documentation: its leaderboard with the protocol as a page, and its first chart as a picture.

    emotune sweep --preset shoot-out
    python benchmarks/shoot_out.py sweep

writes docs/shoot-out.md and docs/images/shoot-out.png from the sweep's own leaderboard.md and leaderboard.html, changing nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from picture import photograph

DOCS = Path(__file__).parent.parent / "docs"
PAGE = """# The shoot-out

{count} ways of fine-tuning, one small BERT, the same tweets: what `emotune sweep --preset shoot-out` found.

![Macro-F1 on validation by training time, one point a method](images/shoot-out.png)

{leaderboard}"""


def main() -> None:
    """Write the page from the folder that the command line names."""
    sweep = Path(sys.argv[1])
    found = json.loads((sweep / "leaderboard.json").read_text(encoding="utf-8"))
    if "--preset shoot-out" not in found["command"]:
        raise SystemExit(f"{sweep} is another sweep: {found['command'] or 'made by a program'}.")
    text = PAGE.format(
        count=len(found["rows"]),
        leaderboard=(sweep / "leaderboard.md").read_text(encoding="utf-8"),
    )
    (DOCS / "shoot-out.md").write_text(text, encoding="utf-8")
    photograph(sweep / "leaderboard.html", DOCS / "images" / "shoot-out.png", "figure")


if __name__ == "__main__":
    main()
