"""Which columns of a table hold the texts and the labels: those the user names, or those with a name that says so."""

from __future__ import annotations

from typing import Literal

from emotune.data.table import Table
from emotune.data.wording import listed, quoted
from emotune.errors import DataError

Role = Literal["text", "label"]

KNOWN_NAMES: dict[Role, tuple[str, ...]] = {
    "text": ("text", "sentence", "message", "tweet", "content", "review", "document", "comment", "utterance"),
    "label": ("label", "label_name", "labels", "emotion", "sentiment", "category", "class", "target"),
}


def text_and_label_columns(table: Table, text_column: str | None, label_column: str | None) -> tuple[str, str]:
    """The columns of texts and of labels.

    Args:
        table: The table.
        text_column: The user's choice, or None to find it by name, whatever its case.
        label_column: Likewise.

    Raises:
        DataError: There is no header, a column stands twice, the chosen one does not exist, or none or several have a
            known name.
    """
    _refuse_repeated(table)
    if text_column is None and label_column is None:
        _refuse_missing_header(table, ("text", "label"))
    text, label = _column(table, "text", text_column), _column(table, "label", label_column)
    if text == label:
        raise DataError(f"{table.source}: the column {quoted(text)} cannot hold both the texts and the labels.")
    return text, label


def text_only_column(table: Table, text_column: str | None) -> str:
    """The column of texts, where labels are not needed. Arguments and errors as in `text_and_label_columns`."""
    _refuse_repeated(table)
    if text_column is None:
        _refuse_missing_header(table, ("text",))
    return _column(table, "text", text_column)


def known_columns(table: Table, role: Role) -> list[str]:
    """The columns whose names say that they hold texts, or labels."""
    return [column for column in table.columns if column.lower() in KNOWN_NAMES[role]]


def _refuse_repeated(table: Table) -> None:
    repeated = dict.fromkeys(column for column in table.columns if column and table.columns.count(column) > 1)
    if repeated:
        raise DataError(
            f"{table.source}: the column {listed(repeated)} stands more than once. "
            f"Its columns are {listed(table.columns)}. Rename or remove one."
        )


def _refuse_missing_header(table: Table, roles: tuple[Role, ...]) -> None:
    """A first line without any known name is probably a row; taken for column names, it would be lost in silence."""
    if table.header is None or any(known_columns(table, role) for role in roles):
        return
    example = ";".join(roles) if table.source.lower().endswith(".txt") else ",".join(roles)
    options = " and ".join(f"--{role}-column NAME" for role in roles)
    raise DataError(
        f"{table.source} has no header: its first line is {quoted(table.header)}.\n"
        f"Expected column names first, for example {quoted(example)}. If that line is the header, "
        f"say which column is which with {options}."
    )


def _column(table: Table, role: Role, chosen: str | None) -> str:
    columns = f"Its columns are {listed(table.columns)}." if table.columns else "It has no columns."
    if chosen is not None:
        if chosen in table.columns:
            return chosen
        raise DataError(f"{table.source} has no column {quoted(chosen)}. {columns}")
    found = known_columns(table, role)
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{table.source}: several columns could hold the {role}s: {listed(found)}. "
            f"Choose one with --{role}-column NAME."
        )
    raise DataError(
        f"{table.source}: no column is named like one of {role}s ({', '.join(KNOWN_NAMES[role])}). {columns}\n"
        f"Name it with --{role}-column NAME."
    )
