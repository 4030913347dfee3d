"""Data sets of the Hugging Face Hub, read with the `datasets` library; code from their repositories is never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emotune.data.table import Row, Table
from emotune.system.errors import DataError
from emotune.system.hub import translate_hub_errors, without_bars
from emotune.system.wording import escaped, listed, quoted

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_ROWS_PER_BATCH = 1000


def open_hub_dataset(name: str, *, config: str | None, revision: str | None) -> dict[str, Table]:
    """Download a data set, or take it from the cache, and return its splits under their own names.

    Args:
        name: The id, "owner/name".
        config: The configuration; required if there are several and none is the default.
        revision: A branch, tag or commit; None for the newest.

    Raises:
        DataError: A configuration must be chosen, or the one chosen does not exist; or the data cannot be read, or only
            by running code of its own.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    import datasets
    from datasets.exceptions import DataFilesNotFoundError, DatasetBuildError

    with translate_hub_errors(name, "dataset"), without_bars(datasets.utils):
        try:
            loaded: DatasetDict = datasets.load_dataset(name, config, revision=revision)
        except ValueError as error:
            # The library has no exception class for a missing configuration, so the list of configurations decides.
            known = datasets.get_dataset_config_names(name, revision=revision)
            if (config is None and len(known) > 1) or (config is not None and config not in known):
                raise _which_config(name, config, known) from error
            raise DataError(f"{name} cannot be loaded: {_reason(error)}.") from error
        except DataFilesNotFoundError as error:
            raise DataError(f"{name} on the Hugging Face Hub holds no data files that can be read.") from error
        except DatasetBuildError as error:
            raise DataError(f"{name} was downloaded, but its files cannot be read: {_reason(error)}.") from error
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            raise DataError(
                f"{name} can be loaded only by running code from its repository, which emotune does not do. "
                "Look for a copy in Parquet, or download its files and give their folder."
            ) from error
    return {str(split): table_of(f"{name} ({split})", rows) for split, rows in loaded.items()}


def table_of(source: str, rows: Dataset) -> Table:
    """Open a split of the `datasets` library.

    Args:
        source: Name of the data in messages.
        rows: The split.
    """
    from datasets import ClassLabel

    # A list's feature is that of its items.
    features = {column: getattr(feature, "feature", feature) for column, feature in rows.features.items()}
    rows = rows.with_format(None)  # plain Python values, whatever format is set

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        number = 0
        for batch in rows.select_columns(list(wanted)).iter(batch_size=_ROWS_PER_BATCH):
            for row in zip(*(batch[column] for column in wanted), strict=True):
                number += 1
                yield number, row

    return Table(
        source=source,
        columns=tuple(rows.column_names),
        read=read,
        class_names={
            column: tuple(feature.names) for column, feature in features.items() if isinstance(feature, ClassLabel)
        },
    )


def _which_config(name: str, config: str | None, known: Sequence[str]) -> DataError:
    problem = "has several configurations" if config is None else f"has no configuration {quoted(config)}"
    return DataError(f"{name} {problem}: choose one of {listed(known)} with --data-config NAME (config= in Python).")


def _reason(error: BaseException) -> str:
    """Return the first line of the innermost error; the outer ones only say that something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return escaped(str(error).partition("\n")[0].rstrip(".") or type(error).__name__)
