"""The saved folder in a process that never imports emotune: plain PEFT and transformers give the labels that were saved."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .hub_server import hub_environment, serve_hub

if TYPE_CHECKING:
    from .conftest import Run

# Loads the folder by the code given, predicts the saved test rows in one go, and prints what it found.
SCRIPT = """
import json, sys
import pyarrow.parquet as pq
import torch

folder, loading = sys.argv[1:]
exec(loading)
table = pq.read_table(folder + "/predictions.parquet")
batch = tokenizer(table.column("text").to_pylist(), padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    logits = model.eval()(**batch).logits
id2label = model.config.id2label
print(json.dumps({
    "labels": [id2label[int(i)] for i in logits.argmax(-1)],
    "saved": table.column("prediction").to_pylist(),
    "difference": max(
        float((logits.softmax(-1)[:, i] - torch.tensor(table.column("p_" + name).to_numpy())).abs().max())
        for i, name in id2label.items()
    ),
    "id2label": {str(i): name for i, name in id2label.items()},
    "emotune": any(name.partition(".")[0] == "emotune" for name in sys.modules),
}))
"""

WITH_LOCAL_BASE = """
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, AutoConfig

config = AutoConfig.from_pretrained(folder)
base = AutoModelForSequenceClassification.from_pretrained(
    "tiny-bert", num_labels=6, id2label=config.id2label, label2id=config.label2id
)
model = PeftModel.from_pretrained(base, folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
"""


def code_of_the_card(folder: Path) -> str:
    """The first piece of code of the model card, for this folder."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code
    assert code[1].count('"fine_tuned_lora_model"') == 1
    return code[1].replace('folder = "fine_tuned_lora_model"\n', "")


def load_elsewhere(folder: Path, loading: str, working: Path, environment: dict[str, str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), loading],
        cwd=working,
        env={key: value for key, value in environment.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("route", ["the card's code, base from the Hub", "local base"])
def test_gives_the_saved_labels(tiny_run: Run, tiny_bert: Path, tmp_path: Path, route: str) -> None:
    folder = Path(shutil.copytree(tiny_run.result.folder, tmp_path / "moved" / "elsewhere"))
    if route == "local base":
        nowhere = hub_environment("http://127.0.0.1:9", tmp_path / "cache", HF_HUB_OFFLINE="1")
        found = load_elsewhere(folder, WITH_LOCAL_BASE, tiny_bert.parent, nowhere)
    else:
        with serve_hub(models={"owner/tiny-bert": tiny_bert}) as hub:
            found = load_elsewhere(folder, code_of_the_card(folder), tmp_path, hub.environment(tmp_path / "cache"))
    assert found["labels"] == found["saved"]
    assert float(str(found["difference"])) < 1e-5
    assert found["id2label"] == {str(i): label for i, label in enumerate(tiny_run.result.classifier.labels)}
    assert found["emotune"] is False
