"""Prompt and prefix tuning: trained vectors before the text instead of trained weights, through PEFT."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from pydantic import Field

from emotune.methods.base import PeftMethod, head_and_pooler
from emotune.methods.refusals import check_refusal
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn
    from transformers import PreTrainedModel


class _VirtualTokens(PeftMethod):
    """Base class of prompt and prefix tuning."""

    moving: ClassVar[tuple[str, ...]] = ("prompt_encoder.",)
    vectors: ClassVar[str]
    """Name of the `tokens` vectors before the text, for messages."""

    tokens: int = Field(
        default=20, ge=1, description="Vectors before the text; they count towards the model's limit of positions."
    )

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return no modules: the encoder stays unchanged."""
        return ()

    def trains(self, model: PreTrainedModel) -> str:
        """Describe the trained part: the vectors, with head and pooler."""
        return f"{self.tokens} {self.vectors} before the text, and {', '.join(head_and_pooler(model))} in full"

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return PEFT's configuration with the model's sizes, which PEFT knows of only some families."""
        check_refusal(self, model)
        text_config = model.config.get_text_config()
        config: Any = self._empty_config()
        config.num_virtual_tokens = self.tokens
        config.num_layers = text_config.num_hidden_layers
        config.num_attention_heads = text_config.num_attention_heads
        config.num_transformer_submodules = 1
        config.token_dim = self._width(model)
        config.modules_to_save = head_and_pooler(model)
        return config

    def extra_tokens(self) -> int:
        """Return the number of vectors, which use positions of the model."""
        return self.tokens

    def merge(self, model: Any) -> NoReturn:
        """Refuse to merge.

        Raises:
            MethodError: Always.
        """
        raise MethodError(
            f"A model with {self.title} cannot be merged: {self.vectors} stand before every text, and no weight can express them. "
            "Predict with emotune itself, or train with a method that can be merged, such as lora."
        )

    @abstractmethod
    def _empty_config(self) -> PeftConfig: ...

    @abstractmethod
    def _width(self, model: PreTrainedModel) -> int: ...


class PromptTuning(_VirtualTokens):
    """Train vectors before the text's embeddings (Lester et al., 2021, arXiv 2104.08691), with head and pooler.

    It changes a model least of all methods, and is the weakest on small encoders: the paper finds it close to full
    fine-tuning only for models of billions of parameters. Heads that read the first token then read the first vector.
    """

    title: ClassVar[str] = "prompt tuning"
    vectors: ClassVar[str] = "vectors"
    learning_rate: ClassVar[float] = 2e-2

    name: Literal["prompt"] = "prompt"

    def _empty_config(self) -> PeftConfig:
        from peft import PromptTuningConfig

        return PromptTuningConfig()

    def _width(self, model: PreTrainedModel) -> int:
        embeddings: nn.Embedding = model.get_input_embeddings()
        return embeddings.embedding_dim


class PrefixTuning(_VirtualTokens):
    """Train keys and values that precede the text's own in every layer (Li and Liang, 2021, arXiv 2101.00190).

    Head and pooler are trained too. The vectors are trained directly, without the paper's reparameterization by a
    perceptron.
    """

    title: ClassVar[str] = "prefix tuning"
    vectors: ClassVar[str] = "keys and values per layer"
    learning_rate: ClassVar[float] = 2e-2

    name: Literal["prefix"] = "prefix"

    def _empty_config(self) -> PeftConfig:
        from peft import PrefixTuningConfig

        return PrefixTuningConfig()

    def _width(self, model: PreTrainedModel) -> int:
        return int(model.config.get_text_config().hidden_size)
