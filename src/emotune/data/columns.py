"""Choice of the columns that hold the texts and the labels: named by the user, or recognised by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

from emotune.data.column_names import KNOWN_NAMES, Role, has_clear_name, is_commonest, named_like, normal
from emotune.data.flags import ROWS_LOOKED_AT, flags_of, one_hot_hint
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted, word

# Names that programs give to the column of row numbers.
_INDEX = re.compile(r"|id|idx|index|unnamed: [0-9.]+|__index_level_[0-9]+__")

# Names of the two columns of data sets whose rows are pairs of texts; taken where no column is named like one of texts.
_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("query", "passage"),
)
# Further pairs, one of which is named like a column of texts. That one alone is read, and the pair is only offered.
_OFFERED_PAIRS = (("text", "text_pair"), ("question", "sentence"), ("sentence", "question"))
TAB = "\t"
SEPARATORS = (TAB, ";", ",", "|")


class UnlabelledError(DataError):
    """Error of a table without labels.

    Args:
        where: The table, and the row if one was looked at.
        reason: Finding that shows it, as a clause.
        rest: The rest of the message; None if the reason is all of it.
        whole: The whole message, if it does not begin with the place.
    """

    def __init__(self, where: str, reason: str, rest: str | None = None, *, whole: str | None = None) -> None:
        super().__init__(whole or (f"{where}: {reason}." if rest is None else f"{where}: {rest}"))
        self.seen = where
        self.reason = reason


@dataclass(frozen=True)
class Columns:
    """Columns of a table that are read, and the others.

    Attributes:
        text: The column of texts.
        label: The column of labels.
        unused: All others.
        further: Columns of groups and times, if they are read.
        pair: The column of second texts; None if rows have one text.
        labels: The columns with one label each, if labels are read from several; `label` is then the first of them.
    """

    text: str
    label: str
    unused: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    pair: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def of_labels(self) -> tuple[str, ...]:
        """The columns that hold labels."""
        return self.labels or (self.label,)


def text_and_label_columns(
    table: Table,
    text_column: str | None,
    label_column: str | None,
    text_pair_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    further: Sequence[str] = (),
    one_hot: bool = True,
) -> Columns:
    """Return the columns of texts and of labels.

    Where no column is named like one of labels, and all columns but those of texts and row numbers hold only 0 and 1,
    each of these is one label, as if they were given.

    Args:
        table: The table.
        text_column: The user's choice, or None to find it by name, in any case.
        label_column: Likewise.
        text_pair_column: The user's choice of the column of second texts, or None for rows of one text. Where no column
            of texts has a known name, two columns with known names of pairs are taken.
        label_columns: Columns with one label each, in place of one column of labels.
        further: Columns that are read for something else than texts and labels.
        one_hot: False if labels are known to be in one column.

    Raises:
        DataError: There is no header; a column occurs twice; the chosen column does not exist; or no column, or more
            than one, has a known name.
    """
    _refuse_repeated(table)
    if text_column is None and label_column is None and label_columns is None:
        _refuse_missing_header(table, ("text", "label"))
    text, pair = _text_columns(table, text_column, text_pair_column)
    if one_hot and label_column is None and label_columns is None and not known_columns(table, "label"):
        label_columns = _one_hot(table, {text, pair, *further})
    labels = tuple(_column(table, "label", name) for name in label_columns or (label_column,))
    for label in labels:
        if label in (text, pair):
            raise DataError(f"{table.source}: the column {quoted(label)} cannot hold both the texts and the labels.")
    named = [name for name in (text, pair, *labels) if name is not None]
    used = {name if name in table.columns else name.partition(".")[0] for name in named}
    unused = tuple(column for column in table.columns if column not in used)
    return Columns(text, labels[0], unused, pair=pair, labels=labels if label_columns else ())


def _text_columns(table: Table, text_column: str | None, text_pair_column: str | None) -> tuple[str, str | None]:
    """Return the column of texts and that of second texts, None for the latter if rows have one text."""
    if text_pair_column is None:
        if text_column is None and not has_clear_name(table.columns, "text"):
            found = _known_pair(table, _PAIRS)
            if found is not None:
                return found
        return _column(table, "text", text_column), None
    if text_column is None:
        partners = [one for one, other in _known_pairs(table, (*_PAIRS, *_OFFERED_PAIRS)) if other == text_pair_column]
        text_column = partners[0] if partners else None
    text, pair = _column(table, "text", text_column), _column(table, "text", text_pair_column)
    if text == pair:
        raise DataError(
            f"{table.source}: the column {quoted(text)} cannot hold both texts of a pair. "
            "Name two columns with --text-column NAME and --text-pair-column NAME."
        )
    return text, pair


def _known_pairs(table: Table, names: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of columns that have known names of pairs."""
    found = {normal(column): column for column in table.columns}
    for one, other in names:
        if normal(one) in found and normal(other) in found:
            yield found[normal(one)], found[normal(other)]


def _known_pair(table: Table, names: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the columns with known names of pairs if there is exactly one such pair, else None."""
    found = list(_known_pairs(table, names))
    return found[0] if len(found) == 1 else None


def with_further(table: Table, columns: Columns, further: Sequence[str]) -> Columns:
    """Return the columns with further ones that are read, which the user has named.

    Args:
        table: The table.
        columns: The columns of texts and labels.
        further: The names.

    Raises:
        DataError: One does not exist, or holds the texts or the labels.
    """
    for name in further:
        if name not in table.columns:
            raise DataError(f"{table.source} has no column {quoted(name)}. Its columns are {listed(table.columns)}.")
        if name not in columns.unused:
            raise DataError(
                f"{table.source}: the column {quoted(name)} holds the texts or the labels, so it cannot also split them."
            )
    return replace(
        columns, unused=tuple(name for name in columns.unused if name not in further), further=tuple(further)
    )


def column_notes(columns: Mapping[str, Columns]) -> Iterator[str]:
    """Say which columns are used, and which are not, if any of those could be meant; columns of row numbers could not.

    Columns that are not named as most are, are said too.

    Args:
        columns: By split. If they differ between splits, each sentence begins with the splits that it is about.
    """
    splits: dict[Columns, list[str]] = {}
    for split, found in columns.items():
        splits.setdefault(found, []).append(split)
    for found, named in splits.items():
        further = "".join(f", splits from column {quoted(name)}" for name in found.further)
        others = not all(_INDEX.fullmatch(column.strip().lower()) for column in found.unused)
        unused = f"; not used: {listed([column or '(no name)' for column in found.unused])}" if others else ""
        of_labels = f"column{'s' if found.labels else ''} {listed(found.of_labels)}"
        if found.labels:
            of_labels += ", one for each label"
        if found.pair is not None:
            where = f"{', '.join(named)}: pairs" if len(splits) > 1 else "Pairs"
            yield (
                f"{where} of texts from columns {quoted(found.text)} and {quoted(found.pair)}, "
                f"labels from {of_labels}{further}{unused}."
            )
        elif others or found.labels or not (is_commonest(found.text, "text") and is_commonest(found.label, "label")):
            where = f"{', '.join(named)}: texts" if len(splits) > 1 else "Texts"
            yield f"{where} from column {quoted(found.text)}, labels from {of_labels}{further}{unused}."
            yield from _pair_offer(found)


def text_only_column(table: Table, text_column: str | None) -> str:
    """Return the column of texts where no labels are needed; arguments and errors as in `text_and_label_columns`."""
    _refuse_repeated(table)
    if text_column is None:
        _refuse_missing_header(table, ("text",))
    return _column(table, "text", text_column)


def pair_columns(table: Table, text_column: str | None, text_pair_column: str | None) -> tuple[str, str]:
    """Return the columns of both texts of pairs where no labels are needed; arguments as in `text_and_label_columns`.

    Raises:
        DataError: A column is not found, or there is only one of texts.
    """
    _refuse_repeated(table)
    text, pair = _text_columns(table, text_column, text_pair_column)
    if pair is None:
        raise DataError(
            f"{table.source}: the model reads pairs of texts, and only {quoted(text)} is known to hold texts. "
            "Name both columns with --text-column NAME and --text-pair-column NAME."
        )
    return text, pair


def text_column_note(table: Table, column: str, pair: str | None = None) -> Iterator[str]:
    """Say which column of texts is read, if others could be meant; those of labels and row numbers could not."""
    if pair is not None:
        yield f"Pairs of texts from columns {quoted(column)} and {quoted(pair)}."
        return
    labels = known_columns(table, "label")
    others = [name for name in table.columns if name not in (column, *labels)]
    if not all(_INDEX.fullmatch(name.strip().lower()) for name in others):
        yield f"Texts from column {quoted(column)}."


def known_columns(table: Table, role: Role) -> list[str]:
    """Return the columns whose names say that they hold texts, or labels."""
    return named_like(table.columns, role)


def columns_of_objects(objects: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the columns of rows that are objects with keys: every key of any of the first objects.

    If several keys are names of texts (or of labels), those that never occur together with the commonest of them are
    left out. Objects with such a key lack the commonest one, and are reported for that.

    Args:
        objects: The objects; the first thousand are read.
    """
    looked_at = list(islice(objects, ROWS_LOOKED_AT))
    counts = Counter(str(key) for row in looked_at for key in row)
    slips: set[str] = set()
    for names in KNOWN_NAMES.values():
        known = [key for key in counts if normal(key) in set(map(normal, names))]
        if len(known) > 1:
            main = max(known, key=counts.__getitem__)
            slips |= {key for key in known if key != main and not any(main in row and key in row for row in looked_at)}
    return tuple(key for key in counts if key not in slips)


def _refuse_repeated(table: Table) -> None:
    repeated = dict.fromkeys(column for column in table.columns if column and table.columns.count(column) > 1)
    if repeated:
        raise DataError(
            f"{table.source}: the column {listed(repeated)} occurs more than once. "
            f"Its columns are {listed(table.columns)}. Rename or remove one."
        )


def _refuse_missing_header(table: Table, roles: tuple[Role, ...]) -> None:
    """Refuse a first line without a known name: it is probably a row, which would be lost silently as column names."""
    if (
        table.header is None
        or any(has_clear_name(table.columns, role) for role in roles)
        or _known_pair(table, _PAIRS) is not None
    ):
        return
    example = "text" if roles == ("text",) or len(table.columns) == 1 else "text,label"
    example += ",…" * (len(table.columns) - 1 - example.count(","))
    options = " and ".join(f"--{role}-column NAME" for role in roles)
    hint = _separator_hint(table)
    raise DataError(
        f"{table.source}: its first line, {quoted(table.header)}, has no column name that emotune knows "
        f"({'; '.join(', '.join(KNOWN_NAMES[role]) for role in roles)}).\n"
        + (
            hint
            or f"If that line is the header, say which column is which with {options}. "
            f"If it is a row, name all columns in their order: --columns {example}"
        )
    )


def _separator_hint(table: Table) -> str:
    """Return advice where nothing was found to separate the first line, and something could; else ""."""
    found = next(
        (separator for separator in SEPARATORS if len(table.columns) == 1 and separator in (table.header or "")), None
    )
    if found is None or found == table.delimiter:
        return ""
    name = "tab" if found == TAB else f"'{found}'"
    return f"If {quoted(found)} separates its columns, add --delimiter {name}."


def _column(table: Table, role: Role, chosen: str | None) -> str:
    columns = f"Its columns are {listed(table.columns)}." if table.columns else "It has no columns."
    if chosen is not None:
        if chosen in table.columns or chosen in table.nested:
            return chosen
        hint = table.hint or _separator_hint(table)
        message = f"{table.source} has no column {quoted(chosen)}. {columns}" + (
            f"\n{hint[0].upper()}{hint[1:]}" if hint else ""
        )
        if role == "label":
            raise UnlabelledError(table.source, f"it has no column {quoted(chosen)}", whole=message)
        raise DataError(message)
    found = known_columns(table, role)
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{table.source}: several columns could hold the {role}s: {listed(found)}. "
            f"Choose one with --{role}-column NAME."
        )
    message = f"no column is named like one of {role}s ({', '.join(KNOWN_NAMES[role])}). {columns}\n"
    hint = table.hint or (_pairs_hint(table) if role == "text" else one_hot_hint(table))
    message += hint or f"Name it with --{role}-column NAME."
    if role == "label":
        raise UnlabelledError(table.source, columns[0].lower() + columns[1:].removesuffix("."), message)
    raise DataError(f"{table.source}: {message}")


def _pairs_hint(table: Table) -> str:
    """Return advice where several pairs of columns have names of pairs of texts; else ""."""
    found = [
        f"--text-column {word(one)} --text-pair-column {word(other)}" for one, other in _known_pairs(table, _PAIRS)
    ]
    return f"Several pairs of texts are there. Choose one: {', or '.join(found)}." if len(found) > 1 else ""


def _pair_offer(found: Columns) -> Iterator[str]:
    """Say how to read pairs of texts, if two columns that are not both read have names of pairs."""
    names = {normal(column): column for column in (found.text, *found.unused)}
    for one, other in ((normal(one), normal(other)) for one, other in (*_OFFERED_PAIRS, *_PAIRS)):
        if one in names and other in names:
            yield (
                f"To classify pairs of {quoted(names[one])} and {quoted(names[other])} instead: "
                f"--text-column {word(names[one])} --text-pair-column {word(names[other])}."
            )
            return


def _one_hot(table: Table, others: Set[str | None]) -> tuple[str, ...] | None:
    """Return the columns with one label each, if it is plain that these are all but the given ones and row numbers.

    In the first rows, each holds only 0 and 1, and at least two of them hold both.
    """
    columns = [name for name in table.columns if name not in others and not _INDEX.fullmatch(name.strip().lower())]
    found = flags_of(table, columns) if len(columns) > 1 else {}
    plain = all(flags.values and not flags.others for flags in found.values())
    return tuple(columns) if plain and sum(flags.are_plain for flags in found.values()) > 1 else None
