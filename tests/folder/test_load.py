"""The saved folder: its files, no trace of the machine that made it, the same logits when loaded, and damage that is said."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emotune.evaluation.evaluate import evaluate
from emotune.folder import load as loading
from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.system.errors import ArtifactError, ModelError, OutputError

from ..conftest import described

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier

WEIGHTS = "adapter_model.safetensors"
FILES = {"README.md", WEIGHTS, "adapter_config.json", "config.json", "emotune.json"} | {
    "tokenizer.json",
    "tokenizer_config.json",
    "quantization.parquet",
}


@pytest.fixture
def folder(tiny_saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved folder that a test may damage."""
    return Path(shutil.copytree(tiny_saved, tmp_path / "copy"))


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


class TestSaved:
    def test_the_files(self, tiny_saved: Path) -> None:
        assert {path.name for path in tiny_saved.iterdir()} == FILES

    def test_is_small(self, tiny_saved: Path, tiny_tuned: TunedClassifier) -> None:
        """Adapter and head alone: four bytes a trained parameter, and names."""
        weights = load_file(tiny_saved / WEIGHTS)
        assert sum(tensor.numel() for tensor in weights.values()) == tiny_tuned.training.trainable_parameters
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}

    def test_the_labels_are_in_the_configuration(self, tiny_saved: Path, tiny_data: TextDataset) -> None:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(tiny_saved)
        assert config.id2label == dict(enumerate(tiny_data.labels))
        assert config.label2id == {label: i for i, label in enumerate(tiny_data.labels)}
        assert config.num_labels == len(tiny_data.labels)

    def test_the_base_is_named_and_not_located(self, tiny_saved: Path) -> None:
        adapter = json.loads((tiny_saved / "adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == "tiny-bert"
        assert adapter["task_type"] == "SEQ_CLS"
        assert adapter["inference_mode"] is True

    def test_the_tokenizer_is_as_loaded_and_cuts_where_training_did(
        self, tiny_saved: Path, tiny_tuned: TunedClassifier, tiny_base: Classifier
    ) -> None:
        from transformers import AutoTokenizer

        predict(tiny_tuned, ["badi " * 50])  # leaves truncation switched on in the tokenizer
        tokenizer = AutoTokenizer.from_pretrained(tiny_saved)
        state = json.loads((tiny_saved / "tokenizer.json").read_text())
        assert state["truncation"] is None
        assert state["padding"] is None
        assert tokenizer.model_max_length == tiny_base.max_length
        for text in ("Badi bedo, bidu!", "naïve café", "badi " * 50):
            assert tokenizer(text)["input_ids"] == tiny_base.tokenizer(text)["input_ids"]
            cut = tiny_base.tokenizer(text, truncation=True, max_length=tiny_base.max_length)["input_ids"]
            assert tokenizer(text, truncation=True)["input_ids"] == cut

    def test_saving_twice_gives_the_same_weights_and_leaves_the_model_as_it_was(
        self, tiny_saved: Path, tiny_tuned: TunedClassifier, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        before = evaluate(tiny_tuned, tiny_data.test).logits
        tiny_tuned.save(tmp_path / "again")
        np.testing.assert_array_equal(evaluate(tiny_tuned, tiny_data.test).logits, before)
        for name in FILES - {"emotune.json", "adapter_config.json"}:
            assert (tmp_path / "again" / name).read_bytes() == (tiny_saved / name).read_bytes(), name

    def test_an_untuned_model_is_refused(self, tiny_base: Classifier, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match=r"'tiny-bert' was not fine-tuned.*Call finetune"):
            tiny_base.save(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_what_stands_there_is_replaced_only_if_asked(self, tiny_tuned: TunedClassifier, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(OutputError, match="not empty"):
            tiny_tuned.save(tmp_path / "out")
        with pytest.raises(OutputError, match="not a result of emotune"):
            tiny_tuned.save(tmp_path / "out", overwrite=True)
        assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
        (tmp_path / "out" / "emotune.json").write_text("{}")
        assert tiny_tuned.save(tmp_path / "out", overwrite=True) == tmp_path / "out"
        assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


class TestDescription:
    def test_says_everything_that_loading_needs(self, tiny_saved: Path, tiny_tuned: TunedClassifier) -> None:
        description = described(tiny_saved)
        assert description["format"] == 2
        assert description["task"] == "single-label"
        assert description["base_model"] == {
            "name": "tiny-bert",
            "source": None,
            "revision": None,
            "made_from": "",
        }
        assert tuple(description["labels"]) == tiny_tuned.labels
        assert (description["max_length"], description["training"]["seed"]) == (32, 0)
        assert description["method"]["name"] == "lora"
        assert description["method"]["r"] == 16
        training = tiny_tuned.training
        assert description["training"]["train_examples_per_second"] == training.train_examples_per_second
        assert len(description["training"]["epochs"]) == len(training.epochs)
        assert {"emotune", "python", "torch", "transformers", "peft"} <= description["versions"].keys()

    def test_holds_the_checksums_of_the_files(self, tiny_saved: Path) -> None:
        import hashlib

        files = described(tiny_saved)["files"]
        assert files.keys() == FILES - {"README.md", "emotune.json"}
        for name, digest in files.items():
            assert hashlib.sha256((tiny_saved / name).read_bytes()).hexdigest() == digest

    def test_holds_texts_with_their_logits(self, tiny_saved: Path, tiny_tuned: TunedClassifier) -> None:
        probes = described(tiny_saved)["verification"]
        assert len(probes["texts"]) == len(set(probes["texts"])) >= 5
        with torch.no_grad():
            batch = tiny_tuned.tokenizer(
                probes["texts"], padding=True, truncation=True, max_length=32, return_tensors="pt"
            )
            logits = tiny_tuned.model(**batch).logits
        np.testing.assert_allclose(probes["logits"], logits.numpy(), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("source", "name", "revision", "expected"),
        [
            ("bert-base-uncased", "bert-base-uncased", "86b5e09", "bert-base-uncased"),
            ("bundled:minilm", "sentence-transformers/all-MiniLM-L6-v2", None, "bundled:minilm"),
            ("/home/me/tiny-bert", "tiny-bert", None, None),
            ("/home/me/bert-base-uncased", "bert-base-uncased", "86b5e09", None),  # a local copy given at load
            ("tiny-bert", "tiny-bert", None, None),  # a folder in the current one
        ],
    )
    def test_the_source_of_the_base_is_never_a_local_folder(
        self, tiny_tuned: TunedClassifier, source: str, name: str, revision: str | None, expected: str | None
    ) -> None:
        classifier = dataclasses.replace(tiny_tuned, source=source, name=name, revision=revision)
        assert classifier.portable_source == expected


def test_no_file_tells_of_the_machine(tiny_saved: Path, tiny_bert: Path) -> None:
    for place in (tiny_saved, tiny_saved.parent, tiny_bert, tiny_bert.parent, Path.cwd(), Path.home()):
        for file in tiny_saved.rglob("*"):
            assert str(place).encode() not in file.read_bytes(), (file.name, place)


class TestLoaded:
    def test_gives_bitwise_the_same_logits(
        self, tiny_saved: Path, tiny_bert: Path, tiny_tuned: TunedClassifier, tiny_data: TextDataset
    ) -> None:
        loaded = load(tiny_saved, base=tiny_bert)
        expected, found = (evaluate(classifier, tiny_data.test).logits for classifier in (tiny_tuned, loaded))
        np.testing.assert_array_equal(found, expected)

    def test_is_a_tuned_classifier_as_it_was_saved(
        self, tiny_saved: Path, tiny_bert: Path, tiny_tuned: TunedClassifier
    ) -> None:
        loaded = load(str(tiny_saved), base=str(tiny_bert))
        assert loaded.is_tuned
        for field in ("name", "revision", "labels", "max_length", "task", "method", "training"):
            assert getattr(loaded, field) == getattr(tiny_tuned, field), field
        assert not any(module.training for module in loaded.model.modules())

    def test_can_be_saved_again(
        self, tiny_saved: Path, tiny_bert: Path, tiny_tuned: TunedClassifier, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        load(tiny_saved, base=tiny_bert).save(tmp_path / "again")
        again = load(tmp_path / "again", base=tiny_bert)
        expected, found = (evaluate(classifier, tiny_data.test).logits for classifier in (tiny_tuned, again))
        np.testing.assert_array_equal(found, expected)
        assert str(tiny_bert) not in (tmp_path / "again" / "emotune.json").read_text()

    def test_the_card_is_the_readers_to_edit(self, folder: Path, tiny_bert: Path) -> None:
        (folder / "README.md").unlink()
        load(folder, base=tiny_bert)

    def test_a_base_that_was_local_must_be_given(self, tiny_saved: Path) -> None:
        with pytest.raises(ArtifactError, match=r"local folder \('tiny-bert'\).*--base FOLDER"):
            load(tiny_saved)

    def test_a_base_that_is_not_there(self, tiny_saved: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="There is no folder"):
            load(tiny_saved, base=tmp_path / "missing")

    def test_a_base_of_another_size(self, tiny_saved: Path, tiny_tuned: TunedClassifier, tmp_path: Path) -> None:
        from transformers import BertConfig, BertModel

        small = BertConfig(
            vocab_size=len(tiny_tuned.tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=64,
        )
        BertModel(small).save_pretrained(tmp_path / "small")
        tiny_tuned.tokenizer.save_pretrained(tmp_path / "small")
        with pytest.raises(ArtifactError, match="does not fit the base model 'small'"):
            load(tiny_saved, base=tmp_path / "small")


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def describe(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder / "emotune.json", **changes)


def truncate_weights(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def drop_a_tensor(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights.pop(next(name for name in sorted(weights) if "lora_B" in name))
    save_file(weights, folder / WEIGHTS)


def add_a_tensor(folder: Path) -> None:
    save_file(load_file(folder / WEIGHTS) | {"base_model.model.odd.lora_A.weight": torch.zeros(2)}, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (write("emotune.json", b""), "emotune.json' is damaged"),
        (write("emotune.json", b"{"), "emotune.json' is damaged"),
        (write("emotune.json", b"[]"), "emotune.json' is damaged"),
        (write("emotune.json", b"\xff\xfe\x00"), "emotune.json' is damaged"),
        (write("emotune.json", b"[" * 100_000), "emotune.json' is damaged"),
        (write("emotune.json", b"{}"), "emotune.json' is damaged"),
        (describe(format=3), "has format 3; this emotune reads formats 1 and 2. Install"),
        (describe(format="1"), "has format 1; this emotune reads formats 1 and 2. Install"),
        (describe(labels=None), "labels is None; expected a list of texts"),
        (
            describe(method=None, max_length="32"),
            "max_length is '32'; expected a whole number of at least 1 .*; method",
        ),
        (describe(labels=["no", "yes"]), "verification.logits is of another shape"),
        (remove(WEIGHTS), f"incomplete: {WEIGHTS} is missing"),
        (write(WEIGHTS, b""), "is damaged"),
        (write(WEIGHTS, b"not a safetensors file at all"), "is damaged"),
        (truncate_weights, "is damaged"),
        (drop_a_tensor, "1 tensors are missing or unknown, among them .*lora_B"),
        (add_a_tensor, "1 tensors are missing or unknown, among them .*odd"),
        (remove("adapter_config.json"), "incomplete: adapter_config.json is missing"),
        (write("adapter_config.json", b"{"), "does not fit the base model"),
        (write("adapter_config.json", b"{}"), "does not fit the base model"),
        (remove("config.json"), "incomplete: config.json is missing"),
        # Without it, transformers would make up a tokenizer that knows no word, and say nothing.
        (remove("tokenizer.json"), "incomplete: tokenizer.json is missing"),
        (write("tokenizer.json", b"{"), "tokenizer in .* is damaged"),
        (remove("tokenizer_config.json"), "incomplete: tokenizer_config.json is missing"),
        (write("tokenizer_config.json", b"{"), "tokenizer in .* is damaged"),
    ],
)
def test_damage_is_said(folder: Path, tiny_bert: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ArtifactError, match=message) as raised:
        load(folder, base=tiny_bert)
    assert "Traceback" not in str(raised.value)
    assert len(str(raised.value).splitlines()) <= 3


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="There is no folder"):
        load(tmp_path / "missing")
    with pytest.raises(ArtifactError, match="not a folder that emotune saved"):
        load(tmp_path)


def test_damage_is_found_before_the_base_is_loaded(
    folder: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / WEIGHTS).unlink()
    monkeypatch.setattr("emotune.folder.base.OpenBase", lambda *_, **__: pytest.fail("the base was loaded"))
    with pytest.raises(ArtifactError):
        loading.load(folder, base=tiny_bert)


def test_a_base_with_new_numbers_in_its_head_does_not_matter(
    tiny_saved: Path, tiny_bert: Path, tiny_data: TextDataset
) -> None:
    """The head that is loaded is the trained one, whatever seed made the one it replaces."""
    torch.manual_seed(77)
    first = evaluate(load(tiny_saved, base=tiny_bert), tiny_data.test).logits
    torch.manual_seed(123)
    second = evaluate(load(tiny_saved, base=tiny_bert), tiny_data.test).logits
    np.testing.assert_array_equal(first, second)
