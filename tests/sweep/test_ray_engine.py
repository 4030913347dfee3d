"""Trials on a Ray cluster of two workers on this machine, started by a process of its own so that nothing of Ray outlives the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import described
from ..facts import states
from .conftest import SHARED

pytest.importorskip("ray", reason="ray is not installed: the extra emotune[ray]")

# A cluster of two machines, as far as Ray can tell, with one processor each; then the command, then what the cluster had to do.
SCRIPT = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False})
cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
os.environ["RAY_ADDRESS"] = cluster.address
sys.argv = ["emotune", *sys.argv[1:]]
import emotune.cli
try:
    emotune.cli.main()
finally:
    cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_on_two_workers(tiny_files: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """Two trials at a time; one configuration fails, and costs only itself."""
    settings = {**SHARED, "training.epochs": 1}
    command = [
        *("sweep", "--engine", "ray", "--methods", "lora", "--models", str(tiny_bert), "--data", str(tiny_files)),
        *("--seeds", "1", "--output", str(tmp_path / "sweep"), "--grid", "training.weight_decay=0,1e30"),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command],
        capture_output=True,
        text=True,
        timeout=880,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert states(done.stderr.splitlines()[-1], "1 trial failed", "leaderboard", "--resume")
    board = json.loads((tmp_path / "sweep" / "leaderboard.json").read_text())
    assert [row["label"] for row in board["rows"]] == ["LoRA, weight_decay 0"]
    assert board["rows"][0]["seeds"] == [0]
    assert list(board["failures"]) == ["LoRA, weight_decay 1e+30, seed 0"]
    assert all("Lower training.learning_rate" in reason for reason in board["failures"].values())
    assert "the Ray cluster of 2 machines, 2 at a time with 1 processors each" in board["places"][0]
    saved = described(tmp_path / "sweep" / "best")
    assert saved["metrics"]["after"]["accuracy"] in board["rows"][0]["test_accuracy"]["values"]
