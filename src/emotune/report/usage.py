"""What a card says about the use of a model: a call with example texts, and how much of a text is read."""

from __future__ import annotations


def example_texts(pairs: bool | None) -> str:
    """Return the argument of `predict` in Python, for single texts or for pairs."""
    if pairs:
        return '[("A man plays the guitar.", "Somebody makes music.")]'
    return '["What a day. I could hug the whole world."]'


def texts_read(max_length: int, *, pairs: bool | None, windows: bool) -> str:
    """Return a sentence on how much of a text the model reads, in training and after it.

    Args:
        max_length: The limit on tokens.
        pairs: True for a model of pairs.
        windows: True if longer texts are read in windows.
    """
    what = "pair of texts" if pairs else "text"
    if windows:
        return (
            f"The model was trained and scored on every {what} whole: one longer than {max_length} tokens in overlapping "
            "windows, whose logits are averaged by their tokens."
        )
    cut = "of longer pairs, the longer text was cut, token by token" if pairs else "longer texts were cut there"
    return f"The model was trained and scored on the first {max_length} tokens of each {what}; {cut}."
