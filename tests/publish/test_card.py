"""The card and the scores of a pushed folder, read by the Hub's own library."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.folder.files import CARD
from emotune.folder.format import read_description, write_description
from emotune.publish.card import card_for_hub, files_of_scores, has_license
from emotune.publish.texts import files_with_texts, in_words
from emotune.system.errors import ArtifactError

from ..conftest import described
from .conftest import mistakes_in_card

if TYPE_CHECKING:
    from emotune.folder.tuned import TunedClassifier

NAME = "user/emotions"


def card(folder: Path, **changes: Any) -> str:
    given: dict[str, Any] = {"license": None, "language": (), "left_out": ()} | changes
    return card_for_hub(folder, read_description(folder), NAME, **given)


def metadata(text: str) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    assert mistakes_in_card(text) == []
    data: Any = ModelCard(text).data
    return dict(data.to_dict())


def test_metadata_is_added_and_the_rest_is_kept(pushable: Path) -> None:
    own = metadata((pushable / CARD).read_text(encoding="utf-8"))
    pushed = metadata(card(pushable, license="apache-2.0", language=("en", "de")))
    assert pushed == own | {"license": "apache-2.0", "language": ["en", "de"]}
    assert metadata(card(pushable)) == own
    assert not {"license", "language"} & set(own)


@pytest.mark.parametrize(
    ("pairs", "windows", "said"),
    [
        (False, False, "on the first 32 tokens of each text; longer texts were cut there."),
        (True, False, "on the first 32 tokens of each pair of texts; of longer pairs, the longer text was cut"),
        (False, True, "on every text whole: one longer than 32 tokens in overlapping windows"),
    ],
)
def test_a_short_card_says_what_is_read(
    tiny_tuned: TunedClassifier, tmp_path: Path, pairs: bool, windows: bool, said: str
) -> None:
    saved = replace(tiny_tuned, pairs=pairs, windows=windows).save(tmp_path / "tuned")
    text = card(saved)
    assert said in text
    assert ('[("A man plays the guitar.", "Somebody makes music.")]' in text) == pairs
    assert f'emotune.load("{NAME}")' in text


def test_scores_are_those_of_the_folder(pushable: Path) -> None:
    after = described(pushable)["metrics"]["after"]
    (model,) = metadata(card(pushable))["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"name": "dair-ai/emotion", "type": "dair-ai/emotion", "split": "test"}
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [
        ("accuracy", pytest.approx(after["accuracy"], abs=1e-4)),
        ("f1", pytest.approx(after["macro_f1"], abs=1e-4)),
    ]
    assert all("36 rows of test" in metric["name"] for metric in result["metrics"])


def test_eval_results_are_read_by_the_library(pushable: Path) -> None:
    from huggingface_hub import parse_eval_result_entries

    yaml: Any = importlib.import_module("yaml")  # without types
    after = described(pushable)["metrics"]["after"]
    files = files_of_scores(read_description(pushable))
    assert set(files) == {".eval_results/accuracy.yaml", ".eval_results/macro_f1.yaml"}
    for path, text in files.items():
        (entry,) = parse_eval_result_entries(yaml.safe_load(text))
        assert entry.value == pytest.approx(after[Path(path).stem], abs=1e-4)
        assert (entry.dataset_id, entry.task_id, entry.date) == ("dair-ai/emotion", "split", "2026-01-02")
        assert "36 rows of the test split" in str(entry.notes)


@pytest.mark.parametrize("changes", [{"was_local": True}, {"name": "reviews.csv"}])
def test_data_that_the_hub_lacks_has_scores_in_the_card_only(folder: Path, changes: dict[str, Any]) -> None:
    description = read_description(folder)
    assert description.data is not None
    data = description.data.changed(**changes)
    changed = description.changed(data=data)
    write_description(folder, changed)
    assert files_of_scores(changed) == {}
    (folder / CARD).write_text("# Mine\n", encoding="utf-8")
    (model,) = metadata(card(folder))["model-index"]
    assert model["results"][0]["dataset"] == {"name": data.name, "type": "unknown", "split": "test"}


def test_a_folder_without_a_card_gets_a_short_one(tiny_saved: Path) -> None:
    text = card(tiny_saved)
    assert 'emotune.load("user/emotions")' in text
    data = metadata(text)
    assert (data["library_name"], data["pipeline_tag"]) == ("peft", "text-classification")
    assert "model-index" not in data


def test_code_has_the_name_on_the_hub(pushable: Path) -> None:
    text = card(pushable)
    assert "fine_tuned_lora_model" not in text
    assert 'folder, base_folder = "user/emotions", "where/the/base/model/is"' in text


def test_a_file_of_the_folder_is_opened_by_its_path_on_this_machine(folder: Path) -> None:
    code = '```python\nfolder = "fine_tuned_lora_model"\nload_file(f"{folder}/head.safetensors")\n```\n'
    (folder / CARD).write_text(code, encoding="utf-8")
    assert card(folder).endswith(
        "```python\nfrom huggingface_hub import snapshot_download\n"
        'folder = snapshot_download("user/emotions")\nload_file(f"{folder}/head.safetensors")\n```\n'
    )


def test_own_words_in_the_card_are_kept(folder: Path) -> None:
    (folder / CARD).write_text("---\nlicense: mit\nmine: yes\n---\n# My words\n", encoding="utf-8")
    text = card(folder)
    assert has_license(text)
    assert metadata(text)["mine"] is True
    assert text.endswith("# My words\n")


def test_metadata_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / CARD).write_text("---\na: [\n---\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"README\.md' has metadata that cannot be read"):
        card(folder)


def test_texts_are_counted_by_file(folder: Path) -> None:
    assert in_words(files_with_texts(folder)) == (
        "36 texts in predictions.parquet, 156 texts in quantization.parquet, 2 texts in report.html"
    )
    (folder / "report.html").unlink()
    (folder / "quantization.parquet").unlink()
    assert in_words(files_with_texts(folder)) == "36 texts in predictions.parquet"
    (folder / "predictions.parquet").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="is damaged"):
        files_with_texts(folder)
