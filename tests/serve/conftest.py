"""Fixtures of the service: tiny folders behind an application in memory, and behind a process that listens."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from safetensors.torch import load_file, save_file
from starlette.testclient import TestClient

from emotune.folder.load import load
from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.server import listening_socket
from emotune.serve.settings import ServeSettings

PREDICT = "/v1/models/tuned/predict"


def changed_copy(folder: Path, target: Path, factor: float) -> Path:
    """Copy a folder, with its weights times a factor, and what `emotune.json` says about them."""
    base = json.loads((folder / "emotune.json").read_text())["base_model"]["source"]
    work = target.with_name(target.name + "-work")
    shutil.copytree(folder, work)
    weights = load_file(work / "adapter_model.safetensors")
    save_file(
        {name: tensor * factor for name, tensor in weights.items()},
        work / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    dataclasses.replace(load(work, base=base), temperature=None).save(target)
    source(target, base)
    shutil.rmtree(work)
    return target


def source(folder: Path, base: str | None) -> None:
    """Write into a folder where its base model is, as for one from the Hub."""
    description = json.loads((folder / "emotune.json").read_text())
    description["base_model"]["source"] = base
    (folder / "emotune.json").write_text(json.dumps(description))


@pytest.fixture(scope="session")
def served_folder(tiny_saved: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny folder "tuned", which says where its base is, with a temperature and a report."""
    folder = Path(shutil.copytree(tiny_saved, tmp_path_factory.mktemp("served") / "tuned"))
    source(folder, str(tiny_bert))
    description = json.loads((folder / "emotune.json").read_text())
    description["temperature"] = 2.0
    (folder / "emotune.json").write_text(json.dumps(description))
    (folder / "report.html").write_text("<p>report</p>")
    return folder


@pytest.fixture(scope="session")
def other_folder(served_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another folder, "other", on the same base: other weights, no temperature."""
    return changed_copy(served_folder, tmp_path_factory.mktemp("served") / "other", factor=1.5)


@pytest.fixture(scope="session")
def models(served_folder: Path, other_folder: Path) -> Models:
    """Both folders over one base."""
    return Models.open([served_folder, other_folder], precision="fp32")


@pytest.fixture
def client(models: Models) -> Iterator[TestClient]:
    """A client of the application with the usual settings."""
    with TestClient(make_app(models, ServeSettings(page=False))) as found:
        yield found


def client_of(models: Models, **settings: Any) -> TestClient:
    """A client of an application with these settings; use it as a context."""
    return TestClient(make_app(models, ServeSettings(page=False, **settings)))


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """Serve an application from a thread of this process, and yield its address."""
    with listening_socket("127.0.0.1", 0) as found:
        server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [found]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@dataclass
class Running:
    """A service in a process of its own.

    Attributes:
        process: The process.
        address: Its address.
        log: The file of its log.
    """

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def entries(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Running]]:
    """Function that starts a service with arguments of the command, and environment variables."""

    @contextmanager
    def start(*arguments: str, **environment: str) -> Iterator[Running]:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        log = tmp_path_factory.mktemp("log") / "log.jsonl"
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "emotune",
            "serve",
            *arguments,
            "--port",
            str(port),
            "--no-page",
        ]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=stream, env={**os.environ, **environment}
            )
        try:
            deadline = time.monotonic() + 120
            while b'"started"' not in log.read_bytes():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield Running(process, f"http://127.0.0.1:{port}", log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)

    return start
