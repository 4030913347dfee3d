"""`emotune.json`: the description of a saved folder, as one model with a version number.

Only this module writes and reads it. Folders of format 1, which emotune 0.1.0 wrote, are migrated when they are read.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from emotune.folder.record import Record, TrainingRecord
from emotune.methods.registry import METHODS, AnyMethod
from emotune.models.folder import what_it_is
from emotune.system.errors import ArtifactError
from emotune.system.options import SEEDS, mistakes_in
from emotune.system.output import DESCRIPTION
from emotune.system.pairs import TextPair
from emotune.system.text import reason_of
from emotune.system.version import __version__
from emotune.tasks.base import Task
from emotune.tasks.registry import TASKS
from emotune.tasks.single_label import SINGLE_LABEL

FORMAT: Final = 2
PREDICTIONS = "predictions.parquet"
KEPT = "quantization.parquet"
# Files that determine predictions, or hold them. The model card is left out: users may edit it.
CHECKED = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "model.safetensors",
    "config.json",
    PREDICTIONS,
    KEPT,
    "tokenizer.json",
    "tokenizer_config.json",
)
# Two processes have the same weights and the same arithmetic; only the order of float32 sums can differ.
LOGIT_TOLERANCE = 1e-4
# Fitted temperatures are between 0.002 and 20 (`tasks.calibration`). One far outside overflows, or gives only zeros and
# ones.
COLDEST, HOTTEST = 0.001, 1000.0
_Divisor = Annotated[float, Field(ge=COLDEST, le=HOTTEST, allow_inf_nan=False)]
_MOST_MISTAKES = 3


def _is_one_line(value: str) -> str:
    if "\0" in value:
        raise ValueError("expected text that is not blank")
    return value


def _are_distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(labels)) < len(labels):
        raise ValueError("expected different texts")
    return labels


def _are_names(files: dict[str, str]) -> dict[str, str]:
    if any(not name or "\0" in name or PurePath(name).name != name for name in files):
        raise ValueError("expected checksums by the names of files")
    return files


def _is_task(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"expected one of {', '.join(TASKS)}")
    return name


Name = Annotated[str, Field(pattern=r"\S"), AfterValidator(_is_one_line)]


class BaseModelEntry(Record):
    """The base model of the folder.

    Attributes:
        name: Its Hub id, or the base name of its local folder.
        source: Name that loads it on any machine: "bundled:…" or a Hub id; None for a local folder.
        revision: Its commit on the Hub.
        made_from: How emotune made it, if it did: "LoRA on bert-base-uncased, merged"; else "".
    """

    name: Name
    source: Name | None
    revision: Name | None
    made_from: str = ""


class VerificationEntry(Record):
    """Data for verifying the folder.

    Attributes:
        texts: Emotune's own probe texts.
        seconds: The second texts, for a model of pairs.
        logits: Their logits when the folder was saved, one row per text.
        tolerance: The largest absolute difference that passes.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    texts: tuple[Name, ...] = Field(min_length=1)
    seconds: tuple[Name, ...] | None = None
    logits: tuple[tuple[float, ...], ...]
    tolerance: float = Field(ge=0)

    @model_validator(mode="after")
    def _seconds_fit(self) -> Self:
        if self.seconds is not None and len(self.seconds) != len(self.texts):
            raise ValueError("seconds is of another length than texts; expected one second text per text")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The probes as the model takes them."""
        return self.inputs_of(self.texts, self.seconds)

    @staticmethod
    def inputs_of(texts: Sequence[str], seconds: Sequence[str] | None) -> tuple[str, ...]:
        """Return texts, or pairs of them with second texts."""
        return tuple(texts) if seconds is None else tuple(map(TextPair, texts, seconds))


class DataEntry(Record):
    """Data that the run was trained and scored on.

    Attributes:
        name: The data's name, never a path.
        was_local: True if it was a local file or folder.
        fingerprint: SHA-256 over its rows.
        rows: Rows by split.
        counts: Rows by split and label.
        notes: Notes on reading it, one sentence each.
        columns: The columns that were read, by split.
        periods: First and last time of the rows, by split, if a column of times was read.
    """

    name: Name
    was_local: bool
    fingerprint: Name
    rows: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    columns: dict[str, Any] = Field(default_factory=dict)
    periods: dict[str, tuple[str, str]] = Field(default_factory=dict)


class Evidence(Record):
    """Settings and results of an `emotune run`, in addition to the model. A folder saved from Python has none.

    Attributes:
        created: Time of creation, in UTC.
        command: The command line, paths cut to their last part; "" if there was none.
        configuration: The settings by section, paths cut in the same way.
        data: The data.
        metrics: Scores before and after training, and of baselines.
        previous: The earlier model that the run was compared with, and the number of test rows that it had seen; None
            if there was none.
        verdict: The verdict of the comparison, in words.
        statistics: Tests and intervals by the name of the other model.
        margin: Tests against a margin; None if none was given.
        seeds: Scores over seeds.
        calibration: Calibration of the probabilities, plain and scaled.
        peak_memory_bytes: Peak memory of the process.
        seconds: Wall time by step.
        cross_validation: Scores by fold, if the scores are cross-validated: then no figure is of the saved model, which
            was trained on all rows, and the predictions are those of the folds' models. None if a test split was scored.
    """

    created: str | None = None
    command: str | None = None
    configuration: dict[str, dict[str, Any]] | None = None
    data: DataEntry | None = None
    metrics: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None
    verdict: str | None = None
    statistics: dict[str, Any] | None = None
    margin: dict[str, Any] | None = None
    seeds: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    peak_memory_bytes: int | None = None
    seconds: dict[str, float] | None = None
    cross_validation: dict[str, Any] | None = None


class Description(Evidence):
    """Contents of `emotune.json`.

    Attributes:
        format: The version of the format.
        emotune: The version of emotune that wrote it.
        base_model: The base model.
        task: The name of the task.
        labels: Label names, in the order of the logits.
        max_length: Tokens per text.
        pairs: True if the model was trained on pairs of texts.
        windows: True if texts longer than `max_length` are read in overlapping windows, not cut.
        method: The method with its options, saved by its name.
        temperature: Divisor of the logits for calibrated probabilities; one per label where texts have several.
        thresholds: Least probability at which each label is predicted, for a task with thresholds; None for its usual
            ones.
        at_least_one: True if a text whose labels all stay below their thresholds gets its likeliest label.
        training: Record of the training.
        versions: Versions of the packages that a result depends on, by name.
        verification: Data for verifying the folder.
        files: Checksums, SHA-256 in hexadecimal, by file.
        left_out: Files with texts of the data that were left out when the folder was pushed to the Hub.
    """

    format: Literal[2] = 2
    emotune: str = ""
    base_model: BaseModelEntry
    task: Annotated[Name, AfterValidator(_is_task)]
    labels: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_are_distinct)]
    max_length: int = Field(ge=1, lt=SEEDS)
    pairs: bool = False
    windows: bool = False
    method: AnyMethod
    temperature: _Divisor | tuple[_Divisor, ...] | None = None
    thresholds: tuple[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)], ...] | None = None
    at_least_one: bool = False
    training: TrainingRecord
    versions: dict[str, str] | None = None
    verification: VerificationEntry
    files: Annotated[dict[str, str], AfterValidator(_are_names)]
    left_out: tuple[str, ...] = ()

    @property
    def kind(self) -> Task:
        """The task, deciding by the model's thresholds and rule."""
        return TASKS[self.task].deciding(self.thresholds).answering(at_least_one=self.at_least_one)

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Description:
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError("thresholds: expected one number per label")
        if isinstance(self.temperature, tuple) and len(self.temperature) != len(self.labels):
            raise ValueError("temperature: expected one number per label")
        if self.temperature is not None and isinstance(self.temperature, tuple) != TASKS[self.task].several:
            raise ValueError("temperature: expected one number for one label per text, and one per label for several")
        return self

    @model_validator(mode="after")
    def _logits_fit(self) -> Description:
        rows = self.verification.logits
        if (self.verification.seconds is not None) != self.pairs:
            raise ValueError("verification.seconds is for a model of pairs, and only for one")
        if len(rows) != len(self.verification.texts) or any(len(row) != len(self.labels) for row in rows):
            raise ValueError(
                "verification.logits is of another shape; expected one row per text and one number per label"
            )
        return self


def read_description(folder: str | Path) -> Description:
    """Read `emotune.json`.

    Raises:
        ArtifactError: The folder or the file is missing, damaged, or of a newer format.
    """
    folder = Path(folder)
    if folder.is_file():
        raise ArtifactError(f"'{folder}' is a file. Give the folder that emotune run saved.")
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder '{folder}'. Give the folder that emotune run saved.")
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ArtifactError(
            f"'{folder}' has no {DESCRIPTION}, so it is not a folder that emotune saved, or it is incomplete."
            f"{what_it_is(folder)}"
        )
    remedy = "Save the model again, or restore the file."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        seen = values["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"'{path}' is damaged: {reason_of(error)}. {remedy}") from None
    if seen not in (1, FORMAT) or isinstance(seen, bool):
        raise ArtifactError(
            f"'{path}' has format {seen}; this emotune reads formats 1 and {FORMAT}. Install the version that wrote it."
        )
    if seen == 1:
        values = _from_format_1(values)
    try:
        return Description.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = [str(mistake) for mistake in mistakes_in(Description, values, error)]
        more = f"; and {len(found) - _MOST_MISTAKES} more" if len(found) > _MOST_MISTAKES else ""
        raise ArtifactError(f"'{path}' is damaged: {'; '.join(found[:_MOST_MISTAKES])}{more}. {remedy}") from None
    except (ValueError, RecursionError) as error:  # such as text that is not Unicode, or nesting that is too deep
        raise ArtifactError(f"'{path}' is damaged: {reason_of(error)}. {remedy}") from None


def write_description(folder: Path, description: Description) -> None:
    """Write `emotune.json` into an existing folder."""
    text = json.dumps(description.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on, by name."""
    packages = ("torch", "transformers", "peft", "tokenizers", "scikit-learn", "numpy")
    return {
        "emotune": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _from_format_1(values: dict[str, Any]) -> dict[str, Any]:
    """Convert a description by emotune 0.1.0 to format 2.

    In format 1, the method was saved by its title, the only task had no name, scores of validation were entries of an
    epoch, and the seed was outside the training record, which was lost if a folder was loaded and saved again.
    """
    found = {name: value for name, value in values.items() if name != "seed"} | {
        "format": FORMAT,
        "task": SINGLE_LABEL.name,
    }
    method = values.get("method")
    if isinstance(method, dict):
        titles = {known.title: name for name, known in METHODS.items()}
        title = method.get("name")
        found["method"] = {**method, "name": titles.get(title, title) if isinstance(title, str) else title}
    training = values.get("training")
    if training is None:
        found["training"] = _lost_record(values.get("seed")).model_dump(mode="json")
    elif isinstance(training, dict) and isinstance(training.get("epochs"), list):
        found["training"] = {**training, "epochs": [_epoch_of_format_1(epoch) for epoch in training["epochs"]]}
    return found


def _epoch_of_format_1(epoch: Any) -> Any:
    """Return an epoch with its scores of validation in a table."""
    if not isinstance(epoch, dict):
        return epoch
    start = "validation_"
    scores = {name.removeprefix(start): value for name, value in epoch.items() if name.startswith(start)}
    return {name: value for name, value in epoch.items() if not name.startswith(start)} | {"validation": scores}


def _lost_record(seed: Any) -> TrainingRecord:
    return TrainingRecord(
        epochs=(),
        best_epoch=0,
        stopped_early=False,
        trainable_parameters=0,
        total_parameters=0,
        target_modules=(),
        examples=0,
        seconds=0.0,
        train_examples_per_second=0.0,
        peak_memory_bytes=0,
        device="",
        precision="",
        precision_reason="",
        seed=seed if isinstance(seed, int) else 0,
    )
