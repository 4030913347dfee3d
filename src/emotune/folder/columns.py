"""Columns of the texts of further data for a saved model: those that the user names, or those of its training."""

from __future__ import annotations

from emotune.folder.format import Description
from emotune.system.errors import ConfigError


def described_columns(
    description: Description | None, text_column: str | None, text_pair_column: str | None
) -> dict[str, str | None]:
    """Return the arguments `text_column` and `text_pair_column` for loading rows.

    A model of pairs reads the columns that it was trained on, if the user names none.

    Args:
        description: The saved model; None for one that emotune did not save.
        text_column: The user's choice, or None.
        text_pair_column: The user's choice, or None.
    """
    chosen = {"text_column": text_column, "text_pair_column": text_pair_column}
    if description is None or not description.pairs or description.data is None:
        return chosen
    if text_column is not None or text_pair_column is not None:
        return chosen
    trained = description.data.columns.get("train")
    if not isinstance(trained, dict):
        return chosen
    return {"text_column": trained.get("text"), "text_pair_column": trained.get("pair")}


def unlabelled_columns(
    description: Description | None, text_column: str | None, text_pair_column: str | None
) -> dict[str, str | bool | None]:
    """Return the arguments for `open_unlabelled`: those of `described_columns`, "pairs" and "by_training".

    Args:
        description: The saved model. For None, one that emotune did not save, rows are pairs if a column of second texts
            is named.
        text_column: The user's choice, or None.
        text_pair_column: The user's choice, or None.

    Raises:
        ConfigError: A column of second texts is named for a model of single texts.
    """
    pairs = text_pair_column is not None if description is None else description.pairs
    if text_pair_column is not None and not pairs:
        raise ConfigError(
            "--text-pair-column is for models of pairs, and this one was trained on single texts. Leave it out."
        )
    named = text_column is not None or text_pair_column is not None
    return {
        **described_columns(description, text_column, text_pair_column),
        "pairs": pairs,
        "by_training": pairs and not named,
    }
