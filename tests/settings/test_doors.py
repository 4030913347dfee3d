"""Both front doors, Python and the command, take and refuse the same values, with the same sentence. Walks every field of every model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.exports.formats import ExportOptions
from emotune.methods.registry import METHODS
from emotune.models.options import ModelSource
from emotune.settings.keys import fields_of
from emotune.settings.layers import Draft
from emotune.settings.run import BaselinesSection, OutputSection, RunConfig, TrackingSection
from emotune.system.errors import ConfigError, EmotuneError
from emotune.system.options import Options, checked_seed, read_options
from emotune.training.options import TrainingOptions

# What Python takes, by the section that takes the same.
DOORS: dict[str, list[type[Options]]] = {
    "data": [DataSource],
    "model": [ModelSource],
    "method": list(METHODS.values()),
    "training": [TrainingOptions],
    "baselines": [BaselinesSection],
    "output": [OutputSection],
}
FIELDS = [
    (section, model, name)
    for section, models in DOORS.items()
    for model in models
    for name in model.option_names()
    if not (section == "data" and name in ("source", "validation", "test"))  # in Python these may be rows in memory
]
NAMES = [f"{section}.{model.__name__}.{name}" for section, model, name in FIELDS]

numbers = st.one_of(
    st.integers(-3, 3),
    st.integers(2**31, 2**33),
    st.floats(-2, 2),
    st.sampled_from([math.nan, math.inf, 0.0, 1.0, 1e-12, 99.999]),
)
texts = st.one_of(
    st.sampled_from(
        ["", " ", "auto", "bf16", "fp16", "balanced", "none", "gelu", "relu", "houlsby", "all-linear", "(", "a.*"]
    ),
    st.text(alphabet="ab .|(\n\x1b", max_size=6),
)
values = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    st.lists(st.one_of(texts, numbers), max_size=3),
    st.just({}),
    st.just({"a": 1}),
)


def said_by(attempt: Callable[[], object]) -> list[str] | None:
    """The sentences of the error, without what stands before them; None where there is none."""
    try:
        attempt()
    except EmotuneError as error:
        lines = str(error).splitlines()
        return lines[1:] if len(lines) > 1 else lines
    return None


@pytest.mark.parametrize(("section", "model", "name"), FIELDS, ids=NAMES)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_both_doors_agree(section: str, model: type[Options], name: str, value: Any) -> None:
    from_python = said_by(lambda: model(**{name: value}))
    from_command = said_by(lambda: validated(section, model, name, value))
    assert (from_python is None) == (from_command is None), (from_python, from_command)
    if from_python is not None and from_command is not None:
        ours, theirs = (sentence(found[0], name) for found in (from_python, from_command))
        assert ours == theirs
        assert ours.startswith((f"{name} is", "both", "validation_size and"))


def validated(section: str, model: type[Options], name: str, value: Any) -> RunConfig:
    """The configuration with a value as a TOML file or the command line gives it, once it has been read."""
    draft = Draft(RunConfig)
    if section == "method":
        draft.add("here", "method.name", model.model_fields["name"].default)
    draft.add("here", f"{section}.{name}", value)
    return draft.finish()


def sentence(message: str, name: str) -> str:
    """A message from the option's name on."""
    for start in (f"{name} is", f"{name} cannot", "both placement", "validation_size and"):
        if start in message:
            return message[message.index(start) :]
    return message


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0", True, None, math.nan, 0, 2**32 - 1])
def test_seeds_too(seed: Any) -> None:
    from_python = said_by(lambda: checked_seed(seed))
    from_command = said_by(lambda: RunConfig.load(overrides={"training.seed": seed}))
    if seed == "0":  # the command reads text, and this is a number in it
        assert (from_python is None, from_command) == (False, None)
        return
    assert (from_python is None) == (from_command is None)
    if from_python is not None and from_command is not None:
        assert sentence(from_python[0], "seed") == sentence(from_command[0], "seed")


def test_every_setting_of_a_run_has_a_door_in_python() -> None:
    """A new setting is walked above, or is one of the few that only a run has."""
    walked = {f"{section}.{name}" for section, _, name in FIELDS}
    of_runs = {"data.source", "data.validation", "data.test", "data.split_seed", "method.name"}
    of_runs |= {"training.seed", "training.seeds", "training.resume"}
    of_runs |= {f"tracking.{name}" for name in TrackingSection.model_fields}
    assert walked | of_runs == set(fields_of(RunConfig))


def test_load_data_takes_what_its_model_declares() -> None:
    keywords = {name: given.default for name, given in inspect.signature(load_data).parameters.items()}
    assert keywords.pop("seed") == 0
    assert keywords == {name: field.default for name, field in DataSource.model_fields.items()}


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: TrainingOptions(epochs=0), "epochs is 0; expected a whole number of at least 1"),
        (lambda: TrainingOptions(learning_rate=-1.0), "learning_rate is -1.0; expected a number above 0 and below 1"),
        (lambda: TrainingOptions(precision="fp17"), 'precision is \'fp17\'; expected one of "auto", "bf16", "fp32"'),  # type: ignore[arg-type]
        (lambda: TrainingOptions(batch_tokens=-5), "batch_tokens is -5; expected a whole number of at least 8"),
        (lambda: TrainingOptions(warmup=7), "warmup is 7; expected a number of at least 0 and below 1"),
        (lambda: METHODS["lora"](rslora="yes"), "rslora is 'yes'; expected true or false"),  # type: ignore[call-arg]
        (lambda: METHODS["lora"](dropout="x"), "dropout is 'x'; expected a number of at least 0 and below 1"),  # type: ignore[call-arg]
        (lambda: load_data("bundled:sample", test_size=2), "test_size is 2; expected a number above 0 and below 1"),
    ],
)
def test_python_says_what_was_seen_and_expected(attempt: Callable[[], object], said: str) -> None:
    with pytest.raises(EmotuneError) as raised:
        attempt()
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "tflite"}, """--to is 'tflite'; expected one of "merged", "onnx", "openvino"."""),
        ({"to": "merged", "precision": "int8"}, "merged is written in fp32 only; int8 needs onnx or openvino."),
        ({"to": "onnx", "margin": 0.0}, "--margin is 0.0; expected a number above 0 and below 100."),
        ({"to": "onnx", "margin": None}, None),
    ],
)
def test_options_of_a_command_are_named_as_it_names_them(given: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert read_options(ExportOptions, given) == ExportOptions(to="onnx")
        return
    with pytest.raises(ConfigError) as raised:
        read_options(ExportOptions, given)
    assert str(raised.value) == said


def test_options_are_given_by_name_and_cannot_be_changed() -> None:
    untyped: Any = TrainingOptions
    with pytest.raises(ConfigError, match=r"by name, as in TrainingOptions\(epochs=\.\.\.\)"):
        untyped(3)
    with pytest.raises(ValueError, match="frozen"):
        TrainingOptions().epochs = 3  # type: ignore[misc]
    with pytest.raises(ConfigError, match=r"rank cannot be set for TrainingOptions; its options: epochs, "):
        untyped(rank=3)
