"""`emotune run`: how options become a configuration, and what is printed around the job."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotune.cli.run import FLAGS
from emotune.settings.keys import setting_help
from emotune.settings.run import RunConfig
from emotune.system.errors import DataError

from .conftest import Invoke


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The configurations that jobs were started with; the jobs themselves do nothing."""
    started: list[RunConfig] = []

    def run(config: RunConfig, progress: Any, **_: Any) -> SimpleNamespace:
        started.append(config)
        with progress.step("Data"):
            progress.say("some rows")
        folder = Path(config.output.folder)
        report = Path("/place/report.html")
        model = SimpleNamespace(pairs=False)
        return SimpleNamespace(
            folder=folder,
            seconds=75.0,
            local_base=None,
            verdict="More accurate.",
            report=report,
            classifier=model,
        )

    monkeypatch.setattr("emotune.pipeline.run", run)
    return started


def test_defaults(invoke: Invoke, runs: list[RunConfig]) -> None:
    result = invoke("run")
    assert result.exit_code == 0, result.stderr
    assert runs == [RunConfig()]
    assert result.stdout.startswith("[1/8] Data\n      some rows\n")
    assert "\nMore accurate.\n\nDone in 1 min 15 s. The report is /place/report.html\n" in result.stdout
    assert "emotune predict fine_tuned_lora_model " in result.stdout


def test_suggested_command_quotes_the_folder(invoke: Invoke, runs: list[RunConfig]) -> None:
    assert "emotune predict 'my model' " in invoke("run", "--output", "my model").stdout


# Trackers are one of a few names, and a model needs one: tests/tracking has them. Repeats need folds.
@pytest.mark.parametrize(
    "name", [name for name in FLAGS if name not in ("track", "track_model", "labels", "label_columns", "fold_repeats")]
)
def test_each_option_sets_its_setting(invoke: Invoke, runs: list[RunConfig], name: str) -> None:
    flag = FLAGS[name]
    section, key = flag.key.split(".")
    default = getattr(getattr(RunConfig(), section), key)
    value: Any
    if not flag.metavar:
        value = True
    elif isinstance(default, int | float):
        value = default / 2 if isinstance(default, float) else default + 1
    else:
        own = {
            "max_length": 64,
            "long_texts": "windows",
            "epochs": 3,
            "alpha": 8.0,
            "learning_rate": 0.5,
            "method": "full",
            "precision": "fp32",
            "device": "cpu",
            "margin": 1.5,
            "folds": 4,
            "input_format": "csv",
            "on_error": "skip",
            "map": {"old": "new"},
            "encoding": "latin-1",
            "delimiter": "~",
            "columns": ["Review Text", "a,b"],
        }
        value = own.get(name, "xyz*")
    option = f"--{name.replace('_', '-')}"
    words = [f"{old}={new}" for old, new in value.items()] if flag.is_map else [str(value)]
    words = ['Review Text,"a,b"'] if flag.is_row else words
    result = invoke("run", option, *(words if flag.metavar else []))
    assert result.exit_code == 0, result.stderr
    assert runs == [RunConfig.load(overrides={flag.key: value})]
    assert runs[0] != RunConfig()


def test_columns_of_labels_are_names_between_commas(invoke: Invoke, runs: list[RunConfig]) -> None:
    result = invoke("run", "--label-columns", "severe toxic,insult")
    assert result.exit_code == 0, result.stderr
    assert runs[0].data.label_columns == ("severe toxic", "insult")


def test_labels_are_names_between_commas(invoke: Invoke, runs: list[RunConfig]) -> None:
    result = invoke("run", "--labels", "very low,so-so,high", "--ordered")
    assert result.exit_code == 0, result.stderr
    assert (runs[0].data.labels, runs[0].data.ordered) == (("very low", "so-so", "high"), True)


def test_help_explains_each_option_in_the_configuration_s_words(invoke: Invoke) -> None:
    shown = " ".join(invoke("run", "--help").stdout.replace("│", " ").split())
    for name, flag in FLAGS.items():
        description, default = setting_help(RunConfig, flag.key)
        assert f"--{name.replace('_', '-')} " in shown
        assert description in shown
        if default is not None and flag.metavar:
            assert f"[default: {default}]" in shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("all-linear", "all-linear"),
        ("query", ("query",)),
        ("query,attention.output.dense", ("query", "attention.output.dense")),
        (r".*\.(query|value)", r".*\.(query|value)"),
        (r"layer\.\d{1,2}\.x", r"layer\.\d{1,2}\.x"),
        ('["a", "b"]', ("a", "b")),
    ],
)
def test_target_modules(invoke: Invoke, runs: list[RunConfig], given: str, expected: object) -> None:
    assert invoke("run", "--target-modules", given).exit_code == 0
    assert dict(runs[0].method)["target_modules"] == expected


def test_layers(invoke: Invoke, runs: list[RunConfig], tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[training]\nepochs = 7\nseed = 5\n", encoding="utf-8")
    result = invoke("run", "--preset", "quickstart", "--config", file, "--seed", "6", "--set", "training.patience=4")
    assert result.exit_code == 0, result.stderr
    assert runs[0].data.source == "bundled:sample"
    assert (runs[0].training.epochs, runs[0].training.seed, runs[0].training.patience) == (7, 6, 4)


def test_show_config_prints_toml_and_starts_nothing(invoke: Invoke, runs: list[RunConfig], tmp_path: Path) -> None:
    result = invoke("run", "--preset", "quickstart", "--rank", "4", "--show-config")
    assert result.exit_code == 0
    assert runs == []
    assert tomllib.loads(result.stdout)["method"]["r"] == 4
    file = tmp_path / "again.toml"
    file.write_text(result.stdout, encoding="utf-8")
    assert RunConfig.load(file=file) == RunConfig.load("quickstart", overrides=["method.r=4"])


def test_all_mistakes_at_once(invoke: Invoke, runs: list[RunConfig]) -> None:
    result = invoke("run", "--preset", "quick", "--rank", "-1", "--epochs", "many", "--set", "training.sed=1")
    assert result.exit_code == 2
    assert runs == []
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "The configuration has 4 mistakes:",
        "  There is no preset 'quick'; did you mean quickstart? The presets are: emotion, quickstart.",
        "  --set: training.sed is not a setting; did you mean training.seed?",
        "  --rank: method.r is -1; expected a whole number of at least 1.",
        "  --epochs: training.epochs is 'many'; expected a whole number of at least 1.",
    ]


def test_an_option_and_set_must_not_disagree(invoke: Invoke, runs: list[RunConfig]) -> None:
    result = invoke("run", "--epochs", "3", "--set", "training.epochs=5")
    assert result.exit_code == 2
    assert "training.epochs was given before, by --epochs" in result.stderr


def test_errors_of_the_job(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: RunConfig, progress: Any, **_: Any) -> None:
        with progress.step("Data"):
            raise DataError("No such file: x.csv.")

    monkeypatch.setattr("emotune.pipeline.run", run)
    result = invoke("run", "--data", "x.csv")
    assert (result.exit_code, result.stderr) == (2, "No such file: x.csv.\n")


def test_a_stopped_run_says_how_to_go_on(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoints = tmp_path / ".tuned.checkpoints"

    def run(config: RunConfig, progress: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emotune.pipeline.run", run)
    result = invoke("run", "--output", str(tmp_path / "tuned"))
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")

    (checkpoints / "checkpoint-7").mkdir(parents=True)
    result = invoke("run", "--output", str(tmp_path / "tuned"))
    assert result.exit_code == 130
    assert result.stderr.startswith("Stopped. The finished epochs are kept; the same command with --resume")


def test_a_tab_as_separator_comes_back_from_a_saved_configuration(invoke: Invoke, runs: list[RunConfig]) -> None:
    for given in ("tab", "\\t", "\t"):
        assert invoke("run", "--delimiter", given).exit_code == 0
    assert {run.data.delimiter for run in runs} == {"\t"}
    stored = runs[0].model_dump(mode="json")["data"]
    assert RunConfig.load(overrides={"data.delimiter": stored["delimiter"]}).data.delimiter == "\t"
