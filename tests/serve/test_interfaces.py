"""The interfaces that clients already speak: Text Embeddings Inference, the Hugging Face inference API, and V2."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from emotune.serve.models import Models
from tests.serve.conftest import PREDICT, client_of

INFER = "/v2/models/tuned/infer"


def scores(client: TestClient, text: str, model: str = "tuned") -> list[tuple[str, float]]:
    """Labels with probabilities by the service's own route, the highest first."""
    found = client.post(f"/v1/models/{model}/predict", json={"texts": [text]}).json()["predictions"][0]
    return sorted(found["probabilities"].items(), key=lambda pair: -pair[1])


def pairs(entries: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(entry["label"], pytest.approx(entry["score"], abs=1e-5)) for entry in entries]


class TestTextEmbeddingsInference:
    def test_a_text_gives_a_list_of_scores(self, client: TestClient) -> None:
        found = client.post("/predict", json={"inputs": "buda fe"}).json()
        assert scores(client, "buda fe") == pairs(found)

    def test_a_batch_is_a_list_of_lists(self, client: TestClient) -> None:
        found = client.post("/predict", json={"inputs": [["buda fe"], ["x y"]], "truncate": True}).json()
        assert [scores(client, "buda fe"), scores(client, "x y")] == [pairs(entries) for entries in found]

    def test_a_list_of_one_text_is_that_text(self, client: TestClient) -> None:
        one = client.post("/predict", json={"inputs": ["buda fe"]}).json()
        assert scores(client, "buda fe") == pairs(one)

    @pytest.mark.parametrize("inputs", [["a", "b"], [["a", "b"]], [["a"], ["a", "b"]]])
    def test_a_pair_is_refused(self, client: TestClient, inputs: Any) -> None:
        found = client.post("/predict", json={"inputs": inputs})
        assert found.status_code == 422
        assert set(found.json()) == {"error", "error_type"}
        assert "[[text], [text]]" in found.json()["error"]

    @pytest.mark.parametrize("inputs", [[], [[]], ["a", "b", "c"], [["a"], "b"], 3, None, {"a": "b"}])
    def test_other_shapes_are_refused(self, client: TestClient, inputs: Any) -> None:
        found = client.post("/predict", json={"inputs": inputs})
        assert found.status_code == 422
        assert found.json()["error_type"] == "Validation"

    def test_raw_scores_are_logits(self, client: TestClient, models: Models) -> None:
        found = client.post("/predict", json={"inputs": "buda fe", "raw_scores": True}).json()
        predictor = models.get("tuned").predictor
        expected = dict(zip(predictor.labels, predictor.logits_of(predictor.encode(["buda fe"]))[0], strict=True))
        assert {entry["label"]: pytest.approx(entry["score"], abs=1e-5) for entry in found} == expected

    def test_a_long_text_is_refused_if_asked(self, client: TestClient) -> None:
        long = "buda " * 100
        assert client.post("/predict", json={"inputs": long}).status_code == 200
        found = client.post("/predict", json={"inputs": long, "truncate": False})
        assert found.status_code == 413
        assert "32 tokens" in found.json()["error"]

    def test_uses_the_default_model(self, models: Models) -> None:
        with client_of(models, default="other") as client:
            found = client.post("/predict", json={"inputs": "buda fe"}).json()
            assert scores(client, "buda fe", "other") == pairs(found)
            assert client.get("/info").json()["model_id"] == "other"

    def test_info_describes_the_classifier(self, client: TestClient) -> None:
        found = client.get("/info").json()
        assert found["model_type"]["classifier"]["id2label"]["0"] == "sadness"
        assert found["model_type"]["classifier"]["label2id"]["surprise"] == 5
        assert (found["max_input_length"], found["model_dtype"]) == (32, "float32")


class TestHuggingFace:
    def test_a_text_gives_one_list_in_a_list(self, client: TestClient) -> None:
        found = client.post("/models/tuned", json={"inputs": "buda fe"}).json()
        assert [scores(client, "buda fe")] == [pairs(entries) for entries in found]

    def test_a_list_is_a_batch(self, client: TestClient) -> None:
        found = client.post("/models/tuned", json={"inputs": ["buda fe", "x y"], "parameters": {"top_k": 2}}).json()
        assert [scores(client, text)[:2] for text in ("buda fe", "x y")] == [pairs(entries) for entries in found]

    def test_the_function_is_the_task_s(self, client: TestClient) -> None:
        def ask(function: str) -> Any:
            body = {"inputs": "buda fe", "parameters": {"function_to_apply": function}}
            return client.post("/models/tuned", json=body)

        assert [scores(client, "buda fe")] == [pairs(entries) for entries in ask("softmax").json()]
        logits = [entry["score"] for entry in ask("none").json()[0]]
        exponents = np.exp(logits)
        expected = [value for _, value in scores(client, "buda fe")]
        np.testing.assert_allclose(exponents / exponents.sum(), expected, atol=1e-5)
        for function in ("sigmoid", "square"):
            refused = ask(function)
            assert refused.status_code == 422
            assert set(refused.json()) == {"error"}

    def test_options_of_the_hosted_service_are_taken(self, client: TestClient) -> None:
        body = {"inputs": "a", "options": {"wait_for_model": True, "use_cache": False}}
        assert client.post("/models/tuned", json=body).status_code == 200

    def test_other_parameters_are_refused(self, client: TestClient) -> None:
        found = client.post("/models/tuned", json={"inputs": "a", "parameters": {"temperature": 1}})
        assert found.status_code == 422
        assert "parameters.temperature is not known" in found.json()["error"]


class TestOpenInference:
    @staticmethod
    def body(data: Any, shape: list[int], **more: Any) -> dict[str, Any]:
        return {"inputs": [{"name": "text", "shape": shape, "datatype": "BYTES", "data": data}], **more}

    @pytest.mark.parametrize(
        ("data", "shape"), [(["buda fe", "x y"], [2]), (["buda fe", "x y"], [2, 1]), ([["buda fe"], ["x y"]], [2, 1])]
    )
    def test_gives_labels_and_probabilities(self, client: TestClient, data: Any, shape: list[int]) -> None:
        found = client.post(INFER, json=self.body(data, shape, id="mine")).json()
        expected = client.post(PREDICT, json={"texts": ["buda fe", "x y"]}).json()["predictions"]
        assert (found["model_name"], found["id"]) == ("tuned", "mine")
        label, probability, probabilities = found["outputs"]
        assert label == {
            "name": "label",
            "shape": [2],
            "datatype": "BYTES",
            "data": [entry["label"] for entry in expected],
        }
        assert probability["data"] == pytest.approx([entry["probability"] for entry in expected], abs=1e-5)
        assert (probabilities["shape"], probabilities["datatype"]) == ([2, 6], "FP64")
        flat = [value for entry in expected for value in entry["probabilities"].values()]
        assert probabilities["data"] == pytest.approx(flat, abs=1e-5)

    def test_gives_only_the_outputs_that_are_asked_for(self, client: TestClient) -> None:
        found = client.post(INFER, json=self.body(["a"], [1], outputs=[{"name": "probability"}])).json()
        assert [output["name"] for output in found["outputs"]] == ["probability"]
        assert "id" not in found

    def test_takes_parameters(self, client: TestClient) -> None:
        parameters = {"calibrated": True, "least_probability": 1.0}
        found = client.post(INFER, json=self.body(["a"], [1], parameters=parameters)).json()
        assert found["outputs"][0]["data"] == [""]
        expected = client.post(PREDICT, json={"texts": ["a"], "calibrated": True}).json()["predictions"][0]
        assert found["outputs"][1]["data"][0] == pytest.approx(expected["probability"], abs=1e-5)

    @pytest.mark.parametrize(
        "change",
        [
            {"shape": [3]},
            {"shape": [1, 2]},
            {"shape": []},
            {"datatype": "FP32"},
            {"name": "other"},
            {"data": []},
            {"data": [1, 2]},
            {"parameters": {"content_type": "base64"}},
        ],
    )
    def test_other_tensors_are_refused(self, client: TestClient, change: dict[str, Any]) -> None:
        body = self.body(["a", "b"], [2])
        body["inputs"][0] |= change
        found = client.post(INFER, json=body)
        assert found.status_code == 422
        assert set(found.json()) == {"error"}

    def test_binary_tensors_are_refused(self, client: TestClient) -> None:
        found = client.post(INFER, json=self.body(["a"], [1]), headers={"Inference-Header-Content-Length": "10"})
        assert found.status_code == 415

    def test_describes_service_and_model(self, client: TestClient) -> None:
        assert client.get("/v2").json()["name"] == "emotune"
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/v2/models/tuned/ready").json() == {"name": "tuned", "ready": True}
        found = client.get("/v2/models/tuned").json()
        assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert found["parameters"]["labels"][0] == "sadness"
        assert client.get("/v2/models/nobody").status_code == 404


class TestOpenApi:
    def test_describes_every_route_with_its_types(self, client: TestClient) -> None:
        found = client.get("/openapi.json").json()
        assert {
            "/v1/models",
            "/v1/models/{name}/predict",
            "/predict",
            "/info",
            "/health",
            "/ready",
            "/metrics",
            "/models/{name}",
            "/v2/models/{name}/infer",
        } <= set(found["paths"])
        assert "HTTPValidationError" not in json.dumps(found)

    def test_says_where_keys_are_needed(self, models: Models) -> None:
        key = "0123456789abcdef"
        with client_of(models, keys=(key,)) as client:
            found = client.get("/openapi.json", headers={"Authorization": f"Bearer {key}"}).json()
        assert found["security"] == [{"key": []}]

    def test_no_page_loads_anything_from_another_host(self, client: TestClient) -> None:
        assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
