"""Prediction in int8 by OpenVINO: quantized once, checked against the original, and kept on this machine.

NNCF chooses the scales of activations on training texts that the model keeps, and smooths the weights for that. The
result is compared with the original in fp32 on validation rows that the model keeps. If it differs by more than stated,
the products that lose most are left out of int8, and if that is not enough, it is refused. This takes about a minute, so
the result is kept in the folder for caches, under a hash of the weights, the texts, the versions of the libraries and
the processor.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.kept import KeptRows
from emotune.inference.forward import TorchEngine
from emotune.inference.graph import captured, inputs_of
from emotune.inference.openvino_engine import OpenVinoEngine
from emotune.inference.openvino_model import converted, quantized, write_openvino
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode
from emotune.system.cache import VARIABLE, cache_folder
from emotune.system.errors import ConfigError, OutputError, VerificationError
from emotune.system.extras import require
from emotune.system.machine import processor
from emotune.system.progress import SILENT, Progress
from emotune.system.quiet import quiet, without_telemetry
from emotune.system.text import reason_of
from emotune.system.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_LOST = 0.002
"""Share of right validation rows that int8 may lose."""

LEAST_AGREEMENT = 0.99
"""Share of validation rows on which int8 must give the original's label."""

_FIGURES = "check.json"
_LEAST_TEXTS = 16
_WAY = 1  # of quantizing; another number makes every model anew
_ADVICE = "Leave int8 out: bf16 and fp32 need neither OpenVINO nor a graph."


@dataclass(frozen=True)
class Int8Check:
    """Comparison of a model in int8 with the original in fp32 on validation rows.

    Attributes:
        rows: Number of rows.
        changed_labels: Rows whose predicted label differs.
        right_before, right_after: Rows that the original, and the model in int8, get right.
        but_narrowing: True if the second products of feed-forward blocks are left out of int8.
    """

    rows: int
    changed_labels: int
    right_before: int
    right_after: int
    but_narrowing: bool = False

    @property
    def passes(self) -> bool:
        """True if int8 loses no more than it may."""
        lost = (self.right_before - self.right_after) / self.rows
        return lost <= MOST_LOST and 1 - self.changed_labels / self.rows >= LEAST_AGREEMENT

    def in_words(self, right: str) -> str:
        """Return the figures in words.

        Args:
            right: Name of the share of right rows.
        """
        before, after = (100 * rows / self.rows for rows in (self.right_before, self.right_after))
        same = 100 * (1 - self.changed_labels / self.rows)
        left_out = ", without the second products of the feed-forward blocks" if self.but_narrowing else ""
        return (
            f"on {counted(self.rows, 'validation row')}, {same:.2f} % of the labels are those of fp32, and {right} is "
            f"{after:.2f} % instead of {before:.2f} %{left_out}"
        )


def int8_engine(classifier: Classifier, progress: Progress = SILENT) -> OpenVinoEngine:
    """Return the engine for a classifier in int8; it is made at the first call for these weights.

    Args:
        classifier: The classifier, on the processor, with the rows that it keeps.
        progress: Front end that is told how it compares with the original.

    Raises:
        ConfigError: OpenVINO or NNCF is not installed, or the classifier keeps no rows, or too few of them.
        MethodError: The adapters cannot be merged into the weights.
        ModelError: It cannot be captured or converted.
        OutputError: The folder for caches cannot be written.
        VerificationError: It differs from the original by more than stated.
    """
    import torch

    require("openvino", ("openvino", "nncf"), "int8")
    rows = _rows_of(classifier)
    merged = classifier.merged()
    parent = cache_folder() / "int8"
    folder = parent / _key(classifier, merged, rows)
    if not (folder / _FIGURES).is_file():
        progress.say("int8: quantizing, which takes about a minute once for each model")
        with _written(folder) as work:
            _write(classifier, merged, rows, work)
    check = Int8Check(**json.loads((folder / _FIGURES).read_text(encoding="utf-8")))
    words = check.in_words(classifier.task.right)
    if not check.passes:
        raise VerificationError(
            f"int8 changes this model too much: {words}. At least {100 * LEAST_AGREEMENT:g} % of the labels must be the same, and "
            f"at most {100 * MOST_LOST:g} points may be lost. Use --precision bf16 or fp32."
        )
    progress.say(f"int8 by OpenVINO {version('openvino')}: {words}")
    return OpenVinoEngine(folder, torch.get_num_threads())


def _rows_of(classifier: Classifier) -> KeptRows:
    """Return the kept rows; a classifier without enough of them is refused."""
    if classifier.kept is None:
        raise ConfigError(
            "int8 needs training texts to choose its scales on, and validation rows to be checked on, and this model keeps none: "
            "it was saved by an earlier version or not by emotune, or it was pushed without texts. Use --precision bf16 or fp32, "
            "or train the model again."
        )
    rows = classifier.kept()
    if len(rows.calibration) < _LEAST_TEXTS or not len(rows.validation):
        raise ConfigError(
            f"int8 needs at least {_LEAST_TEXTS} training texts and a validation row, and this model keeps "
            f"{counted(len(rows.calibration), 'text')} and {counted(len(rows.validation), 'row')}; a model that was trained on all "
            "rows after cross-validation has none for validation. Use --precision bf16 or fp32."
        )
    return rows


def _key(classifier: Classifier, merged: PreTrainedModel, rows: KeptRows) -> str:
    """Return a hash of everything that the model in int8 and its check depend on."""
    digest = hashlib.sha256()

    def add(data: bytes | memoryview) -> None:
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)

    facts = {
        "way": _WAY,
        "versions": [version(name) for name in ("openvino", "nncf", "torch", "transformers")],
        "processor": processor(),
        "config": merged.config.to_json_string(),
        "max_length": classifier.max_length,
        "windows": classifier.windows,
        "thresholds": classifier.task.thresholds,
        "at_least_one": classifier.task.at_least_one,
        "rows": rows.validation.fingerprint,
    }
    add(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in merged.state_dict().items():
        add(name.encode())
        add(memoryview(tensor.contiguous().numpy()).cast("B"))
    # The tokenizer counts by what it makes of the texts.
    for texts in (rows.calibration, rows.validation.texts):
        for ids in encode(classifier.tokenizer, texts, classifier.max_length).ids:
            add(ids.tobytes())
    return digest.hexdigest()


def _write(classifier: Classifier, merged: PreTrainedModel, rows: KeptRows, folder: Path) -> None:
    """Write the model in int8, and the figures of its check, into an existing folder."""
    import torch

    inputs = inputs_of(classifier)
    with quiet(), without_telemetry():
        program = captured(merged, inputs, advice=_ADVICE)
        model = converted(program, merged.config.model_type, inputs, advice=_ADVICE)
    # Of a long text, what one window holds.
    calibration = encode(classifier.tokenizer, rows.calibration, classifier.max_length)
    encoded = encode(classifier.tokenizer, rows.validation.texts, classifier.max_length, classifier.windows)
    before = TorchEngine(merged).logits(encoded)
    for but_narrowing in (False, True):
        with quiet(), without_telemetry():
            write_openvino(quantized(model, calibration, but_narrowing=but_narrowing), folder)
        after = OpenVinoEngine(folder, torch.get_num_threads()).logits(encoded)
        check = replace(_compared(classifier, rows, before, after), but_narrowing=but_narrowing)
        if check.passes:
            break
    (folder / _FIGURES).write_text(json.dumps(asdict(check)), encoding="utf-8")


def _compared(
    classifier: Classifier, rows: KeptRows, before: NDArray[np.float32], after: NDArray[np.float32]
) -> Int8Check:
    decided, changed = (classifier.task.decide(logits) for logits in (before, after))
    truth = rows.validation.label_ids

    def differ(one: NDArray[np.generic], other: NDArray[np.generic]) -> int:
        return int((one != other).reshape(len(truth), -1).any(axis=1).sum())

    rows_of = len(truth)
    return Int8Check(
        rows_of, differ(decided, changed), rows_of - differ(decided, truth), rows_of - differ(changed, truth)
    )


@contextmanager
def _written(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `folder` at the end, unless another process was faster."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
            work = Path(temporary) / folder.name
            work.mkdir()
            yield work
            if not (folder / _FIGURES).is_file():
                shutil.rmtree(folder, ignore_errors=True)  # somebody has deleted a part of it
            try:
                work.replace(folder)
            except OSError:
                if not (folder / _FIGURES).is_file():  # else another process has written it meanwhile
                    raise
    except OSError as error:
        raise OutputError(
            f"The model in int8 cannot be kept in '{folder.parent}': {reason_of(error)}. Name another folder in the variable "
            f"{VARIABLE}."
        ) from None
