"""`emotune compare` with folders that hold no predictions: they are scored on the rows of the others, or on `--data`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from emotune.data.load import load_split
from emotune.evaluation.folders import score_folder

from ..conftest import EMOTIONS
from ..facts import states
from ..models.test_heads import make_checkpoint
from .conftest import Invoke

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from ..conftest import Run

BACKWARDS = tuple(reversed(EMOTIONS))


@pytest.fixture
def plain(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Path:
    """A plain model whose labels stand in the opposite order of the data's."""
    return make_checkpoint(tmp_path / "plain", tiny_tokenizer, BACKWARDS)


def by_transformers(folder: Path, texts: list[str]) -> list[str]:
    """The labels that plain transformers gives, one text at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = [model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=40)).logits for text in texts]
    return [model.config.id2label[int(logits.argmax())] for logits in found]


def test_scores_equal_plain_transformers_in_any_order_of_labels(plain: Path, tiny_files: Path) -> None:
    rows = load_split(tiny_files / "test.csv", labels=EMOTIONS)
    found = score_folder(plain, rows, "plain")
    expected = by_transformers(plain, list(rows.texts))
    assert [EMOTIONS[number] for number in found.predictions] == expected
    truth = [EMOTIONS[number] for number in rows.label_ids]
    assert found.metrics.accuracy == pytest.approx(accuracy_score(truth, expected))
    assert found.metrics.macro_f1 == pytest.approx(f1_score(truth, expected, average="macro", zero_division=0))
    assert found.probabilities is not None
    assert found.logits is not None
    shifted = np.exp(found.logits.astype(np.float64))
    assert found.probabilities == pytest.approx(shifted / shifted.sum(1, keepdims=True))
    assert found.split.fingerprint == rows.fingerprint


def test_a_plain_folder_is_scored_on_the_rows_of_a_run(
    invoke: Invoke, tiny_run: Run, plain: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    compared = invoke("compare", tiny_run.result.folder, plain, "--output", page)
    assert compared.exit_code == 0, compared.stderr
    assert states(compared.stderr, "plain' is a plain transformers BertForSequenceClassification")
    assert "plain against" in page.read_text(encoding="utf-8")
    # The other way round, the same row-by-row differences are found.
    other = invoke("compare", plain, tiny_run.result.folder, "--output", tmp_path / "other.html")
    assert other.exit_code == 0, other.stderr
    accuracy = f"{tiny_run.result.comparison.after.metrics.accuracy:.4f}"
    assert accuracy in compared.stdout
    assert accuracy in other.stdout


@pytest.mark.slow
def test_given_rows_are_scored_anew_and_those_trained_on_are_said(
    invoke: Invoke, tiny_run: Run, hub_named_bert: Path, tiny_files: Path, plain: Path, tmp_path: Path
) -> None:
    data = ["--data", tiny_files / "train.csv", "--base", hub_named_bert, "--output", tmp_path / "page.html"]
    compared = invoke("compare", tiny_run.result.folder, plain, *data)
    assert compared.exit_code == 0, compared.stderr
    with (tiny_files / "train.csv").open(newline="", encoding="utf-8") as file:
        count = sum(1 for _ in csv.DictReader(file))
    assert states(compared.stdout, f"was trained on {count:,} rows of these {count:,}")


def test_what_cannot_be_compared_is_refused(
    invoke: Invoke, tiny_run: Run, plain: Path, tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    page = tmp_path / "page.html"
    second = make_checkpoint(tmp_path / "second", tiny_tokenizer, EMOTIONS, seed=1)
    alone = invoke("compare", plain, second, "--output", page)
    assert alone.exit_code == 2
    assert states(alone.stderr, "holds predictions. Give labelled rows to score them on: --data DATA.")
    others = make_checkpoint(tmp_path / "others", tiny_tokenizer, ("yes", "no"))
    refused = invoke("compare", tiny_run.result.folder, others, "--output", page)
    assert refused.exit_code == 2
    assert states(refused.stderr, "has the labels 'yes', 'no'; the rows to compare on have 'sadness'")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", "label": "joy", "prediction": "joy"}) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "a", "label": "joy", "prediction": "fear"}) + "\n")
    files = invoke("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--data", "bundled:sample", "--output", page)
    assert files.exit_code == 2
    assert states(files.stderr, "--data is for folders")
    assert not page.exists()


def test_labels_of_the_rows_are_renamed_as_the_message_says(
    invoke: Invoke, plain: Path, tmp_path: Path, tiny_tokenizer: BertTokenizer
) -> None:
    second = make_checkpoint(tmp_path / "second", tiny_tokenizer, EMOTIONS, seed=1)
    rows = [{"text": f"some text {number}", "label": "Joy" if number % 2 else "fear"} for number in range(8)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    given = ["compare", plain, second, "--data", tmp_path / "rows.jsonl", "--output", tmp_path / "page.html"]
    refused = invoke(*given)
    assert refused.exit_code == 2
    assert "--map Joy=joy" in refused.stderr
    assert invoke(*given, "--map", "Joy=joy").exit_code == 0
    alone = invoke("compare", plain, second, "--map", "Joy=joy", "--output", tmp_path / "other.html")
    assert states(alone.stderr, "--map renames labels of the rows of --data")
