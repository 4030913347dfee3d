"""What watches over a training: training that means nothing is stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import TrainerControl, TrainerState

from emotune.system.errors import TrainingError
from emotune.training.callbacks import FiniteLoss, WeightsMoved


def steps(callback: WeightsMoved, parameters: Iterable[nn.Parameter], count: int, max_steps: int = 100) -> None:
    """Tell a callback of optimizer steps that move the given parameters."""
    arguments: Any = None
    state, control = TrainerState(max_steps=max_steps), TrainerControl()
    callback.on_train_begin(arguments, state, control)
    for _ in range(count):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(1)
        callback.on_step_end(arguments, state, control)


class TestWeightsMoved:
    @pytest.fixture
    def parameters(self) -> dict[str, nn.Parameter]:
        names = ("layer.lora_A.default.weight", "layer.lora_B.default.weight", "classifier.weight")
        return {name: nn.Parameter(torch.zeros(2)) for name in names}

    def test_is_content_when_all_move(self, parameters: dict[str, nn.Parameter]) -> None:
        steps(WeightsMoved(parameters), parameters.values(), 10)

    @pytest.mark.parametrize("still", ["layer.lora_B.default.weight", "classifier.weight"])
    def test_names_what_stands_still(self, parameters: dict[str, nn.Parameter], still: str) -> None:
        moving = [parameter for name, parameter in parameters.items() if name != still]
        steps(WeightsMoved(parameters, after_steps=3), moving, 2)  # too early to tell
        with pytest.raises(TrainingError, match=f"1 of 3 .* {still}"):
            steps(WeightsMoved(parameters, after_steps=3), moving, 3)

    def test_looks_at_the_last_step_of_a_run_that_is_shorter(self, parameters: dict[str, nn.Parameter]) -> None:
        with pytest.raises(TrainingError, match="After 1 optimizer steps"):
            steps(WeightsMoved(parameters, after_steps=3), [], 1, max_steps=1)

    def test_counts_from_the_weights_that_a_resumed_run_has_loaded(self, parameters: dict[str, nn.Parameter]) -> None:
        callback = WeightsMoved(parameters)
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.add_(1)  # the checkpoint's weights
        with pytest.raises(TrainingError):
            steps(callback, [], 3)


class TestFiniteLoss:
    @pytest.mark.parametrize("key", ["loss", "grad_norm", "eval_loss"])
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_stops_at_what_is_not_a_number(self, key: str, value: float) -> None:
        arguments: Any = None
        state = TrainerState(global_step=12)
        with pytest.raises(TrainingError, match=f"{key} became {value} at step 12.*learning_rate"):
            FiniteLoss().on_log(arguments, state, TrainerControl(), logs={key: value})

    @pytest.mark.parametrize("logs", [None, {}, {"loss": 1.5, "grad_norm": 0.0, "epoch": 1.0}])
    def test_lets_numbers_pass(self, logs: dict[str, float] | None) -> None:
        arguments: Any = None
        FiniteLoss().on_log(arguments, TrainerState(), TrainerControl(), logs=logs)
