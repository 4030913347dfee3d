"""Texts of the data in a saved folder, which its owner may not want to hand on with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.folder.files import REPORT, WITH_TEXTS
from emotune.folder.format import KEPT, PREDICTIONS
from emotune.system.errors import ArtifactError
from emotune.system.text import reason_of
from emotune.system.wording import counted

# What stands before each text that a report shows.
_EXAMPLE = '<div class="example">'


@dataclass(frozen=True)
class FileWithTexts:
    """A file that holds texts of the data.

    Attributes:
        name: Its name.
        texts: Number of texts in it.
    """

    name: str
    texts: int


def files_with_texts(folder: Path) -> tuple[FileWithTexts, ...]:
    """Return the files of a saved folder that hold texts of the data. A report counts even if it shows no text.

    Raises:
        ArtifactError: One of them cannot be read.
    """
    return tuple(FileWithTexts(name, _texts_in(folder / name)) for name in WITH_TEXTS if (folder / name).is_file())


def in_words(files: Sequence[FileWithTexts]) -> str:
    """Return the files with the number of their texts: "2,000 in predictions.parquet, 16 in report.html"."""
    return ", ".join(f"{counted(file.texts, 'text')} in {file.name}" for file in files)


def _texts_in(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.name in (PREDICTIONS, KEPT):
            return int(pq.read_metadata(path).num_rows)
        assert path.name == REPORT
        return path.read_text(encoding="utf-8").count(_EXAMPLE)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Restore the file, or push with --without-texts."
        ) from None
