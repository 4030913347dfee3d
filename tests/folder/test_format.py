"""Damaged descriptions and predictions: whatever stands in an entry, every reader of the folder answers with a message of its own."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.cli.compare import reports
from emotune.evaluation.saved import read_evaluation
from emotune.folder.check import check
from emotune.folder.format import read_description
from emotune.folder.load import load
from emotune.reproduction import reproduce
from emotune.system.errors import ArtifactError, EmotuneError

from ..cli.conftest import invoke as invoke
from ..conftest import described

if TYPE_CHECKING:
    from ..cli.conftest import Invoke
    from ..conftest import Run

Readers = dict[str, Callable[[], object]]

# One of each kind that JSON can hold, and numbers and texts that are hard to do anything with.
WRONG: tuple[Any, ...] = (
    None,
    True,
    "hot",
    "",
    "\ud800",
    "a\0b",
    -1,
    0,
    7,
    10**400,
    1e-300,
    math.nan,
    math.inf,
    [],
    [[]],
    [None],
    ["a", "a"],
    {},
    {"a": 1},
)
# What the readers of a folder use; the other entries are for people.
ENTRIES = (
    "base_model",
    "base_model.name",
    "base_model.source",
    "base_model.revision",
    "labels",
    "max_length",
    "task",
    "method",
    "method.name",
    "method.r",
    "method.target_modules",
    "temperature",
    "training",
    "training.epochs",
    "training.seed",
    "verification",
    "verification.texts",
    "verification.logits",
    "verification.tolerance",
    "files",
    "versions",
    "configuration",
    "configuration.training",
    "configuration.training.epochs",
    "configuration.data.source",
    "configuration.method.name",
    "configuration.model.name",
    "data",
    "data.name",
    "data.fingerprint",
    "data.was_local",
)


class Reached(EmotuneError):
    """The description was taken, and the work would begin."""


@pytest.fixture(scope="module")
def folder(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a saved folder whose description the tests replace."""
    return Path(shutil.copytree(tiny_run.result.folder, tmp_path_factory.mktemp("damaged") / "tuned"))


@pytest.fixture(scope="module")
def good(folder: Path) -> dict[str, Any]:
    return described(folder)


@pytest.fixture
def readers(folder: Path, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Readers]:
    """Everything that reads a folder, up to where models are loaded or a job is run."""

    def reached(*_: Any, **__: Any) -> Any:
        raise Reached

    monkeypatch.setattr("emotune.folder.saved.SavedFolder.classifier", reached)
    monkeypatch.setattr("emotune.reproduction.run", reached)
    monkeypatch.setattr("emotune.reproduction.load_data", reached)
    yield {
        "load": lambda: load(folder, base="somewhere"),
        "verify": lambda: check(folder, "somewhere"),
        "compare": lambda: reports([read_evaluation(folder)] * 2, [read_description(folder).temperature] * 2),
        "reproduce": lambda: reproduce(folder, data="somewhere", model="somewhere"),
    }
    (folder / "emotune.json").write_text(json.dumps(good), encoding="utf-8")


def with_entry(description: dict[str, Any], entry: str, value: Any) -> dict[str, Any]:
    """A copy with an entry replaced."""
    changed = copy.deepcopy(description)
    *sections, key = entry.split(".")
    holder = changed
    for section in sections:
        holder = holder[section]
    holder[key] = value
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_any_value_of_any_entry_gives_a_message_or_none(
    readers: Readers, folder: Path, good: dict[str, Any], entry: str
) -> None:
    """No other exception comes out of anything that reads the folder, and what is said is short."""
    for value in WRONG:
        (folder / "emotune.json").write_text(json.dumps(with_entry(good, entry, value)), encoding="utf-8")
        for name, reader in readers.items():
            try:
                reader()
            except EmotuneError as error:
                if len(str(error).splitlines()) > 3 or len(str(error)) > 1000:
                    pytest.fail(f"{name} with {entry} = {value!r} says too much: {error}")
            except Exception as error:
                pytest.fail(f"{name} with {entry} = {value!r}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_missing_entry_gives_a_message_or_none(
    readers: Readers, folder: Path, good: dict[str, Any], entry: str
) -> None:
    changed = copy.deepcopy(good)
    *sections, key = entry.split(".")
    holder = changed
    for section in sections:
        holder = holder[section]
    del holder[key]
    (folder / "emotune.json").write_text(json.dumps(changed), encoding="utf-8")
    for name, reader in readers.items():
        try:
            reader()
        except EmotuneError:
            continue
        except Exception as error:
            pytest.fail(f"{name} without {entry}: {type(error).__name__}: {error}")


def test_a_good_description_is_read_and_says_the_same(readers: Readers, folder: Path, good: dict[str, Any]) -> None:
    assert read_description(folder).model_dump(mode="json") == good
    (folder / "emotune.json").write_text(json.dumps(with_entry(good, "temperature", None)), encoding="utf-8")
    assert read_description(folder).temperature is None


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("temperature", "hot", "temperature is 'hot'; expected a number of at least 0.001 and of at most 1000"),
        *(
            (
                "temperature",
                value,
                f"temperature is {str(value).lower() if value is True else repr(value)}; expected a number",
            )
            for value in (0, -2, 1e-300, math.nan, math.inf, True, 10**400)
        ),
        ("base_model", {}, "base_model.name is missing; expected text"),
        ("base_model.source", 3, "base_model.source is 3; expected text"),
        ("labels", [{"a": 1}, {"b": 1}], "labels is [{'a': 1}, {'b': 1}]; expected a list of texts"),
        ("labels", [], "labels is []; expected a list of texts"),
        ("labels", ["joy", "joy"], "expected different texts"),
        ("labels", ["joy", " "], "labels is ['joy', ' ']; expected a list of texts"),
        ("max_length", True, "max_length is true; expected a whole number"),
        ("method.name", "zora", "method.name is 'zora'; expected one of \"lora\""),
        ("method.r", 0, "method.r is 0; expected a whole number of at least 1"),
        ("training.epochs", 3, "training.epochs is 3; expected a list"),
        ("files", {"../config.json": "00"}, "expected checksums by the names of files"),
        ("verification.logits", [[0.5]], "verification.logits is of another shape"),
        ("verification.tolerance", math.nan, "verification.tolerance is nan; expected a number of at least 0"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(
    folder: Path, good: dict[str, Any], readers: Readers, entry: str, value: Any, message: str
) -> None:
    (folder / "emotune.json").write_text(json.dumps(with_entry(good, entry, value)), encoding="utf-8")
    with pytest.raises(ArtifactError) as raised:
        read_description(folder)
    assert str(folder / "emotune.json") in str(raised.value)
    shown = message if len(repr(value)) < 60 else message[:40]
    assert shown in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("command", ["evaluate", "predict", "verify", "reproduce", "compare"])
def test_commands_end_with_one_line_and_exit_code_2(
    invoke: Invoke, folder: Path, good: dict[str, Any], readers: Readers, tmp_path: Path, command: str
) -> None:
    (folder / "emotune.json").write_text(json.dumps(with_entry(good, "temperature", "hot")), encoding="utf-8")
    arguments = {
        "evaluate": [folder, "--data", "bundled:sample"],
        "predict": [folder, "some text"],
        "compare": [folder, folder.parent, "--output", tmp_path / "x.html"],
    }
    result = invoke(command, *arguments.get(command, [folder]))
    assert result.exit_code == 2
    assert "temperature is 'hot'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
