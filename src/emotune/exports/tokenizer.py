"""The tokenizer of an export: tokenizer.json cuts and pads by itself, as emotune does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.folder.tuned import clean_tokenizer
from emotune.inference.graph import inputs_of
from emotune.models.classifier import Classifier
from emotune.models.encoding import overlap_of
from emotune.system.errors import ModelError

TOKENIZER = "tokenizer.json"


def write_tokenizer(classifier: Classifier, folder: Path, *, alone: bool) -> None:
    """Write the tokenizer's files into a folder.

    Args:
        classifier: The classifier.
        folder: An existing folder.
        alone: True if tokenizer.json is to be read by the package tokenizers, without transformers.

    Raises:
        ModelError: `alone`, for a tokenizer that exists only as Python code.
    """
    tokenizer: Any = clean_tokenizer(classifier)
    # What emotune gives the model: types of tokens for pairs only, and padding behind the text. Only what is among the arguments that
    # the tokenizer was made with is saved.
    for name, value in (("model_input_names", list(inputs_of(classifier))), ("padding_side", "right")):
        setattr(tokenizer, name, value)
        tokenizer.init_kwargs[name] = value
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        stride = overlap_of(tokenizer, classifier.max_length) if classifier.windows else 0
        backend.enable_truncation(classifier.max_length, stride=stride, direction=tokenizer.truncation_side)
        backend.enable_padding(pad_id=int(tokenizer.pad_token_id), pad_token=tokenizer.pad_token, direction="right")
    elif alone:
        raise ModelError(
            f"The tokenizer of '{classifier.name}', {type(tokenizer).__name__}, has no {TOKENIZER}: "
            "it exists only as Python code in transformers. Export with --to merged."
        )
    tokenizer.save_pretrained(folder)
