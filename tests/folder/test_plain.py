"""Folders that transformers and PEFT saved: their own logits, labels of the head's own, and what is refused."""

from __future__ import annotations

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
from emotune.folder.facts import facts_of
from emotune.folder.load import load, load_saved
from emotune.folder.verify import verify
from emotune.inference.predict import predict
from emotune.methods.lora import LoRA
from emotune.system.errors import ArtifactError, ModelError, TrainingError
from emotune.training.finetune import finetune

from ..facts import facts
from ..models.test_heads import edit_config, make_checkpoint
from ..tiny_models import CONFIGS

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TEXTS = ["badi befo buga dake", "luvu", "pave difu bofa badi befo"]


def probabilities_of(model: Any, tokenizer: Any) -> np.ndarray[Any, Any]:
    """What a plain model gives, each text by itself."""
    with torch.no_grad():
        found = [model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1) for text in TEXTS]
    return torch.cat(found).numpy()


@pytest.fixture
def whole(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Path:
    return make_checkpoint(tmp_path / "emotions", tiny_tokenizer, LABELS)


def make_adapter(folder: Path, base: Path, labels: int = 6, *, named: bool = True, **changes: Any) -> Any:
    """Save a PEFT adapter whose weights are far from zero, and return its model."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=labels, ignore_mismatched_sizes=True
        )
        settings = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"], "r": 2} | changes
        config = settings.pop("config", None) or LoraConfig(**settings)
        wrapped = get_peft_model(model, config)
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.5)
    wrapped.save_pretrained(folder)
    if named:
        (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(LABELS))}))
    return wrapped.eval()


class TestTransformers:
    @pytest.mark.parametrize("family", CONFIGS)
    def test_gives_its_own_logits_and_labels(self, family: str, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        folder = make_checkpoint(tmp_path / family, tiny_tokenizer, LABELS, family=family)
        found = load(folder)
        assert (found.labels, found.is_tuned, found.has_new_head) == (LABELS, False, False)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        expected = probabilities_of(model, AutoTokenizer.from_pretrained(folder))
        np.testing.assert_allclose(predict(found, TEXTS, precision="fp32").probabilities, expected, atol=1e-5)

    def test_texts_are_cut_at_the_least_limit(self, whole: Path) -> None:
        assert facts_of(whole).max_length == 40  # positions; the tokenizer takes 64
        edit_tokenizer(whole, model_max_length=30)
        found = facts_of(whole)
        assert found.max_length == load(whole).max_length == 30
        assert "texts are cut at 30 tokens (its tokenizer's limit)" in found.notes[0]

    def test_without_names_of_labels(self, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
        folder = make_checkpoint(tmp_path / "nameless", tiny_tokenizer, None, labels=3)
        found = facts_of(folder)
        assert found.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
        assert "Nothing names its 3 labels. To name them, write id2label" in found.notes[1]
        assert load(folder).labels == found.labels

    @pytest.mark.slow
    def test_is_trained_on_as_a_base(self, whole: Path, tiny_data: TextDataset, tiny_options: Any) -> None:
        tuned = finetune(load(whole), tiny_data, LoRA(r=2), tiny_options.changed(epochs=1))
        assert tuned.labels == LABELS

    def test_is_scored_under_its_own_labels(self, whole: Path, tiny_data: TextDataset) -> None:
        found = evaluate(load(whole), tiny_data.test)
        assert not found.is_chance
        assert "The head is the checkpoint's own" in found.note


def edit_tokenizer(folder: Path, **changes: Any) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "pickled weights": (pickled, ("it has pytorch_model.bin", "emotune loads safetensors only", "python -c")),
    "code of its own": (
        lambda folder: edit_config(folder, auto_map={"AutoModel": "modeling.Mine"}),
        ("names code that comes with the model (auto_map)", "never runs"),
    ),
    "a regression": (
        lambda folder: edit_config(folder, problem_type="regression"),
        ("is not a classifier that emotune can score", "regression"),
    ),
    "no head": (without_head, ("has no classification head to predict with", "it has none")),
    "another number of names": (
        lambda folder: edit_config(folder, id2label={"0": "no", "1": "yes"}),
        ("has no classification head to predict with", "6 labels"),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused(what: str, whole: Path) -> None:
    damage, said = REFUSED[what]
    damage(whole)
    with pytest.raises((ArtifactError, ModelError), match=facts(*said)):
        load(whole)


class TestPeft:
    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({}, id="LoRA"),
            pytest.param({"use_dora": True}, id="DoRA"),
            pytest.param({"bias": "all"}, id="biases"),
            pytest.param({"target_modules": ["query", "word_embeddings"]}, id="embeddings"),
            pytest.param({"rank_pattern": {"layer.0.*query": 4}, "alpha_pattern": {"query": 32}}, id="patterns"),
            pytest.param({"modules_to_save": ["classifier", "pooler"]}, id="pooler"),
            pytest.param({"layers_to_transform": [1]}, id="one layer"),
        ],
    )
    def test_gives_its_own_logits(
        self, changes: dict[str, Any], tiny_bert: Path, tmp_path: Path, tiny_tokenizer: BertTokenizer
    ) -> None:
        model = make_adapter(tmp_path / "adapter", tiny_bert, **changes)
        found = load(tmp_path / "adapter")
        assert (found.name, found.labels, found.has_new_head) == ("adapter", LABELS, False)
        expected = probabilities_of(model, tiny_tokenizer)
        np.testing.assert_allclose(predict(found, TEXTS, precision="fp32").probabilities, expected, atol=1e-5)

    @pytest.mark.parametrize(
        "kind", ["PromptTuningConfig", "PrefixTuningConfig", "IA3Config", "LoHaConfig", "OFTConfig"]
    )
    def test_of_other_kinds(self, kind: str, tiny_bert: Path, tmp_path: Path, tiny_tokenizer: BertTokenizer) -> None:
        import peft

        settings: dict[str, Any] = {"task_type": "SEQ_CLS"}
        if kind in ("PromptTuningConfig", "PrefixTuningConfig"):
            settings |= {"num_virtual_tokens": 3}
        else:
            settings |= {"target_modules": ["query", "value"]}
        if kind == "IA3Config":
            settings |= {"feedforward_modules": []}
        model = make_adapter(tmp_path / "adapter", tiny_bert, config=getattr(peft, kind)(**settings))
        found = load(tmp_path / "adapter")
        assert found.max_length == 64 - settings.get("num_virtual_tokens", 0)
        expected = probabilities_of(model, tiny_tokenizer)
        np.testing.assert_allclose(predict(found, TEXTS, precision="fp32").probabilities, expected, atol=1e-5)

    def test_without_a_head_uses_that_of_its_base(
        self, whole: Path, tmp_path: Path, tiny_tokenizer: BertTokenizer
    ) -> None:
        model = make_adapter(tmp_path / "adapter", whole, named=False, task_type=None)
        found = load(tmp_path / "adapter")
        assert found.labels == LABELS
        expected = probabilities_of(model, tiny_tokenizer)
        np.testing.assert_allclose(predict(found, TEXTS, precision="fp32").probabilities, expected, atol=1e-5)

    def test_with_a_head_does_not_take_its_names_from_the_base(self, whole: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", whole, named=False)
        found = facts_of(tmp_path / "adapter")
        assert found.labels == tuple(f"LABEL_{number}" for number in range(6))
        assert "Nothing names its 6 labels" in found.notes[1]

    def test_base_given_instead_of_the_one_named(self, tiny_bert: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny_bert)
        expected = predict(load(tmp_path / "adapter"), TEXTS, precision="fp32").probabilities
        edit_adapter(tmp_path / "adapter", base_model_name_or_path="/gone/with/the/wind")
        with pytest.raises(ModelError, match=facts("'/gone/with/the/wind'", "--base MODEL")):
            load(tmp_path / "adapter")
        found = predict(load(tmp_path / "adapter", base=tiny_bert), TEXTS, precision="fp32").probabilities
        np.testing.assert_array_equal(found, expected)

    def test_is_not_trained_on(self, tiny_bert: Path, tmp_path: Path, tiny_data: TextDataset) -> None:
        make_adapter(tmp_path / "adapter", tiny_bert)
        with pytest.raises(TrainingError, match=facts("is an adapter on its base model", "merge_and_unload")):
            finetune(load(tmp_path / "adapter"), tiny_data)


def edit_adapter(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def pickled_adapter(folder: Path) -> None:
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def cut_short(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])


REFUSED_ADAPTERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "pickled weights": (pickled_adapter, ("it has adapter_model.bin", "safetensors only", "python -c")),
    "no weights": (
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
        ("without adapter_model.safetensors",),
    ),
    "another task": (lambda folder: edit_adapter(folder, task_type="CAUSAL_LM"), ("adapter for CAUSAL_LM, not for",)),
    "a kind that loads others": (lambda folder: edit_adapter(folder, peft_type="XLORA"), ("of the kind XLORA",)),
    "a kind that PEFT lacks": (lambda folder: edit_adapter(folder, peft_type="NONESUCH"), ("NONESUCH",)),
    "no base": (lambda folder: edit_adapter(folder, base_model_name_or_path=None), ("--base MODEL",)),
    "code of its own": (lambda folder: edit_adapter(folder, auto_map={"x": "y.Z"}), ("auto_map",)),
    "cut short": (
        cut_short,
        ("is damaged",),
    ),
}


@pytest.mark.parametrize("what", REFUSED_ADAPTERS)
def test_adapter_is_refused(what: str, tiny_bert: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", tiny_bert)
    damage, said = REFUSED_ADAPTERS[what]
    damage(tmp_path / "adapter")
    with pytest.raises((ArtifactError, ModelError), match=facts(*said)):
        load(tmp_path / "adapter")


def test_an_adapter_without_a_head_on_a_base_without_one(tiny_bert: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", tiny_bert, named=False, task_type=None)
    with pytest.raises(ModelError, match=facts("has no classification head to predict with")):
        load(tmp_path / "adapter")


def test_an_adapter_on_a_base_that_lacks_a_pooler(whole: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """Its pooler was random numbers when the adapter was trained, and nobody saved them."""
    make_adapter(tmp_path / "adapter", tiny_bert)
    base = Path(shutil.copytree(tiny_bert, tmp_path / "base"))
    weights = load_file(base / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=facts("Neither the adapter", "pooler", "--base")):
        load(tmp_path / "adapter", base=base)


def test_only_what_emotune_saved_is_a_tuned_classifier(whole: Path, tiny_saved: Path, tiny_base: Classifier) -> None:
    with pytest.raises(
        ArtifactError, match=facts("is a plain transformers BertForSequenceClassification", "emotune evaluate")
    ):
        load_saved(whole)
    assert load(tiny_saved, base=tiny_base.source).is_tuned


def test_emotunes_own_without_its_description_is_plain(tiny_saved: Path, tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_saved, tmp_path / "saved"))
    (folder / "emotune.json").unlink()
    saved, found = load(tiny_saved, base=tiny_bert), load(folder, base=tiny_bert)
    assert (found.is_tuned, found.labels, found.max_length) == (False, saved.labels, saved.max_length)
    expected, plain = (predict(one, TEXTS, precision="fp32").probabilities for one in (saved, found))
    np.testing.assert_array_equal(plain, expected)


@pytest.mark.slow
def test_is_verified_in_two_processes(whole: Path, tiny_bert: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", tiny_bert)
    for found in (verify(whole), verify(tmp_path / "adapter", base=tiny_bert)):
        assert (found.ok, found.was_saved, found.rows, found.changed_labels) == (True, False, 8, 0)
    pickled(whole)
    with pytest.raises(ArtifactError, match="safetensors only"):
        verify(whole)
