"""How the tests read the texts of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotune.data.places.texts import open_unlabelled
from emotune.data.unlabelled import all_texts


def load_texts(path: str | Path, **options: Any) -> Iterator[str]:
    """The texts of a file, without their numbers; options as of `open_unlabelled`."""
    return (text for _, text in all_texts(open_unlabelled(path, **options)))
