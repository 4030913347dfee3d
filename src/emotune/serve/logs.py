"""Logs as one JSON object per line, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("emotune.serve")
# Loggers of uvicorn whose messages belong into the same log; its access log is replaced by the service's own.
_OTHERS = ("uvicorn", "uvicorn.error")


class JsonFormatter(logging.Formatter):
    """One line per record: time in UTC, level, event, then the fields that `write` was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON in ASCII, so that no text from outside reaches a terminal unescaped."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def write(level: int, event: str, **fields: Any) -> None:
    """Write a line.

    Args:
        level: A level of `logging`.
        event: What happened, in one word or two.
        fields: What else to say about it.
    """
    LOGGER.log(level, event, extra={"fields": fields})


def set_up() -> None:
    """Send the service's log and uvicorn's to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in (LOGGER.name, *_OTHERS):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(logging.INFO if name == LOGGER.name else logging.WARNING)
