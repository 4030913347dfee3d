"""Room for the texts beside a method's own tokens, among the positions of a model."""

from __future__ import annotations

from dataclasses import replace

from emotune.methods.base import Method
from emotune.models.classifier import Classifier
from emotune.models.families import position_limit
from emotune.system.errors import MethodError


def leave_room(base: Classifier, method: Method) -> Classifier:
    """Lower a limit on tokens per text that was chosen, not given, so that a method's own tokens have positions too.

    Args:
        base: The base model.
        method: The method.

    Returns:
        The base model with the lower limit; with its own, if that fits already, or no text would fit at all.
    """
    room = _room(base, method)
    if room is None or not _least(base) <= room < base.max_length:
        return base
    return replace(base, max_length=room)


def check_positions(base: Classifier, method: Method) -> None:
    """Check that a method's own tokens leave enough positions for the texts.

    Raises:
        MethodError: The tokens of text and method exceed the model's positions.
    """
    room = _room(base, method)
    if room is None or base.max_length <= room:
        return
    own = method.extra_tokens()
    raise MethodError(
        f"{base.max_length} tokens of text and {own} of {method.title} are more than the model's {room + own} positions. "
        + (
            f"Lower model.max_length to {room} or less."
            if room >= _least(base)
            else f"Lower method.tokens to {max(1, (room + own) // 2)} or less, so that texts have positions too."
        )
    )


def _room(base: Classifier, method: Method) -> int | None:
    """Return the positions that a method leaves for a text; None if there is no limit."""
    limit = position_limit(base.model)
    return None if limit is None else limit - method.extra_tokens()


def _least(base: Classifier) -> int:
    """Return the fewest tokens that hold a part of a pair of texts, with its special tokens."""
    return base.tokenizer.num_special_tokens_to_add(pair=True) + 1
