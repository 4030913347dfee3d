"""Labels: the meaning of the cells of a label column, and the order of the label names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Number

from emotune.data.label_names import clean_name
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted

# The order of the ids in dair-ai/emotion, used wherever exactly these six labels are found.
EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # longer ones are identifiers, and expensive to convert
_DECIMAL = re.compile(r"[+-]?[0-9]+\.([0-9]*)")


class LabelError(ValueError):
    """Error of a cell that is not a label; the message is the reason, without the place."""


class OtherLabelsError(DataError):
    """Error of requested labels that are not those of the training rows.

    Attributes:
        found: The labels of the training rows, in alphabetical order.
    """

    def __init__(self, message: str, found: Sequence[str]) -> None:
        super().__init__(message)
        self.found = tuple(found)


class WithheldError(LabelError):
    """Error of a label id that means that the label is withheld, as in the test splits of benchmarks."""


def label_name(cell: object, class_names: Sequence[str] | None = None) -> str | None:
    """Return the label's name, or None if the cell holds none.

    Text is stripped of surrounding white space and of invisible characters (`clean_name`). Whole numbers, including
    1.0 and decimals, become the integer's digits; true and false become "true" and "false". Empty or blank text, null, NaN and the
    text "nan" count as missing.

    Args:
        cell: The value in the label column.
        class_names: The names of label ids, if the data has them; an id becomes its name.

    Raises:
        LabelError: The cell is a number that is not whole, an id without a name, or of another type (such as a list).
    """
    if isinstance(cell, str):
        name = clean_name(cell)
        if class_names is not None and cell.strip() in class_names:
            name = cell.strip()
        if not name or name.lower() == "nan":
            return None
        decimal = _DECIMAL.fullmatch(name) if name[-1] in "0123456789." else None
        if decimal:
            if decimal[1].strip("0"):
                raise LabelError(_not_whole(name))
            name = name.partition(".")[0]
    elif cell is None or (isinstance(cell, Number) and cell != cell):  # only NaN differs from itself
        return None
    elif isinstance(cell, bool):
        name = str(cell).lower()
    elif isinstance(cell, int):
        return str(cell) if class_names is None else _named(cell, class_names)
    elif isinstance(cell, (float, Decimal)):
        if not _is_whole(cell):
            raise LabelError(_not_whole(cell))
        return str(int(cell)) if class_names is None else _named(int(cell), class_names)
    else:
        raise LabelError(f"the label is of type {type(cell).__name__}; expected one text or whole number per row")
    if class_names is not None and name not in class_names:
        raise LabelError(f"the label {quoted(name)} is none of the data set's class names ({listed(class_names)})")
    return name


def ordered_labels(
    found: Iterable[str], *, class_names: Sequence[str] | None = None, requested: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the label names in the order of their ids.

    In this order of precedence: the order requested; that of the data set's class names; numbers by their value; the
    six emotions as dair-ai/emotion numbers them; anything else alphabetically.

    Args:
        found: The labels of the training rows.
        class_names: The names of label ids, if the data has them. Those without training rows are left out.
        requested: The user's order. It must name exactly the labels found: a label without training rows cannot be
            learned, and might be a misspelt one.

    Raises:
        DataError: The labels requested are not those found, or one is named twice.
    """
    names = set(found)
    if requested is not None:
        return _checked_request(names, tuple(clean_name(label) for label in requested))
    if class_names is not None:
        return tuple(name for name in class_names if name in names)
    if all(_INTEGER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    if names == set(EMOTIONS):
        return EMOTIONS
    return tuple(sorted(names))


def _checked_request(found: set[str], requested: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({label for label in requested if requested.count(label) > 1})
    if repeated:
        raise DataError(f"The labels given name {listed(repeated)} more than once.")
    if set(requested) != found:
        unknown, missing = sorted(set(requested) - found), sorted(found - set(requested))
        faults = [f"no training row has {listed(unknown)}"] if unknown else []
        faults += [f"the training rows also have {listed(missing)}"] if missing else []
        raise OtherLabelsError(
            f"The labels given ({listed(requested)}) are not those of the training rows: {'; '.join(faults)}. "
            "Give exactly the labels of the data, in the order wanted.",
            sorted(found),
        )
    return requested


def _named(label_id: int, class_names: Sequence[str]) -> str:
    if 0 <= label_id < len(class_names):
        return class_names[label_id]
    expected = f"expected 0 to {len(class_names) - 1}"
    if label_id == -1:
        raise WithheldError(f"the label id is -1, which means that the label is withheld; {expected}")
    raise LabelError(f"the label id is {label_id}; {expected}")


def _is_whole(number: float | Decimal) -> bool:
    if isinstance(number, float):
        return number.is_integer()
    return number.is_finite() and number == number.to_integral_value()


def _not_whole(value: object) -> str:
    return (
        f"the label is {quoted(value)}, a number that is not whole; expected a class (text or a whole number), "
        "since predicting numbers (regression) is not supported"
    )


def refuse_no_order(labels: Sequence[str], requested: Sequence[str] | None, source: str) -> None:
    """Refuse labels of which nothing says the order.

    Args:
        labels: The labels in the order of their ids.
        requested: The labels in the order that the user gave, or None.
        source: The rows, for messages.

    Raises:
        DataError: They are not numbers, and the user gave no order.
    """
    are_numbers = all(_INTEGER.fullmatch(label) for label in labels)
    if requested is None and not (are_numbers and sorted(labels, key=int) == list(labels)):
        raise DataError(
            f"{source}: the labels {listed(labels)} are not numbers in rising order, so nothing says their order. "
            "Name all of them from the lowest to the highest with --labels LOW,...,HIGH."
        )
