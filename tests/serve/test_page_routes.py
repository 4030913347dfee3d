"""The page's own routes: the base model, the words, the facts and the report, and what they refuse."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotune.serve import explaining, page

from .folders import TEMPERATURE, save_served
from .stand_in import Model, StandIn

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier


@pytest.fixture(scope="module")
def folder(
    tiny_tuned: TunedClassifier, tiny_base: Classifier, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with everything that the page shows."""
    return save_served(tiny_tuned, tiny_base, tiny_data, tmp_path_factory.mktemp("served") / "tiny")


@pytest.fixture(scope="module")
def service(folder: Path, tiny_bert: Path) -> StandIn:
    """A service of the folder."""
    return StandIn({"tiny": Model.of("tiny", folder, tiny_bert)}, base=tiny_bert)


@pytest.fixture(scope="module")
def client(service: StandIn) -> Iterator[TestClient]:
    """A client of the service."""
    with TestClient(service.app()) as client:
        yield client


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["type"]


def test_page_and_files_come_with_a_policy_that_allows_no_other_host(client: TestClient) -> None:
    for path, kind in (("/", "text/html"), ("/static/page.js", "text/javascript"), ("/static/style.css", "text/css")):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kind)
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/static/page.py", "/static/..%2fpage.py", "/static/%2e%2e/page.py", "/static/index.html"]
)
def test_only_the_files_of_the_page_are_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_of_the_page_is_part_of_the_public_interface(service: StandIn) -> None:
    assert not [path for path in service.app().openapi()["paths"] if "page" in path or "static" in path]


def test_coverage_and_risk_are_those_of_the_saved_predictions(client: TestClient, folder: Path) -> None:
    import pyarrow.parquet as pq
    from scipy.special import softmax

    found = client.get("/page/tiny").json()
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    labels = [name for name in table if name.startswith("p_")]
    plain = np.column_stack([table[name] for name in labels])
    right = np.array(table["label"]) == np.array(table["prediction"])
    assert found["answered"]["rows"] == len(plain)
    for kind, probabilities in (("plain", plain), ("calibrated", softmax(np.log(plain) / TEMPERATURE, axis=1))):
        for percent in range(101):
            answered = probabilities.max(axis=1) >= percent / 100
            assert found["answered"][kind]["coverage"][percent] == pytest.approx(answered.mean())
            risk = found["answered"][kind]["risk"][percent]
            assert risk == (pytest.approx(1 - right[answered].mean()) if answered.any() else None)


def test_facts_of_a_folder_without_predictions(
    client: TestClient, service: StandIn, folder: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "predictions.parquet").unlink()
    model = replace(service.models["tiny"], folder=bare)
    with TestClient(StandIn({"bare": model}).app()) as other:
        found = other.get("/page/bare").json()
    assert found["answered"] is None
    assert found["examples"]


def test_facts_follow_a_folder_that_is_replaced(folder: Path, service: StandIn, tmp_path: Path) -> None:
    changed = shutil.copytree(folder, tmp_path / "changed")
    with TestClient(StandIn({"one": replace(service.models["tiny"], folder=changed)}).app()) as client:
        assert client.get("/page/one").json()["answered"]["calibrated"] is not None
        description = changed / "emotune.json"
        text = description.read_text(encoding="utf-8")
        description.write_text(text.replace(f'"temperature": {TEMPERATURE}', '"temperature": null'), encoding="utf-8")
        assert client.get("/page/one").json()["answered"]["calibrated"] is None


def test_a_damaged_folder_is_refused_without_its_place(folder: Path, service: StandIn, tmp_path: Path) -> None:
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / "predictions.parquet").write_bytes(b"nothing")
    with TestClient(StandIn({"one": replace(service.models["tiny"], folder=damaged)}).app()) as client:
        response = client.get("/page/one")
    assert error_of(response) == (409, "not_available")
    assert str(tmp_path) not in response.text
    assert "predictions.parquet" in response.text


def test_base_is_the_model_before_tuning(client: TestClient, tiny_base: Classifier) -> None:
    """The reference is transformers alone; the head is random, and the same each time."""
    import torch

    text = "bada fede some words"
    with torch.inference_mode():
        logits = tiny_base.model(**tiny_base.tokenizer([text], return_tensors="pt")).logits[0]
    found = client.post("/page/tiny/base", json={"text": text}).json()
    assert list(found["probabilities"]) == list(tiny_base.labels)
    assert list(found["probabilities"].values()) == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)
    assert found["is_chance"] is True
    assert found["name"] == tiny_base.name


def test_a_base_with_a_head_for_the_labels_is_not_chance(
    folder: Path, service: StandIn, tiny_base: Classifier, tmp_path: Path
) -> None:
    tiny_base.model.save_pretrained(tmp_path / "with-head")
    tiny_base.tokenizer.save_pretrained(tmp_path / "with-head")
    with TestClient(StandIn(service.models, base=tmp_path / "with-head").app()) as client:
        assert client.post("/page/tiny/base", json={"text": "bada"}).json()["is_chance"] is False


def test_words_are_those_of_the_attribution(client: TestClient, folder: Path, tiny_bert: Path) -> None:
    from emotune.evaluation.attribution import explain
    from emotune.folder.load import load

    tuned = load(folder, base=tiny_bert)
    text = "bada  fede,\tsome"
    expected = explain(tuned, [text], [tuned.labels.index("love")])
    assert expected is not None
    found = client.post("/page/tiny/words", json={"text": text, "label": "love"}).json()
    assert [word["text"] for word in found["words"]] == list(expected[0].pieces)
    assert [word["weight"] for word in found["words"]] == pytest.approx(expected[0].weights, abs=1e-3)
    assert "".join(word["gap"] + word["text"] for word in found["words"]) == text


def test_a_folder_whose_base_is_not_there_says_so(folder: Path, service: StandIn) -> None:
    with TestClient(StandIn(service.models, base=None).app()) as client:
        response = client.post("/page/tiny/base", json={"text": "bada"})
    assert error_of(response) == (409, "not_available")
    assert "--base" in response.text
    assert str(folder) not in response.text


@pytest.mark.parametrize("route", ["base", "words"])
@pytest.mark.parametrize(
    ("text", "status"), [("", 422), (" \u200b\n", 422), ("x" * 20_001, 422), ("\ud800", 422), (7, 422), (None, 422)]
)
def test_bad_texts_are_refused(client: TestClient, route: str, text: Any, status: int) -> None:
    import json

    body = json.dumps({"text": text, **({"label": "joy"} if route == "words" else {})})
    response = client.post(f"/page/tiny/{route}", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_words_are_weighed_in_short_texts_and_for_known_labels(client: TestClient) -> None:
    assert client.post("/page/tiny/words", json={"text": "x" * 2001, "label": "joy"}).status_code == 422
    assert error_of(client.post("/page/tiny/words", json={"text": "x", "label": "bliss"})) == (422, "unknown_label")


def test_odd_texts_are_answered(client: TestClient) -> None:
    for text in ("\0", "שלום עולם", "😀" * 50, "a\r\nb\u202e", "<script>alert(1)</script>", "x" * 1999):
        answer = client.post("/page/tiny/words", json={"text": text, "label": "joy"})
        assert answer.status_code == 200, text
        assert client.post("/page/tiny/base", json={"text": text}).status_code == 200, text


def test_an_unknown_model_is_refused_everywhere(client: TestClient) -> None:
    answers = (
        client.get("/page/none"),
        client.get("/page/none/report"),
        client.post("/page/none/base", json={"text": "x"}),
        client.post("/page/none/words", json={"text": "x", "label": "joy"}),
    )
    assert {error_of(answer) for answer in answers} == {(404, "unknown_model")}


def test_report_is_served_without_scripts(client: TestClient, folder: Path) -> None:
    response = client.get("/page/tiny/report")
    assert response.text == (folder / "report.html").read_text(encoding="utf-8")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert policy.endswith("sandbox")


def test_a_folder_without_a_report(service: StandIn, tiny_saved: Path) -> None:
    with TestClient(StandIn({"one": replace(service.models["tiny"], folder=tiny_saved)}).app()) as client:
        assert error_of(client.get("/page/one/report")) == (404, "not_found")


def test_questions_wait_in_a_short_line(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is answered, a few wait, the others are refused; predictions go on meanwhile."""
    go = threading.Event()
    begun: list[str] = []
    most: list[int] = []
    real = explaining.Background.words

    def slow(self: Any, text: str, label: str) -> Any:
        begun.append(text)
        go.wait(30)
        most.append(len(begun) - len(most))
        return real(self, text, label)

    monkeypatch.setattr(explaining.Background, "words", slow)
    monkeypatch.setattr(page, "MOST_WAITING", 2)
    statuses: list[int] = []
    with TestClient(service.app()) as client:

        def ask() -> None:
            answer = client.post("/page/tiny/words", json={"text": "bada", "label": "joy"})
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                assert answer.headers["retry-after"]

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(statuses) < 3:
            assert client.post("/v1/models/tiny/predict", json={"texts": ["bada"]}).status_code == 200
        go.set()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200, 200, 200, 429, 429, 429]
    assert most == [1, 1, 1]


def test_a_reloaded_folder_gets_a_new_background(service: StandIn, tiny_bert: Path) -> None:
    held = explaining.Backgrounds(tiny_bert)
    model = service.models["tiny"]
    first = held.of(model)
    assert held.of(model) is first
    from emotune.folder.load import load
    from emotune.inference.predictor import Predictor

    again = replace(model, predictor=Predictor(load(model.folder, base=tiny_bert)))
    assert held.of(again) is not first


def test_few_backgrounds_are_held_over_one_base(service: StandIn, tiny_bert: Path) -> None:
    held = explaining.Backgrounds(tiny_bert)
    models = [replace(service.models["tiny"], name=f"m{number}") for number in range(explaining.MOST_HELD + 2)]
    backgrounds = [held.of(model) for model in models]
    for background in backgrounds[-2:]:
        background.before(["bada"])
    weights = {background._base[0].model.get_input_embeddings().weight.data_ptr() for background in backgrounds[-2:]}
    assert len(weights) == 1
    assert held.of(models[-1]) is backgrounds[-1]
    assert held.of(models[0]) is not backgrounds[0]
