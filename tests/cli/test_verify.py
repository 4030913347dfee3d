"""`emotune verify`: its line, and its exit code where a folder does not hold."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import emotune.folder.verify  # noqa: F401  # so that sys.modules has it
from emotune.system.errors import VerificationError

from .conftest import Invoke


def test_a_folder_that_holds(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(folder: Path, *, base: str | None = None) -> SimpleNamespace:
        assert (folder, base) == (Path("tuned"), "my-bert")
        return SimpleNamespace(
            rows=1234, largest_difference=1.19e-7, tolerance=1e-4, ok=True, left_out=(), was_saved=True
        )

    monkeypatch.setattr(sys.modules["emotune.folder.verify"], "verify", verify)
    result = invoke("verify", "tuned", "--base", "my-bert")
    assert result.exit_code == 0, result.exception
    assert result.stdout == "Verified: the same labels on 1,234 rows, largest difference 1.2e-07 (0.0001 passes).\n"


def test_a_folder_that_differs(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(folder: Path, *, base: str | None = None) -> None:
        raise VerificationError("'tuned' does not give the predictions it was saved with.")

    monkeypatch.setattr(sys.modules["emotune.folder.verify"], "verify", verify)
    result = invoke("verify", "tuned")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "'tuned' does not give the predictions it was saved with.\n"
