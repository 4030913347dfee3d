"""AdaLoRA: a budget of ranks, assigned by importance (Zhang et al., 2023, arXiv 2303.10512), through PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from emotune.methods.base import Alpha, Dropout, LinearMethod
from emotune.models.targets import ALL_LINEAR, Targets
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel, TrainerCallback

# Shares of all steps: without pruning at the start, and with the final ranks at the end.
FIRST, LAST = 0.1, 0.4
FIRST_STEPS, LEAST_STEPS = 4, 10
# PEFT requires the number of steps before it is known; `begin` sets it.
_UNKNOWN = 10**9


class AdaLoRA(LinearMethod):
    """Adapters P diag(E) Q of higher rank, whose least important singular values are pruned during training.

    Pruning begins after a tenth of all steps and ends four tenths before the last. A loss term keeps P and Q close to
    orthogonal.
    """

    title: ClassVar[str] = "AdaLoRA"
    learning_rate: ClassVar[float] = 4e-3
    moving: ClassVar[tuple[str, ...]] = (".lora_E.",)

    name: Literal["adalora"] = "adalora"
    r: int = Field(default=8, ge=1, description="Mean rank after pruning.")
    initial_r: int | None = Field(
        default=None, ge=1, description="Rank to prune from; one and a half times the rank if not given."
    )
    alpha: Alpha = None
    dropout: Dropout = 0.0
    target_modules: Targets = ALL_LINEAR
    orthogonality: float = Field(
        default=0.5, ge=0, description="Weight of the loss term that keeps P and Q orthogonal."
    )

    @model_validator(mode="after")
    def _starts_above_the_end(self) -> Self:
        if self.initial_r is not None and self.initial_r < self.r:
            raise ValueError(f"initial_r is {self.initial_r}; expected at least r, which is {self.r}")
        return self

    @property
    def first_r(self) -> int:
        """The rank to start with."""
        return max(self.r + 1, round(1.5 * self.r)) if self.initial_r is None else self.initial_r

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of twice the rank filled in."""
        return 2.0 * self.r if self.alpha is None else self.alpha

    def options(self) -> dict[str, Any]:
        """Return the options by name, defaults filled in."""
        return {**super().options(), "alpha": self.scale_numerator, "initial_r": self.first_r}

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return PEFT's AdaLoRA configuration, whose schedule `begin` fills in."""
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            target_r=self.r,
            init_r=self.first_r,
            lora_alpha=self.scale_numerator,
            lora_dropout=self.dropout,
            orth_reg_weight=self.orthogonality,
            total_step=_UNKNOWN,
            **self.shared_options(model),
        )

    def begin(self, model: Any, steps: int) -> list[TrainerCallback]:
        """Set the schedule, and return the callback that prunes after every step."""
        from transformers import TrainerCallback

        config = model.peft_config["default"]
        config.total_step = steps
        # Singular values start at zero. Pruned before they have changed, they would look like values without a
        # gradient.
        config.tinit, config.tfinal = max(FIRST_STEPS, int(FIRST * steps)), int(LAST * steps)
        if steps < LEAST_STEPS:
            raise MethodError(
                f"AdaLoRA needs at least {LEAST_STEPS} steps to choose ranks in; there {'is' if steps == 1 else 'are'} {steps}. "
                "Train longer, or in smaller batches."
            )
        config.deltaT = max(1, steps // 100)

        class Prune(TrainerCallback):
            """Prune after the optimizer's step, while the gradients still exist."""

            def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                config.rank_pattern = model.ranks_so_far
                model.base_model.update_and_allocate(state.global_step + 1)
                # If PEFT finds ranks in the configuration, it cuts the matrices, and the weights of an earlier epoch no
                # longer fit.
                model.ranks_so_far, config.rank_pattern = config.rank_pattern, None

        model.ranks_so_far = None
        return [Prune()]

    def penalty(self, model: Any) -> torch.Tensor | None:
        """Return the mean Frobenius norm of P'P - I and QQ' - I, the distance from orthogonality, times its weight."""
        import torch

        if not self.orthogonality:
            return None
        norms = []
        for name, weight in model.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                gram = weight @ weight.t() if ".lora_A." in name else weight.t() @ weight
                norms.append(
                    torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype))
                )
        return self.orthogonality * torch.stack(norms).mean()

    def save_checkpoint(self, model: Any, folder: Path) -> None:
        """Write the adapter and the state of pruning: the importance of every singular value so far, and the ranks."""
        from safetensors.torch import save_file

        self.save(model, folder)
        allocator = model.base_model.rankallocator
        state = {f"{part}/{name}": tensor for part in _STATE for name, tensor in getattr(allocator, part).items()}
        ranks = {"ranks": json.dumps(model.ranks_so_far)}
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / _ALLOCATOR, metadata=ranks)

    def restore_checkpoint(self, model: Any, folder: Path) -> None:
        """Read the state of pruning back."""
        from safetensors import safe_open

        allocator = model.base_model.rankallocator
        with safe_open(folder / _ALLOCATOR, framework="pt") as state:
            model.ranks_so_far = json.loads(state.metadata()["ranks"])
            for name in state.keys():  # noqa: SIM118
                part, _, parameter = name.partition("/")
                getattr(allocator, part)[parameter] = state.get_tensor(name)


_ALLOCATOR = "allocator.safetensors"
_STATE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
