"""The saved folder in a process of its own: PEFT and transformers give the labels that were saved.

LoRA's folder needs no emotune there; those of our own methods need the one import that their card names.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import emotune
from emotune.folder.verification import Verification
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.pipeline import run
from emotune.settings.run import RunConfig

from ..hub_server import hub_environment, serve_hub

if TYPE_CHECKING:
    from ..conftest import Run

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

# Where the processor multiplies bf16, bitsandbytes' own layers predict with rounded scales, and only where widths are multiples of 64.
WITHOUT_BF16 = """
import bitsandbytes
bitsandbytes.nn.modules.has_avx512bf16 = lambda: False
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


@pytest.fixture(autouse=True)
def unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the runs the fresh process of their own check: each test here starts one that knows less of emotune."""
    monkeypatch.setattr("emotune.folder.verify.verify", lambda folder, **_: Verification(0, 0.0, 1e-4, 0, ()))


def code_of_the_card(folder: Path) -> str:
    """The first piece of code of the model card, for this folder."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code
    assert code[1].count('"fine_tuned_lora_model"') == 1
    return code[1].replace('folder = "fine_tuned_lora_model"\n', "")


def load_elsewhere(
    folder: Path, loading: str, working: Path, environment: dict[str, str], source: str | None = None
) -> dict[str, object]:
    """What the script finds; `source` is where the process shall find emotune, if it is not to go by what is installed."""
    path = {} if source is None else {"PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), loading],
        cwd=working,
        env={key: value for key, value in environment.items() if key != "PYTHONPATH"} | path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_base_with_a_head_for_another_number_of_labels(
    method: str, tiny_run: Run, tiny_bert: Path, tmp_path: Path
) -> None:
    """Plain transformers would stumble over that head, unless it is told not to."""
    from transformers import BertForSequenceClassification

    base = Path(shutil.copytree(tiny_bert, tmp_path / "tiny-bert"))
    BertForSequenceClassification.from_pretrained(base, num_labels=3).save_pretrained(base)
    (base / "config.json").write_text(
        json.dumps(json.loads((base / "config.json").read_text()) | {"_name_or_path": "owner/tiny-bert"})
    )
    folder = tmp_path / "tuned"
    settings = {"model.name": str(base), "method.name": method, "training.epochs": 1, "output.folder": str(folder)}
    run(RunConfig.load(overrides=tiny_run.settings | settings))
    code = code_of_the_card(folder)
    assert "ignore_mismatched_sizes=True" in code
    with serve_hub(models={"owner/tiny-bert": base}) as hub:
        found = load_elsewhere(folder, code, tmp_path, hub.environment(tmp_path / "cache"))
    assert found["labels"] == found["saved"]
    assert float(str(found["difference"])) < 1e-5


@pytest.mark.slow
def test_a_head_alone_is_loaded_by_the_card_s_code(tiny_run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    run(RunConfig.load(overrides=tiny_run.settings | {"method.name": "head", "output.folder": str(folder)}))
    with serve_hub(models={"owner/tiny-bert": tiny_bert}) as hub:
        found = load_elsewhere(folder, code_of_the_card(folder), tmp_path, hub.environment(tmp_path / "cache"))
    assert found["labels"] == found["saved"]
    assert float(str(found["difference"])) < 1e-5
    assert found["emotune"] is False


@pytest.mark.slow
@pytest.mark.parametrize("method", [BitFit(), Bottleneck(size=4)], ids=["BitFit", "bottleneck"])
def test_a_method_of_our_own_needs_the_import_that_the_card_names(
    method: BitFit | Bottleneck, tiny_run: Run, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tuned"
    settings = tiny_run.settings | {"training.epochs": 1, "method.name": method.name, "output.folder": str(folder)}
    if isinstance(method, Bottleneck):
        settings["method.size"] = method.size
    run(RunConfig.load(overrides=settings))
    code = code_of_the_card(folder)
    line = f"import {method.tuner}  # registers {method.title} with PEFT\n"
    assert code.startswith(line)
    source = str(Path(emotune.__file__).parents[1])
    with serve_hub(models={"owner/tiny-bert": tiny_bert}) as hub:
        environment = hub.environment(tmp_path / "cache")
        found = load_elsewhere(folder, code, tmp_path, environment, source)
        assert found["labels"] == found["saved"]
        assert float(str(found["difference"])) < 1e-5
        with pytest.raises(AssertionError, match=f"KeyError: 'EMOTUNE_{method.name.upper()}'"):
            load_elsewhere(folder, code.removeprefix(line), tmp_path, environment)


@pytest.mark.slow
def test_four_bits_are_loaded_by_the_card_s_code(tiny_run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    settings = {"method.name": "qlora", "method.r": 4, "method.double_quant": False, "output.folder": str(folder)}
    run(RunConfig.load(overrides=tiny_run.settings | settings))
    saved = json.loads((folder / "adapter_config.json").read_text())["modules_to_save"]
    assert len(saved) == len(set(saved))
    code = code_of_the_card(folder)
    assert "bnb_4bit_use_double_quant=False" in code
    assert 'llm_int8_skip_modules=["bert.pooler", "classifier"],' in code
    with serve_hub(models={"owner/tiny-bert": tiny_bert}) as hub:
        found = load_elsewhere(folder, WITHOUT_BF16 + code, tmp_path, hub.environment(tmp_path / "cache"))
    assert found["labels"] == found["saved"]
    assert float(str(found["difference"])) < 1e-5
    assert found["emotune"] is False
