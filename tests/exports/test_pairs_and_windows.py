"""Exports of models of pairs, and of models that read long texts in windows, against the original."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import emotune
from emotune.exports.export import export
from emotune.exports.rows import calibration_texts, rows_to_check
from emotune.folder.format import read_description
from emotune.system.errors import DataError
from emotune.system.pairs import are_pairs

from ..tiny_models import make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier

FORMATS = (("merged", "fp32"), ("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "int8"))
PAIRS = [("badi bedo", "luvu"), ("luvu", "badi bedo"), ("badi " * 20, "bedo " * 25), ("badi " * 40, "bedo")]
TEXTS = ["badi bedo", "badi " * 30, "badi bedo defo luvu " * 30, "bedo " * 31]


def written(folder: Path, data: TextDataset, *, pairs: bool) -> Path:
    """The test rows, as pairs of their halves or four times as long as the limit."""
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("premise", "hypothesis", "label") if pairs else ("text", "label"))
        for text, label in zip(data.test.texts, data.test.label_ids, strict=True):
            words = text.split()
            texts = (" ".join(words[:3]), " ".join(words[3:])) if pairs else (f"{text} " * 20,)
            writer.writerow((*texts, data.labels[label]))
    return path


def printed(folder: Path, arguments: list[str]) -> list[list[str]]:
    command = [sys.executable, "-P", str(folder / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(("to", "precision"), FORMATS)
@pytest.mark.parametrize("kind", ["pairs", "windows"])
def test_an_export_gives_what_the_original_gives(
    kind: str,
    to: str,
    precision: str,
    tiny_tuned: TunedClassifier,
    tiny_bert: Path,
    tiny_data: TextDataset,
    tmp_path: Path,
) -> None:
    folder, output = tmp_path / "tuned", tmp_path / "export"
    dataclasses.replace(tiny_tuned, pairs=kind == "pairs", windows=kind == "windows").save(folder)
    data = written(tmp_path, tiny_data, pairs=kind == "pairs")
    calibration: Any = None
    if (to, precision) == ("openvino", "int8"):
        # Other texts than those of the check.
        calibration = tmp_path / "train.csv"
        calibration.write_text(data.read_text(encoding="utf-8").replace("badi", "luvu").replace("bedo", "defo"))
        lines = calibration.read_text(encoding="utf-8").splitlines()
        more = [f"{line.split(',')[0]} badi,{','.join(line.split(',')[1:])}" for line in lines[1:]]
        calibration.write_text("\n".join([lines[0], *more, ""]), encoding="utf-8")
    done = export(
        folder,
        to=to,
        precision=precision,
        output=output,
        data=data,
        calibration=calibration,
        margin=30,
        base=tiny_bert,
    )
    assert done.pairs == (kind == "pairs")
    if precision == "fp32":  # labels alone would not show that types of tokens are missing
        assert done.agreement.largest_difference < 1e-4

    asked: list[Any] = PAIRS if kind == "pairs" else TEXTS
    expected = emotune.predict(emotune.load(folder, base=tiny_bert), asked, precision="fp32")
    rows = printed(output, [side for pair in asked for side in pair] if kind == "pairs" else asked)
    assert [tuple(row[2:]) for row in rows] == [one if kind == "pairs" else (one,) for one in asked]
    if precision == "fp32":
        assert [row[0] for row in rows] == list(expected.labels)
        found = [float(row[1]) for row in rows]
        np.testing.assert_allclose(found, expected.probabilities.max(axis=1), atol=1e-3)

    readme = (output / "README.md").read_text(encoding="utf-8")
    assert ("classifier of pairs of texts" in readme) == (kind == "pairs")
    assert ("overlapping windows" in readme) == (kind == "windows")
    description = json.loads((output / "emotune_export.json").read_text(encoding="utf-8"))
    assert (description["pairs"], description["windows"]) == (kind == "pairs", kind == "windows")


@pytest.mark.slow
def test_an_odd_number_of_texts_is_no_list_of_pairs(
    tiny_tuned: TunedClassifier, tiny_bert: Path, tiny_data: TextDataset, tmp_path: Path
) -> None:
    dataclasses.replace(tiny_tuned, pairs=True).save(tmp_path / "tuned")
    data = written(tmp_path, tiny_data, pairs=True)
    export(tmp_path / "tuned", to="onnx", output=tmp_path / "export", data=data, base=tiny_bert)
    for arguments in ([], ["one"], ["one", "two", "three"]):
        command = [sys.executable, "-P", str(tmp_path / "export" / "run.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("Label pairs of texts: python run.py FIRST SECOND")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["distilbert", "gpt2", "roberta"])
def test_families_without_types_take_ids_and_mask(
    family: str, tiny_tokenizer: BertTokenizer, tiny_data: TextDataset, tiny_tuned: TunedClassifier, tmp_path: Path
) -> None:
    """A head only, on models whose pairs have no types of tokens."""
    import onnxruntime

    from emotune.methods.head import HeadOnly

    base = emotune.load_base(
        make_folder(family, tmp_path / family, tiny_tokenizer), labels=tiny_data.labels, max_length=32
    )
    tuned = dataclasses.replace(
        tiny_tuned,
        model=base.model,
        tokenizer=base.tokenizer,
        name=base.name,
        source=base.source,
        method=HeadOnly(),
        new_parameters=base.new_parameters,
        pairs=True,
    )
    tuned.save(tmp_path / "tuned")
    data = written(tmp_path, tiny_data, pairs=True)
    done = export(tmp_path / "tuned", to="onnx", output=tmp_path / "export", data=data, base=tmp_path / family)
    assert done.agreement.largest_difference < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "export" / "model.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["input_ids", "attention_mask"]


def test_rows_of_the_other_kind_are_refused(
    tiny_tuned: TunedClassifier, tiny_data: TextDataset, tmp_path: Path
) -> None:
    dataclasses.replace(tiny_tuned, pairs=True).save(tmp_path / "pairs")
    described = read_description(tmp_path / "pairs")
    single = written(tmp_path, tiny_data, pairs=False)
    with pytest.raises(DataError, match=r"has single texts, and .* was trained on pairs"):
        rows_to_check(tmp_path / "pairs", described, single)
    double = written(tmp_path, tiny_data, pairs=True)
    assert are_pairs(rows_to_check(tmp_path / "pairs", described, double).texts)
    assert are_pairs(calibration_texts(tmp_path / "pairs", described, double, ()).texts)
