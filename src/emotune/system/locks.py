"""Locks for objects of other libraries that are not thread-safe."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_NEW = threading.Lock()


def lock_of(thing: Any) -> threading.RLock:
    """Return the lock of an object such as a tokenizer, the same at every call.

    Locks are kept outside the object, so that they are neither copied nor saved with it.
    """
    with _NEW:
        return _LOCKS.setdefault(thing, threading.RLock())
