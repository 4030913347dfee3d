"""`import emotune` costs milliseconds, offers its names, and leaves the heavy libraries to those who call for them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import emotune

HEAVY = ("torch", "transformers", "peft", "datasets", "sklearn", "scipy", "numpy", "pyarrow", "matplotlib", "pandas")

SCRIPT = """
import json, sys, time
started = time.process_time()
import {module}
seconds = time.process_time() - started
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def import_afresh(module: str) -> tuple[float, set[str]]:
    """Seconds of processor time that an import takes in a new process, and the packages it loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=module)], capture_output=True, text=True, check=True
    )
    seconds, modules = json.loads(done.stdout)
    return float(seconds), set(modules)


def test_importing_emotune_is_cheap() -> None:
    import_afresh("emotune")  # writes the byte code, where there is none yet
    seconds, modules = import_afresh("emotune")
    assert seconds < 0.2
    assert not modules & set(HEAVY)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["emotune.pipeline", "emotune.settings.run", "emotune.folder.verify", "emotune.folder.load"]
)
def test_modules_of_the_command_leave_the_heavy_libraries_to_their_functions(module: str) -> None:
    assert not import_afresh(module)[1] & {"torch", "transformers", "peft", "datasets", "sklearn", "matplotlib"}


@pytest.mark.parametrize("name", emotune.__all__)
def test_every_public_name_is_there_and_knows_its_home(name: str) -> None:
    value = getattr(emotune, name)
    assert name in dir(emotune)
    if name != "__version__":
        home = importlib.import_module(value.__module__)
        assert getattr(home, name) is value
        assert value.__doc__


def test_the_seven_lines_need_no_other_names() -> None:
    assert {"load_data", "load_base", "evaluate", "finetune", "LoRA", "compare"} <= set(emotune.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lora'"):
        _ = emotune.lora


def test_names_of_verbs_are_the_verbs_even_after_their_modules_were_imported() -> None:
    """A module imported by its full name must not take the place of the function of the same name."""
    importlib.import_module("emotune.evaluation.evaluate")
    importlib.import_module("emotune.folder.verify")
    for verb in ("evaluate", "verify", "finetune", "predict", "compare", "run", "load"):
        assert callable(getattr(emotune, verb)), verb
