"""The page in the service itself: over its queue, its limits and its keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from .folders import save_served

app_of = pytest.importorskip("emotune.serve.app")
models_of = pytest.importorskip("emotune.serve.models")
settings_of = pytest.importorskip("emotune.serve.settings")

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier

pytestmark = pytest.mark.slow

KEY = "a-secret-key-of-the-test"


@pytest.fixture(scope="module")
def models(
    tiny_tuned: TunedClassifier,
    tiny_base: Classifier,
    tiny_data: TextDataset,
    tiny_bert: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """The service's models: one folder."""
    folder = save_served(tiny_tuned, tiny_base, tiny_data, tmp_path_factory.mktemp("served") / "tiny")
    return models_of.Models.open([folder], base=tiny_bert)


@contextmanager
def running(models: Any, **settings: Any) -> Iterator[str]:
    """Serve on a free port until the block ends."""
    app = app_of.make_app(models, settings_of.ServeSettings(**settings))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The page, which may complain of nothing and ask no other host."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.extend([request.url] * (not request.url.startswith(address))))
    page.goto(address)
    yield page
    assert troubles == []
    page.close()


def test_every_part_works(browser: Any, models: Any) -> None:
    served = models.get("tiny")
    expected = served.predictor.predict(["bada fede lines"])
    with running(models) as address, opened(browser, address) as page:
        page.fill("#message", "bada fede lines")
        page.wait_for_selector("#words:not([hidden])")
        assert page.inner_text("#label") == expected.labels[0]
        assert page.inner_text("#share") == f"{100 * expected.probabilities.max():.1f}\u00a0%"
        page.check("#calibrated")
        page.check("#compare")
        page.wait_for_selector("#legend:not([hidden])")
        assert "chance" in page.inner_text("#chance")
        page.click("#tab-many")
        page.fill("#lines", "bada\n" + "x" * 20_001 + "\nfede\n")
        page.click("#start")
        page.wait_for_selector("#labelled:not([hidden])")
        assert "2 messages labelled. Left out: 1 message" in page.inner_text("#many-said")


def test_limits_below_the_batches_of_the_page(browser: Any, models: Any) -> None:
    """A batch that the service refuses as a whole is halved until it fits."""
    with running(models, max_texts=5) as address, opened(browser, address) as page:
        page.click("#tab-many")
        page.fill("#lines", "\n".join(f"bada {number}" for number in range(40)))
        page.click("#start")
        page.wait_for_selector("#labelled:not([hidden])")
        assert page.inner_text("#many-said").startswith("40 messages labelled.")


def test_a_key_opens_it(browser: Any, models: Any) -> None:
    """The page and its files need none; everything about the models does."""
    with running(models, keys=(KEY,)) as address, opened(browser, address) as page:
        for path in ("v1/models", "page/tiny", "page/tiny/report"):
            assert page.request.get(address + path).status == 401
        page.wait_for_selector("#key-dialog[open]")
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        page.wait_for_selector("#bars .bar")
        page.fill("#message", "bada")
        page.wait_for_selector("#words:not([hidden])")
