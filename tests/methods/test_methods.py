"""LoRA's relatives, AdaLoRA, VeRA, prompts and the head alone: what PEFT builds for the same configuration, and what each adds to it."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from emotune.methods.adalora import AdaLoRA
from emotune.methods.base import Method
from emotune.methods.full import FullFineTuning
from emotune.methods.head import HeadOnly
from emotune.methods.ia3 import IA3
from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import DoRA, LoRAPlus, PiSSA
from emotune.methods.prompts import PrefixTuning, PromptTuning
from emotune.methods.registry import METHODS
from emotune.methods.vera import VeRA
from emotune.system.errors import ArtifactError, MethodError
from emotune.training.finetune import finetune

from .models import make_model as make_model_of
from .test_lora import HIDDEN, INNER, LABELS, LAYERS, logits, make_model, trained

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions

HEAD = HIDDEN * LABELS + LABELS
POOLER = HIDDEN * HIDDEN + HIDDEN
TARGETS = r"bert\.encoder\..*\.(query|key|value|dense)"


def apply(method: Method, model: Any = None, seed: int = 1) -> Any:
    model = make_model() if model is None else model
    torch.manual_seed(seed)
    return method.apply(model, "owner/base")


def stir(model: nn.Module) -> None:
    """Moves everything that is trained, as training would."""
    torch.manual_seed(2)
    with torch.no_grad():
        for _, parameter in sorted(trained(model).items()):
            parameter.add_(0.1 * torch.randn_like(parameter))


def peft_model(config: Any) -> Any:
    from peft import get_peft_model

    config.task_type, config.modules_to_save = "SEQ_CLS", ["pooler", "classifier"]
    model = make_model()
    torch.manual_seed(1)
    return get_peft_model(model, config)


def peft_configs() -> dict[str, tuple[Method, Any]]:
    from peft import AdaLoraConfig, IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, VeraConfig

    sizes = {"num_virtual_tokens": 5, "token_dim": HIDDEN, "num_layers": LAYERS, "num_attention_heads": 4}
    return {
        "DoRA": (DoRA(r=4), LoraConfig(r=4, lora_alpha=8, use_dora=True, target_modules=TARGETS)),
        "LoRA+": (LoRAPlus(r=4), LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS)),
        "PiSSA": (
            PiSSA(r=4),
            LoraConfig(r=4, lora_alpha=4, init_lora_weights="pissa_niter_16", target_modules=TARGETS),
        ),
        "AdaLoRA": (
            AdaLoRA(r=4),
            AdaLoraConfig(target_r=4, init_r=6, lora_alpha=8, total_step=9, target_modules=TARGETS),
        ),
        "IA3": (
            IA3(),
            IA3Config(
                target_modules=r"bert\.encoder\..*\.(key|value|\d+\.output\.dense)",
                feedforward_modules=r"bert\.encoder\..*\.\d+\.output\.dense",
            ),
        ),
        "VeRA": (VeRA(r=16), VeraConfig(r=16, target_modules=TARGETS)),
        "prefix": (PrefixTuning(tokens=5), PrefixTuningConfig(**sizes)),
        "prompt": (PromptTuning(tokens=5), PromptTuningConfig(num_transformer_submodules=1, **sizes)),
    }


@pytest.mark.parametrize("name", ["DoRA", "LoRA+", "PiSSA", "AdaLoRA", "IA3", "VeRA", "prefix", "prompt"])
def test_is_what_peft_builds(name: str) -> None:
    method, config = peft_configs()[name]
    ours, reference = apply(method), peft_model(config)
    assert trained(ours).keys() == trained(reference).keys()
    for model in (ours, reference):
        stir(model)
    for key, parameter in trained(ours).items():
        assert torch.equal(parameter, trained(reference)[key]), key
    assert torch.equal(logits(ours), logits(reference))


@pytest.mark.parametrize("method", [DoRA(r=4), PiSSA(r=4), LoRAPlus(r=4), AdaLoRA(r=4), IA3(), VeRA(r=16), HeadOnly()])
def test_starts_as_the_base_model(method: Method) -> None:
    torch.testing.assert_close(logits(apply(method)), logits(make_model()), rtol=1e-4, atol=1e-5)


def test_the_number_of_trained_parameters_by_hand() -> None:
    wide = LAYERS * (4 * HIDDEN + INNER + HIDDEN)  # outputs of all linear layers of the encoder

    def count(method: Method) -> int:
        return sum(parameter.numel() for parameter in trained(apply(method)).values()) - HEAD - POOLER

    lora = LAYERS * (4 * 4 * (HIDDEN + HIDDEN) + 2 * 4 * (HIDDEN + INNER))
    assert count(DoRA(r=4)) == lora + wide
    assert count(PiSSA(r=4)) == count(LoRAPlus(r=4)) == lora
    assert count(VeRA(r=16)) == wide + LAYERS * 6 * 16
    assert count(PromptTuning(tokens=5)) == 5 * HIDDEN
    assert count(PrefixTuning(tokens=5)) == 5 * LAYERS * 2 * HIDDEN
    assert count(IA3()) == LAYERS * (2 * HIDDEN + INNER)
    assert count(HeadOnly()) == 0


def test_ia3_takes_named_layers_of_a_model_whose_feed_forward_block_cannot_be_told() -> None:
    model: Any = make_model_of("bert", intermediate_size=HIDDEN)  # all layers as wide as each other
    model.config.model_type = "strange"
    with pytest.raises(MethodError, match="target_modules"):
        apply(IA3(), copy.deepcopy(model))
    vectors = [name for name in trained(apply(IA3(target_modules=("key", "value")), model)) if "ia3_l" in name]
    assert len(vectors) == 2 * LAYERS


class TestPiSSA:
    @pytest.mark.filterwarnings("ignore:Could not find a config file in owner/base")
    def test_what_is_saved_is_lora_on_the_untouched_base(self, tmp_path: Path) -> None:
        """Loaded by plain PEFT, and equal to PEFT's own conversion."""
        from peft import PeftModel
        from safetensors.torch import load_file

        method = PiSSA(r=4)
        model = apply(method)
        method.save_checkpoint(model, tmp_path / "start")
        start = tmp_path / "start" / "adapter_config.json"
        start.write_text(start.read_text().replace('"pissa_niter_16"', "true"))
        stir(model)
        expected = logits(model)
        method.save(model, tmp_path / "saved")
        plain = PeftModel.from_pretrained(make_model(), str(tmp_path / "saved"))
        torch.testing.assert_close(logits(plain), expected, rtol=1e-4, atol=1e-5)
        assert plain.peft_config["default"].r == 8

        model.save_pretrained(
            tmp_path / "by_peft",
            path_initial_model_for_weight_conversion=str(tmp_path / "start"),
            save_embedding_layers=False,
        )
        ours, theirs = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("saved", "by_peft"))
        assert {name for name in ours if ".lora_" in name} == theirs.keys()  # PEFT's conversion leaves the head out
        for name, tensor in theirs.items():
            torch.testing.assert_close(ours[name], tensor, msg=name)

    def test_refuses_a_rank_that_a_weight_does_not_have(self) -> None:
        with pytest.raises(MethodError, match=r"rank 33 needs as many singular vectors, and bert\..*query has 32"):
            apply(PiSSA(r=33))

    def test_begins_in_the_principal_directions(self) -> None:
        model = apply(PiSSA(r=4))
        layer = model.get_submodule("base_model.model.bert.encoder.layer.0.intermediate.dense")
        b, a = layer.lora_B["default"].weight, layer.lora_A["default"].weight
        weight: Any = make_model().get_submodule("bert.encoder.layer.0.intermediate.dense").weight
        singular = torch.linalg.svdvals(weight)
        left = torch.linalg.matrix_norm(weight - b @ a)
        # The least that any matrix of rank 4 leaves (Eckart and Young); the fast decomposition comes close to it.
        torch.testing.assert_close(left, singular[4:].square().sum().sqrt(), rtol=1e-3, atol=0)


def test_b_of_lora_plus_moves_faster_by_the_ratio() -> None:
    """Adam's first step is the learning rate in every direction."""
    method = LoRAPlus(r=4, ratio=8.0)
    model = apply(method)
    before = {name: parameter.detach().clone() for name, parameter in trained(model).items()}
    groups = method.parameter_groups(model, 1e-4)
    assert groups is not None
    optimizer = torch.optim.Adam(groups, eps=0.0)
    for parameter in trained(model).values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert sum(len(group["params"]) for group in groups) == len(before)
    for name, parameter in trained(model).items():
        rate = 8e-4 if ".lora_B." in name else 1e-4
        torch.testing.assert_close(parameter.detach(), before[name] - rate, rtol=1e-4, atol=1e-6)


class TestAdaLoRA:
    def test_the_penalty_is_the_one_that_peft_adds_to_its_own_loss(self) -> None:
        model = apply(AdaLoRA(r=4, orthogonality=0.3))
        stir(model)
        ids = torch.tensor([[5, 9, 12, 40], [7, 7, 3, 8]])
        labels = torch.tensor([0, 1])
        found = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
        plain = nn.functional.cross_entropy(found.logits, labels)
        penalty = AdaLoRA(r=4, orthogonality=0.3).penalty(model)
        assert penalty is not None
        torch.testing.assert_close(found.loss, plain + penalty)

    @pytest.mark.slow
    def test_prunes_to_the_budget_and_keeps_an_earlier_epoch_loadable(
        self, tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        tuned = finetune(tiny_base, tiny_data, AdaLoRA(r=2, initial_r=4), tiny_options)
        assert tuned.training is not None
        assert tiny_options.epochs is not None
        singular = [p for name, p in tuned.model.named_parameters() if ".lora_E." in name]
        left = sum(int((values != 0).sum()) for values in singular)
        if tuned.training.best_epoch > 0.7 * tiny_options.epochs:  # after the last pruning
            assert left == 2 * len(singular)
        assert len(singular) == 12
        assert tuned.training.epochs[-1].train_loss < tuned.training.epochs[0].train_loss

    def test_says_that_there_are_too_few_steps(
        self, tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        few = tiny_options.changed(epochs=1, batch_tokens=100_000)
        with pytest.raises(MethodError, match="needs at least 10 steps to choose ranks in; there is 1"):
            finetune(tiny_base, tiny_data, AdaLoRA(), few)


class TestPrompts:
    @pytest.mark.parametrize(("method", "family"), [(PromptTuning(), "gpt2"), (PrefixTuning(), "distilbert")])
    def test_refuses_a_model_that_cannot_take_it(self, method: Method, family: str) -> None:
        with pytest.raises(MethodError, match=r"cannot train a .* model: .*Use another method"):
            apply(method, make_model(family))

    @pytest.mark.parametrize("method", [PromptTuning(tokens=5), PrefixTuning(tokens=5)])
    def test_padding_changes_nothing(self, method: Method) -> None:
        model = apply(method).eval()
        stir(model)
        alone = model(input_ids=torch.tensor([[5, 9, 12]]), attention_mask=torch.ones(1, 3)).logits
        ids = torch.tensor([[5, 9, 12, 0, 0], [7, 7, 3, 8, 9]])
        together = model(input_ids=ids, attention_mask=(ids != 0).long()).logits
        torch.testing.assert_close(together[:1], alone, rtol=1e-5, atol=1e-6)

    def test_takes_up_positions(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        long = dataclasses.replace(tiny_base, max_length=60)
        with pytest.raises(MethodError, match=r"60 tokens of text and 20 .* 64 positions"):
            finetune(long, tiny_data, PromptTuning())


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (FullFineTuning(), "every weight"),
        (HeadOnly(), "bert.pooler, classifier in full, and nothing else"),
        (PromptTuning(tokens=3), "3 vectors before the text, and bert.pooler, classifier in full"),
        (PrefixTuning(tokens=3), "3 keys and values per layer before the text, and bert.pooler, classifier in full"),
    ],
)
def test_without_adapters_it_says_what_is_trained(tiny_base: Classifier, method: Method, expected: str) -> None:
    assert method.adapted_modules(tiny_base.model) == ()
    assert method.trains(tiny_base.model) == expected


def test_with_adapters_it_names_their_modules(tiny_base: Classifier) -> None:
    assert LoRA(target_modules=["query"]).trains(tiny_base.model) == (
        "adapters on bert.encoder.layer.*.attention.self.query (2), and bert.pooler, classifier in full"
    )


class TestHeadOnly:
    def test_nothing_but_head_and_pooler_moves(
        self, tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        options = tiny_options.changed(epochs=2)
        before = copy.deepcopy(tiny_base.model.state_dict())
        tuned = finetune(tiny_base, tiny_data, HeadOnly(), options)
        moved = {name for name, tensor in tuned.model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert moved == {name for name in before if name.startswith(("bert.pooler.", "classifier."))}

    def test_a_head_of_another_model_is_refused(self, tmp_path: Path) -> None:
        method = HeadOnly()
        method.save(apply(method), tmp_path)
        with pytest.raises(ArtifactError, match="does not fit the base model"):
            method.load(tmp_path, lambda: make_model("roberta"))


@pytest.mark.slow
@pytest.mark.parametrize("key", METHODS)
def test_trains_saves_and_loads(
    key: str,
    tiny_base: Classifier,
    tiny_bert: Path,
    tiny_data: TextDataset,
    tiny_options: TrainingOptions,
    tmp_path: Path,
) -> None:
    """The saved folder gives the logits of the model that was trained, and of a model that was saved twice."""
    from emotune.evaluation.evaluate import evaluate
    from emotune.folder.load import load_saved

    tuned = finetune(tiny_base, tiny_data, METHODS[key](name=key), tiny_options.changed(epochs=2))
    expected = evaluate(tuned, tiny_data.test).logits
    again = load_saved(tuned.save(tmp_path / "one"), base=tiny_bert)
    assert again.method == tuned.method
    twice = load_saved(again.save(tmp_path / "two"), base=tiny_bert)
    for found in (again, twice):
        torch.testing.assert_close(
            torch.from_numpy(evaluate(found, tiny_data.test).logits), torch.from_numpy(expected), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (DoRA, {"r": 0}, "DoRA: r is 0; expected a whole number of at least 1"),
        (LoRAPlus, {"ratio": 0.5}, "ratio is 0.5; expected a number of at least 1"),
        (AdaLoRA, {"r": 8, "initial_r": 4}, "initial_r is 4; expected at least r, which is 8"),
        (AdaLoRA, {"orthogonality": -1.0, "dropout": 1.0}, r"(?s)dropout is 1\.0.*orthogonality is -1\.0"),
        (VeRA, {"r": 2.5}, "r is 2.5"),
        (PromptTuning, {"tokens": 0}, "tokens is 0; expected a whole number of at least 1"),
    ],
)
def test_options_out_of_range(method: type[Method], options: dict[str, Any], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        method(**options)
