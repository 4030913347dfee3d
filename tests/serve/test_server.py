"""The service as a process: stopping, reloading, clients that leave or send too much, and mistakes in the command."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.settings import ServeSettings, read_keys
from emotune.system.errors import ConfigError
from tests.serve.conftest import Running, changed_copy, listening

Start = Callable[..., AbstractContextManager[Running]]
KEY = "0123456789abcdef0123"
LONG = {"texts": ["buda fe " * 10] * 1000}


def ask(address: str, body: dict[str, Any], model: str = "tuned") -> httpx.Response:
    return httpx.post(f"{address}/v1/models/{model}/predict", json=body, timeout=60)


def raw_request(body: bytes, length: int | None = None) -> bytes:
    head = (
        "POST /v1/models/tuned/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


@pytest.fixture(scope="module")
def server(running: Start, served_folder: Path, other_folder: Path) -> Any:
    with running(str(served_folder), str(other_folder), "--precision", "fp32") as found:
        yield found
        assert ask(found.address, {"texts": ["buda"]}).status_code == 200
        assert not [entry for entry in found.entries() if entry.get("status", 0) >= 500]
        assert not [entry for entry in found.entries() if "traceback" in entry]
        assert found.stop() == 0


@pytest.mark.slow
class TestClients:
    """What clients do to one running service; each test asks it again at the end."""

    def test_ten_megabytes_are_refused_by_their_announced_length(self, server: Running) -> None:
        found = httpx.post(
            f"{server.address}/predict",
            content=b'{"inputs": "' + b"x" * 10_000_000 + b'"}',
            headers={"Content-Type": "application/json"},
        )
        assert found.status_code == 413
        assert "2,000,000 bytes" in found.json()["error"]

    def test_ten_megabytes_in_chunks_are_cut(self, server: Running) -> None:
        def chunks() -> Any:
            for _ in range(100):
                yield b"x" * 100_000

        found = httpx.post(
            f"{server.address}/models/tuned", content=chunks(), headers={"Content-Type": "application/json"}
        )
        assert found.status_code == 413
        assert "2,000,000 bytes" in found.json()["error"]

    def test_clients_that_hang_up_leave_nothing_behind(self, server: Running) -> None:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(raw_request(json.dumps(LONG).encode()))
        for cut in (10, 200):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(raw_request(b'{"texts": ["a', 1000)[:cut])
        started = time.monotonic()
        assert ask(server.address, {"texts": ["buda"]}).status_code == 200
        deadline = time.monotonic() + 30
        while "emotune_queued_texts 0.0" not in httpx.get(f"{server.address}/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert any(entry.get("status") == 499 for entry in server.entries()), time.monotonic() - started

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /health HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        ids=range(6),
    )
    def test_what_is_not_http_is_refused(self, server: Running, sent: bytes) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(sent)
            try:
                answered = connection.recv(4096)
            except ConnectionError:
                answered = b""
        assert answered.split(b" ")[:2] != [b"HTTP/1.1", b"500"]
        assert httpx.get(f"{server.address}/health").status_code == 200

    def test_many_requests_at_once_get_their_own_answers(self, server: Running) -> None:
        texts = [f"buda fe {number}" for number in range(40)]
        alone = {text: ask(server.address, {"texts": [text]}).json()["predictions"][0] for text in texts[:5]}

        async def all_at_once() -> list[httpx.Response]:
            limits = httpx.Limits(max_connections=64)
            async with httpx.AsyncClient(timeout=60, limits=limits) as client:
                return await asyncio.gather(
                    *(
                        client.post(
                            f"{server.address}/v1/models/{'other' if number % 3 == 0 else 'tuned'}/predict",
                            json={"texts": [texts[number % 40]]},
                        )
                        for number in range(600)
                    )
                )

        found = asyncio.run(all_at_once())
        assert {answer.status_code for answer in found} == {200}
        for number, answer in enumerate(found):
            assert answer.json()["model"] == ("other" if number % 3 == 0 else "tuned")
            if number % 3 and texts[number % 40] in alone:
                expected = alone[texts[number % 40]]
                assert answer.json()["predictions"][0]["probability"] == pytest.approx(
                    expected["probability"], abs=1e-5
                )

    def test_a_large_request_does_not_hold_up_a_small_one(self, server: Running) -> None:
        with ThreadPoolExecutor() as pool:
            large = [pool.submit(ask, server.address, LONG) for _ in range(3)]
            time.sleep(0.05)
            small = ask(server.address, {"texts": ["buda"]})
            assert small.status_code == 200
            assert all(len(found.result().json()["predictions"]) == 1000 for found in large)

    def test_the_client_of_the_hub_library_works(self, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        from huggingface_hub import InferenceClient, constants

        monkeypatch.setattr(constants, "is_offline_mode", lambda: False)  # the service is on this machine
        client = InferenceClient(model=f"{server.address}/models/tuned")
        found = client.text_classification("buda fe", top_k=2)
        expected = ask(server.address, {"texts": ["buda fe"], "top_k": 2}).json()["predictions"][0]["probabilities"]
        assert {entry.label: pytest.approx(entry.score, abs=1e-5) for entry in found} == expected


@pytest.mark.slow
def test_stopping_finishes_what_was_taken_in(running: Start, served_folder: Path) -> None:
    with running(str(served_folder)) as server, ThreadPoolExecutor() as pool:
        waiting = [pool.submit(ask, server.address, LONG) for _ in range(3)]
        deadline = time.monotonic() + 30
        while '_texts_count{model="tuned"}' not in (metrics := httpx.get(f"{server.address}/metrics").text):
            assert time.monotonic() < deadline, metrics
        server.process.send_signal(signal.SIGTERM)
        assert [len(found.result().json()["predictions"]) for found in waiting] == [1000] * 3
        assert server.process.wait(30) == 0
        assert server.entries()[-1]["event"] == "stopped"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.address}/health")


@pytest.mark.slow
def test_reloading_drops_no_request(running: Start, served_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(served_folder, tmp_path / "tuned")
    new = changed_copy(served_folder, tmp_path / "new", factor=0.5)
    with running(f"tuned={folder}", f"same={served_folder}") as server, ThreadPoolExecutor() as pool:

        def outcomes() -> list[tuple[str, str]]:
            return [(entry["model"], entry["outcome"]) for entry in server.entries() if entry["event"] == "reload"]

        def reload(number: int) -> list[tuple[str, str]]:
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 60
            while len(outcomes()) < number:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            return outcomes()[-2:]

        before = ask(server.address, {"texts": ["buda fe"]}).json()["predictions"][0]["probability"]
        assert reload(2) == [("tuned", "unchanged"), ("same", "unchanged")]
        folder.rename(tmp_path / "old")
        new.rename(folder)
        load = pool.submit(lambda: [ask(server.address, {"texts": ["buda fe"]}).status_code for _ in range(60)])
        assert reload(4) == [("tuned", "changed"), ("same", "unchanged")]
        assert set(load.result()) == {200}
        after = ask(server.address, {"texts": ["buda fe"]}).json()["predictions"][0]["probability"]
        assert after != before
        (folder / "adapter_model.safetensors").write_bytes(b"damaged")
        description = (folder / "emotune.json").read_text()
        (folder / "emotune.json").write_text(description + "\n")
        assert reload(6) == [("tuned", "failed"), ("same", "unchanged")]
        assert ask(server.address, {"texts": ["buda fe"]}).json()["predictions"][0]["probability"] == after
        metrics = httpx.get(f"{server.address}/metrics").text
        assert 'emotune_reloads_total{model="tuned",outcome="failed"} 1.0' in metrics


@pytest.mark.slow
def test_a_slow_body_is_given_up(models: Models) -> None:
    with listening(make_app(models, ServeSettings(page=False, body_seconds=0.3))) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(raw_request(b'{"texts"', 1000))
            answered = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answered.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in answered


class TestCommand:
    def invoke(self, *arguments: str, **environment: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["serve", *arguments], env=environment)
        return done.exit_code, done.stderr

    def test_a_port_in_use_is_refused(self, served_folder: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            code, said = self.invoke(str(served_folder), "--port", str(port))
        assert code == 2
        assert said == (
            f"Port {port} on 127.0.0.1 is in use. Stop the program that uses it, or choose another with --port.\n"
        )

    def test_an_unknown_host_is_refused(self, served_folder: Path) -> None:
        code, said = self.invoke(str(served_folder), "--host", "no.such.host.invalid")
        assert code == 2
        assert "--host 'no.such.host.invalid' is not known" in said

    @pytest.mark.parametrize(
        ("arguments", "facts"),
        [
            (["--port", "99999"], ("--port", "99999", "65535")),
            (["--max-texts", "0"], ("--max-texts", "0")),
            (["--max-texts", "10", "--max-queued-texts", "5"], ("--max-queued-texts", "5")),
            (["--default", "nobody"], ("nobody", "tuned")),
            (["--api-keys", "nothing.txt"], ("--api-keys", "nothing.txt")),
            (["--grace-seconds", "0"], ("--grace-seconds",)),
        ],
    )
    def test_wrong_options_are_refused(self, served_folder: Path, arguments: list[str], facts: tuple[str, ...]) -> None:
        code, said = self.invoke(str(served_folder), *arguments)
        assert code == 2, said
        assert all(fact in said for fact in facts), said
        assert said.count("\n") <= 3

    def test_a_missing_folder_is_refused(self) -> None:
        code, said = self.invoke("nothing-here")
        assert code == 2
        assert "nothing-here" in said

    def test_missing_libraries_are_named_with_the_line_that_installs_them(
        self, served_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from emotune.system import extras

        monkeypatch.setattr(extras, "find_spec", lambda name: None)
        code, said = self.invoke(str(served_folder))
        assert code == 2
        assert "pip install 'emotune[serve]'" in said


def test_other_commands_import_nothing_of_the_service() -> None:
    script = (
        "import sys, emotune.cli; print({'fastapi', 'uvicorn', 'prometheus_client', 'starlette'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


class TestKeys:
    def test_are_read_from_file_and_environment(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        file.write_text(f"# for the web shop\n{KEY}\n\n  second-key-of-the-shop  \n")
        assert read_keys(file, {}) == (KEY, "second-key-of-the-shop")
        assert read_keys(file, {"EMOTUNE_API_KEYS": f"third-key-of-the-shop,{KEY}"}) == (
            KEY,
            "second-key-of-the-shop",
            "third-key-of-the-shop",
        )
        assert read_keys(None, {}) == ()

    @pytest.mark.parametrize(
        "text", ["", "# only a comment\n", "short", "has-a-colon:0123456789", "k\u00e9y-0123456789abcdef"]
    )
    def test_wrong_ones_are_refused_and_not_shown(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "keys"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as raised:
            read_keys(file, {})
        assert not text.strip() or text not in str(raised.value)

    def test_an_empty_variable_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="EMOTUNE_API_KEYS is set and holds no key"):
            read_keys(None, {"EMOTUNE_API_KEYS": " "})
