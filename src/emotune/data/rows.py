"""From a table's cells to rows that can be trained or scored on: every text and every label is looked at here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from emotune.data.columns import Columns, UnlabelledError, text_and_label_columns
from emotune.data.label_names import respelt_note
from emotune.data.labels import LabelError, WithheldError, label_name
from emotune.data.table import Broken, Row, Table
from emotune.data.wording import counted, numbered, quoted
from emotune.errors import DataError
from emotune.text import is_blank, is_unicode

# How many reasons a message names, where no row can be used.
MOST_REASONS = 3
# So few rows that cannot be read are listed, even where they are most of the rows.
FEW_BROKEN = 20
NO_LABEL = "the label is missing"
_OTHERS = "choose other columns with --text-column NAME and --label-column NAME."
_CLEANED = "; emotune audit DATA --write-clean DIR writes a copy without them."


@dataclass(frozen=True)
class LabelledRows:
    """The rows of one table, checked.

    Attributes:
        source: What messages call the table.
        texts: The texts as they stand in the data.
        names: The label name of each row.
        class_names: All label names in order, where the data brings them.
        columns: Which columns were read.
        notes: What the reader must know about the labels, one sentence each.
    """

    source: str
    texts: tuple[str, ...]
    names: tuple[str, ...]
    class_names: tuple[str, ...] | None
    columns: Columns
    notes: tuple[str, ...] = ()


def read_labelled(
    table: Table, *, text_column: str | None, label_column: str | None, max_characters: int
) -> LabelledRows:
    """Read a table's texts and labels.

    Args:
        table: The table.
        text_column: The column of texts, or None to find it by name.
        label_column: The column of labels, or None to find it by name.
        max_characters: The longest text allowed.

    Raises:
        DataError: A column is not found; there are no rows; texts or labels are missing or not what they should be.
    """
    columns = text_and_label_columns(table, text_column, label_column)
    class_names = table.class_names.get(columns.label)
    of_lines: list[tuple[int, str]] = []
    texts: list[str] = []
    names: list[str] = []
    blank: list[int] = []
    unlabelled: list[int] = []
    faulty: list[int] = []
    fault = None
    respelt: Counter[str] = Counter()
    for number, (text_cell, label_cell) in table.read((columns.text, columns.label)):
        try:
            text = _checked_text(table, number, text_cell, max_characters)
            name = label_name(label_cell, class_names)
            if name is not None and not is_unicode(name):
                raise _half_a_character(table, number, "label")
        except WithheldError as error:
            raise UnlabelledError(table.at(number), str(error)) from None
        except (DataError, LabelError) as error:
            faulty.append(number)
            fault = fault or (error if isinstance(error, DataError) else DataError(f"{table.at(number)}: {error}."))
            continue
        if is_blank(text):
            blank.append(number)
        if name is None:
            unlabelled.append(number)
            continue
        if "\n" in text or "\r" in text:
            of_lines.append((number, text))
        texts.append(text)
        names.append(name)
        _count_respelt(label_cell, name, respelt)
    if fault is not None:
        raise _with_others(table, fault, faulty)
    if blank:
        raise _blank(table, blank)
    if unlabelled:
        seen = f"the label is missing (empty, null or NaN) in {counted(len(unlabelled), 'row')}"
        message = f"{seen}: {numbered(table.unit, unlabelled)}. Label or remove them{_CLEANED}"
        if not texts:
            raise UnlabelledError(table.source, seen, message)
        raise DataError(f"{table.source}: {message}")
    if not texts:
        raise _no_rows(table)
    for number, text in of_lines:
        reason = _holds_rows(table, text, columns.label, set(names))
        if reason:
            raise DataError(f"{table.at(number)}: {reason}")
    return LabelledRows(
        table.source, tuple(texts), tuple(names), class_names, columns, _notes_on_labels(table, respelt)
    )


def _with_others(table: Table, fault: DataError, numbers: Sequence[int]) -> DataError:
    """What is wrong with the first of some rows, and how many there are."""
    if len(numbers) == 1:
        return fault
    return DataError(
        f"{fault}\n{counted(len(numbers), 'row')} cannot be read or used: {numbered(table.unit, numbers)}. "
        "emotune audit DATA lists each with its reason, and --write-clean DIR writes a copy without them."
    )


@dataclass(frozen=True)
class UnusableRow:
    """A row that cannot be trained or scored on.

    Attributes:
        number: Its line or row number in the source.
        reason: Why, in words.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class AllRows:
    """The usable rows of one table, and what is wrong with the others.

    Attributes:
        numbers: Where each usable row stands in the source.
        texts: The texts.
        names: The label names.
        unusable: The other rows.
        columns: Which columns were read.
        notes: What the reader must know about the labels, one sentence each.
    """

    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    names: tuple[str, ...]
    unusable: tuple[UnusableRow, ...]
    columns: Columns
    notes: tuple[str, ...] = ()


def read_all(table: Table, *, text_column: str | None, label_column: str | None, max_characters: int) -> AllRows:
    """Read a table's texts and labels as `read_labelled` does, and go on after a row that cannot be used.

    Raises:
        DataError: A column is not found, the table itself cannot be read, or more of its rows cannot be read than can be used.
    """
    columns = text_and_label_columns(table, text_column, label_column)
    class_names = table.class_names.get(columns.label)
    usable: list[tuple[int, str, str]] = []
    unusable: list[UnusableRow] = []
    respelt: Counter[str] = Counter()
    broken: list[int] = []
    fault = None
    for number, (text_cell, label_cell) in table.read((columns.text, columns.label)):
        if isinstance(text_cell, Broken):
            broken.append(number)
            fault = fault or text_cell.error
        try:
            text = _checked_text(table, number, text_cell, max_characters)
            name = label_name(label_cell, class_names)
        except (DataError, LabelError) as error:
            unusable.append(UnusableRow(number, str(error).removeprefix(f"{table.at(number)}: ").splitlines()[0]))
            continue
        if is_blank(text):
            unusable.append(UnusableRow(number, "the text is empty or blank"))
        elif name is None:
            unusable.append(UnusableRow(number, NO_LABEL))
        elif not is_unicode(name):
            unusable.append(UnusableRow(number, "the label is not valid Unicode"))
        else:
            usable.append((number, text, name))
            _count_respelt(label_cell, name, respelt)
    # Where nothing or little can be read, the file is not what it says, and the advice is for all of it.
    if fault is not None and len(broken) > len(usable) and (not usable or len(broken) >= FEW_BROKEN):
        raise DataError(f"{fault}\n{counted(len(broken), 'row')} of {len(broken) + len(usable):,} cannot be read.")
    labels = {name for _, _, name in usable}
    holding = {number: _holds_rows(table, text, columns.label, labels) for number, text, _ in usable}
    swallowing = {number: reason for number, reason in holding.items() if reason}
    if swallowing:
        usable = [row for row in usable if row[0] not in swallowing]
        unusable += [UnusableRow(number, reason.split(". ")[0]) for number, reason in swallowing.items()]
        unusable.sort(key=lambda row: row.number)
    numbers, texts, names = zip(*usable, strict=True) if usable else ((), (), ())
    return AllRows(numbers, texts, names, tuple(unusable), columns, _notes_on_labels(table, respelt))


def _count_respelt(cell: object, name: str, respelt: Counter[str]) -> None:
    """Count a label that is read as another spelling of it."""
    if isinstance(cell, str) and not cell.isascii() and cell.strip() != name:
        respelt[cell.strip()] += 1


def _notes_on_labels(table: Table, respelt: Counter[str]) -> tuple[str, ...]:
    return (respelt_note(table.source, respelt),) if respelt else ()


def none_usable(table: Table, split: str, unusable: Sequence[UnusableRow]) -> DataError:
    """The error of a table of which no row can be used.

    Args:
        table: The table.
        split: The split that it is.
        unusable: All its rows.
    """
    reasons = Counter(row.reason for row in unusable).most_common()
    if len(reasons) == 1 and (reasons[0][0] == NO_LABEL or "withheld" in reasons[0][0]):
        seen = f"{reasons[0][0]} in {counted(len(unusable), 'row')}"
        message = f"no row of the {split} split can be used: {seen}.\nLabel the rows, or {_OTHERS}"
        return UnlabelledError(table.source, seen, message)
    if not unusable:
        return DataError(f"{str(_no_rows(table)).removesuffix('.')}, so nothing of the {split} split can be used.")
    parts = [f"{reason.removesuffix('.')} ({count:,})" for reason, count in reasons[:MOST_REASONS]]
    rest = sum(count for _, count in reasons[MOST_REASONS:])
    if rest:
        parts.append(f"other reasons ({rest:,})")
    seen = f"{counted(len(unusable), 'row')} {'was' if len(unusable) == 1 else 'were'} seen"
    return DataError(
        f"{table.source}: no row of the {split} split can be used; {seen}: {', '.join(parts)}.\n"
        f"Mend the rows, or {_OTHERS}"
    )


def stream_texts(table: Table, rows: Iterator[Row], max_characters: int) -> Iterator[tuple[int, str]]:
    """Check and give texts one by one, each with its number, for data too large to hold.

    Args:
        table: Where the rows come from.
        rows: Rows whose only value is the text.
        max_characters: The longest text allowed.

    Raises:
        DataError: A text is blank, too long or no text at all, or there are no rows; raised when reading gets there.
    """
    number = None
    for number, (cell,) in rows:
        text = _checked_text(table, number, cell, max_characters)
        if is_blank(text):
            raise _blank(table, [number])
        yield number, text
    if number is None:
        raise _no_rows(table)


def _checked_text(table: Table, number: int, cell: object, max_characters: int) -> str:
    """The text of a cell; a null becomes the empty text, which the caller counts among the blank ones.

    Raises:
        DataError: The row cannot be read; the cell holds no text, or one that is too long, or not Unicode, or has a NUL character in it.
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
            f"It begins {quoted(cell)}.\n"
            "Usually a quote was opened there and never closed. If texts are meant to be so long, "
            "raise --max-characters."
        )
    if "\0" in cell:
        raise DataError(f"{table.at(number)}: a NUL character in the text {quoted(cell)}. Is this binary data?")
    if not is_unicode(cell):
        raise _half_a_character(table, number, "text")
    return cell


def _holds_rows(table: Table, text: str, label_column: str, labels: Set[str]) -> str:
    """Why a text of several lines seems to hold rows of its own file: half of its lines end in labels of the data; "" where it does not."""
    if table.delimiter is None or not ("\n" in text or "\r" in text):
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
        "Usually a quote was opened there and never closed. Close it, or double it if it belongs to the text."
    )


def _no_rows(table: Table) -> DataError:
    """The error of a table without rows."""
    return DataError(f"{table.source} has {'a header and ' if table.header is not None else ''}no rows.")


def _half_a_character(table: Table, number: int, what: str) -> DataError:
    return DataError(
        f"{table.at(number)}: the {what} holds half a character (a lone surrogate such as \\ud83d), "
        "so it is not valid Unicode. It was probably cut in the middle of an emoji; mend or remove the row."
    )


def _blank(table: Table, numbers: Sequence[int]) -> DataError:
    return DataError(
        f"{table.source}: the text is empty or blank in {counted(len(numbers), 'row')}: "
        f"{numbered(table.unit, numbers)}. Fill or remove them."
    )
