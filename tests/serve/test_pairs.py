"""Pairs of texts over every interface, against the predictor's own answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from emotune.folder.load import load
from emotune.inference.predictor import Predictor
from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.settings import ServeSettings

from .conftest import source

PAIRS = (("badi bedo", "luvu"), ("luvu", "badi bedo"))


@pytest.fixture(scope="module")
def folder(served_folder: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a model of pairs."""
    target = tmp_path_factory.mktemp("pairs") / "pairs"
    dataclasses.replace(load(served_folder), pairs=True).save(target)
    source(target, str(tiny_bert))
    return target


@pytest.fixture(scope="module")
def client(folder: Path, served_folder: Path) -> Iterator[TestClient]:
    app = make_app(Models.open([folder, served_folder], precision="fp32"), ServeSettings())
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    with Predictor(load(folder), precision="fp32") as predictor:
        found = predictor.predict(list(PAIRS))
    return {"labels": list(found.labels), "label_names": found.label_names, "probabilities": found.probabilities}


def test_v1(client: TestClient, expected: dict[str, Any]) -> None:
    answer = client.post("/v1/models/pairs/predict", json={"texts": PAIRS}).json()
    assert [row["label"] for row in answer["predictions"]] == expected["labels"]
    found = [list(row["probabilities"].values()) for row in answer["predictions"]]
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-6)
    assert not np.allclose(found[0], found[1])  # the order of the sides counts
    models = {row["name"]: row["pairs"] for row in client.get("/v1/models").json()["models"]}
    assert models == {"pairs": True, "tuned": False}


def test_text_embeddings_inference(client: TestClient, expected: dict[str, Any]) -> None:
    one = client.post("/predict", json={"inputs": PAIRS[0]}).json()
    assert one[0]["score"] == pytest.approx(expected["probabilities"][0].max(), abs=1e-6)
    batch = client.post("/predict", json={"inputs": PAIRS}).json()
    assert [row[0]["score"] for row in batch] == pytest.approx(expected["probabilities"].max(axis=1), abs=1e-6)
    for single in ("badi", ["badi"], [["badi"], ["bedo"]]):
        refused = client.post("/predict", json={"inputs": single})
        assert refused.status_code == 422
        assert "a single text" in refused.json()["error"]


def test_hugging_face(client: TestClient, expected: dict[str, Any]) -> None:
    inputs = [{"text": first, "text_pair": second} for first, second in PAIRS]
    for given in (inputs, inputs[0]):
        answer = client.post("/models/pairs", json={"inputs": given}).json()
        assert answer[0][0]["score"] == pytest.approx(expected["probabilities"][0].max(), abs=1e-6)


@pytest.mark.parametrize("data", [[*PAIRS[0], *PAIRS[1]], PAIRS])
def test_open_inference_protocol(client: TestClient, expected: dict[str, Any], data: Any) -> None:
    tensor = {"name": "text", "shape": [2, 2], "datatype": "BYTES", "data": data}
    answer = client.post("/v2/models/pairs/infer", json={"inputs": [tensor]}).json()
    assert answer["outputs"][0]["data"] == expected["labels"]
    assert client.get("/v2/models/pairs").json()["inputs"][0]["shape"] == [-1, 2]
    refused = client.post("/v2/models/pairs/infer", json={"inputs": [tensor | {"shape": [4]}]})
    assert refused.status_code == 422
    assert "shape [pairs, 2]" in refused.json()["error"]


@pytest.mark.parametrize(
    ("model", "texts", "said"),
    [
        ("pairs", ["badi"], "Text 1 is a single text, and this model takes pairs"),
        ("tuned", [["badi", "bedo"]], "Text 1 is a pair, and this model takes single texts"),
        ("pairs", [["badi", " "]], "The second text of pair 1 is blank"),
    ],
)
def test_the_other_kind_and_blank_sides_are_refused(
    client: TestClient, model: str, texts: list[Any], said: str
) -> None:
    refused = client.post(f"/v1/models/{model}/predict", json={"texts": texts})
    assert refused.status_code == 422
    assert said in refused.json()["error"]["message"]


def test_the_pages_routes_take_pairs(client: TestClient, expected: dict[str, Any]) -> None:
    first, second = PAIRS[0]
    pair = {"text": first, "text_pair": second}
    before = client.post("/page/pairs/base", json=pair)
    assert before.status_code == 200, before.text
    assert set(before.json()["probabilities"]) == set(expected["label_names"])
    other = client.post("/page/pairs/base", json={"text": second, "text_pair": first}).json()
    assert other["probabilities"] != before.json()["probabilities"]
    words = client.post("/page/pairs/words", json=pair | {"label": expected["labels"][0]}).json()["words"]
    assert [word["text"] for word in words] == [*first.split(), "␟", *second.split()]
    facts = client.get("/page/pairs").json()
    assert all(len(example) == 2 for example in facts["examples"])
    assert all(len(example) == 1 for example in client.get("/page/tuned").json()["examples"])


@pytest.mark.parametrize(
    ("model", "question", "said"),
    [
        ("pairs", {"text": "badi"}, "This is a single text, and this model takes pairs."),
        ("tuned", {"text": "badi", "text_pair": "bedo"}, "This is a pair, and this model takes single texts."),
        ("pairs", {"text": "badi", "text_pair": " "}, "The second text is blank"),
        ("pairs", {"text": " ", "text_pair": "badi"}, "The first text is blank"),
    ],
)
def test_the_pages_routes_refuse_the_other_kind_and_blank_sides(
    client: TestClient, model: str, question: dict[str, str], said: str
) -> None:
    refused = client.post(f"/page/{model}/base", json=question)
    assert refused.status_code == 422
    assert said in refused.json()["error"]["message"]


def test_limits_and_the_description_hold_for_pairs(client: TestClient, folder: Path) -> None:
    app = make_app(Models.open([folder], precision="fp32"), ServeSettings(max_characters=12, max_texts=2))
    with TestClient(app) as small:
        ask = "/v1/models/pairs/predict"
        both = small.post(ask, json={"texts": [["badi bedo", "luvu defo"]]})
        assert both.status_code == 422
        assert "at most 12" in both.json()["error"]["message"]
        assert small.post(ask, json={"texts": [["a", "b"]] * 3}).status_code == 413
        assert small.post(ask, json={"texts": [["a", "b", "c"]]}).status_code == 422
        assert small.post(ask, json={"texts": [["a"]]}).status_code == 422
        assert small.post(ask, json={"texts": [["a", "b"]]}).status_code == 200
    texts = client.get("/openapi.json").json()["components"]["schemas"]["PredictRequest"]["properties"]["texts"]
    kinds = texts["items"]["anyOf"]
    assert {"type": "string"} in kinds
    assert any(kind.get("minItems") == kind.get("maxItems") == 2 for kind in kinds if kind["type"] == "array")


def test_a_model_with_windows_reads_long_texts_whole(served_folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    target = tmp_path / "windows"
    tuned = dataclasses.replace(load(served_folder), windows=True)
    tuned.save(target)
    source(target, str(tiny_bert))
    texts = ["badi bedo " * 40 + end for end in ("luvu", "defo", "pave " * 30)]
    with Predictor(tuned, precision="fp32") as predictor:
        expected = predictor.predict(texts).probabilities
    with TestClient(make_app(Models.open([target], precision="fp32"), ServeSettings())) as client:
        found = client.post("/v1/models/windows/predict", json={"texts": texts}).json()["predictions"]
        before = client.post("/page/windows/base", json={"text": texts[0]}).json()["probabilities"]
        other = client.post("/page/windows/base", json={"text": texts[1]}).json()["probabilities"]
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in found], expected, atol=1e-6)
    assert not any(row["truncated"] for row in found)
    assert before != other  # the base model reads the end, too
