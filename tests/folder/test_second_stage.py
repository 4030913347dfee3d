"""A saved folder as the base of a second stage: its adapter is merged, and its head kept for the same labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import emotune
from emotune.folder.base import load_base, open_base
from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.head import HeadOnly
from emotune.methods.lora import LoRA
from emotune.models.load import load_tokenizer
from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.system.errors import ArtifactError, ModelError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

from ..conftest import Recording, described
from ..facts import facts, one_states

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.methods.base import Method
    from emotune.models.classifier import Classifier

    from ..conftest import Run

ONE_EPOCH = TrainingOptions(epochs=1, learning_rate=8e-3, batch_tokens=128, precision="fp32", device="cpu")


def with_source(folder: Path, source: Path) -> Path:
    """Name the base model of a saved folder as if it had come from where every machine finds it."""
    description = described(folder)
    description["base_model"]["source"] = str(source)
    (folder / "emotune.json").write_text(json.dumps(description))
    return folder


@pytest.fixture
def first(tiny_saved: Path, tiny_bert: Path, tmp_path: Path) -> Path:
    return with_source(Path(shutil.copytree(tiny_saved, tmp_path / "first")), tiny_bert)


def test_starts_with_the_merged_adapter_and_the_head(first: Path, tiny_data: TextDataset) -> None:
    expected = predict(load(first), list(tiny_data.test.texts), precision="fp32").probabilities
    order = list(reversed(tiny_data.labels))
    base = load_base(first, labels=order, max_length=32, keep_head=True)
    assert (base.name, base.made_from) == ("first", "LoRA on tiny-bert, merged")
    found = predict(base, list(tiny_data.test.texts), precision="fp32").probabilities
    np.testing.assert_allclose(found[:, ::-1], expected, atol=1e-5)
    assert not any("lora" in name for name, _ in base.model.named_parameters())


def test_of_other_labels_starts_with_a_new_head(first: Path) -> None:
    base = load_base(first, labels=("no", "yes"), max_length=32)
    assert "it has 6 labels, the data 2" in str(base.checkpoint_head)
    assert base.has_new_head


@pytest.mark.parametrize("method", [FullFineTuning(), HeadOnly()], ids=["full", "head"])
def test_of_methods_without_adapters(
    method: Method, tiny_base: Classifier, tiny_data: TextDataset, tiny_bert: Path, tmp_path: Path
) -> None:
    tuned = finetune(tiny_base, tiny_data, method, ONE_EPOCH)
    folder = with_source(tuned.save(tmp_path / "first"), tiny_bert)
    base = load_base(folder, labels=tiny_data.labels, max_length=32, keep_head=True)
    assert base.made_from.startswith(method.title)
    texts = list(tiny_data.test.texts)
    expected, found = (predict(model, texts, precision="fp32").probabilities for model in (tuned, base))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_is_refused_where_nothing_can_be_merged(
    tiny_base: Classifier, tiny_data: TextDataset, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = finetune(tiny_base, tiny_data, Bottleneck(size=2), ONE_EPOCH).save(tmp_path / "first")
    with pytest.raises(
        ModelError, match=facts("cannot be the base of a second stage", "an activation stands", "tiny-bert")
    ):
        load_base(with_source(folder, tiny_bert), labels=tiny_data.labels)


def test_on_a_local_base_is_merged_by_a_command(tiny_saved: Path, tiny_data: TextDataset) -> None:
    said = facts(
        "on the local folder 'tiny-bert'", f"emotune export {tiny_saved} --to merged --base FOLDER --output MERGED"
    )
    with pytest.raises(ModelError, match=said):
        load_base(tiny_saved, labels=tiny_data.labels)


def test_its_tokens_can_be_counted(first: Path) -> None:
    assert load_tokenizer(first, max_length=32).name_or_path == "first"


def test_only_the_folder_that_was_the_base_is_one(
    first: Path, tiny_base: Classifier, tiny_data: TextDataset, tmp_path: Path
) -> None:
    other = finetune(tiny_base, tiny_data, LoRA(r=2), ONE_EPOCH).save(tmp_path / "other")
    with pytest.raises(ArtifactError, match=facts("was trained on tiny-bert", "is LoRA on tiny-bert, merged")):
        load(other, base=first)


@pytest.mark.slow
def test_a_run_from_it_is_verified_and_says_what_its_base_was(
    tiny_run: Run, tiny_bert: Path, tiny_data: TextDataset, tmp_path: Path
) -> None:
    first = with_source(Path(shutil.copytree(tiny_run.result.folder, tmp_path / "first")), tiny_bert)
    progress = Recording()
    settings = {"model.name": str(first), "model.keep_head": True, "output.folder": str(tmp_path / "second")}
    result = run(RunConfig.load(overrides=tiny_run.settings | settings), progress)
    assert result.verification.ok
    before, after = result.comparison.before, tiny_run.result.comparison.after
    assert (before.name, before.is_chance) == ("base", False)
    assert before.metrics.accuracy == after.metrics.accuracy
    assert one_states(progress.lines, "first is a folder that emotune saved: LoRA on owner/tiny-bert, merged")
    assert one_states(progress.lines, "'first' was trained on none of these 36 rows")
    assert described(result.folder)["base_model"]["made_from"] == "LoRA on owner/tiny-bert, merged"
    card = (result.folder / "README.md").read_text()
    assert "emotune export `first`" not in card
    assert "emotune export first --to merged" in card
    assert "a folder that emotune saved: LoRA on owner/tiny-bert, merged." in result.report.read_text()
    texts = list(tiny_data.test.texts)
    expected = predict(result.classifier, texts, precision="fp32").probabilities
    for loaded in (load(result.folder, base=first), emotune.load_many([result.folder], base=first)[str(result.folder)]):
        np.testing.assert_allclose(predict(loaded, texts, precision="fp32").probabilities, expected, atol=1e-6)
    with pytest.raises(ModelError, match=facts("LoRA on the local folder 'first'", "emotune export")):
        open_base(result.folder)
