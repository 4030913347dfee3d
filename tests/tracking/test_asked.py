"""Nothing is reported anywhere unless it is asked for, and a tracker that is missing is refused before any work."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotune.pipeline import run
from emotune.settings.portable import configuration
from emotune.settings.run import RunConfig
from emotune.system import extras
from emotune.system.errors import ConfigError
from emotune.tracking.tracking import check_trackers

from ..cli.conftest import Invoke
from ..cli.conftest import invoke as invoke
from ..conftest import EMOTIONS, Recording

TRACKERS = ("tensorboard", "mlflow", "trackio", "wandb")


class TestSettings:
    def test_no_tracker_is_the_default(self) -> None:
        assert RunConfig().tracking.to is None
        assert not RunConfig().tracking.texts
        assert not RunConfig().tracking.model

    def test_the_command_takes_names_with_commas(self, invoke: Invoke) -> None:
        shown = invoke("run", "--track", "tensorboard,mlflow", "--track-texts", "--show-config")
        assert RunConfig.load(file=written(shown.stdout)).tracking.to == ("tensorboard", "mlflow")

    def test_an_unknown_tracker_is_refused_with_the_known_ones(self, invoke: Invoke) -> None:
        refused = invoke("run", "--track", "tensorbord")
        assert refused.exit_code == 2
        assert all(f'"{name}"' in refused.stderr for name in TRACKERS)
        assert "tensorbord" in refused.stderr

    def test_a_model_needs_mlflow(self, invoke: Invoke) -> None:
        refused = invoke("run", "--track", "tensorboard", "--track-model")
        assert refused.exit_code == 2
        assert "--track mlflow" in refused.stderr

    def test_they_change_no_result(self) -> None:
        """So a run resumes, and a sweep goes on, with other trackers; and a reproduced run reports to none."""
        tracked = RunConfig.load(overrides={"tracking.to": ["mlflow"], "tracking.name": "mine"})
        assert tracked.identity == RunConfig().identity
        assert "tracking" not in configuration(tracked)

    def test_trials_of_a_sweep_cannot_differ_in_them(self, invoke: Invoke) -> None:
        refused = invoke("sweep", "--grid", "tracking.name=a,b")
        assert refused.exit_code == 2
        assert "tracking.name cannot differ between trials" in refused.stderr


def written(toml: str) -> Path:
    import tempfile

    file = Path(tempfile.mkdtemp()) / "shown.toml"
    file.write_text(toml)
    return file


class TestMissingTrackers:
    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("tensorboard", "pip install 'emotune[track]'"),
            ("mlflow", "pip install 'emotune[track]'"),
            ("trackio", "pip install trackio"),
            ("wandb", "pip install wandb"),
        ],
    )
    def test_are_refused_with_the_line_that_installs_them(
        self, name: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(extras, "find_spec", lambda module: None)
        progress = Recording()
        config = RunConfig.load(overrides={"tracking.to": [name], "output.folder": str(tmp_path / "tuned")})
        with pytest.raises(ConfigError) as caught:
            run(config, progress)
        assert str(caught.value).endswith(line)
        assert f"--track {name}" in str(caught.value)
        assert progress.steps == []

    def test_a_folder_of_the_same_name_is_not_the_package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Wandb writes a folder "wandb", and `python -m emotune` has the current folder on its path."""
        if importlib.util.find_spec("wandb") is not None:
            pytest.skip("wandb is installed")
        (tmp_path / "wandb").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match="pip install wandb"):
            check_trackers(RunConfig.load(overrides={"tracking.to": ["wandb"]}))


def test_trainer_reports_nowhere_even_where_trackers_are_installed(
    tiny_base: Any, tiny_data: Any, tiny_options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emotune.methods.lora import LoRA
    from emotune.training import finetune

    for name in ("wandb", "trackio"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("run = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("transformers.integrations.is_kubeflow_available", lambda: True)
    job = finetune._Job(tiny_base, tiny_data, LoRA(), tiny_options, 0, tmp_path, False)
    assert finetune._arguments(job).report_to == []


SCRIPT = """
import json, sys
from emotune.cli import app
try:
    app(json.loads(sys.argv[1]))
except SystemExit as end:
    assert end.code in (0, None), end.code
names = {name.partition(".")[0] for name in sys.modules} | {name for name in sys.modules if name.endswith("tensorboard")}
print(json.dumps(sorted(names)))
"""


@pytest.mark.slow
def test_a_run_without_trackers_imports_none(hub_named_bert: Path, tiny_files: Path, tmp_path: Path) -> None:
    words = ["run", "--model", str(hub_named_bert), "--data", str(tiny_files), "--max-length", "32", "--epochs", "1"]
    words += ["--set", f"data.labels={json.dumps(EMOTIONS)}", "--output", str(tmp_path / "tuned")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(words)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert "transformers" in modules
    assert not modules & {*TRACKERS, "torch.utils.tensorboard", "pandas.io.sql"}
    assert {path.name for path in tmp_path.iterdir()} == {"tuned"}
