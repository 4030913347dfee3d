"""The configuration of a run: its sections, made of the options of the library's functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from emotune.data.options import DataSource
from emotune.methods.registry import METHODS, AnyMethod
from emotune.models.options import ModelSource
from emotune.settings.layers import Draft, Override
from emotune.system.options import SEEDS, Options, PathText, Text, as_tuple
from emotune.training.options import TrainingOptions


class DataSection(DataSource):
    """Rows to train and score on."""

    source: PathText = Field(
        default=DataSource.model_fields["source"].default, description=DataSource.model_fields["source"].description
    )
    validation: PathText | None = Field(default=None, description=DataSource.model_fields["validation"].description)
    test: PathText | None = Field(default=None, description=DataSource.model_fields["test"].description)
    split_seed: int | None = Field(
        default=None,
        ge=0,
        lt=SEEDS,
        description="Seed for cutting splits; the seed of the training if not set.",
    )


class TrainingSection(TrainingOptions):
    """Options and seeds of the training."""

    seed: int = Field(
        default=0,
        ge=0,
        lt=SEEDS,
        description="Seed for the head, the adapters, the order of rows and any splits that are cut.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Number of seeds to train, from `seed` on: all are scored, the best on validation is saved.",
    )
    resume: bool = Field(default=False, description="Resume from the last checkpoint of an interrupted run.")


class BaselinesSection(Options):
    """Baselines to score in addition to those that cost seconds."""

    full: bool = Field(
        default=False, description="Also train every weight, as a baseline; this takes about as long as LoRA does."
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Points of accuracy: also test whether the model is not worse than each baseline by more than this, "
        "and equivalent to it within this.",
    )


class OutputSection(Options):
    """Folder of the result."""

    folder: PathText = Field(
        default="fine_tuned_lora_model", description="Folder for the result; created if it is missing."
    )
    overwrite: bool = Field(default=False, description="Replace a result of emotune in the output folder.")


@dataclass(frozen=True)
class Start:
    """Settings to start from, such as those of a saved folder.

    Attributes:
        place: Where they are from, for messages.
        values: Settings by section and name.
        needs: Settings that later layers must set, with the reason, a sentence for messages.
        left: Settings of [data] on how its files were read, which are not taken over.
    """

    place: str
    values: Mapping[str, Mapping[str, Any]]
    needs: Mapping[str, str]
    left: Mapping[str, Any] = field(default_factory=dict)


TrackerName = Literal["tensorboard", "mlflow", "trackio", "wandb"]


class TrackingSection(Options):
    """Trackers that receive curves, settings and results; they change no result.

    Where a tracker is, and the account to use, comes from its own environment variables, such as MLFLOW_TRACKING_URI.
    """

    to: Annotated[tuple[TrackerName, ...], BeforeValidator(as_tuple)] | None = Field(
        default=None,
        description="Trackers that receive the curves, the settings and the results: tensorboard, mlflow, trackio, wandb. "
        "Nothing is sent anywhere if not given.",
    )
    project: Text | None = Field(
        default=None,
        description='Project, or experiment in MLflow; that of the tracker\'s own environment variable, or "emotune", if not given.',
    )
    name: Text | None = Field(
        default=None, description="Name of the run; that of the output folder with the time if not given."
    )
    texts: bool = Field(
        default=False,
        description="Also send report.html, which quotes texts of the data. No other text of the data is ever sent.",
    )
    model: bool = Field(
        default=False, description="Also log the tuned model to MLflow, in a form that mlflow.pyfunc.load_model loads."
    )

    @model_validator(mode="after")
    def _model_has_a_place(self) -> Self:
        if self.model and "mlflow" not in (self.to or ()):
            raise ValueError(
                'model is true, but only MLflow holds models, and to has no "mlflow"; add it, as in --track mlflow'
            )
        return self


class RunConfig(Options):
    """Configuration of `emotune run`, immutable.

    Build it with `RunConfig.load`, which reports mistakes as readable messages. Each setting is addressed by its
    section and name: "training.epochs".
    """

    data: DataSection = Field(default_factory=DataSection)
    model: ModelSource = Field(default_factory=ModelSource)
    method: AnyMethod = Field(default_factory=METHODS["lora"], description="The fine-tuning method.")
    training: TrainingSection = Field(default_factory=TrainingSection)
    baselines: BaselinesSection = Field(default_factory=BaselinesSection)
    output: OutputSection = Field(default_factory=OutputSection)
    tracking: TrackingSection = Field(default_factory=TrackingSection)

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
        *,
        start: Start | None = None,
    ) -> RunConfig:
        """Merge the layers: defaults, then the preset or the start, then the file, then the overrides.

        Args:
            preset: Name of a preset.
            file: A TOML file with any of the sections.
            overrides: Values by key (`{"training.epochs": 5}`), or text as on the command line
                (`["training.epochs=5"]`). The values of such text are read as TOML, or as plain text if they are not
                TOML.
            start: Settings to start from, instead of a preset.

        Raises:
            ConfigError: Lists every mistake, with its preset, file or option.
        """
        draft = Draft(cls)
        if preset is not None:
            draft.add_preset(preset)
        if start is not None:
            draft.add_table(start.place, start.values)
        if file is not None:
            draft.add_file(Path(file))
        if isinstance(overrides, Mapping):
            overrides = [Override(key, value, place="overrides") for key, value in overrides.items()]
        draft.add_overrides(overrides)
        if start is not None:
            draft.mistakes += [f"{start.place}: {reason}" for key, reason in start.needs.items() if not draft.has(key)]
            if draft.place_of("model.name") != draft.place_of("model.revision") == start.place:
                draft.remove("model.revision")  # a commit of the model that was replaced
        return draft.finish()

    def data_arguments(self) -> dict[str, Any]:
        """Return the arguments of `load_data`: the settings of [data], with `training.seed` unless `split_seed` is set."""
        arguments = self.data.model_dump()
        seed = arguments.pop("split_seed")
        return {**arguments, "seed": self.training.seed if seed is None else seed}

    @property
    def identity(self) -> dict[str, Any]:
        """Settings that affect the result, as JSON values: all but the output folder, trackers, resuming and the margin."""
        values = self.model_dump(mode="json")
        del values["output"], values["tracking"]
        del values["training"]["resume"]
        del values["baselines"]["margin"]
        return values

    def to_toml(self) -> str:
        """Return the configuration as TOML that `load` reads back; settings without a value are left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
