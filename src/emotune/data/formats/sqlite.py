"""SQLite databases: the rows of one table, or of a SELECT, read without writing anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotune.data.cells import as_json
from emotune.data.column_names import named_like
from emotune.data.formats.reading import Reading
from emotune.data.table import Row, Table
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import escaped, listed, quoted

SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
SIGNATURE = b"SQLite format 3\0"
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)


def open_sqlite(path: Path, reading: Reading) -> Table:
    """Open a database: the rows of the query, or of the only table with texts.

    Args:
        path: The file.
        reading: How it is read.

    Raises:
        DataError: It is damaged; the query is no SELECT, or is wrong; or no query was given, and no table, or several, hold texts.
    """
    notes: tuple[str, ...] = ()
    if reading.query is None:
        table, notes = _only_table(path)
        query, source = f"SELECT * FROM {_name(table)}", f"{escaped(path)} ({escaped(table)})"
    else:
        query, source = reading.query, escaped(path)
    with _selected(path, query, is_given=reading.query is not None) as rows:
        columns = tuple(column[0] for column in rows.description)

    def selected() -> Iterator[tuple[int, tuple[Any, ...]]]:
        with _selected(path, query, is_given=reading.query is not None) as rows:
            yield from enumerate(rows, 1)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        picks = [columns.index(column) for column in wanted]
        return ((number, [row[pick] for pick in picks]) for number, row in selected())

    def objects() -> Iterator[tuple[int, dict[str, Any] | DataError]]:
        return ((number, dict(zip(columns, map(as_json, row), strict=True))) for number, row in selected())

    return Table(
        source,
        columns,
        read,
        notes=notes,
        objects=objects,
        format="csv",
        foreign="an SQLite database",
        hint=_hint(reading),
    )


def _hint(reading: Reading) -> str:
    if reading.query is None:
        return ""
    return "name the columns in --query, as in 'SELECT body AS text, mood AS label FROM messages'."


def _only_table(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the only table that has columns of texts and labels, or of texts, and a note if there are others."""
    with _connected(path) as connection:
        listing = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        tables = {}
        for (name,) in listing.fetchall():
            if not str(name).startswith("sqlite_"):
                description = connection.execute(f"SELECT * FROM {_name(name)} LIMIT 0").description
                tables[str(name)] = [column[0] for column in description]
    if not tables:
        raise DataError(f"{escaped(path)} is an SQLite database without tables.")
    texts = [name for name, columns in tables.items() if named_like(columns, "text")]
    both = [name for name in texts if named_like(tables[name], "label")]
    found = list(tables) if len(tables) == 1 else both if len(both) == 1 else texts if len(texts) == 1 else []
    if not found:
        which = (
            f"several of them could hold the rows ({listed(both or texts)})" if texts else "none has a column of texts"
        )
        raise DataError(
            f"{escaped(path)} is an SQLite database with the tables {listed(tables)}, and {which}. "
            f"Say which rows to read, for example: --query 'SELECT text, label FROM {next(iter(both or texts or tables))}'"
        )
    others = [name for name in tables if name not in found]
    note = f"{escaped(path.name)}: read from the table {quoted(found[0])}; not used: {listed(others)}."
    return found[0], (note,) if others else ()


def _name(table: str) -> str:
    return '"' + table.replace('"', '""') + '"'


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; turn its errors into messages."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DataError(f"{escaped(path)} is an SQLite database that cannot be read: {reason_of(error)}.") from None


@contextmanager
def _selected(path: Path, query: str, *, is_given: bool) -> Iterator[sqlite3.Cursor]:
    """Run one SELECT, the only statement that is permitted."""

    def allow(action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    with _connected(path) as connection:
        connection.set_authorizer(allow)
        try:
            rows = connection.execute(query)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if not is_given:
                raise
            raise _wrong_query(query, error) from None
        if rows.description is None:
            raise _wrong_query(query, None)
        yield rows


def _wrong_query(query: str, error: Exception | None) -> DataError:
    reason = reason_of(error) if error is not None else "it gives no rows"
    if "authoriz" in reason or "one statement" in reason or error is None:
        return DataError(f"--query is {quoted(query)}; expected one SELECT, which only reads ({reason}).")
    return DataError(f"--query {quoted(query)} cannot be run: {reason}. Expected one SELECT of this database.")
