"""Every method on every family: train, save, load in a fresh process, equal logits; what cannot work is refused with its reason.

One process loads all folders, one after another, since starting it is what takes long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotune.folder.base import load_base
from emotune.folder.check import plain_logits
from emotune.methods.lora import LoRA
from emotune.methods.refusals import REFUSED
from emotune.methods.registry import METHODS
from emotune.models.classifier import Classifier
from emotune.models.families import FAMILIES
from emotune.system.errors import MethodError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

from ..tiny_models import make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset

# What a method has to be told on models as tiny as these.
OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"r": 2},
    "qlora": {"r": 2},
    "dora": {"r": 2},
    "pissa": {"r": 2},
    "lora-plus": {"r": 2},
    "adalora": {"r": 2},
    "vera": {"r": 8},
    "bottleneck": {"size": 4},
    "prefix": {"tokens": 2},
    "prompt": {"tokens": 2},
}
# An epoch of about three steps; AdaLoRA wants ten.
TRAINING = TrainingOptions(epochs=1, batch_tokens=512, precision="fp32", device="cpu")
MORE_STEPS = TrainingOptions(epochs=2, batch_tokens=128, precision="fp32", device="cpu")
TOLERANCE = 1e-4
CELLS = [(method, family) for method in METHODS for family in FAMILIES if (method, family) not in REFUSED]
LOADER = """
import json, sys
import numpy as np
from emotune.folder.load import load
from emotune.folder.check import plain_logits

print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    try:
        np.save(job["output"], plain_logits(load(job["folder"], base=job["base"]), job["texts"]))
        answer = ""
    except Exception as error:
        answer = " ".join(f"{type(error).__name__}: {error}".split())
    print(answer, flush=True)
"""


@pytest.fixture(scope="module")
def bases(
    tiny_tokenizer: BertTokenizer, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Classifier]:
    """Gives a family's base model, made once."""
    made: dict[str, Classifier] = {}
    folder = tmp_path_factory.mktemp("families")

    def give(family: str) -> Classifier:
        if family not in made:
            place = make_folder(family, folder / family, tiny_tokenizer)
            made[family] = load_base(place, labels=tiny_data.labels, max_length=32)
        return made[family]

    return give


@pytest.fixture(scope="module")
def loader() -> Iterator[Callable[..., str]]:
    """Has a saved folder loaded, and logits written, by a process that has trained nothing; gives what went wrong there, or ""."""
    process = subprocess.Popen([sys.executable, "-c", LOADER], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def ask(**job: Any) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield ask
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_trains_saves_and_loads_in_a_fresh_process(
    cell: tuple[str, str],
    bases: Callable[[str], Classifier],
    loader: Callable[..., str],
    tiny_data: TextDataset,
    tmp_path: Path,
) -> None:
    method, family = cell
    base = bases(family)
    options = MORE_STEPS if method == "adalora" else TRAINING
    tuned = finetune(base, tiny_data, METHODS[method](**OPTIONS.get(method, {})), options)
    tuned.save(tmp_path / "saved")
    texts = list(tiny_data.test.texts[:6])
    wrong = loader(folder=str(tmp_path / "saved"), base=base.source, texts=texts, output=str(tmp_path / "logits.npy"))
    assert wrong == ""
    after, loaded = plain_logits(tuned, texts), np.load(tmp_path / "logits.npy")
    assert np.isfinite(after).all()
    assert np.abs(after - plain_logits(base, texts)).max() > 1e-3
    np.testing.assert_allclose(loaded, after, rtol=0, atol=TOLERANCE)
    assert tuned.training is not None
    assert tuned.training.trainable_parameters > 0


@pytest.mark.parametrize("refused_cell", REFUSED, ids="-".join)
def test_what_cannot_work_is_refused_with_its_reason(
    refused_cell: tuple[str, str], bases: Callable[[str], Classifier], tiny_data: TextDataset
) -> None:
    class Refused(LoRA):
        """Stands for the method, whose options are not looked at any more."""

        name: Any = refused_cell[0]

    with pytest.raises(MethodError) as raised:
        finetune(bases(refused_cell[1]), tiny_data, Refused(), TRAINING)
    assert REFUSED[refused_cell] in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
