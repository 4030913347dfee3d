"""`emotune_export.json`: the description of an export."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from emotune.exports.formats import ExportOptions, Target, Width
from emotune.folder.format import Description, sha256, versions
from emotune.folder.record import Record
from emotune.system.output import EXPORT_DESCRIPTION
from emotune.tasks.calibration import Temperature


class ExportDescription(Record):
    """Contents of `emotune_export.json`.

    Attributes:
        format: Version of this description.
        created: Time of the export, in UTC.
        to: The format of the model.
        precision: Arithmetic of the matrix products.
        source: Name of the exported folder, without its path.
        source_files: Checksums of the exported folder's files, SHA-256 in hexadecimal.
        base_model: Name of the base model.
        method: Name of the method that trained it.
        task: Name of the task.
        labels: Label names, in the order of the logits.
        max_length: Tokens per text or pair; longer ones are cut, unless there are windows.
        pairs: True if it takes pairs of texts.
        windows: True if `run.py` reads longer texts in overlapping windows.
        temperature: Divisor of the logits for calibrated probabilities, which run.py does not apply; None if there is
            none.
        thresholds: Least probability of each label, by which run.py decides, for a model with several labels per text;
            None for one label per text, or 0.5.
        at_least_one: True if a text whose labels all stay below their thresholds gets its likeliest label.
        calibration: The texts that int8 was calibrated on, in words; "" for none.
        check: Figures of the comparison with the original.
        versions: Versions of the packages that wrote it.
        files: Checksums of the export's files, SHA-256 in hexadecimal.
    """

    format: Literal[1] = 1
    created: str
    to: Target
    precision: Width
    source: str
    source_files: dict[str, str]
    base_model: str
    method: str
    task: str
    labels: tuple[str, ...]
    max_length: int
    pairs: bool = False
    windows: bool = False
    temperature: Temperature | None
    thresholds: tuple[float, ...] | None = None
    at_least_one: bool = False
    calibration: str
    check: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]


def write_description(
    folder: Path, options: ExportOptions, source: str, described: Description, calibration: str, check: dict[str, Any]
) -> ExportDescription:
    """Describe an export in its folder, last: the description holds the checksums of all other files.

    Args:
        folder: The export, all other files in place.
        options: What was asked.
        source: Name of the exported folder.
        described: The exported folder's own description.
        calibration: The texts that int8 was calibrated on, in words; "" for none.
        check: Figures of the comparison.
    """
    packages = dict.fromkeys((*options.format.writes, *options.format.quantizes, *options.format.runs))
    found = ExportDescription(
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        to=options.to,
        precision=options.precision,
        source=source,
        source_files=described.files,
        base_model=described.base_model.name,
        method=described.method.name,
        task=described.task,
        labels=described.labels,
        max_length=described.max_length,
        pairs=described.pairs,
        windows=described.windows,
        temperature=described.temperature,
        thresholds=described.thresholds,
        at_least_one=described.at_least_one,
        calibration=calibration,
        check=check,
        versions={**versions(), **{name: version(name) for name in packages if _is_used(name, options)}},
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
    )
    text = json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / EXPORT_DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return found


def _is_used(package: str, options: ExportOptions) -> bool:
    return options.precision == "int8" or package not in options.format.quantizes
