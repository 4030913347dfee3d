"""BitFit: only biases are trained (Ben Zaken et al., 2021, arXiv 2106.10199), through PEFT and emotune's own tuner."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from emotune.methods.base import PeftMethod, head_and_pooler
from emotune.models.families import encoder
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


class BitFit(PeftMethod):
    """Train the bias of every linear layer and every normalization of the encoder, including that of the embeddings.

    Pooler and head are trained in full. The bias of BERT's keys is trained, as in the paper, although it cannot change
    the model's output: it adds the same number to every attention score of a token, and only their differences count.
    """

    title: ClassVar[str] = "BitFit"
    learning_rate: ClassVar[float] = 4e-3
    moving: ClassVar[tuple[str, ...]] = (".emotune_bitfit_delta.",)
    tuner: ClassVar[str | None] = "emotune.methods.tuners.bitfit"

    name: Literal["bitfit"] = "bitfit"

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the linear layers and normalizations of the encoder that have a bias, without the pooler.

        Raises:
            MethodError: The encoder has no biases, or a bias that its layer does not add to the output last.
        """
        from torch import nn
        from transformers.pytorch_utils import Conv1D

        kind = model.config.model_type
        found = []
        for name, module in encoder(model).named_modules():
            if name.partition(".")[0] == "pooler":
                continue
            # Custom layers have biases of their own names, such as DeBERTa's q_bias.
            for parameter in (own for own, _ in module.named_parameters(recurse=False) if "bias" in own):
                if parameter != "bias" or not isinstance(module, (nn.Linear, Conv1D, nn.LayerNorm)):
                    raise MethodError(
                        f"BitFit does not know what {name}.{parameter} of {kind!r} is added to: {type(module).__name__} is "
                        "neither a linear layer nor a layer normalization. Use another method, such as lora."
                    )
                found.append(f"{model.base_model_prefix}.{name}")
        if not found:
            raise MethodError(
                f"The encoder of this {kind!r} has no biases, so BitFit has nothing to train. Use another method, such as lora."
            )
        return tuple(found)

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return the configuration of emotune's tuner. The vectors added to the biases start at zero."""
        from emotune.methods.tuners.bitfit import BitFitConfig  # which imports PEFT

        return BitFitConfig(
            target_modules=list(self.adapted_modules(model)),
            modules_to_save=head_and_pooler(model),
        )
