"""`PlainFolder`: a classifier that transformers or PEFT saved, without a description by emotune.

Labels come from where the head comes from, and only from there: the model's own configuration, or that of an adapter's
folder if the head is the adapter's. Only safetensors are read, and no code that comes with a model is run.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.folder.base import open_base
from emotune.folder.probes import PROBES
from emotune.inference.forward import compute_logits
from emotune.methods.base import load_adapter
from emotune.models.check import check_base
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode, keep_types_of
from emotune.models.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, TOKENIZER_FILES, WEIGHTS
from emotune.models.heads import CheckpointHead, nameless, names_in
from emotune.models.load import OpenBase
from emotune.models.options import HeadRule
from emotune.models.tokenizer import read_tokenizer
from emotune.system.errors import ArtifactError, EmotuneError
from emotune.system.output import DESCRIPTION, EXPORT_DESCRIPTION
from emotune.system.outside import translated
from emotune.system.text import printable, reason_of
from emotune.system.wording import listed
from emotune.tasks.base import Task, trained_for
from emotune.tasks.registry import task_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

# Kinds of adapters that load others from places that their configuration names.
_REFUSED_KINDS = ("XLORA",)
# Largest difference of a logit between emotune's own arithmetic and PEFT's, which only rounds differently.
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class PlainFolder:
    """A plain folder that was found complete, before its weights are read.

    Attributes:
        folder: The folder.
        labels: Label names, in the order of the logits.
        max_length: Tokens per text; longer texts are cut.
        task: The kind of label.
        notes: Sentences on what it is and what was taken from where.
        base: Its model; for an adapter, the base model.
        adapter: True if it is a PEFT adapter.
        has_head: True if its head is not that of the base.
    """

    folder: Path
    labels: tuple[str, ...]
    max_length: int
    task: Task
    notes: tuple[str, ...]
    base: OpenBase
    adapter: bool
    has_head: bool

    @classmethod
    def opened(cls, folder: Path, base: str | Path | None = None) -> PlainFolder:
        """Open a folder and check what can be checked without reading its weights.

        Args:
            folder: A folder for which `is_plain` is true.
            base: The base model of an adapter, instead of the one that its configuration names.

        Raises:
            ArtifactError: It is incomplete or damaged, or not a classifier that emotune can run.
            ModelError: The model cannot be loaded.
            HubError: An adapter's base model is on the Hub, and the Hub cannot be reached.
        """
        return _adapter(folder, base) if (folder / ADAPTER_CONFIG).is_file() else _whole(folder, base)

    def classifier(self) -> Classifier:
        """Load the classifier.

        Raises:
            ArtifactError: Its weights are damaged or incomplete, or do not fit the base model.
            ModelError: The model cannot be loaded.
        """
        rule = HeadRule.NEW if self.has_head and self.adapter else HeadRule.OWN
        found = self.base.classifier(self.labels, max_length=self.max_length, head=rule, task=self.task)
        check_base(found)
        if not self.adapter:
            return found
        wrapped = load_adapter(self.folder, lambda: found.model)
        # PEFT puts the names of the modules around the model before those of its own parameters.
        stored = tuple(f".{name}" for name in _tensors(self.folder))
        lost = {name for name in found.new_parameters if not any(key.endswith(f".{name}") for key in stored)}
        if lost:
            raise ArtifactError(
                f"Neither the adapter '{self.folder}' nor its base model has {sorted(lost)[0]} ({len(lost)} such weights), so random "
                "numbers would stand in for it. Give the base model that it was trained on with --base."
            )
        tokenizer = found.tokenizer
        own = _own_tokenizer(self.folder)
        if own is not None:
            tokenizer = own
            tokenizer.padding_side = found.tokenizer.padding_side
            keep_types_of(found.model, tokenizer)
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = found.tokenizer.pad_token
        loaded = replace(
            found,
            name=self.folder.resolve().name,
            source=str(self.folder),
            revision=None,
            model=wrapped.eval(),
            tokenizer=tokenizer,
            checkpoint_head=CheckpointHead(self.labels, True, "it is the adapter's", True),
            new_parameters=(),
        )
        self._check_arithmetic(loaded)
        return loaded

    def _check_arithmetic(self, classifier: Classifier) -> None:
        """Refuse an adapter to which emotune's arithmetic gives other logits than PEFT's own modules."""
        texts = encode(classifier.tokenizer, PROBES, classifier.max_length)
        with translated(
            lambda reason: ArtifactError(f"The adapter in '{self.folder}' could not be run on short texts: {reason}.")
        ):
            fast, plain = (compute_logits(classifier.model, texts, fast=way) for way in (True, False))
        difference = float(np.abs(fast - plain).max())
        if not difference <= _TOLERANCE * max(1.0, float(np.abs(plain).max())):
            raise ArtifactError(
                f"The adapter in '{self.folder}' is of a kind that emotune does not compute as PEFT does: logits differ by up to "
                f"{difference:.3g}. Merge it with merge_and_unload of PEFT, and give the merged model."
            )


def is_plain(folder: Path) -> bool:
    """Return whether a folder holds a model or adapter that emotune did not save."""
    if (folder / DESCRIPTION).is_file():
        return False
    if (folder / EXPORT_DESCRIPTION).is_file():
        return (folder / WEIGHTS).is_file()  # other exports run by themselves
    return any((folder / name).is_file() for name in (CONFIG, ADAPTER_CONFIG))


def _whole(folder: Path, base: str | Path | None) -> PlainFolder:
    """Open a folder that transformers saved."""
    if base is not None:
        raise ArtifactError(f"'{folder}' is a whole model and needs no base model. Leave --base out (base in Python).")
    opened = OpenBase(folder)
    _refuse_code(opened.config, folder / CONFIG)
    classes = opened.config.get("architectures")
    kind = str(classes[0]) if isinstance(classes, list) and classes else "model"
    labels, named = _labels(opened.config, _size(opened.config))
    return _described(
        folder, opened, labels, _task(opened.config, labels, folder), f"a plain transformers {kind}", named
    )


def _adapter(folder: Path, base: str | Path | None) -> PlainFolder:
    """Open a folder that PEFT saved."""
    stored = _object(folder / ADAPTER_CONFIG)
    _refuse_code(stored, folder / ADAPTER_CONFIG)
    kind = str(stored.get("peft_type"))
    if kind in _REFUSED_KINDS:
        raise ArtifactError(
            f"'{folder}' is an adapter of the kind {kind}, which loads others from elsewhere. emotune does not read it."
        )
    if stored.get("task_type") not in (None, "SEQ_CLS"):
        raise ArtifactError(
            f"'{folder}' is an adapter for {printable(str(stored['task_type']))}, not for classifying texts (SEQ_CLS)."
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ArtifactError(_no_weights(folder))
    opened = _open_base(folder, stored, base)
    tensors = _tensors(folder)
    rows = opened.head_size_of(tensors)
    config = opened.config
    if rows is not None:
        # The base's names are those of its own head, which the adapter replaces.
        own = folder / CONFIG
        config = _object(own) if own.is_file() else {}
    labels, named = _labels(config, _size(config) if rows is None else rows)
    what = f"a plain PEFT adapter ({printable(kind)}) for {printable(opened.name)}"
    found = _described(folder, opened, labels, _task(config, labels, folder), what, named)
    vectors = stored.get("num_virtual_tokens")
    taken = vectors if isinstance(vectors, int) else 0
    return replace(found, max_length=found.max_length - taken, adapter=True, has_head=rows is not None)


def _described(
    folder: Path, opened: OpenBase, labels: tuple[str, ...], task: Task, what: str, named: bool
) -> PlainFolder:
    limit, reason = opened.text_limit(_own_tokenizer(folder))
    notes = [f"'{folder}' is {what}, with the labels {listed(labels)}; texts are cut at {limit} tokens ({reason})."]
    if not named:
        notes.append(
            f"Nothing names its {len(labels)} labels. To name them, write id2label, in the order of the logits, into "
            f"{shlex.quote(str(folder / CONFIG))}."
        )
    return PlainFolder(folder, labels, limit, task, tuple(notes), opened, adapter=False, has_head=True)


def _own_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer in a folder, or None if it has none."""
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return None
    return read_tokenizer(folder, str(folder))


def _open_base(folder: Path, stored: Mapping[str, Any], base: str | Path | None) -> OpenBase:
    """Open the base model of an adapter: the given one, or the one that its configuration names."""
    named, revision = stored.get("base_model_name_or_path"), stored.get("revision")
    if base is not None:
        return open_base(base)
    if not isinstance(named, str) or not named:
        raise ArtifactError(
            f"'{folder}' is an adapter, and its {ADAPTER_CONFIG} does not name the base model. "
            "Say which one it is with --base MODEL (base=... in Python)."
        )
    try:
        return open_base(named, revision if isinstance(revision, str) and not Path(named).is_dir() else None)
    except EmotuneError as error:
        raise type(error)(
            f"The base model that '{folder}' names cannot be loaded: {error}\n"
            "If it is elsewhere, say where with --base MODEL (base=... in Python)."
        ) from None


def _size(config: Mapping[str, Any]) -> int:
    """Return the number of labels that a configuration gives its head; transformers' own default is two."""
    named = config.get("id2label")
    number = config.get("num_labels", 2)
    return len(named) if isinstance(named, Mapping) else number if isinstance(number, int) else 2


def _labels(config: Mapping[str, Any], rows: int) -> tuple[tuple[str, ...], bool]:
    """Return the label names, and whether a configuration gives them."""
    names = names_in(config, rows)
    if names and not nameless(names):
        return names, True
    return tuple(f"LABEL_{number}" for number in range(rows)), False


def _task(config: Mapping[str, Any], labels: tuple[str, ...], folder: Path) -> Task:
    task = task_of(config, labels)
    if task is None:
        problem = trained_for(config) or "one number per text"
        raise ArtifactError(
            f"'{folder}' is not a classifier that emotune can score: it was trained for {printable(str(problem))}, "
            f"with {len(labels)} outputs."
        )
    return task


def _refuse_code(config: Mapping[str, Any], file: Path) -> None:
    if config.get("auto_map"):
        raise ArtifactError(
            f"'{file}' names code that comes with the model (auto_map), which emotune never runs. "
            "Use a model of an architecture that transformers has."
        )


def _no_weights(folder: Path) -> str:
    pickled = folder / "adapter_model.bin"
    none = f"'{folder}' is a PEFT adapter without {ADAPTER_WEIGHTS}"
    if not pickled.is_file():
        return f"{none}. Copy the whole folder again."
    return (
        f"{none}; it has {pickled.name}.\nemotune loads safetensors only, as a .bin file can run code. "
        "One that you trust is converted by:\n"
        f'python -c "import torch; from safetensors.torch import save_file; d = {str(folder)!r}; '
        "save_file(torch.load(d + '/adapter_model.bin', weights_only=True), d + '/adapter_model.safetensors')\""
    )


def _tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    path = folder / ADAPTER_WEIGHTS
    with translated(lambda reason: ArtifactError(f"'{path}' is damaged: {reason}. Copy the whole folder again.")):
        return dict(load_file(path))


def _object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"'{file}' cannot be read: {reason_of(error)}. Copy the folder again.") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"'{file}' holds no JSON object. Copy the folder again.")
    return content
