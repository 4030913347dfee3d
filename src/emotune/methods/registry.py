"""All fine-tuning methods, by the name that configurations give them."""

from __future__ import annotations

from typing import Any

from emotune.methods.adalora import AdaLoRA
from emotune.methods.base import Method
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.head import HeadOnly
from emotune.methods.ia3 import IA3
from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import DoRA, LoRAPlus, PiSSA
from emotune.methods.prompts import PrefixTuning, PromptTuning
from emotune.methods.qlora import QLoRA
from emotune.methods.vera import VeRA
from emotune.system.errors import ArtifactError, MethodError

_ALL: tuple[type[Method], ...] = (
    LoRA,
    QLoRA,
    DoRA,
    PiSSA,
    LoRAPlus,
    AdaLoRA,
    VeRA,
    IA3,
    BitFit,
    Bottleneck,
    PrefixTuning,
    PromptTuning,
    HeadOnly,
    FullFineTuning,
)
METHODS: dict[str, type[Method]] = {method.key: method for method in _ALL}


def method_of_folder(description: dict[str, Any], folder: str) -> Method:
    """The method that a saved folder was made with.

    Args:
        description: What its `emotune.json` holds under "method": the method's name for people, and its options.
        folder: The folder, for messages.

    Raises:
        ArtifactError: There is no such method here, or it does not have these options.
    """
    options = dict(description)
    name = options.pop("name", None)
    method = next((method for method in METHODS.values() if method.name == name), None)
    if method is None:
        known = ", ".join(method.name for method in METHODS.values())
        raise ArtifactError(f"'{folder}' was made with the method {name!r}; this emotune knows {known}.")
    try:
        return method(**options)
    except (TypeError, MethodError) as error:
        raise ArtifactError(f"'{folder}' is damaged: its options of {name} are not valid: {error}") from None
