"""Ctrl-C on a real sweep: it ends at once, its trial with it, and what has finished is there for --resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..facts import states
from .conftest import SHARED


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c(tiny_files: Path, tiny_bert: Path, tmp_path: Path) -> None:
    settings = {**SHARED, "training.epochs": 100_000, "training.patience": 100_000}
    command = [
        *(sys.executable, "-u", "-m", "emotune", "sweep", "--methods", "lora", "--models", str(tiny_bert)),
        *("--data", str(tiny_files), "--output", str(tmp_path / "sweep")),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
        # A shell that starts the tests in the background makes them ignore it, and so the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "LoRA, seed 0: epoch 2," in line:
            break
    (work,) = (tmp_path / "sweep" / ".work").iterdir()
    trials = running(str(work))
    assert len(trials) == 1
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert states(errors.splitlines()[-1], "Stopped", "Finished trials are kept", "--resume")
    assert "Traceback" not in errors
    until = time.monotonic() + 20
    while running(str(work)) and time.monotonic() < until:
        time.sleep(0.1)
    assert running(str(work)) == []
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == [".lock", "sweep.json"]


def running(word: str) -> list[str]:
    """The numbers of the processes that have a word on their command line."""
    if not Path("/proc").is_dir():
        pytest.skip("this system does not list its processes in /proc")
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if word.encode() in words:
            found.append(path.parent.name)
    return found
