"""Options: name, type, range, default and help are declared once, with the same messages for Python and the command.

An `Options` model is defined beside the code that uses it. Python code constructs it, `LoRA(r=8)`; the command and TOML
files validate it with `model_validate`. Both report mistakes in the words of `mistakes_in`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from emotune.system.errors import ConfigError, EmotuneError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

_NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text that is not blank",
    "array": 'a list of texts such as ["one", "two"]',
    "object": "a table",
}
# Values in messages are cut to this many characters.
_LONGEST_VALUE = 60


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def as_tuple(value: Any) -> Any:
    """Return a sequence as a tuple, for validation: TOML and JSON have lists where a frozen model has tuples."""
    if isinstance(value, str):  # a sequence of its letters
        raise ValueError(f"expected a list of texts such as [{value!r}, ...]")
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else value


Text = Annotated[str, Field(pattern=r"\S")]
PathText = Annotated[Text, BeforeValidator(_as_text)]
# TOML and JSON have lists where a frozen model has tuples; strict validation would reject them.
if TYPE_CHECKING:
    Texts = Sequence[str]
else:
    Texts = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(as_tuple)]
# Exclusive upper limit of seeds for random generators.
SEEDS = 2**32


class _Checked(ModelMetaclass):
    """Metaclass: a direct call raises the model's own error; validation of a configuration collects mistakes."""

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __call__(cls, *positional: Any, **values: Any) -> Any:
            if positional:
                example = next(iter(cls.option_names()), "option")
                raise cls.error(f"{cls.noun()} takes its options by name, as in {cls.__name__}({example}=...).")
            try:
                return super().__call__(**values)
            except ValidationError as error:
                raise cls.error(_message(cls, values, error)) from None


class Options(BaseModel, metaclass=_Checked):
    """Base class of immutable options; rejects unknown names, values of other types, and infinities.

    Raises:
        EmotuneError: `error`, in a direct call with invalid values; lists all mistakes at once.
    """

    # Validators are built at first use, so help pages never build them.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    error: ClassVar[type[EmotuneError]] = ConfigError

    @classmethod
    def noun(cls) -> str:
        """Return the name of these options in messages."""
        return cls.__name__

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names that a user may set."""
        return tuple(cls.model_fields)

    def changed(self, **changes: Any) -> Self:
        """Return a copy with some options changed, checked like any other."""
        return type(self)(**{**dict(self), **changes})


Read = TypeVar("Read", bound=Options)


@dataclass(frozen=True)
class Mistake:
    """One mistake in given values.

    Attributes:
        path: Path of the option: ("epochs",), or ("training", "epochs") in nested models. For a rule over several
            options, the path of the model.
        text: The mistake without the option's name: "is 0; expected a whole number of at least 1".
        is_rule: True if the text is about several options together; it then names them itself.
        is_unknown: True if there is no such option.
    """

    path: tuple[str, ...]
    text: str
    is_rule: bool = False
    is_unknown: bool = False

    def __str__(self) -> str:
        return self.text if self.is_rule else f"{'.'.join(self.path)} {self.text}"


def read_options(model: type[Read], given: Mapping[str, Any]) -> Read:
    """Return the options of a command, whose mistakes are reported under the command's names: "--port is -1; …".

    Args:
        model: The options.
        given: Their values by field; None leaves the default.

    Raises:
        EmotuneError: Some are not valid.
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [f"{_under_command_names(model, mistake)}." for mistake in mistakes_in(model, values, error)]
        raise model.error(in_lines("The command line", found)) from None


def _under_command_names(model: type[Options], mistake: Mistake) -> str:
    """Return a mistake with the names of options as the command has them."""
    names = {name: f"--{name.replace('_', '-')}" for name in model.option_names()}
    # The text of one option may hold any word as a value; that of a rule names the options itself.
    if mistake.is_rule:
        return re.sub(r"\w+", lambda found: names.get(found[0], found[0]), mistake.text)
    return f"{names.get('.'.join(mistake.path), '.'.join(mistake.path))} {mistake.text}"


def mistakes_in(model: type[BaseModel], values: Any, error: ValidationError) -> list[Mistake]:
    """Convert the errors of pydantic into sentences, one mistake per option.

    Args:
        model: The validated model.
        values: The given values.
        error: The error of pydantic.
    """
    found: dict[tuple[str, ...], Mistake] = {}
    for detail in error.errors(include_url=False):
        mistake = _mistake(*_resolve(model, detail["loc"]), values, detail)
        found.setdefault(mistake.path, mistake)  # every branch of a union reports its own error
    return list(found.values())


def expected(schema: Mapping[str, Any]) -> str:
    """Return the values that an option accepts, in words: "a number above 0 and below 1".

    Args:
        schema: The option's JSON schema.
    """
    return " or ".join(_expected_type(branch) for branch in branches(schema) if branch.get("type") != "null")


def branches(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the alternatives of a JSON schema."""
    return [inner for branch in schema["anyOf"] for inner in branches(branch)] if "anyOf" in schema else [schema]


def shown_value(value: Any) -> str:
    """Return a value as a message shows it: on one line, control characters escaped, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def checked_seed(seed: object) -> int:
    """Return the seed if it is valid.

    Raises:
        ConfigError: It is not a whole number that random generators accept.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEEDS:
        raise ConfigError(f"seed is {shown_value(seed)}; expected a whole number of at least 0 and below {SEEDS}.")
    return seed


def in_lines(what: str, mistakes: Sequence[str]) -> str:
    """Return one message for any number of mistakes: a single one unchanged, several with one per line.

    Args:
        what: Subject of the message: "The configuration".
        mistakes: Sentences.
    """
    if len(mistakes) == 1:
        return mistakes[0]
    return f"{what} has {len(mistakes)} mistakes:" + "".join(f"\n  {mistake}" for mistake in mistakes)


def _message(model: type[Options], values: Mapping[str, Any], error: ValidationError) -> str:
    mistakes = [f"{mistake}." for mistake in mistakes_in(model, values, error)]
    return f"{model.noun()}: {mistakes[0]}" if len(mistakes) == 1 else in_lines(model.noun(), mistakes)


def _resolve(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[tuple[str, ...], type[BaseModel]]:
    """Return the path of the option at a location of pydantic, and the model that declares it."""
    path: list[str] = []
    steps: Iterator[int | str] = iter(place)
    for step in steps:
        path.append(str(step))
        field = model.model_fields.get(str(step))
        inner = _inner_models(field.annotation) if field is not None else ()
        if not inner:
            break
        if len(inner) == 1:
            model = inner[0]
            continue
        # A union: pydantic names the member next, unless the member itself is invalid.
        tag = next(steps, None)
        model = next((found for found in inner if _tag(found) == tag), model)
    return tuple(path), model


def _inner_models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Return the alternative models of a field; empty for plain values and for collections."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return tuple(member for member in members if isinstance(member, type) and issubclass(member, BaseModel))


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["name"].default


def _mistake(path: tuple[str, ...], owner: type[BaseModel], values: Any, detail: Any) -> Mistake:
    own_message = detail.get("ctx", {}).get("error")
    name = path[-1] if path else ""
    if detail["type"] == "extra_forbidden":
        known = ", ".join(owner.option_names() if issubclass(owner, Options) else owner.model_fields) or "none"
        noun = owner.noun() if issubclass(owner, Options) else owner.__name__
        return Mistake(path, f"cannot be set for {noun}; its options: {known}. Leave it out", is_unknown=True)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tags = detail["ctx"].get("expected_tags", "").replace("'", '"')
        path = (*path, "name")
        return Mistake(path, f"is {shown_value(_value(values, path))}; expected one of {tags}")
    if name not in owner.model_fields:
        return Mistake(path, str(own_message or detail["msg"]), is_rule=True)
    if own_message is None:
        own_message = f"expected {expected(owner.model_json_schema()['properties'][name])}"
    if detail["type"] == "missing":
        return Mistake(path, f"is missing; {own_message}")
    return Mistake(path, f"is {shown_value(_value(values, path))}; {own_message}")


def _value(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)
    return values


def _expected_type(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return "one of " + ", ".join(f'"{value}"' for value in schema["enum"])
    noun = _NOUNS.get(schema.get("type", "object"), "another value")
    items = schema.get("items", {})
    if schema.get("type") == "array" and "enum" in items:
        noun = "a list of " + ", ".join(f'"{value}"' for value in items["enum"])
    elif schema.get("type") == "array" and items.get("type") != "string":
        noun = "a list"
    limits = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "of at most",
        "exclusiveMaximum": "below",
    }
    ranges = [f"{words} {schema[name]}" for name, words in limits.items() if name in schema]
    return " ".join([noun, " and ".join(ranges)]).strip()
