"""Draw the README's pictures: the recorded output of the quickstart, the top of its report, and the service's page.

python benchmarks/picture.py docs/images
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from emotune.cli.console import ConsoleProgress
from emotune.folder.files import REPORT
from emotune.pipeline import STEPS, run
from emotune.settings.run import RunConfig
from emotune.system.progress import Advance

# A message whose probabilities are spread, so that the picture shows several bars.
MESSAGE = "I can't believe you remembered my birthday, this is wonderful!"


class Recorded(ConsoleProgress):
    """Progress without bars, since a recording would keep every state of them."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda units: None


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium without a window."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("There is no Chromium to photograph pages with.")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()


def photograph(page: Path, picture: Path, part: str | None = None) -> None:
    """Save the top of a page as a picture, or the first element that a CSS selector matches."""
    with chromium() as browser:
        view = browser.new_page(viewport={"width": 1000, "height": 850}, device_scale_factor=1 if part is None else 2)
        view.goto(page.as_uri())
        if part is None:
            view.screenshot(path=str(picture))
        else:
            view.locator(part).first.screenshot(path=str(picture))


def photograph_service(folder: Path, picture: Path, message: str = MESSAGE) -> None:
    """Save a picture of the service's page with a message and the words that count in it.

    Args:
        folder: A folder that `emotune run` saved.
        picture: The PNG file to write.
        message: The message.
    """
    command = [sys.executable, "-m", "emotune", "demo", str(folder), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            line = service.stdout.readline() if service.stdout else ""
            address = re.search(r"http://\S+/", line)
            if address is None:
                raise SystemExit(f"The service has not started: {line}")
            with chromium() as browser:
                view = browser.new_page(viewport={"width": 1060, "height": 690})
                view.goto(address[0])
                view.fill("#message", message)
                view.wait_for_selector("#words:not([hidden])")
                view.locator("#least").fill("40")
                # Without the field's cursor and the bars' movement.
                view.evaluate("document.activeElement.blur()")
                view.wait_for_timeout(1000)
                view.screenshot(path=str(picture))
        finally:
            service.send_signal(signal.SIGINT)


def main() -> None:
    """Run the quickstart into a temporary folder and save the pictures."""
    images = Path(sys.argv[1]).resolve()
    images.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=108, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        run(RunConfig.load("quickstart"), Recorded(STEPS, console))
        tuned = Path(folder) / "fine_tuned_lora_model"
        photograph(tuned / REPORT, images / "report.png")
        photograph_service(tuned, images / "page.png")
        picture = console.export_svg(title="emotune run --preset quickstart")
    # Rich's template fetches its font from a server; any monospaced font will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (images / "run.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
