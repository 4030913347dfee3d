"""`emotune demo`: the page of a saved folder on a free port of this machine, until it is stopped."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.system import extras

pytest.importorskip("emotune.serve.server")


def test_a_missing_extra_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "uvicorn" else importlib.util.find_spec(name))
    done = CliRunner().invoke(app, ["demo", "folder"])
    assert done.exit_code == 2
    assert "pip install 'emotune[serve]'" in done.stderr


@pytest.mark.parametrize(("arguments", "fact"), [(["--port", "x"], "--port"), (["--port", "70000"], "port")])
def test_a_port_that_is_none_is_refused(arguments: list[str], fact: str) -> None:
    done = CliRunner().invoke(app, ["demo", "folder", *arguments])
    assert done.exit_code == 2
    assert fact in done.stderr


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "none"), "--no-open"])
    assert done.exit_code == 2
    assert "none" in done.stderr


@pytest.mark.slow
def test_serves_the_page_until_it_is_stopped(tiny_saved: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """The browser is a program that writes down the address it is given."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n', encoding="utf-8")
    browser.chmod(0o755)
    command = [sys.executable, "-m", "emotune", "demo", str(tiny_saved), "--base", str(tiny_bert)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"BROWSER": f"{browser} %s"}
    ) as demo:
        try:
            assert demo.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/", demo.stdout.readline())
            assert address
            with urllib.request.urlopen(address[0]) as page:
                assert b'<script type="module"' in page.read()
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    assert opened.read_text(encoding="utf-8").strip() == address[0]
