"""The number of threads follows affinity and quotas of control groups, and nothing that a user has set is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotune.system.threads import SPINS, prepare_environment, share_cores, usable_cores


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def cores(tmp_path: Path, groups: str, monkeypatch: pytest.MonkeyPatch, allowed: int = 8) -> int:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    write(tmp_path / "proc", groups)
    return usable_cores(tmp_path / "proc", tmp_path / "fs")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8), ("", 8), ("odd words", 8)],
)
def test_the_quota_of_version_2_is_rounded_down_to_one_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    write(tmp_path / "fs/job/cpu.max", quota)
    assert cores(tmp_path, "0::/job\n", monkeypatch) == expected


def test_the_quota_of_a_parent_applies_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fs/pod/cpu.max", "300000 100000")
    write(tmp_path / "fs/pod/job/cpu.max", "max 100000")
    assert cores(tmp_path, "0::/pod/job\n", monkeypatch) == 3


def test_a_container_sees_its_own_quota_at_the_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fs/cpu.max", "200000 100000")
    assert cores(tmp_path, "0::/docker/0123\n", monkeypatch) == 2


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_quotas_of_version_1_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    groups = "3:memory:/job\n4:cpu,cpuacct:/job\n"
    write(tmp_path / f"fs/{folder}/job/cpu.cfs_quota_us", "400000\n")
    write(tmp_path / f"fs/{folder}/job/cpu.cfs_period_us", "100000\n")
    assert cores(tmp_path, groups, monkeypatch) == 4
    write(tmp_path / f"fs/{folder}/job/cpu.cfs_quota_us", "-1\n")
    assert cores(tmp_path, groups, monkeypatch) == 8


def test_the_affinity_applies_without_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5}, raising=False)
    assert usable_cores(tmp_path / "missing", tmp_path) == 2


def test_the_environment_is_prepared_and_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emotune.system.threads.usable_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    fresh: dict[str, str] = {}
    prepare_environment(fresh)
    assert fresh["OMP_NUM_THREADS"] == "2"
    assert int(fresh["GOMP_SPINCOUNT"]) < 300_000  # the library's own number
    for own in ({"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "5"}, {"GOMP_SPINCOUNT": "7", "KMP_BLOCKTIME": "9"}):
        given = dict(own)
        prepare_environment(given)
        assert given.items() >= own.items()
    assert "GOMP_SPINCOUNT" not in given or given["GOMP_SPINCOUNT"] == "7"


@pytest.mark.parametrize(
    ("given", "expected"), [(None, "2"), ("8", "2"), ("2", "2"), ("1", "1"), ("0", "2"), ("4,2", "2"), ("", "2")]
)
def test_a_share_of_the_cores_is_an_upper_limit(given: str | None, expected: str) -> None:
    environment = {} if given is None else {"OMP_NUM_THREADS": given}
    share_cores(environment, 2)
    assert environment["OMP_NUM_THREADS"] == expected


def test_the_command_prepares_its_process_before_torch_starts_threads() -> None:
    script = (
        "import os, sys; import emotune.cli as cli\n"
        "assert 'torch' not in sys.modules\n"
        "cli.app = lambda: print(os.environ['GOMP_SPINCOUNT'])\n"
        "cli.main()"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=60, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == SPINS


def test_importing_the_package_changes_no_environment() -> None:
    script = "import os; old = dict(os.environ); import emotune; emotune.load; assert dict(os.environ) == old"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
