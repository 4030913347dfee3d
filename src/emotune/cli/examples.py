"""Example texts for the commands that other commands suggest."""

from __future__ import annotations


def example_words(pairs: bool | None) -> str:
    """Return the arguments of `emotune predict` after the folder, for a model of single texts or of pairs."""
    return '"the first text" "the second text"' if pairs else '"I did not expect this at all"'
