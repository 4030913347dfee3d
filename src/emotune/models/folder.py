"""Checks of a base model's folder before loading, so that messages can name the mistake."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from emotune.system.errors import ModelError
from emotune.system.output import DESCRIPTION, EXPORT_DESCRIPTION
from emotune.system.text import printable, reason_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

SENTENCEPIECE_FILES = ("spiece.model", "spm.model", "sentencepiece.bpe.model")
"""Names of the SentencePiece model of ALBERT, of DeBERTa-v2 and v3, and of XLM-R and CamemBERT."""

# A folder needs one of these; each defines how text becomes tokens.
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", *SENTENCEPIECE_FILES)

WEIGHT_FILES = (WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors")
"""Patterns of the files that hold the weights."""

TOKENIZER_FILES = (
    *_VOCABULARIES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""All files that determine how text becomes tokens."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")

# Beginnings of the names of .bin files that are not pickled weights.
_NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "openvino")

_ORIGINAL = f"It cannot be trained. Give the model that it was made from, with {WEIGHTS}."
# Weights that are not read: format, patterns of file names, and remedy.
_OTHER_WEIGHTS = (
    ("ONNX", ("*.onnx", "*/*.onnx"), _ORIGINAL),
    ("OpenVINO", ("openvino*.xml", "*/openvino*.xml"), _ORIGINAL),
    ("GGUF", ("*.gguf", "*/*.gguf"), _ORIGINAL),
    (
        "TensorFlow",
        ("*.h5", "*.ckpt.index", "*/saved_model.pb", "saved_model.pb"),
        "Convert it with transformers 4, the last to read them: "
        "{model}.from_pretrained('OLD', from_tf=True).save_pretrained('NEW').",
    ),
    (
        "Flax",
        ("*.msgpack",),
        "Convert it with transformers 4, the last to read them: "
        "{model}.from_pretrained('OLD', from_flax=True).save_pretrained('NEW').",
    ),
)

FILES_TO_DOWNLOAD = (
    CONFIG,
    ADAPTER_CONFIG,
    *WEIGHT_FILES,
    *TOKENIZER_FILES,
)
"""Patterns of files of a Hub repository that loading can need. No others are fetched, above all no pickled weights."""


def check_folder(folder: Path, name: str, *, weights: bool = True) -> dict[str, Any]:
    """Check that a folder holds configuration, complete safetensors weights and a tokenizer.

    Args:
        folder: The model's folder.
        name: Its name in messages.
        weights: Check the weights too.

    Returns:
        The contents of config.json.

    Raises:
        ModelError: A file is missing, unreadable or damaged.
    """
    # A folder that emotune saved has configuration and tokenizer, even if its weights are an adapter's.
    if (folder / ADAPTER_CONFIG).is_file() and (weights or not (folder / DESCRIPTION).is_file()):
        raise _adapter(folder, name)
    if not (folder / CONFIG).is_file():
        if newest_checkpoint(folder) is not None:
            raise _no_weights(folder, name)
        raise ModelError(
            f"'{name}' has no {CONFIG}, so it is not a transformers model.\n"
            f"Expected a folder with {CONFIG}, {WEIGHTS} and a tokenizer, as save_pretrained writes it."
        )
    config = _read_object(folder / CONFIG, name)
    if weights:
        for file in weight_files(folder, name):
            _check_weights(file, name)
    if not any((folder / vocabulary).is_file() for vocabulary in _VOCABULARIES):
        raise ModelError(
            f"'{name}' has no tokenizer: expected {_VOCABULARIES[0]}, or one of {', '.join(_VOCABULARIES[1:])}. "
            "Copy the tokenizer's files from where the model came from."
        )
    return config


def _adapter(folder: Path, name: str) -> ModelError:
    """Return the error for a folder saved by PEFT."""
    stored = _read_object(folder / ADAPTER_CONFIG, name)
    base = stored.get("base_model_name_or_path")
    classifies = stored.get("task_type") == "SEQ_CLS"
    merging = (
        f':\npython -c "from peft import AutoPeftModelForSequenceClassification as M; M.from_pretrained({str(folder)!r}, '
        "num_labels=N).merge_and_unload().save_pretrained('NEW')\""
    )
    return ModelError(
        f"'{name}' is an adapter (it has {ADAPTER_CONFIG}), not a whole model. "
        f"Name the model it was trained from{f': {base}' if base else ''}.\n"
        "Or merge the two, and give the new folder with a copy of the tokenizer's files"
        f"{merging if classifies else ', as merge_and_unload and save_pretrained of PEFT make it.'}"
    )


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files that hold the weights: one, or the shards that the index lists.

    Args:
        folder: The model's folder.
        name: Its name in messages.

    Raises:
        ModelError: There are no such files, or some that the index lists are missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        raise _no_weights(folder, name)
    weight_map = _read_object(folder / WEIGHTS_INDEX, name).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"'{name}': {WEIGHTS_INDEX} is damaged: it has no weight_map. Download the model again.")
    shards = sorted({str(shard) for shard in weight_map.values()})
    missing = [shard for shard in shards if Path(shard).name != shard or not (folder / shard).is_file()]
    if missing:
        raise ModelError(
            f"'{name}' lacks {len(missing)} of the {len(shards)} weight files that its index lists: {missing[0]}"
            f"{', ...' if len(missing) > 1 else ''}. Download the model again."
        )
    return [folder / shard for shard in shards]


def _no_weights(folder: Path, name: str) -> ModelError:
    """Return the error for a folder without safetensors: a missing file, or weights of another format."""
    none = f"'{name}' has no {WEIGHTS}, nor {WEIGHTS_INDEX} with its shards"
    checkpoint = newest_checkpoint(folder)
    if checkpoint is not None:
        return ModelError(
            f"{none}; it is the output folder of a Trainer, whose models are in its checkpoints.\n{checkpoints_line(folder)}"
        )
    other = next((file.name for file in sorted(folder.glob("*.safetensors"))), None)
    if other is not None:
        return ModelError(
            f"{none}; it has {other}.\nIf that holds the whole model, copy it to {WEIGHTS} beside {CONFIG}."
        )
    pickled = next((file.name for file in sorted(folder.glob("*.bin")) if not file.name.startswith(_NO_WEIGHTS)), None)
    model = _class_that_keeps_all(folder)
    for kind, patterns, remedy in () if pickled else _OTHER_WEIGHTS:
        found = next((file for pattern in patterns for file in sorted(folder.glob(pattern))), None)
        if found is not None:
            return ModelError(
                f"{none}; it holds only {kind} weights ({found.relative_to(folder)}).\n{remedy.format(model=model)}"
            )
    return ModelError(
        f"{none}{f'; it has {pickled}' if pickled else ''}.\n"
        f"emotune loads safetensors only, as a .bin file can run code. {'Convert one' if pickled else 'A .bin file'} that you trust "
        f"{'to' if pickled else 'is converted to'} a new folder{'' if pickled else ' by'}:\n"
        f'python -c "from transformers import {model} as M, AutoTokenizer as T; '
        "[A.from_pretrained('OLD').save_pretrained('NEW') for A in (M, T)]\""
    )


def _class_that_keeps_all(folder: Path) -> str:
    """Return the class of transformers that loads a classifier with its head, which AutoModel would drop."""
    try:
        classes = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["architectures"]
    except (OSError, ValueError, LookupError, TypeError):
        return "AutoModel"
    has_head = isinstance(classes, list) and any(str(name).endswith("ForSequenceClassification") for name in classes)
    return "AutoModelForSequenceClassification" if has_head else "AutoModel"


def newest_checkpoint(folder: Path) -> Path | None:
    """Return a Trainer's newest checkpoint in a folder, by its step, or None if none holds a model or an adapter."""
    found = {
        int(match[1]): path
        for path in folder.glob("checkpoint-*")
        if (match := _CHECKPOINT.fullmatch(path.name))
        and any((path / file).is_file() for file in (CONFIG, ADAPTER_CONFIG))
    }
    return found[max(found)] if found else None


def checkpoints_line(folder: Path) -> str:
    """Return advice on the checkpoints of a Trainer's output folder: the best, if one is known, and the newest."""
    newest = newest_checkpoint(folder)
    if newest is None:
        raise ValueError(f"'{folder}' has no checkpoints")
    best = _best_checkpoint(newest)
    if best is None:
        return f"Give one of them, for example the newest: {newest}"
    if best == newest:
        return f"Give one of them, for example the newest, which is also the best by the Trainer's own metric: {newest}"
    return f"Give one of them, for example the best by the Trainer's own metric: {best}\nor the newest: {newest}"


def _best_checkpoint(newest: Path) -> Path | None:
    """Return the checkpoint that a Trainer's state calls the best, if it is beside the newest; else None."""
    try:
        best = json.loads((newest / "trainer_state.json").read_text(encoding="utf-8"))["best_model_checkpoint"]
        name = re.split(r"[\\/]", best)[-1]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    found = newest.parent / name
    holds = any((found / file).is_file() for file in (CONFIG, ADAPTER_CONFIG))
    return found if _CHECKPOINT.fullmatch(name) and holds else None


def _check_weights(file: Path, name: str) -> None:
    """Open a safetensors file, which compares its header with its size, without reading the tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            empty = not tensors.keys()
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"'{name}': {file.name} ({file.stat().st_size:,} bytes) is damaged or cut short: {reason_of(error)}.\n"
            "Download or copy the model again."
        ) from error
    if empty:
        raise ModelError(f"'{name}': {file.name} holds no weights. Download or copy the model again.")


def what_it_is(folder: Path) -> str:
    """Describe a folder that emotune did not save, and a remedy: two lines after a newline, or "" if unknown."""
    if (folder / EXPORT_DESCRIPTION).is_file():
        run = shlex.quote(str(folder / "run.py"))
        return f"\nIt is an export of emotune, which runs by itself: python {run} TEXT\nGive the folder that it was made from."
    saved = sorted(path.parent.name for path in folder.glob(f"*/{DESCRIPTION}"))
    if saved:
        return f"\nIt holds folders that emotune saved: {', '.join(saved[:3])}{', ...' if len(saved) > 3 else ''}. Give one of them."
    own = any((folder / file).is_file() for file in (CONFIG, ADAPTER_CONFIG))
    if not own and newest_checkpoint(folder) is not None:
        return (
            f"\nIt is the output folder of a Trainer, whose models are in its checkpoints.\n{checkpoints_line(folder)}"
        )
    try:
        if (folder / ADAPTER_CONFIG).is_file():
            base = _read_object(folder / ADAPTER_CONFIG, str(folder)).get("base_model_name_or_path") or "its base model"
            kind = f"PEFT adapter for {printable(str(base))}"
            training = "To train on it, merge it into that model."
        elif (folder / CONFIG).is_file():
            classes = _read_object(folder / CONFIG, str(folder)).get("architectures")
            kind = f"transformers {printable(str(classes[0])) if isinstance(classes, list) and classes else 'model'}"
            training = f"To train it: emotune run --model {shlex.quote(str(folder))}"
        else:
            return ""
    except ModelError:
        return ""
    return f"\nIt is a plain {kind}, which emotune evaluate, predict, compare and verify read. {training}"


def _read_object(file: Path, name: str) -> dict[str, Any]:
    """Read a JSON file that must hold an object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{name}': {file.name} cannot be read: {reason_of(error)}. Download or copy the model again."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"'{name}': {file.name} holds no JSON object. Download or copy the model again.")
    return content
