"""`emotune presets`: the list, and a preset to start from."""

from __future__ import annotations

from pathlib import Path

from emotune.settings.preset import preset_names, read_preset
from emotune.settings.run import RunConfig

from .conftest import Invoke


def test_list_says_what_each_is_for_by_command(invoke: Invoke) -> None:
    result = invoke("presets")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    sweeps = lines.index("For emotune sweep:")
    assert lines[0] == "For emotune run:"
    assert [line.split()[0] for line in lines[1:sweeps]] == list(preset_names())
    assert [line.split()[0] for line in lines[sweeps + 1 :]] == list(preset_names("sweep"))
    assert all(line.endswith((".", ":")) for line in lines)


def test_no_two_have_the_same_name() -> None:
    assert not set(preset_names()) & set(preset_names("sweep"))


def test_a_preset_of_sweeps_is_printed_too_and_is_not_one_of_runs(invoke: Invoke) -> None:
    assert invoke("presets", "shoot-out").stdout == read_preset("shoot-out", "sweep")
    result = invoke("run", "--preset", "shoot-out")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "The preset shoot-out is one of emotune sweep; those of emotune run are: emotion, quickstart.\n"
    )


def test_a_preset_is_printed_as_it_is_and_loads_as_a_file(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("presets", "quickstart")
    assert result.stdout == read_preset("quickstart")
    file = tmp_path / "my.toml"
    file.write_text(result.stdout, encoding="utf-8")
    assert RunConfig.load(file=file) == RunConfig.load("quickstart")


def test_unknown_preset(invoke: Invoke) -> None:
    result = invoke("presets", "quickstat")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "There is no preset 'quickstat'; did you mean quickstart? The presets are: emotion, quickstart.\n"
    )
