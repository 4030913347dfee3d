"""The notebook runs from top to bottom, and what it ends with is a folder that verifies."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "emotune.ipynb"

# The seven verbs of the README, in order.
SEVEN = ("load_data(", "load_base(", "evaluate(base", "finetune(", "evaluate(tuned", "compare(", ".save(")


def test_holds_the_seven_lines_in_order_and_no_output() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    places = [code.index(verb) for verb in SEVEN]
    assert places == sorted(places)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
def test_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # Two epochs instead of the default show the same path in half the time.
    for cell in notebook.cells:
        cell.source = cell.source.replace(
            "emotune.LoRA(r=16))", "emotune.LoRA(r=16), emotune.TrainingOptions(epochs=2))"
        )
    NotebookClient(notebook, timeout=1000, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    values = [output["data"]["text/plain"] for output in outputs if output["output_type"] == "execute_result"]
    assert "True" in values  # verify(...).ok
    assert (tmp_path / "fine_tuned_lora_model" / "adapter_model.safetensors").is_file()
