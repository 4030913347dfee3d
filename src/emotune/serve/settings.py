"""Settings of the service, declared once for Python and the command, and the reading of its API keys."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from emotune.data.options import MAX_CHARACTERS
from emotune.system.errors import ConfigError
from emotune.system.options import Options, Text
from emotune.system.text import reason_of
from emotune.system.wording import in_full

KEYS_VARIABLE = "EMOTUNE_API_KEYS"
SHORTEST_KEY = 16
# What a Bearer token may hold (RFC 6750), so that every key can be sent.
_KEY = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class ServeSettings(Options):
    """Settings of the service.

    Raises:
        ConfigError: A value is out of range; the message names all mistakes at once.
    """

    host: Text = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for every network interface.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    default: Text | None = Field(
        default=None, description="Model of the routes without a model's name; the first folder if not given."
    )
    page: bool = Field(default=True, description="Serve the web page.")
    max_body_bytes: int = Field(default=2_000_000, ge=1, description="Longest body of a request, in bytes.")
    max_texts: int = Field(default=1000, ge=1, description="Most texts per request.")
    max_characters: int = Field(default=MAX_CHARACTERS, ge=1, description="Longest text, in characters.")
    max_queued_texts: int = Field(
        default=4000, ge=1, description="Most texts that wait at a time; further requests are refused with status 429."
    )
    body_seconds: float = Field(default=30.0, gt=0, description="Longest time that a body may take to arrive.")
    grace_seconds: float = Field(
        default=30.0, gt=0, description="Longest time that accepted requests get to finish when the service stops."
    )
    log_texts: bool = Field(default=False, description="Write texts and their labels into the log.")
    keys: tuple[str, ...] = Field(default=(), repr=False, description="API keys; empty to need none.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_texts > self.max_queued_texts:
            raise ValueError(
                f"max_texts and max_queued_texts are {self.max_texts} and {self.max_queued_texts}; expected at least as "
                "many queued texts, or the largest request would never be accepted"
            )
        return self


def read_keys(file: Path | None, environment: Any = os.environ) -> tuple[str, ...]:
    """Return the API keys of a file and of the environment variable EMOTUNE_API_KEYS.

    Keys are separated by white space or commas; in a file, lines that begin with # are comments. No key is ever part of
    a message.

    Args:
        file: The file, or None.
        environment: The environment variables.

    Raises:
        ConfigError: The file cannot be read or holds no key, or a key is short or has other characters than a Bearer
            token.
    """
    found: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"--api-keys {in_full(file)} cannot be read: {reason_of(error)}. Give a text file with one key per line."
            ) from None
        of_file = _split(" ".join(line for line in lines if not line.lstrip().startswith("#")))
        if not of_file:
            raise ConfigError(f"--api-keys {in_full(file)} holds no key. Write one per line, or leave the option out.")
        found += _checked(of_file, f"of {in_full(file)}")
    if KEYS_VARIABLE in environment:
        of_environment = _split(environment[KEYS_VARIABLE])
        if not of_environment:
            raise ConfigError(f"{KEYS_VARIABLE} is set and holds no key. Put a key into it, or unset it.")
        found += _checked(of_environment, f"of {KEYS_VARIABLE}")
    return tuple(dict.fromkeys(found))


def _split(text: str) -> list[str]:
    return [key for key in re.split(r"[\s,]+", text) if key]


def _checked(keys: list[str], where: str) -> list[str]:
    for number, key in enumerate(keys, start=1):
        if len(key) < SHORTEST_KEY or not _KEY.fullmatch(key):
            raise ConfigError(
                f"Key {number} {where} has {len(key)} characters; expected at least {SHORTEST_KEY}, letters, digits and "
                "-._~+/ only. Make one with: openssl rand -hex 32"
            )
    return keys
