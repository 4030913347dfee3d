"""`emotune sweep`: how options become a plan, what is printed around the job, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotune.cli.sweep import FLAGS
from emotune.settings.keys import setting_help
from emotune.settings.run import RunConfig
from emotune.sweep.plan import Plan
from emotune.sweep.settings import load_plan
from emotune.system.errors import DataError

from .conftest import Invoke


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, Any]]:
    """The plans that sweeps were started with, and their engines; the sweeps themselves do nothing."""
    started: list[tuple[Plan, Any]] = []

    def sweep(plan: Plan, make_engine: Any, progress: Any) -> SimpleNamespace:
        folder = SimpleNamespace(work=plan.folder / ".work")
        started.append((plan, make_engine(folder)))
        with progress.step("Data"):
            progress.say("some rows")
        return SimpleNamespace(
            folder=plan.folder,
            seconds=75.0,
            report=Path("/place/leaderboard.html"),
            local_base=None,
            pairs=False,
            leaderboard=SimpleNamespace(failures={}),
        )

    monkeypatch.setattr("emotune.sweep.job.sweep", sweep)
    return started


def test_defaults(invoke: Invoke, sweeps: list[tuple[Plan, Any]]) -> None:
    result = invoke("sweep")
    assert result.exit_code == 0, result.stderr
    ((plan, engine),) = sweeps
    assert plan == load_plan()
    assert engine.workers == 1
    assert result.stdout.startswith("[1/12] Data\n      some rows\n")
    assert "\nDone in 1 min 15 s. The leaderboard is /place/leaderboard.html\n" in result.stdout
    assert "emotune predict sweep/best " in result.stdout


def test_options(invoke: Invoke, sweeps: list[tuple[Plan, Any]], tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[sweep]\nmodels = ["owner/name"]\n[training]\nepochs = 7\nseed = 5\n', encoding="utf-8")
    result = invoke(
        *("sweep", "--preset", "small", "--config", file, "--methods", "lora,full", "--models", "a/b, c/d"),
        *("--grid", "training.learning_rate=1e-4,1e-3", "--grid", "training.epochs=2", "--set", "training.patience=4"),
        *("--seeds", "3", "--output", "else where", "--workers", "2", "--margin", "1.5"),
    )
    assert result.exit_code == 0, result.stderr
    ((plan, engine),) = sweeps
    assert [found.label for found in plan.candidates[:2]] == [
        "LoRA, learning_rate 0.0001, epochs 2 on a/b",
        "LoRA, learning_rate 0.001, epochs 2 on a/b",
    ]
    assert len(plan.candidates) == 8
    assert plan.seeds == (5, 6, 7)
    assert plan.margin == 1.5
    assert plan.base.training.patience == 4
    assert plan.base.data.source == "bundled:sample"
    assert engine.workers == 2
    assert "emotune predict 'else where/best' " in result.stdout


def test_resume_and_overwrite_together_are_refused(invoke: Invoke, sweeps: list[tuple[Plan, Any]]) -> None:
    result = invoke("sweep", "--resume", "--overwrite")
    assert (result.exit_code, sweeps) == (2, [])
    assert "Give one of them" in result.stderr


def test_resume_and_overwrite(invoke: Invoke, sweeps: list[tuple[Plan, Any]]) -> None:
    assert invoke("sweep", "--resume").exit_code == 0
    assert invoke("sweep", "--overwrite").exit_code == 0
    assert (sweeps[0][0].base.training.resume, sweeps[0][0].base.output.overwrite) == (True, False)
    assert (sweeps[1][0].base.training.resume, sweeps[1][0].base.output.overwrite) == (False, True)
    assert not any(found.config.training.resume for found in sweeps[0][0].candidates)


def test_help_explains_each_option_in_the_configuration_s_words(invoke: Invoke) -> None:
    shown = " ".join(invoke("sweep", "--help").stdout.replace("│", " ").split())
    for name, flag in FLAGS.items():
        description, default = setting_help(RunConfig, flag.key)
        description, default = flag.text or description, flag.default or default
        assert f"--{name.replace('_', '-')} " in shown
        assert description in shown
        if default is not None and flag.metavar:
            assert f"[default: {default}]" in shown
    assert "[default: sweep]" in shown
    assert FLAGS["seeds"].default == f"{len(load_plan().seeds)}"
    assert "those of [sweep.search]" in shown


def test_a_dry_run_lists_the_trials(invoke: Invoke, sweeps: list[tuple[Plan, Any]]) -> None:
    result = invoke("sweep", "--preset", "small", "--dry-run")
    assert result.exit_code == 0
    assert sweeps == []
    assert result.stdout.splitlines() == [
        *(
            f"{name}, seed {seed}"
            for name in ("LoRA, rank 4", "LoRA, rank 16", "full fine-tuning")
            for seed in (0, 1, 2)
        ),
        "9 trials in all; nothing was run.",
    ]


def test_all_mistakes_at_once(invoke: Invoke, sweeps: list[tuple[Plan, Any]]) -> None:
    result = invoke(
        *("sweep", "--preset", "smal", "--methods", "lorra,", "--models", ",", "--epochs", "many", "--search", "few"),
        *("--set", "training.sed=1", "--grid", "method.r=0", "--margin", "much"),
    )
    assert result.exit_code == 2
    assert sweeps == []
    assert result.stderr.splitlines() == [
        "The configuration has 7 mistakes:",
        "  There is no preset 'smal'; did you mean small? The presets are: shoot-out, small.",
        "  --set: training.sed is not a setting; did you mean training.seed?",
        "  --epochs: training.epochs is 'many'; expected a whole number of at least 1.",
        "  --search: sweep.searched is 'few'; expected a whole number of at least 0.",
        "  --margin: sweep.margin is 'much'; expected points of accuracy between 0 and 100, such as 1.",
        "  --methods: sweep.methods has 'lorra'; did you mean lora?",
        '  --models: sweep.models is empty; expected a list such as ["bert-base-uncased", "bundled:minilm"].',
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--grid", "training.epochs"], "--grid: 'training.epochs' has no '='; expected KEY=V1,V2"),
        (["--grid", "training.epochs="], "--grid: sweep.grid: training.epochs is []; expected a list of values"),
        (
            ["--methods", "lora", "--grid", "method.r=4,0"],
            "--grid, 'LoRA, r 0': method.r is 0; expected a whole number",
        ),
        (["--engine", "slurm"], "--engine is 'slurm'; expected one of local, ray."),
    ],
)
def test_refusals(invoke: Invoke, sweeps: list[tuple[Plan, Any]], arguments: list[str], expected: str) -> None:
    result = invoke("sweep", *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert sweeps == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--search", "3"],
            "--search needs optuna, which is not installed. Install it: pip install 'emotune[search]'\n",
        ),
        (
            ["--engine", "ray"],
            "--engine ray needs ray, which is not installed. Install it: pip install 'emotune[ray]'\n",
        ),
    ],
)
def test_a_missing_extra_gives_the_pip_line(
    invoke: Invoke,
    sweeps: list[tuple[Plan, Any]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.setattr("emotune.system.extras.find_spec", lambda name: None)
    result = invoke("sweep", *arguments)
    assert (result.exit_code, result.stderr) == (2, expected)
    assert sweeps == []


def test_errors_of_the_job(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep(*_: Any) -> None:
        raise DataError("No such file: x.csv.")

    monkeypatch.setattr("emotune.sweep.job.sweep", sweep)
    result = invoke("sweep", "--data", "x.csv")
    assert (result.exit_code, result.stderr) == (2, "No such file: x.csv.\n")


def test_trials_that_failed_end_with_1(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board = SimpleNamespace(failures={"LoRA, seed 0": "no memory left"})
    found = SimpleNamespace(
        folder=tmp_path, seconds=1.0, report=tmp_path, local_base="/a b", pairs=True, leaderboard=board
    )
    monkeypatch.setattr("emotune.sweep.job.sweep", lambda *_: found)
    result = invoke("sweep")
    assert result.exit_code == 1
    assert result.stderr.startswith("1 trial failed; the leaderboard says why. The same command with --resume")
    assert """--base '/a b' "the first text" "the second text\"""" in result.stdout


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        (True, "Finished trials are kept; the same command with --resume continues from there."),
        (False, "Nothing was started; run it again."),
    ],
)
def test_a_stopped_sweep_says_how_to_go_on(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begun: bool, expected: str
) -> None:
    def sweep(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emotune.sweep.job.sweep", sweep)
    if begun:
        (tmp_path / "sweep.json").write_text("{}")
    result = invoke("sweep", "--output", str(tmp_path))
    assert result.exit_code == 130
    assert result.stderr == f"Stopped. {expected}\n"
