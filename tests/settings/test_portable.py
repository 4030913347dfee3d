"""What saved folders keep of places: URLs without secrets, and files without the folders of one machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emotune.settings import portable
from emotune.settings.run import RunConfig


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.org/d.csv", "https://example.org/d.csv"),
        ("https://me:word@example.org/d.csv?signature=hush#top", "https://example.org/d.csv"),
        ("s3://bucket/d.csv", "s3://bucket/d.csv"),
        ("hf://datasets/owner/name", "hf://datasets/owner/name"),
        ("/data/mine/part-*.csv", "part-*.csv"),
        ("-", "-"),
        ("owner/name", "owner/name"),
    ],
)
def test_places_of_data(given: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig.load(overrides={"data.source": given, "data.test": given})
    saved = portable.configuration(config)["data"]
    assert (saved["source"], saved["test"]) == (kept, kept)
    for words in (["run", "--data", given], ["run", f"--data={given}"]):
        monkeypatch.setattr(sys, "argv", [str(Path("bin", "emotune")), *words])
        assert portable.command().replace("'", "").endswith(kept)
        assert "hush" not in portable.command()
