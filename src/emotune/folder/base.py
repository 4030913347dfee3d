"""Base models of any kind: a plain one, or a folder that emotune saved, merged into one model for a second stage."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emotune.folder.format import read_description
from emotune.folder.saved import SavedFolder
from emotune.models.classifier import Classifier
from emotune.models.encoding import refuse_windows_over_pairs
from emotune.models.load import OpenBase, check_labels
from emotune.models.options import HeadRule, ModelSource
from emotune.system.errors import ArtifactError, MethodError, ModelError
from emotune.system.output import DESCRIPTION
from emotune.tasks.base import Task
from emotune.tasks.single_label import SINGLE_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_base(
    name: str | Path = "bert-base-uncased",
    *,
    labels: Sequence[str],
    max_length: int | None = None,
    long_texts: Literal["cut", "windows"] = "cut",
    texts: Sequence[str] = (),
    revision: str | None = None,
    fresh_head: bool = False,
    keep_head: bool = False,
    task: Task = SINGLE_LABEL,
) -> Classifier:
    """Load a pre-trained encoder and its tokenizer, with a classification head for the labels.

    If the checkpoint holds a head for the same labels, in any order, that head is kept. Otherwise the head is new:
    random numbers, the same each time, since the global random generators of Python, NumPy and PyTorch are seeded with
    0 first. `finetune` redraws a new head from its own seed. `checkpoint_head` of the result describes the checkpoint's
    head, and whether it was kept.

    Args:
        name: A local folder; else "bundled:minilm", which needs no network; else the id of a model on the Hub. The
            adapter in a folder that emotune saved is merged into its own base model.
        labels: Label names; logit i belongs to `labels[i]`.
        max_length: Tokens per text, special tokens included; longer texts are cut. If not given, as many as cover 99 % of
            `texts`: at least 128, at most 512 and the model's positions.
        long_texts: "windows" to read texts longer than `max_length` in overlapping windows, whose logits are averaged; "cut"
            to cut them.
        texts: Training texts, such as `data.train.texts`, to choose `max_length` by.
        revision: A branch, tag or commit of the Hub's repository; its default branch if not given.
        fresh_head: Make a new head even if the checkpoint's could be kept.
        keep_head: Require the checkpoint's head: refuse a model whose head cannot be kept.
        task: The kind of label; for data with another kind than one label per text, `data.task`.

    Returns:
        The classifier in float32 and evaluation mode.

    Raises:
        ModelError: There is no such model, its files are incomplete or damaged, its weights do not fit its
            configuration, its architecture cannot classify texts, a required head cannot be kept, or a saved adapter
            cannot be merged.
        ArtifactError: A folder that emotune saved is incomplete or damaged.
        DataError: `texts` are pairs, and windows are for single texts.
        HubError: The Hub could not be reached, or refused the model.
    """
    check_labels(labels, task)
    source = ModelSource(
        name=str(name),
        revision=revision,
        max_length=max_length,
        long_texts=long_texts,
        fresh_head=fresh_head,
        keep_head=keep_head,
    )
    refuse_windows_over_pairs(texts, source.long_texts == "windows")
    # Passed on unchanged: a Path is never the name of a repository.
    found = open_base(name, revision).classifier(
        labels, max_length=max_length, head=source.head, task=task, texts=texts
    )
    return replace(found, windows=source.long_texts == "windows")


def open_base(name: str | Path, revision: str | None = None) -> OpenBase:
    """Open a base model; what emotune saved is merged into one model first.

    Args:
        name: As for `load_base`.
        revision: As for `load_base`.

    Raises:
        ModelError: There is no such model, its files are incomplete, or a saved adapter cannot be merged.
        ArtifactError: A folder that emotune saved is incomplete or damaged.
        HubError: The Hub could not be reached, or refused the model.
    """
    folder = _saved_folder(name)
    if revision is not None or folder is None:
        return OpenBase(name, revision)
    description = read_description(folder)
    method, base = description.method, description.base_model
    if not method.needs_base:
        return OpenBase(folder, made_from=f"{method.title} of {base.name}")
    if base.source is None:
        raise ModelError(
            f"'{name}' is a folder that emotune saved: {method.title} on the local folder '{base.name}', and saved "
            "folders hold no paths. Merge the two, and give the new folder:\n"
            f"  emotune export {shlex.quote(str(folder))} --to merged --base FOLDER --output MERGED"
        )
    saved = SavedFolder.checked(folder, None)
    opened = open_base(saved.base, saved.base_revision)
    tuned = saved.classifier(lambda: encoder_for(saved, opened))
    try:
        merged = method.merge(tuned.model)
    except MethodError as error:
        raise ModelError(
            f"'{name}' cannot be the base of a second stage, since it has to be one model: {error}\n"
            f"Start from its own base model, {base.name}, or train a first stage with a method that merges, such as LoRA."
        ) from None
    return OpenBase(folder, weights=merged.state_dict(), made_from=f"{method.title} on {base.name}, merged")


def encoder_for(saved: SavedFolder, opened: OpenBase) -> PreTrainedModel:
    """Return the base model of a saved folder; the saved head replaces any other.

    Raises:
        ArtifactError: It was merged from a folder that emotune saved, and the folder was trained on something else.
        ModelError: It cannot be loaded.
    """
    expected = saved.description.base_model
    if opened.is_merged and opened.made_from != expected.made_from:
        raise ArtifactError(
            f"'{saved.folder}' was trained on {expected.made_from or expected.name}, and '{saved.base}' is "
            f"{opened.made_from}. Give the base model that it was trained on."
        )
    return opened.classifier(saved.labels, max_length=saved.max_length, head=HeadRule.NEW, task=saved.task).model


def _saved_folder(name: str | Path) -> Path | None:
    """Return the folder if emotune saved it."""
    try:
        folder = Path(name).expanduser()
        return folder if (folder / DESCRIPTION).is_file() else None
    except (OSError, RuntimeError):  # a name too long, or an unknown ~user: reported as such elsewhere
        return None
