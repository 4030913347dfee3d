"""The tiers of the tests: `make quick` covers every part, and a run that needs the real data fails where it was not used."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .facts import states

TESTS = Path(__file__).parent
FOLDERS = sorted({path.parent for path in TESTS.rglob("test_*.py")})


def is_slow(marks: list[ast.expr]) -> bool:
    return any("pytest.mark.slow" in ast.unparse(mark) for mark in marks)


def quick_tests(module: Path) -> list[str]:
    """The names of a module's tests that are not marked slow, by themselves, their class or their module."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    if any(
        isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node) and is_slow([node.value])
        for node in tree.body
    ):
        return []
    bodies = [tree.body]
    bodies += [node.body for node in tree.body if isinstance(node, ast.ClassDef) and not is_slow(node.decorator_list)]
    return [
        node.name
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not is_slow(node.decorator_list)
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TESTS)))
def test_every_part_has_quick_tests(folder: Path) -> None:
    assert [name for module in folder.glob("test_*.py") for name in quick_tests(module)]


def test_most_tests_are_quick() -> None:
    modules = list(TESTS.rglob("test_*.py"))
    source = "\n".join(module.read_text(encoding="utf-8") for module in modules)
    assert sum(len(quick_tests(module)) for module in modules) > 0.8 * source.count("def test_")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("skipped", [False, True])
def test_a_run_that_requires_the_real_data_fails_where_it_was_not_used(
    skipped: bool, processes: int, tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    real: needs the real data\n")
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_logreport, pytest_sessionfinish\n")
    body = "pytest.skip('no data')" if skipped else "pass"
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n\n@pytest.mark.real\ndef test_real():\n    {body}\n\ndef test_other():\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(processes), "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "EMOTUNE_REQUIRE_REAL_DATA": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (pytest.ExitCode.TESTS_FAILED if skipped else pytest.ExitCode.OK), done.stdout
    assert states(done.stdout, "EMOTUNE_REQUIRE_REAL_DATA", "did not run") == skipped
