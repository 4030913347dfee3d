"""What a folder must hold to be loaded as a base model: checked before loading, so that a mistake gets its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emotune.errors import ModelError
from emotune.text import reason_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"

# A folder needs one of these; each says how text becomes tokens.
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)

WEIGHT_FILES = (WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors")
"""Patterns of the files that hold the weights."""

TOKENIZER_FILES = (
    *_VOCABULARIES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""All that decides how text becomes tokens."""

FILES_TO_DOWNLOAD = (
    CONFIG,
    ADAPTER_CONFIG,
    *WEIGHT_FILES,
    *TOKENIZER_FILES,
)
"""Patterns of the files of a Hub repository that loading can need; all else, pickled weights above all, stays there."""


def check_folder(folder: Path, name: str, *, weights: bool = True) -> dict[str, Any]:
    """Check that a folder holds configuration, whole safetensors weights and a tokenizer.

    Args:
        folder: Where the model is.
        name: What messages call it.
        weights: Whether its weights are needed; if not, they are not looked at.

    Returns:
        The contents of config.json.

    Raises:
        ModelError: A file is missing, unreadable or damaged.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        base = _read_object(folder / ADAPTER_CONFIG, name).get("base_model_name_or_path")
        raise ModelError(
            f"'{name}' is an adapter (it has {ADAPTER_CONFIG}), not a whole model. "
            f"Name the model it was trained from{f': {base}' if base else ''}."
        )
    if not (folder / CONFIG).is_file():
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


def weight_files(folder: Path, name: str) -> list[Path]:
    """The safetensors files that hold the weights: one, or the shards that the index lists.

    Args:
        folder: Where the model is.
        name: What messages call it.

    Raises:
        ModelError: There are no such files, or not all that the index lists.
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
    """The error for a folder without safetensors, which tells a missing file from one of the wrong kind."""
    pickled = next((file.name for file in sorted(folder.glob("*.bin"))), None)
    return ModelError(
        f"'{name}' has no {WEIGHTS}, nor {WEIGHTS_INDEX} with its shards{f'; it has {pickled}' if pickled else ''}.\n"
        "emotune loads safetensors only, as a .bin file can run code. Convert one that you trust to a new folder:\n"
        'python -c "from transformers import AutoModel as M, AutoTokenizer as T; '
        "[A.from_pretrained('OLD').save_pretrained('NEW') for A in (M, T)]\""
    )


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
