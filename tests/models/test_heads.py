"""The head of a checkpoint: found by its weights, kept for the same labels in any order, and otherwise named and left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emotune.evaluation.evaluate import KEPT_HEAD, UNTRAINED_HEAD, evaluate
from emotune.folder.base import load_base
from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.methods.full import FullFineTuning
from emotune.methods.head import HeadOnly
from emotune.methods.lora import LoRA
from emotune.models.drawing import with_head_of
from emotune.models.heads import label_order
from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.system.errors import ModelError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

from ..facts import facts
from ..tiny_models import CONFIGS, make_config, make_tokenizer

if TYPE_CHECKING:
    from transformers import BertTokenizer, PreTrainedTokenizerBase

    from emotune.data.dataset import TextDataset
    from emotune.methods.base import Method
    from emotune.models.classifier import Classifier

    from ..conftest import Recording

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
SHUFFLED = ("Joy", "surprise", "love", "fear", "sadness", "anger")
TEXTS = ["badi befo buga dake", "luvu", "pave difu bofa"]


def make_checkpoint(
    folder: Path,
    tokenizer: BertTokenizer,
    names: tuple[str, ...] | None,
    *,
    family: str = "bert",
    kind: str = "AutoModelForSequenceClassification",
    labels: int | None = None,
    seed: int = 0,
    **changes: Any,
) -> Path:
    """Save a tiny model with a head whose numbers are so large that its logits tell texts apart."""
    import transformers

    count = labels or len(names or ())
    config = make_config(family, len(tokenizer), num_labels=count, **changes)
    if names is not None:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, kind).from_config(config)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    make_tokenizer(family, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_tokenizer: BertTokenizer) -> Path:
    """A BERT with a head for the six emotions, in another order and with one of them in capitals."""
    return make_checkpoint(tmp_path / "emotions", tiny_tokenizer, SHUFFLED)


def plain_logits(folder: Path, texts: list[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, torch.Tensor]:
    """Logits by label, from transformers alone, each text by itself."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])
    return {model.config.id2label[i].lower(): found[:, i] for i in range(found.shape[1])}


def rename(folder: Path, **names: str | None) -> None:
    """Give tensors of a checkpoint other names, or none."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    kept = {names.get(key.replace(".", "_"), key): tensor for key, tensor in tensors.items()}
    save_file({key: tensor for key, tensor in kept.items() if key is not None}, file, metadata={"format": "pt"})


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


class TestKept:
    @pytest.mark.parametrize("family", CONFIGS)
    def test_gives_transformers_logits_in_the_order_of_the_data(
        self, family: str, tmp_path: Path, tiny_tokenizer: BertTokenizer
    ) -> None:
        folder = make_checkpoint(tmp_path / family, tiny_tokenizer, SHUFFLED, family=family)
        base = load_base(folder, labels=LABELS, max_length=32)
        expected = plain_logits(folder, TEXTS, base.tokenizer)
        assert base.checkpoint_head is not None
        assert base.checkpoint_head.kept
        with torch.no_grad():
            found = torch.cat([base.model(**base.tokenizer(text, return_tensors="pt")).logits for text in TEXTS])
        torch.testing.assert_close(found, torch.stack([expected[label] for label in LABELS], dim=1))
        assert tuple(base.model.config.id2label[i] for i in range(6)) == LABELS

    def test_is_the_same_for_every_seed_and_said(self, checkpoint: Path) -> None:
        first = load_base(checkpoint, labels=LABELS, max_length=32)
        second = with_head_of(first, 1)
        assert torch.equal(first.model.classifier.weight, second.model.classifier.weight)
        said = str(first.checkpoint_head)
        assert said.startswith(
            "the checkpoint's head for the labels 'Joy', 'surprise', 'love', 'fear', 'sadness', 'anger' is kept"
        )

    def test_is_scored_as_a_model_and_not_as_chance(self, checkpoint: Path, tiny_data: TextDataset) -> None:
        base = load_base(checkpoint, labels=tiny_data.labels, max_length=32)
        found = evaluate(base, tiny_data.test)
        assert (found.name, found.note, found.is_chance) == ("base", KEPT_HEAD, False)
        expected = plain_logits(checkpoint, list(tiny_data.test.texts), base.tokenizer)
        ids = torch.stack([expected[label] for label in tiny_data.labels], dim=1).argmax(dim=1)
        assert np.array_equal(found.predictions, ids.numpy())

    def test_not_where_a_new_one_is_asked_for(self, checkpoint: Path, tiny_data: TextDataset) -> None:
        base = load_base(checkpoint, labels=tiny_data.labels, max_length=32, fresh_head=True)
        assert "is left out and a new one made: a new one was asked for" in str(base.checkpoint_head)
        found = evaluate(base, tiny_data.test)
        assert (found.name, found.note, found.is_chance) == ("base (untrained head)", UNTRAINED_HEAD, True)
        other = with_head_of(base, 1)
        assert not torch.equal(base.model.classifier.weight, other.model.classifier.weight)

    def test_is_refused_where_it_is_required_and_has_other_labels(self, checkpoint: Path) -> None:
        kept = load_base(checkpoint, labels=LABELS, max_length=32, keep_head=True)
        assert kept.checkpoint_head is not None
        assert kept.checkpoint_head.kept
        said = facts(
            "it has 6 labels, the data 2",
            "Its labels: 'Joy', 'surprise', 'love', 'fear', 'sadness', 'anger'.",
            "The data's labels: 'no', 'yes'.",
            "--keep-head",
        )
        with pytest.raises(ModelError, match=said):
            load_base(checkpoint, labels=("no", "yes"), max_length=32, keep_head=True)

    def test_is_refused_where_it_is_required_and_there_is_none(self, tiny_bert: Path) -> None:
        with pytest.raises(ModelError, match=r"has no classification head, so there is none to keep"):
            load_base(tiny_bert, labels=LABELS, max_length=32, keep_head=True)
        with pytest.raises(ModelError, match=r"keep_head and fresh_head exclude each other"):
            load_base(tiny_bert, labels=LABELS, max_length=32, keep_head=True, fresh_head=True)

    def test_needs_no_architecture_in_the_configuration(self, checkpoint: Path) -> None:
        edit_config(checkpoint, architectures=None)
        assert load_base(checkpoint, labels=LABELS, max_length=32).checkpoint_head.kept  # type: ignore[union-attr]

    def test_of_several_labels_per_text_is_said_to_be(self, checkpoint: Path) -> None:
        edit_config(checkpoint, problem_type="multi_label_classification")
        base = load_base(checkpoint, labels=LABELS, max_length=32)
        assert "is kept" in str(base.checkpoint_head)
        assert "several labels per text" in str(base.checkpoint_head)
        assert base.model.config.problem_type == "single_label_classification"

    def test_does_not_share_its_numbers(self, checkpoint: Path) -> None:
        from emotune.models.load import OpenBase

        opened = OpenBase(checkpoint)
        first, second = (opened.classifier(SHUFFLED, max_length=32).model for _ in range(2))
        assert torch.equal(first.classifier.weight, second.classifier.weight)
        assert first.classifier.weight.data_ptr() != second.classifier.weight.data_ptr()


class TestLeftOut:
    @pytest.mark.parametrize(
        ("names", "changes", "said"),
        [
            (
                ("negative", "neutral", "positive"),
                {},
                r"for the labels 'negative', 'neutral', 'positive' is left out and",
            ),
            ((*LABELS[:5], "disgust"), {}, r"'disgust' is left out .*: the labels of the data are 'sadness', 'joy'"),
            (None, {"labels": 6}, r"the configuration names none of its 6 labels"),
            (None, {"labels": 2}, r"made: it has 2 labels, the data 6$"),
            (("negative", "positive"), {}, r"made: it has 2 labels, the data 6$"),
            (None, {"labels": 1, "problem_type": "regression"}, r"trained for regression"),
            (None, {"labels": 6, "problem_type": "regression"}, r"trained for regression"),
            (LABELS, {"problem_type": "regression"}, r"trained for regression"),
            (
                LABELS,
                {"kind": "AutoModelForTokenClassification"},
                r"BertForTokenClassification has another head than BertForSequenceClassification",
            ),
        ],
    )
    def test_is_said_and_a_new_one_made(
        self,
        names: tuple[str, ...] | None,
        changes: dict[str, Any],
        said: str,
        tmp_path: Path,
        tiny_tokenizer: BertTokenizer,
    ) -> None:
        import re

        folder = make_checkpoint(tmp_path / "model", tiny_tokenizer, names, **changes)
        base = load_base(folder, labels=LABELS, max_length=32)
        assert re.search(said, str(base.checkpoint_head))
        assert base.has_new_head
        again = with_head_of(base, 1)
        assert not torch.equal(base.model.classifier.weight, again.model.classifier.weight)
        stored = load_file(folder / "model.safetensors")
        assert not torch.equal(base.model.classifier.weight, stored["classifier.weight"])

    @pytest.mark.parametrize("missing", ["classifier_bias", "bert_pooler_dense_weight"])
    def test_where_a_part_of_it_is_missing(self, missing: str, checkpoint: Path) -> None:
        rename(checkpoint, **{missing: None})
        base = load_base(checkpoint, labels=LABELS, max_length=32)
        assert base.checkpoint_head is not None
        assert not base.checkpoint_head.kept

    def test_not_found_by_the_configuration_alone(self, checkpoint: Path) -> None:
        rename(checkpoint, classifier_weight=None, classifier_bias=None)
        base = load_base(checkpoint, labels=LABELS, max_length=32)
        assert base.checkpoint_head is None
        assert base.has_new_head

    @pytest.mark.parametrize("kind", ["AutoModel", "AutoModelForMaskedLM"])
    @pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "modernbert", "distilbert", "electra"])
    def test_not_found_in_a_language_model(
        self, family: str, kind: str, tmp_path: Path, tiny_tokenizer: BertTokenizer
    ) -> None:
        folder = make_checkpoint(tmp_path / family, tiny_tokenizer, LABELS, family=family, kind=kind)
        assert load_base(folder, labels=LABELS, max_length=32).checkpoint_head is None


class TestOrder:
    @pytest.mark.parametrize(
        ("names", "wanted", "order"),
        [
            (("a", "b", "c"), ("c", "a", "b"), [2, 0, 1]),
            (("Very_Happy", "not-happy"), ("not happy", "very happy"), [1, 0]),
            (("COLÈRE", "joie"), ("joie", "cole\u0300re"), [1, 0]),
            (("joy", "Joy"), ("Joy", "joy"), [1, 0]),  # told apart as they stand
            (("joy", "JOY"), ("Joy", "joy"), None),  # not told apart otherwise
            (("0", "1"), ("1", "0"), [1, 0]),
            (("LABEL_0", "LABEL_1"), ("LABEL_0", "LABEL_1"), None),
            ((), ("a", "b"), None),
            (("a", "b", "c"), ("a", "b"), None),
            (("a", "a"), ("a", "b"), None),
        ],
    )
    def test_by_name(self, names: tuple[str, ...], wanted: tuple[str, ...], order: list[int] | None) -> None:
        assert label_order(names, wanted) == order


class TestTuning:
    @pytest.mark.parametrize("method", [LoRA(r=2), HeadOnly()], ids=["LoRA", "head"])
    def test_begins_with_the_kept_head(
        self, method: Method, checkpoint: Path, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        """With a rate of next to nothing the tuned model is the base, loaded again from a folder too."""
        base = load_base(checkpoint, labels=tiny_data.labels, max_length=32)
        options = TrainingOptions(epochs=1, learning_rate=1e-7, precision="fp32", device="cpu")
        tuned = finetune(base, tiny_data, method, options)
        before, after = (evaluate(model, tiny_data.test) for model in (base, tuned))
        assert before.logits is not None
        assert after.logits is not None
        assert np.ptp(before.logits) > 1
        np.testing.assert_allclose(after.logits, before.logits, atol=1e-3)
        assert (after.name, after.note, after.is_chance) == ("tuned", "", False)
        saved = tuned.save(tmp_path / "tuned")
        again = load(saved, base=checkpoint)
        assert np.array_equal(
            predict(again, list(tiny_data.test.texts)).probabilities,
            predict(tuned, list(tiny_data.test.texts)).probabilities,
        )

    @pytest.mark.parametrize("architecture", [None, "BertModel"])
    def test_a_second_stage_goes_on_from_a_whole_model(
        self, architecture: str | None, tiny_base: Classifier, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        options = TrainingOptions(epochs=1, learning_rate=1e-3, precision="fp32", device="cpu")
        first = finetune(tiny_base, tiny_data, FullFineTuning(), options)
        folder = first.save(tmp_path / "first")
        if architecture is not None:  # as earlier versions wrote it
            edit_config(folder, architectures=[architecture])
        second = load_base(folder, labels=tuple(reversed(tiny_data.labels)), max_length=32)
        assert second.checkpoint_head is not None
        assert second.checkpoint_head.kept
        expected = predict(first, list(tiny_data.test.texts))
        assert predict(second, list(tiny_data.test.texts)).labels == expected.labels


@pytest.mark.slow
def test_the_whole_job_compares_with_the_kept_head(
    checkpoint: Path, tiny_files: Path, tmp_path: Path, recording: Recording
) -> None:
    settings = {
        "data.source": str(tiny_files),
        "model.name": str(checkpoint),
        "model.max_length": 32,
        "training.epochs": 1,
        "training.device": "cpu",
        "training.precision": "fp32",
        "training.seeds": 2,
        "output.folder": str(tmp_path / "tuned"),
    }
    result = run(RunConfig.load(overrides=settings), recording)
    assert result.comparison.before.name == "base"
    assert result.comparison.before.is_chance is False
    assert any(line.startswith("the checkpoint's head for the labels") for line in recording.lines)
    assert "before: base |" in (result.folder / "README.md").read_text()


@pytest.fixture
def recording() -> Recording:
    from ..conftest import Recording

    return Recording()
