"""Draw the README's pictures: the recorded output of the quickstart as an SVG, and the top of its report, in Chromium.

python benchmarks/picture.py docs/images
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from rich.console import Console

from emotune.cli.console import ConsoleProgress
from emotune.handover import REPORT
from emotune.pipeline import STEPS, run
from emotune.settings.run import RunConfig
from emotune.system.progress import Advance


class Recorded(ConsoleProgress):
    """Progress without bars, since a recording would keep every state of them."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda units: None


def photograph(page: Path, picture: Path, part: str | None = None) -> None:
    """Save the top of a page as a picture, or the first element that a CSS selector matches."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no Chromium to photograph the report with.")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        view = browser.new_page(viewport={"width": 1000, "height": 850}, device_scale_factor=1 if part is None else 2)
        view.goto(page.as_uri())
        if part is None:
            view.screenshot(path=str(picture))
        else:
            view.locator(part).first.screenshot(path=str(picture))
        browser.close()


def main() -> None:
    """Run the quickstart into a temporary folder and save the picture."""
    images = Path(sys.argv[1]).resolve()
    images.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=108, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        run(RunConfig.load("quickstart"), Recorded(STEPS, console))
        photograph(Path(folder) / "fine_tuned_lora_model" / REPORT, images / "report.png")
        picture = console.export_svg(title="emotune run --preset quickstart")
    # Rich's template fetches its font from a server; any monospaced font will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (images / "run.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
