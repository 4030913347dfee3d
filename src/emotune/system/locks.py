"""Locks for things of other libraries that change while they are used: one thread at a time, and others wait."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_NEW = threading.Lock()


def lock_of(thing: Any) -> threading.RLock:
    """The lock of a thing, such as a tokenizer, the same at every call; kept beside it, since copies and files must not hold it."""
    with _NEW:
        return _LOCKS.setdefault(thing, threading.RLock())
