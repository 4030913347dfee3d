"""Options of loading labelled rows, declared once for Python, the command and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from emotune.data.formats.copies import INPUT_FORMATS, InputFormat
from emotune.data.formats.encodings import checked_encoding
from emotune.data.formats.reading import Reading
from emotune.system.options import Options, Text, Texts


def _several_distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not len(labels) == len(set(labels)) >= 2:
        raise ValueError("expected at least two labels, none of them twice")
    return labels


def _names_of_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != len(set(names)):
        raise ValueError("expected the names of all columns in order, none of them twice")
    return names


def _checked_delimiter(given: str) -> str:
    r"""Return one character; a tab may be written as "tab" or "\\t", as a shell passes it."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(delimiter) != 1 or delimiter in "\"'\\\r\n\0" or delimiter.isalnum():
        raise ValueError("expected one character that separates fields, such as , or ; or | or tab")
    return delimiter


def _as_names(value: Any) -> Any:
    """Return names by names as a dict."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and name.strip() for pair in value.items() for name in pair
    ):
        raise ValueError('expected old and new names of labels, such as {joyful = "joy"}')
    return dict(value)


class DataSource(Options):
    """Arguments of `load_data`.

    Raises:
        ConfigError: A value is out of range; the message names all mistakes.
    """

    source: Any = Field(
        default="dair-ai/emotion",
        description="The data: a Hub data set id, a file, a folder, a pattern of files, a URL, - for standard input, or "
        "bundled:sample.",
    )
    validation: Any = Field(default=None, description="File of the validation split.")
    test: Any = Field(default=None, description="File of the test split.")
    config: Text | None = Field(default=None, description="Configuration of a Hub data set that has several.")
    revision: Text | None = Field(default=None, description="Branch, tag or commit of a Hub data set.")
    text_column: Text | None = Field(default=None, description="Column of the texts; found by its name if not given.")
    text_pair_column: Text | None = Field(
        default=None, description="Column of the second texts, where every row is a pair of texts to classify together."
    )
    label_column: Text | None = Field(default=None, description="Column of the labels; found by its name if not given.")
    label_separator: Text | None = Field(
        default=None,
        description="Separator of the labels in a cell of the label column, where rows have several labels.",
    )
    label_columns: Texts | None = Field(
        default=None, description="Columns with one label each, of zeros and ones, where rows have several labels."
    )
    input_format: InputFormat | None = Field(
        default=None,
        description=f"Format of standard input, a pipe or a URL: {', '.join(INPUT_FORMATS)}; found out if not given.",
    )
    encoding: Annotated[Text, AfterValidator(checked_encoding)] | None = Field(
        default=None,
        description="Encoding of text files, such as windows-1252; UTF-8, or what a byte order mark says, if not given.",
    )
    delimiter: Annotated[str, AfterValidator(_checked_delimiter)] | None = Field(
        default=None, description="Character between the fields of a line, such as ; or tab; found out if not given."
    )
    columns: Annotated[Texts, AfterValidator(_names_of_columns)] | None = Field(
        default=None, description="Names of all columns, in order, of a file without a header."
    )
    query: Text | None = Field(
        default=None, description="SELECT that gives the rows of an SQLite database; one table with texts needs none."
    )
    sheet: Text | None = Field(default=None, description="Sheet of an Excel workbook that has several.")
    map: Annotated[dict[str, str], BeforeValidator(_as_names)] | None = Field(
        default=None, description="New names of labels by old ones; several may become one."
    )
    drop_unlabelled: bool = Field(default=False, description="Leave out rows without a label, and say how many.")
    on_error: Literal["stop", "skip"] | None = Field(
        default=None,
        description="What to do about rows that cannot be read or are blank: stop, or skip them and list them beside the "
        "output. If not given, an audit lists them and goes on, and everything else stops.",
    )
    labels: Annotated[Texts, AfterValidator(_several_distinct)] | None = Field(
        default=None, description="All labels in the order to use; the data's own if not given."
    )
    ordered: bool = Field(
        default=False,
        description="The labels have an order, such as stars from 1 to 5: that of their numbers, or of data.labels.",
    )
    validation_size: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training rows cut off for validation where there is no such split.",
    )
    test_size: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training rows cut off for the test where there is no such split.",
    )
    group_column: Text | None = Field(
        default=None,
        description="Column of groups, such as authors or threads: rows of one group are never on both sides of a cut.",
    )
    time_column: Text | None = Field(
        default=None,
        description="Column of times: the newest rows are cut for test, those before them for validation.",
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        description="Number of folds of a cross-validation, for data too small for a test split: every row is scored by "
        "models that have not seen it, and the final model is trained on all rows.",
    )
    fold_repeats: int = Field(
        default=3, ge=1, description="Number of times that rows are assigned to folds anew, with --folds."
    )
    max_characters: int = Field(
        default=20_000,
        ge=1,
        description="Longest text accepted, in characters; a longer one is usually an unclosed quote.",
    )

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.validation_size + self.test_size >= 1:
            raise ValueError(
                f"validation_size and test_size are {self.validation_size} and {self.test_size}; expected a sum below 1"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_read_labels(self) -> Self:
        given = [
            name for name in ("label_column", "label_separator", "label_columns") if getattr(self, name) is not None
        ]
        if "label_columns" in given and len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} are given; expected one of them: labels are in columns of their own, or in one column"
            )
        if self.label_columns is not None and not len(self.label_columns) == len(set(self.label_columns)) >= 2:
            raise ValueError("label_columns: expected at least two columns, none of them twice")
        return self

    @model_validator(mode="after")
    def _groups_or_times(self) -> Self:
        if self.group_column is not None and self.time_column is not None:
            raise ValueError(
                f"group_column is {self.group_column!r} and time_column is {self.time_column!r}; expected one of them: a group with rows "
                "before and after a date cannot be on one side of it"
            )
        return self

    @model_validator(mode="after")
    def _folds_or_splits(self) -> Self:
        if self.folds is None:
            if (
                "fold_repeats" in self.model_fields_set
                and self.fold_repeats != type(self).model_fields["fold_repeats"].default
            ):
                raise ValueError(f"fold_repeats is {self.fold_repeats}, but there are no folds; give folds as well")
            return self
        for name in ("validation", "test", "time_column"):
            if getattr(self, name) is not None:
                why = (
                    "some folds would train on rows newer than those that they score"
                    if name == "time_column"
                    else "folds score every row of the training data, and each sets its own validation rows aside"
                )
                raise ValueError(f"folds is {self.folds} and {name} is given; expected one of them: {why}")
        return self

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(
            self.max_characters,
            self.encoding,
            self.delimiter,
            None if self.columns is None else tuple(self.columns),
            self.query,
            self.sheet,
        )

    @property
    def further(self) -> tuple[str, ...]:
        """Columns that are read in addition to texts and labels."""
        return tuple(column for column in (self.group_column, self.time_column) if column is not None)


MAX_CHARACTERS: int = DataSource.model_fields["max_characters"].default
FOLD_REPEATS: int = DataSource.model_fields["fold_repeats"].default
