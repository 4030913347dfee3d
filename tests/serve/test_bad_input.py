"""What clients get wrong: always an error of theirs that says what to do, and the service works on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from emotune.serve.models import Models
from tests.serve.conftest import PREDICT, client_of

JSON = {"Content-Type": "application/json"}


def refused(client: TestClient, body: bytes | str, status: int, kind: str, path: str = PREDICT) -> str:
    """Send a body, check how it is refused and that the next request works, and return the message."""
    found = client.post(path, content=body, headers=JSON)
    error = found.json()["error"]
    assert (found.status_code, error["type"]) == (status, kind), error
    assert client.post(PREDICT, json={"texts": ["buda"]}).status_code == 200
    return str(error["message"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"texts": ["a"]',
        b'{"texts": ["a"]} x',
        b"\x00",
        b'{"texts": ["a\x00"]}',
        b'{"texts": ["\xff\xfe"]}',
        b'\xff\xfe{"texts"',
        b'{"texts": ["\xed\xa0\x80"]}',
        b'{"texts": ["\\ud800"]}',
        b'{"texts": ["\\udc00\\ud800"]}',
        b"[" * 100_000,
        b'{"texts": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"texts=a",
    ],
    ids=range(14),
)
def test_what_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    found = client.post(PREDICT, content=body, headers=JSON)
    assert found.status_code == (422 if body == b"" else 400)
    assert found.json()["error"]["type"] in ("invalid_json", "invalid_request")
    assert client.post(PREDICT, json={"texts": ["buda"]}).status_code == 200


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "texts is missing"),
        ([], "object"),
        ("a", "object"),
        (None, "body"),
        ({"texts": []}, "at least 1"),
        ({"texts": "a"}, "texts"),
        ({"texts": [1]}, "texts.0.str: expected a text;"),
        ({"texts": [None]}, "texts.0"),
        ({"texts": [["a"]]}, "texts.0"),
        ({"texts": {"0": "a"}}, "texts"),
        ({"texts": ["a"], "calibrated": "yes"}, "calibrated: expected true or false"),
        ({"texts": ["a"], "least_probability": 2}, "least_probability: expected at most 1"),
        ({"texts": ["a"], "least_probability": float("nan")}, "least_probability"),
        ({"texts": ["a"], "least_probability": float("inf")}, "least_probability"),
        ({"texts": ["a"], "least_probability": "0.5"}, "least_probability"),
        ({"texts": ["a"], "top_k": 0}, "top_k"),
        ({"texts": ["a"], "top_k": 1.5}, "top_k: expected a whole number"),
        ({"texts": ["a"], "top_k": 10**40}, "top_k"),
        ({"texts": ["a"], "threshold": 0.5}, "threshold is not known"),
        ({"texts": ["a"], "\x1b[31m": 1}, "\\x1b[31m"),
    ],
)
def test_other_types_are_refused(client: TestClient, value: Any, said: str) -> None:
    if value == {"texts": ["a"], "top_k": 10**40}:
        assert client.post(PREDICT, json=value).status_code in (200, 422)
        return
    assert said in refused(client, json.dumps(value), 422, "invalid_request")


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\ufeff \u00ad"])
def test_blank_texts_are_refused(client: TestClient, text: str) -> None:
    assert "Text 2 is blank" in refused(client, json.dumps({"texts": ["a", text]}), 422, "blank_text")


def test_a_nul_character_is_refused(client: TestClient) -> None:
    assert "NUL" in refused(client, json.dumps({"texts": ["a\0b"]}), 422, "invalid_text")


def test_long_texts_are_refused(client: TestClient) -> None:
    message = refused(client, json.dumps({"texts": ["ab " * 33_334]}), 422, "text_too_long")
    assert "100,002 characters" in message
    assert "20,000" in message


@pytest.mark.parametrize(
    "text",
    [
        "😀",
        "👨‍👩‍👧‍👦" * 40,
        "\u202e\u05e9\u05dc\u05d5\u05dd\u202c",
        "مرحبا",
        "z\u0300\u0301" * 500,
        "\x1b[31mred",
        "a\u2028b",
        "\U0001d56c" * 30,
    ],
)
def test_unusual_texts_are_labelled(client: TestClient, text: str) -> None:
    found = client.post(PREDICT, json={"texts": [text]})
    assert found.status_code == 200
    assert found.json()["predictions"][0]["label"] in found.json()["labels"]


def test_too_many_texts_are_refused(models: Models) -> None:
    with client_of(models, max_texts=3) as client:
        message = refused(client, json.dumps({"texts": ["a"] * 4}), 413, "too_many_texts")
        assert "4 texts; at most 3" in message


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_type_of_body_is_refused(client: TestClient, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    found = client.post(PREDICT, content=b'{"texts": ["a"]}', headers=headers)
    assert (found.status_code, found.json()["error"]["type"]) == (415, "not_json")
    assert "Content-Type: application/json" in found.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_declared_in_any_way(client: TestClient, kind: str) -> None:
    found = client.post(PREDICT, content=b'{"texts": ["a"]}', headers={"Content-Type": kind})
    assert found.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", PREDICT, 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", PREDICT, 405),
        ("OPTIONS", "/predict", 405),
        ("TRACE", "/predict", 405),
        ("POST", "/v1/models//predict", 404),
        ("POST", "/v1/models/..%2f..%2fetc/predict", 404),
        ("POST", "/v1/models/%00/predict", 404),
        ("POST", "/v1/models/%ff/predict", 404),
    ],
)
def test_other_paths_and_methods_are_refused(client: TestClient, method: str, path: str, status: int) -> None:
    body: dict[str, Any] = {} if method == "GET" else {"json": {"texts": ["a"]}}
    found = client.request(method, path, **body)
    assert found.status_code == status, found.text
    assert "error" in found.json()
    if status == 405:
        assert found.headers["allow"]


def test_a_full_queue_refuses_with_a_time_to_wait(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(models, max_texts=3, max_queued_texts=5) as client:
        batcher = client.app.state.service.batcher  # type: ignore[attr-defined]
        monkeypatch.setattr(batcher, "_queued", 4)
        found = client.post(PREDICT, json={"texts": ["a", "b"]})
        assert (found.status_code, found.json()["error"]["type"]) == (429, "overloaded")
        assert found.headers["retry-after"] == "1"
        monkeypatch.setattr(batcher, "_queued", 0)
        assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 200


def test_a_bug_is_an_error_with_an_id_and_the_service_works_on(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.testclient import TestClient as Client

    from emotune.inference.predictor import Predictor
    from emotune.serve.app import make_app
    from emotune.serve.settings import ServeSettings

    def broken(self: Predictor, encoded: Any) -> Any:
        raise RuntimeError("out of memory")

    with Client(make_app(models, ServeSettings(page=False)), raise_server_exceptions=False) as client:
        with monkeypatch.context() as patched:
            patched.setattr(Predictor, "logits_of", broken)
            found = client.post(PREDICT, json={"texts": ["a"] * 70}, headers={"X-Request-ID": "mine"})
        assert found.status_code == 500
        assert found.json()["error"]["type"] == "internal"
        assert found.json()["error"]["request_id"] == "mine"
        assert "out of memory" not in found.text
        assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 200
