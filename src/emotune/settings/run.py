"""The configuration of a run: its sections, each made of the options that the library itself takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from emotune.data.options import DataSource
from emotune.methods.registry import METHODS, AnyMethod
from emotune.models.options import ModelSource
from emotune.settings.layers import Draft, Override
from emotune.system.options import SEEDS, Options, PathText
from emotune.training.options import TrainingOptions


class DataSection(DataSource):
    """Which rows to train and score on."""

    source: PathText = Field(
        default=DataSource.model_fields["source"].default, description=DataSource.model_fields["source"].description
    )
    validation: PathText | None = Field(default=None, description=DataSource.model_fields["validation"].description)
    test: PathText | None = Field(default=None, description=DataSource.model_fields["test"].description)
    split_seed: int | None = Field(
        default=None,
        ge=0,
        lt=SEEDS,
        description="Seed of splits that are cut, where it is to differ from that of the training.",
    )


class TrainingSection(TrainingOptions):
    """How to train, from which seed."""

    seed: int = Field(
        default=0,
        ge=0,
        lt=SEEDS,
        description="Seed of the head, the adapters, the order of rows and any splits that are cut.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="How many seeds to train, from `seed` on: all are scored and reported, the best on validation is saved.",
    )
    resume: bool = Field(default=False, description="Go on from the last checkpoint of a run that was cut short.")


class BaselinesSection(Options):
    """What to score beside the model, further to the baselines that cost seconds."""

    full: bool = Field(
        default=False, description="Also train every weight, as a yardstick; this takes about as long as LoRA does."
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Points of accuracy: also test whether the model is not worse than each baseline by more than this, "
        "and equivalent to it within this.",
    )


class OutputSection(Options):
    """Where the result goes."""

    folder: PathText = Field(
        default="fine_tuned_lora_model", description="Folder for the result; made if it is missing."
    )
    overwrite: bool = Field(default=False, description="Replace a result of emotune that stands in the output folder.")


class RunConfig(Options):
    """Everything `emotune run` does, in one immutable value.

    Build it with `RunConfig.load`, which reports mistakes as messages for people. Each setting is addressed by its
    section and name: "training.epochs".
    """

    data: DataSection = Field(default_factory=DataSection)
    model: ModelSource = Field(default_factory=ModelSource)
    method: AnyMethod = Field(default_factory=METHODS["lora"], description="The fine-tuning method.")
    training: TrainingSection = Field(default_factory=TrainingSection)
    baselines: BaselinesSection = Field(default_factory=BaselinesSection)
    output: OutputSection = Field(default_factory=OutputSection)

    @field_validator("method", mode="before")
    @classmethod
    def _lora_where_no_name_is_given(cls, given: Any) -> Any:
        return {"name": "lora", **given} if isinstance(given, Mapping) else given

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
        draft = Draft(cls)
        if preset is not None:
            draft.add_preset(preset)
        if file is not None:
            draft.add_file(Path(file))
        if isinstance(overrides, Mapping):
            overrides = [Override(key, value, place="overrides") for key, value in overrides.items()]
        draft.add_overrides(overrides)
        return draft.finish()

    def data_arguments(self) -> dict[str, Any]:
        """Return the arguments of `load_data`: the settings of [data], with the training's seed where it has no seed of its own."""
        arguments = self.data.model_dump()
        seed = arguments.pop("split_seed")
        return {**arguments, "seed": self.training.seed if seed is None else seed}

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that decide a result, as JSON holds them: where it goes, resuming and the margin do not."""
        values = self.model_dump(mode="json")
        del values["output"]
        del values["training"]["resume"]
        del values["baselines"]["margin"]
        return values

    def to_toml(self) -> str:
        """Return the configuration as TOML that `load` reads back; settings that are not set are left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
