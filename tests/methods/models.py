"""Tiny classifiers of many architectures, for the methods whose layers differ between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

HIDDEN, INNER, LAYERS, LABELS = 32, 64, 2, 6
SIZES = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "albert": SIZES | {"embedding_size": 16},
    "bert": SIZES,
    "camembert": SIZES,
    "deberta-v2": SIZES,
    "distilbert": {"dim": HIDDEN, "hidden_dim": INNER, "n_layers": LAYERS, "n_heads": 4},
    "electra": SIZES | {"embedding_size": 16},
    "gpt2": {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4},
    "modernbert": SIZES | {"cls_token_id": 1, "sep_token_id": 2},
    "mpnet": SIZES,
    "roberta": SIZES,
    "xlm-roberta": SIZES,
}


def make_model(kind: str = "bert", **options: Any) -> PreTrainedModel:
    """A classifier of random weights, the same at every call, under the name that PEFT asks for."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    given = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": LABELS}
    config = AutoConfig.for_model(kind, **given | ARCHITECTURES[kind] | options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # zero otherwise, which would hide what is added to them
                torch.nn.init.normal_(parameter, std=0.1)
    model.name_or_path = "owner/base"
    return model


def draw_trained(model: nn.Module, std: float = 0.3) -> None:
    """Put random numbers in the place of everything that is trained."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=std)


def logits(model: nn.Module) -> torch.Tensor:
    """Logits of two texts of four tokens each."""
    ids = torch.tensor([[5, 9, 12, 40], [7, 7, 3, 8]])
    found: torch.Tensor = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return found
