"""The fast path against plain PEFT on padded batches: equal logits, loss and gradients in float32, for each family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from emotune.engine.dropout import MaskPool
from emotune.engine.install import install, packed, use_pooled_dropout, why_not_installed
from emotune.engine.layout import Layout
from emotune.methods.adalora import AdaLoRA
from emotune.methods.base import Method
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.ia3 import IA3
from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import DoRA
from emotune.methods.vera import VeRA
from emotune.models.classifier import Classifier

SIZES: dict[str, Any] = {"vocab_size": 70, "num_labels": 3, "pad_token_id": 1}
LAYERS: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 40
}  # fmt: skip
MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES, **LAYERS)),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**SIZES, **LAYERS, type_vocab_size=1)),
    "camembert": lambda: CamembertForSequenceClassification(CamembertConfig(**SIZES, **LAYERS, type_vocab_size=1)),
    "xlm-roberta": lambda: XLMRobertaForSequenceClassification(XLMRobertaConfig(**SIZES, **LAYERS, type_vocab_size=1)),
    "electra": lambda: ElectraForSequenceClassification(ElectraConfig(**SIZES, **LAYERS, embedding_size=32)),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(**SIZES, dim=32, n_layers=3, n_heads=4, hidden_dim=48, max_position_embeddings=40)
    ),
}
METHODS: dict[str, Method] = {
    "default": LoRA(r=4),
    "alpha": LoRA(r=6, alpha=3.0),
    "rslora": LoRA(r=4, rslora=True),
    "some targets": LoRA(r=2, target_modules=("query", "value", "q_lin", "output.dense", "ffn.lin2")),
    "upper layers": LoRA(r=2, target_modules=r".*layer\.[12]\..*"),
    "dora": DoRA(r=4),
    "dora, upper layers": DoRA(r=2, target_modules=r".*layer\.[12]\..*"),
    "adalora": AdaLoRA(r=4),
    "vera": VeRA(r=16),
    "ia3": IA3(),
    "full": FullFineTuning(),
    "bitfit": BitFit(),
    "bottleneck": Bottleneck(size=4),
    "bottleneck, relu": Bottleneck(size=4, placement="pfeiffer", activation="relu"),
    "bottleneck, upper layers": Bottleneck(size=4, target_modules=r".*layer\.[12]\.(intermediate\.dense|ffn\.lin1)"),
}
# One of each kind.
TELLING = ("default", "dora", "adalora", "vera", "ia3", "bitfit", "bottleneck")
# What starts at zero; and what starts as what it scales, or as one.
ZEROS = (".lora_B.", ".lora_E.", ".vera_lambda_b.", ".emotune_bitfit_delta.", ".emotune_bottleneck_up.")
SCALES = (".lora_magnitude_vector.", ".vera_lambda_d.", ".ia3_l.")
LENGTHS = (3, 3, 7, 7, 7, 12, 5, 1)


def build(maker: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """A model under the name that PEFT asks for."""
    model = maker()
    model.name_or_path = "base"
    return model


def make(family: str, method: Method = METHODS["default"], seed: int = 0) -> nn.Module:
    """A PEFT model with what starts at zero drawn at random, since with B zero half of the gradients vanish."""
    torch.manual_seed(seed)
    base = build(MODELS[family])
    if isinstance(method, LoRA) and method is METHODS["some targets"]:
        names = [name for name, _ in base.named_modules()]
        wanted = tuple(t for t in method.target_modules if any(n.endswith(t) for n in names))
        method = LoRA(r=2, target_modules=wanted)
    model = method.apply(base, "base").eval()
    for name, parameter in model.named_parameters():
        if any(part in name for part in ZEROS):
            nn.init.normal_(parameter, std=0.1)
        elif any(part in name for part in SCALES):
            parameter.data *= 1 + 0.1 * torch.randn_like(parameter)
    return model


def is_of_key_bias(name: str) -> bool:
    """Whether a gradient is zero but for rounding: the bias of keys adds the same to every score that a softmax compares."""
    return any(
        part in name for part in ("key.bias", "k_lin.bias", "key.emotune_bitfit_delta", "k_lin.emotune_bitfit_delta")
    )


def merged(model: Any) -> nn.Module:
    """The model with its adapters merged."""
    model.merge_adapter()
    return model


def batches() -> tuple[dict[str, Any], dict[str, Any]]:
    """The same texts padded and packed."""
    torch.manual_seed(2)
    texts = [torch.randint(5, 60, (length,)) for length in LENGTHS]
    ids = torch.ones(len(texts), max(LENGTHS), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}, {"input_ids": torch.cat(texts), "lengths": np.array(LENGTHS)}


def learn(
    model: nn.Module, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, loss and gradients."""
    logits = model(**batch).logits.float()
    loss = nn.functional.cross_entropy(logits, torch.arange(len(LENGTHS)) % 3)
    loss.backward()
    return logits.detach(), loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=() if family == "bert" else pytest.mark.slow) for family in MODELS]
)
@pytest.mark.parametrize("share", [True, False], ids=["shared weights", "own weights"])
def test_equals_plain_peft_in_float32(family: str, method: Method, share: bool) -> None:
    padded, batch = batches()
    logits, loss, gradients = learn(make(family, method), padded)
    fast = make(family, method)
    assert install(fast, torch.float32, share=share) is None
    fast_logits, fast_loss, fast_gradients = learn(fast, batch)

    torch.testing.assert_close(fast_logits, logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fast_loss, loss, rtol=1e-5, atol=0)
    assert fast_gradients.keys() == gradients.keys()
    telling = (
        ".lora_A.", "query.weight", "q_lin.weight", "query.emotune_bitfit_delta", "q_lin.emotune_bitfit_delta",
        ".emotune_bottleneck_down.", ".vera_lambda_d.", ".ia3_l.",
    )  # fmt: skip
    assert any(part in name for name in gradients for part in telling)
    for name, gradient in gradients.items():
        if is_of_key_bias(name) and isinstance(method, BitFit):
            assert max(gradient.norm(), fast_gradients[name].norm()) < 1e-7, name
            continue
        error = (fast_gradients[name] - gradient).norm() / gradient.norm().clamp_min(1e-7)
        assert error < 1e-5, f"{name}: relative error {error:.1e}"


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_follows_the_optimizer(method: Method) -> None:
    """After a few steps, logits and weights are those of the plain way: what the optimizer moved is taken over at every call."""
    found = []
    for fast, batch in zip((False, True), batches(), strict=True):
        model = make("bert", method)
        if fast:
            assert install(model, torch.float32, share=True) is None
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            logits, *_ = learn(model, batch)
            optimizer.step()
        found.append((logits, {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}))
    (plain, plain_weights), (fast_logits, fast_weights) = found
    torch.testing.assert_close(fast_logits, plain, rtol=1e-4, atol=1e-5)
    for name, weight in plain_weights.items():
        torch.testing.assert_close(fast_weights[name], weight, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("method", [METHODS[name] for name in TELLING])
@pytest.mark.parametrize("family", MODELS)
def test_prediction_with_merged_weights_equals_plain_peft(family: str, method: Method) -> None:
    padded, batch = batches()
    model = make(family, method)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.inference_mode():
        expected = model(**padded).logits
        assert why_not_installed(model) is None
        ready = packed(model, torch.float32)
        torch.testing.assert_close(ready(**batch).logits, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(model(**padded).logits, expected, rtol=0, atol=0)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prediction_follows_nothing_that_is_done_to_the_model_later(dtype: torch.dtype) -> None:
    """Modes and devices are the model's own, and what the layers compute with is taken once."""
    _, batch = batches()
    model = make("bert", METHODS["bottleneck"])
    ready = packed(model, dtype)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        expected = ready(**batch).logits
        model.train()
        for name, parameter in model.named_parameters():
            if ".layer." in name:
                parameter.data = parameter.data + 1
        model.to("meta")
        torch.testing.assert_close(ready(**batch).logits, expected, rtol=0, atol=0)


def test_prediction_holds_embeddings_and_head_on_the_model_s_memory_and_no_layers() -> None:
    model = make("bert")
    ready = packed(model, torch.float32)
    ours, theirs = ({p.data_ptr() for p in m.parameters()} for m in (ready, model))
    assert ours <= theirs
    assert not any("layer" in name for name, _ in ready.named_parameters())


def test_prediction_takes_the_fast_path_of_a_base_model_too(
    tiny_base: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emotune.engine.encoder import Encoder
    from emotune.inference.forward import compute_logits
    from emotune.models.encoding import encode

    monkeypatch.setattr(Encoder, "__call__", lambda *_, **__: pytest.fail("the fast path ran"))
    with pytest.raises(pytest.fail.Exception, match="the fast path ran"):
        compute_logits(tiny_base.model, encode(tiny_base.tokenizer, ["miko"], 32))


@pytest.mark.parametrize("family", MODELS)
def test_padding_that_was_written_into_a_text_stands_where_transformers_puts_it(family: str) -> None:
    padded, batch = batches()
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    for row, place in ((2, 3), (3, 0), (5, 11)):
        padded["input_ids"][row, place] = batch["input_ids"][starts[row] + place] = SIZES["pad_token_id"]
    model = make(family)
    with torch.inference_mode():
        expected = model(**padded).logits
        torch.testing.assert_close(packed(model, torch.float32)(**batch).logits, expected, rtol=1e-5, atol=1e-6)


def test_padded_batches_still_go_the_plain_way() -> None:
    padded, _ = batches()
    model = make("bert")
    expected = model(**padded).logits
    install(model, torch.float32, share=True)
    torch.testing.assert_close(model(**padded).logits, expected, rtol=0, atol=0)


@pytest.mark.parametrize("method", [METHODS[name] for name in (*TELLING, "full")])
def test_is_close_to_float32_in_bfloat16(method: Method) -> None:
    padded, batch = batches()
    _, _, gradients = learn(make("bert", method), padded)
    fast = make("bert", method)
    for parameter in fast.parameters():
        if not parameter.requires_grad and parameter.ndim == 2:
            parameter.data = parameter.data.bfloat16()
    install(fast, torch.bfloat16, share=True)
    with torch.autocast("cpu", torch.bfloat16):
        _, _, low_gradients = learn(fast, batch)
    for name, gradient in gradients.items():
        assert low_gradients[name].dtype == torch.float32
        if is_of_key_bias(name):
            continue
        cosine = nn.functional.cosine_similarity(low_gradients[name].flatten(), gradient.flatten(), dim=0)
        assert cosine > 0.99, f"{name}: cosine {cosine:.4f}"


def test_passes_gradcheck_with_dropout() -> None:
    _, batch = batches()
    model = make("bert").double().train()
    pools: dict[float, MaskPool] = {}
    use_pooled_dropout(model, pools)
    install(model, torch.float64, pools=pools)
    parameters = [p for name, p in model.named_parameters() if "layer.0.attention.self.query.lora" in name]
    parameters += [p for name, p in model.named_parameters() if "layer.2.output.dense.lora" in name]
    assert len(parameters) == 4

    def run(*values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)  # the same masks at every call
        return model(**batch).logits

    assert torch.autograd.gradcheck(run, parameters, fast_mode=True)
    first = run()
    torch.manual_seed(6)
    assert not torch.allclose(model(**batch).logits, first)  # it did drop


def test_gradient_reaches_an_input_that_wants_one() -> None:
    from emotune.engine.encoder import Encoder

    torch.manual_seed(0)
    bert = MODELS["bert"]().eval()
    stack = Encoder(bert.bert, bert.config, torch.float64, first_only=True)
    layout = Layout.of(np.array([4, 4, 2]))
    x = torch.randn(10, 32, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: stack(x, layout, training=False), (x,), fast_mode=True)


def test_only_the_layers_that_need_a_gradient_keep_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    from emotune.engine.encoder import EncoderLayer

    saves = []
    plain = EncoderLayer.forward

    def spy(self: EncoderLayer, *args: Any, save: bool, **kwargs: Any) -> Any:
        saves.append(save)
        return plain(self, *args, save=save, **kwargs)

    monkeypatch.setattr(EncoderLayer, "forward", spy)
    model = make("bert", METHODS["upper layers"])
    install(model, torch.float32)
    model(**batches()[1])
    assert saves == [False, True, True]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: GPT2ForSequenceClassification(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=30)), "gpt2"),
        (lambda: LoRA(r=2, dropout=0.1).apply(build(MODELS["bert"]), "base"), "options are not covered"),
        (lambda: Bottleneck(size=2, dropout=0.1).apply(build(MODELS["bert"]), "base"), "options are not covered"),
        (
            lambda: Bottleneck(size=2, target_modules="query").apply(build(MODELS["bert"]), "base"),
            "BottleneckLayer is another kind of layer",
        ),
        (lambda: merged(BitFit().apply(build(MODELS["bert"]), "base")), "BitFitLayer is another kind of layer"),
        (
            lambda: BertForSequenceClassification(BertConfig(**SIZES, **LAYERS, hidden_act="relu")),
            "activation is relu",
        ),
        (lambda: BertForSequenceClassification(BertConfig(**SIZES, **LAYERS, is_decoder=True)), "decoder"),
        (
            lambda: ElectraForSequenceClassification(ElectraConfig(**SIZES, **LAYERS, embedding_size=16)),
            "embeddings are smaller",
        ),
    ],
    ids=[
        "another family",
        "dropout of the adapter",
        "dropout of a bottleneck",
        "a bottleneck behind queries",
        "merged BitFit",
        "another activation",
        "decoder",
        "projection",
    ],
)
def test_says_what_it_does_not_cover_and_leaves_it(model: Callable[[], PreTrainedModel], reason: str) -> None:
    built = model()
    found = install(built, torch.float32)
    assert found is not None
    assert reason in found
    assert not any("forward" in vars(module) for module in built.modules())
