"""The model card and the `.eval_results` of a pushed folder, made from what the folder holds, which stays unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotune.folder.files import CARD
from emotune.folder.format import Description
from emotune.report.hub_metadata import SCORES, card_data, eval_results, model_index, relation
from emotune.report.usage import example_texts, texts_read
from emotune.system.errors import ArtifactError
from emotune.system.names import is_hub_id
from emotune.system.outside import translated
from emotune.system.wording import enumerated

_COMMIT = re.compile(r"[0-9a-f]{40}")
# Stands in the form that PEFT saves as a card.
_TO_FILL_IN = "[More Information Needed]"
# The name of the folder in the code of a card.
_FOLDER = '"fine_tuned_lora_model"'


def card_for_hub(
    folder: Path,
    description: Description,
    name: str,
    *,
    license: str | None,
    language: Sequence[str],
    left_out: Sequence[str],
) -> str:
    """Return the model card as it is pushed: the folder's own, with metadata added and the name on the Hub in its code.

    Metadata that the card already has is kept, except for a licence or languages that are given.

    Args:
        folder: The saved folder. One without a card, or with PEFT's form, gets a short card.
        description: Its description.
        name: The name on the Hub.
        license: The Hub's identifier of the licence; None to keep the card's.
        language: ISO 639 codes; empty to keep the card's.
        left_out: Files that are not pushed.

    Raises:
        ArtifactError: The card's metadata cannot be read.
    """
    from huggingface_hub import ModelCard

    path = folder / CARD
    with translated(lambda reason: ArtifactError(f"'{path}' has metadata that cannot be read: {reason}. Correct it.")):
        text = path.read_text(encoding="utf-8") if path.is_file() else _TO_FILL_IN
        card: Any = ModelCard(_short_card(description) if _TO_FILL_IN in text else text)
    data = card.data
    if license is not None:
        data.license = license
    if language:
        data.language = language[0] if len(language) == 1 else list(language)
    if data.get("base_model") and not data.get("base_model_relation"):
        data.base_model_relation = relation(description.method)
    if not data.eval_results:
        data.model_name, data.eval_results = _scores(description)
    card.text = _for_readers_there(card.text, name, left_out)
    return str(card)


def has_license(card: str) -> bool:
    """Return whether a card names a licence."""
    from huggingface_hub import ModelCard

    data: Any = ModelCard(card).data
    return bool(data.get("license"))


def files_of_scores(description: Description) -> dict[str, str]:
    """Return `.eval_results/*.yaml` by path; none where the data has no id on the Hub, or where nothing was scored."""
    data, scores = description.data, _after(description)
    if data is None or scores is None or not _is_on_hub(description):
        return {}
    options = (description.configuration or {}).get("data", {})
    revision = options.get("revision")
    return eval_results(
        data.name,
        config=options.get("config"),
        revision=revision if isinstance(revision, str) and _COMMIT.fullmatch(revision) else None,
        rows=data.rows.get("test", 0),
        scores=scores,
        date=(description.created or "")[:10],
    )


def _scores(description: Description) -> tuple[str | None, Any]:
    """Return the model's name and scores for a card that has none, such as that of an older version."""
    data, scores = description.data, _after(description)
    if data is None or scores is None:
        return None, None
    found = model_index(
        data.name,
        on_hub=_is_on_hub(description),
        split="test",
        rows=data.rows.get("test", 0),
        scores=scores,
    )
    return f"{description.base_model.name} with {description.method.title}", found


def _after(description: Description) -> dict[str, float] | None:
    """Return the tuned model's scores on a test split; None where a run did not save them."""
    if description.cross_validation is not None:
        return None
    after = (description.metrics or {}).get("after")
    if not isinstance(after, dict) or not all(isinstance(after.get(key), (int, float)) for key in SCORES):
        return None
    return {key: float(after[key]) for key in SCORES}


def _is_on_hub(description: Description) -> bool:
    data = description.data
    return data is not None and not data.was_local and is_hub_id(data.name, with_owner=True)


def _for_readers_there(text: str, name: str, left_out: Sequence[str]) -> str:
    """Return the card's text with the name on the Hub in its code, and without the files that are left out."""
    # Plain transformers and PEFT take the name; a file of the folder is opened by a path only.
    if f"folder = {_FOLDER}" in text and "{folder}/" in text:
        text = text.replace(f"folder = {_FOLDER}", f'folder = snapshot_download("{name}")', 1)
        text = text.replace("```python\n", "```python\nfrom huggingface_hub import snapshot_download\n", 1)
    text = text.replace(_FOLDER, f'"{name}"')
    text = text.replace("`folder` is the path of this folder.", "`folder` is this repository.")
    lines = text.split("\n")
    kept = [line for line in lines if not any(line.startswith(f"| `{file}`") for file in left_out)]
    if left_out:
        names = enumerated([f"`{file}`" for file in left_out])
        kept = [
            *"\n".join(kept).rstrip("\n").split("\n"),
            "",
            f"Left out when this was pushed: {names}, with texts of the data.",
            "",
        ]
    return "\n".join(kept)


def _short_card(description: Description) -> str:
    """Return the card of a folder that was saved from Python, which has none or only PEFT's form."""
    base, method = description.base_model, description.method
    known = base.revision is not None or is_hub_id(base.name, with_owner=True)
    data = card_data(method=method, base_model=base.name if known else None)
    labels = ", ".join(f"`{label.replace('`', '')}`" for label in description.labels)
    return f"""---
{data.to_yaml()}
---

# A text classifier, fine-tuned with {method.title}

Made with emotune {description.emotune}. It has {len(description.labels)} labels: {labels}.
{texts_read(description.max_length, pairs=description.pairs, windows=description.windows)}

```python
import emotune

classifier = emotune.load({_FOLDER})
predictions = emotune.predict(classifier, {example_texts(description.pairs)})
print(predictions.labels, predictions.probabilities)
```
"""
