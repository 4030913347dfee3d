"""Silence around converters: they print their progress, log notices and warn of each other, and some send telemetry."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

_TELEMETRY = "openvino_telemetry"


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what other libraries print, log below the level of an error, or warn of; errors pass.

    This concerns the whole process, other threads included, for the time of the block.
    """
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Import OpenVINO and NNCF without `openvino_telemetry`, which would report each import and conversion to its makers.

    Both libraries work without that package. If the calling program has imported it, its choice remains.
    """
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # an import then raises ImportError
    try:
        yield
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]
