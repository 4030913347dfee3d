"""Reproduction of a saved folder: run the job again from its `emotune.json`, and compare the predictions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from emotune.data.load import load_data
from emotune.data.places.files import reads_once
from emotune.evaluation.saved import read_evaluation
from emotune.evaluation.scores import Evaluation, relabelled
from emotune.folder.format import Description, read_description, versions
from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.settings.stored import as_mistake, dotted, stored_settings
from emotune.statistics.paired import Interval, score_interval
from emotune.system.errors import ArtifactError, ConfigError, DataError
from emotune.system.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Result of a reproduction.

    Attributes:
        saved: The saved predictions.
        again: The new ones, of the same rows.
        identical: True if every probability is the same, bit for bit.
        largest_difference: Largest difference between two probabilities.
        changed_labels: Number of rows whose predicted label has changed.
        other_versions: Packages whose version has changed, with the version then and now.
    """

    saved: Evaluation
    again: Evaluation
    identical: bool
    largest_difference: float
    changed_labels: int
    other_versions: dict[str, tuple[str, str]]

    @property
    def difference(self) -> Interval:
        """Accuracy of the new predictions minus that of the saved ones; of several labels, subset accuracy."""
        was, now = self.saved.correct, self.again.correct
        return score_interval(int((~was & now).sum()), int((was & ~now).sum()), len(was))

    @property
    def agrees(self) -> bool:
        """True if the confidence interval of the difference contains 0."""
        return self.difference.low <= 0 <= self.difference.high


def reproduce(
    folder: str | Path,
    *,
    data: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    model: str | None = None,
    progress: Progress = SILENT,
) -> Reproduction:
    """Run the job of a saved folder again, in a temporary folder, and compare the predictions.

    Args:
        folder: Folder that `emotune run` saved; it is only read.
        data: Path of the data, if it was a file or folder: saved folders hold no paths.
        validation: Path of the validation file, if there was one.
        test: Path of the test file, if there was one.
        model: Path of the base model, if it was a local folder.
        progress: Shows the steps of the job.

    Raises:
        ArtifactError: The folder does not say how it was made, or its predictions were changed.
        DataError: The data has changed.
        EmotuneError: An error of the job itself.
    """
    import numpy as np

    folder = Path(folder)
    description = read_description(folder)
    saved = read_evaluation(folder, name="saved")
    with tempfile.TemporaryDirectory(prefix="emotune-") as temporary:
        output = Path(temporary) / "again"
        given = {"data.source": data, "data.validation": validation, "data.test": test, "model.name": model}
        config = configuration_of(
            description, folder, {key: value for key, value in given.items() if value is not None}, output
        )
        found = load_data(**config.data_arguments())
        expected = "" if description.data is None else description.data.fingerprint
        if found.fingerprint != expected:
            raise DataError(
                f"The data at '{config.data.source}' is not the data of '{folder}': its fingerprint is "
                f"{found.fingerprint[:12]}…, expected {expected[:12]}…. Give the data of that time with --data."
            )
        run(config, progress)
        again = read_evaluation(output, name="again")
    if saved.probabilities is None or again.probabilities is None:
        raise RuntimeError("an evaluation was read without probabilities")
    now = versions()
    return Reproduction(
        saved=saved,
        again=again,
        identical=bool(np.array_equal(saved.probabilities, again.probabilities)),
        largest_difference=float(np.abs(saved.probabilities - again.probabilities).max()),
        changed_labels=int(relabelled(saved, again).sum()),
        other_versions={
            name: (then, now.get(name, "none"))
            for name, then in (description.versions or {}).items()
            if now.get(name) != then
        },
    )


def configuration_of(description: Description, folder: Path, given: dict[str, str], output: Path) -> RunConfig:
    """Return the configuration of a saved folder, with another output folder.

    Args:
        description: Content of `emotune.json`.
        folder: The folder, for messages.
        given: Settings that override the stored ones.
        output: Output folder of the new run.

    Raises:
        ArtifactError: It is missing, damaged or no longer valid, or the path of the base model or of the data is
            needed.
    """
    values = dotted(stored_settings(description, folder))
    base = description.base_model
    if base.source is None and "model.name" not in given:
        raise ArtifactError(f"The base model '{base.name}' was a local folder. Say where it is with --model FOLDER.")
    if description.data is not None and description.data.was_local and "data.source" not in given:
        raise ArtifactError(
            f"The data was the file or folder '{description.data.name}', and saved folders hold no paths. "
            "Say where it is with --data."
        )
    if "model.name" in given:
        values.pop("model.revision", None)  # that of the stored name
    if "data.source" in given and not reads_once(given["data.source"]):
        values.pop("data.input_format", None)  # that of the stored place
    values |= {"output.folder": str(output), "output.overwrite": False, "training.resume": False}
    try:
        return RunConfig.load(overrides=values | given)
    except ConfigError as error:
        raise as_mistake(error, folder) from None
