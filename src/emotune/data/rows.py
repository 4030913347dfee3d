"""Rows for training or scoring from a table's cells; every text and every label is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from emotune.data.alike import said_of_all
from emotune.data.columns import Columns, UnlabelledError, text_and_label_columns, with_further
from emotune.data.label_names import joined_by, respelt_note, separator_option
from emotune.data.labels import LabelError, WithheldError
from emotune.data.left_out import SKIP_KINDS, UNLABELLED_KINDS, LeftOut, left_out_notes
from emotune.data.options import DataSource
from emotune.data.several import FlagError, LabelReader, LabelSets, SurrogateError, shown_names
from emotune.data.splits.times import TimeError, check_time
from emotune.data.table import Broken, Table
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair, blank_side
from emotune.system.text import is_unicode
from emotune.system.wording import LONGER, UNCLOSED_QUOTE, counted, listed, quoted

# Number of reasons that a message names if no row can be used.
MOST_REASONS = 3
# Number of labels that look like several that a message names.
MOST_JOINED = 3
# Up to this many rows that cannot be read are listed, even if they are most of the rows.
FEW_BROKEN = 20
NO_LABEL = "the label is missing"
CR_ENDS = "Some lines seem to end with carriage returns only (old Mac OS). Write all line ends as line feeds."
DROP = "--drop-unlabelled (drop_unlabelled=True in Python)"
SKIP = '--on-error skip (on_error="skip" in Python)'
_OTHERS = "choose other columns with --text-column NAME and --label-column NAME."


def blank(side: str) -> str:
    """Return the reason of a row with a blank text: "the text is empty or blank"; of pairs, the first or second text."""
    return f"the {side} is empty or blank"


@dataclass(frozen=True, kw_only=True)
class _ReadRows:
    """Rows of one table that can be used.

    Attributes:
        texts: The texts as written in the data.
        names: The label name of each row.
        columns: The columns that were read.
        notes: Notes on the labels, one sentence each.
        places: The place of each row, for messages: "reviews.csv, line 7". Only read with further columns.
        further: The cells of each further column that was asked for, by its name.
        found: Number of usable rows per label, before labels were renamed.
        left_out: Rows that were left out, as the user asked for.
        several: The labels of each row, if rows may have several; `names` then joins them.
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]
    columns: Columns
    notes: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    further: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    several: LabelSets | None = None

    @property
    def label_sets(self) -> LabelSets:
        """The labels of each row; one each if rows cannot have several."""
        return tuple((name,) for name in self.names) if self.several is None else self.several


@dataclass(frozen=True, kw_only=True)
class LabelledRows(_ReadRows):
    """The rows of one table, checked.

    Attributes:
        source: Name of the table in messages.
        class_names: All label names in order, if the data has them.
    """

    source: str
    class_names: tuple[str, ...] | None


def read_labelled(table: Table, asked: DataSource, *, several: bool = True) -> LabelledRows:
    """Read a table's texts and labels.

    Args:
        table: The table.
        asked: How rows are read.
        several: False if rows with several labels could not be used, so that messages do not advise to read them.

    Raises:
        DataError: A column is not found; there are no rows; or texts or labels are missing or not valid.
    """
    columns = _columns(table, asked)
    reader = LabelReader(table, columns, asked)
    rows, left_out = _without(table, _read(table, columns, asked, reader), asked)
    if rows.faulty:
        raise _refusal(table, rows, _several_hint(rows, reader, asked) if several else "")
    if not rows.usable:
        raise no_rows(table)
    reader.check_separator()
    return LabelledRows(
        source=table.source,
        texts=tuple(row.text for row in rows.usable),
        names=tuple(shown_names(row.names) for row in rows.usable),
        class_names=reader.class_names(),
        columns=columns,
        notes=(*_notes_on_labels(table, rows.respelt), *left_out_notes(table.source, left_out)),
        places=tuple(table.at(row.number) for row in rows.usable) if asked.further else (),
        further=rows.further(columns),
        found=reader.renaming.found,
        left_out=left_out,
        several=rows.sets if reader.several else None,
    )


def _columns(table: Table, asked: DataSource) -> Columns:
    found = text_and_label_columns(
        table,
        asked.text_column,
        asked.label_column,
        asked.text_pair_column,
        asked.label_columns,
        asked.further,
        one_hot=asked.label_separator is None,
    )
    return with_further(table, found, asked.further)


@dataclass(frozen=True)
class UnusableRow:
    """A row that cannot be trained or scored on.

    Attributes:
        number: Its line or row number in the source.
        reason: The reason, in words.
    """

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class AllRows(_ReadRows):
    """The usable rows of one table, and what is wrong with the others.

    Of rows that were left out, only those without a label are listed.

    Attributes:
        numbers: Line or row numbers of the usable rows in the source.
        unusable: The other rows.
        lack_labels: True if a missing or withheld label is all that is wrong with those.
        alike: The message on them, if all rows cannot be used for one reason that can be mended in all.
    """

    numbers: tuple[int, ...]
    unusable: tuple[UnusableRow, ...]
    lack_labels: bool
    alike: str = ""


def read_all(table: Table, asked: DataSource) -> AllRows:
    """Read a table's texts and labels as `read_labelled` does, but continue after a row that cannot be used.

    Raises:
        DataError: A column is not found; the table cannot be read; or more rows cannot be read than can be used.
    """
    columns = _columns(table, asked)
    reader = LabelReader(table, columns, asked)
    rows = _read(table, columns, asked, reader)
    # Rows that are skipped are listed like all others.
    rows, left_out = _without(table, rows, asked.changed(on_error=None))
    if rows.faulty and asked.on_error == "stop":
        raise _refusal(table, rows, _several_hint(rows, reader, asked))
    # If nothing or little can be read, the file is not what its name says, and the advice is for all of it.
    if rows.mostly_broken and asked.on_error != "skip":
        broken = rows.broken
        seen = f"{counted(len(broken), 'row')} of {len(broken) + len(rows.usable):,} cannot be read."
        raise DataError(f"{broken[0].message}\n{seen}")
    if rows.usable:
        reader.check_separator()
    return AllRows(
        numbers=tuple(row.number for row in rows.usable),
        texts=tuple(row.text for row in rows.usable),
        names=tuple(shown_names(row.names) for row in rows.usable),
        unusable=tuple(UnusableRow(row.number, row.reason) for row in rows.faulty),
        lack_labels=all(row.kind in ("withheld", "unlabelled") for row in rows.faulty),
        alike=_alike(rows),
        columns=columns,
        notes=(*_notes_on_labels(table, rows.respelt), *left_out_notes(table.source, left_out)),
        places=tuple(table.at(row.number) for row in rows.usable) if asked.further else (),
        further=rows.further(columns),
        found=reader.renaming.found,
        left_out=left_out,
        several=rows.sets if reader.several else None,
    )


@dataclass(frozen=True)
class _Faulty:
    """A row that cannot be used.

    Attributes:
        number: Its line or row number.
        kind: "broken" if it cannot be read, "withheld" or "unlabelled" if it has no label, "blank", or "other".
        reason: The reason, as a clause.
        message: The reason as the message of an error, with the row's place.
        error: The kind of error that said so.
        cells: The cells that the error is about, if it names them.
    """

    number: int
    kind: str
    reason: str
    message: str
    error: type[Exception] = DataError
    cells: tuple[object, ...] = ()


class _Usable(NamedTuple):
    """A row that can be used: its number, text and labels, and the cells of further columns."""

    number: int
    text: str
    names: tuple[str, ...]
    further: tuple[object, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """Usable and faulty rows of a table, each in the table's order, and counts of labels read in another spelling."""

    usable: list[_Usable]
    faulty: list[_Faulty]
    respelt: Counter[str]

    def further(self, columns: Columns) -> dict[str, tuple[object, ...]]:
        """Return the cells of the usable rows by further column."""
        return {
            column: tuple(row.further[place] for row in self.usable) for place, column in enumerate(columns.further)
        }

    @property
    def sets(self) -> LabelSets:
        """The labels of each usable row."""
        return tuple(row.names for row in self.usable)

    @property
    def broken(self) -> list[_Faulty]:
        """The rows that cannot be read."""
        return [row for row in self.faulty if row.kind == "broken"]

    @property
    def mostly_broken(self) -> bool:
        """True if more rows cannot be read than can be used, and these are more than a few slips."""
        broken = len(self.broken)
        return broken > len(self.usable) and (not self.usable or broken >= FEW_BROKEN)


def _without(table: Table, rows: _Rows, asked: DataSource) -> tuple[_Rows, tuple[LeftOut, ...]]:
    """Return the rows without those faulty ones that are to be left out, and these; all as they are if none would be left."""
    kinds = (*(SKIP_KINDS if asked.on_error == "skip" else ()), *(UNLABELLED_KINDS if asked.drop_unlabelled else ()))
    if not rows.usable:
        return rows, ()
    left_out = tuple(
        LeftOut(table.at(row.number), row.reason, row.kind in UNLABELLED_KINDS)
        for row in rows.faulty
        if row.kind in kinds
    )
    return _Rows(rows.usable, [row for row in rows.faulty if row.kind not in kinds], rows.respelt), left_out


def _read(table: Table, columns: Columns, asked: DataSource, reader: LabelReader) -> _Rows:
    """Check every text, label and time of a table, and rename labels."""
    max_characters = asked.max_characters
    time = None if asked.time_column is None else columns.further.index(asked.time_column)
    rows = _Rows([], [], Counter())
    pair = () if columns.pair is None else (columns.pair,)
    of_labels = len(columns.of_labels)
    for number, (text_cell, *cells) in table.read((columns.text, *columns.of_labels, *pair, *columns.further)):
        label_cells, rest = cells[:of_labels], cells[of_labels:]
        pair_cell = rest[: len(pair)]
        broken = next((cell for cell in (text_cell, *label_cells, *pair_cell) if isinstance(cell, Broken)), None)
        # An object that lacks the key of a further column is read as a row whose cell is empty.
        further = tuple(None if isinstance(cell, Broken) else cell for cell in rest[len(pair) :])
        try:
            if broken is not None:
                raise broken.error
            text = checked_text(table, number, text_cell, max_characters)
            for cell in pair_cell:
                text = TextPair(text, checked_text(table, number, cell, max_characters))
            names = _checked_labels(table, number, label_cells, reader)
            if time is not None:
                check_time(further[time], table.at(number), columns.further[time])
        except (DataError, LabelError) as error:
            kind = "other" if broken is None else "broken"
            rows.faulty.append(_faulty(table, number, "withheld" if isinstance(error, WithheldError) else kind, error))
            continue
        side = blank_side(text)
        if side is not None:
            rows.faulty.append(_Faulty(number, "blank", blank(side), ""))
        elif names is None:
            rows.faulty.append(_Faulty(number, "unlabelled", NO_LABEL, ""))
        else:
            rows.usable.append(_Usable(number, text, reader.renamed(names), further))
            if not reader.several:
                _count_respelt(label_cells[0], names[0], rows.respelt)
    return _without_swallowing(table, columns, rows, set(reader.renaming.found))


def _faulty(table: Table, number: int, kind: str, error: Exception) -> _Faulty:
    """Return the faulty row that an error describes; the error may begin with the place."""
    place = f"{table.at(number)}: "
    said = str(error).removeprefix(place)
    message = str(error) if isinstance(error, DataError) else f"{place}{said}."
    cells = error.cells if isinstance(error, (FlagError, TimeError)) else ()
    # The error itself would keep the frames that it passed through.
    return _Faulty(number, kind, said.splitlines()[0], message, type(error), cells)


def _without_swallowing(table: Table, columns: Columns, rows: _Rows, labels: Set[str]) -> _Rows:
    """Return the rows with those counted as faulty whose text seems to hold other rows, which end in one of the labels."""
    if table.delimiter is None:
        return rows
    holding = {row.number: _holds_rows(table, row.text, columns.label, labels) for row in rows.usable}
    swallowing = [
        _Faulty(number, "other", reason.split(". ")[0], f"{table.at(number)}: {reason}")
        for number, reason in holding.items()
        if reason
    ]
    if not swallowing:
        return rows
    usable = [row for row in rows.usable if not holding[row.number]]
    return _Rows(usable, sorted([*rows.faulty, *swallowing], key=lambda row: row.number), rows.respelt)


def _several_hint(rows: _Rows, reader: LabelReader, asked: DataSource) -> str:
    """Return how an empty cell becomes a row without labels, where other cells look like several labels; else ""."""
    if reader.several:
        return ""
    separator, joined = joined_by(Counter(row.names[0] for row in rows.usable), asked.labels or ())
    if not joined:
        return ""
    return (
        f"\nIf {listed(sorted(joined)[:MOST_JOINED])} are several labels each, add {separator_option(separator)}: "
        "then an empty cell is a row without labels."
    )


def _refusal(table: Table, rows: _Rows, hint: str = "") -> DataError:
    """Return the error of a table with rows that cannot be used; `hint` is advice on missing labels."""
    kinds = {row.kind for row in rows.faulty}
    withheld = [row for row in rows.faulty if row.kind == "withheld"]
    if withheld and not rows.usable and kinds <= {"withheld", "unlabelled"}:
        return UnlabelledError(table.at(withheld[0].number), withheld[0].reason)
    said = next((row.message for row in rows.faulty if row.message), "")
    alike = _alike(rows)
    if alike:
        return DataError(alike)
    if said:
        return _with_others(table, said, rows)
    blank_rows = [row for row in rows.faulty if row.kind == "blank"]
    if blank_rows:
        return _blank(table, blank_rows)
    unlabelled = [row.number for row in rows.faulty]
    seen = f"the label is missing (empty, null or NaN) in {counted(len(unlabelled), 'row')}"
    message = f"{seen}: {table.numbered(unlabelled)}. Label them, or add {DROP}{_cleaning(table, rows)}.{hint}"
    return DataError(f"{table.source}: {message}") if rows.usable else UnlabelledError(table.source, seen, message)


def _alike(rows: _Rows) -> str:
    """Return the message on a table whose rows all cannot be used for one reason; "" where there is another to give."""
    if rows.usable or not rows.faulty:
        return ""
    return said_of_all(rows.faulty[0].message, {row.error for row in rows.faulty}, [row.cells for row in rows.faulty])


def _with_others(table: Table, said: str, rows: _Rows) -> DataError:
    """Return the error of the first faulty row, with the number of faulty rows."""
    numbers = [row.number for row in rows.faulty]
    if len(numbers) == 1:
        return DataError(said)
    return DataError(
        f"{said}\n{counted(len(numbers), 'row')} cannot be read or used: {table.numbered(numbers)}"
        f"{_cleaning(table, rows, len(numbers))}."
    )


def _cleaning(table: Table, rows: _Rows, listed_rows: int = 0) -> str:
    """Return how to list the faulty rows and leave them out, as the end of a sentence.

    It is "" if an audit would refuse the table too, or if there is no file or id to give to the command.
    """
    if table.in_memory or not rows.usable or rows.mostly_broken:
        return ""
    without = "--write-clean DIR writes a copy without them, and without repeats, contradictions and leaks"
    if not listed_rows:
        return f"; emotune audit DATA {without}"
    unlabelled = sum(row.kind in UNLABELLED_KINDS for row in rows.faulty)
    options = [SKIP] * (unlabelled < len(rows.faulty)) + [DROP] * (unlabelled > 0)
    leaves = "leaves" if len(options) == 1 else "leave"
    leaving = f"{' with '.join(options)} {leaves} them out"
    return f". {leaving}. emotune audit DATA --examples {listed_rows} lists each with its reason, and {without}"


def _count_respelt(cell: object, name: str, respelt: Counter[str]) -> None:
    """Count a label that was read in another spelling."""
    if isinstance(cell, str) and not cell.isascii() and cell.strip() != name:
        respelt[cell.strip()] += 1


def _notes_on_labels(table: Table, respelt: Counter[str]) -> tuple[str, ...]:
    return (respelt_note(table.source, respelt),) if respelt else ()


def none_usable(table: Table, split: str, rows: AllRows) -> DataError:
    """Return the error of a table of which no row can be used.

    Args:
        table: The table.
        split: The name of its split.
        rows: Its rows, none of them usable.
    """
    unusable = rows.unusable
    reasons = Counter(row.reason for row in unusable).most_common()
    if len(reasons) == 1 and rows.lack_labels:
        seen = f"{reasons[0][0]} in {counted(len(unusable), 'row')}"
        message = f"no row of the {split} split can be used: {seen}.\nLabel the rows, or {_OTHERS}"
        return UnlabelledError(table.source, seen, message)
    if rows.alike:
        return DataError(rows.alike)
    if not unusable:
        return DataError(f"{str(no_rows(table)).removesuffix('.')}, so nothing of the {split} split can be used.")
    parts = [f"{reason.removesuffix('.')} ({count:,})" for reason, count in reasons[:MOST_REASONS]]
    rest = sum(count for _, count in reasons[MOST_REASONS:])
    if rest:
        parts.append(f"other reasons ({rest:,})")
    seen = f"{counted(len(unusable), 'row')} {'was' if len(unusable) == 1 else 'were'} seen"
    return DataError(
        f"{table.source}: no row of the {split} split can be used; {seen}: {', '.join(parts)}.\n"
        f"Correct the rows, or {_OTHERS}"
    )


def checked_text(table: Table, number: int, cell: object, max_characters: int) -> str:
    """Return the text of a cell; null becomes the empty text, which the caller counts as blank.

    Args:
        table: The table, for messages.
        number: Number of the row.
        cell: The cell.
        max_characters: The longest text allowed.

    Raises:
        DataError: The row cannot be read; or the cell holds no text, or one that is too long, not Unicode, or has a NUL
            character.
    """
    if isinstance(cell, Broken):
        raise cell.error
    if cell is None:
        return ""
    if not isinstance(cell, str):
        words = "; join the words of a list into one text" if isinstance(cell, list) else ""
        raise DataError(
            f"{table.at(number)}: the text is of type {type(cell).__name__}{words}.\n"
            f"It is {quoted(cell)}. If this is the wrong column, choose another with --text-column NAME."
        )
    if len(cell) > max_characters:
        raise DataError(
            f"{table.at(number)}: a text of {len(cell):,} characters; at most {max_characters:,} are allowed. "
            f"It begins {quoted(cell)}.\n{_on_length(table)}"
        )
    if "\0" in cell:
        raise DataError(f"{table.at(number)}: a NUL character in the text {quoted(cell)}. Is this binary data?")
    if not is_unicode(cell):
        raise _half_a_character(table, number, "text")
    return cell


def _checked_labels(table: Table, number: int, cells: Sequence[object], reader: LabelReader) -> tuple[str, ...] | None:
    """Return the labels' names, or None; errors as in `LabelReader`, and DataError if one is not Unicode."""
    try:
        return reader(cells)
    except SurrogateError:
        raise _half_a_character(table, number, "label") from None


def _on_length(table: Table) -> str:
    """Return advice on a text that is too long."""
    option = "max_characters" if table.in_memory else LONGER
    return f"{UNCLOSED_QUOTE if table.quoting else ''}If texts are meant to be so long, raise {option}."


def _holds_rows(table: Table, text: str, label_column: str, labels: Set[str]) -> str:
    """Return the fault of a text that seems to hold rows (half of its lines or more end in labels), or ""."""
    if not ("\n" in text or "\r" in text):
        return ""
    at = table.columns.index(label_column)
    lines = text.splitlines()
    whole = 0
    for line in lines:
        fields = line.split(table.delimiter)
        whole += len(fields) == len(table.columns) and fields[at].strip() in labels
    if not whole or 2 * whole < len(lines):
        return ""
    return (
        f"the text holds {counted(len(lines), 'line')}, {whole:,} of which look like rows of their own. It begins {quoted(text)}.\n"
        + (f"{UNCLOSED_QUOTE}Close it, or double it if it belongs to the text." if table.quoting else CR_ENDS)
    )


def no_rows(table: Table) -> DataError:
    """Return the error of a table without rows."""
    return DataError(f"{table.source} has {'a header and ' if table.header is not None else ''}no rows.")


def _half_a_character(table: Table, number: int, what: str) -> DataError:
    return DataError(
        f"{table.at(number)}: the {what} holds half a character (a lone surrogate such as \\ud83d), "
        "so it is not valid Unicode. It was probably cut in the middle of an emoji; correct or remove the row."
    )


def _blank(table: Table, rows: Sequence[_Faulty]) -> DataError:
    found = [
        f"{reason} in {counted(len(numbers), 'row')}: {table.numbered(numbers)}"
        for reason in dict.fromkeys(row.reason for row in rows)
        for numbers in [[row.number for row in rows if row.reason == reason]]
    ]
    return DataError(f"{table.source}: {'; '.join(found)}. Fill or remove them, or add {SKIP}.")
