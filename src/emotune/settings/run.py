"""The configuration of a run: every setting with its default, its range and its help.

Names, types, ranges and help are written here and nowhere else: the command derives its options from them.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from emotune.methods.base import Method
from emotune.methods.registry import METHODS
from emotune.system.errors import MethodError
from emotune.training.options import MAX_GRAD_NORM, correct_twice

if TYPE_CHECKING:
    from emotune.settings.layers import Override


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Text = Annotated[str, Field(pattern=r"\S")]
PathText = Annotated[Text, BeforeValidator(_as_text)]
# TOML and JSON have lists where a frozen model has tuples, which strict validation would tell apart.
Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class Section(BaseModel):
    """What all parts of the configuration share: immutable, no unknown keys, no conversion of types, no infinities."""

    # Validators are built when they are first needed, which help pages never do.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class DataConfig(Section):
    """Which rows to train and score on."""

    source: PathText = Field(
        default="dair-ai/emotion",
        description="The data: a Hub data set id, a file, a folder with one file a split, or bundled:sample.",
    )
    validation: PathText | None = Field(default=None, description="File of the validation split.")
    test: PathText | None = Field(default=None, description="File of the test split.")
    config: Text | None = Field(default=None, description="Configuration of a Hub data set that has several.")
    revision: Text | None = Field(default=None, description="Branch, tag or commit of a Hub data set.")
    text_column: Text | None = Field(default=None, description="Column of the texts; found by its name if not given.")
    label_column: Text | None = Field(default=None, description="Column of the labels; found by its name if not given.")
    labels: Texts | None = Field(
        default=None, description="All labels in the order to use; the data's own if not given."
    )
    validation_size: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training rows cut off for validation where there is no such split.",
    )
    test_size: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training rows cut off for the test where there is no such split.",
    )
    max_characters: int = Field(
        default=20_000,
        ge=1,
        description="Longest text accepted, in characters; a longer one is usually an unclosed quote.",
    )

    split_seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**32,
        description="Seed of splits that are cut, where it is to differ from that of the training.",
    )

    @field_validator("labels")
    @classmethod
    def _several_distinct(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels is not None and not len(labels) == len(set(labels)) >= 2:
            raise ValueError("expected at least two labels, none of them twice")
        return labels

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.validation_size + self.test_size >= 1:
            raise ValueError(
                f"validation_size and test_size are {self.validation_size} and {self.test_size}; expected a sum below 1"
            )
        return self


class ModelConfig(Section):
    """Which encoder to start from."""

    name: PathText = Field(
        default="bert-base-uncased", description="The base model: a Hub id, a local folder, or bundled:minilm."
    )
    revision: Text | None = Field(default=None, description="Branch, tag or commit of a Hub model.")
    max_length: int = Field(
        default=128,
        ge=8,
        description="Tokens a text, special tokens counted; longer texts are cut, and the output says so.",
    )
    fresh_head: bool = Field(
        default=False,
        description="Start with a new head even where the model's own has the data's labels and would be kept.",
    )


class MethodConfig(Section):
    """How to adapt the encoder. An option that is not given has the method's own default; one that the method lacks is a mistake."""

    name: Literal[
        "lora",
        "qlora",
        "dora",
        "pissa",
        "lora-plus",
        "adalora",
        "vera",
        "ia3",
        "bitfit",
        "bottleneck",
        "prefix",
        "prompt",
        "head",
        "full",
    ] = Field(default="lora", description="The fine-tuning method.")
    r: int | None = Field(default=None, ge=1, description="Rank of the adapters.")
    alpha: float | None = Field(
        default=None, gt=0, description="Numerator of the adapters' scale; twice the rank if not given."
    )
    dropout: float | None = Field(default=None, ge=0, lt=1, description="Dropout on the adapters' input.")
    target_modules: Text | Texts | None = Field(
        default=None,
        description="Layers to adapt: all-linear, a list of names, or a regular expression over full module names; "
        "bottleneck adapters and IA3 know their own.",
    )
    rslora: bool | None = Field(
        default=None, description="Scale by alpha over the square root of the rank, not over the rank."
    )
    double_quant: bool | None = Field(
        default=None, description="QLoRA: quantize the scales of the four-bit weights too."
    )
    ratio: float | None = Field(default=None, ge=1, description="LoRA+: the learning rate of B over that of A.")
    initial_r: int | None = Field(
        default=None, ge=1, description="AdaLoRA: the rank to prune from; one and a half times the rank if not given."
    )
    orthogonality: float | None = Field(
        default=None, ge=0, description="AdaLoRA: weight of the loss term that keeps its matrices orthogonal."
    )
    tokens: int | None = Field(
        default=None, ge=1, description="Prompt and prefix tuning: how many vectors stand before the text."
    )
    size: int | None = Field(default=None, ge=1, description="Width of bottleneck adapters.")
    placement: Literal["houlsby", "pfeiffer"] | None = Field(
        default=None,
        description="Where bottleneck adapters stand: houlsby, behind attention and feed-forward; pfeiffer, behind feed-forward.",
    )
    activation: Literal["gelu", "relu"] | None = Field(
        default=None, description="Activation inside bottleneck adapters."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults(cls, given: Any) -> Any:
        name = given.get("name", "lora") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(name, str) or name not in METHODS:
            return given
        method = METHODS[name]
        defaults = method_defaults(method)
        foreign = [key for key, value in given.items() if value is not None and key in cls.model_fields]
        foreign = [key for key in foreign if key != "name" and key not in defaults]
        if foreign:
            known = ", ".join(defaults) or "none"
            them = "it" if len(foreign) == 1 else "them"
            takers = [other.key for other in METHODS.values() if set(foreign) <= method_defaults(other).keys()]
            instead = f", or choose a method that takes {them}, such as {takers[0]}" if takers else ""
            raise ValueError(
                f"{', '.join(foreign)} cannot be set for {method.name}; its options: {known}. Leave {them} out{instead}"
            )
        return {**defaults, **{key: value for key, value in given.items() if value is not None}}

    def build(self) -> Method:
        """The method with its options."""
        options = self.model_dump(exclude={"name"}, exclude_none=True)
        return METHODS[self.name](**options)

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        try:
            self.build()
        except MethodError as error:  # options that contradict each other
            raise ValueError(str(error).removesuffix(".")) from None
        return self

    @field_validator("target_modules")
    @classmethod
    def _compiles(cls, target_modules: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(target_modules, str):
            try:
                re.compile(target_modules)
            except re.error as error:
                raise ValueError(
                    f"expected all-linear, a list of names or a regular expression, and this is not one: {error}"
                ) from None
        return target_modules


class TrainingConfig(Section):
    """How to train, on what, from which seed."""

    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Passes over the training split, at most; if not given, 4 from 8,000 rows on and up to 10 for fewer.",
    )
    learning_rate: float | None = Field(
        default=None, gt=0, lt=1, description="Peak learning rate of AdamW; the method's own if not given."
    )
    warmup: float = Field(
        default=0.06, ge=0, lt=1, description="Share of all steps over which the learning rate rises."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's weight decay.")
    batch_tokens: int = Field(default=1024, ge=8, description="Tokens a training batch, padding counted.")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the target spread evenly over the labels; helps where labels are noisy.",
    )
    class_weights: Literal["none", "balanced", "sqrt"] = Field(
        default="none",
        description="Weights of the classes in the loss: balanced lets each weigh the same, sqrt goes half the way; "
        "helps where rare classes matter and too few of their rows are found.",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="Leans the model towards rare classes: how many times the logarithm of each class's share of the rows is added to its "
        "logit in training; 1 aims at the mean recall, less at something between that and accuracy.",
    )
    focal_gamma: float = Field(
        default=0.0,
        ge=0,
        description="Focal loss: rows that the model is sure of weigh less, the more so the higher this is; "
        "helps where many easy rows drown a few hard ones.",
    )
    sampling: Literal["plain", "balanced"] = Field(
        default="plain",
        description="plain trains on every row once an epoch, balanced draws the classes equally often; "
        "helps where classes are so rare that most batches lack them.",
    )
    max_grad_norm: float = Field(
        default=MAX_GRAD_NORM, gt=0, description="Longer gradients are scaled down to this norm; meant for outliers."
    )
    patience: int = Field(
        default=4,
        ge=1,
        description="Epochs without a lower loss on validation, scaled by its best temperature, before training stops.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Seed of the head, the adapters, the order of rows and any splits that are cut.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="How many seeds to train, from `seed` on: all are scored and reported, the best on validation is saved.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="Arithmetic of training; auto takes bf16 only where the hardware multiplies it."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; auto takes the first of cuda, mps and cpu that is there."
    )
    resume: bool = Field(default=False, description="Go on from the last checkpoint of a run that was cut short.")

    @model_validator(mode="after")
    def _balanced_once(self) -> Self:
        conflict = correct_twice(self.class_weights, self.logit_adjustment, self.sampling)
        if conflict is not None:
            raise ValueError(conflict)
        return self


class BaselinesConfig(Section):
    """What to score beside the model, further to the baselines that cost seconds."""

    full: bool = Field(
        default=False, description="Also train every weight, as a yardstick; this takes about as long as LoRA does."
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Points of accuracy: also test whether the model is not worse than each baseline by more than this, and equivalent "
        "to it within this.",
    )


class OutputConfig(Section):
    """Where the result goes."""

    folder: PathText = Field(
        default="fine_tuned_lora_model", description="Folder for the result; made if it is missing."
    )
    overwrite: bool = Field(default=False, description="Replace a result of emotune that stands in the output folder.")


class RunConfig(Section):
    """Everything `emotune run` does, in one immutable value.

    Build it with `RunConfig.load`, which reports mistakes as messages for people. Each setting is addressed by its
    section and name: "training.epochs".
    """

    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    method: MethodConfig = Field(default_factory=MethodConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    baselines: BaselinesConfig = Field(default_factory=BaselinesConfig)
    output: OutputConfig = Field(default_factory=OutputConfig)

    @classmethod
    def load(
        cls,
        preset: str | None = None,
        file: str | Path | None = None,
        overrides: Mapping[str, Any] | Sequence[str | Override] = (),
    ) -> RunConfig:
        """Put the layers together: defaults, then the preset, then the file, then the overrides.

        Args:
            preset: Name of a preset.
            file: A TOML file with any of the sections.
            overrides: Values by key (`{"training.epochs": 5}`), or lines of text as on the command line
                (`["training.epochs=5"]`), whose values are read as TOML, and as plain text where they are not TOML.

        Raises:
            ConfigError: Lists every mistake, with the preset, file or option it stands in.
        """
        from emotune.settings.layers import Draft, Override

        draft = Draft()
        if preset is not None:
            draft.add_preset(preset)
        if file is not None:
            draft.add_file(Path(file))
        if isinstance(overrides, Mapping):
            overrides = [Override(key, value, place="overrides") for key, value in overrides.items()]
        draft.add_overrides(overrides)
        return draft.finish()

    def data_arguments(self) -> dict[str, Any]:
        """The arguments of `load_data`: the settings of [data], with the training's seed where it has no seed of its own."""
        arguments = self.data.model_dump()
        seed = arguments.pop("split_seed")
        return {**arguments, "seed": self.training.seed if seed is None else seed}

    def to_toml(self) -> str:
        """The configuration as TOML that `load` reads back; settings that are not set are left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def setting_help(key: str) -> tuple[str, str | None]:
    """A setting's description, and its default in words or None where it has none.

    Args:
        key: Section and name: "training.epochs".
    """
    section, name = key.split(".")
    field = _sections()[section].model_fields[name]
    default = field.default
    if section == "method" and name != "name":
        found = {method.name: method_defaults(method).get(name) for method in METHODS.values()}
        default = next((value for value in found.values() if value is not None), None)
    return field.description or "", None if default is None else str(default)


def method_defaults(method: type[Method]) -> dict[str, Any]:
    """The options of a method with their defaults."""
    return {option.name: option.default for option in fields(method)}


def _sections() -> dict[str, type[Section]]:
    return {name: cast(type[Section], field.annotation) for name, field in RunConfig.model_fields.items()}


@functools.cache
def setting_schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of each setting by its key: what pydantic says about its type and range."""
    return {
        f"{section}.{name}": schema
        for section, model in _sections().items()
        for name, schema in model.model_json_schema()["properties"].items()
    }
