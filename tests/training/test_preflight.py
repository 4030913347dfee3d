"""Mistakes that would train without an error are refused before the first step, each with what was seen and what to do."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch

from emotune.folder.base import load_base
from emotune.methods.full import FullFineTuning
from emotune.methods.lora import LoRA
from emotune.models.check import check_base, padding_difference, probes
from emotune.system.errors import DataError, EmotuneError, MethodError, ModelError, TrainingError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions
from emotune.training.preflight import preflight

from ..conftest import Recording
from ..tiny_models import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import BertTokenizer, PreTrainedModel

    from emotune.data.dataset import Split, TextDataset
    from emotune.models.classifier import Classifier

OPTIONS = TrainingOptions(epochs=1, batch_tokens=10_000, precision="fp32", device="cpu")


def check(
    base: Classifier, data: TextDataset, method: Any = None, options: TrainingOptions = OPTIONS
) -> tuple[list[str], torch.nn.Module]:
    """The warnings, and the model that was checked."""
    method = method or LoRA(r=2)
    model = method.apply(copy.deepcopy(base.model), base.name)
    return preflight(base, data, method, options, model), model


@pytest.fixture
def base(tiny_base: Classifier) -> Classifier:
    """The tiny base with a model of the test's own."""
    return dataclasses.replace(
        tiny_base, model=copy.deepcopy(tiny_base.model), tokenizer=copy.deepcopy(tiny_base.tokenizer)
    )


@pytest.fixture
def gpt2(tiny_tokenizer: BertTokenizer, tiny_data: TextDataset, tmp_path: Path) -> Classifier:
    return load_base(make_folder("gpt2", tmp_path / "gpt2", tiny_tokenizer), labels=tiny_data.labels, max_length=32)


@pytest.mark.parametrize("method", [LoRA(r=2), FullFineTuning()], ids=lambda method: method.name)
def test_what_is_right_passes_without_a_word_and_without_a_trace(
    method: LoRA | FullFineTuning, base: Classifier, tiny_data: TextDataset
) -> None:
    model = method.apply(copy.deepcopy(base.model), base.name).train()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    assert preflight(base, tiny_data, method, OPTIONS, model) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("split", "wrong"), [("train", 6), ("validation", -1), ("test", 60)])
def test_labels_out_of_range(split: str, wrong: int, base: Classifier, tiny_data: TextDataset) -> None:
    rows = getattr(tiny_data, split)
    label_ids = rows.label_ids.copy()
    label_ids[7] = wrong
    data = dataclasses.replace(tiny_data, **{split: dataclasses.replace(rows, label_ids=label_ids)})
    with pytest.raises(DataError, match=rf"Row 7 of {split} has the label id {wrong}; with 6 labels.* 0 to 5"):
        check(base, data)


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "float16"), (torch.bfloat16, "bfloat16")])
def test_a_base_of_sixteen_bits(dtype: torch.dtype, name: str, base: Classifier, tiny_data: TextDataset) -> None:
    base.model.to(dtype)
    with pytest.raises(ModelError, match=rf"is in {name},.*load_base"):
        finetune(base, tiny_data, LoRA(r=2), OPTIONS)


def test_a_trained_head_of_sixteen_bits(base: Classifier, tiny_data: TextDataset) -> None:
    class Half(LoRA):
        def apply(self, model: PreTrainedModel, base_model_name: str) -> Any:
            wrapped: Any = super().apply(model, base_model_name)
            wrapped.base_model.model.classifier.half()
            return wrapped

    with pytest.raises(ModelError, match=r"classifier\..*float16"):
        check(base, tiny_data, Half(r=2))


class TestPadding:
    def test_without_a_token(self, base: Classifier, tiny_data: TextDataset) -> None:
        base.tokenizer.pad_token = None
        with pytest.raises(ModelError, match="no padding token"):
            check(base, tiny_data)

    def test_the_model_takes_another_token_for_padding(self, gpt2: Classifier, tiny_data: TextDataset) -> None:
        gpt2.model.config.pad_token_id = 5
        with pytest.raises(ModelError, match=r"pads with token 3, its model takes 5"):
            check(gpt2, tiny_data)

    def test_a_head_that_reads_the_last_place_whatever_stands_there(
        self, gpt2: Classifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from transformers.modeling_outputs import SequenceClassifierOutput

        def forward(self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
            hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return SequenceClassifierOutput(logits=self.score(hidden[:, -1]))

        monkeypatch.setattr(type(gpt2.model), "forward", forward)
        with pytest.raises(ModelError, match=r"Padding to the right changes the logits of 'gpt2' by \d+%"):
            check(gpt2, tiny_data)
        with pytest.raises(ModelError, match="changes the logits"):
            check_base(gpt2)

    def test_a_method_under_which_the_head_reads_padding(self, gpt2: Classifier, tiny_data: TextDataset) -> None:
        """PEFT's prompts hide the token ids by which GPT-2's classifier finds the last token."""
        from peft import PromptTuningConfig, TaskType, get_peft_model

        class Prompt(LoRA):
            title: ClassVar[str] = "prompt tuning"
            moving: ClassVar[tuple[str, ...]] = ("prompt_encoder.",)

            def apply(self, model: PreTrainedModel, base_model_name: str) -> Any:
                return get_peft_model(model, PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=4))

            def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
                return ()

        with pytest.raises(MethodError, match=r"prompt tuning cannot train a 'gpt2' model: with it, padding changes"):
            check(gpt2, tiny_data, Prompt())

    def test_texts_that_end_with_the_padding_token_are_named(self, gpt2: Classifier, tiny_data: TextDataset) -> None:
        train = tiny_data.train.take(range(8))
        texts = (*(f"{text} [SEP]" for text in train.texts[:3]), *train.texts[3:])
        data = dataclasses.replace(tiny_data, train=dataclasses.replace(train, texts=texts))
        (warning,) = check(gpt2, data)[0]
        assert warning.startswith("3 training texts end with '[SEP]', which is also the padding")
        assert check(gpt2, tiny_data)[0] == []

    def test_the_difference_of_a_model_that_ignores_the_mask_is_seen(self, base: Classifier) -> None:
        assert padding_difference(base.model, probes(base)) < 1e-5
        plain = base.model.forward
        base.model.forward = lambda input_ids, attention_mask: plain(input_ids=input_ids)
        assert padding_difference(base.model, probes(base)) > 1e-2


def spoiled(change: Callable[[Any], None]) -> LoRA:
    """LoRA that does something wrong to the model it made."""

    class Spoiled(LoRA):
        def apply(self, model: PreTrainedModel, base_model_name: str) -> Any:
            wrapped: Any = super().apply(model, base_model_name)
            change(wrapped)
            return wrapped

    return Spoiled(r=2)


class TestHead:
    def test_frozen(self, base: Classifier, tiny_data: TextDataset) -> None:
        method = spoiled(lambda model: model.base_model.model.classifier.requires_grad_(False))
        with pytest.raises(MethodError, match=r"leaves classifier\.weight frozen, 2 of 4 parameters"):
            check(base, tiny_data, method)

    def test_pooler_frozen(self, base: Classifier, tiny_data: TextDataset) -> None:
        method = spoiled(lambda model: model.base_model.model.bert.pooler.requires_grad_(False))
        with pytest.raises(MethodError, match=r"leaves bert\.pooler\.dense\.weight frozen"):
            check(base, tiny_data, method)

    def test_adapted_twice(self, base: Classifier, tiny_data: TextDataset) -> None:
        def adapt(model: Any) -> None:
            model.base_model.model.classifier.modules_to_save["default"].lora_A = torch.nn.Linear(4, 2)

        with pytest.raises(
            MethodError, match=r"adapts classifier\.lora_A\.weight, though bert\.pooler, classifier are"
        ):
            check(base, tiny_data, spoiled(adapt))

    def test_without_a_gradient(
        self, base: Classifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(base.model.bert.pooler), "forward", lambda _, hidden: hidden[:, 0].detach())
        with pytest.raises(TrainingError, match=r"bert\.pooler\.dense\.weight gets no gradient, with 2 of 4"):
            check(base, tiny_data)

    def test_of_a_model_that_has_none(self, base: Classifier) -> None:
        base.model.classifier = torch.nn.Identity()
        with pytest.raises(ModelError, match="no classification head"):
            check_base(base)


class TestMethod:
    def test_nothing_beside_the_head_is_trained(self, base: Classifier, tiny_data: TextDataset) -> None:
        class Nothing(LoRA):
            moving = (".lora_C.",)

        with pytest.raises(
            MethodError, match=r"should adapt bert\.encoder\.layer\.0\..*query, but trains only the head"
        ):
            check(base, tiny_data, Nothing(r=2))

    def test_no_module_matched(self, base: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(MethodError, match=r"'v_proj' matches no linear layer"):
            finetune(base, tiny_data, LoRA(target_modules=["v_proj"]), OPTIONS)

    def test_what_should_move_is_frozen(self, base: Classifier, tiny_data: TextDataset) -> None:
        def freeze(model: Any) -> None:
            for name, parameter in model.named_parameters():
                if ".lora_B." in name:
                    parameter.requires_grad_(False)

        with pytest.raises(MethodError, match=r"should train .*lora_B.*which is frozen"):
            check(base, tiny_data, spoiled(freeze))

    def test_a_model_that_cannot_be_run_with_it(self, base: Classifier, tiny_data: TextDataset) -> None:
        def spoil(model: Any) -> None:
            model.base_model.model.bert.encoder.layer[0].output.dense.lora_B["default"] = torch.nn.Linear(3, 3)

        with pytest.raises(MethodError, match=r"^LoRA cannot train a 'bert' model: ") as raised:
            check(base, tiny_data, spoiled(spoil))
        assert len(str(raised.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("rate", "warned"),
    [(None, None), (1e-3, None), (9e-3, None), (1.2e-4, None), (1e-2, "above"), (1e-4, "below"), (2e-5, "below")],
)
def test_a_learning_rate_of_another_order_is_named(
    rate: float | None, warned: str | None, base: Classifier, tiny_data: TextDataset
) -> None:
    warnings, _ = check(base, tiny_data, options=OPTIONS.changed(learning_rate=rate))
    if warned is None:
        assert warnings == []
    else:
        assert warnings == [
            f"the learning rate {rate:g} is far {warned} the 0.001 that LoRA usually takes; "
            "leave training.learning_rate out for that"
        ]


class TestOneClass:
    def test_is_said_after_the_epoch_and_of_the_kept_one(self, base: Classifier, tiny_data: TextDataset) -> None:
        train = tiny_data.train.take(range(0, 120, 6))  # sadness alone
        progress = Recording()
        options = OPTIONS.changed(learning_rate=8e-3, epochs=2, batch_tokens=32)
        data = dataclasses.replace(tiny_data, train=train)
        tuned = finetune(base, data, LoRA(r=2), options, progress=progress)
        assert sum("so far every validation text gets the same label" in line for line in progress.lines) == 2
        last = progress.lines[-1]
        assert tuned.training is not None
        assert tuned.training.warnings == (last,)
        assert last.startswith("the kept epoch gives every validation text the same label")
        assert "emotune audit" in last

    def test_of_texts_that_the_tokenizer_cannot_read_the_advice_is_another_model(
        self, base: Classifier, tiny_data: TextDataset
    ) -> None:
        def emoji(split: Split) -> Split:
            return dataclasses.replace(split, texts=tuple("😭😀"[label % 2] for label in split.label_ids))

        data = dataclasses.replace(
            tiny_data, train=emoji(tiny_data.train), validation=emoji(tiny_data.validation), test=emoji(tiny_data.test)
        )
        progress = Recording()
        finetune(base, data, LoRA(r=2), OPTIONS.changed(batch_tokens=32), progress=progress)
        last = progress.lines[-1]
        assert last.startswith("the kept epoch gives every validation text the same label: nothing useful was learned")
        assert f"the tokenizer of {base.name} leaves too much of the texts unread: choose a model" in last
        assert "epochs" not in last

    def test_is_not_said_of_validation_rows_that_have_no_other(self, base: Classifier, tiny_data: TextDataset) -> None:
        validation = tiny_data.validation.take(range(0, 36, 6))
        assert set(np.asarray(validation.label_ids)) == {0}
        train = tiny_data.train.take(range(0, 120, 6))
        progress = Recording()
        data = dataclasses.replace(tiny_data, train=train, validation=validation)
        options = OPTIONS.changed(learning_rate=8e-3, batch_tokens=32)
        finetune(base, data, LoRA(r=2), options, progress=progress)
        assert not any("same label" in line for line in progress.lines)

    @pytest.mark.slow
    def test_is_not_said_of_a_model_that_tells_them_apart(
        self, base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        progress = Recording()
        finetune(base, tiny_data, options=tiny_options.changed(epochs=4), progress=progress)
        assert not any("the kept epoch" in line for line in progress.lines)


def test_a_refusal_leaves_nothing_behind(base: Classifier, tiny_data: TextDataset, tmp_path: Path) -> None:
    base.model.config.pad_token_id = 9
    with pytest.raises(EmotuneError):
        finetune(base, tiny_data, LoRA(r=2), OPTIONS, checkpoints=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
