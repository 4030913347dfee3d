"""What no method can do is known before it is tried, and the documentation lists it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emotune.methods.refusals import REFUSED
from emotune.models.families import FAMILIES

from ..tiny_models import make_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def make_model(family: str, **changes: int) -> PreTrainedModel:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_config(make_config(family, 50, **changes))


def test_the_documentation_lists_them() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("## What is refused")[2].splitlines()
        if line.startswith("| `")
    ]
    found = {
        (method.strip("`"), family.strip("`")): reason
        for method, families, reason in rows
        for family in families.split(", ")
    }
    assert found == REFUSED


def test_they_are_of_families_that_there_are() -> None:
    assert {family for _, family in REFUSED} <= FAMILIES.keys()


def test_prefixes_are_refused_where_peft_refuses_them() -> None:
    """The reference is PEFT: of the families, those whose models take keys and values from outside."""
    import torch
    from peft import PrefixTuningConfig, TaskType, get_peft_model

    refused = {family for method, family in REFUSED if method == "prefix"}
    for family in FAMILIES:
        config = PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=2, token_dim=16, num_layers=2)
        config.num_attention_heads = 2
        try:
            ids = torch.tensor([[5, 6, 7]])
            model = get_peft_model(make_model(family, num_labels=3), config)
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
        except (ValueError, TypeError, RuntimeError):
            assert family in refused
        else:
            assert family not in refused
