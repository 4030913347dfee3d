"""The facts of a message, whatever the words around them: what was seen, where, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable


def facts(*parts: str) -> str:
    """The pattern, as `pytest.raises` takes it, of a message in which each part stands, in any order."""
    return "(?s)" + "".join(f"(?=.*{re.escape(part)})" for part in parts)


def states(message: str, *parts: str) -> bool:
    """Whether each part stands in a message."""
    return all(part in message for part in parts)


def one_states(lines: Iterable[str], *parts: str) -> bool:
    """Whether there is a line in which each part stands."""
    return any(states(line, *parts) for line in lines)
