"""A model of several labels per text, once it is trained: served, exported, watched, pushed and reproduced.

The reference is plain transformers on the merged model: its logits, their sigmoid, and the thresholds of the folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import expit
from starlette.testclient import TestClient

import emotune
from emotune.folder.format import read_description
from emotune.publish.card import card_for_hub
from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.settings import ServeSettings

from .conftest import Invoke

if TYPE_CHECKING:
    from ..conftest import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(several_run: Run) -> Path:
    return several_run.result.folder


@pytest.fixture(scope="module")
def base(several_run: Run) -> str:
    return str(several_run.settings["model.name"])


@pytest.fixture(scope="module")
def texts(several_run: Run) -> list[str]:
    return list(several_run.result.comparison.after.split.texts[:6])


@pytest.fixture(scope="module")
def merged(folder: Path, base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("exports") / "merged"
    emotune.export(folder, to="merged", output=output, base=base)
    return output


@pytest.fixture(scope="module")
def shares(merged: Path, texts: list[str]) -> np.ndarray[Any, Any]:
    """Probabilities of plain transformers, shape (texts, labels), one text at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(merged)
    model: Any = AutoModelForSequenceClassification.from_pretrained(merged).eval()
    assert model.config.problem_type == "multi_label_classification"
    with torch.no_grad():
        rows = [
            model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=32)).logits[0] for text in texts
        ]
    return np.asarray(expit(torch.stack(rows).numpy().astype(np.float64)))


def expected(folder: Path, shares: np.ndarray[Any, Any]) -> list[list[str]]:
    """The labels whose probability reaches the threshold that the folder states."""
    described = json.loads((folder / "emotune.json").read_text(encoding="utf-8"))
    least = described["thresholds"]
    found = [
        [label for label, share, at in zip(described["labels"], row, least, strict=True) if share >= at]
        for row in shares.tolist()
    ]
    assert len(set(map(tuple, found))) > 2
    return found


def test_the_service_gives_lists_of_labels(
    folder: Path, base: str, texts: list[str], shares: np.ndarray[Any, Any]
) -> None:
    models = Models.open([f"several={folder}"], base=base, precision="fp32", device="cpu")
    with TestClient(make_app(models, ServeSettings())) as client:
        found = client.post("/v1/models/several/predict", json={"texts": texts}).json()["predictions"]
        assert [one["label"] for one in found] == expected(folder, shares)
        assert np.allclose([list(one["probabilities"].values()) for one in found], shares, atol=1e-5)
        ranked = client.post(
            "/models/several", json={"inputs": texts[0], "parameters": {"function_to_apply": "sigmoid"}}
        ).json()[0]
        assert [one["score"] for one in ranked] == pytest.approx(sorted(shares[0], reverse=True), abs=1e-5)
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
        outputs = client.post("/v2/models/several/infer", json={"inputs": [tensor]}).json()["outputs"]
        assert outputs[0]["data"] == [", ".join(names) for names in expected(folder, shares)]
        counted = client.get("/metrics").text
        for label in read_description(folder).labels:
            number = sum(label in names for names in expected(folder, shares)) * 2 + (
                label in expected(folder, shares)[0]
            )
            assert f'emotune_predictions_total{{label="{label}",model="several"}} {number:.1f}' in counted
        assert client.get("/page/several").json()["answered"] is None


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_exports_decide_by_the_thresholds(
    to: str, folder: Path, base: str, texts: list[str], shares: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    emotune.export(folder, to=to, output=tmp_path / to, base=base)
    described = json.loads((tmp_path / to / "emotune_export.json").read_text(encoding="utf-8"))
    assert described["check"]["changed_labels"] == 0
    assert "accuracy_before" not in described["check"]
    assert described["check"]["subset_accuracy_before"] == pytest.approx(described["check"]["subset_accuracy_after"])
    check_script(tmp_path / to, folder, texts, shares)


def test_the_merged_model_s_script_decides_likewise(
    merged: Path, folder: Path, texts: list[str], shares: np.ndarray[Any, Any]
) -> None:
    check_script(merged, folder, texts, shares)


def check_script(export: Path, folder: Path, texts: list[str], shares: np.ndarray[Any, Any]) -> None:
    done = subprocess.run([sys.executable, str(export / "run.py"), *texts], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [", ".join(names) or "no label" for names in expected(folder, shares)]
    assert [row[-1] for row in rows] == texts
    labels = read_description(folder).labels
    for row, own in zip(rows, shares, strict=True):
        printed = dict(cell.rsplit(" ", 1) for cell in row[1:-1])
        assert [float(printed[label]) for label in labels] == pytest.approx(own, abs=1e-3)


def test_drift_is_found_per_label(invoke: Invoke, folder: Path, base: str, several_run: Run, tmp_path: Path) -> None:
    after = several_run.result.comparison.after
    labels, given = after.split.labels, after.predictions
    rarest = int(given.sum(axis=0).argmin())
    texts = [text for text, row in zip(after.split.texts, given, strict=True) if row[rarest]]
    assert 0 < len(texts) < len(given)
    (tmp_path / "one.txt").write_text("\n".join(texts * 3) + "\n")
    found = invoke("drift", folder, tmp_path / "one.txt", "--base", base, "--json")
    assert found.exit_code == 0, found.output
    drift = json.loads(found.stdout)
    assert [shift["name"] for shift in drift["shifts"]][: len(labels)] == [f"label '{label}'" for label in labels]
    assert drift["shares"][labels[rarest]] == pytest.approx([len(texts) / len(given), 1.0])
    assert f"label '{labels[rarest]}' differs by" in drift["verdict"]


def test_the_card_names_the_task(folder: Path) -> None:
    card = card_for_hub(folder, read_description(folder), "user/several", license="mit", language=["en"], left_out=())
    assert "- multi-label" in card
    assert "multi_label_classification" in card
    assert "license: mit" in card


def test_the_job_is_reproduced(invoke: Invoke, folder: Path, base: str, several_files: Path) -> None:
    again = invoke("reproduce", folder, "--data", several_files, "--model", base)
    assert again.exit_code == 0, again.output
    assert "Reproduced: the same probabilities on 36 test rows, bit for bit." in again.stdout
