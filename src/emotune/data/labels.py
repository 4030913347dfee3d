"""Labels: what the cells of a label column mean, and in which order the label names stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Number

from emotune.data.label_names import clean_name
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted

# The order in which dair-ai/emotion numbers them, kept wherever exactly these six labels are found.
EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # longer ones are identifiers, and cost more to convert than they are worth
_DECIMAL = re.compile(r"[+-]?[0-9]+\.([0-9]*)")


class LabelError(ValueError):
    """A cell that holds something which is no label; the message is the reason, without the place."""


class WithheldError(LabelError):
    """A label id that says that the label is withheld, as in the test splits of benchmarks."""


def label_name(cell: object, class_names: Sequence[str] | None = None) -> str | None:
    """The label's name, or None where the cell holds none.

    Text is stripped of surrounding white space and of what cannot be seen (`clean_name`). Whole numbers, 1.0 among them, become
    the integer's digits; true and false become "true" and "false". Missing is what is empty, blank, null, NaN or the text "nan".

    Args:
        cell: What stands in the label column.
        class_names: The names behind label ids, where the data brings them; an id becomes its name.

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
    elif cell is None or (isinstance(cell, Number) and cell != cell):  # NaN alone differs from itself
        return None
    elif isinstance(cell, bool):
        name = str(cell).lower()
    elif isinstance(cell, int):
        return str(cell) if class_names is None else _named(cell, class_names)
    elif isinstance(cell, float):
        if not cell.is_integer():
            raise LabelError(_not_whole(cell))
        return str(int(cell)) if class_names is None else _named(int(cell), class_names)
    elif isinstance(cell, (list, tuple, set, dict)):
        raise LabelError(
            f"the label is of type {type(cell).__name__}; expected one text or whole number per row, since several labels per row "
            "(multi-label) are not supported"
        )
    else:
        raise LabelError(f"the label is of type {type(cell).__name__}; expected one text or whole number per row")
    if class_names is not None and name not in class_names:
        raise LabelError(f"the label {quoted(name)} is none of the data set's class names ({listed(class_names)})")
    return name


def ordered_labels(
    found: Iterable[str], *, class_names: Sequence[str] | None = None, requested: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The label names in the order that gives them their ids.

    In this order of precedence: the order requested; that of the data set's class names; numbers by their value; the
    six emotions as dair-ai/emotion numbers them; anything else alphabetically.

    Args:
        found: The labels of the training rows.
        class_names: The names behind label ids, where the data brings them. Those without training rows are left out.
        requested: The user's order. It must name the labels found, all of them and no others: a label without training
            rows cannot be learned, and a misspelt one would hide there.

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
        raise DataError(
            f"The labels given ({listed(requested)}) are not those of the training rows: {'; '.join(faults)}. "
            "Give exactly the labels of the data, in the order wanted."
        )
    return requested


def _named(label_id: int, class_names: Sequence[str]) -> str:
    if 0 <= label_id < len(class_names):
        return class_names[label_id]
    expected = f"expected 0 to {len(class_names) - 1}"
    if label_id == -1:
        raise WithheldError(f"the label id is -1, which means that the label is withheld; {expected}")
    raise LabelError(f"the label id is {label_id}; {expected}")


def _not_whole(value: object) -> str:
    return (
        f"the label is {quoted(value)}, a number that is not whole; expected a class (text or a whole number), "
        "since predicting numbers (regression) is not supported"
    )
