"""The service's own routes: predictions as from the library, limits, health, keys, ids, metrics and logs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.serve.gate import Gate
from emotune.serve.metrics import Metrics
from emotune.serve.models import Models
from emotune.serve.settings import ServeSettings
from tests.serve.conftest import PREDICT, client_of

KEY = "0123456789abcdef0123"
TEXTS = ["buda fe", "I am \u200f\u05e9\u05dc\u05d5\u05dd 😀", "x " * 200]


class TestPredictions:
    def test_are_those_of_the_library(self, client: TestClient, served_folder: Path) -> None:
        found = client.post(PREDICT, json={"texts": TEXTS}).json()
        expected = predict(load(served_folder), TEXTS, precision="fp32")
        assert found["model"] == "tuned"
        assert found["labels"] == list(expected.label_names)
        for row, prediction in enumerate(found["predictions"]):
            assert prediction["label"] == expected.labels[row]
            assert prediction["probability"] == max(prediction["probabilities"].values())
            assert list(prediction["probabilities"]) == found["labels"]
            np.testing.assert_allclose(
                list(prediction["probabilities"].values()), expected.probabilities[row], rtol=0, atol=1e-5
            )
        assert [prediction["truncated"] for prediction in found["predictions"]] == [False, False, True]

    def test_calibrated_ones_are_scaled(self, client: TestClient, served_folder: Path) -> None:
        found = client.post(PREDICT, json={"texts": TEXTS, "calibrated": True}).json()["predictions"]
        expected = predict(load(served_folder), TEXTS, precision="fp32", calibrated=True)
        rows = [list(prediction["probabilities"].values()) for prediction in found]
        np.testing.assert_allclose(rows, expected.probabilities, rtol=0, atol=1e-5)

    def test_calibrated_ones_of_a_model_without_temperature_are_refused(self, client: TestClient) -> None:
        found = client.post("/v1/models/other/predict", json={"texts": ["a"], "calibrated": True})
        assert (found.status_code, found.json()["error"]["type"]) == (422, "not_calibrated")

    def test_an_unsure_text_gets_no_label(self, client: TestClient) -> None:
        sure = client.post(PREDICT, json={"texts": TEXTS}).json()["predictions"]
        least = sorted(prediction["probability"] for prediction in sure)[1]
        found = client.post(PREDICT, json={"texts": TEXTS, "least_probability": least}).json()["predictions"]
        assert [prediction["label"] is None for prediction in found] == [
            prediction["probability"] < least for prediction in sure
        ]
        assert [prediction["probability"] for prediction in found] == [p["probability"] for p in sure]

    def test_top_k_gives_the_highest_first(self, client: TestClient) -> None:
        whole = client.post(PREDICT, json={"texts": TEXTS[:1]}).json()["predictions"][0]["probabilities"]
        found = client.post(PREDICT, json={"texts": TEXTS[:1], "top_k": 2}).json()["predictions"][0]["probabilities"]
        assert list(found.items()) == sorted(whole.items(), key=lambda pair: -pair[1])[:2]

    def test_many_texts_come_back_in_order(self, client: TestClient) -> None:
        texts = [f"{'buda ' * (number % 7 + 1)}{number}" for number in range(300)]
        many = client.post(PREDICT, json={"texts": texts}).json()["predictions"]
        for number in (0, 63, 64, 299):
            one = client.post(PREDICT, json={"texts": [texts[number]]}).json()["predictions"][0]
            assert many[number]["probability"] == pytest.approx(one["probability"], abs=1e-5)


class TestModels:
    def test_are_described(self, client: TestClient) -> None:
        found = client.get("/v1/models").json()["models"]
        assert [model["name"] for model in found] == ["tuned", "other"]
        assert set(found[0]) == {
            "name",
            "labels",
            "task",
            "base",
            "method",
            "max_length",
            "pairs",
            "calibrated",
            "report",
        }

    def test_an_unknown_one_is_refused_with_the_known_ones(self, client: TestClient) -> None:
        found = client.post("/v1/models/nobody/predict", json={"texts": ["a"]})
        assert found.status_code == 404
        assert found.json()["error"]["type"] == "model_not_found"
        assert "'tuned', 'other'" in found.json()["error"]["message"]


class TestHealth:
    def test_says_that_it_works(self, client: TestClient) -> None:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}

    def test_is_not_ready_once_it_stops(self, models: Models) -> None:
        found = client_of(models)
        with found:
            pass
        refused = found.get("/ready")
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "not_ready")


def test_an_application_can_be_started_again(models: Models) -> None:
    with client_of(models) as client:
        assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 200
    with client:
        assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 200


class TestKeys:
    @pytest.mark.parametrize(
        "header",
        [None, "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer", "Bearer \xe4"],
    )
    def test_a_wrong_one_is_refused(self, models: Models, header: str | None) -> None:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        with client_of(models, keys=(KEY,)) as client:
            found = client.post(PREDICT, json={"texts": ["a"]}, headers=headers)  # type: ignore[arg-type]
        assert (found.status_code, found.json()["error"]["type"]) == (401, "unauthorized")
        assert found.headers["www-authenticate"] == "Bearer"
        assert KEY not in found.text

    def test_each_is_taken(self, models: Models) -> None:
        keys = (KEY, "another-key-of-the-service")
        with client_of(models, keys=keys) as client:
            for key in keys:
                headers = {"Authorization": f"Bearer {key}"}
                assert client.post(PREDICT, json={"texts": ["a"]}, headers=headers).status_code == 200
                assert client.get("/metrics", headers=headers).status_code == 200

    def test_probes_need_none(self, models: Models) -> None:
        with client_of(models, keys=(KEY,)) as client:
            for path in ("/health", "/ready", "/v2/health/live", "/v2/health/ready"):
                assert client.get(path).status_code == 200
            for path in ("/metrics", "/v1/models", "/openapi.json", "/info", "/nothing", "/health/x"):
                assert client.get(path).status_code == 401

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/", 200), ("/static/a", 200), ("/static", 401), ("/v1/models", 401), ("/x/static/a", 401)],
    )
    def test_paths_of_the_page_may_be_open(self, path: str, status: int) -> None:
        async def plain(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        gate = Gate(plain, ServeSettings(keys=(KEY,)), Metrics(), ("/", "/static/"))
        assert TestClient(gate).get(path).status_code == status

    def test_are_not_shown_with_the_settings(self) -> None:
        assert KEY not in repr(ServeSettings(keys=(KEY,)))


class TestRequestIds:
    def test_a_good_one_is_kept(self, client: TestClient) -> None:
        assert client.get("/health", headers={"X-Request-ID": "a-1.b_2"}).headers["x-request-id"] == "a-1.b_2"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 200, 'a"b', "a\u00e4"])
    def test_another_is_replaced(self, client: TestClient, given: str) -> None:
        found = client.get("/health", headers={b"X-Request-ID": given.encode("latin-1")})
        assert len(found.headers["x-request-id"]) == 32

    def test_an_error_names_it(self, client: TestClient) -> None:
        found = client.get("/nothing", headers={"X-Request-ID": "mine"})
        assert found.json()["error"]["request_id"] == "mine"


class TestMetrics:
    def test_count_requests_labels_and_confidence(self, models: Models) -> None:
        with client_of(models) as client:
            answers = client.post(PREDICT, json={"texts": TEXTS}).json()["predictions"]
            client.get("/nothing")
            client.get("/also/nothing")
            lines = client.get("/metrics").text.splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        route = "/v1/models/{name}/predict"
        assert values[f'emotune_requests_total{{method="POST",route="{route}",status="200"}}'] == "1.0"
        assert values['emotune_requests_total{method="GET",route="none",status="404"}'] == "2.0"
        assert values[f'emotune_request_seconds_count{{route="{route}"}}'] == "1.0"
        assert values['emotune_batch_texts_sum{model="tuned"}'] == "3.0"
        assert values['emotune_truncated_texts_total{model="tuned"}'] == "1.0"
        assert values["emotune_queued_texts"] == "0.0"
        assert float(values['emotune_confidence_sum{model="tuned"}']) == pytest.approx(
            sum(answer["probability"] for answer in answers)
        )
        for label in models.get("tuned").predictor.labels:
            expected = sum(answer["label"] == label for answer in answers)
            assert float(values[f'emotune_predictions_total{{label="{label}",model="tuned"}}']) == expected


class TestLogs:
    @staticmethod
    def entries(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
        from emotune.serve.logs import JsonFormatter

        return [json.loads(JsonFormatter().format(r)) for r in caplog.records if r.name == "emotune.serve"]

    def test_hold_ids_and_no_text(self, models: Models, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="emotune.serve"), client_of(models) as client:
            client.post(PREDICT, json={"texts": ["a secret"]}, headers={"X-Request-ID": "mine"})
            client.get("/health")
        (entry,) = self.entries(caplog)
        assert entry["request_id"] == "mine"
        assert (entry["route"], entry["status"]) == ("/v1/models/{name}/predict", 200)
        assert (entry["model"], entry["texts"]) == ("tuned", 1)
        assert "secret" not in json.dumps(entry)

    def test_hold_texts_and_labels_if_asked(self, models: Models, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="emotune.serve"), client_of(models, log_texts=True) as client:
            answer = client.post(PREDICT, json={"texts": ["a secret\nof two lines"]}).json()
        (entry,) = self.entries(caplog)
        assert entry["given"] == ["a secret\nof two lines"]
        assert entry["labels"] == [answer["predictions"][0]["label"]]
