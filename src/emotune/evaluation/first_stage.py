"""What the base model has seen of the test rows, where that base is itself a folder that emotune saved."""

from __future__ import annotations

from pathlib import Path

from emotune.data.dataset import Split
from emotune.folder.fingerprints import read_fingerprints
from emotune.folder.format import read_description
from emotune.models.classifier import Classifier
from emotune.system.text import printable
from emotune.system.wording import counted


def seen_in_first_stage(base: Classifier, split: Split) -> str:
    """Return a sentence on the rows of a split that the base's own training had; "" if emotune did not make the base.

    Args:
        base: The base model.
        split: The rows to score.

    Raises:
        ArtifactError: The folder's fingerprints are damaged.
    """
    if not base.made_from:
        return ""
    folder = Path(base.source).expanduser()
    data = read_description(folder).data
    found = read_fingerprints(folder, None if data is None else data.fingerprint)
    name = printable(base.name)
    if found is None:
        return f"It is not known which rows '{name}' was trained on, since it was saved without fingerprints of them."
    trained = found.trained_on(split.texts)
    seen, chosen = int(trained.sum()), int((found.chosen_on(split.texts) & ~trained).sum())
    if not seen and not chosen:
        return (
            f"'{name}' was trained on none of these {counted(len(split), 'row')} (equal but for case and punctuation)."
        )
    return (
        f"'{name}' was trained on {seen:,} of these {counted(len(split), 'row')} and chosen on {chosen:,} (equal but for "
        "case and punctuation), so its score may be too good, and so may that of a model tuned from it."
    )
