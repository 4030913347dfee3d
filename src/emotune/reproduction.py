"""Do the figures of a saved folder come out again? The job is run afresh from its `emotune.json`, and the predictions are compared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from emotune.data.load import load_data
from emotune.evaluation.compare import compare
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.saved import read_evaluation
from emotune.folder.format import Description, read_description, versions
from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.system.errors import ArtifactError, ConfigError, DataError
from emotune.system.output import DESCRIPTION
from emotune.system.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Reproduction:
    """What came out.

    Attributes:
        comparison: The saved predictions against the new ones, on the same rows.
        identical: Whether every probability is the same, bit for bit.
        largest_difference: The largest difference of a probability.
        changed_labels: Rows whose predicted label is another.
        other_versions: Packages whose version differs, with the version then and now.
    """

    comparison: Comparison
    identical: bool
    largest_difference: float
    changed_labels: int
    other_versions: dict[str, tuple[str, str]]

    @property
    def agrees(self) -> bool:
        """Whether the difference in accuracy is within what these test rows could show."""
        interval = self.comparison.statistics.accuracy
        return interval.low <= 0 <= interval.high


def reproduce(
    folder: str | Path,
    *,
    data: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    model: str | None = None,
    progress: Progress = SILENT,
) -> Reproduction:
    """Run the job of a saved folder again, in a temporary folder, and compare what comes out.

    Args:
        folder: What `emotune run` saved; it is only read.
        data: Where the data is, where it was a file or folder: results hold no paths.
        validation: Where the validation file is, if there was one.
        test: Where the test file is, if there was one.
        model: Where the base model is, where it was a local folder.
        progress: Shows the steps of the job.

    Raises:
        ArtifactError: The folder does not say how it was made, or its predictions were changed.
        DataError: The data is not what it was.
        EmotuneError: Whatever the job itself raises.
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
                f"The data at '{config.data.source}' is not what '{folder}' was made from: its fingerprint is {found.fingerprint[:12]}…, "
                f"and was {expected[:12]}…. Give the data of that time with --data."
            )
        run(config, progress)
        again = read_evaluation(output, name="again")
    if saved.probabilities is None or again.probabilities is None:
        raise RuntimeError("an evaluation was read without probabilities")
    now = versions()
    return Reproduction(
        comparison=compare(saved, again),
        identical=bool(np.array_equal(saved.probabilities, again.probabilities)),
        largest_difference=float(np.abs(saved.probabilities - again.probabilities).max()),
        changed_labels=int((saved.predictions != again.predictions).sum()),
        other_versions={
            name: (then, now.get(name, "none"))
            for name, then in (description.versions or {}).items()
            if now.get(name) != then
        },
    )


def configuration_of(description: Description, folder: Path, given: dict[str, str], output: Path) -> RunConfig:
    """The configuration that a saved folder was made with, writing to another folder.

    Args:
        description: What `emotune.json` holds.
        folder: The folder, for messages.
        given: Settings that go over the stored ones.
        output: Where the new run writes.

    Raises:
        ArtifactError: It is missing, damaged or does not hold any more, or it needs the base model or the data to be named.
    """
    stored = description.configuration
    if stored is None or description.data is None or description.versions is None:
        raise ArtifactError(
            f"'{folder}' does not say how it was made: emotune.json has no configuration. Only emotune run writes one."
        )
    base = description.base_model
    if base.source is None and "model.name" not in given:
        raise ArtifactError(f"The base model '{base.name}' was a local folder. Say where it is with --model FOLDER.")
    if description.data.was_local and "data.source" not in given:
        raise ArtifactError(
            f"The data was the file or folder '{description.data.name}', and results hold no paths. Say where it is with --data."
        )
    values = {
        f"{section}.{key}": value
        for section, settings in stored.items()
        for key, value in settings.items()
        if value is not None
    }
    if base.revision is not None and "model.name" not in given:
        values["model.revision"] = base.revision  # the very commit, where the configuration named a branch or none
    values |= {"output.folder": str(output), "output.overwrite": False, "training.resume": False}
    try:
        return RunConfig.load(overrides=values | given)
    except ConfigError as error:
        # Line by line, without the place that a setting of a program has.
        mistakes = "\n".join(line.replace("overrides: ", "", 1) for line in str(error).splitlines())
        raise ArtifactError(f"The configuration in '{folder / DESCRIPTION}' does not hold: {mistakes}") from None
