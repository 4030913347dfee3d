"""The rows that a saved folder keeps for quantization, in a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.data.dataset import Split
from emotune.data.kept import KeptRows
from emotune.folder.format import KEPT, Description
from emotune.folder.predictions import PAIR, texts_of
from emotune.system.errors import ArtifactError
from emotune.system.pairs import sides_of
from emotune.system.text import reason_of

_TRAIN, _VALIDATION = "train", "validation"


def write_kept(rows: KeptRows, folder: Path) -> None:
    """Write kept rows into an existing folder: columns `split`, `text`, `text_pair` for pairs, and `label`.

    Training texts have no label there, since none is needed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    validation = rows.validation
    firsts, seconds = sides_of((*rows.calibration, *validation.texts))
    columns: dict[str, Any] = {
        "split": [_TRAIN] * len(rows.calibration) + [_VALIDATION] * len(validation),
        "text": firsts,
        **({} if seconds is None else {PAIR: seconds}),
        "label": [None] * len(rows.calibration) + validation.task.written(validation.label_ids, validation.labels),
    }
    pq.write_table(pa.table(columns), folder / KEPT)


def read_kept(folder: Path, description: Description) -> KeptRows:
    """Read the kept rows of a saved folder that has them.

    Raises:
        ArtifactError: The file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / KEPT
    try:
        table = pq.read_table(path).to_pydict()
        texts = texts_of(table)
        places: dict[str, list[int]] = {
            name: [row for row, split in enumerate(table["split"]) if split == name] for name in (_TRAIN, _VALIDATION)
        }
        named = [table["label"][row] for row in places[_VALIDATION]]
        targets = description.kind.read_names(named, description.labels)
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Restore the file, or run the job again."
        ) from None
    rows = tuple(texts[row] for row in places[_VALIDATION])
    return KeptRows(
        tuple(texts[row] for row in places[_TRAIN]),
        Split(_VALIDATION, rows, targets, description.labels, task=description.kind),
    )
