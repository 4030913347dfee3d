"""An MLflow server on this machine, for tests that talk to one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

# On a busy machine the server takes a minute and more.
SECONDS_TO_START = 200


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """An MLflow server in a process group of its own."""

    process: subprocess.Popen[bytes]
    uri: str

    def end(self) -> None:
        """End the server and the processes that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an SQLite store and a folder of artifacts, on loopback, ended at the end of the module."""
    folder: Path = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "a"),
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
    started = Server(process, f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(started.uri):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the MLflow server did not start:\n{(folder / 'log.txt').read_text()}")
            time.sleep(0.5)
        yield started
    finally:
        started.end()


def answers(uri: str) -> bool:
    try:
        with urlopen(f"{uri}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
