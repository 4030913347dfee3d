"""What other libraries raise on files that are damaged or of another kind, turned into an error of emotune's own.

Only a library's call belongs inside `translated`: then no bug of ours can be taken for a damaged file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emotune.system.errors import EmotuneError
from emotune.system.text import reason_of

# What transformers, PEFT, safetensors and torch were seen to raise on files that they cannot make sense of.
LIBRARY_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
)


@contextmanager
def translated(make: Callable[[str], EmotuneError]) -> Iterator[None]:
    """Turn a library's error into one of emotune's.

    Args:
        make: Gives the error for the library's reason, in words.

    Raises:
        EmotuneError: What `make` gives.
    """
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise make(reason_of(error)) from error
    except Exception as error:
        # Classes of the libraries' own; what Rust raises has no other class than this one.
        own = type(error).__module__.partition(".")[0] in ("builtins", "emotune")
        if own and type(error) is not Exception:
            raise
        raise make(reason_of(error)) from error
