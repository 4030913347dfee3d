"""What stands beside an export's model: a tokenizer that cuts and pads by itself, configuration, script, README."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from transformers import BertTokenizer

from emotune.exports.description import ExportDescription, write_description
from emotune.exports.folder import write_companions, write_readme
from emotune.exports.formats import FORMATS, ExportOptions
from emotune.exports.tokenizer import write_tokenizer
from emotune.folder.format import read_description, sha256
from emotune.folder.tuned import TunedClassifier
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode
from emotune.system.errors import ArtifactError, ModelError
from emotune.tasks.single_label import SingleLabel

from ..tiny_models import make_tokenizer

TEXTS = ["bada bade", "bada " * 60, "nothing that the tokenizer knows whole", "é \u200d 🙂"]


class ManyLabels(SingleLabel):
    """Stands for a task whose texts have any number of labels."""

    name: ClassVar[str] = "many"

    def config(self, labels: Any) -> dict[str, Any]:
        return super().config(labels) | {"problem_type": "multi_label_classification"}


@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta"])
def test_tokenizer_json_gives_alone_what_emotune_gives_the_model(
    family: str, tiny_base: Classifier, tiny_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer

    tokenizer = make_tokenizer(family, tiny_tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    classifier = replace(tiny_base, tokenizer=tokenizer, max_length=12)
    write_tokenizer(classifier, tmp_path, alone=True)
    expected = encode(tokenizer, TEXTS, 12)
    found = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(TEXTS)
    batch = expected.batch(range(len(TEXTS)))
    np.testing.assert_array_equal([one.ids for one in found], batch["input_ids"].numpy())
    np.testing.assert_array_equal([one.attention_mask for one in found], batch["attention_mask"].numpy())
    assert expected.truncated > 0


def test_transformers_cuts_at_the_same_limit(tiny_base: Classifier, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tokenizer(replace(tiny_base, max_length=12), tmp_path, alone=True)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    expected = encode(tiny_base.tokenizer, TEXTS, 12).ids
    given = tokenizer(TEXTS, truncation=True)
    assert set(given) == {"input_ids", "attention_mask"}  # and no types of tokens, which some models do not take
    assert [list(ids) for ids in given["input_ids"]] == [ids.tolist() for ids in expected]
    assert tokenizer.model_max_length == 12


def test_the_classifier_s_own_tokenizer_stays_as_it_is(tiny_base: Classifier, tmp_path: Path) -> None:
    before = tiny_base.tokenizer.backend_tokenizer.to_str(), tiny_base.tokenizer.model_max_length
    write_tokenizer(replace(tiny_base, max_length=12), tmp_path, alone=True)
    assert (tiny_base.tokenizer.backend_tokenizer.to_str(), tiny_base.tokenizer.model_max_length) == before


def test_a_tokenizer_of_python_code_alone(tiny_base: Classifier, tmp_path: Path) -> None:
    class Bare:
        model_max_length = 10
        init_kwargs: ClassVar[dict[str, Any]] = {}
        padding_side = "right"

        def save_pretrained(self, folder: Path) -> None:
            (folder / "vocab.txt").write_text("a\n", encoding="utf-8")

    classifier = replace(tiny_base, tokenizer=Bare())
    with pytest.raises(ModelError, match=r"Bare, has no tokenizer.json.*--to merged"):
        write_tokenizer(classifier, tmp_path, alone=True)
    write_tokenizer(classifier, tmp_path, alone=False)
    assert (tmp_path / "vocab.txt").is_file()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("task", [SingleLabel(), ManyLabels()], ids=["one label", "many labels"])
def test_the_script(to: str, task: SingleLabel, tiny_tuned: TunedClassifier, tmp_path: Path) -> None:
    options = ExportOptions(to=to)  # type: ignore[arg-type]
    merged = tiny_tuned.method.merge(tiny_tuned.model)
    script = write_companions(replace(tiny_tuned, task=task), merged, options, tmp_path)
    assert (tmp_path / "run.py").read_text(encoding="utf-8") == script
    compile(script, "run.py", "exec")
    assert "emotune" not in script
    assert "{%" not in script
    assert "{{" not in script
    lines = [line for line in script.splitlines() if line and not line.startswith(("import ", "from ", '"""', "#"))]
    assert len(lines) <= 14
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {str(i): label for i, label in enumerate(tiny_tuned.labels)}
    assert isinstance(config["pad_token_id"], int)
    assert not config.get("_name_or_path")
    limit = json.loads((tmp_path / "sentence_bert_config.json").read_text(encoding="utf-8"))
    assert limit["max_seq_length"] == tiny_tuned.max_length


def test_the_readme_shows_names_literally(tiny_saved: Path, tmp_path: Path) -> None:
    described = read_description(tiny_saved).changed(
        labels=("`tick`", "<b>", "a|b", "[x](y)", "\x1b[31m", "*"),
    )
    options = ExportOptions(to="onnx", precision="int8")
    write_readme(tmp_path, options, "a`b", described, "print()\n", "How.", {"rows": "36"})
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# ``a`b`` as ONNX, int8\n")
    assert "`` `tick` ``, `<b>`, `a|b`, `[x](y)`, `\\x1b[31m`, `*`" in text
    assert "```python\nprint()\n```\n" in text
    assert "pip install numpy onnxruntime tokenizers" in text
    assert "| rows | 36 |" in text


def test_the_description_names_what_was_used(tiny_saved: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    options = ExportOptions(to="onnx", precision="int8")
    described = read_description(tiny_saved)
    found = write_description(tmp_path, options, "tuned", described, "", {"rows": 36})
    text = (tmp_path / "emotune_export.json").read_text(encoding="utf-8")
    assert ExportDescription.model_validate_json(text) == found
    assert found.files == {"model.onnx": sha256(tmp_path / "model.onnx")}
    assert found.source_files == described.files
    assert {"emotune", "torch", "onnx", "onnxruntime", "onnxscript", "tokenizers"} <= set(found.versions)
    assert found.labels == described.labels
    assert str(tiny_saved.parent) not in text


def test_a_command_that_is_given_an_export_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "emotune_export.json").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"is an export of emotune(.|\n)*run\.py"):
        read_description(tmp_path)
