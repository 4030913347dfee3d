"""The page of the shoot-out, written from a sweep's folder."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from emotune.evaluation.seeds import SeedStudy
from emotune.sweep import job
from emotune.sweep.settings import load_plan

from ..conftest import Recording
from ..facts import facts
from .conftest import FakeEngine, MakePlan


@pytest.fixture(scope="module")
def shoot_out() -> Any:
    """The script."""
    path = Path(__file__).parents[2] / "benchmarks" / "shoot_out.py"
    spec = spec_from_file_location("shoot_out", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["shoot_out"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def finished(make_plan: MakePlan, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of three methods with two seeds each, made up."""
    monkeypatch.setattr("emotune.sweep.job.refit", lambda *given: None)
    monkeypatch.setattr("emotune.settings.portable.command", lambda: "emotune sweep --preset shoot-out")
    methods = [{"name": "lora", "label": "LoRA"}, {"name": "lora", "label": "QLoRA", "r": 4}, "full"]
    plan = make_plan({"methods": methods, "margin": 30})
    job.sweep(plan, lambda folder: engine, Recording())
    return plan.folder


def test_the_page_has_the_leaderboard_with_margins_and_what_stands_beside_it(shoot_out: Any, finished: Path) -> None:
    text = shoot_out.page(finished)
    assert text.startswith("# The shoot-out\n\n3 ways of fine-tuning")
    assert (finished / "leaderboard.md").read_text() in text
    assert "Not worse than full fine-tuning by more than 30 points: " in text
    assert "Beside full fine-tuning:\n\n| configuration | accuracy above full fine-tuning, in points |" in text
    scored = shoot_out.evaluations(finished)
    found = SeedStudy.of([scored["full fine-tuning"], scored["LoRA"], scored["QLoRA"]]).difference(1, 2)
    assert found is not None
    (line,) = (line for line in text.splitlines() if line.startswith("| accuracy |"))
    assert line.startswith(f"| accuracy | {100 * found.accuracy.estimate:+z.2f} (")
    assert line.endswith(f"| {found.p_value:.3f} |")
    assert "## How the p-values are computed" in text


def test_another_sweep_is_refused(shoot_out: Any, finished: Path) -> None:
    path = finished / "leaderboard.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "command": "emotune sweep --preset small"}))
    with pytest.raises(SystemExit, match=facts("another sweep", "--preset small")):
        shoot_out.page(finished)


def test_the_preset_asks_what_the_page_says() -> None:
    plan = load_plan("shoot-out")
    assert plan.margin == 1
    assert len(plan.seeds) == 3
    labels = [candidate.label for candidate in plan.candidates]
    assert {"LoRA", "QLoRA", "full fine-tuning"} <= set(labels)
    assert len(labels) == 16
