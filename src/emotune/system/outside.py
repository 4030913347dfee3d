"""Translation of other libraries' errors on damaged or unsuitable files into errors of emotune.

Put only a library's call inside `translated`, so that a bug of emotune is never reported as a damaged file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emotune.system.errors import EmotuneError
from emotune.system.text import reason_of

# Errors that transformers, PEFT, safetensors and torch were seen to raise on invalid files.
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
    """Turn a library's error into an error of emotune.

    Args:
        make: Returns the error for the library's reason, in words.

    Raises:
        EmotuneError: The result of `make`.
    """
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise make(reason_of(error)) from error
    except Exception as error:
        # Classes that the libraries define; errors from Rust have the plain class Exception.
        own = type(error).__module__.partition(".")[0] in ("builtins", "emotune")
        if own and type(error) is not Exception:
            raise
        raise make(reason_of(error)) from error
