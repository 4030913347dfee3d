"""Every method on every family: train, save, load in a fresh process, equal logits; what cannot work is refused with its reason.

One process loads all folders, since starting it is what takes long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.errors import MethodError
from emotune.methods.lora import LoRA
from emotune.methods.refusals import REFUSED, refusal
from emotune.methods.registry import METHODS
from emotune.models.classifier import Classifier
from emotune.models.families import FAMILIES
from emotune.models.load import load_base
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions
from emotune.verification import plain_logits

from ..tiny_models import make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset

# What a method has to be told on models as tiny as these.
OPTIONS: dict[str, dict[str, Any]] = {"lora": {"r": 2}}
# An epoch of about three steps.
TRAINING = TrainingOptions(epochs=1, batch_tokens=512, precision="fp32", device="cpu")
TOLERANCE = 1e-4
CELLS = [(method, family) for method in METHODS for family in FAMILIES if (method, family) not in REFUSED]
LOADER = """
import json, sys
import numpy as np
from emotune.artifact import load
from emotune.verification import plain_logits

job = json.loads(sys.stdin.read())
found = {}
for name, (folder, base) in job["folders"].items():
    try:
        found[name] = plain_logits(load(folder, base=base), job["texts"])
    except Exception as error:
        found[name] = np.array(f"{type(error).__name__}: {error}")
np.savez(job["output"], **found)
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        before: Logits of the base.
        after: Logits once tuned, in this process.
        loaded: Logits of the saved folder in a fresh process, or what went wrong there.
        parameters: Trained parameters.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    loaded: NDArray[Any]
    parameters: int


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
def outcomes(
    request: pytest.FixtureRequest,
    bases: Callable[[str], Classifier],
    tiny_data: TextDataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str], Outcome | Exception]:
    """Trains and saves the cells whose tests were asked for, and loads all of them in one fresh process."""
    asked = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [params["cell"] for params in asked if "cell" in params]
    place = tmp_path_factory.mktemp("matrix")
    texts = list(tiny_data.test.texts[:6])
    outcomes: dict[tuple[str, str], Outcome | Exception] = {}
    trained: dict[tuple[str, str], Classifier] = {}
    for method, family in dict.fromkeys(wanted):
        try:
            tuned = finetune(bases(family), tiny_data, METHODS[method](**OPTIONS.get(method, {})), TRAINING)
            tuned.save(place / f"{method}-{family}")
            trained[method, family] = tuned
        except Exception as error:
            outcomes[method, family] = error
    job = {
        "folders": {f"{m}-{f}": (str(place / f"{m}-{f}"), bases(f).source) for m, f in trained},
        "texts": texts,
        "output": str(place / "loaded.npz"),
    }
    done = subprocess.run([sys.executable, "-c", LOADER], input=json.dumps(job), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    with np.load(place / "loaded.npz") as loaded:
        for (method, family), tuned in trained.items():
            assert tuned.training is not None
            outcomes[method, family] = Outcome(
                before=plain_logits(bases(family), texts),
                after=plain_logits(tuned, texts),
                loaded=loaded[f"{method}-{family}"],
                parameters=tuned.training.trainable_parameters,
            )
    return outcomes


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_trains_saves_and_loads_in_a_fresh_process(
    cell: tuple[str, str],
    outcomes: dict[tuple[str, str], Outcome | Exception],
    bases: Callable[[str], Classifier],
) -> None:
    outcome = outcomes[cell]
    reason = refusal(cell[0], bases(cell[1]).model)
    if reason is not None:  # of this model, not of all of its family
        assert isinstance(outcome, MethodError)
        assert reason in str(outcome)
        return
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome.loaded.dtype == np.float32, str(outcome.loaded)
    assert np.isfinite(outcome.after).all()
    assert np.abs(outcome.after - outcome.before).max() > 1e-3
    np.testing.assert_allclose(outcome.loaded, outcome.after, rtol=0, atol=TOLERANCE)
    assert outcome.parameters > 0


@pytest.mark.parametrize("refused_cell", REFUSED, ids="-".join)
def test_what_cannot_work_is_refused_with_its_reason(
    refused_cell: tuple[str, str], bases: Callable[[str], Classifier], tiny_data: TextDataset
) -> None:
    class Refused(LoRA):
        """Stands for the method, whose options are not looked at any more."""

        key = refused_cell[0]

    with pytest.raises(MethodError) as raised:
        finetune(bases(refused_cell[1]), tiny_data, Refused(), TRAINING)
    assert REFUSED[refused_cell] in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
