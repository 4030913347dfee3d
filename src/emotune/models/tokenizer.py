"""Load a base model's tokenizer, and check that it gives the tokens that the model was trained on."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.models.folder import SENTENCEPIECE_FILES
from emotune.system.errors import ModelError
from emotune.system.outside import translated
from emotune.system.text import reason_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WHOLE = "tokenizer.json"
# Packages that read SentencePiece models, and the module of each.
_MODULES = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def read_tokenizer(folder: Path, source: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer in a folder.

    Args:
        folder: The folder, which holds a tokenizer's files.
        source: The model's name in messages.

    Raises:
        ModelError: Its files are damaged, a package to read them is missing, or transformers would give other tokens
            than those that the model was trained on.
    """
    from transformers import AutoTokenizer

    pieces = _sentencepiece_model(folder, source)

    def damaged(reason: str) -> ModelError:
        if pieces is not None:
            _refuse_bpe(pieces, source)
        return ModelError(f"'{source}': its tokenizer cannot be loaded: {reason}.\nDownload or copy the model again.")

    with translated(damaged):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if pieces is not None and type(getattr(backend, "model", None)).__name__ == "Unigram":
        _refuse_bpe(pieces, source)
    return _with_published_normalizer(tokenizer, folder, pieces)


def _sentencepiece_model(folder: Path, source: str) -> Any:
    """Return the SentencePiece model to build a tokenizer from, or None if there is none or tokenizer.json exists."""
    file = next((folder / name for name in SENTENCEPIECE_FILES if (folder / name).is_file()), None)
    if file is None or (folder / _WHOLE).is_file():
        return None
    missing = [package for package, module in _MODULES.items() if not _has(module)]
    if missing:
        raise ModelError(
            f"'{source}' has its tokenizer only in {file.name}. Reading it needs {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed.\npip install {' '.join(missing)}"
        )
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from sentencepiece import sentencepiece_model_pb2

    formats: Any = sentencepiece_model_pb2  # its classes are created on import
    try:
        found = formats.ModelProto.FromString(file.read_bytes())
    except (DecodeError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"'{source}': {file.name} is damaged, or is not a SentencePiece model: {reason_of(error)}.\nDownload or copy the model again."
        ) from error
    if not len(found.pieces):
        raise ModelError(f"'{source}': {file.name} holds no pieces of words. Download or copy the model again.")
    return found


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


def _refuse_bpe(pieces: Any, source: str) -> None:
    """Refuse a SentencePiece model of type BPE, which transformers would read as type unigram."""
    if pieces.trainer_spec.model_type == pieces.trainer_spec.BPE:
        raise ModelError(
            f"'{source}': its SentencePiece model is of type BPE, which transformers reads as type unigram in this family: "
            f"texts would get other tokens than in training.\nUse a copy of the model that has {_WHOLE}."
        )


def _with_published_normalizer(
    tokenizer: PreTrainedTokenizerBase, folder: Path, pieces: Any
) -> PreTrainedTokenizerBase:
    """Give the tokenizer of DeBERTa-v2 and v3 the published table of character replacements.

    transformers 5 rebuilds the tokenizers of some families from their pieces. For this one it omits the table that
    turns an ellipsis into "..." and a ligature into "fi", so that such characters become unknown tokens.
    """
    if type(tokenizer).__name__ != "DebertaV2Tokenizer":
        return tokenizer
    from tokenizers import Regex, Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    backend = tokenizer.backend_tokenizer
    if pieces is None:
        stored = Tokenizer.from_file(str(folder / _WHOLE)).normalizer if (folder / _WHOLE).is_file() else None
        if stored is None or '"Precompiled"' not in json.dumps(json.loads(stored.__getstate__())):
            return tokenizer
        backend.normalizer = stored
    else:
        table = pieces.normalizer_spec.precompiled_charsmap
        if not table:
            return tokenizer
        lower = [normalizers.Lowercase()] if getattr(tokenizer, "do_lower_case", False) else []
        steps = [normalizers.Strip(), normalizers.Precompiled(table), normalizers.Replace(Regex(" {2,}"), " ")]
        backend.normalizer = normalizers.Sequence([*lower, *steps])
    # The general class is saved and loaded unchanged; the family's own would be rebuilt each time.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        **{name: getattr(tokenizer, name) for name in _SPECIAL if getattr(tokenizer, name) is not None},
    )
