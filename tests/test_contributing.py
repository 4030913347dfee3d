"""The worked example of CONTRIBUTING.md: a new method is one file and one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import emotune

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys, warnings
import emotune
from emotune.system.errors import MethodError
bert, data, folder = sys.argv[1:]
data = emotune.load_data(data)
base = emotune.load_base(bert, labels=data.labels, max_length=32)
options = emotune.TrainingOptions(epochs=1, learning_rate=5e-3, batch_tokens=256, precision="fp32", device="cpu")
tuned = emotune.finetune(base, data, emotune.LoHa(r=2), options)
loaded = emotune.load(tuned.save(folder), base=bert)
texts = list(data.test.texts)
one, two = (emotune.predict(model, texts, precision="fp32") for model in (tuned, loaded))
try:
    emotune.LoHa(r=0)
except MethodError as error:
    said = str(error)
print(json.dumps({
    "same": bool((one.probabilities == two.probabilities).all()),
    "method": loaded.method.name,
    "trained": tuned.training.trainable_parameters,
    "plain": type(loaded.method.merge(loaded.model)).__name__,
    "said": said,
}))
"""


def blocks() -> tuple[str, str]:
    """The file and the line of the example."""
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    file, line = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    return file, line


def test_a_new_method_is_one_file_and_one_line(tmp_path: Path, tiny_bert: Path, tiny_files: Path) -> None:
    package = Path(shutil.copytree(Path(emotune.__file__).parent, tmp_path / "src" / "emotune"))
    file, line = blocks()
    (package / "methods" / "loha.py").write_text(file, encoding="utf-8")
    listed = package / "methods" / "__init__.py"
    listed.write_text(listed.read_text(encoding="utf-8").replace("\n}\n", f"\n{line}}}\n"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "200"}

    def python(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = json.loads(python("-c", SCRIPT, tiny_bert, tiny_files, tmp_path / "saved").splitlines()[-1])
    assert found["same"]
    assert found["method"] == "loha"
    assert found["plain"] == "BertForSequenceClassification"
    assert found["said"] == "LoHa: r is 0; expected a whole number of at least 1."
    shown = python("-m", "emotune", "run", "--method", "loha", "--rank", 4, "--show-config")
    assert 'name = "loha"' in shown
    assert "r = 4" in shown
    assert json.loads((tmp_path / "saved" / "emotune.json").read_text())["method"]["r"] == 2
